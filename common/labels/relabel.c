/* Rules are checked and compiled once; what can be known of an expression without running it
 * (match_plan.h) is asked first when rules are applied. The checks and their texts are those of
 * Prometheus's relabel.Config.Validate. */
#include "common/labels/relabel.h"

#include "common/base/alloc.h"
#include "common/cxx/re2_shim.h"
#include "common/labels/relabel_internal.h"

static const char *const action_texts[] = {
#define X(name, text) text,
    NX_RELABEL_ACTIONS(X)
#undef X
};
#define ACTIONS (sizeof action_texts / sizeof action_texts[0])

const char *nx_relabel_action_text(enum nx_relabel_action action)
{
    return action_texts[action];
}

bool nx_relabel_action_of(struct nx_view text, enum nx_relabel_action *out)
{
    for (size_t i = 0; i < ACTIONS; i++) {
        if (nx_view_eq_nocase(text, nx_view_of(action_texts[i]))) {
            *out = (enum nx_relabel_action)i;
            return true;
        }
    }
    return false;
}

struct nx_relabel_rule nx_relabel_rule_default(void)
{
    return (struct nx_relabel_rule){.separator = NX_VIEW(";"),
                                    .regex = NX_RELABEL_DEFAULT_REGEX,
                                    .replacement = NX_VIEW("$1"),
                                    .action = NX_RELABEL_REPLACE};
}

enum nx_err nx_relabel_new(struct nx_relabel **out)
{
    struct nx_relabel *relabel = nx_calloc(1, sizeof *relabel);
    if (!relabel)
        return NX_ERR_NOMEM;
    nx_arena_init(&relabel->arena, 0);
    relabel->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    *out = relabel;
    return NX_OK;
}

void nx_relabel_free(struct nx_relabel *relabel)
{
    if (!relabel)
        return;
    for (size_t i = 0; i < relabel->count; i++)
        nx_regex_free(relabel->rules[i].regex);
    if (relabel->utf8)
        freelocale(relabel->utf8);
    nx_arena_release(&relabel->arena);
    nx_free(relabel);
}

size_t nx_relabel_count(const struct nx_relabel *relabel)
{
    return relabel ? relabel->count : 0;
}

/* --- checks --- */

static bool is_default_but(const struct nx_relabel_rule *rule, bool source, bool regex)
{
    struct nx_relabel_rule usual = nx_relabel_rule_default();
    return rule->modulus == 0 && nx_view_eq(rule->separator, usual.separator) &&
           nx_view_eq(rule->replacement, usual.replacement) &&
           (source || (rule->source_count == 0 && rule->target_label.len == 0)) &&
           (regex || nx_view_eq(rule->regex, usual.regex));
}

static enum nx_err check_target(const struct nx_relabel_rule *rule, const char *action,
                                struct nx_fail *fail)
{
    if (rule->target_label.len == 0)
        return nx_fail_set(fail, NX_ERR_INVALID,
                           "relabel configuration for %s action requires 'target_label' value",
                           action);
    if (!nx_relabel_is_name(rule->target_label))
        return nx_fail_set(fail, NX_ERR_INVALID, "\"%.*s\" is invalid 'target_label' for %s action",
                           NX_VIEW_ARG(rule->target_label), action);
    return NX_OK;
}

static enum nx_err check_no_replacement(const struct nx_relabel_rule *rule, const char *action,
                                        struct nx_fail *fail)
{
    if (nx_view_is(rule->replacement, "$1"))
        return NX_OK;
    return nx_fail_set(fail, NX_ERR_INVALID, "'replacement' can not be set for %s action", action);
}

static enum nx_err check_equal(const struct nx_relabel_rule *rule, const char *action,
                               struct nx_fail *fail)
{
    enum nx_err err = check_target(rule, action, fail);
    if (err == NX_OK)
        err = check_no_replacement(rule, action, fail);
    if (err == NX_OK && !is_default_but(rule, true, false))
        return nx_fail_set(fail, NX_ERR_INVALID,
                           "%s action requires only 'source_labels' and 'target_label', and no "
                           "other fields",
                           action);
    return err;
}

