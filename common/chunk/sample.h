/* A sample: a time and either a float or a native histogram; and the iterator through which
 * everything that holds samples (chunks, blocks, replica merges, test data) is read. */
#ifndef NX_CHUNK_SAMPLE_H
#define NX_CHUNK_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/chunk/histogram.h"

/* The bits that mark the end of a series, and the NaN that Prometheus produces itself. */
#define NX_STALE_NAN_BITS UINT64_C(0x7ff0000000000002)
#define NX_NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)

static inline uint64_t nx_double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
static inline double nx_double_from_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
static inline bool nx_is_stale(double v)
{
    return nx_double_bits(v) == NX_STALE_NAN_BITS;
}

struct nx_sample {
    int64_t t;  /* ms since the epoch */
    int64_t st; /* start timestamp in ms, 0 = unknown */
    double value;
    const struct nx_histogram *histogram; /* NULL for a float; valid until the iterator moves */
};

/* Samples of one series in strictly ascending time. */
struct nx_sample_iter {
    const struct nx_sample_iter_ops *ops;
};
struct nx_sample_iter_ops {
    /* 1: *out is the next sample; 0: the end; negative: an enum nx_err (damaged data, memory). */
    int (*next)(struct nx_sample_iter *it, struct nx_sample *out);
    /* Moves to the first sample with time >= t at or after the current position (never back) and
     * returns it as next would. */
    int (*seek)(struct nx_sample_iter *it, int64_t t, struct nx_sample *out);
    void (*free)(struct nx_sample_iter *it);
};
static inline int nx_sample_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    return it->ops->next(it, out);
}
static inline int nx_sample_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    return it->ops->seek(it, t, out);
}
static inline void nx_sample_iter_free(struct nx_sample_iter *it)
{
    if (it)
        it->ops->free(it);
}

#endif
