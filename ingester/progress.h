/* How far a start has come: written by the threads that bring the shards back, read by whoever
 * asks. Any thread. */
#ifndef ING_PROGRESS_H
#define ING_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/base/buf.h"

enum ing_phase {
    ING_PHASE_WAITING, /* not begun */
    ING_PHASE_BLOCKS,  /* opening blocks */
    ING_PHASE_LOG,     /* replaying the log */
    ING_PHASE_DUMP,    /* writing it anew for another number of shards */
    ING_PHASE_SERVING,
};

struct ing_progress {
    atomic_int phase;
    atomic_uint shards; /* of the phase */
    atomic_uint shards_done;
    atomic_ullong read_bytes; /* of the log */
    atomic_ullong total_bytes;
    atomic_bool cancel; /* set by who wants the start to end early */
};

void ing_progress_init(struct ing_progress *progress);
void ing_progress_begin(struct ing_progress *progress, enum ing_phase phase, unsigned shards);
static inline bool ing_progress_canceled(const struct ing_progress *progress)
{
    return progress && atomic_load_explicit(&progress->cancel, memory_order_relaxed);
}
/* "replaying the log: shard 1 of 2, 12345 of 67890 bytes". */
void ing_progress_print(const struct ing_progress *progress, struct nx_buf *out);

#endif
