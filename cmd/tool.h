/* The tools. Each gets the arguments after its name and returns the exit status: 0 only on success,
 * 2 for arguments that make no sense. */
#ifndef CMD_TOOL_H
#define CMD_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int cmd_tool_promql(int argc, char **argv);
int cmd_tool_query(int argc, char **argv);
int cmd_tool_block(int argc, char **argv);
int cmd_tool_import(int argc, char **argv);
int cmd_tool_export(int argc, char **argv);

/* `--name=value` or `--name value` at argv[*i], which then stands at its last word; NULL where
 * something else is there. `name` comes with its dashes. */
const char *cmd_tool_option(int argc, char **argv, int *i, const char *name);
/* Whether the word is an option, known or not. */
bool cmd_tool_is_option(const char *word);

/* tool_time.c: `now`, a duration from now (`-1h`, `now-1h`, `+5m`), Unix seconds or RFC 3339. */
bool cmd_tool_time(const char *text, int64_t now_ms, int64_t *out_ms);
/* A duration or seconds, above zero. */
bool cmd_tool_step(const char *text, int64_t *out_ms);
/* A round one that makes at most 250 points of the range. */
int64_t cmd_tool_default_step(int64_t range_ms);

#endif
