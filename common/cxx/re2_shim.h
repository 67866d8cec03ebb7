/* RE2 behind a C interface. Expressions are compiled as `^(?s:EXPR)$` with UTF-8 semantics, with a memory
 * limit; matching takes time linear in the text. A compiled expression may be used by many threads. */
#ifndef NX_CXX_RE2_SHIM_H
#define NX_CXX_RE2_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "common/base/view.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nx_regex;

/* anchored: both ends. NX_ERR_INVALID with RE2's text in `fail`. */
enum nx_err nx_regex_new(struct nx_view expr, bool anchored, struct nx_regex **out, struct nx_fail *fail)
    NX_WARN_UNUSED;
void nx_regex_free(struct nx_regex *regex);
bool nx_regex_matches(const struct nx_regex *regex, struct nx_view text);

/* Submatches: groups[0] is the whole match; an unset group has ptr NULL. Up to `max`; the number of groups
 * including group 0, or 0 where the text does not match. */
size_t nx_regex_groups(const struct nx_regex *regex, struct nx_view text, struct nx_view *groups, size_t max);
/* The index of a named group, or -1. */
int nx_regex_group_index(const struct nx_regex *regex, struct nx_view name);
/* The common prefix of all matches, from RE2::PossibleMatchRange; at most `size` bytes, 0 for none. */
size_t nx_regex_prefix(const struct nx_regex *regex, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
