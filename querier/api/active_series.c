/* /api/v1/cardinality/active_series: the label sets of the matching series that had a sample
 * lately, each once however many copies there are. */
#include "querier/api/cardinality_params.h"
#include "querier/api/endpoints.h"
#include "querier/select/fetched.h"

struct active {
    struct qry_cardinality_params params;
    struct qry_fetched fetched;
    size_t at;
    bool begun;
};

bool qry_active_series_prepare(struct qry_job *op)
{
    struct active *a = nx_arena_calloc(&op->arena, 1, sizeof *a);
    op->state = a;
    if (!a)
        return qry_job_nomem(op);
    if (!nx_http_params_get(&op->params, "selector").ptr)
        return qry_job_fail(op, QRY_API_BAD_DATA, "missing 'selector' parameter");
    if (!qry_cardinality_selector(op, &a->params))
        return false;
    op->content_type = "application/json";
    op->partial = false; /* there is no place for a warning */
    struct nx_buf body;
    nx_buf_init(&body, 16u << 20);
    qry_put_select_request(
        &body,
        &(struct qry_select_request){.tenant = op->tenant,
                                     .matchers = a->params.matchers,
                                     .min_t = nx_now_ms(op->qry->deps.clock) - QRY_ACTIVE_SERIES_MS,
                                     .max_t = INT64_MAX,
                                     .labels_only = true});
    return qry_job_ask(op, "select", true, &body);
}

bool qry_active_series_evaluate(struct qry_job *op)
{
    struct active *a = op->state;
    const struct qry_answer *answer;
    enum nx_err err = NX_OK;
    qry_fetched_init(&a->fetched, &op->arena);
    for (size_t i = 0; qry_fanout_answers(op->fanout, 0, i, &answer); i++)
        for (; answer && !err; answer = answer->next)
            err = qry_fetched_add(&a->fetched, nx_view_make(answer->bytes, answer->len));
    qry_fetched_sort(&a->fetched);
    qry_fetched_release(&a->fetched);
    if (err == NX_ERR_CORRUPT)
        return qry_job_fail(op, QRY_API_INTERNAL, "an ingester sent damaged data");
    return err ? qry_job_fail_err(op, err, NULL) : true;
}

bool qry_active_series_render(struct qry_job *op, struct qry_json *json)
{
    struct active *a = op->state;
    if (!a->begun) {
        a->begun = true;
        qry_json_object(json);
        qry_json_key(json, "data");
        qry_json_array(json);
    }
    for (; a->at < a->fetched.count; a->at++) {
        if (json->out->len >= QRY_PIECE_BYTES)
            return false;
        qry_json_labels(json, a->fetched.series[a->at].labels);
    }
    qry_json_array_end(json);
    qry_json_object_end(json);
    return true;
}

void qry_active_series_release(struct qry_job *op)
{
    struct active *a = op->state;
    if (a)
        qry_cardinality_params_release(&a->params);
}
