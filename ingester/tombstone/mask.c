/* Labels are compared only for deletions that touch the block, of which there are mostly none. */
#include "ingester/tombstone/mask.h"

static bool touches(const struct ing_tombstone *tombstone, const struct ing_block_meta *meta)
{
    return tombstone->number > meta->deletions && nx_view_eq(tombstone->tenant, meta->tenant) &&
           tombstone->range.min_t < meta->max_t && tombstone->range.max_t >= meta->min_t;
}

bool ing_mask_applies(const struct ing_tombstone_list *list, const struct ing_block_meta *meta)
{
    for (size_t i = 0; i < list->count; i++)
        if (touches(list->items[i], meta))
            return true;
    return false;
}

enum nx_err ing_mask_chunks(const struct ing_tombstone_list *list,
                            const struct ing_block_meta *meta, struct nx_labels labels,
                            struct nx_arena *arena, struct nx_chunk *chunks, size_t *count)
{
    struct nx_interval *intervals = nx_arena_array(arena, list->count, sizeof *intervals);
    size_t found = 0, kept = 0;
    if (!intervals)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        const struct ing_tombstone *tombstone = list->items[i];
        if (touches(tombstone, meta) &&
            nx_matchers_match(tombstone->matchers, tombstone->matcher_count, labels))
            intervals[found++] = tombstone->range;
    }
    for (size_t i = 0; i < *count && found > 0; i++) {
        struct nx_chunk cut;
        enum nx_err err = nx_chunk_cut(&chunks[i], intervals, found, arena, &cut);
        if (err != NX_OK)
            return err;
        if (cut.count > 0)
            chunks[kept++] = cut;
    }
    if (found > 0)
        *count = kept;
    return NX_OK;
}
