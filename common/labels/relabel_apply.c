/* A rule sees what the rules before it left. Joined values and expansions are written to one
 * buffer that the run reuses, and copied into the builder's arena only when a label is set to
 * them. */
#include <string.h>
#include <wctype.h>

#include "common/base/md5.h"
#include "common/base/quote.h"
#include "common/cxx/re2_shim.h"
#include "common/labels/expand.h"
#include "common/labels/relabel_internal.h"

#define GROUPS_ON_STACK 10

struct run {
    const struct nx_relabel *relabel;
    struct nx_labels_builder *builder;
    struct nx_buf joined; /* the source value, where it is not one label's value */
    struct nx_buf made;
};

static enum nx_err buf_status(const struct nx_buf *buf)
{
    enum nx_err err = nx_buf_err(buf);
    return err == NX_ERR_TOO_LARGE ? NX_ERR_LIMIT : err;
}

static enum nx_err source_value(struct run *run, const struct nx_relabel_rule *rule,
                                struct nx_view *out)
{
    *out = NX_VIEW("");
    if (rule->source_count == 1)
        *out = nx_labels_builder_get(run->builder, rule->source_labels[0]);
    if (rule->source_count <= 1)
        return NX_OK;
    nx_buf_clear(&run->joined);
    for (size_t i = 0; i < rule->source_count; i++) {
        if (i > 0)
            nx_buf_append_view(&run->joined, rule->separator);
        nx_buf_append_view(&run->joined,
                           nx_labels_builder_get(run->builder, rule->source_labels[i]));
    }
    *out = run->joined.len > 0 ? nx_buf_view(&run->joined) : NX_VIEW("");
    return buf_status(&run->joined);
}

static bool matches(const struct compiled *rule, struct nx_view text)
{
    if (rule->plan->form != NX_FORM_REGEX)
        return nx_match_plan_matches(rule->plan, text);
    return nx_regex_matches(rule->regex, text);
}

/* Copies both, which may lie in the run's buffers. An empty value deletes. */
static enum nx_err set(struct run *run, struct nx_view name, struct nx_view value)
{
    struct nx_labels_builder *builder = run->builder;
    if (value.len == 0) {
        nx_labels_builder_del(builder, name);
        return NX_OK;
    }
    if (builder->count >= NX_RELABEL_LABELS_MAX && nx_labels_builder_get(builder, name).len == 0)
        return NX_ERR_LIMIT;
    name = nx_arena_copy(builder->arena, name);
    value = nx_arena_copy(builder->arena, value);
    if (!name.ptr || !value.ptr)
        return NX_ERR_NOMEM;
    nx_labels_builder_set(builder, name, value);
    return builder->failed ? NX_ERR_NOMEM : NX_OK;
}

/* --- templates --- */

/* The groups of a match; NULL in *out where there is none, and `count` of them otherwise. */
static enum nx_err find_groups(struct run *run, const struct compiled *rule, struct nx_view text,
                               struct nx_view few[GROUPS_ON_STACK], struct nx_view **out)
{
    struct nx_view *groups = few;
    *out = NULL;
    if (rule->group_count > GROUPS_ON_STACK) {
        groups = nx_arena_array(run->builder->arena, rule->group_count, sizeof *groups);
        if (!groups)
            return NX_ERR_NOMEM;
    }
    if (rule->takes_all) {
        groups[0] = groups[1] = text;
        *out = groups;
    } else if (nx_regex_groups(rule->regex, text, groups, rule->group_count) > 0) {
        *out = groups;
    }
    return NX_OK;
}

/* Into run->made, behind what is there. */
static enum nx_err expand(struct run *run, const struct compiled *rule, struct nx_view text,
                          const struct nx_view *groups, struct nx_view *out)
{
    size_t start = run->made.len;
    nx_expand(&run->made, text, rule->regex, groups, rule->group_count);
    enum nx_err err = buf_status(&run->made);
    if (err == NX_OK)
        *out = run->made.len > start ? nx_view_make(run->made.data + start, run->made.len - start)
                                     : NX_VIEW("");
    return err;
}

static enum nx_err replace(struct run *run, const struct compiled *rule, struct nx_view value)
{
    struct nx_view few[GROUPS_ON_STACK];
    struct nx_view *groups;
    struct nx_view target = rule->rule.target_label;
    struct nx_view made;
    enum nx_err err = find_groups(run, rule, value, few, &groups);
    if (err != NX_OK || !groups)
        return err;
    if (nx_relabel_is_template(target)) {
        nx_buf_clear(&run->made);
        err = expand(run, rule, target, groups, &target);
        if (err == NX_OK && !nx_relabel_is_name(target))
            return NX_OK;
        if (err == NX_OK)
            target = nx_arena_copy(run->builder->arena, target);
        if (err == NX_OK && !target.ptr)
            err = NX_ERR_NOMEM;
    }
    nx_buf_clear(&run->made);
    if (err == NX_OK)
        err = expand(run, rule, rule->rule.replacement, groups, &made);
    return err == NX_OK ? set(run, target, made) : err;
}

/* --- values --- */

static enum nx_err hash_mod(struct run *run, const struct nx_relabel_rule *rule,
                            struct nx_view value)
{
    uint8_t digest[NX_MD5_BYTES];
    uint64_t hash = 0;
    nx_md5(value, digest);
    for (size_t i = 8; i < NX_MD5_BYTES; i++)
        hash = hash << 8 | digest[i];
    nx_buf_clear(&run->made);
    nx_buf_printf(&run->made, "%llu", (unsigned long long)(hash % rule->modulus));
    enum nx_err err = buf_status(&run->made);
    return err == NX_OK ? set(run, rule->target_label, nx_buf_view(&run->made)) : err;
}

