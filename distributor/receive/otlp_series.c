#include "distributor/receive/otlp_series.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/quote.h"
#include "common/chunk/sample.h"
#include "distributor/receive/otlp_names.h"
#include "distributor/receive/otlp_value.h"
#include "distributor/receive/plain_labels.h"

enum {
    NS_PER_MS = 1000000,
    MAX_EXEMPLAR_RUNES = 128, /* of names and values, as OpenMetrics has it */
    MAX_TARGET_INFO = 600,    /* samples of one target_info a request */
};
/* Half the look-back that Prometheus has by default. */
static const uint64_t target_info_step_ns = UINT64_C(150) * 1000 * NS_PER_MS;

static const char bad_attribute[] = "an attribute's value is malformed or nested too deep";
static const char bad_name[] = "an attribute's name has no letter and no digit";

/* --- labels --- */

struct attribute {
    struct nx_label label;
    struct nx_view key;
    size_t place;
};

static int by_name(const void *a, const void *b)
{
    const struct attribute *x = a, *y = b;
    int order = nx_view_cmp(x->label.name, y->label.name);
    if (order == 0)
        order = nx_view_cmp(x->key, y->key);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* The values of attributes [first, end), joined. */
static enum nx_err join_values(struct nx_arena *arena, const struct attribute *attributes,
                               size_t first, size_t end, struct nx_view *out)
{
    size_t len = end - first, at = 0;
    *out = attributes[first].label.value;
    if (len == 1)
        return NX_OK;
    for (size_t i = first; i < end; i++)
        len += attributes[i].label.value.len;
    char *text = nx_arena_alloc(arena, len);
    if (!text)
        return NX_ERR_NOMEM;
    for (size_t i = first; i < end; i++) {
        if (i > first)
            text[at++] = ';';
        if (attributes[i].label.value.len > 0)
            memcpy(text + at, attributes[i].label.value.ptr, attributes[i].label.value.len);
        at += attributes[i].label.value.len;
    }
    *out = nx_view_make(text, at);
    return NX_OK;
}

static enum nx_err merge_equal(struct nx_arena *arena, const struct attribute *attributes,
                               size_t count, struct dist_otlp_labels *out)
{
    out->items = nx_arena_array(arena, count + 1, sizeof *out->items);
    out->count = 0;
    if (!out->items)
        return NX_ERR_NOMEM;
    for (size_t i = 0, end; i < count; i = end) {
        struct nx_label *label = &out->items[out->count++];
        label->name = attributes[i].label.name;
        for (end = i + 1; end < count && nx_view_eq(attributes[end].label.name, label->name);)
            end++;
        enum nx_err err = join_values(arena, attributes, i, end, &label->value);
        if (err)
            return err;
    }
    return NX_OK;
}

/* The attributes of one key after another; where one is broken the rest is not looked at. */
static enum nx_err read_attributes(struct nx_arena *arena,
                                   Narthex__Otlp__KeyValue *const *attributes, size_t count,
                                   struct attribute *out, const char **broken)
{
    for (size_t i = 0; i < count; i++) {
        struct attribute *a = &out[i];
        a->key = dist_otlp_view(attributes[i]->key);
        a->place = i;
        enum nx_err err = dist_otlp_label_name(arena, a->key, &a->label.name);
        if (err == NX_ERR_INVALID)
            *broken = bad_name;
        if (!err) {
            err = dist_otlp_text(arena, attributes[i]->value, &a->label.value);
            if (err == NX_ERR_INVALID)
                *broken = bad_attribute;
        }
        if (err)
            return *broken ? NX_OK : err;
    }
    return NX_OK;
}

/* Those with the names of `over` give way to it. */
static enum nx_err labels_over(struct nx_arena *arena, const struct dist_otlp_labels *base,
                               const struct nx_label *over, size_t over_count,
                               struct dist_otlp_labels *out)
{
    struct nx_label *items = nx_arena_array(arena, base->count + over_count + 1, sizeof *items);
    size_t count = 0;
    if (!items)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < base->count; i++) {
        bool hidden = false;
        for (size_t k = 0; k < over_count && !hidden; k++)
            hidden = nx_view_eq(base->items[i].name, over[k].name);
        if (!hidden)
            items[count++] = base->items[i];
    }
    for (size_t k = 0; k < over_count; k++)
        items[count++] = over[k];
    *out = (struct dist_otlp_labels){.items = items, .count = count};
    return NX_OK;
}

