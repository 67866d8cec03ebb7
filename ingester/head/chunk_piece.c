/* Fixed places, little-endian; the checksum covers all that follows it. */
#include "ingester/head/chunk_piece.h"

#include "common/base/hash.h"

enum {
    AT_CRC = 0,
    AT_LEN = 4,
    AT_COUNT = 6,
    AT_LINK = 8,
    AT_MIN_T = 16,
    AT_SPAN = 24,
    AT_OWNER = 28
};

static void put(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

bool ing_chunk_piece_fits(const struct ing_chunk_piece *piece)
{
    const struct nx_chunk *chunk = &piece->chunk;
    return chunk->data.len > 0 && chunk->data.len <= ING_CHUNK_PIECE_MAX_BYTES &&
           chunk->count > 0 && chunk->count <= UINT16_MAX && piece->before <= ING_ADDRESS_MAX &&
           (uint64_t)chunk->max_t - (uint64_t)chunk->min_t <= UINT32_MAX;
}

size_t ing_chunk_piece_write(const struct ing_chunk_piece *piece, uint8_t *out)
{
    const struct nx_chunk *chunk = &piece->chunk;
    size_t len = ING_CHUNK_PIECE_HEADER_BYTES + chunk->data.len;
    put(out + AT_LEN, chunk->data.len, 2);
    put(out + AT_COUNT, chunk->count, 2);
    put(out + AT_LINK, piece->before << 16 | (uint64_t)chunk->encoding, 8);
    put(out + AT_MIN_T, (uint64_t)chunk->min_t, 8);
    put(out + AT_SPAN, (uint64_t)chunk->max_t - (uint64_t)chunk->min_t, 4);
    put(out + AT_OWNER, piece->owner, 4);
    memcpy(out + ING_CHUNK_PIECE_HEADER_BYTES, chunk->data.ptr, chunk->data.len);
    put(out + AT_CRC, nx_crc32c(0, out + AT_LEN, len - AT_LEN), 4);
    return len;
}

enum nx_err ing_chunk_piece_length(const uint8_t header[ING_CHUNK_PIECE_HEADER_BYTES], size_t *len)
{
    size_t found = (size_t)get(header + AT_LEN, 2);
    if (found == 0)
        return NX_ERR_CORRUPT;
    *len = found;
    return NX_OK;
}

enum nx_err ing_chunk_piece_read(struct nx_view bytes, uint32_t owner, struct ing_chunk_piece *out)
{
    const uint8_t *in = (const uint8_t *)bytes.ptr;
    if (bytes.len <= ING_CHUNK_PIECE_HEADER_BYTES ||
        get(in + AT_LEN, 2) != bytes.len - ING_CHUNK_PIECE_HEADER_BYTES ||
        get(in + AT_CRC, 4) != nx_crc32c(0, in + AT_LEN, bytes.len - AT_LEN) ||
        get(in + AT_OWNER, 4) != owner)
        return NX_ERR_CORRUPT;
    uint64_t link = get(in + AT_LINK, 8);
    int64_t min_t = (int64_t)get(in + AT_MIN_T, 8);
    int64_t span = (int64_t)get(in + AT_SPAN, 4);
    unsigned encoding = (unsigned)(link & 0xFFFF);
    if ((encoding != NX_CHUNK_XOR && encoding != NX_CHUNK_HISTOGRAM_RUN) ||
        min_t > INT64_MAX - span)
        return NX_ERR_CORRUPT;
    *out = (struct ing_chunk_piece){
        .before = link >> 16,
        .owner = owner,
        .chunk = {.encoding = (enum nx_chunk_encoding)encoding,
                  .count = (uint32_t)get(in + AT_COUNT, 2),
                  .min_t = min_t,
                  .max_t = min_t + span,
                  .data = nx_view_make(in + ING_CHUNK_PIECE_HEADER_BYTES,
                                       bytes.len - ING_CHUNK_PIECE_HEADER_BYTES)}};
    return NX_OK;
}
