/* The PromQL parser and printers over arbitrary bytes. What parses must print, and the print must
 * parse again (but for ranges under a millisecond, which print as 0s, and trees at the limits). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "querier/promql/print.h"
#include "querier/promql/series_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct qry_features all = {
    .experimental_functions = true,
    .duration_expressions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
};

typedef void (*printer)(struct nx_buf *out, const struct qry_expr *expr);

/* Cut off, with an error, where it does not fit. */
static struct nx_buf print_with(printer print, struct qry_query *query)
{
    struct nx_buf out;
    nx_buf_init(&out, (size_t)16 << 20);
    print(&out, qry_query_expr(query));
    return out;
}

static void same(const struct nx_buf *a, const struct nx_buf *b)
{
    if (nx_buf_err(a) == NX_OK && nx_buf_err(b) == NX_OK &&
        !nx_view_eq(nx_buf_view(a), nx_buf_view(b)))
        abort();
}

/* What was printed parses to the tree it was printed from: it prints the same again, and its JSON
 * is `json` where that is given. */
static struct nx_buf parse_again(const struct nx_buf *text, const struct nx_buf *line,
                                 const struct nx_buf *json)
{
    struct qry_query *again = NULL;
    struct nx_fail fail = {0};
    struct nx_buf tree;
    nx_buf_init(&tree, (size_t)16 << 20);
    if (nx_buf_err(text) != NX_OK)
        return tree;
    if (qry_parse(nx_buf_view(text), &all, &again, &fail) != NX_OK) {
        if (!strstr(fail.text, "greater than 0") && !strstr(fail.text, "limit is"))
            abort();
        return tree;
    }
    struct nx_buf second = print_with(qry_print, again);
    qry_print_json(&tree, qry_query_expr(again));
    same(&second, line);
    if (json && nx_buf_view(json).len > 0)
        same(&tree, json);
    nx_buf_release(&second);
    qry_query_free(again);
    return tree;
}

static void fuzz_expression(struct nx_view text)
{
    struct qry_query *query = NULL;
    struct nx_fail fail = {0};
    if (qry_parse(text, &all, &query, &fail) != NX_OK) {
        if (fail.text[0] == '\0')
            abort();
        return;
    }
    struct nx_buf line = print_with(qry_print, query);
    struct nx_buf pretty = print_with(qry_print_pretty, query);
    struct nx_buf json = print_with(qry_print_json, query);
    struct nx_buf tree = parse_again(&line, &line, NULL);
    struct nx_buf pretty_tree = parse_again(&pretty, &line, &tree);
    enum nx_err err = qry_resolve_durations(query, 0, 3600000, 60000, &fail);
    if (err != NX_OK && err != NX_ERR_EXECUTION)
        abort();
    nx_buf_release(&pretty_tree);
    nx_buf_release(&tree);
    nx_buf_release(&json);
    nx_buf_release(&pretty);
    nx_buf_release(&line);
    qry_query_free(query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_view text = nx_view_make(data, size);
    struct qry_query *query = NULL;
    struct nx_fail fail = {0};

    fuzz_expression(text);
    if (qry_parse_selector(text, &query, &fail) == NX_OK)
        qry_query_free(query);

    struct nx_arena arena;
    struct nx_labels labels;
    size_t consumed = 0;
    nx_arena_init(&arena, 0);
    if (qry_parse_metric(text, &arena, &labels, &consumed, &fail) == NX_OK && consumed > size)
        abort();
    nx_arena_release(&arena);
    return 0;
}
