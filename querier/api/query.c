/* query and query_range: parameters in Prometheus's order of checks, one fetch for all selects of
 * the plan, and the evaluation over what came. */
#include <stdio.h>

#include "querier/api/endpoints.h"
#include "querier/api/params.h"
#include "querier/api/result.h"
#include "querier/select/cluster_source.h"
#include "querier/select/take.h"

#define NS_PER_MS 1000000
#define MAX_POINTS 11000

struct query_state {
    struct qry_query *query;
    struct qry_eval_params params;
    struct qry_selection *selections;
    size_t selection_count;
    uint64_t limit;
    bool stats;
    bool has_result;
    struct qry_result result;
    struct qry_result_writer writer;
    bool begun;
    double prepared_s, evaluated_s;
};

/* --- parameters --- */

static struct query_state *state_new(struct qry_job *op)
{
    const struct qry_settings *settings = op->qry->deps.settings;
    struct query_state *state = nx_arena_calloc(&op->arena, 1, sizeof *state);
    if (!state)
        return NULL;
    state->params = (struct qry_eval_params){
        .features = op->qry->features,
        .limits = {.lookback_ms = settings->lookback_ms,
                   .default_step_ms = settings->default_step_ms,
                   .max_samples = (uint64_t)settings->max_samples,
                   .max_memory_bytes = (size_t)settings->max_memory_bytes},
        .clock = op->qry->deps.clock,
        .cancel = &op->cancel,
    };
    op->state = state;
    return state;
}

static bool read_limit(struct qry_job *op, struct query_state *state)
{
    struct nx_fail fail = {0};
    if (qry_param_limit(qry_job_param(op, "limit"), &state->limit, &fail) != NX_OK)
        return qry_job_fail_param(op, "limit", &fail);
    return true;
}

/* timeout, lookback_delta and stats. */
static bool read_options(struct qry_job *op, struct query_state *state)
{
    struct nx_fail fail = {0};
    int64_t ns;
    struct nx_view timeout = qry_job_param(op, "timeout");
    if (timeout.len > 0) {
        if (qry_param_duration(timeout, &ns, &fail) != NX_OK)
            return qry_job_fail_param(op, "timeout", &fail);
        uint64_t deadline = op->started_ns + (ns > 0 ? (uint64_t)ns : 0);
        if (deadline < op->deadline_ns)
            op->deadline_ns = deadline;
    }
    state->params.limits.deadline_ns = op->deadline_ns;
    struct nx_view lookback = qry_job_param(op, "lookback_delta");
    if (lookback.len > 0) {
        if (qry_param_duration(lookback, &ns, &fail) != NX_OK)
            return qry_job_fail(op, QRY_API_BAD_DATA, "error parsing lookback delta duration: %s",
                                nx_fail_text(&fail));
        if (ns / NS_PER_MS > 0)
            state->params.limits.lookback_ms = ns / NS_PER_MS;
    }
    struct nx_view stats = qry_job_param(op, "stats");
    state->stats = stats.len > 0;
    if (!nx_view_is(stats, "all"))
        state->params.features.per_step_stats = false;
    if (state->stats && !nx_view_is(stats, "true") && !nx_view_is(stats, "all")) {
        char text[300];
        int n =
            snprintf(text, sizeof text,
                     "value \"%.*s\" for parameter \"stats\" is deprecated and will be rejected in "
                     "the next major release, use \"true\" or \"all\"",
                     stats.len > 100 ? 100 : (int)stats.len, stats.ptr);
        qry_job_warn(op, nx_view_make(text, (size_t)n));
    }
    return true;
}

static bool read_range(struct qry_job *op, struct query_state *state)
{
    struct nx_fail fail = {0};
    struct qry_eval_params *params = &state->params;
    int64_t step_ns;
    if (qry_param_time(qry_job_param(op, "start"), &params->start_ms, &fail) != NX_OK)
        return qry_job_fail_param(op, "start", &fail);
    if (qry_param_time(qry_job_param(op, "end"), &params->end_ms, &fail) != NX_OK)
        return qry_job_fail_param(op, "end", &fail);
    if (params->end_ms < params->start_ms)
        return qry_job_fail(
            op, QRY_API_BAD_DATA,
            "invalid parameter \"end\": end timestamp must not be before start time");
    if (qry_param_duration(qry_job_param(op, "step"), &step_ns, &fail) != NX_OK)
        return qry_job_fail_param(op, "step", &fail);
    if (step_ns <= 0)
        return qry_job_fail(
            op, QRY_API_BAD_DATA,
            "invalid parameter \"step\": zero or negative query resolution step widths "
            "are not accepted. Try a positive integer");
    __extension__ typedef __int128 wide;
    wide range_ns = ((wide)params->end_ms - params->start_ms) * NS_PER_MS;
    if (range_ns > INT64_MAX)
        range_ns = INT64_MAX;
    if (range_ns / step_ns > MAX_POINTS)
        return qry_job_fail(
            op, QRY_API_BAD_DATA,
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
            "the query resolution (?step=XX)");
    params->step_ms = step_ns / NS_PER_MS;
    if (params->step_ms == 0)
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "invalid parameter \"step\": the step must be at least 1ms");
    return true;
}