enum nx_err dist_otlp_point_labels(struct dist_otlp *o, Narthex__Otlp__KeyValue *const *attributes,
                                   size_t count, struct dist_otlp_labels *out, const char **broken)
{
    struct nx_arena *arena = &o->decoding.batch->arena;
    struct attribute *rows = nx_arena_array(arena, count + 1, sizeof *rows);
    struct dist_otlp_labels own;
    *broken = NULL;
    if (!rows)
        return NX_ERR_NOMEM;
    enum nx_err err = read_attributes(arena, attributes, count, rows, broken);
    if (err || *broken)
        return err;
    if (count > 1)
        qsort(rows, count, sizeof *rows, by_name);
    err = merge_equal(arena, rows, count, &own);
    return err ? err : labels_over(arena, &own, o->identity, o->identity_count, out);
}

/* --- rows --- */

static enum nx_err join_name(struct nx_arena *arena, struct nx_view metric, struct nx_view suffix,
                             struct nx_view *out)
{
    *out = metric;
    if (suffix.len == 0)
        return NX_OK;
    char *text = nx_arena_alloc(arena, metric.len + suffix.len);
    if (!text)
        return NX_ERR_NOMEM;
    memcpy(text, metric.ptr, metric.len);
    memcpy(text + metric.len, suffix.ptr, suffix.len);
    *out = nx_view_make(text, metric.len + suffix.len);
    return NX_OK;
}

enum nx_err dist_otlp_add_series(struct dist_otlp *o, const struct dist_otlp_labels *base,
                                 struct nx_view metric, struct nx_view suffix,
                                 const struct nx_label *extra, struct dist_series **out)
{
    struct dist_batch *batch = o->decoding.batch;
    struct nx_label over[2] = {{.name = NX_LABEL_METRIC_NAME}};
    struct dist_otlp_labels labels = {.count = 0};
    enum nx_err err = join_name(&batch->arena, metric, suffix, &over[0].value);
    if (extra)
        over[1] = *extra;
    if (!err)
        err = labels_over(&batch->arena, base, over, extra ? 2 : 1, &labels);
    if (!err)
        err = dist_decoding_element(&o->decoding, batch->series_count, "series");
    if (!err)
        err = dist_batch_add_series(batch, out);
    if (err)
        return err;
    (*out)->raw_labels = dist_plain_labels(labels.items, labels.count);
    (*out)->label_count = (uint32_t)labels.count;
    (*out)->cacheable = true;
    (*out)->first_sample = (uint32_t)batch->sample_count;
    (*out)->first_histogram = (uint32_t)batch->histogram_count;
    (*out)->first_exemplar = (uint32_t)batch->exemplar_count;
    return NX_OK;
}

enum nx_err dist_otlp_add_sample(struct dist_otlp *o, struct dist_series *series, uint64_t time_ns,
                                 double value)
{
    enum nx_err err = dist_decoding_point(&o->decoding);
    if (!err)
        err = dist_batch_add_sample(o->decoding.batch, (int64_t)(time_ns / NS_PER_MS),
                                    nx_double_bits(value));
    if (!err)
        series->sample_count++;
    return err;
}

enum nx_err dist_otlp_refuse(struct dist_otlp *o, struct nx_view metric, const char *broken)
{
    struct dist_otlp_labels none = {.count = 0};
    struct dist_series *series = NULL;
    enum nx_err err = dist_otlp_add_series(o, &none, metric, NX_VIEW(""), NULL, &series);
    if (err)
        return err;
    series->broken = broken;
    return dist_otlp_add_sample(o, series, 0, 0);
}

/* --- exemplars --- */

bool dist_otlp_exemplar_value(const Narthex__Otlp__Exemplar *exemplar, double *value)
{
    if (exemplar->value_case == NARTHEX__OTLP__EXEMPLAR__VALUE_AS_DOUBLE)
        *value = exemplar->as_double;
    else if (exemplar->value_case == NARTHEX__OTLP__EXEMPLAR__VALUE_AS_INT)
        *value = (double)exemplar->as_int;
    else
        return false;
    return true;
}

