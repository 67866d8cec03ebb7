/* Series lines: a metric, then values in the short notation of the test files (promqltest format,
 * section 3), and the @st lines that give start timestamps to the line below them. */
#include <math.h>
#include <string.h>

#include "common/base/time.h"
#include "common/cxx/number_shim.h"
#include "querier/promql/histogram_math.h"
#include "querier/promql/series_parse.h"
#include "tests/conformance/promqltest.h"

#define MAX_REPEAT 1000000

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void advance(struct nx_view *text, size_t n)
{
    text->ptr += n;
    text->len -= n;
}

static void skip_blanks(struct nx_view *text)
{
    while (text->len > 0 && is_blank(text->ptr[0]))
        advance(text, 1);
}

static enum nx_err bad_value(struct nx_view text, struct nx_fail *fail)
{
    size_t len = 0;
    while (len < text.len && len < 40 && !is_blank(text.ptr[len]))
        len++;
    return nx_fail_set(fail, NX_ERR_INVALID, "bad series value at \"%.*s\"", (int)len, text.ptr);
}

/* Digits with one point and one exponent. */
static size_t number_length(struct nx_view text)
{
    size_t i = 0;
    while (i < text.len && (is_digit(text.ptr[i]) || text.ptr[i] == '.'))
        i++;
    if (i > 0 && i < text.len && (text.ptr[i] == 'e' || text.ptr[i] == 'E')) {
        size_t j = i + 1;
        if (j < text.len && (text.ptr[j] == '+' || text.ptr[j] == '-'))
            j++;
        if (j < text.len && is_digit(text.ptr[j])) {
            while (j < text.len && is_digit(text.ptr[j]))
                j++;
            return j;
        }
    }
    return i;
}

/* Digits and units in turn ("1h30m"); 0 where a unit is missing. */
static size_t duration_length(struct nx_view text)
{
    size_t i = 0, end = 0;
    while (i < text.len && is_digit(text.ptr[i])) {
        while (i < text.len && is_digit(text.ptr[i]))
            i++;
        size_t unit = i;
        while (i < text.len && text.ptr[i] != 'x' && strchr("mshdwy", text.ptr[i]) && text.ptr[i])
            i++;
        if (i == unit)
            break;
        end = i;
    }
    return end;
}

static bool take_word_number(struct nx_view *text, double *out)
{
    static const struct {
        const char *word;
        size_t len;
        double value;
    } words[] = {{"inf", 3, HUGE_VAL}, {"nan", 3, 0}};
    for (size_t i = 0; i < 2; i++) {
        struct nx_view head = {text->ptr, text->len < 3 ? text->len : 3};
        if (!nx_view_eq_nocase(head, nx_view_of(words[i].word)))
            continue;
        *out = i == 0 ? words[i].value : nx_double_from_bits(NX_NORMAL_NAN_BITS);
        advance(text, words[i].len);
        return true;
    }
    return false;
}

/* An unsigned number or duration at the start of *text. */
static enum nx_err take_magnitude(struct nx_view *text, double *out, struct nx_fail *fail)
{
    if (take_word_number(text, out))
        return NX_OK;
    size_t duration = duration_length(*text);
    if (duration > 0) {
        int64_t ms;
        enum nx_err err = nx_duration_parse(nx_view_make(text->ptr, duration), &ms, fail);
        if (err)
            return err;
        *out = (double)ms / 1000;
        advance(text, duration);
        return NX_OK;
    }
    size_t len = number_length(*text);
    if (len == 0 || !nx_float_parse(nx_view_make(text->ptr, len), out))
        return bad_value(*text, fail);
    advance(text, len);
    return NX_OK;
}

static enum nx_err take_signed(struct nx_view *text, double *out, struct nx_fail *fail)
{
    bool minus = text->len > 0 && text->ptr[0] == '-';
    if (minus || (text->len > 0 && text->ptr[0] == '+'))
        advance(text, 1);
    enum nx_err err = take_magnitude(text, out, fail);
    if (!err && minus)
        *out = -*out;
    return err;
}

