#include "common/labels/matcher.h"

#include "common/cxx/re2_shim.h"
#include "common/labels/match_plan.h"

static bool is_regex(enum nx_match_type type)
{
    return type == NX_MATCH_RE || type == NX_MATCH_NRE;
}

static bool is_negative(enum nx_match_type type)
{
    return type == NX_MATCH_NE || type == NX_MATCH_NRE;
}

static enum nx_err init_regex(struct nx_matcher *m, struct nx_arena *arena, struct nx_fail *fail)
{
    m->plan = nx_match_plan_new(arena, m->value);
    if (!m->plan)
        return NX_ERR_NOMEM;
    if (m->plan->form != NX_FORM_REGEX)
        return NX_OK;
    return nx_regex_new(m->value, true, &m->regex, fail);
}

enum nx_err nx_matcher_init(struct nx_matcher *matcher, struct nx_arena *arena,
                            enum nx_match_type type, struct nx_view name, struct nx_view value,
                            struct nx_fail *fail)
{
    if ((int)type < NX_MATCH_EQ || type > NX_MATCH_NRE)
        return nx_fail_set(fail, NX_ERR_INVALID, "unknown matcher type %d", (int)type);
    struct nx_matcher m = {
        .type = type, .name = nx_arena_copy(arena, name), .value = nx_arena_copy(arena, value)};
    enum nx_err err = m.name.ptr && m.value.ptr ? NX_OK : NX_ERR_NOMEM;
    if (err == NX_OK && is_regex(type))
        err = init_regex(&m, arena, fail);
    if (err == NX_ERR_NOMEM)
        return nx_fail_set(fail, err, "out of memory");
    if (err == NX_OK)
        *matcher = m;
    return err;
}

void nx_matcher_release(struct nx_matcher *matcher)
{
    nx_regex_free(matcher->regex);
    matcher->regex = NULL;
}

static bool expression_matches(const struct nx_matcher *m, struct nx_view value)
{
    if (!m->regex)
        return nx_match_plan_matches(m->plan, value);
    return nx_view_has_prefix(value, m->plan->prefix) && nx_regex_matches(m->regex, value);
}

bool nx_matcher_matches(const struct nx_matcher *matcher, struct nx_view value)
{
    bool equal = is_regex(matcher->type) ? expression_matches(matcher, value)
                                         : nx_view_eq(matcher->value, value);
    return equal != is_negative(matcher->type);
}

bool nx_matchers_match(const struct nx_matcher *matchers, size_t count, struct nx_labels labels)
{
    for (size_t i = 0; i < count; i++)
        if (!nx_matcher_matches(&matchers[i], nx_labels_get(labels, matchers[i].name)))
            return false;
    return true;
}

bool nx_matcher_matches_empty(const struct nx_matcher *matcher)
{
    return nx_matcher_matches(matcher, NX_VIEW(""));
}

const char *nx_match_type_text(enum nx_match_type type)
{
    switch (type) {
    case NX_MATCH_EQ:
        return "=";
    case NX_MATCH_NE:
        return "!=";
    case NX_MATCH_RE:
        return "=~";
    case NX_MATCH_NRE:
        return "!~";
    }
    return "?";
}

size_t nx_matcher_literals(const struct nx_matcher *matcher, struct nx_view *out, size_t max)
{
    const struct nx_view *items = &matcher->value;
    size_t count = 1;
    if (is_regex(matcher->type)) {
        items = matcher->plan->literals;
        count = matcher->plan->literal_count;
    }
    for (size_t i = 0; i < count && i < max; i++)
        out[i] = items[i];
    return count;
}

struct nx_view nx_matcher_prefix(const struct nx_matcher *matcher)
{
    return is_regex(matcher->type) ? matcher->plan->prefix : matcher->value;
}
