/* load_with_nhcb: classic histograms of a load become native ones with custom buckets besides
 * (promqltest format, section 5). Per base series and timestamp the bucket, count and sum values
 * are collected and converted. */
#include <math.h>
#include <stdlib.h>

#include "common/cxx/number_shim.h"
#include "querier/promql/histogram_math.h"
#include "tests/conformance/promqltest.h"

struct bucket {
    double bound;
    double count;
};

/* What the classic series say at one position. */
struct moment {
    bool used;
    struct bucket *buckets; /* by bound */
    size_t bucket_count;
    size_t bucket_capacity;
    bool has_count;
    double count;
    double sum;
};

struct group {
    struct nx_labels labels;
    struct moment *moments;
    size_t count;
};

struct groups {
    struct nx_arena *arena;
    struct group *items;
    size_t count;
    size_t capacity;
};

static enum nx_err group_of(struct groups *groups, struct nx_labels labels, size_t positions,
                            struct group **out)
{
    struct group *group = NULL;
    for (size_t i = 0; i < groups->count && !group; i++)
        if (nx_labels_eq(groups->items[i].labels, labels))
            group = &groups->items[i];
    if (!group) {
        if (!nx_arena_grow(groups->arena, &groups->items, groups->count, &groups->capacity,
                           groups->count + 1, sizeof *group))
            return NX_ERR_NOMEM;
        group = &groups->items[groups->count++];
        *group = (struct group){.labels = labels};
    }
    if (positions > group->count) {
        struct moment *moments = nx_arena_calloc(groups->arena, positions, sizeof *moments);
        if (!moments)
            return NX_ERR_NOMEM;
        for (size_t i = 0; i < group->count; i++)
            moments[i] = group->moments[i];
        group->moments = moments;
        group->count = positions;
    }
    *out = group;
    return NX_OK;
}

static enum nx_err set_bucket(struct nx_arena *arena, struct moment *m, double bound, double count,
                              struct nx_fail *fail)
{
    if (count < 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "bucket count must be >= 0");
    size_t at = 0;
    while (at < m->bucket_count && m->buckets[at].bound < bound)
        at++;
    if (at < m->bucket_count && m->buckets[at].bound == bound)
        return NX_OK;
    if ((at > 0 && count < m->buckets[at - 1].count) ||
        (at < m->bucket_count && count > m->buckets[at].count))
        return nx_fail_set(fail, NX_ERR_INVALID, "bucket counts are not cumulative");
    if (!nx_arena_grow(arena, &m->buckets, m->bucket_count, &m->bucket_capacity,
                       m->bucket_count + 1, sizeof *m->buckets))
        return NX_ERR_NOMEM;
    for (size_t i = m->bucket_count; i > at; i--)
        m->buckets[i] = m->buckets[i - 1];
    m->buckets[at] = (struct bucket){bound, count};
    m->bucket_count++;
    return NX_OK;
}

enum part { PART_NONE, PART_BUCKET, PART_COUNT, PART_SUM };

static enum part part_of(struct nx_labels labels, struct nx_view *base, double *bound)
{
    static const struct {
        struct nx_view suffix;
        enum part part;
    } parts[] = {{NX_VIEW("_bucket"), PART_BUCKET},
                 {NX_VIEW("_count"), PART_COUNT},
                 {NX_VIEW("_sum"), PART_SUM}};
    struct nx_view name = nx_labels_get(labels, NX_LABEL_METRIC_NAME);
    for (size_t i = 0; i < 3; i++) {
        if (!nx_view_has_suffix(name, parts[i].suffix))
            continue;
        *base = nx_view_make(name.ptr, name.len - parts[i].suffix.len);
        if (parts[i].part == PART_BUCKET &&
            (!nx_float_parse(nx_labels_get(labels, NX_LABEL_LE), bound) || isnan(*bound)))
            return PART_NONE;
        return parts[i].part;
    }
    return PART_NONE;
}

