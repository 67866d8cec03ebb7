/* query_exemplars: the exemplars of every selector of an expression. */
#include <stdlib.h>

#include "common/chunk/sample.h"
#include "querier/api/endpoints.h"
#include "querier/api/params.h"
#include "querier/select/wire.h"

#define MAX_LABELS 10000

struct exemplar {
    struct nx_view series; /* encoded labels */
    struct nx_labels series_labels;
    int64_t t;
    double value;
    struct nx_view labels;
    struct nx_labels decoded;
};

struct exemplars {
    struct qry_query *query;
    struct qry_matcher_set *sets;
    size_t set_count, set_capacity;
    struct nx_arena *arena;
    bool failed;
    struct exemplar *items;
    size_t count, capacity;
    size_t at;
    bool begun;
};

static bool collect_selector(struct qry_expr *expr, void *user)
{
    struct exemplars *e = user;
    if (expr->kind != QRY_NODE_SELECTOR)
        return true;
    if (!nx_arena_grow(e->arena, &e->sets, e->set_count, &e->set_capacity, e->set_count + 1,
                       sizeof *e->sets)) {
        e->failed = true;
        return false;
    }
    e->sets[e->set_count++] =
        (struct qry_matcher_set){expr->selector.matchers, expr->selector.matcher_count};
    return true;
}

bool qry_exemplars_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    int64_t min_t, max_t;
    struct exemplars *e = nx_arena_calloc(&op->arena, 1, sizeof *e);
    if (!e)
        return qry_job_nomem(op);
    op->state = e;
    e->arena = &op->arena;
    if (qry_param_optional_time(qry_job_param(op, "start"), "start", QRY_TIME_MIN, &min_t, &fail) !=
        NX_OK)
        return qry_job_fail_param(op, "start", &fail);
    if (qry_param_optional_time(qry_job_param(op, "end"), "end", QRY_TIME_MAX, &max_t, &fail) !=
        NX_OK)
        return qry_job_fail_param(op, "end", &fail);
    if (max_t < min_t)
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "end timestamp must not be before start timestamp");
    struct nx_view text = qry_job_param(op, "query");
    if (text.len > (size_t)op->qry->deps.settings->max_query_bytes)
        return qry_job_fail(op, QRY_API_BAD_DATA, "the query is too long (query.max-query-bytes)");
    enum nx_err err =
        qry_parse(text.ptr ? text : NX_VIEW(""), &op->qry->features, &e->query, &fail);
    if (err)
        return qry_job_fail_err(op, err, &fail);
    qry_walk(qry_query_expr(e->query), collect_selector, e);
    if (e->failed)
        return qry_job_nomem(op);
    op->no_content = e->set_count == 0;
    if (op->no_content)
        return true;
    struct nx_buf body;
    nx_buf_init(&body, 16u << 20);
    qry_put_exemplars_request(&body, op->tenant, e->sets, e->set_count, min_t, max_t);
    return qry_job_ask(op, "exemplars", false, &body);
}

static enum nx_err decode_labels(struct exemplars *e, struct nx_view bytes, struct nx_labels *out)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    *out = (struct nx_labels){0};
    return bytes.len == 0 ? NX_OK : nx_labels_decode(&cur, e->arena, MAX_LABELS, out);
}

static enum nx_err take_exemplar(struct exemplars *e, struct nx_view series, struct nx_view bytes)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct exemplar x = {.series = series, .labels = NX_VIEW("")};
    while (qry_wire_next(&cur, &field)) {
        if (field.number == 2)
            x.t = qry_wire_zigzag(field.integer);
        else if (field.number == 3)
            x.value = nx_double_from_bits(field.integer);
        else if (field.number == 4)
            x.labels = field.bytes;
    }
    if (!nx_cursor_ok(&cur))
        return NX_ERR_CORRUPT;
    if (!nx_arena_grow(e->arena, &e->items, e->count, &e->capacity, e->count + 1, sizeof x))
        return NX_ERR_NOMEM;
    e->items[e->count++] = x;
    return NX_OK;
}