static void append_rune(struct nx_buf *out, uint32_t rune)
{
    if (rune < 0x80) {
        nx_buf_append_char(out, (char)rune);
        return;
    }
    if (rune >= 0x10000) {
        nx_buf_put_u8(out, (uint8_t)(0xf0 | rune >> 18));
        nx_buf_put_u8(out, (uint8_t)(0x80 | (rune >> 12 & 0x3f)));
    } else if (rune >= 0x800) {
        nx_buf_put_u8(out, (uint8_t)(0xe0 | rune >> 12));
    }
    if (rune < 0x800)
        nx_buf_put_u8(out, (uint8_t)(0xc0 | rune >> 6));
    else
        nx_buf_put_u8(out, (uint8_t)(0x80 | (rune >> 6 & 0x3f)));
    nx_buf_put_u8(out, (uint8_t)(0x80 | (rune & 0x3f)));
}

static uint32_t change_case(uint32_t rune, bool upper, locale_t utf8)
{
    if (rune < 0x80) {
        if (upper)
            return rune >= 'a' && rune <= 'z' ? rune - 32 : rune;
        return rune >= 'A' && rune <= 'Z' ? rune + 32 : rune;
    }
    if (!utf8)
        return rune;
    return (uint32_t)(upper ? towupper_l(rune, utf8) : towlower_l(rune, utf8));
}

static enum nx_err set_case(struct run *run, const struct nx_relabel_rule *rule,
                            struct nx_view value, bool upper)
{
    nx_buf_clear(&run->made);
    while (value.len > 0) {
        size_t len;
        uint32_t rune = nx_rune_decode(value, &len);
        append_rune(&run->made, change_case(rune, upper, run->relabel->utf8));
        value = nx_view_make(value.ptr + len, value.len - len);
    }
    enum nx_err err = buf_status(&run->made);
    struct nx_view made = run->made.len > 0 ? nx_buf_view(&run->made) : NX_VIEW("");
    return err == NX_OK ? set(run, rule->target_label, made) : err;
}

/* --- names --- */

/* Over a copy: what is set is not looked at again, and a label keeps the value it had before. */
static enum nx_err map_names(struct run *run, const struct compiled *rule)
{
    struct nx_labels_builder *builder = run->builder;
    size_t count = builder->count;
    struct nx_label *before = nx_arena_array(builder->arena, count + 1, sizeof *before);
    enum nx_err err = before ? NX_OK : NX_ERR_NOMEM;
    if (before && count > 0)
        memcpy(before, builder->items, count * sizeof *before);
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        struct nx_view few[GROUPS_ON_STACK];
        struct nx_view *groups;
        struct nx_view name = NX_VIEW("");
        if (!matches(rule, before[i].name))
            continue;
        err = find_groups(run, rule, before[i].name, few, &groups);
        if (err != NX_OK || !groups)
            continue;
        nx_buf_clear(&run->made);
        err = expand(run, rule, rule->rule.replacement, groups, &name);
        if (err == NX_OK && nx_relabel_is_name(name))
            err = set(run, name, before[i].value);
    }
    return err;
}

static void filter_names(struct run *run, const struct compiled *rule, bool drop_matching)
{
    struct nx_labels_builder *builder = run->builder;
    size_t kept = 0;
    for (size_t i = 0; i < builder->count; i++)
        if (matches(rule, builder->items[i].name) != drop_matching)
            builder->items[kept++] = builder->items[i];
    builder->count = kept;
}

/* --- a rule --- */

static enum nx_err apply_rule(struct run *run, const struct compiled *compiled, bool *keep)
{
    const struct nx_relabel_rule *rule = &compiled->rule;
    struct nx_view value;
    enum nx_err err = source_value(run, rule, &value);
    if (err != NX_OK)
        return err;
    switch (rule->action) {
    case NX_RELABEL_REPLACE:
        return replace(run, compiled, value);
    case NX_RELABEL_KEEP:
        *keep = matches(compiled, value);
        break;
    case NX_RELABEL_DROP:
        *keep = !matches(compiled, value);
        break;
    case NX_RELABEL_KEEP_EQUAL:
        *keep = nx_view_eq(nx_labels_builder_get(run->builder, rule->target_label), value);
        break;
    case NX_RELABEL_DROP_EQUAL:
        *keep = !nx_view_eq(nx_labels_builder_get(run->builder, rule->target_label), value);
        break;
    case NX_RELABEL_HASH_MOD:
        return hash_mod(run, rule, value);
    case NX_RELABEL_LOWERCASE:
    case NX_RELABEL_UPPERCASE:
        return set_case(run, rule, value, rule->action == NX_RELABEL_UPPERCASE);
    case NX_RELABEL_LABEL_MAP:
        return map_names(run, compiled);
    case NX_RELABEL_LABEL_DROP:
    case NX_RELABEL_LABEL_KEEP:
        filter_names(run, compiled, rule->action == NX_RELABEL_LABEL_DROP);
        break;
    }
    return NX_OK;
}

enum nx_err nx_relabel_apply(const struct nx_relabel *relabel, struct nx_labels_builder *builder,
                             bool *keep)
{
    struct run run = {.relabel = relabel, .builder = builder};
    enum nx_err err = builder->failed ? NX_ERR_NOMEM : NX_OK;
    bool kept = true;
    nx_buf_init(&run.joined, NX_RELABEL_TEXT_MAX);
    nx_buf_init(&run.made, NX_RELABEL_TEXT_MAX);
    for (size_t i = 0; i < nx_relabel_count(relabel) && kept && err == NX_OK; i++)
        err = apply_rule(&run, &relabel->rules[i], &kept);
    nx_buf_release(&run.joined);
    nx_buf_release(&run.made);
    if (err == NX_OK)
        *keep = kept;
    return err;
}
