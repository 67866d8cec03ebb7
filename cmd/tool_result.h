/* Prints the `data` of an answer of the query API. */
#ifndef CMD_TOOL_RESULT_H
#define CMD_TOOL_RESULT_H

#include <jansson.h>

#include "common/base/buf.h"

/* One line a point: series, value, time. */
void cmd_result_table(const json_t *data, struct nx_buf *out);
/* A header; then one line a point: a column for every label, the time in seconds and the value. */
void cmd_result_csv(const json_t *data, struct nx_buf *out);

#endif
