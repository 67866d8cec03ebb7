/* A sealed chunk as it lies in a chunk file (docs/formats/head-chunks.md). Pure; any thread. */
#ifndef ING_HEAD_CHUNK_PIECE_H
#define ING_HEAD_CHUNK_PIECE_H

#include "common/chunk/chunk.h"

#define ING_CHUNK_PIECE_HEADER_BYTES 32u
#define ING_CHUNK_PIECE_MAX_BYTES 65535u /* of the chunk */
#define ING_ADDRESS_MAX ((UINT64_C(1) << 48) - 1)

struct ing_chunk_piece {
    uint64_t before; /* the address of the series' chunk before it; 0: none */
    uint32_t owner;  /* the series' number in its shard, for checking */
    struct nx_chunk chunk;
};

/* Whether the form has room for it. */
bool ing_chunk_piece_fits(const struct ing_chunk_piece *piece);
/* Writes the header and the chunk to `out`; how many bytes. */
size_t ing_chunk_piece_write(const struct ing_chunk_piece *piece, uint8_t *out);
/* The length of the chunk of a piece, by its header alone; NX_ERR_CORRUPT where that cannot be. */
enum nx_err ing_chunk_piece_length(const uint8_t header[ING_CHUNK_PIECE_HEADER_BYTES],
                                   size_t *len) NX_WARN_UNUSED;
/* `bytes` is the whole piece; the chunk aliases it. NX_ERR_CORRUPT: the checksum, the owner or what
 * the header says is wrong. */
enum nx_err ing_chunk_piece_read(struct nx_view bytes, uint32_t owner,
                                 struct ing_chunk_piece *out) NX_WARN_UNUSED;

#endif
