/* Compares results with expectations (promqltest format, section 4; tolerance: promql
 * reference 17.6). Whatever differs is written out once as a whole, expected and got, in the
 * notation of the files. */
#include <float.h>
#include <math.h>

#include "common/cxx/number_shim.h"
#include "querier/promql/histogram_math.h"
#include "tests/conformance/promqltest.h"

#define EPSILON 1e-6

bool pt_almost_equal(double a, double b)
{
    if (nx_is_stale(a) || nx_is_stale(b))
        return nx_is_stale(a) && nx_is_stale(b);
    if (isnan(a) && isnan(b))
        return true;
    if (a == b)
        return true;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return diff < EPSILON * DBL_MIN;
    return diff / fmin(sum, DBL_MAX) < EPSILON;
}

/* --- histograms --- */

static bool spans_equal(const struct nx_span *a, size_t a_count, const struct nx_span *b,
                        size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (a[i].offset != b[i].offset || a[i].length != b[i].length)
            return false;
    return true;
}

static bool values_close(const double *a, size_t a_count, const double *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!pt_almost_equal(a[i], b[i]))
            return false;
    return true;
}

static bool bounds_equal(const struct nx_histogram *a, const struct nx_histogram *b)
{
    if (a->custom_count != b->custom_count)
        return false;
    for (size_t i = 0; i < a->custom_count; i++)
        if (a->custom_bounds[i] != b->custom_bounds[i])
            return false;
    return true;
}

static bool compacted_equal(const struct nx_histogram *a, const struct nx_histogram *b)
{
    return a->schema == b->schema && a->zero_threshold == b->zero_threshold && bounds_equal(a, b) &&
           pt_almost_equal(a->count, b->count) && pt_almost_equal(a->sum, b->sum) &&
           pt_almost_equal(a->zero_count, b->zero_count) &&
           spans_equal(a->positive_spans, a->positive_span_count, b->positive_spans,
                       b->positive_span_count) &&
           spans_equal(a->negative_spans, a->negative_span_count, b->negative_spans,
                       b->negative_span_count) &&
           values_close(a->positive, a->positive_count, b->positive, b->positive_count) &&
           values_close(a->negative, a->negative_count, b->negative, b->negative_count);
}

static bool histogram_fits(const struct pt_value *expected, const struct nx_histogram *got)
{
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_histogram *a = qry_histogram_compact(&arena, expected->histogram);
    struct nx_histogram *b = qry_histogram_compact(&arena, got);
    bool equal = a && b && compacted_equal(a, b) && (!expected->hint_set || a->hint == b->hint);
    nx_arena_release(&arena);
    return equal;
}

static bool point_fits(const struct pt_value *expected, const struct qry_point *got)
{
    if (expected->histogram || got->histogram)
        return expected->histogram && got->histogram && histogram_fits(expected, got->histogram);
    return pt_almost_equal(expected->value, got->value);
}

/* --- writing --- */

static void put_value(struct nx_buf *out, double value, const struct nx_histogram *h,
                      bool with_hint)
{
    static const char *const hints[] = {"unknown", "reset", "not_reset", "gauge"};
    if (!h) {
        char text[NX_FLOAT_MAX];
        nx_buf_append(out, text, nx_float_format_g(value, text));
        return;
    }
    qry_histogram_print(out, h);
    nx_buf_printf(out, "(schema:%d zero:%g", (int)h->schema, h->zero_threshold);
    if (with_hint)
        nx_buf_printf(out, " hint:%s", hints[h->hint & 3]);
    nx_buf_append_char(out, ')');
}

static void put_expected(struct nx_buf *out, const struct pt_command *cmd)
{
    const struct pt_eval *eval = &cmd->eval;
    nx_buf_append_str(out, "    expected:\n");
    if (eval->expect_scalar) {
        nx_buf_append_str(out, "        scalar ");
        put_value(out, eval->scalar, NULL, false);
        nx_buf_append_char(out, '\n');
    }
    if (eval->expect_string)
        nx_buf_printf(out, "        string \"%.*s\"\n", NX_VIEW_ARG(eval->string));
    for (size_t i = 0; i < cmd->series.count; i++) {
        const struct pt_series *s = &cmd->series.items[i];
        nx_buf_append_str(out, "        ");
        nx_labels_print(out, s->labels);
        for (size_t j = 0; j < s->count; j++) {
            nx_buf_append_char(out, ' ');
            if (s->values[j].omitted)
                nx_buf_append_char(out, '_');
            else
                put_value(out, s->values[j].value, s->values[j].histogram, s->values[j].hint_set);
        }
        nx_buf_append_char(out, '\n');
    }
}

