/* What an evaluation counts of the samples it handles, for the `stats` of an answer. Two numbers,
 * each in total and, where asked for, by step of the query:
 *
 * queryable  samples loaded into the evaluator. A sample in the windows of three steps counts three
 *            times; a subquery that feeds a function counts as the windows of that function see it.
 * read       samples read from storage. A window counts what it did not share with the step
 *            before; what is the same at every step counts once.
 *
 * Reads below a subquery belong to the first step of the query that sees them. */
#ifndef QRY_PROMQL_SAMPLE_COUNTS_H
#define QRY_PROMQL_SAMPLE_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qry_scope;

struct qry_sample_counts {
    uint64_t queryable, read;
    uint64_t *queryable_at, *read_at; /* one a step of the query; NULL: not asked for */
    size_t steps;
    unsigned muted; /* subqueries that feed a function around: nothing is queryable */
};

/* At step `i` of the scope. */
void qry_count_queryable(const struct qry_scope *scope, size_t i, uint64_t samples);
void qry_count_read(const struct qry_scope *scope, size_t i, uint64_t samples);
/* What was queryable since `before` at the first step is so at each of `steps` steps. */
void qry_count_repeated(const struct qry_scope *scope, uint64_t before, size_t steps);

#endif
