/* Two passes over the request's fields, because nothing says that the symbols come first: one takes
 * the symbols and hashes each once, the other decodes the series. A series' references become an
 * array of numbers, checked here, so that its hash and its labels are array look-ups later. */
#include "distributor/receive/remote_write_v2.h"

#include <string.h>

#include "common/base/endian.h"
#include "distributor/receive/families.h"

enum { TYPE_HISTOGRAM = 3, TYPE_SUMMARY = 5 };

static const char odd_refs[] = "odd number of label references";
static const char wild_ref[] = "a label reference is beyond the symbols";
static const char wild_metadata_ref[] = "a metadata reference is beyond the symbols";
static const char no_points[] = "TimeSeries must contain at least one sample or histogram";

struct decoding {
    struct dist_decoding common;
    struct dist_families families;
};

/* --- labels --- */

static size_t ref_count(struct nx_view raw)
{
    return raw.len / sizeof(uint32_t);
}

static uint32_t ref_at(struct nx_view raw, size_t i)
{
    uint32_t ref;
    memcpy(&ref, raw.ptr + i * sizeof ref, sizeof ref);
    return ref;
}

static enum nx_err read_labels(const struct dist_batch *batch, struct nx_view raw,
                               struct nx_arena *arena, size_t max, struct nx_label **labels,
                               size_t *count, struct nx_fail *fail)
{
    size_t pairs = ref_count(raw) / 2;
    size_t taken = pairs < max ? pairs : max;
    struct nx_label *items = nx_arena_array(arena, taken, sizeof *items);
    if (!items && taken > 0)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < taken; i++) {
        uint32_t name = ref_at(raw, 2 * i), value = ref_at(raw, 2 * i + 1);
        if (name >= batch->symbol_count || value >= batch->symbol_count)
            return nx_fail_set(fail, NX_ERR_INVALID, "%s", wild_ref);
        items[i] = (struct nx_label){.name = batch->symbols[name].text,
                                     .value = batch->symbols[value].text};
    }
    *labels = items;
    *count = pairs;
    return NX_OK;
}

/* A label's part in the hash: other constants for name and value, for their order says which is
 * which. */
static struct nx_hash128 pair_hash(struct nx_hash128 name, struct nx_hash128 value)
{
    return (struct nx_hash128){.hi = name.hi * UINT64_C(0x9E3779B97F4A7C15) + value.hi,
                               .lo = name.lo * UINT64_C(0xC2B2AE3D27D4EB4F) + value.lo};
}

/* The hash of the labels' hashes, made of those of the symbols: the same labels in another request,
 * under other numbers, have the same one. The number of references is even, or the series broken.
 */
static struct nx_hash128 hash_labels(const struct dist_batch *batch, struct nx_view raw)
{
    enum { CHUNK = 32 };
    struct nx_hash128 parts[CHUNK + 1];
    struct nx_hash128 hash = {.hi = 2, .lo = 0}; /* apart from those of other formats */
    size_t count = ref_count(raw) / 2;
    for (size_t at = 0; at < count; at += CHUNK) {
        size_t n = count - at < CHUNK ? count - at : CHUNK;
        parts[0] = hash;
        for (size_t i = 0; i < n; i++)
            parts[i + 1] = pair_hash(batch->symbols[ref_at(raw, 2 * (at + i))].hash,
                                     batch->symbols[ref_at(raw, 2 * (at + i) + 1)].hash);
        hash = nx_hash128(parts, (n + 1) * sizeof parts[0]);
    }
    return hash;
}

const struct dist_label_format dist_rw2_format = {.read = read_labels, .hash = hash_labels};

static size_t varints_in(struct nx_view packed)
{
    const uint64_t last_bytes = UINT64_C(0x8080808080808080);
    size_t count = 0, i = 0;
    for (; packed.len - i >= 8; i += 8)
        count += (size_t)__builtin_popcountll(~nx_le64_load(packed.ptr + i) & last_bytes);
    for (; i < packed.len; i++)
        count += ((uint8_t)packed.ptr[i] & 0x80) == 0;
    return count;
}

/* References of at most two bytes, read until one is longer or none is left; returns what there is
 * behind them. The greatest goes to `*greatest`. */
static struct nx_view take_short_refs(struct nx_view packed, uint32_t *refs, size_t *count,
                                      uint32_t *greatest)
{
    const uint8_t *at = (const uint8_t *)(const void *)packed.ptr, *end = at + packed.len;
    while (at < end) {
        uint32_t ref = at[0];
        if (ref >= 0x80) {
            if (end - at < 2 || at[1] >= 0x80)
                break;
            ref = (ref & 0x7f) | (uint32_t)at[1] << 7;
            at++;
        }
        at++;
        refs[(*count)++] = ref;
        *greatest = ref > *greatest ? ref : *greatest;
    }
    return nx_view_make((const char *)at, (size_t)(end - at));
}

