/* The samples of one series in the head: sealed chunks, the open one, and a small sorted run of
 * samples that came out of order. No chunk reaches over a window boundary, so a window is flushed
 * by taking whole chunks. Timestamps are unique within a series. One thread. */
#ifndef ING_HEAD_SERIES_H
#define ING_HEAD_SERIES_H

#include "common/labels/series_id.h"
#include "ingester/head/chunk_files.h"
#include "ingester/head/sealed.h"
#include "ingester/head/slab.h"

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

/* There are millions of them: 80 bytes. All zero but for newest_t is one without samples. The open
 * chunk's state is nx_xor_state's (open_chunk.c). */
struct ing_series {
    struct nx_series_id id;
    int64_t newest_t; /* INT64_MIN: none yet; of the open chunk where there is one */
    uint64_t log_ref; /* its number in the shard's log; 0: not logged yet */
    union {
        uint64_t value_bits;           /* of the last sample in an open chunk of floats */
        struct nx_chunk_appender *run; /* is_run: the open chunk of histograms */
    };
    uint32_t labels;        /* in the pool's slab; ING_SLAB_NONE: a free slot */
    uint32_t open_last;     /* the last block of an open chunk of floats, in the slab */
    uint32_t delta;         /* between its last two samples */
    uint32_t extra;         /* what few series have (pool->extras), by position + 1 */
    uint32_t last_append_s; /* wall clock, for leaving the head */
    uint32_t chain_low;     /* its latest chunk in the chunk files; 0: none */
    uint32_t floor_low;     /* addresses below are not its any more */
    uint16_t chain_high;
    uint16_t floor_high;
    unsigned tenant : 20;
    unsigned open_len : 10; /* bytes of its stream */
    unsigned is_run : 1;
    unsigned open_count : 8; /* samples in it */
    unsigned leading : 6;
    unsigned trailing : 6;
    unsigned free_bits : 3;
};

/* What few series have. */
struct ing_extra {
    struct ing_ooo *ooo;
    struct ing_sealed_list sealed;
    uint32_t next_free; /* of a free one: position + 1 */
};

struct ing_window_rules {
    int64_t window_ms;
    int64_t out_of_order_ms;
};

/* Where the samples and labels of a shard's series lie. One thread. */
struct ing_pool {
    const struct ing_window_rules *rules;
    struct ing_chunk_files *files; /* NULL: sealed chunks stay in memory */
    struct ing_slab slab;
    struct ing_extra *extras;
    size_t extra_count;
    size_t extra_capacity;
    uint32_t free_extra;
};
/* The chunk files may be NULL, and are the pool's from now on. */
void ing_pool_init(struct ing_pool *pool, const struct ing_window_rules *rules,
                   struct ing_chunk_files *files);
/* The samples of all series have been released. */
void ing_pool_release(struct ing_pool *pool);

/* Whether the slot is in use. */
static inline bool ing_series_live(const struct ing_series *series)
{
    return series->labels != ING_SLAB_NONE;
}

static inline uint64_t ing_series_chain(const struct ing_series *series)
{
    return (uint64_t)series->chain_high << 32 | series->chain_low;
}
static inline uint64_t ing_series_floor(const struct ing_series *series)
{
    return (uint64_t)series->floor_high << 32 | series->floor_low;
}

/* Fetches the memory that an append to the open chunk writes. */
static inline void ing_series_prefetch(const struct ing_pool *pool, const struct ing_series *series)
{
    if (series->open_last != ING_SLAB_NONE)
        __builtin_prefetch(ing_slab_at(&pool->slab, series->open_last), 1);
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
/* Whether it has any, in memory or in files. */
bool ing_series_has_samples(const struct ing_series *series);

/* Seals what is open in [min_t, max_t] (whole windows) and takes references to all chunks there,
 * which ing_sealed_list_load brings into memory. */
enum nx_err ing_series_snapshot(struct ing_pool *pool, struct ing_series *series, int64_t min_t,
                                int64_t max_t, struct ing_sealed_list *out) NX_WARN_UNUSED;
/* Drops those chunks of a snapshot, which was of times from min_t on and has been loaded, that the
 * series still holds. */
void ing_series_drop(struct ing_pool *pool, struct ing_series *series,
                     const struct ing_sealed_list *list, int64_t min_t);
/* References to, or copies of, everything that overlaps [min_t, max_t], which
 * ing_sealed_list_load brings into memory; changes nothing. */
enum nx_err ing_series_read(const struct ing_pool *pool, const struct ing_series *series,
                            int64_t min_t, int64_t max_t,
                            struct ing_sealed_list *out) NX_WARN_UNUSED;
/* Whether ing_series_read could give anything: of chunks in files only the latest time is known. */
bool ing_series_overlaps(const struct ing_pool *pool, const struct ing_series *series,
                         int64_t min_t, int64_t max_t);
/* Sealed and open ones; all that are in files count as one. */
size_t ing_series_chunk_count(const struct ing_pool *pool, const struct ing_series *series);

#endif
