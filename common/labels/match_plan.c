/* Literal sets are found by expanding the expression: an alternation is the union of its branches,
 * a concatenation the product of its parts. Anything that is not a character, an escaped
 * punctuation mark, a plain group or '|' ends the attempt, as do too many literals or too deep
 * nesting. */
#include "common/labels/match_plan.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/buf.h"

enum { MAX_DEPTH = 16, MAX_PRODUCT = 1024, MAX_PRODUCT_BYTES = 1 << 20, LINEAR_SEARCH_MAX = 4 };

struct set {
    struct nx_view *items;
    size_t count;
    size_t capacity;
};

struct parse {
    struct nx_view expr;
    size_t at;
    struct nx_arena *arena;
    size_t product_bytes; /* spent on products, of MAX_PRODUCT_BYTES */
    bool nomem;
};

static bool set_add(struct parse *p, struct set *set, struct nx_view item)
{
    if (!nx_arena_grow(p->arena, &set->items, set->count, &set->capacity, set->count + 1,
                       sizeof *set->items)) {
        p->nomem = true;
        return false;
    }
    set->items[set->count++] = item;
    return true;
}

static bool concat(struct parse *p, struct nx_view a, struct nx_view b, struct nx_view *out)
{
    if (a.len == 0 || b.len == 0) {
        *out = a.len == 0 ? b : a;
        return true;
    }
    char *text = nx_arena_alloc(p->arena, a.len + b.len);
    if (!text) {
        p->nomem = true;
        return false;
    }
    memcpy(text, a.ptr, a.len);
    memcpy(text + a.len, b.ptr, b.len);
    *out = nx_view_make(text, a.len + b.len);
    return true;
}

/* Replaces `left` by every item of `left` followed by every item of `right`. */
static bool multiply(struct parse *p, struct set *left, const struct set *right)
{
    if (left->count == 1 && left->items[0].len == 0) {
        *left = *right; /* of any size */
        return true;
    }
    if (right->count > MAX_PRODUCT || left->count * right->count > MAX_PRODUCT)
        return false;
    struct set out = {.items = NULL};
    for (size_t i = 0; i < left->count; i++) {
        for (size_t k = 0; k < right->count; k++) {
            struct nx_view item;
            p->product_bytes += left->items[i].len + right->items[k].len;
            if (p->product_bytes > MAX_PRODUCT_BYTES ||
                !concat(p, left->items[i], right->items[k], &item) || !set_add(p, &out, item))
                return false;
        }
    }
    *left = out;
    return true;
}

static bool at_end(const struct parse *p)
{
    return p->at == p->expr.len;
}

static bool peek_is(const struct parse *p, const char *chars)
{
    return !at_end(p) && strchr(chars, p->expr.ptr[p->at]) && p->expr.ptr[p->at] != '\0';
}

/* The character that an escape at `at` stands for; false where it is a class, an assertion or an
 * error. */
static bool unescape(struct nx_view expr, size_t at, char *out)
{
    if (at + 1 >= expr.len)
        return false;
    unsigned char c = (unsigned char)expr.ptr[at + 1];
    bool word =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    *out = (char)c;
    return c > ' ' && c < 0x7F && !word;
}

/* A run of literal characters, up to what is none; it aliases the expression where nothing is
 * escaped. A quantifier behind it is the caller's to see. */
static bool parse_run(struct parse *p, struct nx_view *out)
{
    size_t start = p->at;
    bool escaped = false;
    char c;
    while (!at_end(p) && !peek_is(p, "|()[{*+?.^$")) {
        if (p->expr.ptr[p->at] == '\\') {
            if (!unescape(p->expr, p->at, &c))
                break;
            escaped = true;
            p->at++;
        }
        p->at++;
    }
    *out = (struct nx_view){.ptr = p->expr.ptr + start, .len = p->at - start};
    if (!escaped)
        return true;
    char *text = nx_arena_alloc(p->arena, out->len);
    if (!text) {
        p->nomem = true;
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < out->len; i++) {
        if (out->ptr[i] == '\\')
            i++;
        text[len++] = out->ptr[i];
    }
    *out = nx_view_make(text, len);
    return true;
}

