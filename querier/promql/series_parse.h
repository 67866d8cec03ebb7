/* The metric part of a series description, as test files and rules write it. */
#ifndef QRY_PROMQL_SERIES_PARSE_H
#define QRY_PROMQL_SERIES_PARSE_H

#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/labels/labels.h"

/* Reads `name`, `name{a="b",...}`, `{...}` or `{"quoted.name", "quoted label"="x"}` from the start
 * of the text (leading blanks skipped). Labels, sorted, live in the arena or alias the text; empty
 * values are left out, of a name written twice the last one counts. *consumed is the offset behind
 * the metric. NX_ERR_INVALID with "line:col: parse error: ...". */
enum nx_err qry_parse_metric(struct nx_view text, struct nx_arena *arena, struct nx_labels *labels,
                             size_t *consumed, struct nx_fail *fail) NX_WARN_UNUSED;

#endif
