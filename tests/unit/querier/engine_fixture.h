/* For the engine's tests: a source over a few series written as text, which can be told to fail,
 * and queries evaluated into text. */
#ifndef TEST_QUERIER_ENGINE_FIXTURE_H
#define TEST_QUERIER_ENGINE_FIXTURE_H

#include "promql_test.h"

#include "querier/promql/engine.h"

#define FIXTURE_SERIES_MAX 256
#define FIXTURE_SELECTS_MAX 256

struct fixture_series {
    struct nx_labels labels;
    struct nx_sample *samples;
    size_t count;
};

struct fixture {
    struct qry_source source;
    struct nx_arena arena;
    struct fixture_series series[FIXTURE_SERIES_MAX];
    size_t count;
    struct qry_eval_params params;
    struct nx_clock_manual clock;
    /* failures to inject */
    enum nx_err select_err, open_err, next_err;
    size_t next_err_after;  /* samples */
    uint64_t ns_per_sample; /* the clock moves with each sample read */
    /* what was asked */
    struct qry_select asked[FIXTURE_SELECTS_MAX];
    size_t asked_count;
    size_t opened; /* iterators not yet freed */
};

/* Default parameters: lookback 5 min, default step 1 min, no limits, all features of the parser,
 * delayed name removal. Nothing is allocated that fixture_free does not free. */
void fixture_init(struct fixture *f);
void fixture_free(struct fixture *f);
/* `m{a="b"} 1 2 _ stale h:10,5`: samples at 0, step, ...; `_` is none, h:COUNT,SUM a native
 * histogram (one bucket with all observations), v@ST a float with a start timestamp in ms. */
void fixture_load(struct fixture *f, int64_t step_ms, const char *line);
void fixture_load_sample(struct fixture *f, struct nx_labels labels,
                         const struct nx_sample *samples, size_t count);

/* Evaluates at `t`, or over a range; the caller releases the result. */
enum nx_err fixture_instant(struct fixture *f, const char *query, int64_t t_ms,
                            struct qry_result *out, struct nx_fail *fail);
enum nx_err fixture_range(struct fixture *f, const char *query, int64_t start_ms, int64_t end_ms,
                          int64_t step_ms, struct qry_result *out, struct nx_fail *fail);
/* The result as text, one line a series: `{a="b"} 1 2@60`, with `@seconds` behind values of
 * matrices; then a line a note. An error is its text. Heap string. */
char *fixture_text(const struct qry_result *result);
/* Evaluates and compares. `expect` is fixture_text's form, or "error: ..." */
void fixture_expect(struct fixture *f, const char *query, int64_t t_ms, const char *expect);
void fixture_expect_range(struct fixture *f, const char *query, int64_t start_ms, int64_t end_ms,
                          int64_t step_ms, const char *expect);

#endif
