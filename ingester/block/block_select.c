/* Series come in the order of their numbers, so that a bundle is read once. The chunks of a series
 * are put together from its columns in the iterator's arena. */
#include "common/base/alloc.h"
#include "common/chunk/column/column_chunk.h"
#include "ingester/block/block_view.h"
#include "ingester/pace.h"

struct ing_block_iter {
    struct ing_block_view *view;
    struct ing_range range;
    roaring_bitmap_t *series;
    roaring_uint32_iterator_t it;
    struct nx_arena arena;
    struct nx_buf scratch;
};

enum nx_err ing_block_select(struct ing_block *block, const struct nx_matcher *matchers,
                             size_t count, struct ing_range range, struct ing_block_iter **out)
{
    struct ing_block_iter *iter = nx_calloc(1, sizeof *iter);
    if (!iter)
        return NX_ERR_NOMEM;
    enum nx_err err = ing_block_view_new(block, &iter->view);
    if (err == NX_OK)
        err = ing_block_view_match(iter->view, matchers, count, &iter->series);
    if (err != NX_OK) {
        ing_block_view_free(iter->view);
        nx_free(iter);
        return err;
    }
    iter->range = range;
    roaring_init_iterator(iter->series, &iter->it);
    nx_arena_init(&iter->arena, 0);
    nx_buf_init(&iter->scratch, SIZE_MAX / 4);
    *out = iter;
    return NX_OK;
}

void ing_block_iter_free(struct ing_block_iter *iter)
{
    if (!iter)
        return;
    roaring_bitmap_free(iter->series);
    ing_block_view_free(iter->view);
    nx_arena_release(&iter->arena);
    nx_buf_release(&iter->scratch);
    nx_free(iter);
}

static enum nx_err read_labels(struct ing_block_iter *iter, const struct ing_series_entry *entry,
                               struct nx_labels *out)
{
    struct nx_label *items = nx_arena_array(&iter->arena, entry->pair_count, sizeof *items);
    if (!items)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < entry->pair_count; i++) {
        enum nx_err err = ing_block_labels_text(&iter->view->labels, entry->pairs[i], &items[i]);
        if (err != NX_OK)
            return err;
    }
    *out = (struct nx_labels){.items = items, .count = entry->pair_count};
    return NX_OK;
}

/* The time column goes in front of the values; both are taken as they are. */
static enum nx_err make_column(struct ing_block_iter *iter, const struct ing_piece *piece,
                               const struct ing_time_column *column, struct nx_chunk *out)
{
    struct nx_view values;
    enum nx_err err = ing_block_bundles_data(&iter->view->bundles, piece, &values);
    if (err != NX_OK)
        return err;
    nx_buf_clear(&iter->scratch);
    nx_column_put(&iter->scratch, column->count, column->code, values);
    err = nx_buf_err(&iter->scratch);
    if (err != NX_OK)
        return err;
    *out = (struct nx_chunk){.encoding = NX_CHUNK_COLUMN,
                             .count = column->count,
                             .min_t = column->min_t,
                             .max_t = column->max_t,
                             .data = nx_arena_copy(&iter->arena, nx_buf_view(&iter->scratch))};
    return out->data.ptr ? NX_OK : NX_ERR_NOMEM;
}

static enum nx_err make_histograms(struct ing_block_iter *iter, const struct ing_piece *piece,
                                   struct nx_chunk *out)
{
    struct nx_view data;
    enum nx_err err = ing_block_bundles_data(&iter->view->bundles, piece, &data);
    if (err != NX_OK)
        return err;
    *out = (struct nx_chunk){.encoding = NX_CHUNK_HISTOGRAM_RUN,
                             .count = piece->count,
                             .min_t = piece->min_t,
                             .max_t = piece->max_t,
                             .data = data};
    return NX_OK;
}

static enum nx_err make_chunk(struct ing_block_iter *iter, const struct ing_piece *piece,
                              struct nx_chunk *out, bool *wanted)
{
    const struct ing_time_column *column = NULL;
    int64_t min_t = piece->min_t;
    int64_t max_t = piece->max_t;
    if (piece->kind == ING_PIECE_COLUMN) {
        enum nx_err err = ing_block_times_column(&iter->view->times, piece->column, &column);
        if (err != NX_OK)
            return err;
        min_t = column->min_t;
        max_t = column->max_t;
    }
    *wanted = min_t <= iter->range.max_t && max_t >= iter->range.min_t;
    if (!*wanted)
        return NX_OK;
    return column ? make_column(iter, piece, column, out) : make_histograms(iter, piece, out);
}

