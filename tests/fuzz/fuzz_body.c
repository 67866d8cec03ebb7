/* Bodies as they travel: the first byte of the input chooses the encoding. The rest is decoded as
 * it is, within its limit; and the rest as a message must come out of its own encoding unchanged,
 * while no cut of that may be taken for the whole. */
#include <snappy-c.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/alloc.h"
#include "distributor/receive/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 18 };

static enum nx_err decode(enum dist_encoding encoding, struct nx_view body, char **out, size_t *len)
{
    enum nx_err err = dist_body_length(encoding, body, MAX_BYTES, len, NULL);
    if (!err)
        err = dist_body_decode(encoding, body, *len, MAX_BYTES, out, len, NULL);
    if (!err && *len > MAX_BYTES)
        abort();
    return err;
}

static size_t encode_gzip(struct nx_view message, char *out, size_t room)
{
    z_stream z;
    memset(&z, 0, sizeof z);
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    z.next_in = (Bytef *)(uintptr_t)message.ptr;
    z.avail_in = (unsigned)message.len;
    z.next_out = (Bytef *)out;
    z.avail_out = (unsigned)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    size_t len = room - z.avail_out;
    (void)deflateEnd(&z);
    return len;
}

static size_t encode(enum dist_encoding encoding, struct nx_view message, char *out, size_t room)
{
    size_t len = room;
    switch (encoding) {
    case DIST_ENCODING_SNAPPY:
        if (snappy_compress(message.ptr, message.len, out, &len) != SNAPPY_OK)
            abort();
        return len;
    case DIST_ENCODING_ZSTD:
        len = ZSTD_compress(out, room, message.ptr, message.len, 1);
        if (ZSTD_isError(len))
            abort();
        return len;
    case DIST_ENCODING_GZIP:
        return encode_gzip(message, out, room);
    case DIST_ENCODING_IDENTITY:
        break;
    }
    abort();
}

static void round_trip(enum dist_encoding encoding, struct nx_view message)
{
    size_t room = message.len * 2 + 1024, len = 0;
    char *body = nx_alloc(room), *out = NULL;
    if (!body)
        return;
    size_t body_len = encode(encoding, message, body, room);
    if (decode(encoding, nx_view_make(body, body_len), &out, &len) != NX_OK || len != message.len ||
        (len > 0 && memcmp(out, message.ptr, len) != 0))
        abort();
    nx_free(out);
    size_t cut = body_len * (message.len % 7) / 7; /* short of the whole */
    if (decode(encoding, nx_view_make(body, cut), &out, &len) == NX_OK)
        abort();
    nx_free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dist_encoding all[] = {DIST_ENCODING_SNAPPY, DIST_ENCODING_GZIP,
                                             DIST_ENCODING_ZSTD};
    if (size == 0 || size > MAX_BYTES)
        return 0;
    enum dist_encoding encoding = all[data[0] % 3];
    struct nx_view rest = nx_view_make(data + 1, size - 1);
    char *out = NULL;
    size_t len = 0;
    if (decode(encoding, rest, &out, &len) == NX_OK)
        nx_free(out);
    round_trip(encoding, rest);
    return 0;
}
