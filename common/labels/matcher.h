/* Label matchers. A regular expression is RE2 syntax, anchored on both ends, with '.' matching
 * newline, as Prometheus has it; it is compiled once and safe to match from any thread. A missing
 * label matches as the empty string. */
#ifndef NX_LABELS_MATCHER_H
#define NX_LABELS_MATCHER_H

#include "common/labels/labels.h"

/* The numbers are those of remote read's LabelMatcher.Type. */
enum nx_match_type { NX_MATCH_EQ = 0, NX_MATCH_NE = 1, NX_MATCH_RE = 2, NX_MATCH_NRE = 3 };

struct nx_matcher {
    enum nx_match_type type;
    struct nx_view name;
    struct nx_view value;
    struct nx_regex *regex;           /* RE and NRE only; NULL where `plan` needs none */
    const struct nx_match_plan *plan; /* RE and NRE only: what was found out about the expression */
};

/* Copies name and value into the arena, which must outlive the matcher; compiles the expression
 * (NX_ERR_INVALID with Go's text in `fail`). Release frees the compiled expression. */
enum nx_err nx_matcher_init(struct nx_matcher *matcher, struct nx_arena *arena,
                            enum nx_match_type type, struct nx_view name, struct nx_view value,
                            struct nx_fail *fail) NX_WARN_UNUSED;
void nx_matcher_release(struct nx_matcher *matcher);

bool nx_matcher_matches(const struct nx_matcher *matcher, struct nx_view value);
/* All of them. */
bool nx_matchers_match(const struct nx_matcher *matchers, size_t count, struct nx_labels labels);
bool nx_matcher_matches_empty(const struct nx_matcher *matcher);
/* "=", "!=", "=~", "!~". */
const char *nx_match_type_text(enum nx_match_type type);

/* For an index: where the expression is a set of literals (`a|b|c`, `(?:a|b)c`, escapes), writes up
 * to `max` views of them, in the order they are written, which live as long as the matcher's arena,
 * and returns their number (which may be more than `max`); 0 where it is anything else. For EQ and
 * NE it is the value itself. What a negative matcher excludes, for NE and NRE. */
size_t nx_matcher_literals(const struct nx_matcher *matcher, struct nx_view *out, size_t max);
/* A literal that every match of the expression begins with; empty where there is none. */
struct nx_view nx_matcher_prefix(const struct nx_matcher *matcher);

#endif