/* Appends a field of references to those in `raw`. */
static enum nx_err take_refs(struct decoding *d, struct dist_pb *pb,
                             const struct dist_pb_field *field, struct nx_view *raw,
                             const char **broken)
{
    struct dist_batch *batch = d->common.batch;
    size_t more = field->wire == DIST_PB_BYTES ? varints_in(field->bytes) : 1;
    size_t count = ref_count(*raw);
    uint32_t *refs = nx_arena_array(&batch->arena, count + more, sizeof *refs);
    if (!refs)
        return count + more > 0 ? NX_ERR_NOMEM : NX_OK;
    if (count > 0)
        memcpy(refs, raw->ptr, raw->len);
    struct dist_pb_field rest = *field;
    uint32_t greatest = 0;
    if (rest.wire == DIST_PB_BYTES)
        rest.bytes = take_short_refs(rest.bytes, refs, &count, &greatest);
    if (count > 0 && greatest >= batch->symbol_count)
        *broken = wild_ref;
    struct dist_pb_run run = dist_pb_run_of(pb, &rest, DIST_PB_VARINT);
    uint64_t ref;
    while (dist_pb_run_next(pb, &run, &ref)) {
        refs[count++] = (uint32_t)ref;
        if ((uint32_t)ref >= batch->symbol_count)
            *broken = wild_ref;
    }
    *raw = nx_view_make((const char *)refs, count * sizeof *refs);
    return NX_OK;
}

/* --- points --- */

static enum nx_err decode_exemplar(struct decoding *d, struct nx_view message)
{
    struct dist_exemplar *exemplar = NULL;
    enum nx_err err = dist_decoding_point(&d->common);
    if (!err)
        err = dist_batch_add_exemplar(d->common.batch, &exemplar);
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    while (!err && dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            err = take_refs(d, &pb, &field, &exemplar->raw_labels, &exemplar->broken);
        else if (field.number == 2)
            exemplar->value_bits = dist_pb_fixed64_of(&pb, &field);
        else if (field.number == 3)
            exemplar->timestamp = (int64_t)dist_pb_varint_of(&pb, &field);
    }
    if (err)
        return err;
    if (!dist_pb_ok(&pb))
        return dist_decoding_broken(&d->common, &pb, "Exemplar");
    if (!exemplar->broken && ref_count(exemplar->raw_labels) % 2)
        exemplar->broken = odd_refs;
    return NX_OK;
}

/* --- metadata --- */

struct metadata_message {
    bool present;
    uint32_t type;
    uint64_t help_ref, unit_ref;
};

static enum nx_err decode_metadata(struct decoding *d, struct nx_view message,
                                   struct metadata_message *out)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    out->present = true;
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            out->type = (uint32_t)dist_pb_varint_of(&pb, &field);
        else if (field.number == 3)
            out->help_ref = (uint32_t)dist_pb_varint_of(&pb, &field);
        else if (field.number == 4)
            out->unit_ref = (uint32_t)dist_pb_varint_of(&pb, &field);
    }
    return dist_pb_ok(&pb) ? NX_OK : dist_decoding_broken(&d->common, &pb, "Metadata");
}

static struct nx_view metric_name(const struct dist_batch *batch, struct nx_view refs)
{
    for (size_t i = 0; i + 1 < ref_count(refs); i += 2) {
        if (nx_view_eq(batch->symbols[ref_at(refs, i)].text, NX_LABEL_METRIC_NAME))
            return batch->symbols[ref_at(refs, i + 1)].text;
    }
    return NX_VIEW("");
}

/* The series of a classic histogram or summary carry the name of their family and a suffix. */
static struct nx_view family_name(struct nx_view metric, uint32_t type)
{
    static const struct nx_view suffixes[] = {
        {.ptr = "_bucket", .len = 7}, {.ptr = "_count", .len = 6}, {.ptr = "_sum", .len = 4}};
    if (type != TYPE_HISTOGRAM && type != TYPE_SUMMARY)
        return metric;
    for (size_t i = type == TYPE_HISTOGRAM ? 0 : 1; i < 3; i++) {
        if (metric.len > suffixes[i].len && nx_view_has_suffix(metric, suffixes[i]))
            return nx_view_make(metric.ptr, metric.len - suffixes[i].len);
    }
    return metric;
}

static enum nx_err add_metadata(struct decoding *d, struct dist_series *series,
                                const struct metadata_message *message)
{
    struct dist_batch *batch = d->common.batch;
    if (message->help_ref >= batch->symbol_count || message->unit_ref >= batch->symbol_count) {
        series->broken = wild_metadata_ref;
        return NX_OK;
    }
    struct dist_metadata entry = {.metric = metric_name(batch, series->raw_labels),
                                  .help = batch->symbols[message->help_ref].text,
                                  .unit = batch->symbols[message->unit_ref].text,
                                  .type = message->type};
    entry.metric = family_name(entry.metric, entry.type);
    return dist_families_add(&d->families, &d->common, &entry);
}