/* --- plan --- */

static bool ask_selections(struct qry_job *op, const struct query_state *state)
{
    for (size_t i = 0; i < state->selection_count; i++) {
        const struct qry_selection *s = &state->selections[i];
        struct nx_buf body;
        nx_buf_init(&body, 16u << 20);
        qry_put_select_request(
            &body, &(struct qry_select_request){
                       .tenant = op->tenant,
                       .matchers = {s->matchers, s->matcher_count},
                       .min_t = s->min_t,
                       .max_t = s->max_t,
                       .max_chunk_bytes = (uint64_t)op->qry->deps.settings->max_fetched_bytes,
                   });
        if (!qry_job_ask(op, "select", true, &body))
            return false;
    }
    return true;
}

static bool plan_query(struct qry_job *op, struct query_state *state)
{
    struct nx_fail fail = {0};
    struct nx_view text = qry_job_param(op, "query");
    int64_t max = op->qry->deps.settings->max_query_bytes;
    if (text.len > (size_t)max)
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "invalid parameter \"query\": the query is longer than %lld bytes "
                            "(query.max-query-bytes)",
                            (long long)max);
    enum nx_err err =
        qry_parse(text.ptr ? text : NX_VIEW(""), &op->qry->features, &state->query, &fail);
    if (err)
        return err == NX_ERR_NOMEM ? qry_job_fail_err(op, err, &fail)
                                   : qry_job_fail_param(op, "query", &fail);
    const struct qry_eval_params *p = &state->params;
    enum qry_type type = qry_query_expr(state->query)->type;
    if (p->step_ms > 0 && type != QRY_TYPE_SCALAR && type != QRY_TYPE_VECTOR)
        return qry_job_fail(
            op, QRY_API_BAD_DATA,
            "invalid parameter \"query\": invalid expression type \"%s\" for range query, "
            "must be Scalar or instant Vector",
            qry_type_text(type));
    if (qry_resolve_durations(state->query, p->start_ms, p->end_ms, p->step_ms, &fail) != NX_OK)
        return qry_job_fail_param(op, "query", &fail);
    struct qry_select *selects = NULL;
    size_t count = 0;
    err = qry_plan(state->query, p, &selects, &count, &fail);
    if (!err)
        err = qry_selection_plan(&op->arena, selects, count, &state->selections,
                                 &state->selection_count, &fail);
    if (err)
        return qry_job_fail_err(op, err, &fail);
    return ask_selections(op, state);
}

bool qry_query_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    struct query_state *state = state_new(op);
    if (!state)
        return qry_job_nomem(op);
    if (!read_limit(op, state))
        return false;
    int64_t now = nx_now_ms(op->qry->deps.clock);
    if (qry_param_optional_time(qry_job_param(op, "time"), "time", now, &state->params.start_ms,
                                &fail) != NX_OK)
        return qry_job_fail_param(op, "time", &fail);
    state->params.end_ms = state->params.start_ms;
    return read_options(op, state) && plan_query(op, state);
}

bool qry_query_range_prepare(struct qry_job *op)
{
    struct query_state *state = state_new(op);
    if (!state)
        return qry_job_nomem(op);
    return read_limit(op, state) && read_range(op, state) && read_options(op, state) &&
           plan_query(op, state);
}

/* --- evaluation --- */

static bool evaluate(struct qry_job *op, struct query_state *state)
{
    struct nx_fail fail = {0};
    struct qry_cluster_source *source = NULL;
    enum nx_err err = qry_cluster_source_new(&op->arena, state->selections, state->selection_count,
                                             op->fanout, op->tenant, &source, &fail);
    uint64_t begun_ns = nx_now_ns(op->qry->deps.clock);
    if (!err)
        err = qry_evaluate(state->query, qry_cluster_source_as_source(source), &state->params,
                           &state->result, &fail);
    if (err)
        return qry_job_fail_err(op, err, &fail);
    uint64_t ended_ns = nx_now_ns(op->qry->deps.clock);
    state->has_result = true;
    state->prepared_s = (double)(begun_ns - op->started_ns) / 1e9;
    state->evaluated_s = (double)(ended_ns - begun_ns) / 1e9;
    return true;
}