static enum nx_err check(const struct nx_relabel_rule *rule, struct nx_fail *fail)
{
    const char *action = nx_relabel_action_text(rule->action);
    enum nx_err err = NX_OK;
    switch (rule->action) {
    case NX_RELABEL_REPLACE:
        return check_target(rule, action, fail);
    case NX_RELABEL_HASH_MOD:
        if (rule->modulus == 0)
            return nx_fail_set(fail, NX_ERR_INVALID,
                               "relabel configuration for hashmod requires non-zero modulus");
        return check_target(rule, action, fail);
    case NX_RELABEL_LOWERCASE:
    case NX_RELABEL_UPPERCASE:
        err = check_target(rule, action, fail);
        return err == NX_OK ? check_no_replacement(rule, action, fail) : err;
    case NX_RELABEL_KEEP_EQUAL:
    case NX_RELABEL_DROP_EQUAL:
        return check_equal(rule, action, fail);
    case NX_RELABEL_LABEL_MAP:
        if (!nx_relabel_is_name(rule->replacement))
            return nx_fail_set(fail, NX_ERR_INVALID,
                               "\"%.*s\" is invalid 'replacement' for %s action",
                               NX_VIEW_ARG(rule->replacement), action);
        return NX_OK;
    case NX_RELABEL_LABEL_DROP:
    case NX_RELABEL_LABEL_KEEP:
        if (!is_default_but(rule, false, true))
            return nx_fail_set(fail, NX_ERR_INVALID,
                               "%s action requires only 'regex', and no other fields", action);
        return NX_OK;
    case NX_RELABEL_KEEP:
    case NX_RELABEL_DROP:
        break;
    }
    return NX_OK;
}

/* --- compiling --- */

static bool copy_text(struct nx_arena *arena, struct nx_view *text)
{
    if (text->len == 0) {
        *text = NX_VIEW("");
        return true;
    }
    *text = nx_arena_copy(arena, *text);
    return text->ptr != NULL;
}

static enum nx_err copy_rule(struct nx_relabel *relabel, struct nx_relabel_rule *rule)
{
    struct nx_arena *arena = &relabel->arena;
    struct nx_view *names = NULL;
    if (rule->source_count > 0) {
        names = nx_arena_array(arena, rule->source_count, sizeof *names);
        if (!names)
            return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < rule->source_count; i++) {
        names[i] = rule->source_labels[i];
        if (!copy_text(arena, &names[i]))
            return NX_ERR_NOMEM;
    }
    rule->source_labels = names;
    bool copied = copy_text(arena, &rule->separator) && copy_text(arena, &rule->regex) &&
                  copy_text(arena, &rule->target_label) && copy_text(arena, &rule->replacement);
    return copied ? NX_OK : NX_ERR_NOMEM;
}

static enum nx_err compile(struct nx_relabel *relabel, struct compiled *rule, struct nx_fail *fail)
{
    enum nx_err err = copy_rule(relabel, &rule->rule);
    if (err != NX_OK)
        return err;
    struct nx_view expr = rule->rule.regex;
    err = nx_regex_new(expr, true, &rule->regex, fail);
    if (err != NX_OK)
        return err;
    rule->group_count = nx_regex_group_count(rule->regex);
    rule->takes_all = nx_view_eq(expr, NX_RELABEL_DEFAULT_REGEX);
    rule->plan = nx_match_plan_new(&relabel->arena, expr);
    if (rule->plan)
        return NX_OK;
    nx_regex_free(rule->regex);
    return NX_ERR_NOMEM;
}

enum nx_err nx_relabel_add(struct nx_relabel *relabel, const struct nx_relabel_rule *rule,
                           struct nx_fail *fail)
{
    struct compiled made = {.rule = *rule};
    if (relabel->count >= NX_RELABEL_RULES_MAX)
        return nx_fail_set(fail, NX_ERR_LIMIT, "more than %d relabeling rules",
                           NX_RELABEL_RULES_MAX);
    for (size_t i = 0; i < rule->source_count; i++)
        if (!nx_relabel_is_name(rule->source_labels[i]))
            return nx_fail_set(fail, NX_ERR_INVALID, "\"%.*s\" is not a valid label name",
                               NX_VIEW_ARG(rule->source_labels[i]));
    enum nx_err err = check(rule, fail);
    if (err != NX_OK)
        return err;
    if (!nx_arena_grow(&relabel->arena, &relabel->rules, relabel->count, &relabel->capacity,
                       relabel->count + 1, sizeof *relabel->rules))
        err = NX_ERR_NOMEM;
    else
        err = compile(relabel, &made, fail);
    if (err == NX_OK)
        relabel->rules[relabel->count++] = made;
    else if (err == NX_ERR_NOMEM)
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    return err;
}
