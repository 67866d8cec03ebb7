/* What can be known about an anchored expression without running it: the literals it stands for, or
 * a form that needs no regular expression at all. Most expressions in dashboards are of these
 * kinds, and an index answers them without touching each value. */
#ifndef NX_LABELS_MATCH_PLAN_H
#define NX_LABELS_MATCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/view.h"

enum nx_match_form {
    NX_FORM_REGEX,    /* run it; `prefix` may still be known */
    NX_FORM_LITERALS, /* a|b|c */
    NX_FORM_ANY,      /* .* */
    NX_FORM_NONEMPTY, /* .+ */
    NX_FORM_PREFIX,   /* text.* */
    NX_FORM_SUFFIX,   /* .*text */
    NX_FORM_CONTAINS, /* .*text.* */
};

struct nx_match_plan {
    enum nx_match_form form;
    struct nx_view prefix;          /* every match begins with it */
    struct nx_view text;            /* of PREFIX, SUFFIX and CONTAINS */
    const struct nx_view *literals; /* as written */
    const struct nx_view *sorted;   /* the same in byte order */
    size_t literal_count;
};

/* Analyses `expr`, which the result may alias; NULL without memory. An expression that RE2 would
 * refuse comes out as NX_FORM_REGEX. */
const struct nx_match_plan *nx_match_plan_new(struct nx_arena *arena, struct nx_view expr);
/* For every form but REGEX. */
bool nx_match_plan_matches(const struct nx_match_plan *plan, struct nx_view text);

#endif
