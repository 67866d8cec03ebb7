/* One pass over the bytes. Every repeated element is counted against its limit before room is made
 * for it, so a request of many empty elements cannot take more memory than a request of full ones.
 */
#include "distributor/receive/remote_write_v1.h"

#include "distributor/receive/histogram_proto.h"
#include "distributor/receive/pb_cursor.h"

struct decoding {
    const struct dist_decode_limits *limits;
    struct dist_batch *batch;
    size_t points; /* samples, histograms and exemplars so far */
    struct nx_fail *fail;
};

static enum nx_err broken(struct decoding *d, const struct dist_pb *pb, const char *message)
{
    return nx_fail_set(d->fail, NX_ERR_INVALID, "invalid protobuf: %s in %s", pb->why, message);
}

static enum nx_err count_point(struct decoding *d)
{
    if (++d->points <= d->limits->max_samples)
        return NX_OK;
    return nx_fail_set(
        d->fail, NX_ERR_TOO_LARGE,
        "the request holds more samples than the limit (limit: %zu); send smaller batches or raise "
        "limits.max-samples-per-request",
        d->limits->max_samples);
}

static enum nx_err count_element(struct decoding *d, size_t count, const char *what)
{
    if (count < d->limits->max_series)
        return NX_OK;
    return nx_fail_set(
        d->fail, NX_ERR_TOO_LARGE,
        "the request holds more %s than the limit (limit: %zu); send smaller batches or raise "
        "limits.max-series-per-request",
        what, d->limits->max_series);
}

static enum nx_err decode_sample(struct decoding *d, struct nx_view message)
{
    enum nx_err err = count_point(d);
    if (err)
        return err;
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    uint64_t value_bits = 0;
    int64_t timestamp = 0;
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            value_bits = dist_pb_fixed64_of(&pb, &field);
        else if (field.number == 2)
            timestamp = (int64_t)dist_pb_varint_of(&pb, &field);
    }
    if (!dist_pb_ok(&pb))
        return broken(d, &pb, "Sample");
    return dist_batch_add_sample(d->batch, timestamp, value_bits);
}

static enum nx_err decode_exemplar(struct decoding *d, struct nx_view message)
{
    struct dist_exemplar *exemplar = NULL;
    enum nx_err err = count_point(d);
    if (!err)
        err = dist_batch_add_exemplar(d->batch, &exemplar);
    if (err)
        return err;
    exemplar->raw_labels = message;
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 2)
            exemplar->value_bits = dist_pb_fixed64_of(&pb, &field);
        else if (field.number == 3)
            exemplar->timestamp = (int64_t)dist_pb_varint_of(&pb, &field);
    }
    return dist_pb_ok(&pb) ? NX_OK : broken(d, &pb, "Exemplar");
}

static enum nx_err decode_histogram(struct decoding *d, struct nx_view message)
{
    struct dist_histogram *row = NULL;
    struct nx_fail inner = {.code = NX_OK};
    enum nx_err err = count_point(d);
    if (!err)
        err = dist_batch_add_histogram(d->batch, &row);
    if (err)
        return err;
    err =
        dist_histogram_decode(message, &d->batch->arena, &row->timestamp, &row->histogram, &inner);
    if (err == NX_ERR_INVALID)
        return nx_fail_set(d->fail, err, "invalid protobuf: %s", nx_fail_text(&inner));
    return err;
}

static void note_label(struct dist_series *series, const struct dist_pb_field *field,
                       const uint8_t *end)
{
    struct nx_view *run = &series->raw_labels;
    const char *start = (const char *)field->start;
    if (series->label_count++ == 0)
        *run = nx_view_make(start, 0);
    else if (run->ptr + run->len != start)
        series->label_run = false;
    run->len = (size_t)((const char *)end - run->ptr);
}

static enum nx_err decode_series_field(struct decoding *d, struct dist_pb *pb,
                                       const struct dist_pb_field *field,
                                       struct dist_series *series)
{
    struct nx_view bytes = nx_view_make(NULL, 0);
    if (field->number >= 1 && field->number <= 4) {
        bytes = dist_pb_bytes_of(pb, field);
        if (!dist_pb_ok(pb))
            return NX_OK;
    }
    switch (field->number) {
    case 1:
        note_label(series, field, pb->ptr);
        return NX_OK;
    case 2:
        series->sample_count++;
        return decode_sample(d, bytes);
    case 3:
        series->exemplar_count++;
        return decode_exemplar(d, bytes);
    case 4:
        series->histogram_count++;
        return decode_histogram(d, bytes);
    default:
        return NX_OK;
    }
}

