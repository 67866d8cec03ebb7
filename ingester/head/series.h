/* The samples of one series in the head: sealed chunks, the open one, and a small sorted run of
 * samples that came out of order. No chunk reaches over a window boundary, so a window is flushed
 * by taking whole chunks. Timestamps are unique within a series. One thread. */
#ifndef ING_HEAD_SERIES_H
#define ING_HEAD_SERIES_H

#include "common/labels/series_id.h"
#include "ingester/head/postings.h"
#include "ingester/head/sealed.h"

#define ING_CHUNK_SAMPLES 120
/* Samples beyond +-2^60 ms are refused, so that no arithmetic on times overflows. */
#define ING_TIME_LIMIT (INT64_C(1) << 60)

struct ing_ooo_sample {
    int64_t t;
    uint64_t bits;
};

struct ing_ooo {
    uint32_t count;
    uint32_t capacity;
    struct ing_ooo_sample items[];
};

struct ing_series {
    struct nx_series_id id;
    struct ing_label_ref *labels; /* sorted by name; NULL: a free slot */
    struct nx_chunk_appender *open;
    struct ing_ooo *ooo;
    struct ing_sealed_list sealed;
    uint64_t log_ref; /* its number in the shard's log; 0: not logged yet */
    int64_t newest_t; /* INT64_MIN: none yet */
    uint32_t tenant;
    uint32_t label_count;
    uint32_t last_append_s; /* wall clock, for leaving the head */
};

struct ing_window_rules {
    int64_t window_ms;
    int64_t out_of_order_ms;
};

/* Where the samples of a shard's series lie. One thread. */
struct ing_pool {
    const struct ing_window_rules *rules;
};

/* Whether the slot is in use. */
static inline bool ing_series_live(const struct ing_series *series)
{
    return series->labels != NULL;
}

/* The start of the window that holds t. */
int64_t ing_window_of(int64_t window_ms, int64_t t);

enum ing_append_result { ING_APPENDED, ING_DUPLICATE };

/* NX_ERR_CONFLICT: another value at that time. NX_ERR_TOO_OLD: older than the newest by more than
 * the out-of-order window (NX_ERR_OUT_OF_ORDER where that is 0). NX_ERR_OUT_OF_BOUNDS: beyond
 * ING_TIME_LIMIT. NX_ERR_NOMEM. On failure nothing has changed. */
enum nx_err ing_series_append(struct ing_pool *pool, struct ing_series *series,
                              const struct nx_sample *sample,
                              enum ing_append_result *out) NX_WARN_UNUSED;
/* Frees the samples. */
void ing_series_release_samples(struct ing_pool *pool, struct ing_series *series);
bool ing_series_has_samples(const struct ing_series *series);

/* Seals what is open in [min_t, max_t] (whole windows) and takes references to all chunks there,
 * which ing_sealed_list_load brings into memory. */
enum nx_err ing_series_snapshot(struct ing_pool *pool, struct ing_series *series, int64_t min_t,
                                int64_t max_t, struct ing_sealed_list *out) NX_WARN_UNUSED;
/* Drops those chunks of a snapshot that the series still holds. */
void ing_series_drop(struct ing_pool *pool, struct ing_series *series,
                     const struct ing_sealed_list *list);
/* References to, or copies of, everything that overlaps [min_t, max_t], which
 * ing_sealed_list_load brings into memory; changes nothing. */
enum nx_err ing_series_read(const struct ing_pool *pool, const struct ing_series *series,
                            int64_t min_t, int64_t max_t,
                            struct ing_sealed_list *out) NX_WARN_UNUSED;
/* Whether ing_series_read would give anything. */
bool ing_series_overlaps(const struct ing_pool *pool, const struct ing_series *series,
                         int64_t min_t, int64_t max_t);
/* Sealed and open ones. */
size_t ing_series_chunk_count(const struct ing_pool *pool, const struct ing_series *series);

#endif
