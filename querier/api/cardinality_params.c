#include "querier/api/cardinality_params.h"

#include "querier/api/params.h"
#include "querier/promql/ast.h"

enum { LIMIT_DEFAULT = 20, LIMIT_MAX = 500 };

static bool given_once(struct qry_job *op, const char *name, struct nx_view *out)
{
    *out = nx_http_params_get(&op->params, name);
    if (nx_http_params_nth(&op->params, name, 1).ptr)
        return qry_job_fail(op, QRY_API_BAD_DATA, "multiple '%s' params are not allowed", name);
    return true;
}

bool qry_cardinality_selector(struct qry_job *op, struct qry_cardinality_params *params)
{
    struct nx_fail fail = {.code = NX_OK};
    struct nx_view text;
    if (!given_once(op, "selector", &text))
        return false;
    if (!text.ptr)
        return true;
    enum nx_err err = qry_parse_selector(text, &params->query, &fail);
    if (err == NX_ERR_NOMEM)
        return qry_job_nomem(op);
    if (err)
        return qry_job_fail(op, QRY_API_BAD_DATA, "failed to parse selector: %s",
                            nx_fail_text(&fail));
    const struct qry_selector *selector = &qry_query_expr(params->query)->selector;
    params->matchers = (struct qry_matcher_set){selector->matchers, selector->matcher_count};
    return true;
}

bool qry_cardinality_limit(struct qry_job *op, struct qry_cardinality_params *params)
{
    struct nx_fail fail = {.code = NX_OK};
    struct nx_view text;
    int64_t limit = LIMIT_DEFAULT;
    if (!given_once(op, "limit", &text))
        return false;
    if (text.ptr && qry_param_integer(text, &limit, &fail) != NX_OK)
        return qry_job_fail(op, QRY_API_BAD_DATA, "%s", nx_fail_text(&fail));
    if (limit < 0)
        return qry_job_fail(op, QRY_API_BAD_DATA, "'limit' param cannot be less than '0'");
    if (limit > LIMIT_MAX)
        return qry_job_fail(op, QRY_API_BAD_DATA, "'limit' param cannot be greater than '%d'",
                            LIMIT_MAX);
    params->limit = (uint64_t)limit;
    return true;
}

bool qry_cardinality_method(struct qry_job *op, struct qry_cardinality_params *params)
{
    struct nx_view text = nx_http_params_get(&op->params, "count_method");
    if (!text.ptr || nx_view_is(text, "inmemory"))
        return true;
    if (!nx_view_is(text, "active"))
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "invalid 'count_method' param '%.*s'. valid options are: "
                            "[active,inmemory]",
                            (int)text.len, text.ptr);
    params->active_since = nx_now_ms(op->qry->deps.clock) - QRY_ACTIVE_SERIES_MS;
    return true;
}

void qry_cardinality_params_release(struct qry_cardinality_params *params)
{
    qry_query_free(params->query);
    params->query = NULL;
}
