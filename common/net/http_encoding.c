#define ZLIB_CONST
#include "common/net/http_encoding.h"

#include <limits.h>
#include <zlib.h>

#include "common/base/alloc.h"

/* Query results are repetitive text: a low level already takes most of it off, at a third of the
 * time of the default. */
enum {
    LEVEL = 3,
    GZIP_WINDOW = 15 + 16,
    ZLIB_WINDOW = 15,
    MEMORY_LEVEL = 8,
    ROOM_BYTES = 16 * 1024
};

struct nx_deflater {
    z_stream stream;
    bool finished;
};

enum nx_encoding nx_encoding_choose(struct nx_view accept_encoding)
{
    while (accept_encoding.len > 0) {
        size_t comma = nx_view_find(accept_encoding, ',');
        struct nx_view token = nx_view_trim(nx_view_make(accept_encoding.ptr, comma));
        if (nx_view_is(token, "gzip")) {
            return NX_ENCODING_GZIP;
        }
        if (nx_view_is(token, "deflate")) {
            return NX_ENCODING_DEFLATE;
        }
        size_t used = comma < accept_encoding.len ? comma + 1 : comma;
        accept_encoding = nx_view_make(accept_encoding.ptr + used, accept_encoding.len - used);
    }
    return NX_ENCODING_IDENTITY;
}

const char *nx_encoding_name(enum nx_encoding encoding)
{
    static const char *const names[NX_ENCODING_COUNT] = {
        [NX_ENCODING_GZIP] = "gzip", [NX_ENCODING_DEFLATE] = "deflate"};
    return names[encoding];
}

static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return nx_calloc(count, size);
}

static void zlib_free(void *opaque, void *ptr)
{
    (void)opaque;
    nx_free(ptr);
}

enum nx_err nx_deflater_new(enum nx_encoding encoding, struct nx_deflater **out)
{
    struct nx_deflater *deflater = nx_calloc(1, sizeof(*deflater));
    if (!deflater) {
        return NX_ERR_NOMEM;
    }
    deflater->stream.zalloc = zlib_alloc;
    deflater->stream.zfree = zlib_free;
    int window = encoding == NX_ENCODING_GZIP ? GZIP_WINDOW : ZLIB_WINDOW;
    if (deflateInit2(&deflater->stream, LEVEL, Z_DEFLATED, window, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        nx_free(deflater);
        return NX_ERR_NOMEM;
    }
    *out = deflater;
    return NX_OK;
}

void nx_deflater_free(struct nx_deflater *deflater)
{
    if (deflater) {
        deflateEnd(&deflater->stream);
        nx_free(deflater);
    }
}

/* Runs deflate until it has taken the input, or has ended where `flush` is Z_FINISH. */
static enum nx_err run(z_stream *stream, int flush, struct nx_buf *out)
{
    int status = Z_OK;
    do {
        enum nx_err err = nx_buf_reserve(out, ROOM_BYTES);
        if (err != NX_OK) {
            return err;
        }
        size_t room = out->capacity - out->len;
        stream->next_out = (Bytef *)out->data + out->len;
        stream->avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
        uInt before = stream->avail_out;
        status = deflate(stream, flush);
        if (status == Z_STREAM_ERROR) {
            return NX_ERR_INTERNAL;
        }
        out->len += before - stream->avail_out;
    } while (flush == Z_FINISH ? status != Z_STREAM_END : stream->avail_out == 0);
    return NX_OK;
}

enum nx_err nx_deflater_write(struct nx_deflater *deflater, struct nx_view piece, bool finish,
                              struct nx_buf *out)
{
    z_stream *stream = &deflater->stream;
    if (deflater->finished) {
        deflateReset(stream);
        deflater->finished = false;
    }
    size_t done = 0;
    do {
        size_t part = piece.len - done > INT_MAX ? INT_MAX : piece.len - done;
        stream->next_in = part > 0 ? (const Bytef *)piece.ptr + done : NULL;
        stream->avail_in = (uInt)part;
        done += part;
        enum nx_err err = run(stream, finish && done == piece.len ? Z_FINISH : Z_NO_FLUSH, out);
        if (err != NX_OK) {
            deflater->finished = true; /* the next call begins afresh */
            return err;
        }
    } while (done < piece.len);
    deflater->finished = finish;
    return NX_OK;
}
