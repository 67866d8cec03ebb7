/* series, labels and label values: lists put together from all ingesters, sorted, each item once.
 */
#include <stdlib.h>

#include "querier/api/endpoints.h"
#include "querier/api/matchers.h"
#include "querier/api/params.h"
#include "querier/select/fetched.h"
#include "querier/select/wire.h"

struct listing {
    struct qry_match_params matches;
    uint64_t limit;
    int64_t min_t, max_t;
    struct nx_view name; /* label values: of this label */
    struct qry_fetched fetched;
    struct nx_view *items;
    size_t count, capacity;
    size_t at;
    bool begun;
};

#define TRUNCATED NX_VIEW("results truncated due to limit")

static struct listing *listing_new(struct qry_job *op)
{
    struct listing *l = nx_arena_calloc(&op->arena, 1, sizeof *l);
    op->state = l;
    return l;
}

static bool read_times(struct qry_job *op, struct listing *l)
{
    struct nx_fail fail = {0};
    if (qry_param_limit(qry_job_param(op, "limit"), &l->limit, &fail) != NX_OK)
        return qry_job_fail_param(op, "limit", &fail);
    if (qry_param_optional_time(qry_job_param(op, "start"), "start", QRY_TIME_MIN, &l->min_t,
                                &fail) != NX_OK)
        return qry_job_fail_param(op, "start", &fail);
    if (qry_param_optional_time(qry_job_param(op, "end"), "end", QRY_TIME_MAX, &l->max_t, &fail) !=
        NX_OK)
        return qry_job_fail_param(op, "end", &fail);
    return true;
}

/* One more than the limit, to see whether there is more. */
static uint64_t asked_limit(const struct listing *l)
{
    return l->limit > 0 ? l->limit + 1 : 0;
}

/* Cuts what goes beyond the limit. */
static size_t apply_limit(struct qry_job *op, const struct listing *l, size_t count)
{
    if (l->limit == 0 || count <= l->limit)
        return count;
    qry_job_warn(op, TRUNCATED);
    return (size_t)l->limit;
}

/* --- series --- */

bool qry_series_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    struct listing *l = listing_new(op);
    if (!l)
        return qry_job_nomem(op);
    if (!nx_http_params_get(&op->params, "match[]").ptr)
        return qry_job_fail(op, QRY_API_BAD_DATA, "no match[] parameter provided");
    if (!read_times(op, l))
        return false;
    enum nx_err err = qry_matches_parse(op, &l->matches, &fail);
    if (err)
        return err == NX_ERR_NOMEM ? qry_job_fail_err(op, err, &fail)
                                   : qry_job_fail_param(op, "match[]", &fail);
    for (size_t i = 0; i < l->matches.count; i++) {
        struct nx_buf body;
        nx_buf_init(&body, 16u << 20);
        qry_put_select_request(&body, &(struct qry_select_request){.tenant = op->tenant,
                                                                   .matchers = l->matches.sets[i],
                                                                   .min_t = l->min_t,
                                                                   .max_t = l->max_t,
                                                                   .labels_only = true,
                                                                   .limit = asked_limit(l)});
        if (!qry_job_ask(op, "select", true, &body))
            return false;
    }
    return true;
}

typedef enum nx_err (*take_answer)(struct qry_job *op, struct listing *l, struct nx_view message);

/* Every message of every ingester to every request. */
static bool take_answers(struct qry_job *op, struct listing *l, take_answer take)
{
    for (size_t request = 0; request < op->request_count; request++) {
        const struct qry_answer *answer;
        for (size_t i = 0; qry_fanout_answers(op->fanout, request, i, &answer); i++)
            for (; answer; answer = answer->next) {
                enum nx_err err = take(op, l, nx_view_make(answer->bytes, answer->len));
                if (err == NX_ERR_CORRUPT)
                    return qry_job_fail(op, QRY_API_INTERNAL, "an ingester sent damaged data");
                if (err)
                    return qry_job_fail_err(op, err, NULL);
            }
    }
    return true;
}

static enum nx_err take_series(struct qry_job *op, struct listing *l, struct nx_view message)
{
    (void)op;
    return qry_fetched_add(&l->fetched, message);
}

bool qry_series_evaluate(struct qry_job *op)
{
    struct listing *l = op->state;
    qry_fetched_init(&l->fetched, &op->arena);
    bool ok = take_answers(op, l, take_series);
    if (ok) {
        qry_fetched_sort(&l->fetched);
        l->fetched.count = apply_limit(op, l, l->fetched.count);
    }
    qry_fetched_release(&l->fetched);
    return ok;
}

