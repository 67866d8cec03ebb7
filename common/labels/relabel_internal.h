/* What checking and applying rules share. */
#ifndef NX_LABELS_RELABEL_INTERNAL_H
#define NX_LABELS_RELABEL_INTERNAL_H

#include <locale.h>

#include "common/labels/match_plan.h"
#include "common/labels/relabel.h"

struct compiled {
    struct nx_relabel_rule rule;
    const struct nx_match_plan *plan; /* answers for forms but NX_FORM_REGEX */
    struct nx_regex *regex;           /* always there; its groups are wanted by templates */
    size_t group_count;               /* with group 0 */
    bool takes_all;                   /* the default regex: it matches, group 1 is the text */
};

struct nx_relabel {
    struct nx_arena arena;
    struct compiled *rules;
    size_t count;
    size_t capacity;
    locale_t utf8; /* for letters outside ASCII; 0 where the system has no such locale */
};

#define NX_RELABEL_DEFAULT_REGEX NX_VIEW("(.*)")

/* Whether the text refers to groups. */
static inline bool nx_relabel_is_template(struct nx_view text)
{
    return nx_view_find(text, '$') < text.len;
}
static inline bool nx_relabel_is_name(struct nx_view name)
{
    return name.len > 0 && nx_view_is_utf8(name);
}

#endif