/* `xN`; *times stays where there is none. */
static enum nx_err take_repeat(struct nx_view *text, bool *has, size_t *times, struct nx_fail *fail)
{
    *has = false;
    if (text->len == 0 || text->ptr[0] != 'x')
        return NX_OK;
    struct nx_view rest = nx_view_make(text->ptr + 1, text->len - 1);
    size_t n = 0, digits = 0;
    while (digits < rest.len && is_digit(rest.ptr[digits]) && n <= MAX_REPEAT)
        n = n * 10 + (size_t)(rest.ptr[digits++] - '0');
    if (digits == 0 || n > MAX_REPEAT)
        return bad_value(*text, fail);
    advance(text, digits + 1);
    *has = true;
    *times = n;
    return NX_OK;
}

struct values {
    struct nx_arena *arena;
    struct pt_value *items;
    size_t count;
    size_t capacity;
};

static enum nx_err put(struct values *values, struct pt_value value)
{
    if (!nx_arena_grow(values->arena, &values->items, values->count, &values->capacity,
                       values->count + 1, sizeof value))
        return NX_ERR_NOMEM;
    values->items[values->count++] = value;
    return NX_OK;
}

static enum nx_err put_times(struct values *values, struct pt_value value, size_t times)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < times && !err; i++)
        err = put(values, value);
    return err;
}

static enum nx_err take_blank(struct nx_view *text, struct values *values, struct nx_fail *fail)
{
    bool has;
    size_t times = 1;
    advance(text, 1);
    enum nx_err err = take_repeat(text, &has, &times, fail);
    return err ? err : put_times(values, (struct pt_value){.omitted = true}, times);
}

static enum nx_err take_floats(struct nx_view *text, struct values *values, struct nx_fail *fail)
{
    double v, step = 0;
    enum nx_err err = take_signed(text, &v, fail);
    if (err)
        return err;
    bool stepped = text->len > 0 && (text->ptr[0] == '+' || text->ptr[0] == '-');
    if (stepped && (err = take_signed(text, &step, fail)))
        return err;
    bool has;
    size_t times = 0;
    err = take_repeat(text, &has, &times, fail);
    if (err)
        return err;
    if (stepped && !has)
        return bad_value(*text, fail);
    for (size_t i = 0; i <= times; i++) {
        if ((err = put(values, (struct pt_value){.value = v})))
            return err;
        if (stepped)
            v += step;
    }
    return NX_OK;
}

/* The hint of a sequence's next histogram: that of an addition, also when stepping down. */
static enum nx_reset_hint sequence_hint(enum nx_reset_hint a, enum nx_reset_hint b)
{
    if (a == b)
        return a;
    return a == NX_HINT_GAUGE || b == NX_HINT_GAUGE ? NX_HINT_GAUGE : NX_HINT_UNKNOWN;
}

static enum nx_err step_histogram(struct nx_arena *arena, struct nx_histogram **h,
                                  const struct nx_histogram *by, bool minus, struct nx_fail *fail)
{
    struct qry_histogram_notes notes;
    struct nx_histogram *next = NULL;
    if ((*h)->schema > by->schema)
        return nx_fail_set(fail, NX_ERR_INVALID,
                           "error combining histograms: cannot merge from schema %d to %d",
                           by->schema, (*h)->schema);
    enum nx_err err = minus ? qry_histogram_sub(arena, *h, by, &next, &notes)
                            : qry_histogram_add(arena, *h, by, &next, &notes);
    if (err)
        return nx_fail_set(fail, err, "error combining histograms");
    next->hint = sequence_hint((*h)->hint, by->hint);
    *h = next;
    return NX_OK;
}