static size_t rune_count(struct nx_view text)
{
    size_t count = 0, len = 1;
    for (size_t i = 0; i < text.len; i += len, count++)
        (void)nx_rune_decode(nx_view_make(text.ptr + i, text.len - i), &len);
    return count;
}

/* A trace's or a span's id in hexadecimal; an id of zeros is none. */
static enum nx_err add_id(struct nx_arena *arena, struct nx_view name, ProtobufCBinaryData id,
                          struct dist_otlp_labels *labels)
{
    static const char digits[] = "0123456789abcdef";
    bool any = false;
    for (size_t i = 0; i < id.len; i++)
        any = any || id.data[i];
    if (!any)
        return NX_OK;
    char *text = nx_arena_alloc(arena, 2 * id.len);
    if (!text)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < id.len; i++) {
        text[2 * i] = digits[id.data[i] >> 4];
        text[2 * i + 1] = digits[id.data[i] & 15];
    }
    labels->items[labels->count++] =
        (struct nx_label){.name = name, .value = nx_view_make(text, 2 * id.len)};
    return NX_OK;
}

/* The ids, and the filtered attributes where all together are short enough. */
static enum nx_err exemplar_labels(struct nx_arena *arena, const Narthex__Otlp__Exemplar *exemplar,
                                   struct dist_otlp_labels *out)
{
    out->items = nx_arena_array(arena, 2 + exemplar->n_attributes, sizeof *out->items);
    out->count = 0;
    if (!out->items)
        return NX_ERR_NOMEM;
    enum nx_err err = add_id(arena, NX_VIEW("trace_id"), exemplar->trace_id, out);
    if (!err)
        err = add_id(arena, NX_VIEW("span_id"), exemplar->span_id, out);
    size_t ids = out->count, runes = 0;
    for (size_t i = 0; i < exemplar->n_attributes && !err; i++) {
        struct nx_label *label = &out->items[out->count];
        label->name = dist_otlp_view(exemplar->attributes[i]->key);
        err = dist_otlp_text(arena, exemplar->attributes[i]->value, &label->value);
        if (err == NX_ERR_INVALID)
            err = NX_OK;
        else
            out->count++;
    }
    for (size_t i = 0; i < out->count; i++)
        runes += rune_count(out->items[i].name) + rune_count(out->items[i].value);
    if (runes > MAX_EXEMPLAR_RUNES)
        out->count = ids;
    return err;
}

enum nx_err dist_otlp_add_exemplar(struct dist_otlp *o, struct dist_series *series,
                                   const Narthex__Otlp__Exemplar *exemplar)
{
    struct dist_batch *batch = o->decoding.batch;
    struct dist_otlp_labels labels;
    struct dist_exemplar *row = NULL;
    double value = 0;
    if (!dist_otlp_exemplar_value(exemplar, &value))
        return NX_OK;
    enum nx_err err = exemplar_labels(&batch->arena, exemplar, &labels);
    if (!err)
        err = dist_decoding_point(&o->decoding);
    if (!err)
        err = dist_batch_add_exemplar(batch, &row);
    if (err)
        return err;
    row->timestamp = (int64_t)(exemplar->time_ns / NS_PER_MS);
    row->value_bits = nx_double_bits(value);
    row->raw_labels = dist_plain_labels(labels.items, labels.count);
    series->exemplar_count++;
    return NX_OK;
}

/* --- resources --- */

enum identifying { SERVICE_NAME, SERVICE_NAMESPACE, INSTANCE_ID, IDENTIFYING_COUNT };
static const char *const identifying_names[IDENTIFYING_COUNT] = {
    "service.name", "service.namespace", "service.instance.id"};

static enum identifying identifying_of(const Narthex__Otlp__KeyValue *attribute)
{
    for (int i = 0; i < IDENTIFYING_COUNT; i++)
        if (nx_view_is(dist_otlp_view(attribute->key), identifying_names[i]))
            return (enum identifying)i;
    return IDENTIFYING_COUNT;
}

