/* A key is built by walking the labels and the list of names side by side, both sorted, into a
 * scratch array, and copied only when it begins a new group. */
#include "querier/promql/grouping.h"

#include <stdlib.h>

#include "common/base/alloc.h"

static int compare_names(const void *a, const void *b)
{
    return nx_view_cmp(*(const struct nx_view *)a, *(const struct nx_view *)b);
}

enum nx_err qry_grouping_init(struct qry_grouping *grouping, struct qry_eval *ev, bool by,
                              const struct nx_view *names, size_t count, struct nx_view extra)
{
    struct nx_view *list = nx_arena_array(&ev->names->arena, count + 2, sizeof *list);
    size_t n = 0;

    if (!list)
        return qry_no_memory(ev);
    for (size_t i = 0; i < count; i++)
        list[n++] = names[i];
    if (extra.len > 0)
        list[n++] = extra;
    if (!by)
        list[n++] = NX_LABEL_METRIC_NAME;
    if (n > 1)
        qsort(list, n, sizeof *list, compare_names);
    size_t unique = 0;
    for (size_t i = 0; i < n; i++) {
        if (unique == 0 || !nx_view_eq(list[i], list[unique - 1]))
            list[unique++] = list[i];
    }
    *grouping = (struct qry_grouping){.ev = ev, .by = by, .names = list, .name_count = unique};
    nx_index_init(&grouping->index);
    return NX_OK;
}

enum nx_err qry_grouping_init_except(struct qry_grouping *grouping, struct qry_eval *ev,
                                     struct nx_view name)
{
    struct nx_view *list = nx_arena_array(&ev->names->arena, 1, sizeof *list);
    if (!list)
        return qry_no_memory(ev);
    list[0] = name;
    *grouping = (struct qry_grouping){.ev = ev, .names = list, .name_count = 1};
    nx_index_init(&grouping->index);
    return NX_OK;
}

void qry_grouping_release(struct qry_grouping *grouping)
{
    if (!grouping->ev)
        return;
    nx_index_release(&grouping->index);
    nx_free(grouping->groups);
    nx_free(grouping->scratch);
    memset(grouping, 0, sizeof *grouping);
}

static struct nx_labels make_key(const struct qry_grouping *grouping, struct nx_labels labels)
{
    size_t name = 0;
    size_t count = 0;

    for (size_t i = 0; i < labels.count; i++) {
        int order = -1;
        while (name < grouping->name_count &&
               (order = nx_view_cmp(grouping->names[name], labels.items[i].name)) < 0)
            name++;
        bool listed = name < grouping->name_count && order == 0;
        if (listed == grouping->by)
            grouping->scratch[count++] = labels.items[i];
    }
    return (struct nx_labels){.items = grouping->scratch, .count = count};
}

static bool group_eq(uint32_t ref, const void *key, const void *user)
{
    return nx_labels_eq(((const struct qry_grouping *)user)->groups[ref],
                        *(const struct nx_labels *)key);
}

uint32_t qry_grouping_find(const struct qry_grouping *grouping, struct nx_labels labels)
{
    return nx_index_find(&grouping->index, nx_labels_hash(labels), group_eq, &labels, grouping);
}

enum nx_err qry_grouping_of(struct qry_grouping *grouping, struct nx_labels labels, uint32_t *group)
{
    struct qry_eval *ev = grouping->ev;

    if (nx_grow(&grouping->scratch, &grouping->scratch_capacity, labels.count,
                sizeof *grouping->scratch))
        return qry_no_memory(ev);
    struct nx_labels key = make_key(grouping, labels);
    uint64_t hash = nx_labels_hash(key);
    uint32_t found = nx_index_find(&grouping->index, hash, group_eq, &key, grouping);
    if (found != NX_INDEX_NONE) {
        *group = found;
        return NX_OK;
    }
    struct nx_label *items = NULL;
    if (key.count > 0) {
        items = nx_arena_array(&ev->names->arena, key.count, sizeof *items);
        if (!items)
            return qry_no_memory(ev);
        memcpy(items, key.items, key.count * sizeof *items);
    }
    if (nx_grow(&grouping->groups, &grouping->capacity, grouping->count + 1,
                sizeof *grouping->groups) ||
        nx_index_insert(&grouping->index, hash, (uint32_t)grouping->count))
        return qry_no_memory(ev);
    grouping->groups[grouping->count] = (struct nx_labels){.items = items, .count = key.count};
    *group = (uint32_t)grouping->count++;
    return NX_OK;
}

enum nx_err qry_group_rows(struct qry_grouping *grouping, const struct qry_matrix *matrix,
                           struct nx_arena *arena, struct qry_members *members)
{
    uint32_t *group = nx_arena_array(arena, matrix->count + 1, sizeof *group);
    if (!group)
        return qry_no_memory(grouping->ev);
    for (size_t i = 0; i < matrix->count; i++) {
        enum nx_err err = qry_grouping_of(grouping, matrix->rows[i].labels, &group[i]);
        if (err || (err = qry_work(grouping->ev, 8)))
            return err;
    }
    members->group = group;
    return NX_OK;
}

enum nx_err qry_members_of(struct qry_members *members, struct qry_eval *ev, struct nx_arena *arena,
                           size_t row_count, size_t group_count)
{
    uint32_t *start = nx_arena_calloc(arena, group_count + 2, sizeof *start);
    uint32_t *rows = nx_arena_array(arena, row_count + 1, sizeof *rows);

    if (!start || !rows)
        return qry_no_memory(ev);
    /* counting sort: start[g + 2] counts group g, then start[g + 1] runs through its rows */
    for (size_t i = 0; i < row_count; i++)
        start[members->group[i] + 2]++;
    for (size_t g = 2; g < group_count + 2; g++)
        start[g] += start[g - 1];
    for (size_t i = 0; i < row_count; i++)
        rows[start[members->group[i] + 1]++] = (uint32_t)i;
    members->start = start;
    members->rows = rows;
    return NX_OK;
}
