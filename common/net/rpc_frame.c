/* A frame that lies whole within a piece is taken from there without a copy; only one that is
 * spread over pieces is gathered first. */
#include "common/net/rpc_frame.h"

#include <stdio.h>
#include <string.h>

#define HEAD_BYTES 4
#define ERROR_BIT 0x80000000U
#define ERROR_FRAME_MAX 1024

static void put_length(unsigned char *out, uint32_t length)
{
    for (int i = 0; i < HEAD_BYTES; i++) {
        out[i] = (unsigned char)(length >> (8 * i));
    }
}

static uint32_t get_length(const char *bytes)
{
    uint32_t length = 0;
    for (int i = 0; i < HEAD_BYTES; i++) {
        length |= (uint32_t)(unsigned char)bytes[i] << (8 * i);
    }
    return length;
}

bool nx_rpc_frame_wrap(struct nx_buf *message)
{
    size_t len = message->len;
    size_t max = message->max;
    message->max = SIZE_MAX;
    if (len >= ERROR_BIT || nx_buf_reserve(message, HEAD_BYTES) != NX_OK) {
        message->max = max;
        nx_buf_release(message);
        return false;
    }
    memmove(message->data + HEAD_BYTES, message->data, len);
    put_length((unsigned char *)message->data, (uint32_t)len);
    message->len += HEAD_BYTES;
    return true;
}

void nx_rpc_frame_put_end(struct nx_buf *out)
{
    nx_buf_put_u32(out, 0);
}

void nx_rpc_frame_put_error(struct nx_buf *out, enum nx_err err, const char *text)
{
    struct nx_fail fail;
    nx_fail_set(&fail, err, "%s %.*s", nx_err_name(err), NX_RPC_TEXT_MAX,
                text ? text : nx_err_text(err));
    struct nx_view payload = nx_view_of(fail.text);
    nx_buf_put_u32(out, ERROR_BIT | (uint32_t)payload.len);
    nx_buf_append_view(out, payload);
}

enum nx_err nx_rpc_err_parse(struct nx_view name)
{
    static const enum nx_err codes[] = {
#define X(symbol, value, text, http) NX_##symbol,
        NX_ERR_TABLE(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i] != NX_OK && nx_view_is(name, nx_err_name(codes[i]))) {
            return codes[i];
        }
    }
    return NX_ERR_INTERNAL;
}

void nx_rpc_frames_init(struct nx_rpc_frames *frames, size_t max_frame_bytes)
{
    *frames = (struct nx_rpc_frames){.max_frame_bytes = max_frame_bytes};
    nx_buf_init(&frames->partial, SIZE_MAX);
}

void nx_rpc_frames_release(struct nx_rpc_frames *frames)
{
    nx_buf_release(&frames->partial);
}

static void take_error(struct nx_rpc_frames *frames, struct nx_view payload)
{
    size_t space = nx_view_find(payload, ' ');
    frames->err = nx_rpc_err_parse(nx_view_make(payload.ptr, space));
    if (space < payload.len) {
        (void)snprintf(frames->text, sizeof(frames->text), "%.*s", (int)(payload.len - space - 1),
                       payload.ptr + space + 1);
    }
    frames->ended = true;
}

/* The whole size of the frame that begins at `head`, or 0 with *err set. */
static size_t frame_size(const struct nx_rpc_frames *frames, const char *head, enum nx_err *err)
{
    uint32_t length = get_length(head);
    size_t cap = length & ERROR_BIT ? ERROR_FRAME_MAX : frames->max_frame_bytes;
    length &= ~ERROR_BIT;
    if (length > cap) {
        *err = NX_ERR_TOO_LARGE;
        return 0;
    }
    return HEAD_BYTES + (size_t)length;
}

static enum nx_err dispatch(struct nx_rpc_frames *frames, const char *frame, size_t size,
                            nx_rpc_take_frame take, void *user)
{
    struct nx_view payload = nx_view_make(frame + HEAD_BYTES, size - HEAD_BYTES);
    if (get_length(frame) & ERROR_BIT) {
        take_error(frames, payload);
        return NX_OK;
    }
    if (payload.len == 0) {
        frames->ended = true;
        return NX_OK;
    }
    return take(user, payload);
}

/* Moves up to what `partial` lacks of `need` bytes from the piece. */
static enum nx_err gather(struct nx_rpc_frames *frames, struct nx_view *piece, size_t need)
{
    size_t lack = need > frames->partial.len ? need - frames->partial.len : 0;
    size_t take = lack < piece->len ? lack : piece->len;
    nx_buf_append(&frames->partial, piece->ptr, take);
    *piece = nx_view_make(piece->ptr + take, piece->len - take);
    return nx_buf_err(&frames->partial);
}

/* Goes on with the frame in `partial`; *done once it was complete and taken. */
static enum nx_err feed_partial(struct nx_rpc_frames *frames, struct nx_view *piece,
                                nx_rpc_take_frame take, void *user)
{
    enum nx_err err = gather(frames, piece, HEAD_BYTES);
    if (err != NX_OK || frames->partial.len < HEAD_BYTES) {
        return err;
    }
    size_t size = frame_size(frames, frames->partial.data, &err);
    if (err == NX_OK) {
        err = gather(frames, piece, size);
    }
    if (err != NX_OK || frames->partial.len < size) {
        return err;
    }
    err = dispatch(frames, frames->partial.data, size, take, user);
    nx_buf_clear(&frames->partial);
    return err;
}

enum nx_err nx_rpc_frames_feed(struct nx_rpc_frames *frames, struct nx_view piece,
                               nx_rpc_take_frame take, void *user)
{
    enum nx_err err = NX_OK;
    while (piece.len > 0 && err == NX_OK) {
        if (frames->ended) {
            return NX_ERR_CORRUPT;
        }
        if (frames->partial.len > 0 || piece.len < HEAD_BYTES) {
            err = feed_partial(frames, &piece, take, user);
            continue;
        }
        size_t size = frame_size(frames, piece.ptr, &err);
        if (err != NX_OK) {
            return err;
        }
        if (size > piece.len) {
            err = feed_partial(frames, &piece, take, user);
            continue;
        }
        err = dispatch(frames, piece.ptr, size, take, user);
        piece = nx_view_make(piece.ptr + size, piece.len - size);
    }
    return err;
}
