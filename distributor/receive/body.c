#include "distributor/receive/body.h"

#include <snappy-c.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/alloc.h"

/* The densest element of snappy is a copy of 64 bytes in 3. */
enum { SNAPPY_MAX_RATIO = 22, SNAPPY_SLACK = 64 };
/* What text and protobuf usually come to, to begin with. */
enum { USUAL_RATIO = 8, MIN_OUTPUT_BYTES = 4096 };
/* A zstd frame may ask for a window of its own: no more than 8 MiB, which every encoder's defaults
 * stay within. */
enum { ZSTD_WINDOW_LOG_MAX = 23 };

static enum nx_err too_large(struct nx_fail *fail, size_t actual, size_t max_bytes)
{
    return nx_fail_set(
        fail, NX_ERR_TOO_LARGE,
        "the body decodes to more than the limit (actual: %zu bytes%s, limit: %zu bytes); send "
        "smaller batches or raise distributor.max-decoded-bytes",
        actual, actual > max_bytes ? "" : " and more", max_bytes);
}

/* --- snappy --- */

static enum nx_err snappy_length(struct nx_view body, size_t max_bytes, size_t *len,
                                 struct nx_fail *fail)
{
    size_t promised = 0;
    if (body.len == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "snappy: the body is empty");
    if (snappy_uncompressed_length(body.ptr, body.len, &promised) != SNAPPY_OK)
        return nx_fail_set(fail, NX_ERR_INVALID, "snappy: the body does not begin with a length");
    if (promised > max_bytes)
        return too_large(fail, promised, max_bytes);
    if (promised > body.len * SNAPPY_MAX_RATIO + SNAPPY_SLACK)
        return nx_fail_set(
            fail, NX_ERR_INVALID,
            "snappy: damaged block: %zu bytes cannot hold the %zu bytes that the length promises",
            body.len, promised);
    *len = promised;
    return NX_OK;
}

static enum nx_err decode_snappy(struct nx_view body, char *out, size_t len, struct nx_fail *fail)
{
    size_t got = len;
    if (snappy_uncompress(body.ptr, body.len, out, &got) != SNAPPY_OK || got != len)
        return nx_fail_set(fail, NX_ERR_INVALID, "snappy: damaged block (%zu bytes)", body.len);
    return NX_OK;
}

/* --- formats whose length shows while they are decoded --- */

struct output {
    char *bytes;
    size_t len, capacity, max_bytes;
};

static enum nx_err make_room(struct output *out, struct nx_fail *fail)
{
    if (out->len < out->capacity)
        return NX_OK;
    if (out->capacity >= out->max_bytes)
        return too_large(fail, out->len, out->max_bytes);
    size_t capacity = out->capacity * 2 < out->max_bytes ? out->capacity * 2 : out->max_bytes;
    char *bytes = nx_realloc(out->bytes, capacity);
    if (!bytes)
        return NX_ERR_NOMEM;
    out->bytes = bytes;
    out->capacity = capacity;
    return NX_OK;
}

static unsigned take_upto(size_t n)
{
    return n > 1u << 30 ? 1u << 30 : (unsigned)n;
}

/* One gzip member; none may follow. */
static enum nx_err inflate_all(z_stream *z, struct nx_view body, struct output *out,
                               struct nx_fail *fail)
{
    size_t at = 0;
    for (;;) {
        enum nx_err err = make_room(out, fail);
        if (err)
            return err;
        if (z->avail_in == 0) {
            z->avail_in = take_upto(body.len - at);
            z->next_in = (Bytef *)(uintptr_t)(body.ptr + at);
            at += z->avail_in;
        }
        z->avail_out = take_upto(out->capacity - out->len);
        z->next_out = (Bytef *)out->bytes + out->len;
        unsigned room = z->avail_out;
        int state = inflate(z, Z_NO_FLUSH);
        out->len += room - z->avail_out;
        if (state == Z_STREAM_END && at == body.len && z->avail_in == 0)
            return NX_OK;
        if (state == Z_MEM_ERROR)
            return NX_ERR_NOMEM;
        if (state == Z_STREAM_END)
            return nx_fail_set(fail, NX_ERR_INVALID, "gzip: more bytes behind the end");
        if (state != Z_OK && state != Z_BUF_ERROR)
            return nx_fail_set(fail, NX_ERR_INVALID, "gzip: %s", z->msg ? z->msg : "damaged");
        if (z->avail_out > 0 && z->avail_in == 0 && at == body.len)
            return nx_fail_set(fail, NX_ERR_INVALID, "gzip: the body ends too early");
    }
}

