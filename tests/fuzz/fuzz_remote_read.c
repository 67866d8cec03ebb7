/* The bytes of a remote-read request. What decodes keeps within its limits and can be released;
 * what does not says why. */
#include <stdint.h>
#include <stdlib.h>

#include "querier/api/remote_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_arena arena;
    struct qry_read_request request;
    struct nx_fail fail = {0};
    nx_arena_init(&arena, (size_t)256 << 20);
    enum nx_err err = qry_read_request_decode(&arena, nx_view_make(data, size), &request, &fail);
    require(err == NX_OK || err == NX_ERR_INVALID || err == NX_ERR_NOMEM);
    require(err != NX_ERR_INVALID || fail.text[0]);
    require(request.count <= 1000);
    for (size_t i = 0; i < request.count; i++)
        for (size_t k = 0; k < request.queries[i].matcher_count; k++)
            (void)nx_matcher_matches(&request.queries[i].matchers[k], NX_VIEW("value"));
    qry_read_request_release(&request);
    nx_arena_release(&arena);
    return 0;
}
