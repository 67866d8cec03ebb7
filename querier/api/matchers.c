#include "querier/api/matchers.h"

#define MAX_MATCH_PARAMS 1000

static bool matches_nothing_only(const struct qry_matcher_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (!nx_matcher_matches_empty(&set->items[i]))
            return false;
    return true;
}

enum nx_err qry_matches_parse(struct qry_job *op, struct qry_match_params *out,
                              struct nx_fail *fail)
{
    size_t count = 0;
    while (nx_http_params_nth(&op->params, "match[]", count).ptr)
        if (++count > MAX_MATCH_PARAMS)
            return nx_fail_set(fail, NX_ERR_INVALID, "more than %d match[] parameters",
                               MAX_MATCH_PARAMS);
    out->queries = nx_arena_calloc(&op->arena, count + 1, sizeof(struct qry_query *));
    out->sets = nx_arena_calloc(&op->arena, count + 1, sizeof *out->sets);
    if (!out->queries || !out->sets)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    for (size_t i = 0; i < count; i++) {
        struct nx_view text = nx_http_params_nth(&op->params, "match[]", i);
        enum nx_err err = qry_parse_selector(text, &out->queries[i], fail);
        if (err)
            return err;
        out->count++;
        const struct qry_selector *selector = &qry_query_expr(out->queries[i])->selector;
        out->sets[i] = (struct qry_matcher_set){selector->matchers, selector->matcher_count};
    }
    for (size_t i = 0; i < count && !out->may_match_all; i++)
        if (matches_nothing_only(&out->sets[i]))
            return nx_fail_set(fail, NX_ERR_INVALID,
                               "match[] must contain at least one non-empty matcher");
    return NX_OK;
}

void qry_matches_release(struct qry_match_params *matches)
{
    for (size_t i = 0; i < matches->count; i++)
        qry_query_free(matches->queries[i]);
    matches->count = 0;
}
