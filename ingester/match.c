/* A selection is a chain of set operations. A matcher that does not accept "" keeps the union of
 * the values it accepts; one that accepts "" removes the union of those it refuses, so that series
 * without the label stay. Values are looked up for equality and for expressions that are a set of
 * literals; else the label's values are walked, prefix first and the expression only then. Matchers
 * that need no walk come first, so that an empty intermediate result ends the work early. */
#include "ingester/match.h"

#include "common/base/alloc.h"

#define LITERALS_MAX 1024

/* The values whose series are kept or removed. */
struct plan {
    const struct nx_matcher *matcher;
    struct nx_view *literals;
    size_t literal_count;
    struct nx_view prefix;
    bool removes; /* the set is of refused values, to be taken away */
    bool direct;  /* the set is the literals */
    bool any;     /* the expression accepts every value */
    bool negative;
};

static enum nx_err plan_literals(struct plan *plan, const struct nx_matcher *matcher,
                                 struct nx_view *scratch)
{
    size_t found = 1;
    if (matcher->type == NX_MATCH_EQ || matcher->type == NX_MATCH_NE) {
        scratch[0] = matcher->value;
    } else {
        found = nx_matcher_literals(matcher, scratch, LITERALS_MAX);
        if (found == 0 || found >= LITERALS_MAX)
            return NX_OK;
    }
    plan->literals = nx_alloc_array(found, sizeof *plan->literals);
    if (!plan->literals)
        return NX_ERR_NOMEM;
    memcpy(plan->literals, scratch, found * sizeof *scratch);
    plan->literal_count = found;
    plan->direct = true;
    return NX_OK;
}

/* Where a matcher is positive and does not accept "", or negative and accepts it, the set is
 * exactly the values it names; otherwise it is all others. */
static enum nx_err plan_make(struct plan *plan, const struct nx_matcher *matcher,
                             struct nx_view *scratch)
{
    bool regex = matcher->type == NX_MATCH_RE || matcher->type == NX_MATCH_NRE;
    *plan =
        (struct plan){.matcher = matcher,
                      .removes = nx_matcher_matches_empty(matcher),
                      .negative = matcher->type == NX_MATCH_NE || matcher->type == NX_MATCH_NRE};
    if (plan->negative == plan->removes) {
        enum nx_err err = plan_literals(plan, matcher, scratch);
        if (err != NX_OK || plan->direct)
            return err;
    }
    /* values are never empty, so both of these accept all of them */
    plan->any = regex && (nx_view_is(matcher->value, ".+") || nx_view_is(matcher->value, ".*"));
    if (regex && !plan->any)
        plan->prefix = nx_matcher_prefix(matcher);
    return NX_OK;
}

static bool in_set(const void *user, struct nx_view value)
{
    const struct plan *plan = user;
    bool accepted;
    if (plan->any)
        accepted = !plan->negative;
    else if (plan->prefix.len > 0 && !nx_view_has_prefix(value, plan->prefix))
        accepted = plan->negative;
    else
        accepted = nx_matcher_matches(plan->matcher, value);
    return accepted != plan->removes;
}

static enum nx_err plan_apply(const struct ing_match_index *index, const struct plan *plan,
                              roaring_bitmap_t *result)
{
    roaring_bitmap_t *set = roaring_bitmap_create();
    if (!set)
        return NX_ERR_NOMEM;
    enum nx_err err = NX_OK;
    if (plan->direct) {
        for (size_t i = 0; i < plan->literal_count && err == NX_OK; i++)
            err = index->add_pair(index->index, plan->matcher->name, plan->literals[i], set);
    } else {
        err = index->add_values(index->index, plan->matcher->name, in_set, plan, set);
    }
    if (err == NX_OK && plan->removes)
        roaring_bitmap_andnot_inplace(result, set);
    else if (err == NX_OK)
        roaring_bitmap_and_inplace(result, set);
    roaring_bitmap_free(set);
    return err;
}

static enum nx_err apply_all(const struct ing_match_index *index, const struct plan *plans,
                             size_t count, roaring_bitmap_t *result)
{
    for (int direct = 1; direct >= 0; direct--) {
        for (size_t i = 0; i < count; i++) {
            if (plans[i].direct != (direct == 1))
                continue;
            if (roaring_bitmap_is_empty(result))
                return NX_OK;
            enum nx_err err = plan_apply(index, &plans[i], result);
            if (err != NX_OK)
                return err;
        }
    }
    return NX_OK;
}

enum nx_err ing_match(const struct ing_match_index *index, const struct nx_matcher *matchers,
                      size_t count, roaring_bitmap_t *result)
{
    enum nx_err err = NX_ERR_NOMEM;
    struct plan *plans = nx_calloc(count, sizeof *plans);
    struct nx_view *scratch = nx_alloc_array(LITERALS_MAX, sizeof *scratch);
    if (!plans || !scratch)
        goto done;
    err = NX_OK;
    for (size_t i = 0; i < count && err == NX_OK; i++)
        err = plan_make(&plans[i], &matchers[i], scratch);
    if (err == NX_OK)
        err = apply_all(index, plans, count, result);
done:
    for (size_t i = 0; plans && i < count; i++)
        nx_free(plans[i].literals);
    nx_free(plans);
    nx_free(scratch);
    return err;
}
