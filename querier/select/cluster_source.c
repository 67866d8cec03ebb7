/* A select of the engine is answered from the selection with the same matchers, or else from one
 * whose matchers are all among the asked ones, filtered by the rest. */
#include "querier/select/cluster_source.h"

#include <stdlib.h>

#include "common/chunk/merge.h"
#include "querier/select/fetched.h"

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

static bool matcher_eq(const struct nx_matcher *a, const struct nx_matcher *b)
{
    return a->type == b->type && nx_view_eq(a->name, b->name) && nx_view_eq(a->value, b->value);
}

static bool has_matcher(const struct nx_matcher *set, size_t count, const struct nx_matcher *m)
{
    for (size_t i = 0; i < count; i++)
        if (matcher_eq(&set[i], m))
            return true;
    return false;
}

static bool all_among(const struct nx_matcher *some, size_t some_count,
                      const struct nx_matcher *all, size_t all_count)
{
    for (size_t i = 0; i < some_count; i++)
        if (!has_matcher(all, all_count, &some[i]))
            return false;
    return true;
}

static bool same_matchers(const struct qry_selection *a, const struct qry_select *b)
{
    return all_among(a->matchers, a->matcher_count, b->matchers, b->matcher_count) &&
           all_among(b->matchers, b->matcher_count, a->matchers, a->matcher_count);
}

static int by_time(const void *a, const void *b)
{
    const struct qry_select *x = *(const struct qry_select *const *)a;
    const struct qry_select *y = *(const struct qry_select *const *)b;
    return (x->min_t > y->min_t) - (x->min_t < y->min_t);
}

enum nx_err qry_selection_plan(struct nx_arena *arena, const struct qry_select *selects,
                               size_t count, struct qry_selection **out, size_t *out_count)
{
    const struct qry_select **sorted = nx_arena_array(arena, count + 1, sizeof *sorted);
    struct qry_selection *plan = nx_arena_array(arena, count + 1, sizeof *plan);
    if (!sorted || !plan)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &selects[i];
    qsort(sorted, count, sizeof *sorted, by_time);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct qry_select *s = sorted[i];
        struct qry_selection *found = NULL;
        for (size_t j = 0; j < n && !found; j++)
            if (same_matchers(&plan[j], s) && s->min_t <= plan[j].max_t)
                found = &plan[j];
        if (found) {
            if (s->max_t > found->max_t)
                found->max_t = s->max_t;
            continue;
        }
        plan[n++] = (struct qry_selection){.matchers = s->matchers,
                                           .matcher_count = s->matcher_count,
                                           .min_t = s->min_t,
                                           .max_t = s->max_t};
    }
    *out = plan;
    *out_count = n;
    return NX_OK;
}

/* --- reading --- */

static const struct group *find_group(const struct qry_cluster_source *source,
                                      const struct qry_select *select)
{
    const struct group *best = NULL;
    for (size_t i = 0; i < source->count; i++) {
        const struct qry_selection *s = source->groups[i].selection;
        if (select->min_t < s->min_t || select->max_t > s->max_t ||
            !all_among(s->matchers, s->matcher_count, select->matchers, select->matcher_count))
            continue;
        if (!best || s->matcher_count > best->selection->matcher_count)
            best = &source->groups[i];
    }
    return best;
}

static enum nx_err source_select(struct qry_source *base, const struct qry_select *select,
                                 struct qry_series **series, size_t *count, struct nx_fail *fail)
{
    struct qry_cluster_source *source = (struct qry_cluster_source *)base;
    const struct group *group = find_group(source, select);
    if (!group)
        return nx_fail_set(fail, NX_ERR_INTERNAL, "a selector was evaluated that was not fetched");
    const struct qry_fetched *fetched = &group->fetched;
    bool filter = !same_matchers(group->selection, select);
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

static enum nx_err read_answers(struct group *group, const struct qry_fanout *fanout,
                                size_t request)
{
    const struct qry_answer *answer;
    for (size_t i = 0; qry_fanout_answers(fanout, request, i, &answer); i++)
        for (; answer; answer = answer->next) {
            enum nx_err err =
                qry_fetched_add(&group->fetched, nx_view_make(answer->bytes, answer->len));
            if (err)
                return err;
        }
    qry_fetched_sort(&group->fetched);
    return NX_OK;
}

enum nx_err qry_cluster_source_new(struct nx_arena *arena, const struct qry_selection *selections,
                                   size_t count, const struct qry_fanout *fanout,
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
        enum nx_err err = read_answers(group, fanout, i);
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