static void put_got(struct nx_buf *out, const struct qry_result *result)
{
    nx_buf_printf(out, "    got %s:\n", qry_type_text(result->type));
    if (result->type == QRY_TYPE_STRING)
        nx_buf_printf(out, "        \"%.*s\"\n", NX_VIEW_ARG(result->string));
    for (size_t i = 0; i < result->count; i++) {
        const struct qry_result_series *s = &result->series[i];
        nx_buf_append_str(out, "        ");
        nx_labels_print(out, s->labels);
        for (size_t j = 0; j < s->count; j++) {
            nx_buf_append_char(out, ' ');
            put_value(out, s->points[j].value, s->points[j].histogram, true);
            if (result->type == QRY_TYPE_MATRIX)
                nx_buf_printf(out, "@%g", (double)s->points[j].t / 1000);
        }
        nx_buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < result->annotation_count; i++)
        nx_buf_printf(out, "        %.*s\n", NX_VIEW_ARG(result->annotations[i].text));
}

static bool differs(const struct pt_command *cmd, const struct qry_result *result,
                    struct nx_buf *why)
{
    put_expected(why, cmd);
    put_got(why, result);
    return false;
}

/* --- results --- */

/* The position among the expected lines (the last one of these labels), or count. */
static size_t find_expected(const struct pt_command *cmd, struct nx_labels labels)
{
    for (size_t i = cmd->series.count; i > 0; i--)
        if (nx_labels_eq(cmd->series.items[i - 1].labels, labels))
            return i - 1;
    return cmd->series.count;
}

static size_t distinct_expected(const struct pt_command *cmd)
{
    size_t count = 0;
    for (size_t i = 0; i < cmd->series.count; i++)
        count += find_expected(cmd, cmd->series.items[i].labels) == i;
    return count;
}

struct vector_item {
    struct nx_labels labels;
    const struct qry_point *point;
};

/* Whether one item of a vector is the one expected at its place. */
static bool item_fits(const struct pt_command *cmd, const struct vector_item *item, size_t at,
                      bool ordered, struct nx_buf *why)
{
    size_t found = find_expected(cmd, item->labels);
    if (found == cmd->series.count) {
        nx_buf_append_str(why, "    unexpected ");
        nx_labels_print(why, item->labels);
        nx_buf_append_char(why, '\n');
        return false;
    }
    if (ordered && found != at) {
        nx_buf_append_str(why, "    the order differs\n");
        return false;
    }
    const struct pt_series *expected = &cmd->series.items[found];
    return expected->count == 1 && point_fits(&expected->values[0], item->point);
}

static bool compare_vector(const struct pt_command *cmd, const struct qry_result *result,
                           struct nx_buf *why)
{
    bool fits = result->count == distinct_expected(cmd) && !cmd->eval.expect_scalar;
    for (size_t i = 0; i < result->count && fits; i++) {
        struct vector_item item = {result->series[i].labels, &result->series[i].points[0]};
        fits = result->series[i].count == 1 && item_fits(cmd, &item, i, cmd->eval.ordered, why);
    }
    return fits || differs(cmd, result, why);
}

static bool is_sorted(const struct qry_result *result)
{
    for (size_t i = 1; i < result->count; i++)
        if (nx_labels_cmp(result->series[i - 1].labels, result->series[i].labels) >= 0)
            return false;
    return true;
}

/* Points of a kind are counted and compared apart: a wrong kind at one step shows as a wrong count.
 */
static bool points_fit(const struct pt_eval *eval, const struct pt_series *expected,
                       const struct qry_result_series *got)
{
    size_t at = 0;
    for (size_t i = 0; i < expected->count; i++) {
        int64_t t = eval->start_ms + (int64_t)i * eval->step_ms;
        if (t > eval->end_ms)
            return false;
        if (expected->values[i].omitted)
            continue;
        if (at == got->count || got->points[at].t != t ||
            !point_fits(&expected->values[i], &got->points[at]))
            return false;
        at++;
    }
    return at == got->count;
}

static bool compare_matrix(const struct pt_command *cmd, const struct qry_result *result,
                           struct nx_buf *why)
{
    if (cmd->eval.ordered) {
        nx_buf_append_str(why, "    ordered results make no sense for a matrix\n");
        return false;
    }
    if (!is_sorted(result)) {
        nx_buf_append_str(why, "    the result is not sorted by labels\n");
        return differs(cmd, result, why);
    }
    bool fits = result->count == distinct_expected(cmd);
    for (size_t i = 0; i < result->count && fits; i++) {
        size_t found = find_expected(cmd, result->series[i].labels);
        fits = found < cmd->series.count &&
               points_fit(&cmd->eval, &cmd->series.items[found], &result->series[i]);
    }
    return fits || differs(cmd, result, why);
}

bool pt_compare_result(const struct pt_command *cmd, const struct qry_result *result,
                       struct nx_buf *why)
{
    const struct pt_eval *eval = &cmd->eval;
    switch (result->type) {
    case QRY_TYPE_MATRIX:
        if (eval->range || eval->expect_matrix)
            return compare_matrix(cmd, result, why);
        break;
    case QRY_TYPE_VECTOR:
        if (!eval->range && !eval->expect_matrix && !eval->expect_string)
            return compare_vector(cmd, result, why);
        break;
    case QRY_TYPE_SCALAR:
        if (eval->expect_scalar && pt_almost_equal(eval->scalar, result->series[0].points[0].value))
            return true;
        break;
    case QRY_TYPE_STRING:
        if (eval->expect_string && nx_view_eq(eval->string, result->string))
            return true;
        break;
    case QRY_TYPE_NONE:
        break;
    }
    return differs(cmd, result, why);
}