static enum nx_err read_series(struct ing_block_iter *iter, uint32_t number,
                               struct ing_block_series *out)
{
    const struct ing_series_entry *entry;
    struct ing_block_series series = {.chunk_count = 0};
    enum nx_err err = ing_block_bundles_entry(&iter->view->bundles, number, &entry);
    if (err != NX_OK)
        return err;
    series.chunks = nx_arena_array(&iter->arena, entry->piece_count, sizeof *series.chunks);
    if (!series.chunks)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < entry->piece_count; i++) {
        bool wanted;
        err = make_chunk(iter, &entry->pieces[i], &series.chunks[series.chunk_count], &wanted);
        if (err != NX_OK)
            return err;
        series.chunk_count += wanted ? 1 : 0;
    }
    if (series.chunk_count > 0) {
        err = read_labels(iter, entry, &series.labels);
        if (err != NX_OK)
            return err;
        series.id = entry->has_id
                        ? entry->id
                        : nx_series_id_of(ing_block_meta(iter->view->block)->tenant, series.labels);
    }
    *out = series;
    return NX_OK;
}

int ing_block_iter_next(struct ing_block_iter *iter, struct ing_block_series *out)
{
    while (iter->it.has_value) {
        uint32_t number = iter->it.current_value;
        roaring_advance_uint32_iterator(&iter->it);
        nx_arena_clear(&iter->arena);
        ing_block_labels_trim(&iter->view->labels);
        enum nx_err err = read_series(iter, number, out);
        if (err != NX_OK)
            return err;
        if (out->chunk_count > 0)
            return 1;
    }
    return 0;
}

enum nx_err ing_block_verify(struct ing_block *block)
{
    return ing_block_verify_slowly(block, NULL);
}

enum nx_err ing_block_verify_slowly(struct ing_block *block, struct ing_pace *pace)
{
    struct ing_block_iter *iter;
    struct ing_block_series series;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    enum nx_err err = ing_block_select(block, NULL, 0, all, &iter);
    if (err != NX_OK)
        return err;
    int rc;
    while ((rc = ing_block_iter_next(iter, &series)) == 1)
        ing_pace_rest(pace);
    ing_block_iter_free(iter);
    return (enum nx_err)rc;
}

/* --- labels --- */

/* Whether any series of the pair is in the set. */
static enum nx_err pair_meets(struct ing_block_view *view, uint32_t pair,
                              const roaring_bitmap_t *set, bool *meets)
{
    roaring_bitmap_t *series = roaring_bitmap_create();
    if (!series)
        return NX_ERR_NOMEM;
    enum nx_err err = ing_block_lists_add(&view->lists, pair, series);
    *meets = err == NX_OK && roaring_bitmap_intersect(series, set);
    roaring_bitmap_free(series);
    return err;
}

static enum nx_err add_names(struct ing_block_view *view, const roaring_bitmap_t *set,
                             struct ing_texts *out)
{
    for (uint32_t i = 0; i < view->labels.name_count; i++) {
        uint32_t first;
        uint32_t end;
        struct nx_view name;
        bool meets = !set;
        enum nx_err err = ing_block_labels_name(&view->labels, i, &name, &first, &end);
        for (uint32_t pair = first; err == NX_OK && !meets && pair < end; pair++)
            err = pair_meets(view, pair, set, &meets);
        if (err == NX_OK && meets)
            err = ing_texts_add(out, name);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err add_values(struct ing_block_view *view, struct nx_view name,
                              const roaring_bitmap_t *set, struct ing_texts *out)
{
    uint32_t first;
    uint32_t end;
    enum nx_err err = ing_block_labels_find(&view->labels, name, &first, &end);
    if (err == NX_ERR_NOT_FOUND)
        return NX_OK;
    for (uint32_t pair = first; err == NX_OK && pair < end; pair++) {
        struct nx_label label;
        bool meets = true;
        ing_block_labels_trim(&view->labels);
        if (set)
            err = pair_meets(view, pair, set, &meets);
        if (err == NX_OK && meets)
            err = ing_block_labels_text(&view->labels, pair, &label);
        if (err == NX_OK && meets)
            err = ing_texts_add(out, label.value);
    }
    return err;
}

enum nx_err ing_block_labels(struct ing_block *block, struct nx_view name,
                             const struct nx_matcher *matchers, size_t count, struct ing_texts *out)
{
    roaring_bitmap_t *set = NULL;
    struct ing_block_view *view;
    enum nx_err err = ing_block_view_new(block, &view);
    if (err != NX_OK)
        return err;
    if (count > 0)
        err = ing_block_view_match(view, matchers, count, &set);
    if (err == NX_OK)
        err = name.len == 0 ? add_names(view, set, out) : add_values(view, name, set, out);
    if (set)
        roaring_bitmap_free(set);
    ing_block_view_free(view);
    return err;
}
