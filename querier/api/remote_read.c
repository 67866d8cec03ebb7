/* POST /api/v1/read: raw series for another Prometheus (docs/formats/remote-read.md).
 *
 * Everything is fetched first, as for a query. SAMPLES is one compressed message, built and
 * compressed on the lane and then handed out in pieces; STREAMED_XOR_CHUNKS is encoded series by
 * series while the client takes it. */
#include <snappy-c.h>

#include "common/chunk/merge.h"
#include "querier/api/endpoints.h"
#include "querier/api/read_chunks.h"
#include "querier/api/remote_proto.h"
#include "querier/select/take.h"
#include "querier/select/wire.h"

#define FRAME_BYTES ((size_t)1 << 20) /* beyond it, a frame takes no further chunk */
#define MAX_FRAME_BYTES ((size_t)1 << 29)

struct read_query {
    struct qry_fetched fetched;
    size_t request;
    bool asked; /* else the range is empty */
};

struct read_state {
    struct qry_read_request request;
    struct read_query *queries;
    struct nx_buf answer; /* SAMPLES: compressed */
    size_t sent;
    /* the stream stands at this series of this query */
    size_t query, series;
    bool open;
    struct qry_read_chunks chunks;
    struct nx_buf labels, frame, chunk, scratch;
};

/* --- the request --- */

static enum nx_err decompress(struct qry_job *op, struct nx_view *out, struct nx_fail *fail)
{
    struct nx_view body = nx_http_request_body(op->req);
    size_t len = 0;
    if (body.len == 0 || snappy_uncompressed_length(body.ptr, body.len, &len) != SNAPPY_OK)
        return nx_fail_set(fail, NX_ERR_INVALID, "snappy: corrupt input");
    if (len > QRY_READ_MAX_BYTES)
        return nx_fail_set(fail, NX_ERR_INVALID, "snappy: decoded block is too large");
    char *bytes = nx_arena_alloc(&op->arena, len + 1);
    if (!bytes)
        return NX_ERR_NOMEM;
    if (snappy_uncompress(body.ptr, body.len, bytes, &len) != SNAPPY_OK)
        return nx_fail_set(fail, NX_ERR_INVALID, "snappy: corrupt input");
    *out = nx_view_make(bytes, len);
    return NX_OK;
}

static bool ask_query(struct qry_job *op, const struct read_state *state, size_t i)
{
    const struct qry_read_query *query = &state->request.queries[i];
    struct nx_buf body;
    if (query->min_t > query->max_t)
        return true;
    state->queries[i].asked = true;
    state->queries[i].request = op->request_count;
    nx_buf_init(&body, QRY_READ_MAX_BYTES * 2);
    qry_put_select_request(
        &body, &(struct qry_select_request){
                   .tenant = op->tenant,
                   .matchers = {query->matchers, query->matcher_count},
                   .min_t = query->min_t > QRY_TIME_MIN ? query->min_t : QRY_TIME_MIN,
                   .max_t = query->max_t < QRY_TIME_MAX ? query->max_t : QRY_TIME_MAX,
                   .labels_only = query->labels_only && state->request.type == QRY_READ_SAMPLES,
                   .max_chunk_bytes = (uint64_t)op->qry->deps.settings->max_fetched_bytes,
               });
    return qry_job_ask(op, "select", true, &body);
}

static struct read_state *state_new(struct qry_job *op)
{
    struct read_state *state = nx_arena_calloc(&op->arena, 1, sizeof *state);
    if (!state)
        return NULL;
    nx_buf_init(&state->answer, (size_t)op->qry->deps.settings->max_memory_bytes);
    nx_buf_init(&state->labels, MAX_FRAME_BYTES);
    nx_buf_init(&state->frame, MAX_FRAME_BYTES);
    nx_buf_init(&state->chunk, MAX_FRAME_BYTES);
    nx_buf_init(&state->scratch, MAX_FRAME_BYTES);
    op->state = state;
    return state;
}

bool qry_read_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    struct nx_view bytes = {0};
    struct read_state *state = state_new(op);
    if (!state)
        return qry_job_nomem(op);
    enum nx_err err = decompress(op, &bytes, &fail);
    if (!err)
        err = qry_read_request_decode(&op->arena, bytes, &state->request, &fail);
    if (err)
        return qry_job_fail_err(op, err, &fail);
    size_t count = state->request.count;
    state->queries = nx_arena_calloc(&op->arena, count + 1, sizeof *state->queries);
    if (!state->queries)
        return qry_job_nomem(op);
    for (size_t i = 0; i < count; i++)
        if (!ask_query(op, state, i))
            return false;
    /* The answer has no place for a warning: a part of it only to those who ask for that. */
    if (qry_job_param(op, "partial_response").len == 0)
        op->partial = false;
    if (state->request.type == QRY_READ_SAMPLES) {
        op->content_type = "application/x-protobuf";
        op->content_encoding = "snappy";
    } else {
        op->content_type = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    }
    return true;
}

