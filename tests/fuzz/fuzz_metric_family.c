/* The exposition format as protobuf: the first byte of the input chooses what becomes of
 * histograms, the rest is the stream. The reader and protobuf-c must agree on what is well formed
 * and on how many families there are; what is accepted then goes through resolving twice. */
#include <string.h>

#include "distributor/receive/metric_family.h"
#include "proto/metrics.pb-c.h"
#include "tests/fuzz/take_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What protobuf-c makes of the stream: how many families have metrics, or -1. */
static long count_families(struct nx_view body)
{
    long count = 0;
    while (body.len > 0) {
        uint64_t len = 0;
        size_t at = 0;
        do {
            if (at == body.len || at == 10)
                return -1;
            len |= at < 9 ? (uint64_t)(body.ptr[at] & 0x7f) << (7 * at)
                          : (uint64_t)(body.ptr[at] & 1) << 63;
        } while (body.ptr[at++] & 0x80);
        if (len > body.len - at)
            return -1;
        Io__Prometheus__Client__MetricFamily *family =
            io__prometheus__client__metric_family__unpack(
                NULL, (size_t)len, (const uint8_t *)(const void *)(body.ptr + at));
        if (!family)
            return -1;
        count += family->n_metric > 0;
        io__prometheus__client__metric_family__free_unpacked(family, NULL);
        body = nx_view_make(body.ptr + at + len, body.len - at - (size_t)len);
    }
    return count;
}

/* The choice travels as the length of the query. */
static enum nx_err decode(const struct dist_intake *intake, struct dist_batch *batch,
                          struct nx_fail *fail)
{
    struct dist_metric_families options = {.native_histograms = intake->query.len & 1,
                                           .classic_too = intake->query.len & 2,
                                           .default_ms = intake->now_ms,
                                           .limits = intake->limits};
    return dist_metric_families_decode(&options, intake->message, batch, fail);
}

static enum nx_err negotiate(const struct dist_headers *headers, struct dist_form *form,
                             struct nx_fail *fail)
{
    (void)headers;
    (void)fail;
    form->decode = decode;
    return NX_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dist_stream stream = {.negotiate = negotiate};
    struct nx_fail fail = {.code = NX_OK, .text = ""};
    struct dist_batch batch;
    if (size == 0)
        return 0;
    struct nx_view choice = nx_view_make("???", data[0] % 4);
    struct nx_view body = nx_view_make(data + 1, size - 1);
    struct dist_intake intake = {.message = body, .query = choice, .limits = &fuzz_decode_limits};
    dist_batch_init(&batch);
    enum nx_err err = decode(&intake, &batch, &fail);
    long families = count_families(body);
    /* Messages of another type than the family's are passed over unread, what a value's message
     * has beside its value too; where the reader refuses, it may be for what a family is. */
    if (!err && families >= 0 && (size_t)families != batch.metadata_count)
        abort();
    if (err == NX_ERR_INVALID && families >= 0 && !strstr(nx_fail_text(&fail), "metric") &&
        !strstr(nx_fail_text(&fail), "field number"))
        abort();
    dist_batch_release(&batch);
    fuzz_take_stream(&stream, NX_VIEW(""), NX_VIEW(""), choice, body);
    return 0;
}