/* What members say that their answers lack. */
static void take_warnings(struct qry_job *op, const struct query_state *state)
{
    for (size_t request = 0; request < state->selection_count; request++) {
        for (size_t i = 0; i < qry_fanout_members(op->fanout); i++) {
            struct nx_view warning = qry_taken_warning(op->fanout, request, i);
            if (warning.len > 0)
                qry_job_warn(op, warning);
        }
    }
}

bool qry_query_evaluate(struct qry_job *op)
{
    struct query_state *state = op->state;
    if (!evaluate(op, state))
        return false;
    take_warnings(op, state);
    const struct qry_result *result = &state->result;
    nx_metric_add(op->qry->metrics, QRY_METRIC_SAMPLES, 0, (double)result->samples_read);
    size_t count = result->count;
    bool list = result->type == QRY_TYPE_VECTOR || result->type == QRY_TYPE_MATRIX;
    if (list && state->limit > 0 && count > state->limit) {
        count = (size_t)state->limit;
        qry_job_warn(op, NX_VIEW("results truncated due to limit"));
    }
    op->annotated = result;
    qry_result_writer_init(&state->writer, result, count, state->params.start_ms);
    return true;
}

/* --- answer --- */

static void put_number(struct qry_json *json, const char *key, double v)
{
    qry_json_key(json, key);
    qry_json_double(json, v);
}

/* [[time, samples], ...]; nothing where they were not counted by step. */
static void put_by_step(struct qry_json *json, const char *key, const struct query_state *state,
                        const uint64_t *samples)
{
    const struct qry_eval_params *params = &state->params;
    if (!samples)
        return;
    qry_json_key(json, key);
    qry_json_array(json);
    for (size_t i = 0; i < state->result.steps; i++) {
        qry_json_array(json);
        qry_json_double(json, (double)(params->start_ms + (int64_t)i * params->step_ms) / 1000);
        qry_json_uint(json, samples[i]);
        qry_json_array_end(json);
    }
    qry_json_array_end(json);
}

static void put_stats(const struct qry_job *op, const struct query_state *state,
                      struct qry_json *json)
{
    double queued_s = op->fetched_ns ? (double)(op->running_ns - op->fetched_ns) / 1e9 : 0;
    double total_s = state->prepared_s + state->evaluated_s;
    qry_json_key(json, "stats");
    qry_json_object(json);
    qry_json_key(json, "timings");
    qry_json_object(json);
    put_number(json, "evalTotalTime", total_s - queued_s);
    put_number(json, "resultSortTime", 0);
    put_number(json, "queryPreparationTime", state->prepared_s - queued_s);
    put_number(json, "innerEvalTime", state->evaluated_s);
    put_number(json, "execQueueTime", queued_s);
    put_number(json, "execTotalTime", total_s);
    qry_json_object_end(json);
    qry_json_key(json, "samples");
    qry_json_object(json);
    put_by_step(json, "totalQueryableSamplesPerStep", state, state->result.samples_queryable_at);
    qry_json_key(json, "totalQueryableSamples");
    qry_json_uint(json, state->result.samples_queryable);
    put_by_step(json, "samplesReadPerStep", state, state->result.samples_read_at);
    qry_json_key(json, "samplesRead");
    qry_json_uint(json, state->result.samples_read);
    qry_json_key(json, "peakSamples");
    qry_json_uint(json, state->result.peak_samples);
    qry_json_object_end(json);
    qry_json_object_end(json);
}

bool qry_query_render(struct qry_job *op, struct qry_json *json)
{
    struct query_state *state = op->state;
    if (!state->begun) {
        state->begun = true;
        qry_json_object(json);
    }
    if (!qry_result_write(&state->writer, json, QRY_PIECE_BYTES))
        return false;
    if (state->stats)
        put_stats(op, state, json);
    qry_json_object_end(json);
    return true;
}

void qry_query_release(struct qry_job *op)
{
    struct query_state *state = op->state;
    if (state->has_result)
        qry_result_release(&state->result);
    if (state->query)
        qry_query_free(state->query);
}