static enum nx_err take_answers(struct qry_job *op, struct read_query *query)
{
    enum nx_err err = NX_OK;
    qry_fetched_init(&query->fetched, &op->arena);
    if (query->asked)
        err = qry_fetched_take(&query->fetched, op->fanout, query->request, op->tenant);
    if (!err)
        qry_fetched_sort(&query->fetched);
    qry_fetched_release(&query->fetched);
    return err;
}

static bool fail_data(struct qry_job *op, enum nx_err err)
{
    if (err == NX_ERR_CORRUPT)
        return qry_job_fail(op, QRY_API_INTERNAL, "an ingester sent damaged data");
    if (err == NX_ERR_TOO_LARGE)
        return qry_job_fail(
            op, QRY_API_EXECUTION,
            "the answer needs more than %lld bytes of memory (query.max-memory-bytes)",
            (long long)op->qry->deps.settings->max_memory_bytes);
    return qry_job_fail_err(op, err, NULL);
}

/* --- SAMPLES --- */

/* One query's part of the answer. */
struct result {
    struct nx_buf *out;
    struct nx_buf series, scratch;
    uint64_t samples, max_samples;
    bool labels_only;
};

static int put_samples(struct result *result, const struct nx_chunk *chunks, size_t count,
                       const struct qry_read_query *query)
{
    struct nx_sample_iter *iter;
    struct nx_sample sample;
    enum nx_err err = nx_chunks_iter_new(chunks, count, query->min_t, query->max_t, &iter);
    if (err)
        return err;
    int status;
    while ((status = nx_sample_next(iter, &sample)) > 0 &&
           ++result->samples <= result->max_samples) {
        if (sample.histogram)
            qry_put_read_histogram(&result->series, &result->scratch, sample.t, sample.histogram);
        else
            qry_put_read_sample(&result->series, sample.t, sample.value);
    }
    nx_sample_iter_free(iter);
    return status < 0 ? status : NX_OK;
}

static enum nx_err put_series(struct result *result, const struct qry_fetched_series *series,
                              const struct qry_read_query *query)
{
    nx_buf_clear(&result->series);
    qry_put_read_labels(&result->series, series->labels);
    uint64_t before = result->samples;
    int status = NX_OK;
    if (!result->labels_only)
        status = put_samples(result, series->chunks, series->chunk_count, query);
    if (status < 0)
        return (enum nx_err)status;
    if (nx_buf_err(&result->series) != NX_OK)
        return nx_buf_err(&result->series);
    if (result->samples > before || result->labels_only)
        qry_wire_put_element(result->out, 1, nx_buf_view(&result->series));
    return nx_buf_err(result->out);
}

/* A QueryResult in front of which its length belongs. */
static enum nx_err wrap_result(struct nx_buf *out, size_t begin)
{
    struct nx_buf head;
    size_t len = out->len - begin;
    nx_buf_init(&head, 32);
    nx_buf_put_u8(&head, 1 << 3 | 2);
    nx_buf_put_uvarint(&head, len);
    enum nx_err err = nx_buf_err(&head);
    if (!err)
        err = nx_buf_reserve(out, head.len);
    if (!err) {
        if (len > 0)
            memmove(out->data + begin + head.len, out->data + begin, len);
        memcpy(out->data + begin, head.data, head.len);
        out->len += head.len;
    }
    nx_buf_release(&head);
    return err;
}

static bool put_result(struct qry_job *op, struct read_state *state, size_t i, struct nx_buf *out)
{
    const struct qry_read_query *query = &state->request.queries[i];
    const struct qry_fetched *fetched = &state->queries[i].fetched;
    struct result result = {.out = out,
                            .max_samples = (uint64_t)op->qry->deps.settings->max_samples,
                            .labels_only = query->labels_only};
    nx_buf_init(&result.series, out->max);
    nx_buf_init(&result.scratch, out->max);
    size_t begin = out->len;
    enum nx_err err = NX_OK;
    for (size_t k = 0; k < fetched->count && !err && result.samples <= result.max_samples; k++) {
        if (atomic_load(&op->cancel))
            err = NX_ERR_CANCELED;
        else if (nx_now_ns(op->qry->deps.clock) > op->deadline_ns)
            err = NX_ERR_TIMEOUT;
        else
            err = put_series(&result, &fetched->series[k], query);
    }
    if (!err)
        err = wrap_result(out, begin);
    nx_buf_release(&result.series);
    nx_buf_release(&result.scratch);
    nx_metric_add(op->qry->metrics, QRY_METRIC_SAMPLES, 0, (double)result.samples);
    if (err)
        return fail_data(op, err);
    if (result.samples > result.max_samples)
        return qry_job_fail(op, QRY_API_BAD_DATA, "exceeded sample limit (%lld)",
                            (long long)result.max_samples);
    return true;
}

