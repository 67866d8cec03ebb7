/* One deletion in memory. */
#include "common/base/alloc.h"
#include "ingester/tombstone/tombstones.h"

static void tombstone_free(struct ing_tombstone *tombstone)
{
    for (size_t i = 0; i < tombstone->matcher_count; i++)
        nx_matcher_release(&tombstone->matchers[i]);
    nx_arena_release(&tombstone->arena);
    nx_free(tombstone);
}

void ing_tombstone_drop(struct ing_tombstone *tombstone)
{
    if (tombstone && nx_refcount_drop(&tombstone->refs))
        tombstone_free(tombstone);
}

enum nx_err ing_tombstone_new(const struct ing_tombstone_fields *fields, struct ing_tombstone **out)
{
    struct ing_tombstone *tombstone = nx_calloc(1, sizeof *tombstone);
    if (!tombstone)
        return NX_ERR_NOMEM;
    nx_refcount_init(&tombstone->refs);
    nx_arena_init(&tombstone->arena, 0);
    tombstone->id = fields->id;
    tombstone->range = fields->range;
    tombstone->created_ms = fields->created_ms;
    tombstone->tenant = nx_arena_copy(&tombstone->arena, fields->tenant);
    tombstone->matchers =
        nx_arena_array(&tombstone->arena, fields->matcher_count, sizeof *tombstone->matchers);
    enum nx_err err = tombstone->tenant.ptr && tombstone->matchers ? NX_OK : NX_ERR_NOMEM;
    for (size_t i = 0; i < fields->matcher_count && err == NX_OK; i++) {
        const struct nx_matcher *matcher = &fields->matchers[i];
        err = nx_matcher_init(&tombstone->matchers[i], &tombstone->arena, matcher->type,
                              matcher->name, matcher->value, NULL);
        tombstone->matcher_count += err == NX_OK;
    }
    if (err != NX_OK) {
        tombstone_free(tombstone);
        return err;
    }
    *out = tombstone;
    return NX_OK;
}

void ing_tombstone_list_release(struct ing_tombstone_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ing_tombstone_drop(list->items[i]);
    nx_free(list->items);
    *list = (struct ing_tombstone_list){0};
}
