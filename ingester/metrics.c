/* One table; the names follow Prometheus's conventions. */
#include "ingester/metrics.h"

static const char *const kinds[] = {"float", "histogram", "duplicate", NULL};
static const char *const reasons[] = {"conflict", "too_old", "out_of_bounds", "limit", "invalid",
                                      "other",    NULL};

static const char *const block_ends[] = {"age", "size", "damaged", NULL};

static const double group_buckets[] = {256,    1024,    4096,    16384,   65536,
                                       262144, 1048576, 4194304, 16777216};
static const double sync_buckets[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                      0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5};
static const double long_buckets[] = {0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};

const struct nx_metric_desc ing_metric_table[] = {
    [ING_M_SERIES] = {.kind = NX_GAUGE,
                      .name = "narthex_ingester_series",
                      .help = "Series in memory."},
    [ING_M_SERIES_CREATED] = {.kind = NX_COUNTER,
                              .name = "narthex_ingester_series_created_total",
                              .help = "Series that entered memory."},
    [ING_M_SERIES_REMOVED] =
        {.kind = NX_COUNTER,
         .name = "narthex_ingester_series_removed_total",
         .help = "Series that left memory because all their samples are in blocks."},
    [ING_M_CHUNK_FILE_BYTES] = {.kind = NX_COUNTER,
                                .name = "narthex_ingester_chunk_file_written_bytes_total",
                                .help = "Bytes of sealed chunks written to chunk files."},
    [ING_M_CHUNK_WRITE_FAILURES] =
        {.kind = NX_COUNTER,
         .name = "narthex_ingester_chunk_file_write_failures_total",
         .help = "Writes to chunk files that failed; the chunks stay in memory and the write is "
                 "tried again."},
    [ING_M_FLUSHED_CHUNK_BYTES] = {.kind = NX_COUNTER,
                                   .name = "narthex_ingester_flushed_chunk_bytes_total",
                                   .help = "Encoded bytes of the chunks that went to blocks."},
    [ING_M_SAMPLES] = {.kind = NX_COUNTER,
                       .name = "narthex_ingester_samples_total",
                       .help = "Samples accepted, by kind; duplicates were there already.",
                       .label = "kind",
                       .values = kinds},
    [ING_M_REFUSED] = {.kind = NX_COUNTER,
                       .name = "narthex_ingester_samples_refused_total",
                       .help = "Samples refused, by reason.",
                       .label = "reason",
                       .values = reasons},
    [ING_M_EXEMPLARS] = {.kind = NX_COUNTER,
                         .name = "narthex_ingester_exemplars_total",
                         .help = "Exemplars stored."},
    [ING_M_PUSHES] = {.kind = NX_COUNTER,
                      .name = "narthex_ingester_pushes_total",
                      .help = "Push requests received."},
    [ING_M_PUSH_ERRORS] = {.kind = NX_COUNTER,
                           .name = "narthex_ingester_push_errors_total",
                           .help = "Push requests answered with an error."},
    [ING_M_PUSH_UNKNOWN] = {.kind = NX_COUNTER,
                            .name = "narthex_ingester_push_unknown_series_total",
                            .help =
                                "Rows answered with unknown series: to be sent again with labels."},
    [ING_M_WAL_BYTES] = {.kind = NX_COUNTER,
                         .name = "narthex_wal_written_bytes_total",
                         .help = "Bytes written to the log and synced."},
    [ING_M_WAL_RECORD_GROUPS] = {.kind = NX_COUNTER,
                                 .name = "narthex_wal_groups_total",
                                 .help = "Groups of records written and synced together."},
    [ING_M_WAL_SYNC_SECONDS] = {.kind = NX_HISTOGRAM,
                                .name = "narthex_wal_commit_seconds",
                                .help = "Time to write and sync one group.",
                                .buckets = sync_buckets,
                                .bucket_count = sizeof sync_buckets / sizeof sync_buckets[0]},
    [ING_M_WAL_GROUP_BYTES] = {.kind = NX_HISTOGRAM,
                               .name = "narthex_wal_group_bytes",
                               .help = "Size of the groups.",
                               .buckets = group_buckets,
                               .bucket_count = sizeof group_buckets / sizeof group_buckets[0]},
    [ING_M_WAL_FAILURES] =
        {.kind = NX_COUNTER,
         .name = "narthex_wal_failures_total",
         .help = "Groups that could not be written or synced; they are tried again."},
    [ING_M_WAL_FAILED] = {.kind = NX_GAUGE,
                          .name = "narthex_wal_failing_shards",
                          .help = "Shards that cannot write their log now and refuse pushes."},
    [ING_M_WAL_DAMAGED_BYTES] =
        {.kind = NX_COUNTER,
         .name = "narthex_wal_damaged_bytes_total",
         .help = "Bytes of the log skipped at start because they were damaged."},
    [ING_M_WAL_DAMAGED_SPOTS] = {.kind = NX_COUNTER,
                                 .name = "narthex_wal_damaged_spots_total",
                                 .help = "Damaged places found in the log at start."},
    [ING_M_WAL_REPLAY_SECONDS] = {.kind = NX_GAUGE,
                                  .name = "narthex_wal_replay_seconds",
                                  .help = "How long the replay of the log took at start."},
    [ING_M_WAL_REPLAY_SAMPLES] = {.kind = NX_GAUGE,
                                  .name = "narthex_wal_replay_samples",
                                  .help = "Samples that the replay brought back."},
    [ING_M_WAL_LOST_SAMPLES] =
        {.kind = NX_COUNTER,
         .name = "narthex_wal_lost_samples_total",
         .help = "Samples found in the log whose series record is damaged or missing."},
    [ING_M_FLUSHES] = {.kind = NX_COUNTER,
                       .name = "narthex_ingester_flushes_total",
                       .help = "Flushes of closed windows to blocks."},
    [ING_M_FLUSH_FAILURES] =
        {.kind = NX_COUNTER,
         .name = "narthex_ingester_flush_failures_total",
         .help = "Flushes that failed; the samples stay in memory and in the log."},
    [ING_M_FLUSH_SECONDS] = {.kind = NX_HISTOGRAM,
                             .name = "narthex_ingester_flush_seconds",
                             .help = "Duration of a flush.",
                             .buckets = long_buckets,
                             .bucket_count = sizeof long_buckets / sizeof long_buckets[0]},
    [ING_M_BLOCKS] = {.kind = NX_GAUGE,
                      .name = "narthex_ingester_blocks",
                      .help = "Blocks that are open."},
    [ING_M_BLOCK_BYTES] = {.kind = NX_GAUGE,
                           .name = "narthex_ingester_block_bytes",
                           .help = "Size of the open blocks."},
    [ING_M_BLOCKS_WRITTEN] = {.kind = NX_COUNTER,
                              .name = "narthex_ingester_blocks_written_total",
                              .help = "Blocks written."},
    [ING_M_BLOCKS_DELETED] = {.kind = NX_COUNTER,
                              .name = "narthex_ingester_blocks_deleted_total",
                              .help = "Blocks deleted by retention, by what they were beyond.",
                              .label = "reason",
                              .values = block_ends},
    [ING_M_BLOCKS_IMPORTED] = {.kind = NX_COUNTER,
                               .name = "narthex_ingester_blocks_imported_total",
                               .help = "Blocks taken over from narthex tool import."},
    [ING_M_BLOCKS_DAMAGED] = {.kind = NX_COUNTER,
                              .name = "narthex_ingester_blocks_damaged_total",
                              .help =
                                  "Blocks in which damage was found, at start or while reading."},
    [ING_M_COMPACTIONS] = {.kind = NX_COUNTER,
                           .name = "narthex_compactions_total",
                           .help = "Compactions carried out."},
    [ING_M_COMPACTION_FAILURES] = {.kind = NX_COUNTER,
                                   .name = "narthex_compaction_failures_total",
                                   .help =
                                       "Compactions that failed; their blocks stay as they are."},
    [ING_M_COMPACTION_SECONDS] = {.kind = NX_HISTOGRAM,
                                  .name = "narthex_compaction_seconds",
                                  .help = "Duration of a compaction, pauses for the rate included.",
                                  .buckets = long_buckets,
                                  .bucket_count = sizeof long_buckets / sizeof long_buckets[0]},
    [ING_M_COMPACTED_BLOCKS] = {.kind = NX_COUNTER,
                                .name = "narthex_compacted_blocks_total",
                                .help = "Blocks that were compacted into others."},
    [ING_M_COMPACTED_BYTES] = {.kind = NX_COUNTER,
                               .name = "narthex_compacted_bytes_total",
                               .help = "Size of the blocks that were compacted into others."},
    [ING_M_COMPACTED_SAMPLES] = {.kind = NX_COUNTER,
                                 .name = "narthex_compacted_samples_total",
                                 .help = "Samples in the blocks that compaction wrote."},
    [ING_M_TOMBSTONES] = {.kind = NX_GAUGE,
                          .name = "narthex_tombstones",
                          .help = "Deletions this node remembers."},
    [ING_M_TOMBSTONES_DAMAGED] =
        {.kind = NX_COUNTER,
         .name = "narthex_tombstones_damaged_total",
         .help = "Deletions that could not be read at start because their record is damaged."},
    [ING_M_DELETIONS] = {.kind = NX_COUNTER,
                         .name = "narthex_deletions_total",
                         .help = "Deletions carried out on this node."},
    [ING_M_DELETED_SAMPLES] = {.kind = NX_COUNTER,
                               .name = "narthex_deleted_head_samples_total",
                               .help = "Samples that deletions took out of memory."},
    [ING_M_SNAPSHOTS] = {.kind = NX_COUNTER,
                         .name = "narthex_snapshots_total",
                         .help = "Snapshots made of this node."},
    [ING_M_PRESSURE_FLUSHES] =
        {.kind = NX_COUNTER,
         .name = "narthex_ingester_pressure_flushes_total",
         .help = "Flushes of windows before their time, because memory was above its limit."},
    [ING_M_SELECTS] = {.kind = NX_COUNTER,
                       .name = "narthex_ingester_selects_total",
                       .help = "Select requests received."},
    [ING_M_SELECT_ERRORS] = {.kind = NX_COUNTER,
                             .name = "narthex_ingester_select_errors_total",
                             .help = "Select requests that ended in an error."},
    [ING_M_SELECT_SECONDS] = {.kind = NX_HISTOGRAM,
                              .name = "narthex_ingester_select_seconds",
                              .help = "Duration of a select, until its last frame was handed over.",
                              .buckets = long_buckets,
                              .bucket_count = sizeof long_buckets / sizeof long_buckets[0]},
};

enum ing_refusal ing_refusal_of(enum nx_err err)
{
    if (err == NX_ERR_CONFLICT)
        return ING_REFUSED_CONFLICT;
    if (err == NX_ERR_TOO_OLD || err == NX_ERR_OUT_OF_ORDER)
        return ING_REFUSED_TOO_OLD;
    if (err == NX_ERR_OUT_OF_BOUNDS)
        return ING_REFUSED_OUT_OF_BOUNDS;
    if (err == NX_ERR_RATE_LIMITED)
        return ING_REFUSED_LIMIT;
    return err == NX_ERR_INVALID ? ING_REFUSED_INVALID : ING_REFUSED_OTHER;
}
