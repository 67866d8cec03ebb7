/* A metric's name is cut into tokens, the unit and the suffix are further ones, and all are joined
 * with '_'. */
#include "distributor/receive/otlp_names.h"

#include "common/base/quote.h"

struct tokens {
    struct nx_view *items;
    size_t count;
};

struct word {
    const char *code;
    const char *text;
};

static const struct word units[] = {
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
    {"s", "seconds"},
    {"ms", "milliseconds"},
    {"us", "microseconds"},
    {"ns", "nanoseconds"},
    {"By", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},
    {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"TBy", "terabytes"},
    {"m", "meters"},
    {"V", "volts"},
    {"A", "amperes"},
    {"J", "joules"},
    {"W", "watts"},
    {"g", "grams"},
    {"Cel", "celsius"},
    {"Hz", "hertz"},
    {"1", ""},
    {"%", "percent"},
};
static const struct word per_units[] = {
    {"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
    {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_metric_char(char c)
{
    return is_alnum(c) || c == ':';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- units --- */

static struct nx_view look_up(const struct word *words, size_t count, struct nx_view code)
{
    for (size_t i = 0; i < count; i++)
        if (nx_view_is(code, words[i].code))
            return nx_view_of(words[i].text);
    return code;
}

/* Annotations in braces are no units. */
static struct nx_view trim_unit(struct nx_view unit)
{
    unit = nx_view_trim(unit);
    bool annotation = nx_view_find(unit, '{') < unit.len || nx_view_find(unit, '}') < unit.len;
    return annotation ? NX_VIEW("") : unit;
}

/* Characters that no metric has become '_', a run of them one, none in front. */
static enum nx_err clean_unit(struct nx_arena *arena, struct nx_view prefix, struct nx_view unit,
                              struct nx_view *out)
{
    size_t len = prefix.len;
    char *text = nx_arena_alloc(arena, len + unit.len + 1);
    if (!text)
        return NX_ERR_NOMEM;
    if (len > 0)
        memcpy(text, prefix.ptr, len);
    for (size_t i = 0; i < unit.len; i++) {
        char c = is_metric_char(unit.ptr[i]) ? unit.ptr[i] : '_';
        if (c != '_' || (len > 0 && text[len - 1] != '_'))
            text[len++] = c;
    }
    *out = nx_view_make(text, len);
    return NX_OK;
}

static struct nx_view cut_underscore(struct nx_view text)
{
    if (text.len > 0 && text.ptr[text.len - 1] == '_')
        text.len--;
    return text;
}

/* --- tokens --- */

static bool has(const struct tokens *tokens, struct nx_view token)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (nx_view_eq(tokens->items[i], token))
            return true;
    return false;
}

static void cut_name(struct nx_view name, struct tokens *tokens)
{
    size_t i = 0;
    while (i < name.len) {
        size_t start = i;
        while (i < name.len && is_metric_char(name.ptr[i]))
            i++;
        if (i > start)
            tokens->items[tokens->count++] = nx_view_make(name.ptr + start, i - start);
        i++;
    }
}

static enum nx_err add_unit(struct nx_arena *arena, struct nx_view unit, struct tokens *tokens)
{
    size_t at = nx_view_find(unit, '/');
    struct nx_view main = trim_unit(nx_view_make(unit.ptr, at));
    struct nx_view per = NX_VIEW("");
    enum nx_err err = NX_OK;
    if (at < unit.len)
        per = trim_unit(nx_view_make(unit.ptr + at + 1, unit.len - at - 1));
    main = look_up(units, sizeof units / sizeof *units, main);
    per = look_up(per_units, sizeof per_units / sizeof *per_units, per);
    if (main.len > 0)
        err = clean_unit(arena, NX_VIEW(""), main, &main);
    if (!err && per.len > 0)
        err = clean_unit(arena, NX_VIEW("per_"), per, &per);
    if (err)
        return err;
    per = nx_view_is(per, "per_") ? NX_VIEW("") : cut_underscore(per);
    if (main.len > 0 && has(tokens, main))
        main = NX_VIEW("");
    if (per.len > 0 && has(tokens, per))
        per = NX_VIEW("");
    if (per.len > 0)
        main = cut_underscore(main);
    if (main.len > 0)
        tokens->items[tokens->count++] = main;
    if (per.len > 0)
        tokens->items[tokens->count++] = per;
    return NX_OK;
}

static void move_to_end(struct tokens *tokens, struct nx_view token)
{
    size_t kept = 0;
    for (size_t i = 0; i < tokens->count; i++)
        if (!nx_view_eq(tokens->items[i], token))
            tokens->items[kept++] = tokens->items[i];
    tokens->items[kept++] = token;
    tokens->count = kept;
}

static enum nx_err join(struct nx_arena *arena, const struct tokens *tokens, struct nx_view *out)
{
    size_t need = 2, len = 0;
    for (size_t i = 0; i < tokens->count; i++)
        need += tokens->items[i].len + 1;
    char *text = nx_arena_alloc(arena, need);
    if (!text)
        return NX_ERR_NOMEM;
    if (tokens->count > 0 && is_digit(tokens->items[0].ptr[0]))
        text[len++] = '_';
    for (size_t i = 0; i < tokens->count; i++) {
        if (i > 0)
            text[len++] = '_';
        memcpy(text + len, tokens->items[i].ptr, tokens->items[i].len);
        len += tokens->items[i].len;
    }
    *out = nx_view_make(text, len);
    return len > 0 ? NX_OK : NX_ERR_INVALID;
}

enum nx_err dist_otlp_metric_name(struct nx_arena *arena, struct nx_view name, struct nx_view unit,
                                  enum dist_otlp_suffix suffix, struct nx_view *out)
{
    enum { ADDED = 3 }; /* the unit's two and the suffix */
    struct tokens tokens = {
        .items = nx_arena_array(arena, name.len / 2 + 1 + ADDED, sizeof *tokens.items)};
    if (!tokens.items)
        return NX_ERR_NOMEM;
    cut_name(name, &tokens);
    enum nx_err err = add_unit(arena, unit, &tokens);
    if (err)
        return err;
    if (suffix == DIST_OTLP_TOTAL)
        move_to_end(&tokens, NX_VIEW("total"));
    if (suffix == DIST_OTLP_GAUGE && nx_view_is(unit, "1"))
        move_to_end(&tokens, NX_VIEW("ratio"));
    return join(arena, &tokens, out);
}

/* --- labels --- */

static bool is_label_char(char c)
{
    return is_alnum(c) || c == '_';
}

/* What comes before the name. */
static struct nx_view label_prefix(struct nx_view key)
{
    if (is_digit(key.ptr[0]))
        return NX_VIEW("key_");
    bool first = !is_label_char(key.ptr[0]) || key.ptr[0] == '_';
    size_t len = 0;
    (void)nx_rune_decode(key, &len);
    bool second = len < key.len && (!is_label_char(key.ptr[len]) || key.ptr[len] == '_');
    return first && !second ? NX_VIEW("key") : NX_VIEW("");
}

enum nx_err dist_otlp_label_name(struct nx_arena *arena, struct nx_view key, struct nx_view *out)
{
    if (key.len == 0)
        return NX_ERR_INVALID;
    struct nx_view prefix = label_prefix(key);
    bool same = prefix.len == 0, letters = false;
    for (size_t i = 0; i < key.len; i++) {
        same = same && is_label_char(key.ptr[i]);
        letters = letters || is_alnum(key.ptr[i]);
    }
    *out = key;
    if (!letters)
        return NX_ERR_INVALID;
    if (same)
        return NX_OK;
    char *text = nx_arena_alloc(arena, prefix.len + key.len);
    if (!text)
        return NX_ERR_NOMEM;
    size_t len = prefix.len, step = 1;
    if (prefix.len > 0)
        memcpy(text, prefix.ptr, prefix.len);
    for (size_t i = 0; i < key.len; i += step) {
        (void)nx_rune_decode(nx_view_make(key.ptr + i, key.len - i), &step);
        text[len++] = is_label_char(key.ptr[i]) ? key.ptr[i] : '_';
    }
    *out = nx_view_make(text, len);
    return NX_OK;
}
