/* OTLP metrics over HTTP (docs/formats/otlp.md). protobuf-c decodes the request into the batch's
 * arena; what it makes of small messages is counted there, so that the arena's cap bounds it. */
#include "distributor/receive/families.h"
#include "distributor/receive/otlp_names.h"
#include "distributor/receive/otlp_points.h"
#include "distributor/receive/otlp_value.h"
#include "distributor/receive/plain_labels.h"
#include "distributor/receive/stream.h"

enum { CUMULATIVE = 2 };
/* As remote write numbers them. */
enum { TYPE_COUNTER = 1, TYPE_GAUGE = 2, TYPE_HISTOGRAM = 3, TYPE_SUMMARY = 5 };

static const char no_name[] = "the metric's name has no letter and no digit";
static const char not_cumulative[] =
    "invalid temporality and type combination: only cumulative sums and histograms are taken";

/* --- memory of protobuf-c --- */

struct memory {
    struct nx_arena *arena;
    bool failed;
};

static void *arena_alloc(void *data, size_t size)
{
    struct memory *memory = data;
    void *ptr = nx_arena_alloc(memory->arena, size);
    memory->failed = memory->failed || !ptr;
    return ptr;
}

static void arena_free(void *data, void *ptr)
{
    (void)data;
    (void)ptr;
}

/* --- metrics --- */

/* What follows from the kind of a metric. */
struct kind {
    uint32_t type;
    enum dist_otlp_suffix suffix;
    bool cumulative; /* or it has no temporality */
};

static struct kind kind_of(const Narthex__Otlp__Metric *metric)
{
    switch ((int)metric->data_case) {
    case NARTHEX__OTLP__METRIC__DATA_GAUGE:
        return (struct kind){TYPE_GAUGE, DIST_OTLP_GAUGE, true};
    case NARTHEX__OTLP__METRIC__DATA_SUM:
        return (struct kind){metric->sum->monotonic ? TYPE_COUNTER : TYPE_GAUGE,
                             metric->sum->monotonic ? DIST_OTLP_TOTAL : DIST_OTLP_PLAIN,
                             metric->sum->temporality == CUMULATIVE};
    case NARTHEX__OTLP__METRIC__DATA_HISTOGRAM:
        return (struct kind){TYPE_HISTOGRAM, DIST_OTLP_PLAIN,
                             metric->histogram->temporality == CUMULATIVE};
    case NARTHEX__OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
        return (struct kind){TYPE_HISTOGRAM, DIST_OTLP_PLAIN,
                             metric->exponential_histogram->temporality == CUMULATIVE};
    case NARTHEX__OTLP__METRIC__DATA_SUMMARY:
        return (struct kind){TYPE_SUMMARY, DIST_OTLP_PLAIN, true};
    default:
        return (struct kind){0, DIST_OTLP_PLAIN, true};
    }
}

static enum nx_err add_points(struct dist_otlp *o, const struct dist_otlp_metric *target,
                              const Narthex__Otlp__Metric *metric)
{
    switch ((int)metric->data_case) {
    case NARTHEX__OTLP__METRIC__DATA_GAUGE:
        return dist_otlp_gauge(o, target, metric->gauge);
    case NARTHEX__OTLP__METRIC__DATA_SUM:
        return dist_otlp_sum(o, target, metric->sum);
    case NARTHEX__OTLP__METRIC__DATA_HISTOGRAM:
        return dist_otlp_histogram(o, target, metric->histogram);
    case NARTHEX__OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
        return dist_otlp_exponential(o, target, metric->exponential_histogram);
    case NARTHEX__OTLP__METRIC__DATA_SUMMARY:
        return dist_otlp_summary(o, target, metric->summary);
    default:
        return NX_OK; /* a metric of no kind has no points */
    }
}

