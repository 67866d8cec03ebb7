/* GET /federate: the newest sample of every selected series within the lookback, in an exposition
 * format, for another Prometheus to scrape. Series that have ended, and those without a name, are
 * left out; the selectors' results are united. */
#include <stdlib.h>

#include "common/chunk/merge.h"
#include "querier/api/endpoints.h"
#include "querier/api/federate_format.h"
#include "querier/api/matchers.h"
#include "querier/select/take.h"

#define MAX_ROWS 256 /* of a family at a time */

struct federation {
    struct qry_match_params matches;
    struct qry_expose expose;
    int64_t min_t, max_t;
    struct qry_exposed *rows;
    size_t count, capacity, at;
};

bool qry_federate_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    struct federation *f = nx_arena_calloc(&op->arena, 1, sizeof *f);
    if (!f)
        return qry_job_nomem(op);
    op->state = f;
    f->expose = qry_expose_choose(nx_http_request_header(op->req, "Accept"));
    op->content_type = qry_expose_content_type(f->expose);
    if (qry_job_param(op, "partial_response").len == 0)
        op->partial = false; /* there is no place for a warning */
    f->max_t = nx_now_ms(op->qry->deps.clock);
    f->min_t = f->max_t - op->qry->deps.settings->lookback_ms;
    f->matches.may_match_all = true;
    enum nx_err err = qry_matches_parse(op, &f->matches, &fail);
    if (err)
        return qry_job_fail_err(op, err, &fail);
    for (size_t i = 0; i < f->matches.count; i++) {
        struct nx_buf body;
        nx_buf_init(&body, 16u << 20);
        qry_put_select_request(
            &body, &(struct qry_select_request){
                       .tenant = op->tenant,
                       .matchers = f->matches.sets[i],
                       .min_t = f->min_t,
                       .max_t = f->max_t,
                       .max_chunk_bytes = (uint64_t)op->qry->deps.settings->max_fetched_bytes});
        if (!qry_job_ask(op, "select", true, &body))
            return false;
    }
    return true;
}

/* The newest sample at or after *t; its time. A histogram lives in the arena. */
static int read_newest(struct nx_arena *arena, const struct qry_fetched_series *series,
                       int64_t min_t, int64_t max_t, bool keep, struct nx_sample *out)
{
    struct nx_sample_iter *iter;
    struct nx_sample sample;
    bool found = false;
    enum nx_err err = nx_chunks_iter_new(series->chunks, series->chunk_count, min_t, max_t, &iter);
    if (err)
        return err;
    int status;
    while ((status = nx_sample_next(iter, &sample)) > 0) {
        found = true;
        *out = sample;
        out->histogram = NULL;
        if (!keep || !sample.histogram)
            continue;
        out->histogram = nx_histogram_copy(arena, sample.histogram);
        if (!out->histogram) {
            status = NX_ERR_NOMEM;
            break;
        }
    }
    nx_sample_iter_free(iter);
    return status < 0 ? status : found;
}

static enum nx_err take_series(struct qry_job *op, struct federation *f,
                               const struct qry_fetched_series *series)
{
    struct qry_exposed row = {.name = nx_labels_get(series->labels, NX_LABEL_METRIC_NAME),
                              .labels = series->labels};
    if (row.name.len == 0)
        return NX_OK;
    int status = read_newest(&op->arena, series, f->min_t, f->max_t, false, &row.sample);
    if (status > 0) /* only the one that counts is copied */
        status = read_newest(&op->arena, series, row.sample.t, row.sample.t, true, &row.sample);
    if (status <= 0)
        return (enum nx_err)status;
    const struct nx_histogram *h = row.sample.histogram;
    bool stale = h ? nx_histogram_is_stale(h) : nx_is_stale(row.sample.value);
    if (stale || !qry_expose_can(f->expose, &row.sample))
        return NX_OK;
    if (!nx_arena_grow(&op->arena, &f->rows, f->count, &f->capacity, f->count + 1, sizeof row))
        return NX_ERR_NOMEM;
    f->rows[f->count++] = row;
    return NX_OK;
}

static enum nx_err take_answers(struct qry_job *op, struct qry_fetched *fetched)
{
    enum nx_err err = NX_OK;
    for (size_t request = 0; request < op->request_count && !err; request++)
        err = qry_fetched_take(fetched, op->fanout, request, op->tenant);
    return err;
}

static int kind_of(const struct qry_exposed *row)
{
    const struct nx_histogram *h = row->sample.histogram;
    return !h ? 0 : h->hint == NX_HINT_GAUGE ? 2 : 1;
}

/* By name, so that families are together; then by type, so that a family has one. */
static int by_family(const void *a, const void *b)
{
    const struct qry_exposed *x = a, *y = b;
    int order = nx_view_cmp(x->name, y->name);
    if (order == 0)
        order = kind_of(x) - kind_of(y);
    return order ? order : nx_labels_cmp(x->labels, y->labels);
}

bool qry_federate_evaluate(struct qry_job *op)
{
    struct federation *f = op->state;
    struct qry_fetched fetched;
    qry_fetched_init(&fetched, &op->arena);
    enum nx_err err = take_answers(op, &fetched);
    for (size_t i = 0; i < fetched.count && !err; i++)
        err = atomic_load(&op->cancel) ? NX_ERR_CANCELED : take_series(op, f, &fetched.series[i]);
    qry_fetched_release(&fetched);
    if (err == NX_ERR_CORRUPT)
        return qry_job_fail(op, QRY_API_INTERNAL, "an ingester sent damaged data");
    if (err)
        return qry_job_fail_err(op, err, NULL);
    if (f->count > 1)
        qsort(f->rows, f->count, sizeof *f->rows, by_family);
    return true;
}

bool qry_federate_render(struct qry_job *op, struct qry_json *json)
{
    struct federation *f = op->state;
    while (f->at < f->count) {
        if (json->out->len >= QRY_PIECE_BYTES)
            return false;
        const struct qry_exposed *row = &f->rows[f->at];
        bool first = f->at == 0 || !qry_expose_same_family(row - 1, row);
        size_t count = 1;
        while (count < MAX_ROWS && f->at + count < f->count &&
               qry_expose_same_family(row, row + count))
            count++;
        qry_expose_rows(f->expose, json->out, row, count, first);
        f->at += count;
    }
    qry_expose_end(f->expose, json->out);
    return true;
}

void qry_federate_release(struct qry_job *op)
{
    struct federation *f = op->state;
    qry_matches_release(&f->matches);
}