static enum nx_err take_histograms(struct nx_view *text, struct values *values,
                                   struct nx_fail *fail)
{
    struct nx_histogram *h, *by = NULL;
    bool hint_set;
    enum nx_err err = pt_parse_histogram(text, values->arena, &h, &hint_set, fail);
    if (err)
        return err;
    bool minus = text->len > 0 && text->ptr[0] == '-';
    if (minus || (text->len > 0 && text->ptr[0] == '+')) {
        advance(text, 1);
        if ((err = pt_parse_histogram(text, values->arena, &by, &hint_set, fail)))
            return err;
    }
    bool has;
    size_t times = 0;
    if ((err = take_repeat(text, &has, &times, fail)))
        return err;
    if (by && !has)
        return bad_value(*text, fail);
    for (size_t i = 0; i <= times; i++) {
        if ((err = put(values, (struct pt_value){.histogram = h, .hint_set = hint_set})))
            return err;
        if (by && i < times && (err = step_histogram(values->arena, &h, by, minus, fail)))
            return err;
    }
    return NX_OK;
}

static enum nx_err take_item(struct nx_view *text, struct values *values, struct nx_fail *fail)
{
    if (text->ptr[0] == '_')
        return take_blank(text, values, fail);
    if (nx_view_has_prefix(*text, NX_VIEW("{{")))
        return take_histograms(text, values, fail);
    if (nx_view_has_prefix(*text, NX_VIEW("stale"))) {
        advance(text, 5);
        return put(values, (struct pt_value){.value = nx_double_from_bits(NX_STALE_NAN_BITS)});
    }
    return take_floats(text, values, fail);
}

enum nx_err pt_parse_series(struct nx_view line, struct nx_arena *arena, struct pt_series *out,
                            struct nx_fail *fail)
{
    size_t consumed;
    struct pt_series series = {0};
    struct values values = {.arena = arena};
    enum nx_err err = qry_parse_metric(line, arena, &series.labels, &consumed, fail);
    if (err)
        return err;
    struct nx_view rest = nx_view_make(line.ptr + consumed, line.len - consumed);
    skip_blanks(&rest);
    while (rest.len > 0 && rest.ptr[0] != '#') {
        if ((err = take_item(&rest, &values, fail)))
            return err;
        if (rest.len > 0 && !is_blank(rest.ptr[0]))
            return bad_value(rest, fail);
        skip_blanks(&rest);
    }
    series.values = values.items;
    series.count = values.count;
    *out = series;
    return NX_OK;
}

/* --- @st --- */

static size_t start_mark(struct nx_view line)
{
    for (size_t i = 0; i + 3 <= line.len; i++)
        if (memcmp(line.ptr + i, "@st", 3) == 0 && (i + 3 == line.len || is_blank(line.ptr[i + 3])))
            return i;
    return line.len;
}

bool pt_is_start_line(struct nx_view line)
{
    return start_mark(line) < line.len;
}

static enum nx_err take_offset(struct nx_view *text, int64_t *ms, struct nx_fail *fail)
{
    bool minus = text->len > 0 && text->ptr[0] == '-';
    if (minus || (text->len > 0 && text->ptr[0] == '+'))
        advance(text, 1);
    size_t len = duration_length(*text);
    if (len == 0 && text->len > 0 && text->ptr[0] == '0')
        len = 1;
    if (len == 0)
        return bad_value(*text, fail);
    enum nx_err err = nx_duration_parse(nx_view_make(text->ptr, len), ms, fail);
    if (err)
        return err;
    if (minus)
        *ms = -*ms;
    advance(text, len);
    return NX_OK;
}

struct offsets {
    int64_t *items;
    size_t count;
    size_t capacity;
};

static enum nx_err put_offset(struct nx_arena *arena, struct offsets *offsets, int64_t ms)
{
    if (!nx_arena_grow(arena, &offsets->items, offsets->count, &offsets->capacity,
                       offsets->count + 1, sizeof ms))
        return NX_ERR_NOMEM;
    offsets->items[offsets->count++] = ms;
    return NX_OK;
}

