/* A select of the engine is answered from the selection with the same matchers, or else from one
 * whose matchers are all among the asked ones, filtered by the rest. */
#include "querier/select/cluster_source.h"

#include <stdlib.h>

#include "common/chunk/merge.h"
#include "querier/select/take.h"

struct group {
    const struct qry_selection *selection;
    struct qry_fetched fetched;
};

struct qry_cluster_source {
    struct qry_source base;
    struct nx_arena *arena;
    struct group *groups;
    size_t count;
};

/* --- planning --- */

static int by_time(const void *a, const void *b)
{
    const struct qry_select *x = *(const struct qry_select *const *)a;
    const struct qry_select *y = *(const struct qry_select *const *)b;
    return (x->min_t > y->min_t) - (x->min_t < y->min_t);
}

/* The selections found so far, by their matchers: of equal ones the latest. */
struct lookup {
    uint32_t *slots; /* position + 1; 0: free */
    size_t mask;
};

static enum nx_err lookup_init(struct lookup *lookup, struct nx_arena *arena, size_t count)
{
    size_t size = 16;
    while (size < count * 2)
        size *= 2;
    lookup->slots = nx_arena_calloc(arena, size, sizeof *lookup->slots);
    lookup->mask = size - 1;
    return lookup->slots ? NX_OK : NX_ERR_NOMEM;
}

static uint32_t *lookup_slot(const struct lookup *lookup, const struct qry_selection *plan,
                             const struct qry_matcher_key *key)
{
    size_t i = (size_t)key->whole.lo & lookup->mask;
    while (lookup->slots[i] != 0 && !qry_matcher_key_eq(&plan[lookup->slots[i] - 1].key, key))
        i = (i + 1) & lookup->mask;
    return &lookup->slots[i];
}

static enum nx_err plan_selections(struct nx_arena *arena, const struct qry_select *const *sorted,
                                   size_t count, struct qry_selection *plan, size_t *planned)
{
    struct lookup lookup;
    enum nx_err err = lookup_init(&lookup, arena, count);
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        const struct qry_select *s = sorted[i];
        struct qry_matcher_key key;
        if ((err = qry_matcher_key_init(arena, s->matchers, s->matcher_count, &key)))
            return err;
        uint32_t *slot = lookup_slot(&lookup, plan, &key);
        struct qry_selection *found = *slot > 0 ? &plan[*slot - 1] : NULL;
        if (found && s->min_t <= found->max_t) {
            if (s->max_t > found->max_t)
                found->max_t = s->max_t;
            continue;
        }
        if (*planned == QRY_SELECTIONS_MAX)
            return NX_ERR_LIMIT;
        plan[(*planned)++] = (struct qry_selection){.matchers = s->matchers,
                                                    .matcher_count = s->matcher_count,
                                                    .key = key,
                                                    .min_t = s->min_t,
                                                    .max_t = s->max_t};
        *slot = (uint32_t)*planned;
    }
    return err;
}

enum nx_err qry_selection_plan(struct nx_arena *arena, const struct qry_select *selects,
                               size_t count, struct qry_selection **out, size_t *out_count,
                               struct nx_fail *fail)
{
    size_t most = count < QRY_SELECTIONS_MAX ? count : QRY_SELECTIONS_MAX;
    const struct qry_select **sorted = nx_arena_array(arena, count + 1, sizeof *sorted);
    struct qry_selection *plan = nx_arena_array(arena, most + 1, sizeof *plan);
    size_t planned = 0;
    if (!sorted || !plan)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &selects[i];
    if (count > 1)
        qsort(sorted, count, sizeof *sorted, by_time);
    enum nx_err err = plan_selections(arena, sorted, count, plan, &planned);
    if (err == NX_ERR_LIMIT)
        return nx_fail_set(fail, err,
                           "the query selects more than %d different sets of series or times",
                           QRY_SELECTIONS_MAX);
    if (err)
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    *out = plan;
    *out_count = planned;
    return NX_OK;
}

/* --- reading --- */

/* Of the groups that hold what is selected the one that holds least else. */
static const struct group *find_group(const struct qry_cluster_source *source,
                                      const struct qry_select *select,
                                      const struct qry_matcher_key *key)
{
    const struct group *best = NULL;
    for (size_t i = 0; i < source->count; i++) {
        const struct qry_selection *s = source->groups[i].selection;
        if (select->min_t < s->min_t || select->max_t > s->max_t ||
            !qry_matcher_key_within(&s->key, key))
            continue;
        if (!best || s->key.count > best->selection->key.count)
            best = &source->groups[i];
    }
    return best;
}

static enum nx_err source_select(struct qry_source *base, const struct qry_select *select,
                                 struct qry_series **series, size_t *count, struct nx_fail *fail)
{
    struct qry_cluster_source *source = (struct qry_cluster_source *)base;
    struct qry_matcher_key key;
    enum nx_err err =
        qry_matcher_key_init(source->arena, select->matchers, select->matcher_count, &key);
    if (err)
        return err;
    const struct group *group = find_group(source, select, &key);
    if (!group)
        return nx_fail_set(fail, NX_ERR_INTERNAL, "a selector was evaluated that was not fetched");
    const struct qry_fetched *fetched = &group->fetched;
    bool filter = !qry_matcher_key_eq(&group->selection->key, &key);
    struct qry_series *found = nx_arena_array(source->arena, fetched->count + 1, sizeof *found);
    if (!found)
        return NX_ERR_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < fetched->count; i++) {
        struct qry_fetched_series *s = &fetched->series[i];
        if (!filter || nx_matchers_match(select->matchers, select->matcher_count, s->labels))
            found[n++] = (struct qry_series){.labels = s->labels, .data = s};
    }
    *series = found;
    *count = n;
    return NX_OK;
}

static enum nx_err source_open(struct qry_source *base, const struct qry_series *series,
                               int64_t min_t, int64_t max_t, struct nx_sample_iter **out)
{
    (void)base;
    const struct qry_fetched_series *s = series->data;
    return nx_chunks_iter_new(s->chunks, s->chunk_count, min_t, max_t, out);
}

static const struct qry_source_ops cluster_ops = {source_select, source_open};

enum nx_err qry_cluster_source_new(struct nx_arena *arena, const struct qry_selection *selections,
                                   size_t count, struct qry_fanout *fanout, struct nx_view tenant,
                                   struct qry_cluster_source **out, struct nx_fail *fail)
{
    struct qry_cluster_source *source = nx_arena_calloc(arena, 1, sizeof *source);
    if (!source)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    source->base.ops = &cluster_ops;
    source->arena = arena;
    source->groups = nx_arena_calloc(arena, count + 1, sizeof *source->groups);
    if (!source->groups)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    for (size_t i = 0; i < count; i++) {
        struct group *group = &source->groups[i];
        group->selection = &selections[i];
        qry_fetched_init(&group->fetched, arena);
        source->count++;
        enum nx_err err = qry_fetched_take(&group->fetched, fanout, i, tenant);
        if (!err)
            qry_fetched_sort(&group->fetched);
        qry_fetched_release(&group->fetched);
        if (err)
            return nx_fail_set(fail, err, "%s",
                               err == NX_ERR_CORRUPT ? "an ingester sent damaged data"
                                                     : nx_err_text(err));
    }
    *out = source;
    return NX_OK;
}

struct qry_source *qry_cluster_source_as_source(struct qry_cluster_source *source)
{
    return &source->base;
}