static enum nx_err take_series(struct exemplars *e, struct nx_view bytes)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct nx_view labels = {0};
    while (qry_wire_next(&cur, &field))
        if (field.number == 1)
            labels = field.bytes;
    if (!nx_cursor_ok(&cur) || !labels.ptr)
        return NX_ERR_CORRUPT;
    enum nx_err err = NX_OK;
    cur = nx_cursor_of(bytes);
    while (!err && qry_wire_next(&cur, &field))
        if (field.number == 2 && field.bytes.ptr)
            err = take_exemplar(e, labels, field.bytes);
    return err;
}

static enum nx_err take_message(struct exemplars *e, struct nx_view message)
{
    struct nx_cursor cur = nx_cursor_of(message);
    struct qry_wire_field field;
    enum nx_err err = NX_OK;
    while (!err && qry_wire_next(&cur, &field))
        if (field.number == 1 && field.bytes.ptr)
            err = take_series(e, field.bytes);
    return err || nx_cursor_ok(&cur) ? err : NX_ERR_CORRUPT;
}

static int compare(const void *a, const void *b)
{
    const struct exemplar *x = a, *y = b;
    int order = nx_labels_cmp(x->series_labels, y->series_labels);
    if (order == 0)
        order = (x->t > y->t) - (x->t < y->t);
    if (order == 0)
        order = nx_view_cmp(x->labels, y->labels);
    uint64_t vx = nx_double_bits(x->value), vy = nx_double_bits(y->value);
    return order ? order : (vx > vy) - (vx < vy);
}

/* The labels of all, those of one series once. */
static enum nx_err decode_all(struct exemplars *e)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < e->count && !err; i++) {
        struct exemplar *x = &e->items[i];
        if (i > 0 && nx_view_eq(x->series, e->items[i - 1].series))
            x->series_labels = e->items[i - 1].series_labels;
        else
            err = decode_labels(e, x->series, &x->series_labels);
        if (!err)
            err = decode_labels(e, x->labels, &x->decoded);
    }
    return err;
}

bool qry_exemplars_evaluate(struct qry_job *op)
{
    struct exemplars *e = op->state;
    const struct qry_answer *answer;
    enum nx_err err = NX_OK;
    for (size_t i = 0; op->fanout && qry_fanout_answers(op->fanout, 0, i, &answer); i++)
        for (; answer && !err; answer = answer->next)
            err = take_message(e, nx_view_make(answer->bytes, answer->len));
    if (!err)
        err = decode_all(e);
    if (err == NX_ERR_NOMEM)
        return qry_job_nomem(op);
    if (err)
        return qry_job_fail(op, QRY_API_INTERNAL, "an ingester sent damaged data");
    if (e->count > 1)
        qsort(e->items, e->count, sizeof *e->items, compare);
    size_t n = 0;
    for (size_t i = 0; i < e->count; i++)
        if (n == 0 || compare(&e->items[i], &e->items[n - 1]) != 0)
            e->items[n++] = e->items[i];
    e->count = n;
    return true;
}

static void put_exemplar(struct qry_json *json, const struct exemplar *x)
{
    qry_json_object(json);
    qry_json_key(json, "labels");
    qry_json_labels(json, x->decoded);
    qry_json_key(json, "value");
    qry_json_value(json, x->value);
    qry_json_key(json, "timestamp");
    qry_json_time(json, x->t);
    qry_json_object_end(json);
}

bool qry_exemplars_render(struct qry_job *op, struct qry_json *json)
{
    struct exemplars *e = op->state;
    if (!e->begun) {
        e->begun = true;
        qry_json_array(json);
    }
    while (e->at < e->count) {
        if (json->out->len >= QRY_PIECE_BYTES)
            return false;
        struct nx_labels series = e->items[e->at].series_labels;
        qry_json_object(json);
        qry_json_key(json, "seriesLabels");
        qry_json_labels(json, series);
        qry_json_key(json, "exemplars");
        qry_json_array(json);
        for (; e->at < e->count && nx_labels_eq(e->items[e->at].series_labels, series); e->at++)
            put_exemplar(json, &e->items[e->at]);
        qry_json_array_end(json);
        qry_json_object_end(json);
    }
    qry_json_array_end(json);
    return true;
}

void qry_exemplars_release(struct qry_job *op)
{
    struct exemplars *e = op->state;
    if (e->query)
        qry_query_free(e->query);
}