/* The offset of the last position that has one. */
static int64_t last_offset(const struct offsets *offsets)
{
    for (size_t i = offsets->count; i > 0; i--)
        if (offsets->items[i - 1] != PT_NO_START)
            return offsets->items[i - 1];
    return 0;
}

/* The first offset of an item and what each further position adds to it. */
static enum nx_err take_progression(struct nx_view *text, const struct offsets *before, int64_t *ms,
                                    int64_t *step, struct nx_fail *fail)
{
    *step = 0;
    if (text->ptr[0] == '_' || text->ptr[0] == '*') {
        *ms = text->ptr[0] == '_' ? PT_NO_START : last_offset(before);
        advance(text, 1);
        return NX_OK;
    }
    enum nx_err err = take_offset(text, ms, fail);
    if (err || text->len == 0 || (text->ptr[0] != '+' && text->ptr[0] != '-'))
        return err;
    if ((err = take_offset(text, step, fail)))
        return err;
    return text->len > 0 && text->ptr[0] == 'x' ? NX_OK : bad_value(*text, fail);
}

static enum nx_err take_offsets(struct nx_view *text, struct nx_arena *arena,
                                struct offsets *offsets, struct nx_fail *fail)
{
    int64_t ms, step;
    bool has;
    size_t times = 0;
    enum nx_err err = take_progression(text, offsets, &ms, &step, fail);
    if (err || (err = take_repeat(text, &has, &times, fail)))
        return err;
    bool blank = ms == PT_NO_START;
    size_t positions = blank ? (has ? times : 1) : times + 1;
    if (positions == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "start timestamps omitted no times");
    for (size_t i = 0; i < positions; i++) {
        if ((err = put_offset(arena, offsets, ms)))
            return err;
        if (!blank)
            ms += step;
    }
    return NX_OK;
}

enum nx_err pt_parse_starts(struct nx_view line, struct nx_arena *arena, struct nx_labels *labels,
                            int64_t **out, size_t *count, struct nx_fail *fail)
{
    size_t mark = start_mark(line), consumed;
    struct offsets offsets = {0};
    enum nx_err err = NX_OK;
    *labels = (struct nx_labels){0};
    if (mark > 0)
        err = qry_parse_metric(nx_view_make(line.ptr, mark), arena, labels, &consumed, fail);
    if (err)
        return err;
    struct nx_view rest = nx_view_make(line.ptr + mark + 3, line.len - mark - 3);
    skip_blanks(&rest);
    while (rest.len > 0) {
        if ((err = take_offsets(&rest, arena, &offsets, fail)))
            return err;
        if (rest.len > 0 && !is_blank(rest.ptr[0]))
            return bad_value(rest, fail);
        skip_blanks(&rest);
    }
    *out = offsets.items;
    *count = offsets.count;
    return NX_OK;
}

/* --- scalar expectations --- */

static bool parse_integer(struct nx_view text, double *out)
{
    bool minus = text.len > 0 && text.ptr[0] == '-';
    if (minus || (text.len > 0 && text.ptr[0] == '+'))
        advance(&text, 1);
    unsigned base = 10;
    if (text.len > 1 && text.ptr[0] == '0') {
        base = 8;
        advance(&text, 1);
        if (text.ptr[0] == 'x' || text.ptr[0] == 'X') {
            base = 16;
            advance(&text, 1);
        }
    }
    uint64_t value = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        unsigned digit = is_digit(c)              ? (unsigned)(c - '0')
                         : (c >= 'a' && c <= 'f') ? (unsigned)(c - 'a') + 10
                         : (c >= 'A' && c <= 'F') ? (unsigned)(c - 'A') + 10
                                                  : 99;
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    if (value > INT64_MAX)
        return false;
    *out = minus ? -(double)value : (double)value;
    return true;
}

bool pt_parse_number(struct nx_view text, double *out)
{
    return parse_integer(text, out) || (text.len > 0 && nx_float_parse(text, out));
}
