/* Shared by the printers. All of them stop early once the buffer failed, so that printing into a
 * small buffer is a cheap way to ask whether an expression fits. */
#ifndef QRY_PROMQL_PRINT_INTERNAL_H
#define QRY_PROMQL_PRINT_INTERNAL_H

#include "querier/promql/print.h"

/* " bool on (a) group_left (b) fill (0)", with a leading blank for each part. */
void qry_print_matching(struct nx_buf *out, const struct qry_binary *binary);
/* Infinity as the base of a power is written without its sign, which would apply to the power. The
 * one place, beside print_signs in print.c, where Prometheus prints what it would read otherwise.
 */
bool qry_is_base_infinity(const struct qry_binary *binary);
/* "sum by (a) ": the operator and its grouping. */
void qry_print_aggregate_head(struct nx_buf *out, const struct qry_aggregate *aggregate);
/* "[5m:1m] @ 1.000 offset 5m" */
void qry_print_subquery_suffix(struct nx_buf *out, const struct qry_subquery *subquery);
/* "step", "+", "max_of": the operator of a duration expression. */
const char *qry_duration_op_text(enum qry_duration_op op);

#endif
