/* The chunk of a series that takes its next sample. Floats: an XOR stream in small blocks of the
 * pool's slab, the state of the encoding in the series itself. Histograms: an appender on the heap.
 * One thread. */
#ifndef ING_HEAD_OPEN_CHUNK_H
#define ING_HEAD_OPEN_CHUNK_H

#include "ingester/head/series.h"

/* Room for the bytes of any open chunk of floats. */
#define ING_OPEN_MAX_BYTES 1026u

struct ing_open_chunk_copy {
    uint8_t bytes[ING_OPEN_MAX_BYTES];
};

static inline bool ing_open_chunk_exists(const struct ing_series *series)
{
    return series->open_last != ING_SLAB_NONE || series->is_run;
}
/* Whether the open chunk takes the sample, which is newer than all of the series: of its kind, in
 * its window, not full, and a stream of floats stays within max_bytes. */
bool ing_open_chunk_takes(const struct ing_pool *pool, const struct ing_series *series,
                          const struct nx_sample *sample, uint32_t max_bytes) NX_WARN_UNUSED;
/* Adds it there. NX_ERR_NOMEM, and nothing has changed. */
enum nx_err ing_open_chunk_append(struct ing_pool *pool, struct ing_series *series,
                                  const struct nx_sample *sample) NX_WARN_UNUSED;

/* Another open chunk in three steps, so that what can fail comes before the old one is sealed. */
struct ing_open_chunk_next {
    uint32_t block;
    struct nx_chunk_appender *run;
};
enum nx_err ing_open_chunk_prepare(struct ing_pool *pool, const struct nx_sample *sample,
                                   struct ing_open_chunk_next *next) NX_WARN_UNUSED;
void ing_open_chunk_discard(struct ing_pool *pool, struct ing_open_chunk_next *next);
/* The series has no open chunk; the sample is the one that was prepared for. */
void ing_open_chunk_start(struct ing_pool *pool, struct ing_series *series,
                          const struct nx_sample *sample, const struct ing_open_chunk_next *next);

/* Of the open chunk: there is one. */
int64_t ing_open_chunk_min_t(const struct ing_pool *pool, const struct ing_series *series);
/* Its bytes, in `copy` or the appender's. */
struct nx_chunk ing_open_chunk_bytes(const struct ing_pool *pool, const struct ing_series *series,
                                     struct ing_open_chunk_copy *copy);
/* Its last sample; a histogram is the chunk's. */
struct nx_sample ing_open_chunk_last(const struct ing_series *series);
void ing_open_chunk_release(struct ing_pool *pool, struct ing_series *series);

#endif
