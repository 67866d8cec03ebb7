/* format_query and parse_query: the expression printed, as text or as its tree. */
#include "querier/api/endpoints.h"
#include "querier/promql/print.h"

#define MAX_PRINT_BYTES ((size_t)64 << 20)

bool qry_expression_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    struct qry_query *query = NULL;
    struct nx_view text = qry_job_param(op, "query");
    int64_t max = op->qry->deps.settings->max_query_bytes;
    if (text.len > (size_t)max)
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "invalid parameter \"query\": the query is longer than %lld bytes "
                            "(query.max-query-bytes)",
                            (long long)max);
    enum nx_err err = qry_parse(text.ptr ? text : NX_VIEW(""), &op->qry->features, &query, &fail);
    if (err)
        return qry_job_fail_param(op, "query", &fail);
    op->state = query;
    return true;
}

static bool render(struct qry_job *op, struct qry_json *json, bool tree)
{
    struct nx_buf text;
    nx_buf_init(&text, MAX_PRINT_BYTES);
    const struct qry_expr *expr = qry_query_expr(op->state);
    if (tree)
        qry_print_json(&text, expr);
    else
        qry_print_pretty(&text, expr);
    if (nx_buf_err(&text) == NX_ERR_TOO_LARGE)
        qry_job_fail(op, QRY_API_EXECUTION, "the printed expression is larger than %zu MiB",
                     MAX_PRINT_BYTES >> 20);
    else if (nx_buf_err(&text) != NX_OK)
        qry_job_fail_err(op, nx_buf_err(&text), NULL);
    else if (tree)
        qry_json_raw(json, nx_buf_view(&text));
    else
        qry_json_string(json, nx_buf_view(&text));
    nx_buf_release(&text);
    return true;
}

bool qry_format_render(struct qry_job *op, struct qry_json *json)
{
    return render(op, json, false);
}

bool qry_tree_render(struct qry_job *op, struct qry_json *json)
{
    return render(op, json, true);
}

void qry_expression_release(struct qry_job *op)
{
    qry_query_free(op->state);
}
