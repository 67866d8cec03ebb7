/* Evaluation of arbitrary queries over a few small series of both kinds, with tight limits: the
 * first byte picks features and kind of query, the rest is the text. An evaluation either gives a
 * result that is well formed or an error with a text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "querier/promql/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERIES 8
#define SAMPLES 40
#define STEP_MS 15000

struct walk {
    struct nx_sample_iter base;
    size_t series, next, last;
};

static const struct nx_label labels[SERIES][3] = {
    {{{"__name__", 8}, {"b", 1}}, {{"le", 2}, {"1", 1}}},
    {{{"__name__", 8}, {"b", 1}}, {{"le", 2}, {"+Inf", 4}}},
    {{{"__name__", 8}, {"h", 1}}, {{"i", 1}, {"1", 1}}},
    {{{"__name__", 8}, {"h", 1}}, {{"i", 1}, {"2", 1}}},
    {{{"__name__", 8}, {"m", 1}}, {{"i", 1}, {"1", 1}}},
    {{{"__name__", 8}, {"m", 1}}, {{"i", 1}, {"2", 1}}, {{"job", 3}, {"x", 1}}},
    {{{"__name__", 8}, {"m_total", 7}}, {{"i", 1}, {"1", 1}}},
    {{{"__name__", 8}, {"target_info", 11}}, {{"job", 3}, {"x", 1}}},
};

static struct nx_span span[1] = {{.offset = 0, .length = 2}};
static double buckets[2] = {1, 2};
static const struct nx_histogram exponential = {.count = 4,
                                                .sum = 7,
                                                .zero_count = 1,
                                                .zero_threshold = 0.01,
                                                .positive_spans = span,
                                                .positive_span_count = 1,
                                                .positive = buckets,
                                                .positive_count = 2};
static double bounds[1] = {5};
static const struct nx_histogram custom = {.schema = NX_HISTOGRAM_CUSTOM_SCHEMA,
                                           .count = 3,
                                           .sum = __builtin_nan(""),
                                           .positive_spans = span,
                                           .positive_span_count = 1,
                                           .positive = buckets,
                                           .positive_count = 2,
                                           .custom_bounds = bounds,
                                           .custom_count = 1};

static int walk_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    struct walk *walk = (struct walk *)it;
    if (walk->next >= walk->last)
        return 0;
    size_t i = walk->next++;
    *out = (struct nx_sample){.t = (int64_t)i * STEP_MS, .value = (double)((i * 7) % 13)};
    if (i % 11 == 10)
        out->value = nx_double_from_bits(NX_STALE_NAN_BITS);
    if (walk->series == 6)
        out->st = out->t - 1 - (int64_t)(i % 5) * 7000;
    if ((walk->series == 2 || walk->series == 3) && i % 9 != 8)
        out->histogram = walk->series == 3 && i > 20 ? &custom : &exponential;
    return 1;
}

static int walk_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    struct walk *walk = (struct walk *)it;
    if (walk->next > 0)
        walk->next--;
    while (walk->next < walk->last && (int64_t)walk->next * STEP_MS < t)
        walk->next++;
    return walk_next(it, out);
}

static void walk_free(struct nx_sample_iter *it)
{
    nx_free(it);
}

static const struct nx_sample_iter_ops walk_ops = {
    .next = walk_next, .seek = walk_seek, .free = walk_free};

struct fuzz_source {
    struct qry_source base;
    struct nx_arena arena;
};

static enum nx_err source_select(struct qry_source *base, const struct qry_select *select,
                                 struct qry_series **series, size_t *count, struct nx_fail *fail)
{
    struct fuzz_source *source = (struct fuzz_source *)base;
    struct qry_series *list = nx_arena_array(&source->arena, SERIES, sizeof *list);
    size_t found = 0;
    if (!list)
        return nx_fail_set(fail, NX_ERR_NOMEM, "no memory");
    for (size_t i = 0; i < SERIES; i++) {
        struct nx_labels set = {.items = labels[i], .count = labels[i][2].name.ptr ? 3 : 2};
        if (nx_matchers_match(select->matchers, select->matcher_count, set))
            list[found++] = (struct qry_series){.labels = set, .data = (void *)(uintptr_t)(i + 1)};
    }
    *series = list;
    *count = found;
    return NX_OK;
}

static enum nx_err source_open(struct qry_source *base, const struct qry_series *series,
                               int64_t min_t, int64_t max_t, struct nx_sample_iter **out)
{
    struct walk *walk = nx_calloc(1, sizeof *walk);
    (void)base;
    if (!walk)
        return NX_ERR_NOMEM;
    walk->base.ops = &walk_ops;
    walk->series = (uintptr_t)series->data - 1;
    while (walk->next < SAMPLES && (int64_t)walk->next * STEP_MS < min_t)
        walk->next++;
    walk->last = walk->next;
    while (walk->last < SAMPLES && (int64_t)walk->last * STEP_MS <= max_t)
        walk->last++;
    *out = &walk->base;
    return NX_OK;
}

static const struct qry_source_ops source_ops = {.select = source_select, .open = source_open};

static void check(const struct qry_result *result)
{
    for (size_t s = 0; s < result->count; s++) {
        const struct qry_result_series *series = &result->series[s];
        for (size_t i = 1; i < series->labels.count; i++) {
            if (nx_view_cmp(series->labels.items[i - 1].name, series->labels.items[i].name) >= 0)
                abort();
        }
        if (series->count == 0)
            abort();
        for (size_t i = 0; i < series->count; i++) {
            if (i > 0 && series->points[i].t <= series->points[i - 1].t)
                abort();
            if (!series->points[i].histogram && nx_is_stale(series->points[i].value))
                abort();
        }
        if (s > 0 && result->type == QRY_TYPE_MATRIX &&
            nx_labels_cmp(result->series[s - 1].labels, series->labels) >= 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct qry_features all = {.experimental_functions = true,
                                            .duration_expressions = true,
                                            .extended_range_selectors = true,
                                            .binop_fill_modifiers = true};
    struct qry_query *query = NULL;
    struct nx_fail fail = {0};
    if (size < 2 || qry_parse(nx_view_make(data + 1, size - 1), &all, &query, &fail) != NX_OK)
        return 0;

    struct fuzz_source source = {.base = {.ops = &source_ops}};
    struct qry_eval_params params = {
        .features = all,
        .limits = {.lookback_ms = 60000,
                   .default_step_ms = 30000,
                   .max_samples = 50000,
                   .max_memory_bytes = 4 << 20},
        .clock = nx_clock_system(),
    };
    params.features.delayed_name_removal = data[0] & 1;
    params.features.use_start_timestamps = data[0] & 2;
    params.start_ms = 100000;
    params.end_ms = data[0] & 4 ? 400000 : 100000;
    params.step_ms = data[0] & 4 ? 20000 : 0;
    params.limits.deadline_ns = nx_now_ns(params.clock) + 500000000;
    nx_arena_init(&source.arena, 0);
    struct qry_result result;
    enum nx_err err = qry_evaluate(query, &source.base, &params, &result, &fail);
    if (err == NX_OK) {
        check(&result);
        qry_result_release(&result);
    } else if (fail.text[0] == '\0') {
        abort();
    }
    nx_arena_release(&source.arena);
    qry_query_free(query);
    return 0;
}
