/* Templates of replacements: `$1`, `${1}`, `$name`, `${name}` and `$$` as Go's Regexp.Expand has
 * them (a name is the longest run of letters, digits and underscores; a group that is unset or does
 * not exist is empty; a '$' that begins none of these stands for itself). Any thread. */
#ifndef NX_LABELS_EXPAND_H
#define NX_LABELS_EXPAND_H

#include "common/base/buf.h"
#include "common/base/view.h"

struct nx_regex;

/* `groups` and `count` as nx_regex_groups gives them; `regex` NULL: groups have no names. */
void nx_expand(struct nx_buf *out, struct nx_view text, const struct nx_regex *regex,
               const struct nx_view *groups, size_t count);

#endif