static const struct qry_point *point_at(const struct qry_result_series *s, int64_t t)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->points[i].t == t)
            return &s->points[i];
    return NULL;
}

bool pt_compare_step(const struct pt_command *cmd, const struct qry_result *result, int64_t t,
                     struct nx_buf *why)
{
    if (cmd->eval.ordered)
        return true;
    size_t present = 0;
    bool fits = true;
    for (size_t i = 0; i < result->count && fits; i++) {
        const struct qry_point *point = point_at(&result->series[i], t);
        if (!point)
            continue;
        struct vector_item item = {result->series[i].labels, point};
        if (cmd->eval.expect_scalar)
            fits = present == 0 && pt_almost_equal(cmd->eval.scalar, point->value);
        else
            fits = item_fits(cmd, &item, present, false, why);
        present++;
    }
    fits = fits && present == (cmd->eval.expect_scalar ? 1 : distinct_expected(cmd));
    return fits || differs(cmd, result, why);
}

/* --- annotations and failures --- */

/* Files of the 3.x releases name an annotation without the position at its end: ` (line:column)`.
 */
static struct nx_view without_position(struct nx_view text)
{
    size_t at = text.len, colons = 0;
    if (at == 0 || text.ptr[--at] != ')')
        return text;
    while (at > 0 && ((text.ptr[at - 1] >= '0' && text.ptr[at - 1] <= '9') ||
                      (text.ptr[at - 1] == ':' && ++colons == 1)))
        at--;
    bool position = colons == 1 && at >= 2 && text.ptr[at - 1] == '(' && text.ptr[at - 2] == ' ';
    return position ? nx_view_make(text.ptr, at - 2) : text;
}

static bool pattern_matches(const struct pt_pattern *pattern, struct nx_view text)
{
    switch (pattern->kind) {
    case PT_ANY:
        return true;
    case PT_MSG:
        return nx_view_eq(pattern->text, text) || nx_view_eq(pattern->text, without_position(text));
    case PT_REGEX:
        return nx_regex_matches(pattern->regex, text);
    }
    return false;
}

static bool annotations_fit(const struct pt_patterns *patterns, bool none, bool warning,
                            const struct qry_result *result)
{
    for (size_t i = 0; i < result->annotation_count; i++) {
        if (result->annotations[i].warning != warning)
            continue;
        bool matched = patterns->count == 0 && !none;
        for (size_t j = 0; j < patterns->count && !matched; j++)
            matched = pattern_matches(&patterns->items[j], result->annotations[i].text);
        if (!matched)
            return false;
    }
    for (size_t j = 0; j < patterns->count; j++) {
        bool matched = false;
        for (size_t i = 0; i < result->annotation_count && !matched; i++)
            matched = result->annotations[i].warning == warning &&
                      pattern_matches(&patterns->items[j], result->annotations[i].text);
        if (!matched)
            return false;
    }
    return true;
}

static void put_annotations(struct nx_buf *why, const char *kind,
                            const struct pt_patterns *patterns, bool none, bool warning,
                            const struct qry_result *result)
{
    nx_buf_printf(why, "    expected %s:%s\n", kind, none ? " none" : "");
    for (size_t i = 0; i < patterns->count; i++)
        nx_buf_printf(why, "        %s%.*s\n", patterns->items[i].kind == PT_ANY ? "any" : "",
                      NX_VIEW_ARG(patterns->items[i].text));
    nx_buf_printf(why, "    got %s:\n", kind);
    for (size_t i = 0; i < result->annotation_count; i++)
        if (result->annotations[i].warning == warning)
            nx_buf_printf(why, "        %.*s\n", NX_VIEW_ARG(result->annotations[i].text));
}

bool pt_compare_annotations(const struct pt_eval *eval, const struct qry_result *result,
                            struct nx_buf *why)
{
    bool warnings = annotations_fit(&eval->warnings, eval->no_warning, true, result);
    bool infos = annotations_fit(&eval->infos, eval->no_info, false, result);
    if (!warnings)
        put_annotations(why, "warnings", &eval->warnings, eval->no_warning, true, result);
    if (!infos)
        put_annotations(why, "infos", &eval->infos, eval->no_info, false, result);
    return warnings && infos;
}

bool pt_compare_failure(const struct pt_eval *eval, struct nx_view text, struct nx_buf *why)
{
    if (pattern_matches(&eval->fail_pattern, text))
        return true;
    nx_buf_printf(why, "    expected failure: %.*s\n    got failure:      %.*s\n",
                  NX_VIEW_ARG(eval->fail_pattern.text), NX_VIEW_ARG(text));
    return false;
}
