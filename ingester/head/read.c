/* Chunks are handed out by reference, open ones as copies: what a reader holds never changes under
 * it. */
#include "ingester/head/read.h"

#include <stdlib.h>

#include "common/base/alloc.h"

void ing_read_result_init(struct ing_read_result *result, size_t max_bytes)
{
    *result = (struct ing_read_result){.max_bytes = max_bytes};
    nx_arena_init(&result->arena, 0);
}

void ing_read_result_release(struct ing_read_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        ing_sealed_list_release(&result->items[i].chunks);
    nx_free(result->items);
    nx_arena_release(&result->arena);
    *result = (struct ing_read_result){0};
}

enum nx_err ing_read_begin(struct ing_read_cursor *cursor, struct ing_head *head,
                           struct nx_view tenant, const struct nx_matcher *matchers, size_t count,
                           struct ing_range range)
{
    *cursor = (struct ing_read_cursor){.head = head};
    uint32_t number = ing_head_tenant_find(head, tenant);
    if (number == ING_REF_NONE ||
        !ing_tenant_overlaps(head->tenants[number], head->options.rules.window_ms, range.min_t,
                             range.max_t))
        return NX_OK;
    enum nx_err err =
        ing_postings_select(&head->tenants[number]->postings, matchers, count, &cursor->series);
    if (err != NX_OK)
        return err;
    roaring_init_iterator(cursor->series, &cursor->it);
    ing_head_pin(head);
    return NX_OK;
}

void ing_read_end(struct ing_read_cursor *cursor)
{
    if (!cursor->series)
        return;
    roaring_bitmap_free(cursor->series);
    cursor->series = NULL;
    ing_head_unpin(cursor->head);
}

static enum nx_err result_add(struct ing_read_result *result, const struct ing_read_series *series)
{
    size_t bytes = sizeof *series + series->labels.len;
    for (uint32_t i = 0; i < series->chunks.count; i++)
        bytes += sizeof(struct ing_sealed) + series->chunks.items[i]->len;
    if (bytes > result->max_bytes - result->used_bytes)
        return NX_ERR_LIMIT;
    enum nx_err err =
        nx_grow(&result->items, &result->capacity, result->count + 1, sizeof *result->items);
    if (err != NX_OK)
        return err;
    result->used_bytes += bytes;
    result->items[result->count++] = *series;
    return NX_OK;
}

static enum nx_err read_one(const struct ing_head *head, const struct ing_series *series,
                            struct ing_range range, bool labels_only, struct nx_buf *scratch,
                            struct ing_read_result *result)
{
    struct ing_read_series item = {.id = series->id};
    enum nx_err err = NX_OK;
    if (labels_only) {
        if (!ing_series_overlaps(&head->pool, series, range.min_t, range.max_t))
            return NX_OK;
    } else {
        err = ing_series_read(&head->pool, series, range.min_t, range.max_t, &item.chunks);
        if (err != NX_OK || ing_sealed_list_is_empty(&item.chunks))
            goto fail;
    }
    nx_buf_clear(scratch);
    ing_head_encode_labels(head, series, scratch);
    err = nx_buf_err(scratch);
    if (err != NX_OK)
        goto fail;
    item.labels = nx_arena_copy(&result->arena, nx_buf_view(scratch));
    err = item.labels.ptr ? result_add(result, &item) : NX_ERR_NOMEM;
    if (err == NX_OK)
        return NX_OK;
fail:
    ing_sealed_list_release(&item.chunks);
    return err;
}

int ing_read_step(struct ing_read_cursor *cursor, struct ing_range range, bool labels_only,
                  size_t max_series, struct ing_read_result *result)
{
    if (!cursor->series)
        return 0;
    struct nx_buf scratch;
    nx_buf_init(&scratch, SIZE_MAX / 2);
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < max_series && cursor->it.has_value && err == NX_OK; i++) {
        const struct ing_series *series = ing_head_series(cursor->head, cursor->it.current_value);
        roaring_advance_uint32_iterator(&cursor->it);
        if (ing_series_live(series) && ing_partition_wanted(&cursor->filter, series->id))
            err = read_one(cursor->head, series, range, labels_only, &scratch, result);
    }
    nx_buf_release(&scratch);
    if (err != NX_OK)
        return err;
    return cursor->it.has_value ? 1 : 0;
}

