/* The names of PromQL's feature switches. */
#ifndef QRY_FEATURES_H
#define QRY_FEATURES_H

#include "common/base/err.h"
#include "querier/promql/ast.h"

/* A comma list of Prometheus's names. What is not named is off, except for expressions in durations,
 * which are always on. NX_ERR_CONFIG names one that does not exist. */
enum nx_err qry_features_parse(const char *list, struct qry_features *out,
                               struct nx_fail *fail) NX_WARN_UNUSED;

#endif