static enum nx_err add_metric(struct dist_otlp *o, struct dist_families *families,
                              const Narthex__Otlp__Metric *metric)
{
    struct kind kind = kind_of(metric);
    struct dist_otlp_metric target = {.broken = kind.cumulative ? NULL : not_cumulative};
    enum nx_err err =
        dist_otlp_metric_name(&o->decoding.batch->arena, dist_otlp_view(metric->name),
                              dist_otlp_view(metric->unit), kind.suffix, &target.name);
    if (err == NX_ERR_INVALID) {
        target.name = dist_otlp_view(metric->name);
        target.broken = no_name;
        err = NX_OK;
    }
    if (err)
        return err;
    struct dist_metadata entry = {.metric = target.name,
                                  .help = dist_otlp_view(metric->description),
                                  .unit = dist_otlp_view(metric->unit),
                                  .type = kind.type};
    if (!target.broken)
        err = dist_families_add(families, &o->decoding, &entry);
    return err ? err : add_points(o, &target, metric);
}

static enum nx_err add_target_metadata(struct dist_otlp *o, struct dist_families *families)
{
    struct dist_metadata entry = {.metric = NX_VIEW("target_info"),
                                  .help = NX_VIEW("Target metadata"),
                                  .unit = NX_VIEW(""),
                                  .type = TYPE_GAUGE};
    return dist_families_add(families, &o->decoding, &entry);
}

static enum nx_err add_resource(struct dist_otlp *o, struct dist_families *families,
                                const Narthex__Otlp__ResourceMetrics *resource)
{
    enum nx_err err = dist_otlp_begin_resource(o, resource->resource);
    for (size_t i = 0; i < resource->n_scope_metrics && !err; i++) {
        const Narthex__Otlp__ScopeMetrics *scope = resource->scope_metrics[i];
        for (size_t k = 0; k < scope->n_metrics && !err; k++)
            err = add_metric(o, families, scope->metrics[k]);
    }
    size_t before = o->decoding.batch->series_count;
    if (!err)
        err = dist_otlp_end_resource(o, resource->resource);
    if (!err && o->decoding.batch->series_count > before)
        err = add_target_metadata(o, families);
    return err;
}

static enum nx_err decode(const struct dist_intake *intake, struct dist_batch *batch,
                          struct nx_fail *fail)
{
    struct dist_otlp o = {.decoding = {.limits = intake->limits, .batch = batch, .fail = fail}};
    struct memory memory = {.arena = &batch->arena};
    ProtobufCAllocator allocator = {
        .alloc = arena_alloc, .free = arena_free, .allocator_data = &memory};
    batch->format = &dist_plain_format;
    Narthex__Otlp__ExportRequest *request = narthex__otlp__export_request__unpack(
        &allocator, intake->message.len, (const uint8_t *)(const void *)intake->message.ptr);
    if (!request && memory.failed)
        return dist_decoding_end(&o.decoding, NX_ERR_NOMEM);
    if (!request)
        return nx_fail_set(fail, NX_ERR_INVALID, "invalid protobuf: not an OTLP request");
    struct dist_families families;
    enum nx_err err = NX_OK;
    dist_families_init(&families);
    for (size_t i = 0; i < request->n_resource_metrics && !err; i++)
        err = add_resource(&o, &families, request->resource_metrics[i]);
    dist_families_release(&families);
    return dist_decoding_end(&o.decoding, err);
}

static enum nx_err negotiate(const struct dist_headers *headers, struct dist_form *form,
                             struct nx_fail *fail)
{
    unsigned allowed = 1u << DIST_ENCODING_IDENTITY | 1u << DIST_ENCODING_GZIP |
                       1u << DIST_ENCODING_ZSTD | 1u << DIST_ENCODING_SNAPPY;
    struct nx_view media = dist_header_media(headers->content_type);
    form->decode = decode;
    if (media.len > 0 && !nx_view_eq_nocase(media, NX_VIEW("application/x-protobuf")))
        return nx_fail_set(
            fail, NX_ERR_UNSUPPORTED,
            "Content-Type is \"%.*s\"; expected application/x-protobuf (OTLP in JSON "
            "is not taken)",
            NX_VIEW_ARG(dist_header_shown(headers->content_type)));
    return dist_header_encoding(headers->content_encoding, allowed, DIST_ENCODING_IDENTITY,
                                &form->encoding, fail);
}

const struct dist_stream dist_otlp_metrics = {.success = 200, .negotiate = negotiate};
