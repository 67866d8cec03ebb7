/* Prints a tree: on one line as Prometheus's Expr.String(), or split over lines as format_query. */
#ifndef QRY_PROMQL_PRINT_H
#define QRY_PROMQL_PRINT_H

#include "common/base/buf.h"
#include "querier/promql/ast.h"

void qry_print(struct nx_buf *out, const struct qry_expr *expr);
void qry_print_pretty(struct nx_buf *out, const struct qry_expr *expr);
/* The AST as the JSON of /api/v1/parse_query. */
void qry_print_json(struct nx_buf *out, const struct qry_expr *expr);

#endif
