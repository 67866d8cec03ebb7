/* The PromQL parser and printers over arbitrary bytes. What parses must print, and the print must
 * parse again (but for ranges under a millisecond, which print as 0s, and trees at the limits). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "querier/promql/print.h"
#include "querier/promql/series_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_expression(struct nx_view text)
{
    static const struct qry_features all = {
        .experimental_functions = true,
        .duration_expressions = true,
        .extended_range_selectors = true,
        .binop_fill_modifiers = true,
    };
    struct qry_query *query = NULL;
    struct nx_fail fail = {0};
    if (qry_parse(text, &all, &query, &fail) != NX_OK) {
        if (fail.text[0] == '\0')
            abort();
        return;
    }
    struct nx_buf line;
    struct nx_buf other;
    nx_buf_init(&line, (size_t)16 << 20);
    nx_buf_init(&other, (size_t)16 << 20);
    qry_print(&line, qry_query_expr(query));
    qry_print_pretty(&other, qry_query_expr(query));
    qry_print_json(&other, qry_query_expr(query));
    enum nx_err err = qry_resolve_durations(query, 0, 3600000, 60000, &fail);
    if (err != NX_OK && err != NX_ERR_EXECUTION)
        abort();
    if (nx_buf_err(&line) == NX_OK) {
        struct qry_query *again = NULL;
        if (qry_parse(nx_buf_view(&line), &all, &again, &fail) == NX_OK)
            qry_query_free(again);
        else if (!strstr(fail.text, "greater than 0") && !strstr(fail.text, "limit is"))
            abort();
    }
    nx_buf_release(&other);
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