static enum nx_err job_of(struct nx_arena *arena, const struct nx_view *texts, struct nx_view *out)
{
    struct nx_view space = texts[SERVICE_NAMESPACE], name = texts[SERVICE_NAME];
    *out = name;
    if (!space.ptr)
        return NX_OK;
    char *text = nx_arena_alloc(arena, space.len + 1 + name.len);
    if (!text)
        return NX_ERR_NOMEM;
    if (space.len > 0)
        memcpy(text, space.ptr, space.len);
    text[space.len] = '/';
    if (name.len > 0)
        memcpy(text + space.len + 1, name.ptr, name.len);
    *out = nx_view_make(text, space.len + 1 + name.len);
    return NX_OK;
}

enum nx_err dist_otlp_begin_resource(struct dist_otlp *o, const Narthex__Otlp__Resource *resource)
{
    struct nx_arena *arena = &o->decoding.batch->arena;
    struct nx_view texts[IDENTIFYING_COUNT] = {{.ptr = NULL}};
    enum nx_err err = NX_OK;
    o->identity_count = 0;
    o->earliest_ns = UINT64_MAX;
    o->latest_ns = 0;
    for (size_t i = 0; resource && i < resource->n_attributes && !err; i++) {
        enum identifying kind = identifying_of(resource->attributes[i]);
        if (kind == IDENTIFYING_COUNT)
            continue;
        err = dist_otlp_text(arena, resource->attributes[i]->value, &texts[kind]);
        if (err == NX_ERR_INVALID)
            err = nx_fail_set(o->decoding.fail, err, "resource: %s: %s", identifying_names[kind],
                              bad_attribute);
        if (!texts[kind].ptr)
            texts[kind] = NX_VIEW("");
    }
    if (!err && texts[SERVICE_NAME].ptr) {
        struct nx_label *job = &o->identity[o->identity_count++];
        job->name = NX_VIEW("job");
        err = job_of(arena, texts, &job->value);
    }
    if (!err && texts[INSTANCE_ID].ptr)
        o->identity[o->identity_count++] =
            (struct nx_label){.name = NX_VIEW("instance"), .value = texts[INSTANCE_ID]};
    return err;
}

static enum nx_err add_target_info(struct dist_otlp *o, const struct dist_otlp_labels *labels)
{
    struct dist_series *series = NULL;
    uint64_t step = target_info_step_ns, t = o->earliest_ns;
    if ((o->latest_ns - t) / step > MAX_TARGET_INFO)
        t = o->latest_ns - step * MAX_TARGET_INFO;
    enum nx_err err =
        dist_otlp_add_series(o, labels, NX_VIEW("target_info"), NX_VIEW(""), NULL, &series);
    for (; !err && t < o->latest_ns; t += step)
        err = dist_otlp_add_sample(o, series, t, 1);
    return err ? err : dist_otlp_add_sample(o, series, o->latest_ns, 1);
}

static bool identifies(const struct dist_otlp_labels *labels)
{
    for (size_t i = 0; i < labels->count; i++)
        if (nx_view_is(labels->items[i].name, "job") ||
            nx_view_is(labels->items[i].name, "instance"))
            return true;
    return false;
}

/* The attributes that do not identify the resource, in front of the others. */
static enum nx_err telling_attributes(struct nx_arena *arena,
                                      const Narthex__Otlp__Resource *resource,
                                      Narthex__Otlp__KeyValue ***out, size_t *count)
{
    *count = 0;
    *out = nx_arena_array(arena, resource->n_attributes + 1, sizeof **out);
    if (!*out)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < resource->n_attributes; i++)
        if (identifying_of(resource->attributes[i]) == IDENTIFYING_COUNT)
            (*out)[(*count)++] = resource->attributes[i];
    return NX_OK;
}

enum nx_err dist_otlp_end_resource(struct dist_otlp *o, const Narthex__Otlp__Resource *resource)
{
    Narthex__Otlp__KeyValue **attributes;
    struct dist_otlp_labels labels;
    const char *broken;
    size_t count;
    if (!resource || o->earliest_ns > o->latest_ns)
        return NX_OK;
    enum nx_err err = telling_attributes(&o->decoding.batch->arena, resource, &attributes, &count);
    if (err || count == 0)
        return err;
    err = dist_otlp_point_labels(o, attributes, count, &labels, &broken);
    if (err)
        return err;
    if (broken)
        return dist_otlp_refuse(o, NX_VIEW("target_info"), broken);
    return identifies(&labels) ? add_target_info(o, &labels) : NX_OK;
}
