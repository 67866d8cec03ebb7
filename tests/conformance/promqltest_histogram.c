/* The histogram literal of series lines: `{{schema:1 count:3 buckets:[1 2]}}`. Keys in any order
 * and case, each at most once. */
#include <math.h>

#include "common/cxx/number_shim.h"
#include "tests/conformance/promqltest.h"

enum key {
    KEY_SCHEMA,
    KEY_COUNT,
    KEY_SUM,
    KEY_ZERO,
    KEY_WIDTH,
    KEY_CUSTOM,
    KEY_BUCKETS,
    KEY_NEGATIVE,
    KEY_OFFSET,
    KEY_NEGATIVE_OFFSET,
    KEY_HINT,
    KEY_END
};

static const char *const key_names[KEY_END] = {
    [KEY_SCHEMA] = "schema",
    [KEY_COUNT] = "count",
    [KEY_SUM] = "sum",
    [KEY_ZERO] = "z_bucket",
    [KEY_WIDTH] = "z_bucket_w",
    [KEY_CUSTOM] = "custom_values",
    [KEY_BUCKETS] = "buckets",
    [KEY_NEGATIVE] = "n_buckets",
    [KEY_OFFSET] = "offset",
    [KEY_NEGATIVE_OFFSET] = "n_offset",
    [KEY_HINT] = "counter_reset_hint",
};

static const char *const hint_names[] = {"unknown", "reset", "not_reset", "gauge"};

struct list {
    double *items;
    size_t count;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct nx_view *text)
{
    while (text->len > 0 && is_blank(text->ptr[0])) {
        text->ptr++;
        text->len--;
    }
}

/* Up to a blank, ':' , ']' or '}'. */
static struct nx_view take_word(struct nx_view *text)
{
    struct nx_view word = {text->ptr, 0};
    while (text->len > 0 && !is_blank(text->ptr[0]) && text->ptr[0] != ':' && text->ptr[0] != ']' &&
           text->ptr[0] != '}') {
        text->ptr++;
        text->len--;
        word.len++;
    }
    return word;
}

static enum nx_err take_number(struct nx_view *text, double *out, struct nx_fail *fail)
{
    struct nx_view word = take_word(text);
    if (word.len == 0 || !nx_float_parse(word, out))
        return nx_fail_set(fail, NX_ERR_INVALID, "bad number \"%.*s\" in histogram",
                           NX_VIEW_ARG(word));
    return NX_OK;
}

static enum nx_err take_list(struct nx_view *text, struct nx_arena *arena, struct list *out,
                             struct nx_fail *fail)
{
    if (text->len == 0 || text->ptr[0] != '[')
        return nx_fail_set(fail, NX_ERR_INVALID, "expected '[' in histogram");
    text->ptr++;
    text->len--;
    size_t capacity = 0;
    for (;;) {
        skip_blanks(text);
        if (text->len == 0)
            return nx_fail_set(fail, NX_ERR_INVALID, "unterminated list in histogram");
        if (text->ptr[0] == ']')
            break;
        double v;
        enum nx_err err = take_number(text, &v, fail);
        if (err)
            return err;
        if (!nx_arena_grow(arena, &out->items, out->count, &capacity, out->count + 1,
                           sizeof(double)))
            return NX_ERR_NOMEM;
        out->items[out->count++] = v;
    }
    text->ptr++;
    text->len--;
    if (out->count == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "empty list in histogram");
    return NX_OK;
}

static enum nx_err take_hint(struct nx_view *text, struct nx_histogram *h, struct nx_fail *fail)
{
    struct nx_view word = take_word(text);
    for (size_t i = 0; i < sizeof hint_names / sizeof *hint_names; i++)
        if (nx_view_eq_nocase(word, nx_view_of(hint_names[i]))) {
            h->hint = (enum nx_reset_hint)i;
            return NX_OK;
        }
    return nx_fail_set(fail, NX_ERR_INVALID, "bad counter reset hint \"%.*s\"", NX_VIEW_ARG(word));
}

struct literal {
    struct nx_histogram *h;
    struct list positive, negative, custom;
    double offset, negative_offset, schema;
    bool seen[KEY_END];
};

