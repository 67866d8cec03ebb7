/* Relabeling as Prometheus defines it (its documentation, "relabel_config", and model/relabel): a
 * list of rules that edit a label set one after the other, or drop it. Reading rules from YAML is
 * common/config/relabel_yaml.h.
 *
 * A rule joins the values of its source labels with the separator and, by action:
 *   replace              where the regex matches, sets the target label to the replacement; both
 *                        may refer to groups ($1, ${name}); an empty result deletes the target
 *   keep, drop           keeps only sets that match, drops those that do
 *   keepequal, dropequal the same by equality with the target label's value
 *   hashmod              sets the target to the last 8 bytes of the MD5 modulo `modulus`
 *   lowercase, uppercase sets the target to the value in that case
 *   labelmap             copies each label whose name matches to the name that the replacement
 * makes labeldrop, labelkeep deletes labels by their names A regex is RE2, anchored on both ends,
 * with '.' matching newline. */
#ifndef NX_LABELS_RELABEL_H
#define NX_LABELS_RELABEL_H

#include "common/labels/labels.h"

/* X(name, text) */
#define NX_RELABEL_ACTIONS(X)  \
    X(REPLACE, "replace")      \
    X(KEEP, "keep")            \
    X(DROP, "drop")            \
    X(KEEP_EQUAL, "keepequal") \
    X(DROP_EQUAL, "dropequal") \
    X(HASH_MOD, "hashmod")     \
    X(LOWERCASE, "lowercase")  \
    X(UPPERCASE, "uppercase")  \
    X(LABEL_MAP, "labelmap")   \
    X(LABEL_DROP, "labeldrop") \
    X(LABEL_KEEP, "labelkeep")

enum nx_relabel_action {
#define X(name, text) NX_RELABEL_##name,
    NX_RELABEL_ACTIONS(X)
#undef X
};
/* The action's name, in lower case. */
const char *nx_relabel_action_text(enum nx_relabel_action action);
/* Reads one, in any case; false for none. */
bool nx_relabel_action_of(struct nx_view text, enum nx_relabel_action *out);

/* A rule as somebody writes it. Start from nx_relabel_rule_default(). */
struct nx_relabel_rule {
    const struct nx_view *source_labels;
    size_t source_count;
    struct nx_view separator;    /* ";" */
    struct nx_view regex;        /* "(.*)" */
    struct nx_view target_label; /* "" */
    struct nx_view replacement;  /* "$1" */
    uint64_t modulus;            /* 0 */
    enum nx_relabel_action action;
};
struct nx_relabel_rule nx_relabel_rule_default(void);

#define NX_RELABEL_RULES_MAX 1000
/* Of a set under edit; a rule that would make more fails with NX_ERR_LIMIT. */
#define NX_RELABEL_LABELS_MAX 4096
/* Of a name or value that a rule makes, in bytes. */
#define NX_RELABEL_TEXT_MAX ((size_t)1 << 20)

struct nx_relabel;

/* No rules: every set is kept as it is. */
enum nx_err nx_relabel_new(struct nx_relabel **out) NX_WARN_UNUSED;
void nx_relabel_free(struct nx_relabel *relabel); /* NULL: nothing */
/* Checks and compiles a rule and appends it; copies what it points at. NX_ERR_INVALID with
 * Prometheus's text in `fail`, NX_ERR_LIMIT beyond NX_RELABEL_RULES_MAX. */
enum nx_err nx_relabel_add(struct nx_relabel *relabel, const struct nx_relabel_rule *rule,
                           struct nx_fail *fail) NX_WARN_UNUSED;
/* 0 for NULL. */
size_t nx_relabel_count(const struct nx_relabel *relabel);

/* Runs all rules over the builder. *keep false: a rule dropped the set (the builder is then in
 * between). What the rules make is in the builder's arena and in `relabel`, both of which must
 * outlive the result. Any number of threads at once. NX_ERR_NOMEM; NX_ERR_LIMIT for a set or a text
 * that grew beyond the caps above. NULL keeps everything. */
enum nx_err nx_relabel_apply(const struct nx_relabel *relabel, struct nx_labels_builder *builder,
                             bool *keep) NX_WARN_UNUSED;

#endif
