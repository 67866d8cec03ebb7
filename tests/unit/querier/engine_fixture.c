#include "engine_fixture.h"

#include "common/cxx/number_shim.h"
#include "querier/promql/series_parse.h"

/* --- source --- */

struct fixture_iter {
    struct nx_sample_iter base;
    struct fixture *f;
    const struct fixture_series *series;
    size_t next;
    int64_t max_t;
};

static int iter_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    struct fixture_iter *iter = (struct fixture_iter *)it;
    struct fixture *f = iter->f;
    if (f->next_err && iter->next >= f->next_err_after)
        return f->next_err;
    if (iter->next >= iter->series->count || iter->series->samples[iter->next].t > iter->max_t)
        return 0;
    f->clock.now_ns += f->ns_per_sample;
    *out = iter->series->samples[iter->next++];
    return 1;
}

static int iter_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    struct fixture_iter *iter = (struct fixture_iter *)it;
    if (iter->next > 0)
        iter->next--;
    while (iter->next < iter->series->count && iter->series->samples[iter->next].t < t)
        iter->next++;
    return iter_next(it, out);
}

static void iter_free(struct nx_sample_iter *it)
{
    struct fixture_iter *iter = (struct fixture_iter *)it;
    iter->f->opened--;
    nx_free(iter);
}

static const struct nx_sample_iter_ops iter_ops = {
    .next = iter_next, .seek = iter_seek, .free = iter_free};

static enum nx_err source_open(struct qry_source *source, const struct qry_series *series,
                               int64_t min_t, int64_t max_t, struct nx_sample_iter **out)
{
    struct fixture *f = (struct fixture *)source;
    if (f->open_err)
        return f->open_err;
    struct fixture_iter *iter = nx_calloc(1, sizeof *iter);
    if (!iter)
        return NX_ERR_NOMEM;
    *iter = (struct fixture_iter){
        .base = {.ops = &iter_ops}, .f = f, .series = series->data, .max_t = max_t};
    while (iter->next < iter->series->count && iter->series->samples[iter->next].t < min_t)
        iter->next++;
    f->opened++;
    *out = &iter->base;
    return NX_OK;
}

static bool has_sample(const struct fixture_series *series, int64_t min_t, int64_t max_t)
{
    for (size_t i = 0; i < series->count; i++) {
        if (series->samples[i].t >= min_t && series->samples[i].t <= max_t)
            return true;
    }
    return false;
}

static enum nx_err source_select(struct qry_source *source, const struct qry_select *select,
                                 struct qry_series **series, size_t *count, struct nx_fail *fail)
{
    struct fixture *f = (struct fixture *)source;
    size_t found = 0;
    if (f->select_err)
        return nx_fail_set(fail, f->select_err, "the cluster is on fire");
    if (f->asked_count < FIXTURE_SELECTS_MAX) {
        struct nx_matcher *matchers =
            nx_arena_array(&f->arena, select->matcher_count + 1, sizeof *matchers);
        if (!matchers)
            return NX_ERR_NOMEM;
        memcpy(matchers, select->matchers, select->matcher_count * sizeof *matchers);
        f->asked[f->asked_count] = *select;
        f->asked[f->asked_count++].matchers = matchers;
    }
    struct qry_series *list = nx_arena_array(&f->arena, f->count + 1, sizeof *list);
    if (!list)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < f->count; i++) {
        if (nx_matchers_match(select->matchers, select->matcher_count, f->series[i].labels) &&
            has_sample(&f->series[i], select->min_t, select->max_t))
            list[found++] =
                (struct qry_series){.labels = f->series[i].labels, .data = &f->series[i]};
    }
    *series = list;
    *count = found;
    return NX_OK;
}

static const struct qry_source_ops source_ops = {.select = source_select, .open = source_open};

/* --- set-up --- */

void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->source.ops = &source_ops;
    nx_arena_init(&f->arena, 0);
    nx_clock_manual_init(&f->clock, 0);
    f->params.features = all_features;
    f->params.features.delayed_name_removal = true;
    f->params.limits = (struct qry_limits){.lookback_ms = 300000, .default_step_ms = 60000};
    f->params.clock = &f->clock.base;
}

void fixture_free(struct fixture *f)
{
    assert_int_equal(f->opened, 0);
    nx_arena_release(&f->arena);
}

void fixture_load_sample(struct fixture *f, struct nx_labels labels,
                         const struct nx_sample *samples, size_t count)
{
    size_t at = 0;
    assert_true(f->count < FIXTURE_SERIES_MAX);
    while (at < f->count && nx_labels_cmp(f->series[at].labels, labels) < 0)
        at++;
    memmove(&f->series[at + 1], &f->series[at], (f->count - at) * sizeof f->series[0]);
    f->count++;
    struct nx_sample *copy = nx_arena_array(&f->arena, count + 1, sizeof *copy);
    assert_non_null(copy);
    if (count > 0)
        memcpy(copy, samples, count * sizeof *copy);
    f->series[at] = (struct fixture_series){
        .labels = nx_labels_copy(&f->arena, labels), .samples = copy, .count = count};
}

static const struct nx_histogram *one_bucket(struct fixture *f, double count, double sum)
{
    struct nx_histogram *h = nx_arena_calloc(&f->arena, 1, sizeof *h);
    h->positive_spans = nx_arena_calloc(&f->arena, 1, sizeof *h->positive_spans);
    h->positive = nx_arena_calloc(&f->arena, 1, sizeof *h->positive);
    h->positive_spans[0].length = 1;
    h->positive_span_count = h->positive_count = 1;
    h->positive[0] = h->count = count;
    h->sum = sum;
    return h;
}

