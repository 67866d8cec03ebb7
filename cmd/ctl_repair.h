/* `narthex ctl repair status|now`. */
#ifndef CMD_CTL_REPAIR_H
#define CMD_CTL_REPAIR_H

#include <stdbool.h>

/* Asks every ingester that the node at `address` knows how far it is from whole; with `now` it also
 * has them compare at once. The exit status: 0 where all answered and, for the status, are whole.
 */
int cmd_ctl_repair(const char *address, bool json, bool now);

#endif
