/* Reading series for selectors: shared by instant selectors and range windows. */
#ifndef QRY_PROMQL_EVAL_SELECTOR_H
#define QRY_PROMQL_EVAL_SELECTOR_H

#include "querier/promql/eval.h"

/* Reads a series' histograms in stats form (reference 14.7): schema, count, sum, and a hint found
 * by comparing each one with the one before it. */
struct qry_stats {
    struct qry_pool *pools[2];
    unsigned turn;                       /* the pool that holds `previous` */
    const struct nx_histogram *previous; /* NULL at the start of a series and after a jump */
};
enum nx_err qry_stats_init(struct qry_stats *stats, struct qry_eval *ev) NX_WARN_UNUSED;
void qry_stats_release(struct qry_stats *stats, struct qry_eval *ev);
enum nx_err qry_stats_read(struct qry_stats *stats, struct qry_eval *ev,
                           const struct nx_histogram *h, struct nx_histogram *out) NX_WARN_UNUSED;

/* What an instant selector asks of the source. */
struct qry_select qry_instant_select(const struct qry_scope *scope,
                                     const struct qry_selector *selector);

#endif
