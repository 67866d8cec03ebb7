#include "common/labels/labels.h"

void nx_labels_builder_init(struct nx_labels_builder *builder, struct nx_arena *arena,
                            struct nx_labels base)
{
    *builder = (struct nx_labels_builder){.arena = arena};
    if (base.count == 0)
        return;
    if (!nx_arena_grow(arena, &builder->items, 0, &builder->capacity, base.count + 2,
                       sizeof *builder->items)) {
        builder->failed = true;
        return;
    }
    memcpy(builder->items, base.items, base.count * sizeof *base.items);
    builder->count = base.count;
}

/* The place of the first label whose name is not below `name`. */
static size_t lower_bound(const struct nx_labels_builder *builder, struct nx_view name)
{
    size_t low = 0;
    size_t high = builder->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (nx_view_cmp(builder->items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void nx_labels_builder_del(struct nx_labels_builder *builder, struct nx_view name)
{
    size_t at = lower_bound(builder, name);
    if (at == builder->count || !nx_view_eq(builder->items[at].name, name))
        return;
    builder->count--;
    memmove(builder->items + at, builder->items + at + 1,
            (builder->count - at) * sizeof *builder->items);
}

void nx_labels_builder_set(struct nx_labels_builder *builder, struct nx_view name,
                           struct nx_view value)
{
    if (value.len == 0) {
        nx_labels_builder_del(builder, name);
        return;
    }
    if (builder->failed)
        return;
    size_t at = lower_bound(builder, name);
    if (at < builder->count && nx_view_eq(builder->items[at].name, name)) {
        builder->items[at].value = value;
        return;
    }
    if (!nx_arena_grow(builder->arena, &builder->items, builder->count, &builder->capacity,
                       builder->count + 1, sizeof *builder->items)) {
        builder->failed = true;
        return;
    }
    memmove(builder->items + at + 1, builder->items + at,
            (builder->count - at) * sizeof *builder->items);
    builder->items[at] = (struct nx_label){.name = name, .value = value};
    builder->count++;
}

struct nx_view nx_labels_builder_get(const struct nx_labels_builder *builder, struct nx_view name)
{
    struct nx_labels now = {.items = builder->items, .count = builder->count};
    return nx_labels_get(now, name);
}

enum nx_err nx_labels_builder_take(struct nx_labels_builder *builder, struct nx_labels *out)
{
    if (builder->failed)
        return NX_ERR_NOMEM;
    *out = (struct nx_labels){.items = builder->items, .count = builder->count};
    return NX_OK;
}
