/* What every receiver is put through: a body is decoded by its stream, and what is accepted goes
 * through resolving twice, so that the second time the series cache answers. The cache must not
 * change what becomes of a series. */
#ifndef FUZZ_TAKE_STREAM_H
#define FUZZ_TAKE_STREAM_H

#include <stdlib.h>

#include "distributor/receive/stream.h"
#include "distributor/resolve.h"

static const struct dist_decode_limits fuzz_decode_limits = {.max_series = 10000,
                                                             .max_samples = 10000};

static inline void fuzz_take_once(const struct dist_form *form, const struct dist_intake *intake,
                                  struct dist_cache *cache, struct dist_batch *batch,
                                  uint64_t *refused)
{
    static const struct dist_limits tenant = {.max = {.max_label_names = 64,
                                                      .max_label_name_bytes = 1024,
                                                      .max_label_value_bytes = 8192,
                                                      .creation_grace_ms = 600000}};
    struct dist_refusals refusals = {.samples = 0};
    struct dist_resolver resolver = {.limits = &tenant,
                                     .cache = cache,
                                     .tenant = NX_VIEW("fuzz"),
                                     .now_ms = INT64_C(1700000000000)};
    dist_batch_clear(batch, 1 << 20);
    batch->arena.max_bytes = 1 << 24;
    *refused = 0;
    if (form->decode(intake, batch, NULL) || dist_resolve(&resolver, batch, &refusals, NULL))
        return;
    for (size_t i = 0; i < batch->series_count; i++) {
        struct dist_series *series = &batch->series[i];
        *refused += series->refused;
        if (!series->refused && dist_resolve_canonical(batch, series))
            abort();
    }
}

static inline void fuzz_take_stream(const struct dist_stream *stream, struct nx_view content_type,
                                    struct nx_view path_rest, struct nx_view query,
                                    struct nx_view message)
{
    struct dist_headers headers = {.content_type = content_type};
    struct dist_intake intake = {.message = message,
                                 .path_rest = path_rest,
                                 .query = query,
                                 .now_ms = INT64_C(1700000000000),
                                 .limits = &fuzz_decode_limits};
    struct dist_form form;
    struct dist_cache *cache = NULL;
    struct dist_batch batch;
    uint64_t first = 0, second = 0;
    if (stream->negotiate(&headers, &form, NULL) || dist_cache_new(1 << 16, &cache))
        return;
    dist_batch_init(&batch);
    fuzz_take_once(&form, &intake, cache, &batch, &first);
    fuzz_take_once(&form, &intake, cache, &batch, &second);
    if (first != second)
        abort();
    dist_batch_release(&batch);
    dist_cache_free(cache);
}

/* Cuts the first line off the input. */
static inline struct nx_view fuzz_take_line(struct nx_view *rest)
{
    size_t at = nx_view_find(*rest, '\n');
    struct nx_view line = nx_view_make(rest->ptr, at);
    size_t next = at < rest->len ? at + 1 : at;
    *rest = nx_view_make(rest->ptr + next, rest->len - next);
    return line;
}

#endif
