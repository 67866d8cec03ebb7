/* The subcommands. Each gets the arguments after its name and returns the exit status. */
#ifndef CMD_MAIN_H
#define CMD_MAIN_H

int cmd_ctl(int argc, char **argv);
int cmd_tool(int argc, char **argv);
int cmd_help(int argc, char **argv);

#endif
