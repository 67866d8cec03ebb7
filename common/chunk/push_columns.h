/* Columns of float samples as a distributor sends them to an ingester that has given their series
 * numbers (docs/formats/push-columns.md): no label, no id, no timestamp a sample.
 *
 * A number is the ingester's own name for a series it holds: the shard, and the place there. It
 * may belong to another series tomorrow, so rows travel in bunches, each with a sum over the ids of
 * its series: a receiver takes a bunch only where the ids of the series it finds give that sum. */
#ifndef NX_CHUNK_PUSH_COLUMNS_H
#define NX_CHUNK_PUSH_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/labels/series_id.h"

/* Rows of a bunch at most; a bunch also ends where the shard changes. */
#define NX_PUSH_BUNCH 32
/* A message with more samples is refused. */
#define NX_PUSH_MAX_SAMPLES (UINT32_C(1) << 22)

/* --- numbers --- */

#define NX_NUMBER_SLOT_BITS 26
#define NX_NUMBER_SLOT_MASK ((UINT32_C(1) << NX_NUMBER_SLOT_BITS) - 1)
#define NX_NUMBER_SHARDS (1u << (32 - NX_NUMBER_SLOT_BITS))

/* 0: the place is beyond what has a number. */
static inline uint32_t nx_number_of(uint32_t shard, uint32_t slot)
{
    if (shard >= NX_NUMBER_SHARDS || slot >= NX_NUMBER_SLOT_MASK)
        return 0;
    return shard << NX_NUMBER_SLOT_BITS | (slot + 1);
}
static inline uint32_t nx_number_shard(uint32_t number)
{
    return number >> NX_NUMBER_SLOT_BITS;
}
/* UINT32_MAX where the number is none. */
static inline uint32_t nx_number_slot(uint32_t number)
{
    return (number & NX_NUMBER_SLOT_MASK) - 1;
}

/* The sum over a bunch begins with 0 and takes the ids in order. Other ids, or the same ones in
 * another order, give the same sum with a probability of 2^-64. */
static inline uint64_t nx_push_check(uint64_t sum, struct nx_series_id id)
{
    return sum * UINT64_C(0x9E3779B97F4A7C15) + id.hi * UINT64_C(0xC2B2AE3D27D4EB4F) + id.lo;
}

/* --- columns --- */

struct nx_push_columns {
    size_t rows;
    uint32_t *numbers;
    uint32_t
        *offsets; /* rows + 1: row i has the samples offsets[i] .. offsets[i + 1], never none */
    int64_t *times;
    uint64_t *bits; /* of the values: payloads of NaN survive */
    size_t bunches;
    uint32_t *ends; /* a bunch: the row behind its last */
    uint64_t *checks;
};
static inline size_t nx_push_samples(const struct nx_push_columns *columns)
{
    return columns->rows ? columns->offsets[columns->rows] : 0;
}

/* Cuts the rows into bunches: fills `ends` (which has room for as many as there are rows) and
 * `bunches` from the numbers. */
void nx_push_cut(struct nx_push_columns *columns);

/* Appends the columns; at most NX_PUSH_MAX_SAMPLES samples. Failure is the buffer's to tell. */
void nx_push_columns_put(struct nx_buf *out, const struct nx_push_columns *columns);
/* Reads all of `bytes` into memory of the arena, at most 48 times as much. NX_ERR_INVALID: no such
 * columns. NX_ERR_NOMEM. */
enum nx_err nx_push_columns_read(struct nx_view bytes, struct nx_arena *arena,
                                 struct nx_push_columns *out) NX_WARN_UNUSED;

/* --- the columns of times and values alone (push_times.c, push_values.c) --- */

/* At most that many bytes are written to `at`; both return where they ended. */
#define NX_PUSH_TIME_MAX_BYTES 12
#define NX_PUSH_VALUE_MAX_BYTES 9
char *nx_push_times_put(char *at, const int64_t *times, size_t count);
char *nx_push_values_put(char *at, const uint64_t *bits, size_t count);
/* A failed cursor: malformed. */
struct nx_cursor;
void nx_push_times_read(struct nx_cursor *cur, int64_t *times, size_t count);
void nx_push_values_read(struct nx_cursor *cur, uint64_t *bits, size_t count);

#endif