void ing_texts_init(struct ing_texts *texts, size_t max_bytes)
{
    *texts = (struct ing_texts){0};
    nx_arena_init(&texts->arena, max_bytes);
}

void ing_texts_release(struct ing_texts *texts)
{
    nx_free(texts->items);
    nx_arena_release(&texts->arena);
    *texts = (struct ing_texts){0};
}

enum nx_err ing_texts_add(struct ing_texts *texts, struct nx_view text)
{
    enum nx_err err =
        nx_grow(&texts->items, &texts->capacity, texts->count + 1, sizeof *texts->items);
    if (err != NX_OK)
        return err;
    struct nx_view copy = nx_arena_copy(&texts->arena, text);
    if (!copy.ptr)
        return nx_arena_over(&texts->arena) ? NX_ERR_LIMIT : NX_ERR_NOMEM;
    texts->items[texts->count++] = copy;
    return NX_OK;
}

static int text_cmp(const void *a, const void *b)
{
    return nx_view_cmp(*(const struct nx_view *)a, *(const struct nx_view *)b);
}

void ing_texts_sort(struct ing_texts *texts)
{
    if (texts->count < 2)
        return;
    qsort(texts->items, texts->count, sizeof *texts->items, text_cmp);
    size_t kept = 1;
    for (size_t i = 1; i < texts->count; i++) {
        if (!nx_view_eq(texts->items[i], texts->items[kept - 1]))
            texts->items[kept++] = texts->items[i];
    }
    texts->count = kept;
}

static enum nx_err add_names(const struct ing_postings *postings, const roaring_bitmap_t *series,
                             struct ing_texts *out)
{
    for (size_t i = 0; i < postings->name_count; i++) {
        const struct ing_name *name = &postings->names[i];
        bool found = name->count > 0 && !series;
        for (size_t j = 0; !found && j < name->count; j++)
            found = ing_pair_intersects(postings, &postings->pairs[name->pairs[j]], series);
        if (!found)
            continue;
        enum nx_err err = ing_texts_add(out, ing_symbols_text(postings->symbols, name->symbol));
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err add_values(const struct ing_postings *postings, struct nx_view label,
                              const roaring_bitmap_t *series, struct ing_texts *out)
{
    const struct ing_name *name = ing_postings_name(postings, label);
    for (size_t i = 0; name && i < name->count; i++) {
        const struct ing_pair *pair = &postings->pairs[name->pairs[i]];
        if (series && !ing_pair_intersects(postings, pair, series))
            continue;
        enum nx_err err = ing_texts_add(out, ing_symbols_text(postings->symbols, pair->value));
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

enum nx_err ing_read_labels(const struct ing_head *head, struct nx_view tenant, struct nx_view name,
                            const struct nx_matcher *matchers, size_t count, struct ing_range range,
                            struct ing_texts *out)
{
    uint32_t number = ing_head_tenant_find(head, tenant);
    if (number == ING_REF_NONE)
        return NX_OK;
    const struct ing_tenant *owner = head->tenants[number];
    if (!ing_tenant_overlaps(owner, head->options.rules.window_ms, range.min_t, range.max_t))
        return NX_OK;
    roaring_bitmap_t *series = NULL;
    if (count > 0) {
        enum nx_err err = ing_postings_select(&owner->postings, matchers, count, &series);
        if (err != NX_OK)
            return err;
    }
    enum nx_err err = name.len == 0 ? add_names(&owner->postings, series, out)
                                    : add_values(&owner->postings, name, series, out);
    if (series)
        roaring_bitmap_free(series);
    return err;
}
