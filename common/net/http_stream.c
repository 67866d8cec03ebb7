/* Answers in pieces: chunks in HTTP/1.1, all up to the connection's end in HTTP/1.0. Pieces are not
 * copied: a segment owns the memory it was given. After a failure, or when the client is gone,
 * pieces go nowhere and the handler finds out nothing it would have to act on: it ends the stream
 * as usual. */
#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/net/http_server_internal.h"

void nx_http_stream_begin(struct nx_http_request *req, int status, const char *type,
                          void (*drained)(void *user), void *user)
{
    req->close_after |= req->http_1_0;
    nx_http_answer_begin(req, status);
    req->chunked = !req->http_1_0 && !nx_http_status_has_no_body(status);
    req->drained = drained;
    req->drained_user = user;
    enum nx_encoding encoding = nx_http_answer_encoding(req);
    if (encoding != NX_ENCODING_IDENTITY && !req->no_body &&
        nx_deflater_new(encoding, &req->deflater) != NX_OK) {
        encoding = NX_ENCODING_IDENTITY;
    }
    req->answer = NX_ANSWER_STREAM;
    struct nx_http_segment *segment =
        nx_http_answer_head(req, type, -1, encoding, nx_view_make(NULL, 0));
    if (segment) {
        nx_http_segment_send(segment);
    } else {
        req->broken = true;
    }
}

/* Sends bytes of the body, whose memory it takes over, as a chunk; `last` adds the one that ends
 * the body. */
static void send_chunk(struct nx_http_request *req, struct nx_buf *piece, bool last)
{
    static const char line_end[] = "\r\n";
    static const char end_alone[] = "0\r\n\r\n";
    static const char end_after[] = "\r\n0\r\n\r\n";
    size_t len = 0;
    char *bytes = nx_buf_take(piece, &len);
    if (len == 0 && !(last && req->chunked)) {
        nx_free(bytes);
        return;
    }
    struct nx_http_segment *segment = nx_http_segment_new(req);
    if (!segment) {
        nx_free(bytes);
        req->broken = true;
        return;
    }
    segment->owned = bytes;
    if (!req->chunked) {
        nx_http_segment_part(segment, bytes, len);
    } else if (len == 0) {
        nx_http_segment_part(segment, end_alone, sizeof(end_alone) - 1);
    } else {
        int size = snprintf(segment->chunk_line, sizeof(segment->chunk_line), "%zx\r\n", len);
        nx_http_segment_part(segment, segment->chunk_line, (size_t)size);
        nx_http_segment_part(segment, bytes, len);
        const char *tail = last ? end_after : line_end;
        nx_http_segment_part(segment, tail, last ? sizeof(end_after) - 1 : sizeof(line_end) - 1);
    }
    nx_http_segment_send(segment);
}

/* Compresses the piece in place of it; false where memory failed. */
static bool pack_piece(struct nx_http_request *req, struct nx_buf *piece, bool last)
{
    struct nx_buf packed;
    nx_buf_init(&packed, SIZE_MAX / 2);
    enum nx_err err = nx_deflater_write(req->deflater, nx_buf_view(piece), last, &packed);
    nx_buf_release(piece);
    if (err != NX_OK) {
        nx_buf_release(&packed);
        req->broken = true;
        return false;
    }
    *piece = packed;
    return true;
}

bool nx_http_stream_write(struct nx_http_request *req, struct nx_buf *piece)
{
    assert(nx_http_request_is_here(req));
    assert(req->answer == NX_ANSWER_STREAM);
    struct nx_buf taken = *piece;
    nx_buf_init(piece, piece->max);
    if (req->conn->closing || req->broken || req->no_body || taken.len == 0) {
        nx_buf_release(&taken);
        return true;
    }
    if (req->deflater && !pack_piece(req, &taken, false)) {
        return true;
    }
    send_chunk(req, &taken, false);
    if (req->conn->closing ||
        req->unsent_bytes <= req->conn->shard->server->options.write_high_water_bytes) {
        return true;
    }
    req->wants_drain = true;
    return false;
}

void nx_http_stream_end(struct nx_http_request *req)
{
    assert(nx_http_request_is_here(req));
    assert(req->answer == NX_ANSWER_STREAM);
    struct nx_buf rest;
    nx_buf_init(&rest, SIZE_MAX / 2);
    if (!req->conn->closing && !req->broken && !req->no_body &&
        (!req->deflater || pack_piece(req, &rest, true))) {
        send_chunk(req, &rest, true);
    }
    if (req->broken) {
        nx_http_answer_fail(req);
    } else {
        nx_http_answer_end(req);
    }
}

void nx_http_stream_abort(struct nx_http_request *req)
{
    assert(nx_http_request_is_here(req));
    assert(req->answer == NX_ANSWER_STREAM);
    nx_http_answer_fail(req);
}