static enum nx_err decode_series(struct decoding *d, struct nx_view message)
{
    struct dist_batch *batch = d->batch;
    struct dist_series *series = NULL;
    enum nx_err err = count_element(d, batch->series_count, "series");
    if (!err)
        err = dist_batch_add_series(batch, &series);
    if (err)
        return err;
    series->label_run = true;
    series->first_sample = (uint32_t)batch->sample_count;
    series->first_histogram = (uint32_t)batch->histogram_count;
    series->first_exemplar = (uint32_t)batch->exemplar_count;
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    while (dist_pb_next(&pb, &field)) {
        err = decode_series_field(d, &pb, &field, series);
        if (err)
            return err;
    }
    if (!dist_pb_ok(&pb))
        return broken(d, &pb, "TimeSeries");
    if (!series->label_run)
        series->raw_labels = message;
    return NX_OK;
}

static enum nx_err decode_metadata(struct decoding *d, struct nx_view message)
{
    struct dist_metadata *metadata = NULL;
    enum nx_err err = count_element(d, d->batch->metadata_count, "metadata entries");
    if (!err)
        err = dist_batch_add_metadata(d->batch, &metadata);
    if (err)
        return err;
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            metadata->type = (uint32_t)dist_pb_varint_of(&pb, &field);
        else if (field.number == 2)
            metadata->metric = dist_pb_bytes_of(&pb, &field);
        else if (field.number == 4)
            metadata->help = dist_pb_bytes_of(&pb, &field);
        else if (field.number == 5)
            metadata->unit = dist_pb_bytes_of(&pb, &field);
    }
    return dist_pb_ok(&pb) ? NX_OK : broken(d, &pb, "MetricMetadata");
}

enum nx_err dist_rw1_decode(struct nx_view message, const struct dist_decode_limits *limits,
                            struct dist_batch *batch, struct nx_fail *fail)
{
    struct decoding d = {.limits = limits, .batch = batch, .fail = fail};
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    enum nx_err err = NX_OK;
    while (!err && dist_pb_next(&pb, &field)) {
        if (field.number != 1 && field.number != 3)
            continue;
        struct nx_view bytes = dist_pb_bytes_of(&pb, &field);
        if (!dist_pb_ok(&pb))
            break;
        err = field.number == 1 ? decode_series(&d, bytes) : decode_metadata(&d, bytes);
    }
    if (!err && !dist_pb_ok(&pb))
        err = broken(&d, &pb, "WriteRequest");
    if (err == NX_ERR_NOMEM && nx_arena_over(&batch->arena))
        err = nx_fail_set(fail, NX_ERR_TOO_LARGE,
                          "the decoded request takes more memory than allowed; send "
                          "smaller batches or raise distributor.max-decoded-bytes");
    return err;
}

static bool read_label(struct dist_pb *outer, struct nx_view message, struct nx_label *label)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    *label = (struct nx_label){.name = NX_VIEW(""), .value = NX_VIEW("")};
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            label->name = dist_pb_bytes_of(&pb, &field);
        else if (field.number == 2)
            label->value = dist_pb_bytes_of(&pb, &field);
    }
    if (!dist_pb_ok(&pb))
        outer->why = pb.why;
    return dist_pb_ok(&pb);
}

enum nx_err dist_rw1_labels(struct nx_view raw, struct nx_arena *arena, size_t max,
                            struct nx_label **labels, size_t *count, struct nx_fail *fail)
{
    struct nx_label *items = NULL;
    struct nx_label label;
    size_t taken = 0, capacity = 0, seen = 0;
    struct dist_pb pb = dist_pb_of(raw);
    struct dist_pb_field field;
    while (dist_pb_next(&pb, &field)) {
        if (field.number != 1)
            continue;
        struct nx_view message = dist_pb_bytes_of(&pb, &field);
        if (!dist_pb_ok(&pb) || !read_label(&pb, message, &label))
            break;
        if (seen++ >= max)
            continue;
        if (!nx_arena_grow(arena, &items, taken, &capacity, taken + 1, sizeof *items))
            return NX_ERR_NOMEM;
        items[taken++] = label;
    }
    if (!dist_pb_ok(&pb))
        return nx_fail_set(fail, NX_ERR_INVALID, "invalid protobuf: %s in Label", pb.why);
    *labels = items;
    *count = seen;
    return NX_OK;
}