static bool read_sample(struct fixture *f, const char *word, struct nx_sample *out)
{
    if (strcmp(word, "_") == 0)
        return false;
    if (strcmp(word, "stale") == 0) {
        out->value = nx_double_from_bits(NX_STALE_NAN_BITS);
        return true;
    }
    if (strncmp(word, "h:", 2) == 0) {
        char *comma;
        double count = strtod(word + 2, &comma);
        out->histogram = one_bucket(f, count, strtod(comma + 1, NULL));
        return true;
    }
    char *end;
    out->value = strtod(word, &end);
    if (*end == '@')
        out->st = strtol(end + 1, NULL, 10);
    return true;
}

void fixture_load(struct fixture *f, int64_t step_ms, const char *line)
{
    struct nx_sample samples[4096];
    struct nx_labels labels;
    struct nx_fail fail = {0};
    size_t consumed, count = 0;
    if (qry_parse_metric(nx_view_of(line), &f->arena, &labels, &consumed, &fail) != NX_OK)
        fail_msg("%s: %s", line, fail.text);
    int64_t t = 0;
    for (const char *p = line + consumed; *p != '\0';) {
        char word[64];
        size_t len = strcspn(p, " ");
        assert_true(len < sizeof word && count < 4096);
        memcpy(word, p, len);
        word[len] = '\0';
        p += len + strspn(p + len, " ");
        if (len == 0)
            continue;
        samples[count] = (struct nx_sample){.t = t};
        if (read_sample(f, word, &samples[count]))
            count++;
        t += step_ms;
    }
    fixture_load_sample(f, labels, samples, count);
}

/* --- evaluation --- */

static enum nx_err evaluate(struct fixture *f, const char *text, struct qry_result *out,
                            struct nx_fail *fail)
{
    struct qry_query *query = NULL;
    enum nx_err err = qry_parse(nx_view_of(text), &all_features, &query, fail);
    if (err != NX_OK)
        return err;
    err = qry_evaluate(query, &f->source, &f->params, out, fail);
    qry_query_free(query);
    return err;
}

enum nx_err fixture_instant(struct fixture *f, const char *query, int64_t t_ms,
                            struct qry_result *out, struct nx_fail *fail)
{
    f->params.start_ms = f->params.end_ms = t_ms;
    f->params.step_ms = 0;
    return evaluate(f, query, out, fail);
}

enum nx_err fixture_range(struct fixture *f, const char *query, int64_t start_ms, int64_t end_ms,
                          int64_t step_ms, struct qry_result *out, struct nx_fail *fail)
{
    f->params.start_ms = start_ms;
    f->params.end_ms = end_ms;
    f->params.step_ms = step_ms;
    return evaluate(f, query, out, fail);
}

static void print_number(struct nx_buf *buf, double v)
{
    char text[NX_FLOAT_MAX];
    nx_buf_append(buf, text, nx_float_format_g(v, text));
}

char *fixture_text(const struct qry_result *result)
{
    struct nx_buf buf;
    size_t len;
    nx_buf_init(&buf, (size_t)1 << 26);
    if (result->type == QRY_TYPE_STRING)
        nx_buf_append_view(&buf, result->string);
    for (size_t s = 0; s < result->count; s++) {
        const struct qry_result_series *series = &result->series[s];
        if (buf.len > 0)
            nx_buf_append_char(&buf, '\n');
        if (result->type != QRY_TYPE_SCALAR) {
            nx_labels_print(&buf, series->labels);
            nx_buf_append_char(&buf, ' ');
        }
        for (size_t i = 0; i < series->count; i++) {
            const struct qry_point *p = &series->points[i];
            if (i > 0)
                nx_buf_append_char(&buf, ' ');
            if (p->histogram)
                nx_buf_printf(&buf, "h:%g,%g", p->histogram->count, p->histogram->sum);
            else
                print_number(&buf, p->value);
            if (result->type == QRY_TYPE_MATRIX) {
                nx_buf_append_char(&buf, '@');
                print_number(&buf, (double)p->t / 1000);
            }
        }
    }
    for (size_t i = 0; i < result->annotation_count; i++) {
        if (buf.len > 0)
            nx_buf_append_char(&buf, '\n');
        nx_buf_append_view(&buf, result->annotations[i].text);
    }
    nx_buf_append_char(&buf, '\0');
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    return nx_buf_take(&buf, &len);
}

static void compare(const char *query, enum nx_err err, struct qry_result *result,
                    const struct nx_fail *fail, const char *expect)
{
    if (err != NX_OK) {
        char text[600];
        snprintf(text, sizeof text, "error: %s", fail->text);
        if (strcmp(text, expect) != 0)
            fail_msg("%s\n  expected: %s\n  got: %s", query, expect, text);
        return;
    }
    char *text = fixture_text(result);
    if (strcmp(text, expect) != 0)
        fail_msg("%s\n  expected:\n%s\n  got:\n%s", query, expect, text);
    nx_free(text);
    qry_result_release(result);
}

void fixture_expect(struct fixture *f, const char *query, int64_t t_ms, const char *expect)
{
    struct qry_result result;
    struct nx_fail fail = {0};
    enum nx_err err = fixture_instant(f, query, t_ms, &result, &fail);
    compare(query, err, &result, &fail, expect);
}

void fixture_expect_range(struct fixture *f, const char *query, int64_t start_ms, int64_t end_ms,
                          int64_t step_ms, const char *expect)
{
    struct qry_result result;
    struct nx_fail fail = {0};
    enum nx_err err = fixture_range(f, query, start_ms, end_ms, step_ms, &result, &fail);
    compare(query, err, &result, &fail, expect);
}
