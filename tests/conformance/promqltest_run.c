/* Runs the commands of a file. Each instant evaluation is also run with its selectors pinned by @
 * to the time of the evaluation, at several other times, and as the middle step of a range query,
 * as Prometheus's own runner does (promqltest format, section 4.1); the engine settings are those
 * of section 6. */
#include <string.h>

#include "querier/promql/function_table.h"
#include "tests/conformance/promqltest.h"

#define NS_PER_S UINT64_C(1000000000)

/* --- load --- */

static enum nx_err load_series(struct memory_source *memory, const struct pt_load *load,
                               const struct pt_series *series, struct nx_fail *fail)
{
    for (size_t i = 0; i < series->count; i++) {
        const struct pt_value *value = &series->values[i];
        if (value->omitted)
            continue;
        struct nx_sample sample = {
            .t = (int64_t)i * load->step_ms, .value = value->value, .histogram = value->histogram};
        if (series->start_offsets && series->start_offsets[i] != PT_NO_START)
            sample.st = sample.t + series->start_offsets[i];
        enum nx_err err = memory_source_append(memory, series->labels, &sample, fail);
        if (err)
            return err;
    }
    return NX_OK;
}

static bool run_load(struct memory_source *memory, const struct pt_command *cmd, struct nx_buf *why)
{
    struct nx_fail fail = {0};
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < cmd->series.count && !err; i++)
        err = load_series(memory, &cmd->load, &cmd->series.items[i], &fail);
    if (!err && cmd->load.nhcb)
        err = pt_append_nhcb(memory, &cmd->series, cmd->load.step_ms, &fail);
    if (err) {
        fail.code = err;
        nx_buf_printf(why, "    load: %s\n", nx_fail_text(&fail));
    }
    return err == NX_OK;
}

/* --- one evaluation --- */

static const struct qry_features all_features = {
    .experimental_functions = true,
    .duration_expressions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
    .delayed_name_removal = true,
    .use_start_timestamps = true,
};

/* When and how an expression is evaluated. */
struct run {
    int64_t start_ms, end_ms, step_ms; /* step 0: instant */
    bool pinned;                       /* selectors without @ get `@ pin_ms` */
    int64_t pin_ms;
};

static void pin(struct qry_expr *expr, int64_t pin_ms)
{
    struct qry_modifiers *mod = NULL;
    switch (expr->kind) {
    case QRY_NODE_SELECTOR:
        mod = &expr->selector.mod;
        break;
    case QRY_NODE_SUBQUERY:
        mod = &expr->subquery.mod;
        break;
    case QRY_NODE_CALL:
        for (size_t i = 0; i < expr->call.arg_count; i++)
            pin(expr->call.args[i], pin_ms);
        return;
    case QRY_NODE_BINARY:
        pin(expr->binary.lhs, pin_ms);
        pin(expr->binary.rhs, pin_ms);
        return;
    case QRY_NODE_UNARY:
        pin(expr->unary.expr, pin_ms);
        return;
    case QRY_NODE_PAREN:
        pin(expr->paren, pin_ms);
        return;
    case QRY_NODE_AGGREGATE:
        if (expr->aggregate.param)
            pin(expr->aggregate.param, pin_ms);
        pin(expr->aggregate.expr, pin_ms);
        return;
    case QRY_NODE_NUMBER:
    case QRY_NODE_STRING:
        return;
    }
    if (mod && mod->at == QRY_AT_NONE) {
        mod->at = QRY_AT_TIME;
        mod->at_ms = pin_ms;
    }
}

static enum nx_err evaluate(struct memory_source *memory, const struct pt_eval *eval,
                            const struct run *run, struct qry_result *result, bool *parsed,
                            struct nx_fail *fail)
{
    struct qry_query *query = NULL;
    *parsed = false;
    enum nx_err err = qry_parse(eval->expr, &all_features, &query, fail);
    if (err)
        return err;
    *parsed = true;
    if (run->pinned)
        pin(qry_query_expr(query), run->pin_ms);
    const struct nx_clock *clock = nx_clock_system();
    struct qry_eval_params params = {
        .start_ms = run->start_ms,
        .end_ms = run->end_ms,
        .step_ms = run->step_ms,
        .features = all_features,
        .limits = {.lookback_ms = 300000,
                   .default_step_ms = 60000,
                   .max_samples = 10000,
                   .max_memory_bytes = (size_t)1 << 30,
                   .deadline_ns = nx_now_ns(clock) + 100 * NS_PER_S},
        .clock = clock,
    };
    struct qry_source *source = memory_source_as_source(memory);
    err = qry_resolve_durations(query, run->start_ms, run->end_ms, run->step_ms, fail);
    if (!err)
        err = qry_evaluate(query, source, &params, result, fail);
    qry_query_free(query);
    return err;
}

/* --- eval --- */

enum check { CHECK_FULL, CHECK_RESULT, CHECK_STEP };

static void describe(struct nx_buf *why, const struct run *run)
{
    if (run->step_ms > 0)
        nx_buf_printf(why, "    as range from %g to %g step %g", (double)run->start_ms / 1000,
                      (double)run->end_ms / 1000, (double)run->step_ms / 1000);
    else
        nx_buf_printf(why, "    as instant at %g", (double)run->start_ms / 1000);
    if (run->pinned)
        nx_buf_printf(why, ", pinned @ %g", (double)run->pin_ms / 1000);
    nx_buf_append_char(why, '\n');
}

