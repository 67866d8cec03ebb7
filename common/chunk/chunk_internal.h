/* What the encodings share inside this room. */
#ifndef NX_CHUNK_CHUNK_INTERNAL_H
#define NX_CHUNK_CHUNK_INTERNAL_H

#include "common/chunk/bits.h"
#include "common/chunk/chunk.h"
#include "common/chunk/xor_code.h"

enum { NX_CHUNK_HEADER_BYTES = 2 }; /* number of samples, big-endian */

struct nx_run_state;

/* Millions of these are open at once: 56 bytes. */
struct nx_chunk_appender {
    uint8_t *data; /* NULL while empty */
    uint32_t len;
    uint32_t capacity;
    uint16_t count;
    uint8_t encoding;
    uint8_t free_bits; /* unused low bits of the last byte (XOR) */
    uint8_t leading;   /* window of the last value (XOR); NX_XOR_NO_WINDOW (xor_code.h) */
    uint8_t trailing;
    int64_t min_t;
    int64_t last_t;
    uint64_t delta; /* last_t less the time before, modulo 2^64 */
    union {
        uint64_t value_bits;      /* XOR */
        struct nx_run_state *run; /* HISTOGRAM_RUN, NULL while empty */
    };
};

/* Makes room for `len` bytes in all. */
enum nx_err nx_chunk_reserve(struct nx_chunk_appender *app, size_t len) NX_WARN_UNUSED;
static inline void nx_chunk_set_count(struct nx_chunk_appender *app, uint16_t count)
{
    app->count = count;
    app->data[0] = (uint8_t)(count >> 8);
    app->data[1] = (uint8_t)count;
}

enum nx_err nx_xor_append(struct nx_chunk_appender *app, int64_t t,
                          uint64_t value_bits) NX_WARN_UNUSED;
enum nx_err nx_run_append(struct nx_chunk_appender *app,
                          const struct nx_sample *sample) NX_WARN_UNUSED;
void nx_run_state_free(struct nx_run_state *run);
const struct nx_histogram *nx_run_state_last(const struct nx_run_state *run);
size_t nx_run_state_memory_bytes(const struct nx_run_state *run);

enum nx_err nx_xor_iter_new(struct nx_view data, struct nx_sample_iter **out) NX_WARN_UNUSED;
enum nx_err nx_run_iter_new(struct nx_view data, struct nx_sample_iter **out) NX_WARN_UNUSED;

/* The bytes that follow the last sample, once an iterator has returned 0. */
size_t nx_xor_iter_left(const struct nx_sample_iter *it);
size_t nx_run_iter_left(const struct nx_sample_iter *it);

#endif
