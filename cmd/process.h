/* The life of a serving process: set up in order, run until SIGTERM or SIGINT, drain, take down in
 * mirrored order. */
#ifndef CMD_PROCESS_H
#define CMD_PROCESS_H

#include "cmd/settings.h"

struct cmd_process;

/* Runs the roles with these command-line arguments (without program name and subcommand) until a
 * signal ends it. Returns the exit status: 0 after a clean drain, 1 when it failed to start (the
 * reason is on standard error), 2 for a mistake in the configuration. */
int cmd_process_run(unsigned roles, int argc, char **argv);

#endif
