#include "ingester/progress.h"

void ing_progress_init(struct ing_progress *progress)
{
    atomic_init(&progress->phase, ING_PHASE_WAITING);
    atomic_init(&progress->shards, 0);
    atomic_init(&progress->shards_done, 0);
    atomic_init(&progress->read_bytes, 0);
    atomic_init(&progress->total_bytes, 0);
    atomic_init(&progress->cancel, false);
}

void ing_progress_begin(struct ing_progress *progress, enum ing_phase phase, unsigned shards)
{
    atomic_store(&progress->shards_done, 0);
    atomic_store(&progress->shards, shards);
    atomic_store(&progress->phase, phase);
}

void ing_progress_print(const struct ing_progress *progress, struct nx_buf *out)
{
    unsigned shards = atomic_load(&progress->shards);
    unsigned done = atomic_load(&progress->shards_done);
    switch ((enum ing_phase)atomic_load(&progress->phase)) {
    case ING_PHASE_WAITING:
        nx_buf_append_str(out, "starting");
        break;
    case ING_PHASE_BLOCKS:
        nx_buf_append_str(out, "opening the blocks");
        break;
    case ING_PHASE_LOG:
        nx_buf_printf(out, "replaying the log: %u of %u shards done, %llu of %llu bytes read", done,
                      shards, atomic_load(&progress->read_bytes),
                      atomic_load(&progress->total_bytes));
        break;
    case ING_PHASE_DUMP:
        nx_buf_printf(out, "writing the log anew: %u of %u shards done", done, shards);
        break;
    case ING_PHASE_SERVING:
        nx_buf_append_str(out, "serving");
        break;
    }
}
