/* The text formats: the first byte of the input chooses, the rest is the text. What is accepted
 * goes through resolving twice, so that the second time the series cache answers. */
#include <stdlib.h>

#include "distributor/receive/exposition.h"
#include "distributor/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dist_limits tenant_limits = {.max = {.max_label_names = 64,
                                                         .max_label_name_bytes = 1024,
                                                         .max_label_value_bytes = 8192,
                                                         .creation_grace_ms = 600000}};
static const struct dist_decode_limits limits = {.max_series = 10000, .max_samples = 10000};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dist_exposition options = {
        .open_metrics = size > 0 && data[0] & 1, .default_ms = 5, .limits = &limits};
    struct dist_cache *cache = NULL;
    struct dist_batch batch;
    if (size == 0 || dist_cache_new(1 << 16, &cache))
        return 0;
    struct dist_resolver resolver = {.limits = &tenant_limits,
                                     .cache = cache,
                                     .tenant = NX_VIEW("fuzz"),
                                     .now_ms = INT64_C(1700000000000)};
    dist_batch_init(&batch);
    for (int i = 0; i < 2; i++) {
        struct dist_refusals refusals = {.samples = 0};
        dist_batch_clear(&batch, 1 << 20);
        if (dist_exposition_decode(&options, nx_view_make(data + 1, size - 1), &batch, NULL) ||
            dist_resolve(&resolver, &batch, &refusals, NULL))
            break;
        for (size_t k = 0; k < batch.series_count; k++) {
            struct dist_series *series = &batch.series[k];
            if (!series->refused && dist_resolve_canonical(&batch, series))
                abort();
        }
    }
    dist_batch_release(&batch);
    dist_cache_free(cache);
    return 0;
}
