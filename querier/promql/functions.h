/* Implementations of the functions, by file of their family. Each evaluates a whole call. */
#ifndef QRY_PROMQL_FUNCTIONS_H
#define QRY_PROMQL_FUNCTIONS_H

#include "querier/promql/eval_range.h"

typedef enum nx_err (*qry_call_function)(const struct qry_scope *scope, struct qry_expr *expr,
                                         struct qry_matrix *out);

/* The first vector argument, evaluated, histograms left out and the names dropped. */
enum nx_err qry_eval_float_argument(const struct qry_scope *scope, struct qry_expr *expr,
                                    struct qry_matrix *out) NX_WARN_UNUSED;
/* What follows on dropped names: rows that became equal are merged. Releases `matrix` on failure.
 */
enum nx_err qry_finish_call(struct qry_matrix *matrix, struct qry_matrix *out) NX_WARN_UNUSED;
/* One row without labels, present at each step with `value`. */
enum nx_err qry_eval_constant(const struct qry_scope *scope, double value,
                              struct qry_matrix *out) NX_WARN_UNUSED;

/* functions_math.c */
double qry_fn_sgn(double v);
double qry_fn_deg(double v);
double qry_fn_rad(double v);
enum nx_err qry_fn_round(const struct qry_scope *scope, struct qry_expr *expr,
                         struct qry_matrix *out);
enum nx_err qry_fn_clamp(const struct qry_scope *scope, struct qry_expr *expr,
                         struct qry_matrix *out);
enum nx_err qry_fn_scalar(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out);
enum nx_err qry_fn_vector(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out);
enum nx_err qry_fn_extreme_of(const struct qry_scope *scope, struct qry_expr *expr,
                              struct qry_matrix *out);
enum nx_err qry_fn_pi(const struct qry_scope *scope, struct qry_expr *expr, struct qry_matrix *out);

/* functions_time.c */
enum nx_err qry_fn_time(const struct qry_scope *scope, struct qry_expr *expr,
                        struct qry_matrix *out);
enum nx_err qry_fn_query_time(const struct qry_scope *scope, struct qry_expr *expr,
                              struct qry_matrix *out);
enum nx_err qry_fn_timestamp(const struct qry_scope *scope, struct qry_expr *expr,
                             struct qry_matrix *out);
enum nx_err qry_fn_start_timestamp(const struct qry_scope *scope, struct qry_expr *expr,
                                   struct qry_matrix *out);
enum nx_err qry_fn_date(const struct qry_scope *scope, struct qry_expr *expr,
                        struct qry_matrix *out);

/* functions_label.c */
enum nx_err qry_fn_label_replace(const struct qry_scope *scope, struct qry_expr *expr,
                                 struct qry_matrix *out);
enum nx_err qry_fn_label_join(const struct qry_scope *scope, struct qry_expr *expr,
                              struct qry_matrix *out);

/* functions_sort.c */
enum nx_err qry_fn_sort(const struct qry_scope *scope, struct qry_expr *expr,
                        struct qry_matrix *out);
enum nx_err qry_fn_sort_by_label(const struct qry_scope *scope, struct qry_expr *expr,
                                 struct qry_matrix *out);

/* functions_absent.c */
enum nx_err qry_fn_absent(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out);
enum nx_err qry_fn_absent_over_time(const struct qry_scope *scope, struct qry_expr *expr,
                                    struct qry_matrix *out);

/* functions_over_time.c, functions_regression.c */
enum nx_err qry_rf_sum(struct qry_range_call *call, const struct qry_window *window,
                       struct qry_yield *out);
enum nx_err qry_rf_avg(struct qry_range_call *call, const struct qry_window *window,
                       struct qry_yield *out);
enum nx_err qry_rf_count(struct qry_range_call *call, const struct qry_window *window,
                         struct qry_yield *out);
enum nx_err qry_rf_present(struct qry_range_call *call, const struct qry_window *window,
                           struct qry_yield *out);
enum nx_err qry_rf_first(struct qry_range_call *call, const struct qry_window *window,
                         struct qry_yield *out);
enum nx_err qry_rf_last(struct qry_range_call *call, const struct qry_window *window,
                        struct qry_yield *out);
enum nx_err qry_rf_extreme(struct qry_range_call *call, const struct qry_window *window,
                           struct qry_yield *out);
enum nx_err qry_rf_ts_of_extreme(struct qry_range_call *call, const struct qry_window *window,
                                 struct qry_yield *out);
enum nx_err qry_rf_ts_of_end(struct qry_range_call *call, const struct qry_window *window,
                             struct qry_yield *out);
enum nx_err qry_rf_quantile(struct qry_range_call *call, const struct qry_window *window,
                            struct qry_yield *out);
enum nx_err qry_rf_variance(struct qry_range_call *call, const struct qry_window *window,
                            struct qry_yield *out);
enum nx_err qry_rf_mad(struct qry_range_call *call, const struct qry_window *window,
                       struct qry_yield *out);
enum nx_err qry_rf_deriv(struct qry_range_call *call, const struct qry_window *window,
                         struct qry_yield *out);
enum nx_err qry_rf_predict_linear(struct qry_range_call *call, const struct qry_window *window,
                                  struct qry_yield *out);
enum nx_err qry_rf_double_smoothing(struct qry_range_call *call, const struct qry_window *window,
                                    struct qry_yield *out);

/* functions_rate.c, functions_instant_rate.c, functions_changes.c */
enum nx_err qry_rf_extrapolated(struct qry_range_call *call, const struct qry_window *window,
                                struct qry_yield *out);
enum nx_err qry_rf_instant(struct qry_range_call *call, const struct qry_window *window,
                           struct qry_yield *out);
enum nx_err qry_rf_changes(struct qry_range_call *call, const struct qry_window *window,
                           struct qry_yield *out);
enum nx_err qry_rf_resets(struct qry_range_call *call, const struct qry_window *window,
                          struct qry_yield *out);

/* functions_histogram.c, functions_quantile.c */
enum nx_err qry_fn_histogram_value(const struct qry_scope *scope, struct qry_expr *expr,
                                   struct qry_matrix *out);
enum nx_err qry_fn_histogram_quantile(const struct qry_scope *scope, struct qry_expr *expr,
                                      struct qry_matrix *out);
enum nx_err qry_fn_histogram_quantiles(const struct qry_scope *scope, struct qry_expr *expr,
                                       struct qry_matrix *out);
enum nx_err qry_fn_histogram_fraction(const struct qry_scope *scope, struct qry_expr *expr,
                                      struct qry_matrix *out);

/* functions_info.c */
enum nx_err qry_fn_info(const struct qry_scope *scope, struct qry_expr *expr,
                        struct qry_matrix *out);
/* info_select.c: the series info() takes labels from, as a selector with matchers for their names
 * and labels, pinned and shifted as the first selector of its first argument. The first
 * `*name_count` matchers are for the name. */
enum nx_err qry_info_selector(struct nx_arena *arena, struct qry_query *query,
                              const struct qry_expr *expr, struct qry_expr *out,
                              size_t *name_count) NX_WARN_UNUSED;

#endif
