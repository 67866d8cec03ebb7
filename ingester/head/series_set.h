/* A set of series numbers that is small most of the time and may grow to millions: nothing beyond
 * this struct for one series; runs of consecutive numbers in a slab while they are few (the series
 * of one target are created together, so their numbers are); from there a roaring bitmap, kept in
 * runs where that is smaller. A set goes back to the smaller form as it shrinks. One thread. */
#ifndef ING_HEAD_SERIES_SET_H
#define ING_HEAD_SERIES_SET_H

#include <roaring/roaring.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "ingester/head/slab.h"

#define ING_SET_RUNS_MAX 16u

struct ing_run {
    uint32_t first;
    uint32_t last;
};

/* The caller keeps the number of members and gives it where it is asked for. */
struct ing_series_set {
    union {
        struct ing_run run;    /* run_count 1, also for a single series */
        uint32_t runs;         /* run_count 2 and more: an array in the slab, ascending */
        roaring_bitmap_t *map; /* run_count 0 */
    };
    uint32_t run_count;
};

void ing_set_init(struct ing_series_set *set, uint32_t series);
void ing_set_release(struct ing_series_set *set, struct ing_slab *slab);
/* `count` is the number of members before; the series is not one of them. On failure nothing has
 * changed. */
enum nx_err ing_set_add(struct ing_series_set *set, struct ing_slab *slab, uint32_t series,
                        size_t count) NX_WARN_UNUSED;
/* The series is a member, and not the only one; `count` as above. Taking one out of the middle may
 * need memory: NX_ERR_NOMEM, and it stays a member. */
enum nx_err ing_set_remove(struct ing_series_set *set, struct ing_slab *slab, uint32_t series,
                           size_t count) NX_WARN_UNUSED;
void ing_set_union_into(const struct ing_series_set *set, const struct ing_slab *slab,
                        roaring_bitmap_t *into);
bool ing_set_intersects(const struct ing_series_set *set, const struct ing_slab *slab,
                        const roaring_bitmap_t *other);
/* Beyond the struct and the slab. */
size_t ing_set_memory_bytes(const struct ing_series_set *set);

#endif
