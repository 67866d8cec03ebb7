/* anchored and smoothed selectors (reference section 11). */
#ifndef QRY_PROMQL_EVAL_EXTENDED_H
#define QRY_PROMQL_EVAL_EXTENDED_H

#include "querier/promql/eval_range.h"

/* `m smoothed`: an instant vector, interpolated. */
enum nx_err qry_eval_smoothed(const struct qry_scope *scope, struct qry_expr *expr,
                              enum qry_pick pick, struct qry_matrix *out) NX_WARN_UNUSED;
/* rate, increase and delta over an anchored or smoothed range. */
enum nx_err qry_extended_increase(struct qry_range_call *call, const struct qry_window *window,
                                  bool counter, bool rate, struct qry_yield *out) NX_WARN_UNUSED;
/* The points of a bare `m[r] anchored` or `m[r] smoothed`; an array in the arena. */
enum nx_err qry_extended_points(struct qry_eval *ev, struct nx_arena *arena,
                                const struct qry_selector *selector,
                                const struct qry_window *window, struct qry_point **points,
                                size_t *count) NX_WARN_UNUSED;

#endif
