/* Work in the background that must not be felt: how fast it may read and write, and how much of a
 * processor it may take. Both are kept by sleeping. The calls do nothing where the pace is NULL or
 * has no rate. One thread at a time. */
#ifndef ING_PACE_H
#define ING_PACE_H

#include <stdint.h>

struct ing_pace {
    int64_t bytes_per_s; /* 0: as fast as it goes, the processor included */
    uint64_t due_ns;     /* CLOCK_MONOTONIC; when the bytes so far are paid for */
    uint64_t rested_ns;  /* CPU time of the thread when it last rested */
};

/* So many bytes were read or written. */
void ing_pace_spend(struct ing_pace *pace, uint64_t bytes);
/* Called every so often, at least every millisecond of work: the thread sleeps as long as it has
 * worked, and so never holds a processor for much longer than a millisecond, nor half of its time.
 */
void ing_pace_rest(struct ing_pace *pace);

#endif
