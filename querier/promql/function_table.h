/* The one table of PromQL functions. The parser (names, arity, types), the engine (implementations), the API
 * (features) and the documentation are fed from it.
 *
 * X(id, name, variadic, result, experimental, doc, argument types...)
 * Arity (reference section 7): n = number of listed types; variadic 0: exactly n; v > 0: n-1 .. n-1+v;
 * -1: at least n-1, the last type repeating. */
#ifndef QRY_PROMQL_FUNCTION_TABLE_H
#define QRY_PROMQL_FUNCTION_TABLE_H

#include "querier/promql/ast.h"

#define QRY_FUNCTION_MAX_ARGS 5

struct qry_function {
    const char *name;
    int id; /* enum qry_function_id */
    int variadic;
    enum qry_type result;
    bool experimental;
    enum qry_type args[QRY_FUNCTION_MAX_ARGS];
    size_t arg_count;
    const char *doc;
};

/* NULL where there is none of that name. */
const struct qry_function *qry_function_find(struct nx_view name);
const struct qry_function *qry_function_at(size_t i); /* NULL past the last; in name order */

#endif
