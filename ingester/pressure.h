/* Whether the process holds more memory than it may. On one thread. */
#ifndef ING_PRESSURE_H
#define ING_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

struct ing_pressure {
    int64_t resident; /* when it was looked at last */
    int64_t limit;
    int64_t next_ms; /* not before: what was done takes its time to show */
    int64_t pause_ms;
};

/* Looks at the resident memory against `max_bytes` (0: three quarters of the memory of the machine
 * or of its control group). After a yes it is silent for a while, and for longer each time that did
 * not help, so that memory which is not the heads' does not end in a block every second. */
bool ing_pressure_is_high(struct ing_pressure *pressure, int64_t max_bytes, int64_t now_ms);
/* The same with what was measured; for the tests. */
bool ing_pressure_judge(struct ing_pressure *pressure, int64_t resident, int64_t limit,
                        int64_t now_ms);

#endif