static bool compress(struct qry_job *op, struct nx_view plain, struct nx_buf *out)
{
    size_t len = snappy_max_compressed_length(plain.len);
    if (plain.len > UINT32_MAX)
        return fail_data(op, NX_ERR_TOO_LARGE);
    nx_buf_init(out, len);
    if (nx_buf_reserve(out, len) != NX_OK)
        return qry_job_nomem(op);
    if (snappy_compress(plain.len ? plain.ptr : "", plain.len, out->data, &len) != SNAPPY_OK)
        return qry_job_fail(op, QRY_API_INTERNAL, "snappy: compression failed");
    out->len = len;
    return true;
}

static bool make_samples(struct qry_job *op, struct read_state *state)
{
    struct nx_buf plain;
    bool ok = true;
    nx_buf_init(&plain, (size_t)op->qry->deps.settings->max_memory_bytes);
    for (size_t i = 0; i < state->request.count && ok; i++)
        ok = put_result(op, state, i, &plain);
    ok = ok && compress(op, nx_buf_view(&plain), &state->answer);
    nx_buf_release(&plain);
    return ok;
}

/* On to the client, a piece at a time. */
static bool send_samples(struct read_state *state, struct nx_buf *out)
{
    size_t len = state->answer.len - state->sent;
    if (len > QRY_PIECE_BYTES)
        len = QRY_PIECE_BYTES;
    nx_buf_append(out, state->answer.data + state->sent, len);
    state->sent += len;
    return state->sent == state->answer.len;
}

/* --- STREAMED_XOR_CHUNKS --- */

/* False past the last series of the last query. */
static bool open_series(struct read_state *state)
{
    while (state->query < state->request.count) {
        struct read_query *query = &state->queries[state->query];
        const struct qry_read_query *asked = &state->request.queries[state->query];
        if (state->series < query->fetched.count) {
            struct qry_fetched_series *series = &query->fetched.series[state->series++];
            nx_buf_clear(&state->labels);
            qry_put_read_labels(&state->labels, series->labels);
            qry_read_chunks_init(&state->chunks, series, asked->min_t, asked->max_t);
            state->open = true;
            return true;
        }
        state->query++;
        state->series = 0;
    }
    return false;
}

static void flush_frame(struct read_state *state, struct nx_buf *out)
{
    if (state->frame.len > 0)
        qry_put_read_frame(out, &state->scratch, nx_buf_view(&state->frame), state->query);
    nx_buf_clear(&state->frame);
}

static enum nx_err put_chunk(struct read_state *state, const struct nx_prom_chunk *chunk,
                             struct nx_buf *out)
{
    nx_buf_clear(&state->chunk);
    qry_put_read_chunk(&state->chunk, chunk);
    if (state->frame.len + state->chunk.len > FRAME_BYTES)
        flush_frame(state, out);
    if (state->frame.len == 0)
        nx_buf_append_view(&state->frame, nx_buf_view(&state->labels));
    nx_buf_append_view(&state->frame, nx_buf_view(&state->chunk));
    enum nx_err err = nx_buf_err(&state->chunk);
    return err ? err : nx_buf_err(&state->frame);
}

static bool send_chunks(struct qry_job *op, struct read_state *state, struct nx_buf *out)
{
    while (out->len < QRY_PIECE_BYTES && !atomic_load(&op->cancel)) {
        struct nx_prom_chunk chunk;
        if (!state->open && !open_series(state))
            return true;
        int status = qry_read_chunks_next(&state->chunks, &chunk);
        if (status > 0)
            status = put_chunk(state, &chunk, out);
        else if (status == 0) {
            flush_frame(state, out);
            state->open = false;
        }
        if (status < 0)
            return fail_data(op, (enum nx_err)status);
    }
    return false;
}

/* --- the answer --- */

bool qry_read_evaluate(struct qry_job *op)
{
    struct read_state *state = op->state;
    for (size_t i = 0; i < state->request.count; i++) {
        enum nx_err err = take_answers(op, &state->queries[i]);
        if (err)
            return fail_data(op, err);
    }
    return state->request.type == QRY_READ_CHUNKS || make_samples(op, state);
}

bool qry_read_render(struct qry_job *op, struct qry_json *json)
{
    struct read_state *state = op->state;
    if (state->request.type == QRY_READ_SAMPLES)
        return send_samples(state, json->out);
    return send_chunks(op, state, json->out);
}

void qry_read_release(struct qry_job *op)
{
    struct read_state *state = op->state;
    qry_read_chunks_release(&state->chunks);
    qry_read_request_release(&state->request);
    nx_buf_release(&state->answer);
    nx_buf_release(&state->labels);
    nx_buf_release(&state->frame);
    nx_buf_release(&state->chunk);
    nx_buf_release(&state->scratch);
}
