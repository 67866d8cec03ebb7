#include "distributor/receive/snappy_body.h"

#include <snappy-c.h>

/* The densest element is a copy of 64 bytes in 3. */
enum { MAX_RATIO = 22, SLACK = 64 };

enum nx_err dist_snappy_length(struct nx_view body, size_t max_bytes, size_t *len,
                               struct nx_fail *fail)
{
    size_t promised = 0;
    if (body.len == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "snappy: the body is empty");
    if (snappy_uncompressed_length(body.ptr, body.len, &promised) != SNAPPY_OK)
        return nx_fail_set(fail, NX_ERR_INVALID, "snappy: the body does not begin with a length");
    if (promised > max_bytes)
        return nx_fail_set(
            fail, NX_ERR_TOO_LARGE,
            "the body decodes to more than the limit (actual: %zu bytes, limit: %zu bytes); send "
            "smaller batches or raise distributor.max-decoded-bytes",
            promised, max_bytes);
    if (promised > body.len * MAX_RATIO + SLACK)
        return nx_fail_set(
            fail, NX_ERR_INVALID,
            "snappy: damaged block: %zu bytes cannot hold the %zu bytes that the length promises",
            body.len, promised);
    *len = promised;
    return NX_OK;
}

enum nx_err dist_snappy_decode(struct nx_view body, char *out, size_t len, struct nx_fail *fail)
{
    size_t got = len;
    if (snappy_uncompress(body.ptr, body.len, out, &got) != SNAPPY_OK || got != len)
        return nx_fail_set(fail, NX_ERR_INVALID, "snappy: damaged block (%zu bytes)", body.len);
    return NX_OK;
}
