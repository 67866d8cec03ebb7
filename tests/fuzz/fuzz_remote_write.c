/* Remote write 1.0: the input as a protobuf message, decoded by the cursor and by protobuf-c, which
 * must agree; what is accepted then goes through resolving (labels, validation, histograms), twice,
 * so that the second time the series cache answers. The input as a compressed body must not do
 * harm either. */
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "distributor/receive/body.h"
#include "distributor/receive/remote_write_v1.h"
#include "distributor/resolve.h"
#include "proto/remote.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dist_limits tenant_limits = {.max = {.max_label_names = 64,
                                                         .max_label_name_bytes = 1024,
                                                         .max_label_value_bytes = 8192,
                                                         .creation_grace_ms = 600000}};

static enum nx_err decode_all(struct nx_view message, struct dist_batch *batch,
                              struct nx_fail *fail)
{
    struct dist_decode_limits limits = {.max_series = 10000, .max_samples = 10000};
    struct nx_label *labels = NULL;
    size_t count = 0;
    enum nx_err err = dist_rw1_decode(message, &limits, batch, fail);
    for (size_t i = 0; i < batch->series_count && !err; i++)
        err = dist_rw1_format.read(batch, batch->series[i].raw_labels, &batch->arena, SIZE_MAX,
                                   &labels, &count, fail);
    for (size_t i = 0; i < batch->exemplar_count && !err; i++)
        err = dist_rw1_format.read(batch, batch->exemplars[i].raw_labels, &batch->arena, SIZE_MAX,
                                   &labels, &count, fail);
    return err;
}

static void compare(struct nx_view message, const struct dist_batch *batch, enum nx_err err,
                    const struct nx_fail *fail)
{
    Prometheus__WriteRequest *want = prometheus__write_request__unpack(
        NULL, message.len, (const uint8_t *)(const void *)message.ptr);
    /* protobuf-c drops the bits of a field number beyond 32; we refuse them. */
    bool quirk = err && strstr(fail->text, "field number");
    if (err != NX_ERR_TOO_LARGE && !quirk && (err == NX_OK) != (want != NULL))
        abort();
    if (!err && want &&
        (batch->series_count != want->n_timeseries || batch->metadata_count != want->n_metadata))
        abort();
    if (want)
        prometheus__write_request__free_unpacked(want, NULL);
}

static void resolve(struct nx_view message, struct dist_cache *cache, struct dist_batch *batch)
{
    struct dist_decode_limits limits = {.max_series = 10000, .max_samples = 10000};
    struct dist_refusals refusals = {.samples = 0};
    struct dist_resolver resolver = {.limits = &tenant_limits,
                                     .cache = cache,
                                     .tenant = NX_VIEW("fuzz"),
                                     .now_ms = INT64_C(1700000000000)};
    dist_batch_clear(batch, 1 << 20);
    if (dist_rw1_decode(message, &limits, batch, NULL) ||
        dist_resolve(&resolver, batch, &refusals, NULL))
        return;
    for (size_t i = 0; i < batch->series_count; i++) {
        struct dist_series *series = &batch->series[i];
        if (!series->refused && dist_resolve_canonical(batch, series))
            abort();
    }
}

static void try_encodings(struct nx_view body)
{
    static const enum dist_encoding all[] = {DIST_ENCODING_SNAPPY, DIST_ENCODING_GZIP,
                                             DIST_ENCODING_ZSTD};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char *out = NULL;
        size_t len = 0;
        if (dist_body_length(all[i], body, 1 << 20, &len, NULL) == NX_OK &&
            dist_body_decode(all[i], body, len, 1 << 20, &out, &len, NULL) == NX_OK)
            nx_free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_view message = nx_view_make(data, size);
    struct nx_fail fail = {.code = NX_OK, .text = ""};
    struct dist_cache *cache = NULL;
    struct dist_batch batch;
    dist_batch_init(&batch);
    enum nx_err err = decode_all(message, &batch, &fail);
    compare(message, &batch, err, &fail);
    if (!err && dist_cache_new(1 << 16, &cache) == NX_OK) {
        resolve(message, cache, &batch);
        resolve(message, cache, &batch);
    }
    try_encodings(message);
    dist_cache_free(cache);
    dist_batch_release(&batch);
    return 0;
}