static enum nx_err decode_gzip(struct nx_view body, struct output *out, struct nx_fail *fail)
{
    z_stream z;
    memset(&z, 0, sizeof z);
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return NX_ERR_NOMEM;
    enum nx_err err = inflate_all(&z, body, out, fail);
    (void)inflateEnd(&z);
    return err;
}

static enum nx_err decode_zstd(struct nx_view body, struct output *out, struct nx_fail *fail)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context)
        return NX_ERR_NOMEM;
    (void)ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    ZSTD_inBuffer in = {.src = body.ptr, .size = body.len};
    enum nx_err err = NX_OK;
    size_t left = 1;
    while (!err && (in.pos < in.size || left > 0)) {
        err = make_room(out, fail);
        if (err)
            break;
        size_t before = in.pos;
        ZSTD_outBuffer to = {.dst = out->bytes + out->len, .size = out->capacity - out->len};
        left = ZSTD_decompressStream(context, &to, &in);
        out->len += to.pos;
        if (ZSTD_isError(left))
            err = nx_fail_set(fail, NX_ERR_INVALID, "zstd: %s", ZSTD_getErrorName(left));
        else if (left > 0 && to.pos == 0 && in.pos == before)
            err = nx_fail_set(fail, NX_ERR_INVALID, "zstd: the body ends too early");
    }
    (void)ZSTD_freeDCtx(context);
    return err;
}

/* --- all --- */

enum nx_err dist_body_length(enum dist_encoding encoding, struct nx_view body, size_t max_bytes,
                             size_t *len, struct nx_fail *fail)
{
    size_t guess = body.len * USUAL_RATIO + MIN_OUTPUT_BYTES;
    switch (encoding) {
    case DIST_ENCODING_SNAPPY:
        return snappy_length(body, max_bytes, len, fail);
    case DIST_ENCODING_IDENTITY:
        *len = body.len;
        return body.len > max_bytes ? too_large(fail, body.len, max_bytes) : NX_OK;
    case DIST_ENCODING_GZIP:
    case DIST_ENCODING_ZSTD:
        *len = guess < max_bytes ? guess : max_bytes;
        return NX_OK;
    }
    return NX_ERR_UNSUPPORTED;
}

enum nx_err dist_body_decode(enum dist_encoding encoding, struct nx_view body, size_t expected,
                             size_t max_bytes, char **out, size_t *len, struct nx_fail *fail)
{
    struct output output = {.capacity = expected, .max_bytes = max_bytes};
    output.bytes = nx_alloc(expected);
    if (!output.bytes)
        return NX_ERR_NOMEM;
    enum nx_err err = NX_OK;
    switch (encoding) {
    case DIST_ENCODING_SNAPPY:
        err = decode_snappy(body, output.bytes, expected, fail);
        output.len = expected;
        break;
    case DIST_ENCODING_IDENTITY:
        if (expected > 0)
            memcpy(output.bytes, body.ptr, expected);
        output.len = expected;
        break;
    case DIST_ENCODING_GZIP:
        err = decode_gzip(body, &output, fail);
        break;
    case DIST_ENCODING_ZSTD:
        err = decode_zstd(body, &output, fail);
        break;
    }
    if (err) {
        nx_free(output.bytes);
        return err;
    }
    *out = output.bytes;
    *len = output.len;
    return NX_OK;
}
