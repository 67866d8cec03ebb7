/* Prometheus's .test files: parsed form, running, comparing. */
#ifndef TESTS_PROMQLTEST_H
#define TESTS_PROMQLTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/cxx/re2_shim.h"
#include "common/labels/labels.h"
#include "querier/promql/engine.h"
#include "tests/conformance/memory_source.h"

/* The start offset of a position that has none. */
#define PT_NO_START INT64_MIN

/* One position of a series line. */
struct pt_value {
    bool omitted;
    double value;
    const struct nx_histogram *histogram;
    bool hint_set; /* the expectation names a counter reset hint */
};

struct pt_series {
    struct nx_labels labels;
    struct pt_value *values;
    size_t count;
    int64_t *start_offsets; /* of load lines with @st; NULL: none */
    size_t line;
};

/* What an expected failure or annotation must look like. */
struct pt_pattern {
    enum { PT_ANY, PT_MSG, PT_REGEX } kind;
    struct nx_view text;
    struct nx_regex *regex;
};
struct pt_patterns {
    struct pt_pattern *items;
    size_t count;
    size_t capacity;
};

struct pt_series_list {
    struct pt_series *items;
    size_t count;
    size_t capacity;
};

struct pt_load {
    int64_t step_ms;
    bool nhcb;
};

struct pt_eval {
    bool range;
    int64_t start_ms, end_ms, step_ms; /* instant: start_ms */
    struct nx_view expr;
    bool fail;
    bool fail_line; /* said by a line of its own, which may be said once */
    struct pt_pattern fail_pattern;
    struct pt_patterns warnings, infos;
    bool no_warning, no_info;
    bool ordered;
    bool expect_string;
    struct nx_view string;
    bool expect_matrix; /* "expect range vector": points of an instant query at start_ms + i *
                           step_ms */
    bool expect_scalar;
    double scalar;
};

enum pt_kind {
    PT_CLEAR,
    PT_LOAD,
    PT_EVAL,
    PT_BROKEN, /* a block that could not be read; `problem` says why */
};

struct pt_command {
    enum pt_kind kind;
    size_t line;
    struct nx_view text; /* the first line */
    struct pt_load load;
    struct pt_eval eval;
    struct pt_series_list series; /* loaded or expected */
    struct nx_view problem;
};

struct pt_file {
    struct nx_arena arena;
    char *bytes;
    size_t len;
    struct pt_command *commands;
    size_t count;
    size_t capacity;
};

/* --- promqltest_parse.c: the blocks of a file --- */
/* NX_ERR_* only where the file cannot be read; damaged blocks become PT_BROKEN commands. */
enum nx_err pt_file_read(const char *path, struct pt_file *out,
                         struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err pt_file_parse(struct pt_file *file, struct nx_fail *fail) NX_WARN_UNUSED;
void pt_file_release(struct pt_file *file);

/* --- promqltest_series.c: `<metric> <values>` --- */
enum nx_err pt_parse_series(struct nx_view line, struct nx_arena *arena, struct pt_series *out,
                            struct nx_fail *fail) NX_WARN_UNUSED;
/* `<metric>@st <offsets>`; `count` positions. Without a metric (no labels) they are those of every
 * series below that has none of its own, over and over. */
bool pt_is_start_line(struct nx_view line);
enum nx_err pt_parse_starts(struct nx_view line, struct nx_arena *arena, struct nx_labels *labels,
                            int64_t **offsets, size_t *count, struct nx_fail *fail) NX_WARN_UNUSED;
/* Go's base-0 integer, else a float: a line that is a scalar expectation. */
bool pt_parse_number(struct nx_view text, double *out);

/* --- promqltest_histogram.c: `{{...}}` --- */
/* Reads one histogram at the start of *text and moves *text behind it. */
enum nx_err pt_parse_histogram(struct nx_view *text, struct nx_arena *arena,
                               struct nx_histogram **out, bool *hint_set,
                               struct nx_fail *fail) NX_WARN_UNUSED;

/* --- promqltest_nhcb.c --- */
/* Appends the custom-bucket histograms of the classic ones among these series. */
enum nx_err pt_append_nhcb(struct memory_source *memory, const struct pt_series_list *series,
                           int64_t step_ms, struct nx_fail *fail) NX_WARN_UNUSED;

/* --- promqltest_compare.c --- */
bool pt_almost_equal(double a, double b);
/* Each returns whether the expectation holds, and appends what was expected and what came to `why`.
 * `range` chooses the comparison of a range query. */
bool pt_compare_result(const struct pt_command *cmd, const struct qry_result *result,
                       struct nx_buf *why);
/* The points at `t` of a range result, compared as an instant one. */
bool pt_compare_step(const struct pt_command *cmd, const struct qry_result *result, int64_t t,
                     struct nx_buf *why);
bool pt_compare_annotations(const struct pt_eval *eval, const struct qry_result *result,
                            struct nx_buf *why);
bool pt_compare_failure(const struct pt_eval *eval, struct nx_view text, struct nx_buf *why);

/* --- promqltest_run.c --- */
struct pt_options {
    bool reruns; /* also pinned by @ and as range queries, as Prometheus's runner does */
};
/* Runs one command; false when it failed, with the reason in `why`. */
bool pt_run_command(struct memory_source *memory, const struct pt_command *cmd,
                    const struct pt_options *options, struct nx_buf *why);

#endif