/* `at`: for CHECK_STEP, the step that is compared. */
static bool run_once(struct memory_source *memory, const struct pt_command *cmd,
                     const struct run *run, enum check check, int64_t at, struct nx_buf *why)
{
    struct nx_fail fail = {0};
    struct qry_result result;
    bool parsed, ok;
    enum nx_err err = evaluate(memory, &cmd->eval, run, &result, &parsed, &fail);
    if (err) {
        fail.code = err;
        if (parsed && cmd->eval.fail)
            return pt_compare_failure(&cmd->eval, nx_view_of(nx_fail_text(&fail)), why);
        describe(why, run);
        nx_buf_printf(why, "    failed: %s\n", nx_fail_text(&fail));
        return false;
    }
    if (cmd->eval.fail) {
        nx_buf_append_str(why, "    expected a failure, got a result\n");
        ok = false;
    } else if (check == CHECK_STEP) {
        ok = pt_compare_step(cmd, &result, at, why);
    } else {
        ok = pt_compare_result(cmd, &result, why);
        if (ok && check == CHECK_FULL)
            ok = pt_compare_annotations(&cmd->eval, &result, why);
    }
    if (!ok)
        describe(why, run);
    qry_result_release(&result);
    return ok;
}

static bool contains(struct nx_view text, const char *needle)
{
    size_t len = strlen(needle);
    for (size_t i = 0; i + len <= text.len; i++)
        if (memcmp(text.ptr + i, needle, len) == 0)
            return true;
    return false;
}

static bool is_time_dependent(struct qry_expr *expr, void *user)
{
    static const char *const names[] = {
        "days_in_month", "day_of_month", "day_of_week", "day_of_year",    "end",
        "hour",          "minute",       "month",       "predict_linear", "range",
        "start",         "step",         "time",        "timestamp",      "year"};
    bool *found = user;
    if (expr->kind != QRY_NODE_CALL)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (nx_view_is(nx_view_of(expr->call.function->name), names[i]))
            *found = true;
    return !*found;
}

static bool may_be_pinned(const struct pt_eval *eval)
{
    struct qry_query *query = NULL;
    struct nx_fail fail;
    bool dependent = false;
    /* below a pinned subquery these still follow the query's own ends */
    if (contains(eval->expr, "start()") || contains(eval->expr, "end()"))
        return false;
    if (qry_parse(eval->expr, &all_features, &query, &fail) != NX_OK)
        return false;
    qry_walk(qry_query_expr(query), is_time_dependent, &dependent);
    qry_query_free(query);
    return !dependent;
}

static bool may_be_ranged(const struct pt_eval *eval)
{
    return !eval->expect_string && !eval->expect_matrix && !contains(eval->expr, "start()") &&
           !contains(eval->expr, "end()") && !contains(eval->expr, "range()") &&
           !contains(eval->expr, "step()");
}

/* The range query around `t`, whose middle step must be the instant result. */
static bool run_around(struct memory_source *memory, const struct pt_command *cmd, int64_t t,
                       const int64_t *pin_ms, struct nx_buf *why)
{
    struct run run = {.start_ms = t - 60000,
                      .end_ms = t + 60000,
                      .step_ms = 60000,
                      .pinned = pin_ms != NULL,
                      .pin_ms = pin_ms ? *pin_ms : 0};
    return run_once(memory, cmd, &run, CHECK_STEP, t, why);
}

static bool run_pinned(struct memory_source *memory, const struct pt_command *cmd, int64_t pin_ms,
                       bool ranged, struct nx_buf *why)
{
    const int64_t others[] = {-10 * pin_ms, 0, pin_ms / 5, pin_ms, 10 * pin_ms};
    const int64_t around_zero[] = {-1000, 0, 1000};
    const int64_t *times = pin_ms == 0 ? around_zero : others;
    size_t count = pin_ms == 0 ? 3 : 5;
    for (size_t i = 0; i < count; i++) {
        struct run run = {
            .start_ms = times[i], .end_ms = times[i], .pinned = true, .pin_ms = pin_ms};
        if (!run_once(memory, cmd, &run, CHECK_RESULT, 0, why) ||
            (ranged && !run_around(memory, cmd, times[i], &pin_ms, why)))
            return false;
    }
    return true;
}

static bool run_eval(struct memory_source *memory, const struct pt_command *cmd,
                     const struct pt_options *options, struct nx_buf *why)
{
    const struct pt_eval *eval = &cmd->eval;
    int64_t at = eval->expect_matrix ? eval->end_ms : eval->start_ms;
    struct run run = {.start_ms = at, .end_ms = at};
    if (eval->range)
        run = (struct run){
            .start_ms = eval->start_ms, .end_ms = eval->end_ms, .step_ms = eval->step_ms};
    if (!run_once(memory, cmd, &run, CHECK_FULL, 0, why))
        return false;
    if (eval->range || eval->fail || !options->reruns)
        return true;
    bool ranged = may_be_ranged(eval);
    if (ranged && !run_around(memory, cmd, at, NULL, why))
        return false;
    return !may_be_pinned(eval) || run_pinned(memory, cmd, at, ranged, why);
}

bool pt_run_command(struct memory_source *memory, const struct pt_command *cmd,
                    const struct pt_options *options, struct nx_buf *why)
{
    switch (cmd->kind) {
    case PT_CLEAR:
        memory_source_clear(memory);
        return true;
    case PT_LOAD:
        return run_load(memory, cmd, why);
    case PT_EVAL:
        return run_eval(memory, cmd, options, why);
    case PT_BROKEN:
        nx_buf_printf(why, "    %.*s\n", NX_VIEW_ARG(cmd->problem));
        return false;
    }
    return false;
}
