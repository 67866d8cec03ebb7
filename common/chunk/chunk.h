/* Chunks: runs of samples of one series in a compressed encoding, as they lie in the head, travel
 * to the querier and go into blocks. Float chunks are Prometheus's XOR encoding bit for bit, so
 * that export and streamed remote read need no transcoding. */
#ifndef NX_CHUNK_CHUNK_H
#define NX_CHUNK_CHUNK_H

#include "common/base/buf.h"
#include "common/chunk/sample.h"

/* Numbers are Prometheus's where it has the encoding, ours from 128. */
enum nx_chunk_encoding {
    NX_CHUNK_XOR = 1,
    NX_CHUNK_HISTOGRAM_RUN = 128, /* docs/formats/chunk.md */
    NX_CHUNK_COLUMN = 129,        /* floats out of a block; has no appender */
};

/* Whether there is such an encoding: for numbers that come from outside. */
static inline bool nx_chunk_encoding_is_known(uint64_t encoding)
{
    return encoding == NX_CHUNK_XOR || encoding == NX_CHUNK_HISTOGRAM_RUN ||
           encoding == NX_CHUNK_COLUMN;
}

#define NX_CHUNK_MAX_SAMPLES 65535
#define NX_CHUNK_MAX_BYTES (1u << 28)

/* One encoded chunk; the bytes belong to whoever handed it out. */
struct nx_chunk {
    enum nx_chunk_encoding encoding;
    uint32_t count;
    int64_t min_t; /* of the first sample */
    int64_t max_t; /* of the last, inclusive */
    struct nx_view data;
};

/* An appender: an open chunk that grows. `data` may be read at any time by the owning thread (the
 * count in the header is kept right and trailing bits are zero), so an open chunk is copied out as
 * it is. Samples must be of the encoding's kind and in strictly ascending time, else
 * NX_ERR_INVALID. A chunk that holds NX_CHUNK_MAX_SAMPLES samples or NX_CHUNK_MAX_BYTES bytes takes
 * no more: NX_ERR_LIMIT. After any failure the chunk is as it was. Start timestamps are not kept.
 */
struct nx_chunk_appender; /* heap; about 64 bytes + data */
enum nx_err nx_chunk_appender_new(enum nx_chunk_encoding encoding,
                                  struct nx_chunk_appender **out) NX_WARN_UNUSED;
void nx_chunk_appender_free(struct nx_chunk_appender *app);
enum nx_err nx_chunk_append(struct nx_chunk_appender *app,
                            const struct nx_sample *sample) NX_WARN_UNUSED;
struct nx_chunk nx_chunk_appender_chunk(const struct nx_chunk_appender *app);
/* The bits of the last sample; count > 0. A histogram is the appender's, valid until the next
 * append. */
struct nx_sample nx_chunk_appender_last(const struct nx_chunk_appender *app);
size_t nx_chunk_appender_memory_bytes(const struct nx_chunk_appender *app);

/* Iterates over encoded bytes, which must outlive the iterator. Damaged bytes end in
 * NX_ERR_CORRUPT, never in a read outside the view or a loop longer than the header's count. */
enum nx_err nx_chunk_iter_new(enum nx_chunk_encoding encoding, struct nx_view data,
                              struct nx_sample_iter **out) NX_WARN_UNUSED;
/* Checks the encoding by reading all of it, to its last byte, and fills count, min_t and max_t
 * (both 0 for an empty chunk). */
enum nx_err nx_chunk_inspect(enum nx_chunk_encoding encoding, struct nx_view data,
                             struct nx_chunk *out) NX_WARN_UNUSED;

#endif