bool qry_series_render(struct qry_job *op, struct qry_json *json)
{
    struct listing *l = op->state;
    if (!l->begun) {
        l->begun = true;
        qry_json_array(json);
    }
    for (; l->at < l->fetched.count; l->at++) {
        if (json->out->len >= QRY_PIECE_BYTES)
            return false;
        qry_json_labels(json, l->fetched.series[l->at].labels);
    }
    qry_json_array_end(json);
    return true;
}

/* --- labels and their values --- */

static bool ask_labels(struct qry_job *op, struct listing *l, struct qry_matcher_set set)
{
    struct nx_buf body;
    nx_buf_init(&body, 16u << 20);
    qry_put_labels_request(&body, op->tenant, l->name, set, l->min_t, l->max_t, asked_limit(l));
    return qry_job_ask(op, "labels", false, &body);
}

static bool prepare_labels(struct qry_job *op, struct listing *l)
{
    struct nx_fail fail = {0};
    if (!read_times(op, l))
        return false;
    enum nx_err err = qry_matches_parse(op, &l->matches, &fail);
    if (err)
        return qry_job_fail_err(op, err, &fail);
    if (l->matches.count == 0)
        return ask_labels(op, l, (struct qry_matcher_set){0});
    for (size_t i = 0; i < l->matches.count; i++)
        if (!ask_labels(op, l, l->matches.sets[i]))
            return false;
    return true;
}

bool qry_labels_prepare(struct qry_job *op)
{
    struct listing *l = listing_new(op);
    return l ? prepare_labels(op, l) : qry_job_nomem(op);
}

bool qry_label_values_prepare(struct qry_job *op)
{
    struct listing *l = listing_new(op);
    struct nx_view name = nx_http_request_param(op->req);
    if (!l || qry_unescape_label_name(&op->arena, name, &l->name) != NX_OK)
        return qry_job_nomem(op);
    if (l->name.len == 0 || !nx_view_is_utf8(l->name)) {
        struct nx_buf quoted;
        nx_buf_init(&quoted, 4096);
        nx_print_quoted(&quoted, l->name);
        qry_job_fail(op, QRY_API_BAD_DATA, "invalid label name: %.*s", (int)quoted.len,
                     quoted.data ? quoted.data : "");
        nx_buf_release(&quoted);
        return false;
    }
    return prepare_labels(op, l);
}

static enum nx_err take_items(struct qry_job *op, struct listing *l, struct nx_view message)
{
    struct nx_cursor cur = nx_cursor_of(message);
    struct qry_wire_field field;
    while (qry_wire_next(&cur, &field)) {
        if (field.number != 1 || !field.bytes.ptr)
            continue;
        if (!nx_arena_grow(&op->arena, &l->items, l->count, &l->capacity, l->count + 1,
                           sizeof *l->items))
            return NX_ERR_NOMEM;
        l->items[l->count++] = field.bytes;
    }
    return nx_cursor_ok(&cur) ? NX_OK : NX_ERR_CORRUPT;
}

static int by_bytes(const void *a, const void *b)
{
    return nx_view_cmp(*(const struct nx_view *)a, *(const struct nx_view *)b);
}

bool qry_labels_evaluate(struct qry_job *op)
{
    struct listing *l = op->state;
    if (!take_answers(op, l, take_items))
        return false;
    if (l->count > 1)
        qsort(l->items, l->count, sizeof *l->items, by_bytes);
    size_t n = 0;
    for (size_t i = 0; i < l->count; i++)
        if (n == 0 || !nx_view_eq(l->items[i], l->items[n - 1]))
            l->items[n++] = l->items[i];
    l->count = apply_limit(op, l, n);
    return true;
}

bool qry_labels_render(struct qry_job *op, struct qry_json *json)
{
    struct listing *l = op->state;
    if (!l->begun) {
        l->begun = true;
        qry_json_array(json);
    }
    for (; l->at < l->count; l->at++) {
        if (json->out->len >= QRY_PIECE_BYTES)
            return false;
        qry_json_string(json, l->items[l->at]);
    }
    qry_json_array_end(json);
    return true;
}

void qry_listing_release(struct qry_job *op)
{
    struct listing *l = op->state;
    qry_matches_release(&l->matches);
}
