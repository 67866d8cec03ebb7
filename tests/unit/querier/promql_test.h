/* Shared by the parser's tests: switches, and parsing into one line of text. */
#ifndef TEST_QUERIER_PROMQL_TEST_H
#define TEST_QUERIER_PROMQL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "querier/promql/print.h"

static const struct qry_features all_features = {
    .experimental_functions = true,
    .duration_expressions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
};
/* As a server without --enable-feature: duration expressions are on all the same. */
static const struct qry_features default_features = {.duration_expressions = true};
static const struct qry_features no_features = {0};

/* The query, which must parse. */
static inline struct qry_query *must_parse(struct nx_view text)
{
    struct qry_query *query = NULL;
    struct nx_fail fail = {0};
    enum nx_err err = qry_parse(text, &all_features, &query, &fail);
    if (err != NX_OK)
        fail_msg("`%.*s` does not parse: %s", NX_VIEW_ARG(text), fail.text);
    return query;
}

typedef void (*expr_printer)(struct nx_buf *out, const struct qry_expr *expr);

/* The tree printed, as a heap string of the caller's. */
static inline char *print_with(expr_printer printer, const struct qry_expr *expr)
{
    struct nx_buf out;
    nx_buf_init(&out, (size_t)64 << 20);
    printer(&out, expr);
    nx_buf_append(&out, "", 1);
    assert_int_equal(nx_buf_err(&out), NX_OK);
    size_t len;
    return nx_buf_take(&out, &len);
}

/* Parses and prints. */
static inline char *reprint_with(expr_printer printer, const char *text)
{
    struct qry_query *query = must_parse(nx_view_of(text));
    char *printed = print_with(printer, qry_query_expr(query));
    qry_query_free(query);
    return printed;
}

static inline void assert_parse_fails(struct nx_view text, const struct qry_features *features,
                                      const char *message)
{
    struct qry_query *query = NULL;
    struct nx_fail fail = {0};
    enum nx_err err = qry_parse(text, features, &query, &fail);
    if (err == NX_OK)
        fail_msg("`%.*s` parses, expected: %s", NX_VIEW_ARG(text), message);
    assert_int_equal(err, NX_ERR_INVALID);
    assert_null(query);
    if (strcmp(fail.text, message) != 0)
        fail_msg("`%.*s`: %s, expected: %s", NX_VIEW_ARG(text), fail.text, message);
}

/* Lets allocations through until the counter runs out. */
static inline bool failing_alloc(size_t size_bytes, void *user)
{
    int *left = user;
    (void)size_bytes;
    return (*left)-- != 0;
}

#endif