static enum nx_err collect(struct groups *groups, const struct pt_series *series,
                           struct nx_fail *fail)
{
    struct nx_view base;
    double bound = 0;
    enum part part = part_of(series->labels, &base, &bound);
    if (part == PART_NONE)
        return NX_OK;
    struct nx_labels_builder builder;
    struct nx_labels labels;
    struct group *group;
    nx_labels_builder_init(&builder, groups->arena, series->labels);
    nx_labels_builder_del(&builder, NX_LABEL_LE);
    nx_labels_builder_set(&builder, NX_LABEL_METRIC_NAME, base);
    enum nx_err err = nx_labels_builder_take(&builder, &labels);
    if (err || (err = group_of(groups, labels, series->count, &group)))
        return err;
    for (size_t i = 0; i < series->count && !err; i++) {
        const struct pt_value *value = &series->values[i];
        if (value->omitted || value->histogram)
            continue;
        struct moment *m = &group->moments[i];
        m->used = true;
        if (part == PART_BUCKET)
            err = set_bucket(groups->arena, m, bound, value->value, fail);
        else if (part == PART_SUM)
            m->sum = value->value;
        else
            m->has_count = true, m->count = value->value;
    }
    return err;
}

static enum nx_err convert(struct nx_arena *arena, struct moment *m, struct nx_histogram **out,
                           struct nx_fail *fail)
{
    if (m->has_count && m->count < 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "count must be >= 0");
    if (!m->has_count && m->bucket_count > 0)
        m->count = m->buckets[m->bucket_count - 1].count;
    if (m->bucket_count == 0 || !isinf(m->buckets[m->bucket_count - 1].bound)) {
        enum nx_err err = set_bucket(arena, m, HUGE_VAL, m->count, fail);
        if (err)
            return err;
    }
    size_t n = m->bucket_count;
    if (m->count != m->buckets[n - 1].count)
        return nx_fail_set(fail, NX_ERR_INVALID, "count does not match the +Inf bucket");
    struct nx_histogram *h = nx_arena_calloc(arena, 1, sizeof *h);
    struct nx_span *span = nx_arena_alloc(arena, sizeof *span);
    double *counts = nx_arena_array(arena, n, sizeof *counts);
    double *bounds = nx_arena_array(arena, n, sizeof *bounds);
    if (!h || !span || !counts || !bounds)
        return NX_ERR_NOMEM;
    double before = 0;
    for (size_t i = 0; i < n; i++) {
        counts[i] = m->buckets[i].count - before;
        before = m->buckets[i].count;
        bounds[i] = m->buckets[i].bound;
    }
    *span = (struct nx_span){0, (uint32_t)n};
    *h = (struct nx_histogram){.schema = NX_HISTOGRAM_CUSTOM_SCHEMA,
                               .count = m->count,
                               .sum = m->sum,
                               .positive_spans = span,
                               .positive_span_count = 1,
                               .positive = counts,
                               .positive_count = n,
                               .custom_bounds = bounds,
                               .custom_count = n - 1};
    *out = qry_histogram_compact(arena, h);
    return *out ? NX_OK : NX_ERR_NOMEM;
}

enum nx_err pt_append_nhcb(struct memory_source *memory, const struct pt_series_list *series,
                           int64_t step_ms, struct nx_fail *fail)
{
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct groups groups = {.arena = &arena};
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < series->count && !err; i++)
        err = collect(&groups, &series->items[i], fail);
    for (size_t g = 0; g < groups.count && !err; g++) {
        struct group *group = &groups.items[g];
        for (size_t i = 0; i < group->count && !err; i++) {
            if (!group->moments[i].used)
                continue;
            struct nx_histogram *h = NULL;
            err = convert(&arena, &group->moments[i], &h, fail);
            if (err)
                break;
            struct nx_sample sample = {.t = (int64_t)i * step_ms, .histogram = h};
            err = memory_source_append(memory, group->labels, &sample, fail);
        }
    }
    nx_arena_release(&arena);
    return err;
}