static enum nx_err take_value(struct nx_view *text, struct nx_arena *arena, struct literal *lit,
                              enum key key, struct nx_fail *fail)
{
    switch (key) {
    case KEY_SCHEMA:
        return take_number(text, &lit->schema, fail);
    case KEY_COUNT:
        return take_number(text, &lit->h->count, fail);
    case KEY_SUM:
        return take_number(text, &lit->h->sum, fail);
    case KEY_ZERO:
        return take_number(text, &lit->h->zero_count, fail);
    case KEY_WIDTH:
        return take_number(text, &lit->h->zero_threshold, fail);
    case KEY_CUSTOM:
        return take_list(text, arena, &lit->custom, fail);
    case KEY_BUCKETS:
        return take_list(text, arena, &lit->positive, fail);
    case KEY_NEGATIVE:
        return take_list(text, arena, &lit->negative, fail);
    case KEY_OFFSET:
        return take_number(text, &lit->offset, fail);
    case KEY_NEGATIVE_OFFSET:
        return take_number(text, &lit->negative_offset, fail);
    case KEY_HINT:
        return take_hint(text, lit->h, fail);
    case KEY_END:
        break;
    }
    return NX_ERR_INVALID;
}

static enum nx_err take_pair(struct nx_view *text, struct nx_arena *arena, struct literal *lit,
                             struct nx_fail *fail)
{
    struct nx_view word = take_word(text);
    enum key key = 0;
    while (key < KEY_END && !nx_view_eq_nocase(word, nx_view_of(key_names[key])))
        key++;
    if (key == KEY_END)
        return nx_fail_set(fail, NX_ERR_INVALID, "unknown histogram key \"%.*s\"",
                           NX_VIEW_ARG(word));
    if (lit->seen[key])
        return nx_fail_set(fail, NX_ERR_INVALID, "duplicate histogram key \"%s\"", key_names[key]);
    lit->seen[key] = true;
    if (text->len == 0 || text->ptr[0] != ':')
        return nx_fail_set(fail, NX_ERR_INVALID, "expected ':' behind \"%s\"", key_names[key]);
    text->ptr++;
    text->len--;
    return take_value(text, arena, lit, key, fail);
}

static struct nx_span *one_span(struct nx_arena *arena, double offset, size_t count)
{
    struct nx_span *span = nx_arena_alloc(arena, sizeof *span);
    if (span)
        *span = (struct nx_span){(int32_t)offset, (uint32_t)count};
    return span;
}

static enum nx_err build(struct nx_arena *arena, struct literal *lit)
{
    struct nx_histogram *h = lit->h;
    h->schema = (int32_t)lit->schema;
    h->custom_bounds = lit->custom.items;
    h->custom_count = lit->custom.count;
    if (lit->positive.count > 0) {
        h->positive = lit->positive.items;
        h->positive_count = lit->positive.count;
        h->positive_spans = one_span(arena, lit->offset, lit->positive.count);
        h->positive_span_count = 1;
        if (!h->positive_spans)
            return NX_ERR_NOMEM;
    }
    if (lit->negative.count > 0) {
        h->negative = lit->negative.items;
        h->negative_count = lit->negative.count;
        h->negative_spans = one_span(arena, lit->negative_offset, lit->negative.count);
        h->negative_span_count = 1;
        if (!h->negative_spans)
            return NX_ERR_NOMEM;
    }
    return NX_OK;
}

enum nx_err pt_parse_histogram(struct nx_view *text, struct nx_arena *arena,
                               struct nx_histogram **out, bool *hint_set, struct nx_fail *fail)
{
    struct literal lit = {.h = nx_arena_calloc(arena, 1, sizeof *lit.h)};
    if (!lit.h)
        return NX_ERR_NOMEM;
    if (!nx_view_has_prefix(*text, NX_VIEW("{{")))
        return nx_fail_set(fail, NX_ERR_INVALID, "expected \"{{\"");
    text->ptr += 2;
    text->len -= 2;
    for (;;) {
        skip_blanks(text);
        if (nx_view_has_prefix(*text, NX_VIEW("}}")))
            break;
        if (text->len == 0)
            return nx_fail_set(fail, NX_ERR_INVALID, "unterminated histogram");
        enum nx_err err = take_pair(text, arena, &lit, fail);
        if (err)
            return err;
    }
    text->ptr += 2;
    text->len -= 2;
    enum nx_err err = build(arena, &lit);
    if (err)
        return err;
    *hint_set = lit.seen[KEY_HINT];
    *out = lit.h;
    return NX_OK;
}
