/* Segments go to the socket in the order of their requests. A segment belongs to its request until
 * it is given to libuv, then to libuv until it calls back, which it always does, with ECANCELED
 * after a close.
 *
 * `uv_write` never refuses, so the bound is ours. What counts is what has not been called back, not
 * what the socket has not taken: a segment's memory lives until its callback, and a writer that
 * outruns the loop on a fast socket must give the loop a turn. A stream is told to stop at the
 * high-water mark and called again at half of it, and no further request of the connection is read
 * while that much is under way. */
#include <assert.h>

#include "common/base/alloc.h"
#include "common/net/http_server_internal.h"

struct nx_http_segment *nx_http_segment_new(struct nx_http_request *req)
{
    struct nx_http_segment *segment = &req->first_segment;
    if (!req->first_segment_used) {
        req->first_segment_used = true;
        *segment = (struct nx_http_segment){.req = req};
        return segment;
    }
    segment = nx_calloc(1, sizeof(*segment));
    if (segment) {
        segment->req = req;
        segment->heap = true;
    }
    return segment;
}

void nx_http_segment_part(struct nx_http_segment *segment, const char *bytes, size_t len)
{
    if (len == 0) {
        return;
    }
    assert(segment->part_count < NX_HTTP_SEGMENT_PARTS);
    /* libuv takes the bytes without const but only reads them */
    uv_buf_t *part = &segment->parts[segment->part_count++];
    part->base = (char *)(uintptr_t)bytes;
    part->len = len;
    segment->bytes += len;
}

void nx_http_segment_free(struct nx_http_segment *segment)
{
    nx_free(segment->owned);
    segment->owned = NULL;
    if (segment->heap) {
        nx_free(segment);
    } else {
        segment->req->first_segment_used = false;
    }
}

/* Frees a segment that was on its way. */
static void retire(struct nx_http_segment *segment)
{
    segment->req->unsent_bytes -= segment->bytes;
    segment->req->conn->unsent_bytes -= segment->bytes;
    nx_http_segment_free(segment);
}

void nx_http_drop_pending(struct nx_http_request *req)
{
    while (req->pending) {
        struct nx_http_segment *segment = req->pending;
        req->pending = segment->next;
        retire(segment);
    }
    req->last_pending = &req->pending;
}

static void offer_drain(struct nx_http_request *req)
{
    size_t low = req->conn->shard->server->options.write_high_water_bytes / 2;
    if (req->wants_drain && req->unsent_bytes <= low) {
        req->wants_drain = false;
        if (req->drained) {
            req->drained(req->drained_user);
        }
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct nx_http_segment *segment = write->data;
    struct nx_http_request *req = segment->req;
    struct nx_http_conn *conn = req->conn;
    nx_http_conn_ref(conn);
    if (status == 0) {
        nx_metric_add(conn->shard->server->metrics, NX_HTTP_SENT_BYTES, 0, (double)segment->bytes);
    }
    retire(segment);
    req->writing--;
    if (status != 0 && !conn->closing) {
        nx_http_conn_abort(conn);
    }
    bool ends =
        req->close_after && req->answer == NX_ANSWER_ENDED && !req->pending && req->writing == 0;
    bool reset = req->broken && !req->chunked;
    if (!conn->closing && req->answer == NX_ANSWER_STREAM) {
        offer_drain(req);
    }
    nx_http_request_settle(req);
    if (ends && reset) {
        nx_http_conn_reset(conn);
    } else if (ends) {
        nx_http_conn_end(conn);
    }
    nx_http_flush(conn);
    nx_http_conn_advance(conn);
    nx_http_conn_unref(conn);
}

static bool submit(struct nx_http_segment *segment)
{
    struct nx_http_request *req = segment->req;
    struct nx_http_conn *conn = req->conn;
    uv_stream_t *stream = (uv_stream_t *)&conn->tcp;
    if (uv_stream_get_write_queue_size(stream) == 0) {
        conn->write_ms = uv_now(stream->loop);
        conn->write_left = 0;
    }
    segment->write.data = segment;
    if (uv_write(&segment->write, stream, segment->parts, segment->part_count, on_written) != 0) {
        retire(segment);
        return false;
    }
    req->writing++;
    return true;
}

static bool submit_pending(struct nx_http_request *req)
{
    while (req->pending) {
        struct nx_http_segment *segment = req->pending;
        req->pending = segment->next;
        if (!req->pending) {
            req->last_pending = &req->pending;
        }
        if (!submit(segment)) {
            return false;
        }
    }
    return true;
}

/* Without the last chunk an end is enough to be seen as broken; else it takes a reset. */
static void end_broken(const struct nx_http_request *req)
{
    if (req->chunked) {
        nx_http_conn_end(req->conn);
    } else {
        nx_http_conn_reset(req->conn);
    }
}

void nx_http_flush(struct nx_http_conn *conn)
{
    if (conn->closing || conn->shut) {
        return;
    }
    struct nx_http_request *req = conn->first;
    while (req) {
        struct nx_http_request *next = req->next;
        if (!submit_pending(req)) {
            nx_http_conn_abort(conn);
            return;
        }
        if (req->broken && req->answer == NX_ANSWER_ENDED && conn->first == req &&
            req->writing == 0) {
            end_broken(req);
            return;
        }
        if (req->answer != NX_ANSWER_ENDED || req->close_after) {
            return;
        }
        req = next;
    }
}

void nx_http_segment_send(struct nx_http_segment *segment)
{
    struct nx_http_request *req = segment->req;
    if (req->conn->closing) {
        nx_http_segment_free(segment);
        return;
    }
    segment->next = NULL;
    *req->last_pending = segment;
    req->last_pending = &segment->next;
    req->unsent_bytes += segment->bytes;
    req->conn->unsent_bytes += segment->bytes;
    nx_http_flush(req->conn);
}

void nx_http_answer_end(struct nx_http_request *req)
{
    struct nx_http_conn *conn = req->conn;
    assert(req->answer != NX_ANSWER_ENDED);
    req->answer = NX_ANSWER_ENDED;
    nx_http_metrics_answered(req);
    if (req->dispatched) {
        conn->running--;
        conn->running_unsafe -= !nx_http_request_is_safe(req);
    }
    nx_http_conn_ref(conn);
    nx_http_flush(conn);
    nx_http_request_settle(req);
    nx_http_conn_advance(conn);
    nx_http_conn_unref(conn);
}
