/* `narthex ctl drain|readonly|forget NODE`: what an operator asks of one ingester. */
#ifndef CMD_CTL_MEMBER_H
#define CMD_CTL_MEMBER_H

#include <stdbool.h>

extern const char cmd_ctl_member_usage[];

/* Whether the command is one of these. */
bool cmd_ctl_is_member_command(const char *command);
/* The arguments behind `ctl`; the exit status. */
int cmd_ctl_member(int argc, char **argv);

#endif
