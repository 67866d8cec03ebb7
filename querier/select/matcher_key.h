/* The identity of a set of matchers, whatever their order and however often one is repeated: their
 * 128-bit hashes, ascending, and one hash over all. Expressions of a hundred thousand selectors or
 * matchers are compared without comparing each with each. */
#ifndef QRY_SELECT_MATCHER_KEY_H
#define QRY_SELECT_MATCHER_KEY_H

#include "common/base/arena.h"
#include "common/base/hash.h"
#include "common/labels/matcher.h"

struct qry_matcher_key {
    const struct nx_hash128 *items;
    size_t count;
    struct nx_hash128 whole;
};

/* In the arena; NX_ERR_NOMEM. */
enum nx_err qry_matcher_key_init(struct nx_arena *arena, const struct nx_matcher *matchers,
                                 size_t count, struct qry_matcher_key *out) NX_WARN_UNUSED;
bool qry_matcher_key_eq(const struct qry_matcher_key *a, const struct qry_matcher_key *b);
/* Every matcher of `some` is one of `all`. */
bool qry_matcher_key_within(const struct qry_matcher_key *some, const struct qry_matcher_key *all);

#endif
