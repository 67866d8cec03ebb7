/* Runs do not touch: between two of them at least one number is missing. An array in the slab is
 * exactly as long as it was when it was made, so it is made anew to grow, and used in place to
 * shrink. */
#include "ingester/head/series_set.h"

#include <assert.h>
#include <string.h>

#define OPTIMIZE_FROM 1024u /* members; and at each doubling */
#define SMALL_AGAIN 8u

void ing_set_init(struct ing_series_set *set, uint32_t series)
{
    *set = (struct ing_series_set){.run = {.first = series, .last = series}, .run_count = 1};
}

void ing_set_release(struct ing_series_set *set, struct ing_slab *slab)
{
    if (set->run_count == 0)
        roaring_bitmap_free(set->map);
    else if (set->run_count > 1)
        ing_slab_free(slab, set->runs);
}

static struct ing_run *runs_of(struct ing_series_set *set, const struct ing_slab *slab)
{
    return set->run_count == 1 ? &set->run : ing_slab_at(slab, set->runs);
}

static const struct ing_run *runs_in(const struct ing_series_set *set, const struct ing_slab *slab)
{
    return set->run_count == 1 ? &set->run : ing_slab_at(slab, set->runs);
}

/* The first run that holds the series, or ends just before it, or lies behind it. */
static uint32_t run_position(const struct ing_run *runs, uint32_t count, uint32_t series)
{
    uint32_t i = 0;
    while (i < count && (uint64_t)runs[i].last + 1 < series)
        i++;
    return i;
}

static enum nx_err runs_insert(struct ing_series_set *set, struct ing_slab *slab, uint32_t at,
                               struct ing_run run)
{
    uint32_t count = set->run_count;
    uint32_t ref = ing_slab_alloc(slab, (count + 1) * sizeof run);
    if (ref == ING_SLAB_NONE)
        return NX_ERR_NOMEM;
    struct ing_run *longer = ing_slab_at(slab, ref);
    const struct ing_run *runs = runs_of(set, slab);
    memcpy(longer, runs, at * sizeof run);
    longer[at] = run;
    memcpy(longer + at + 1, runs + at, (count - at) * sizeof run);
    if (count > 1)
        ing_slab_free(slab, set->runs);
    set->runs = ref;
    set->run_count = count + 1;
    return NX_OK;
}

static void runs_delete(struct ing_series_set *set, struct ing_slab *slab, uint32_t at)
{
    struct ing_run *runs = runs_of(set, slab);
    assert(set->run_count > 1);
    memmove(runs + at, runs + at + 1, (set->run_count - at - 1) * sizeof *runs);
    if (--set->run_count == 1) {
        uint32_t ref = set->runs;
        set->run = runs[0];
        ing_slab_free(slab, ref);
    }
}

static enum nx_err to_map(struct ing_series_set *set, struct ing_slab *slab)
{
    roaring_bitmap_t *map = roaring_bitmap_create();
    if (!map)
        return NX_ERR_NOMEM;
    ing_set_union_into(set, slab, map);
    ing_set_release(set, slab);
    *set = (struct ing_series_set){.map = map};
    return NX_OK;
}

/* Back to runs, where they are few and there is memory. */
static void from_map(struct ing_series_set *set, struct ing_slab *slab)
{
    struct ing_run runs[SMALL_AGAIN];
    uint32_t count = 0;
    roaring_uint32_iterator_t it;
    roaring_init_iterator(set->map, &it);
    for (; it.has_value; roaring_advance_uint32_iterator(&it)) {
        if (count > 0 && runs[count - 1].last + 1 == it.current_value) {
            runs[count - 1].last++;
            continue;
        }
        if (count == SMALL_AGAIN)
            return;
        runs[count++] = (struct ing_run){.first = it.current_value, .last = it.current_value};
    }
    uint32_t ref = ING_SLAB_NONE;
    if (count > 1) {
        ref = ing_slab_alloc(slab, count * sizeof runs[0]);
        if (ref == ING_SLAB_NONE)
            return;
        memcpy(ing_slab_at(slab, ref), runs, count * sizeof runs[0]);
    }
    roaring_bitmap_free(set->map);
    *set = (struct ing_series_set){.run = runs[0], .run_count = count};
    if (count > 1)
        set->runs = ref;
}