static bool parse_alternation(struct parse *p, unsigned depth, struct set *out);

static bool parse_group(struct parse *p, unsigned depth, struct set *out)
{
    p->at++;
    if (peek_is(p, "?")) {
        if (p->at + 1 >= p->expr.len || p->expr.ptr[p->at + 1] != ':')
            return false;
        p->at += 2;
    }
    if (!parse_alternation(p, depth + 1, out) || !peek_is(p, ")"))
        return false;
    p->at++;
    return true;
}

static bool parse_concat(struct parse *p, unsigned depth, struct set *out)
{
    /* both ends are anchored anyhow */
    if (depth == 0 && peek_is(p, "^"))
        p->at++;
    *out = (struct set){.items = NULL};
    if (!set_add(p, out, NX_VIEW("")))
        return false;
    while (!at_end(p) && !peek_is(p, "|)")) {
        struct set part = {.items = NULL};
        if (peek_is(p, "(")) {
            if (!parse_group(p, depth, &part))
                return false;
        } else if (depth == 0 && peek_is(p, "$")) {
            p->at++;
            return at_end(p) || peek_is(p, "|");
        } else if (peek_is(p, "[{*+?.^$")) {
            return false;
        } else {
            struct nx_view run;
            if (!parse_run(p, &run) || run.len == 0 || !set_add(p, &part, run))
                return false;
        }
        if (peek_is(p, "*+?{") || !multiply(p, out, &part))
            return false;
    }
    return true;
}

static bool parse_alternation(struct parse *p, unsigned depth, struct set *out)
{
    if (depth > MAX_DEPTH)
        return false;
    for (;;) {
        struct set branch;
        if (!parse_concat(p, depth, &branch))
            return false;
        for (size_t i = 0; i < branch.count; i++)
            if (!set_add(p, out, branch.items[i]))
                return false;
        if (!peek_is(p, "|"))
            return true;
        p->at++;
    }
}

/* --- forms and prefixes --- */

/* Whether a '|' stands outside all groups (or might: escapes by \Q and odd classes count as such).
 */
static bool has_outer_alternation(struct nx_view expr)
{
    size_t depth = 0;
    for (size_t i = 0; i < expr.len; i++) {
        switch (expr.ptr[i]) {
        case '\\':
            if (i + 1 < expr.len && expr.ptr[i + 1] == 'Q')
                return true;
            i++;
            break;
        case '[':
            i++;
            if (i < expr.len && expr.ptr[i] == '^')
                i++;
            if (i < expr.len && (expr.ptr[i] == ']' || expr.ptr[i] == '['))
                return true;
            for (; i < expr.len && expr.ptr[i] != ']'; i++) {
                if (expr.ptr[i] == '[')
                    return true;
                if (expr.ptr[i] == '\\')
                    i++;
            }
            break;
        case '(':
            depth++;
            break;
        case ')':
            depth -= depth > 0;
            break;
        case '|':
            if (depth == 0)
                return true;
            break;
        default:
            break;
        }
    }
    return false;
}

static struct nx_view drop_last_rune(struct nx_view v)
{
    do
        v.len--;
    while (v.len > 0 && ((unsigned char)v.ptr[v.len] & 0xC0) == 0x80);
    return v;
}

static struct nx_view common_prefix(const struct nx_view *items, size_t count)
{
    assert(items && count > 0);
    struct nx_view out = items[0];
    for (size_t i = 1; i < count; i++) {
        size_t len = 0;
        while (len < out.len && len < items[i].len && out.ptr[len] == items[i].ptr[len])
            len++;
        out.len = len;
    }
    return out;
}

