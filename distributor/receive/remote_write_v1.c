/* One pass over the bytes. */
#include "distributor/receive/remote_write_v1.h"

static enum nx_err decode_exemplar(struct dist_decoding *d, struct nx_view message)
{
    struct dist_exemplar *exemplar = NULL;
    enum nx_err err = dist_decoding_point(d);
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
    return dist_pb_ok(&pb) ? NX_OK : dist_decoding_broken(d, &pb, "Exemplar");
}

static void note_label(struct dist_series *series, const struct dist_pb_field *field,
                       const uint8_t *end)
{
    struct nx_view *run = &series->raw_labels;
    const char *start = (const char *)field->start;
    if (series->label_count++ == 0)
        *run = nx_view_make(start, 0);
    else if (run->ptr + run->len != start)
        series->cacheable = false;
    run->len = (size_t)((const char *)end - run->ptr);
}

/* The labels come first, each in fewer than 128 bytes: that run is passed over at once. Whatever
 * comes otherwise is left to the fields' own reading, which goes on from here. */
static void pass_labels(struct dist_pb *pb, struct dist_series *series)
{
    enum { TAG_LABEL = 1 << 3 | DIST_PB_BYTES };
    const uint8_t *at = pb->ptr;
    while (pb->end - at >= 2 && at[0] == TAG_LABEL && at[1] < 0x80 && at[1] <= pb->end - at - 2) {
        at += 2 + at[1];
        series->label_count++;
    }
    if (series->label_count > 0)
        series->raw_labels = nx_view_make(pb->ptr, (size_t)(at - pb->ptr));
    pb->ptr = at;
}

static enum nx_err decode_series_field(struct dist_decoding *d, struct dist_pb *pb,
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
        return dist_decoding_sample(d, bytes);
    case 3:
        series->exemplar_count++;
        return decode_exemplar(d, bytes);
    case 4:
        series->histogram_count++;
        return dist_decoding_histogram(d, bytes);
    default:
        return NX_OK;
    }
}

static enum nx_err decode_series(struct dist_decoding *d, struct nx_view message)
{
    struct dist_batch *batch = d->batch;
    struct dist_series *series = NULL;
    enum nx_err err = dist_decoding_element(d, batch->series_count, "series");
    if (!err)
        err = dist_batch_add_series(batch, &series);
    if (err)
        return err;
    series->cacheable = true;
    series->first_sample = (uint32_t)batch->sample_count;
    series->first_histogram = (uint32_t)batch->histogram_count;
    series->first_exemplar = (uint32_t)batch->exemplar_count;
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    pass_labels(&pb, series);
    while (dist_pb_next(&pb, &field)) {
        err = decode_series_field(d, &pb, &field, series);
        if (err)
            return err;
    }
    if (!dist_pb_ok(&pb))
        return dist_decoding_broken(d, &pb, "TimeSeries");
    if (!series->cacheable)
        series->raw_labels = message;
    return NX_OK;
}

static enum nx_err decode_metadata(struct dist_decoding *d, struct nx_view message)
{
    struct dist_metadata *metadata = NULL;
    enum nx_err err = dist_decoding_element(d, d->batch->metadata_count, "metadata entries");
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
    return dist_pb_ok(&pb) ? NX_OK : dist_decoding_broken(d, &pb, "MetricMetadata");
}

enum nx_err dist_rw1_decode(struct nx_view message, const struct dist_decode_limits *limits,
                            struct dist_batch *batch, struct nx_fail *fail)
{
    struct dist_decoding d = {.limits = limits, .batch = batch, .fail = fail};
    batch->format = &dist_rw1_format;
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
        err = dist_decoding_broken(&d, &pb, "WriteRequest");
    return dist_decoding_end(&d, err);
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

static enum nx_err read_labels(const struct dist_batch *batch, struct nx_view raw,
                               struct nx_arena *arena, size_t max, struct nx_label **labels,
                               size_t *count, struct nx_fail *fail)
{
    (void)batch;
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

static struct nx_hash128 hash_labels(const struct dist_batch *batch, struct nx_view raw)
{
    (void)batch;
    struct nx_hash128 hash = nx_hash128(raw.ptr, raw.len);
    hash.hi += raw.len * UINT64_C(0x9E3779B97F4A7C15);
    return hash;
}

const struct dist_label_format dist_rw1_format = {.read = read_labels, .hash = hash_labels};