static void map_add(roaring_bitmap_t *map, uint32_t series, size_t count)
{
    roaring_bitmap_add(map, series);
    if (count >= OPTIMIZE_FROM && (count & (count - 1)) == 0)
        roaring_bitmap_run_optimize(map);
}

enum nx_err ing_set_add(struct ing_series_set *set, struct ing_slab *slab, uint32_t series,
                        size_t count)
{
    if (set->run_count == 0) {
        map_add(set->map, series, count);
        return NX_OK;
    }
    struct ing_run *runs = runs_of(set, slab);
    uint32_t at = run_position(runs, set->run_count, series);
    if (at < set->run_count && (uint64_t)runs[at].last + 1 == series) {
        runs[at].last = series;
        if (at + 1 < set->run_count && runs[at + 1].first == series + 1) {
            runs[at].last = runs[at + 1].last;
            runs_delete(set, slab, at + 1);
        }
        return NX_OK;
    }
    if (at < set->run_count && runs[at].first == series + 1) {
        runs[at].first = series;
        return NX_OK;
    }
    if (set->run_count < ING_SET_RUNS_MAX)
        return runs_insert(set, slab, at, (struct ing_run){.first = series, .last = series});
    enum nx_err err = to_map(set, slab);
    if (err == NX_OK)
        map_add(set->map, series, count);
    return err;
}

static enum nx_err remove_inside(struct ing_series_set *set, struct ing_slab *slab, uint32_t at,
                                 uint32_t series)
{
    if (set->run_count == ING_SET_RUNS_MAX) {
        enum nx_err err = to_map(set, slab);
        if (err == NX_OK)
            roaring_bitmap_remove(set->map, series);
        return err;
    }
    struct ing_run front = {.first = runs_of(set, slab)[at].first, .last = series - 1};
    enum nx_err err = runs_insert(set, slab, at, front);
    if (err == NX_OK)
        runs_of(set, slab)[at + 1].first = series + 1;
    return err;
}

enum nx_err ing_set_remove(struct ing_series_set *set, struct ing_slab *slab, uint32_t series,
                           size_t count)
{
    if (set->run_count == 0) {
        roaring_bitmap_remove(set->map, series);
        if (count - 1 <= SMALL_AGAIN)
            from_map(set, slab);
        return NX_OK;
    }
    struct ing_run *runs = runs_of(set, slab);
    uint32_t at = 0;
    while (runs[at].last < series)
        at++;
    assert(at < set->run_count && runs[at].first <= series);
    if (runs[at].first == runs[at].last)
        runs_delete(set, slab, at);
    else if (runs[at].first == series)
        runs[at].first++;
    else if (runs[at].last == series)
        runs[at].last--;
    else
        return remove_inside(set, slab, at, series);
    return NX_OK;
}

void ing_set_union_into(const struct ing_series_set *set, const struct ing_slab *slab,
                        roaring_bitmap_t *into)
{
    if (set->run_count == 0) {
        roaring_bitmap_or_inplace(into, set->map);
        return;
    }
    const struct ing_run *runs = runs_in(set, slab);
    for (uint32_t i = 0; i < set->run_count; i++)
        roaring_bitmap_add_range_closed(into, runs[i].first, runs[i].last);
}

bool ing_set_intersects(const struct ing_series_set *set, const struct ing_slab *slab,
                        const roaring_bitmap_t *other)
{
    if (set->run_count == 0)
        return roaring_bitmap_intersect(set->map, other);
    const struct ing_run *runs = runs_in(set, slab);
    roaring_uint32_iterator_t it;
    roaring_init_iterator(other, &it);
    for (uint32_t i = 0; i < set->run_count; i++)
        if (roaring_move_uint32_iterator_equalorlarger(&it, runs[i].first) &&
            it.current_value <= runs[i].last)
            return true;
    return false;
}

size_t ing_set_memory_bytes(const struct ing_series_set *set)
{
    return set->run_count == 0 ? roaring_bitmap_size_in_bytes(set->map) : 0;
}
