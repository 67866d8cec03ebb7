/* The answers to a select, put together: the copies of each series become one, and the samples of
 * ingesters that missed a deletion are read through it. */
#ifndef QRY_SELECT_TAKE_H
#define QRY_SELECT_TAKE_H

#include "querier/select/fanout.h"
#include "querier/select/fetched.h"

/* Takes in all answers to a request; their bytes are read in place. What a member did not know of
 * is noted in the fan-out (qry_fanout_note), to be told. NX_ERR_CORRUPT on damaged bytes. */
enum nx_err qry_fetched_take(struct qry_fetched *fetched, struct qry_fanout *fanout, size_t request,
                             struct nx_view tenant) NX_WARN_UNUSED;

/* What the i-th member says that its answer lacks and nobody else has; empty: nothing. The bytes
 * are the fan-out's. */
struct nx_view qry_taken_warning(const struct qry_fanout *fanout, size_t request, size_t i);

#endif
