/* Whether a histogram is native shows only at its end, so it is surveyed first. */
#include <math.h>

#include "common/chunk/sample.h"
#include "distributor/receive/histogram_buckets.h"
#include "distributor/receive/histogram_proto.h"
#include "distributor/receive/metric_family_internal.h"

/* What shows only when the whole message was seen. */
struct histogram {
    double count_float, sum, zero_threshold, zero_float;
    uint64_t count, zero_count;
    bool has_spans, has_buckets, has_exemplars;
};

static enum nx_err survey(struct dist_mf_reader *r, struct nx_view message, struct histogram *out)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    *out = (struct histogram){.count = 0};
    while (dist_pb_next(&pb, &field)) {
        switch (field.number) {
        case 1:
            out->count = dist_pb_varint_of(&pb, &field);
            break;
        case 2:
            out->sum = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
            break;
        case 4:
            out->count_float = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
            break;
        case 6:
            out->zero_threshold = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
            break;
        case 7:
            out->zero_count = dist_pb_varint_of(&pb, &field);
            break;
        default:
            out->has_buckets |= field.number == 3;
            out->has_spans |= field.number == 9 || field.number == 12;
            out->has_exemplars |= field.number == 16;
        }
    }
    return dist_pb_ok(&pb) ? NX_OK : dist_mf_broken(r, &pb, "Histogram");
}

static bool is_native(const struct histogram *h)
{
    return h->has_spans || h->zero_threshold > 0 || h->zero_count > 0;
}

struct bucket {
    double bound, count_float;
    uint64_t count;
    struct nx_view exemplar; /* ptr NULL: none */
};

static enum nx_err read_bucket(struct dist_mf_reader *r, struct nx_view message, struct bucket *out)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    *out = (struct bucket){.bound = 0};
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            out->count = dist_pb_varint_of(&pb, &field);
        else if (field.number == 2)
            out->bound = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
        else if (field.number == 3)
            out->exemplar = dist_pb_bytes_of(&pb, &field);
        else if (field.number == 4)
            out->count_float = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
    }
    return dist_pb_ok(&pb) ? NX_OK : dist_mf_broken(r, &pb, "Bucket");
}

static enum nx_err add_bucket(struct dist_mf_reader *r, const struct bucket *bucket)
{
    struct nx_label label;
    struct dist_series *series = NULL;
    double count = bucket->count_float;
    if (!(count < 0 || count > 0))
        count = (double)bucket->count;
    enum nx_err err = dist_mf_float_label(r, NX_VIEW("le"), bucket->bound, &label);
    if (!err)
        err = dist_mf_add_sample(r, r->bucket_name, label, count, &series);
    return err || !bucket->exemplar.ptr ? err : dist_mf_add_exemplar(r, series, bucket->exemplar);
}

/* Its buckets end with that of infinity, which need not be there. */
static enum nx_err take_classic(struct dist_mf_reader *r, struct nx_view message,
                                const struct histogram *totals)
{
    double count = totals->count_float;
    struct bucket bucket = {.bound = 0};
    if (!(count < 0 || count > 0))
        count = (double)totals->count;
    enum nx_err err = dist_mf_add_totals(r, count, totals->sum);
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    while (!err && !(isinf(bucket.bound) && bucket.bound > 0) && dist_pb_next(&pb, &field)) {
        if (field.number != 3)
            continue;
        err = read_bucket(r, dist_pb_bytes_of(&pb, &field), &bucket);
        if (!err)
            err = add_bucket(r, &bucket);
    }
    if (err || (isinf(bucket.bound) && bucket.bound > 0))
        return err;
    bucket = (struct bucket){.bound = (double)INFINITY, .count_float = count};
    return add_bucket(r, &bucket);
}

/* Its own exemplars, or else those of its classic buckets. */
static enum nx_err add_native_exemplars(struct dist_mf_reader *r, struct nx_view message, bool own,
                                        struct dist_series *series)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    enum nx_err err = NX_OK;
    while (!err && dist_pb_next(&pb, &field)) {
        struct bucket bucket = {.bound = 0};
        if (own && field.number == 16) {
            err = dist_mf_add_exemplar(r, series, dist_pb_bytes_of(&pb, &field));
        } else if (!own && field.number == 3) {
            err = read_bucket(r, dist_pb_bytes_of(&pb, &field), &bucket);
            if (!err && bucket.exemplar.ptr)
                err = dist_mf_add_exemplar(r, series, bucket.exemplar);
        }
    }
    return err;
}

static enum nx_err take_native(struct dist_mf_reader *r, struct nx_view message, bool own_exemplars)
{
    const struct nx_label none = {.name = NX_VIEW("")};
    struct nx_fail inner = {.code = NX_OK};
    struct dist_series *series = NULL;
    struct dist_histogram *row = NULL;
    struct nx_histogram *h = NULL;
    int64_t unused = 0;
    enum nx_err err =
        dist_histogram_decode(&dist_histogram_exposition, message, r->arena, &unused, &h, &inner);
    if (err == NX_ERR_INVALID)
        return nx_fail_set(r->decoding.fail, err, "invalid protobuf: %s", nx_fail_text(&inner));
    if (!err)
        err = dist_histogram_compact(r->arena, h);
    if (!err)
        err = dist_mf_add_series(r, r->name, none, &series);
    if (!err)
        err = dist_batch_add_histogram(r->decoding.batch, &row);
    if (err)
        return err;
    h->hint = r->type == DIST_MF_GAUGE_HISTOGRAM ? NX_HINT_GAUGE : NX_HINT_UNKNOWN;
    row->timestamp = r->at_ms;
    row->histogram = h;
    series->histogram_count = 1;
    return add_native_exemplars(r, message, own_exemplars, series);
}

enum nx_err dist_mf_take_histogram(struct dist_mf_reader *r, struct nx_view message)
{
    struct histogram h;
    enum nx_err err = survey(r, message, &h);
    if (err)
        return err;
    bool native = is_native(&h) && r->options->native_histograms;
    if (native)
        err = take_native(r, message, h.has_exemplars);
    bool also = r->options->classic_too && h.has_buckets;
    return err || (native && !also) ? err : take_classic(r, message, &h);
}
