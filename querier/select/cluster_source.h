/* The engine's source over what was fetched from the cluster. The fetch comes first, for all
 * selects of a query's plan (qry_selection_plan); the evaluation then reads memory only. */
#ifndef QRY_SELECT_CLUSTER_SOURCE_H
#define QRY_SELECT_CLUSTER_SOURCE_H

#include "common/base/arena.h"
#include "querier/promql/source.h"
#include "querier/select/fanout.h"
#include "querier/select/matcher_key.h"

/* Fetches of one query: each is a call to every owner. */
#define QRY_SELECTIONS_MAX 1000

/* One fetch: selects of the same matchers whose time ranges touch are fetched together. */
struct qry_selection {
    const struct nx_matcher *matchers;
    size_t matcher_count;
    struct qry_matcher_key key;
    int64_t min_t, max_t;
};

/* The fetches that cover these selects; in the arena. NX_ERR_LIMIT where they are too many. */
enum nx_err qry_selection_plan(struct nx_arena *arena, const struct qry_select *selects,
                               size_t count, struct qry_selection **out, size_t *out_count,
                               struct nx_fail *fail) NX_WARN_UNUSED;

struct qry_cluster_source;

/* Request i of the fan-out is selection i. All but the source itself lives in the arena, whose cap
 * bounds it; the answers of the fan-out are read in place and must outlive it. */
enum nx_err qry_cluster_source_new(struct nx_arena *arena, const struct qry_selection *selections,
                                   size_t count, struct qry_fanout *fanout, struct nx_view tenant,
                                   struct qry_cluster_source **out,
                                   struct nx_fail *fail) NX_WARN_UNUSED;
struct qry_source *qry_cluster_source_as_source(struct qry_cluster_source *source);

#endif
