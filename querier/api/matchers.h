/* The match[] parameters of a request: parsed selectors that live as long as the request. */
#ifndef QRY_API_MATCHERS_H
#define QRY_API_MATCHERS_H

#include "querier/api/job.h"

struct qry_match_params {
    struct qry_query **queries;
    struct qry_matcher_set *sets;
    size_t count;
    bool may_match_all; /* set before: selectors of only empty matchers are allowed */
};

/* All match[] values. On failure the cause is in `fail`; what was parsed is released by
 * qry_matches_release. */
enum nx_err qry_matches_parse(struct qry_job *op, struct qry_match_params *out,
                              struct nx_fail *fail) NX_WARN_UNUSED;
void qry_matches_release(struct qry_match_params *matches);

#endif
