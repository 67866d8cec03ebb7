/* Remote write 2.0: the input as a protobuf message, decoded by the cursor and by protobuf-c, which
 * must agree on what is well formed; what is accepted then goes through resolving twice, so that
 * the second time the series cache answers. */
#include <stdlib.h>
#include <string.h>

#include "distributor/receive/remote_write_v2.h"
#include "distributor/resolve.h"
#include "proto/remote_write_v2.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dist_limits tenant_limits = {.max = {.max_label_names = 64,
                                                         .max_label_name_bytes = 1024,
                                                         .max_label_value_bytes = 8192,
                                                         .creation_grace_ms = 600000}};
static const struct dist_decode_limits limits = {.max_series = 10000, .max_samples = 10000};

static void compare(struct nx_view message, const struct dist_batch *batch, enum nx_err err,
                    const struct nx_fail *fail)
{
    Io__Prometheus__Write__V2__Request *want = io__prometheus__write__v2__request__unpack(
        NULL, message.len, (const uint8_t *)(const void *)message.ptr);
    /* protobuf-c drops the bits of a field number beyond 32; we refuse them. */
    bool stricter =
        err && (strstr(fail->text, "field number") || strstr(fail->text, "the first symbol"));
    if (err != NX_ERR_TOO_LARGE && !stricter && (err == NX_OK) != (want != NULL))
        abort();
    if (!err && want &&
        (batch->series_count != want->n_timeseries || batch->symbol_count != want->n_symbols))
        abort();
    if (want)
        io__prometheus__write__v2__request__free_unpacked(want, NULL);
}

static void resolve(struct nx_view message, struct dist_cache *cache, struct dist_batch *batch)
{
    struct dist_refusals refusals = {.samples = 0};
    struct dist_resolver resolver = {.limits = &tenant_limits,
                                     .cache = cache,
                                     .tenant = NX_VIEW("fuzz"),
                                     .now_ms = INT64_C(1700000000000)};
    dist_batch_clear(batch, 1 << 20);
    if (dist_rw2_decode(message, &limits, batch, NULL) ||
        dist_resolve(&resolver, batch, &refusals, NULL))
        return;
    for (size_t i = 0; i < batch->series_count; i++) {
        struct dist_series *series = &batch->series[i];
        if (!series->refused && dist_resolve_canonical(batch, series))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_view message = nx_view_make(data, size);
    struct nx_fail fail = {.code = NX_OK, .text = ""};
    struct dist_cache *cache = NULL;
    struct dist_batch batch;
    dist_batch_init(&batch);
    enum nx_err err = dist_rw2_decode(message, &limits, &batch, &fail);
    compare(message, &batch, err, &fail);
    if (!err && dist_cache_new(1 << 16, &cache) == NX_OK) {
        resolve(message, cache, &batch);
        resolve(message, cache, &batch);
    }
    dist_cache_free(cache);
    dist_batch_release(&batch);
    return 0;
}
