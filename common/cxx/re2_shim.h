/* RE2 behind a C interface, with the syntax, the error texts and the matching rules of Go's regexp
 * package as Prometheus uses it: '.' matches newline, UTF-8. Memory is limited to some 8 MiB for each; matching takes time
 * linear in the text. A compiled expression may be used by many threads. Its memory is not under
 * nx_alloc. */
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

/* anchored: both ends of the text. NX_ERR_INVALID with Go's text in `fail`
 * ("error parsing regexp: missing closing ): `(a`"). */
enum nx_err nx_regex_new(struct nx_view expr, bool anchored, struct nx_regex **out,
                         struct nx_fail *fail) NX_WARN_UNUSED;
void nx_regex_free(struct nx_regex *regex);
/* What it may come to hold: the compiled form and the states that matching keeps. 0 for NULL. */
size_t nx_regex_max_bytes(const struct nx_regex *regex);
bool nx_regex_matches(const struct nx_regex *regex, struct nx_view text);

/* Submatches: groups[0] is the whole match; an unset group has ptr NULL. Writes up to `max` and
 * returns the expression's number of groups including group 0, or 0 where the text does not match.
 */
size_t nx_regex_groups(const struct nx_regex *regex, struct nx_view text, struct nx_view *groups,
                       size_t max);
/* The expression's number of groups including group 0. */
size_t nx_regex_group_count(const struct nx_regex *regex);
/* The index of a named group, or -1. */
int nx_regex_group_index(const struct nx_regex *regex, struct nx_view name);
/* A prefix of every text that matches, from RE2::PossibleMatchRange; at most `size` bytes, 0 for
 * none. Not NUL-terminated. */
size_t nx_regex_prefix(const struct nx_regex *regex, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