/* --- series --- */

static enum nx_err decode_series_field(struct decoding *d, struct dist_pb *pb,
                                       const struct dist_pb_field *field,
                                       struct dist_series *series,
                                       struct metadata_message *metadata)
{
    if (field->number == 1)
        return take_refs(d, pb, field, &series->raw_labels, &series->broken);
    if (field->number > 5)
        return NX_OK;
    struct nx_view bytes = dist_pb_bytes_of(pb, field);
    if (!dist_pb_ok(pb))
        return NX_OK;
    switch (field->number) {
    case 2:
        series->sample_count++;
        return dist_decoding_sample(&d->common, bytes);
    case 3:
        series->histogram_count++;
        return dist_decoding_histogram(&d->common, bytes);
    case 4:
        series->exemplar_count++;
        return decode_exemplar(d, bytes);
    default:
        return decode_metadata(d, bytes, metadata);
    }
}

static enum nx_err finish_series(struct decoding *d, struct dist_series *series,
                                 const struct metadata_message *metadata)
{
    series->label_count = (uint32_t)(ref_count(series->raw_labels) / 2);
    if (!series->broken && ref_count(series->raw_labels) % 2)
        series->broken = odd_refs;
    if (series->broken)
        return NX_OK;
    enum nx_err err = metadata->present ? add_metadata(d, series, metadata) : NX_OK;
    if (!series->broken && dist_series_is_empty(series))
        series->broken = no_points;
    return err;
}

static enum nx_err decode_series(struct decoding *d, struct nx_view message)
{
    struct dist_batch *batch = d->common.batch;
    struct dist_series *series = NULL;
    enum nx_err err = dist_decoding_element(&d->common, batch->series_count, "series");
    if (!err)
        err = dist_batch_add_series(batch, &series);
    if (err)
        return err;
    series->cacheable = true;
    series->first_sample = (uint32_t)batch->sample_count;
    series->first_histogram = (uint32_t)batch->histogram_count;
    series->first_exemplar = (uint32_t)batch->exemplar_count;
    struct metadata_message metadata = {.present = false};
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    while (dist_pb_next(&pb, &field)) {
        err = decode_series_field(d, &pb, &field, series, &metadata);
        if (err)
            return err;
    }
    if (!dist_pb_ok(&pb))
        return dist_decoding_broken(&d->common, &pb, "TimeSeries");
    return finish_series(d, series, &metadata);
}

/* --- the request --- */

static enum nx_err take_symbols(struct dist_decoding *d, struct nx_view message)
{
    struct dist_batch *batch = d->batch;
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    size_t count = 0;
    while (dist_pb_next(&pb, &field))
        count += field.number == 4;
    if (!dist_pb_ok(&pb))
        return dist_decoding_broken(d, &pb, "Request");
    if (count == 0)
        return NX_OK;
    batch->symbols = nx_arena_array(&batch->arena, count, sizeof *batch->symbols);
    if (!batch->symbols)
        return NX_ERR_NOMEM;
    pb = dist_pb_of(message);
    while (dist_pb_next(&pb, &field)) {
        if (field.number != 4)
            continue;
        struct nx_view text = dist_pb_bytes_of(&pb, &field);
        batch->symbols[batch->symbol_count++] =
            (struct dist_symbol){.text = text, .hash = nx_hash128(text.ptr, text.len)};
    }
    if (!dist_pb_ok(&pb))
        return dist_decoding_broken(d, &pb, "Request");
    if (batch->symbols[0].text.len > 0)
        return nx_fail_set(d->fail, NX_ERR_INVALID, "the first symbol must be the empty string");
    return NX_OK;
}

enum nx_err dist_rw2_decode(struct nx_view message, const struct dist_decode_limits *limits,
                            struct dist_batch *batch, struct nx_fail *fail)
{
    struct decoding d = {.common = {.limits = limits, .batch = batch, .fail = fail}};
    batch->format = &dist_rw2_format;
    batch->strict_exemplars = true;
    dist_families_init(&d.families);
    enum nx_err err = take_symbols(&d.common, message);
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    while (!err && dist_pb_next(&pb, &field)) {
        if (field.number != 5)
            continue;
        struct nx_view bytes = dist_pb_bytes_of(&pb, &field);
        if (!dist_pb_ok(&pb))
            break;
        err = decode_series(&d, bytes);
    }
    if (!err && !dist_pb_ok(&pb))
        err = dist_decoding_broken(&d.common, &pb, "Request");
    dist_families_release(&d.families);
    return dist_decoding_end(&d.common, err);
}