/* Recognises .*, .+, text.*, .*text and .*text.*; otherwise finds the literal prefix. */
static void find_form(struct parse *p, struct nx_match_plan *plan)
{
    struct nx_view expr = p->expr;
    if (nx_view_is(expr, ".+")) {
        plan->form = NX_FORM_NONEMPTY;
        return;
    }
    bool open_front = nx_view_has_prefix(expr, NX_VIEW(".*"));
    p->at = open_front ? 2 : 0;
    if (!open_front && peek_is(p, "^"))
        p->at++;
    struct nx_view run;
    if (has_outer_alternation(expr) || !parse_run(p, &run))
        return;
    struct nx_view rest = {.ptr = expr.ptr + p->at, .len = expr.len - p->at};
    bool open_back = nx_view_is(rest, ".*");
    plan->text = run;
    if (open_back)
        plan->form = open_front ? NX_FORM_CONTAINS : NX_FORM_PREFIX;
    else if (open_front && rest.len == 0)
        plan->form = NX_FORM_SUFFIX;
    if (plan->form != NX_FORM_REGEX && run.len == 0)
        plan->form = NX_FORM_ANY;
    if (!open_front)
        plan->prefix = run.len > 0 && peek_is(p, "*?{") ? drop_last_rune(run) : run;
}

static int compare_views(const void *a, const void *b)
{
    const struct nx_view *left = a;
    const struct nx_view *right = b;
    return nx_view_cmp(*left, *right);
}

static bool find_literals(struct parse *p, struct nx_match_plan *plan)
{
    struct set set = {.items = NULL};
    if (!parse_alternation(p, 0, &set) || !at_end(p))
        return false;
    struct nx_view *sorted = nx_arena_array(p->arena, set.count, sizeof *sorted);
    if (!sorted) {
        p->nomem = true;
        return false;
    }
    for (size_t i = 0; i < set.count; i++)
        sorted[i] = set.items[i];
    qsort(sorted, set.count, sizeof *sorted, compare_views);
    plan->form = NX_FORM_LITERALS;
    plan->literals = set.items;
    plan->sorted = sorted;
    plan->literal_count = set.count;
    plan->prefix = common_prefix(set.items, set.count);
    return true;
}

const struct nx_match_plan *nx_match_plan_new(struct nx_arena *arena, struct nx_view expr)
{
    struct nx_match_plan *plan = nx_arena_calloc(arena, 1, sizeof *plan);
    if (!plan)
        return NULL;
    plan->form = NX_FORM_REGEX;
    if (!nx_view_is_utf8(expr))
        return plan;
    struct parse p = {.expr = expr, .arena = arena};
    if (!find_literals(&p, plan) && !p.nomem)
        find_form(&p, plan);
    return p.nomem ? NULL : plan;
}

static bool has_literal(const struct nx_match_plan *plan, struct nx_view text)
{
    if (plan->literal_count <= LINEAR_SEARCH_MAX) {
        for (size_t i = 0; i < plan->literal_count; i++)
            if (nx_view_eq(plan->literals[i], text))
                return true;
        return false;
    }
    return bsearch(&text, plan->sorted, plan->literal_count, sizeof *plan->sorted, compare_views) !=
           NULL;
}

bool nx_match_plan_matches(const struct nx_match_plan *plan, struct nx_view text)
{
    switch (plan->form) {
    case NX_FORM_LITERALS:
        return has_literal(plan, text);
    case NX_FORM_ANY:
        return true;
    case NX_FORM_NONEMPTY:
        return text.len > 0;
    case NX_FORM_PREFIX:
        return nx_view_has_prefix(text, plan->text);
    case NX_FORM_SUFFIX:
        return nx_view_has_suffix(text, plan->text);
    case NX_FORM_CONTAINS:
        return text.len >= plan->text.len &&
               memmem(text.ptr, text.len, plan->text.ptr, plan->text.len) != NULL;
    case NX_FORM_REGEX:
        break;
    }
    return false;
}
