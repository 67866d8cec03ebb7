#include "ingester/block/block_view.h"

#include "common/base/alloc.h"

static uint32_t slab_count(const struct ing_block_meta *meta)
{
    uint64_t span = (uint64_t)meta->max_t - (uint64_t)meta->min_t;
    uint64_t slabs = (span - 1) / (uint64_t)meta->slab_ms + 1;
    return slabs > ING_BLOCK_SLABS_MAX ? 0 : (uint32_t)slabs;
}

static enum nx_err parts_init(struct ing_block_view *view)
{
    struct ing_block *block = view->block;
    const struct ing_block_meta *meta = ing_block_meta(block);
    uint32_t series = (uint32_t)meta->series;
    enum nx_err err =
        ing_page_reader_new(ing_block_section(block, ING_SECTION_PAGES), &view->reader);
    if (err == NX_OK)
        err = ing_block_labels_init(&view->labels, ing_block_section(block, ING_SECTION_LABELS),
                                    view->reader);
    if (err == NX_OK)
        err = ing_block_lists_init(&view->lists, ing_block_section(block, ING_SECTION_LISTS),
                                   view->reader, series);
    if (err == NX_OK)
        err = ing_block_times_init(&view->times, ing_block_section(block, ING_SECTION_TIMES),
                                   view->reader, meta->min_t, meta->max_t);
    if (err == NX_OK)
        err = ing_block_bundles_init(&view->bundles, ing_block_section(block, ING_SECTION_SERIES),
                                     view->reader, meta->min_t, meta->max_t, slab_count(meta));
    if (err == NX_OK && view->bundles.series_count != series)
        err = NX_ERR_CORRUPT;
    return err;
}

enum nx_err ing_block_view_new(struct ing_block *block, struct ing_block_view **out)
{
    enum nx_err err = ing_block_check(block);
    if (err != NX_OK)
        return err;
    struct ing_block_view *view = nx_calloc(1, sizeof *view);
    if (!view)
        return NX_ERR_NOMEM;
    view->block = ing_block_take(block);
    err = parts_init(view);
    if (err != NX_OK) {
        ing_block_view_free(view);
        return err;
    }
    *out = view;
    return NX_OK;
}

void ing_block_view_free(struct ing_block_view *view)
{
    if (!view)
        return;
    ing_block_labels_release(&view->labels);
    ing_block_lists_release(&view->lists);
    ing_block_times_release(&view->times);
    ing_block_bundles_release(&view->bundles);
    ing_page_reader_free(view->reader);
    ing_block_drop(view->block);
    nx_free(view);
}

/* --- matching --- */

/* The view's parts change as they load; what they say does not. */
struct matching {
    struct ing_block_view *view;
};

static enum nx_err add_pair(const void *user, struct nx_view name, struct nx_view value,
                            roaring_bitmap_t *set)
{
    struct ing_block_view *view = ((const struct matching *)user)->view;
    uint32_t pair;
    enum nx_err err = ing_block_labels_pair(&view->labels, name, value, &pair);
    if (err != NX_OK)
        return err == NX_ERR_NOT_FOUND ? NX_OK : err;
    return ing_block_lists_add(&view->lists, pair, set);
}

static enum nx_err add_values(const void *user, struct nx_view name,
                              bool (*accepts)(const void *user, struct nx_view value),
                              const void *accepts_user, roaring_bitmap_t *set)
{
    struct ing_block_view *view = ((const struct matching *)user)->view;
    uint32_t first;
    uint32_t end;
    enum nx_err err = ing_block_labels_find(&view->labels, name, &first, &end);
    if (err != NX_OK)
        return err == NX_ERR_NOT_FOUND ? NX_OK : err;
    for (uint32_t pair = first; pair < end && err == NX_OK; pair++) {
        struct nx_label label;
        ing_block_labels_trim(&view->labels);
        err = ing_block_labels_text(&view->labels, pair, &label);
        if (err == NX_OK && accepts(accepts_user, label.value))
            err = ing_block_lists_add(&view->lists, pair, set);
    }
    return err;
}

enum nx_err ing_block_view_match(struct ing_block_view *view, const struct nx_matcher *matchers,
                                 size_t count, roaring_bitmap_t **out)
{
    uint64_t series = ing_block_meta(view->block)->series;
    roaring_bitmap_t *set = roaring_bitmap_from_range(0, series, 1);
    if (!set)
        set = roaring_bitmap_create(); /* an empty range gives NULL */
    if (!set)
        return NX_ERR_NOMEM;
    struct matching matching = {.view = view};
    struct ing_match_index index = {
        .index = &matching, .add_pair = add_pair, .add_values = add_values};
    enum nx_err err = ing_match(&index, matchers, count, set);
    if (err == NX_OK)
        *out = set;
    else
        roaring_bitmap_free(set);
    return err;
}

enum nx_err ing_block_sizes(struct ing_block *block, struct ing_block_sizes *out)
{
    struct ing_block_view *view;
    enum nx_err err = ing_block_view_new(block, &view);
    if (err != NX_OK)
        return err;
    struct ing_block_sizes sizes = {.times = ing_block_times_bytes(&view->times),
                                    .labels = ing_block_labels_bytes(&view->labels),
                                    .lists = ing_block_lists_bytes(&view->lists),
                                    .time_columns = view->times.column_count,
                                    .bundles = view->bundles.bundle_count,
                                    .label_pairs = view->labels.pair_count};
    ing_block_bundles_bytes(&view->bundles, &sizes.series, &sizes.values);
    sizes.tables = ing_block_size(block) - sizes.values - sizes.series - sizes.times -
                   sizes.labels - sizes.lists;
    ing_block_view_free(view);
    *out = sizes;
    return NX_OK;
}
