/* The ingester's own metrics. */
#ifndef ING_METRICS_H
#define ING_METRICS_H

#include "common/telemetry/telemetry.h"

enum ing_metric {
    ING_M_SERIES,
    ING_M_SERIES_CREATED,
    ING_M_SERIES_REMOVED,
    ING_M_FLUSHED_CHUNK_BYTES,
    ING_M_SAMPLES,
    ING_M_REFUSED,
    ING_M_EXEMPLARS,
    ING_M_PUSHES,
    ING_M_PUSH_ERRORS,
    ING_M_PUSH_UNKNOWN,
    ING_M_WAL_BYTES,
    ING_M_WAL_RECORD_GROUPS,
    ING_M_WAL_SYNC_SECONDS,
    ING_M_WAL_GROUP_BYTES,
    ING_M_WAL_FAILURES,
    ING_M_WAL_FAILED,
    ING_M_WAL_DAMAGED_BYTES,
    ING_M_WAL_DAMAGED_SPOTS,
    ING_M_WAL_REPLAY_SECONDS,
    ING_M_WAL_REPLAY_SAMPLES,
    ING_M_WAL_LOST_SAMPLES,
    ING_M_FLUSHES,
    ING_M_FLUSH_FAILURES,
    ING_M_FLUSH_SECONDS,
    ING_M_BLOCKS,
    ING_M_BLOCK_BYTES,
    ING_M_BLOCKS_WRITTEN,
    ING_M_BLOCKS_DELETED,
    ING_M_BLOCKS_DAMAGED,
    ING_M_SELECTS,
    ING_M_SELECT_ERRORS,
    ING_M_SELECT_SECONDS,
    ING_METRICS,
};

enum ing_sample_kind { ING_KIND_FLOAT, ING_KIND_HISTOGRAM, ING_KIND_DUPLICATE };
enum ing_refusal {
    ING_REFUSED_CONFLICT,
    ING_REFUSED_TOO_OLD,
    ING_REFUSED_OUT_OF_BOUNDS,
    ING_REFUSED_LIMIT,
    ING_REFUSED_INVALID,
    ING_REFUSED_OTHER,
};
/* The refusal slot of a code. */
enum ing_refusal ing_refusal_of(enum nx_err err);

extern const struct nx_metric_desc ing_metric_table[];

#endif
