/* The sections `storage`, `wal`, `ingester` and `repair`. */
#include <stddef.h>

#include "ingester/ingester.h"

#define FIELD(name) offsetof(struct ing_settings, name)
#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/* In the order of enum ing_log_sync. */
static const char *const wal_syncs[] = {"always", "interval", "off", NULL};

static const struct nx_setting table[] = {
    {.key = "storage.data-dir",
     .type = NX_SETTING_STRING,
     .default_text = "./data",
     .offset = FIELD(data_dir),
     .help = "Directory for the log and the blocks; one process at a time uses it."},
    {.key = "storage.retention",
     .type = NX_SETTING_DURATION,
     .default_text = "15d",
     .offset = FIELD(retention_ms),
     .min = HOUR_MS,
     .max = 36525 * DAY_MS,
     .reloadable = true,
     .help = "Blocks whose samples are all older than this, by the wall clock, are deleted."},
    {.key = "storage.retention-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "0",
     .offset = FIELD(retention_bytes),
     .min = 0,
     .max = INT64_MAX,
     .reloadable = true,
     .help = "Size of a tenant's blocks beyond which its oldest are deleted; 0: no limit."},
    {.key = "storage.compaction-rate",
     .type = NX_SETTING_BYTES,
     .default_text = "64MiB",
     .offset = FIELD(compaction_rate),
     .min = 0,
     .max = INT64_MAX,
     .reloadable = true,
     .help = "Bytes of samples that a compaction reads and writes in a second, and a flush writes; "
             "both take "
             "at most half a processor then. 0: no limit. Under memory pressure a flush takes its "
             "all."},
    {.key = "storage.max-memory",
     .type = NX_SETTING_BYTES,
     .default_text = "0",
     .offset = FIELD(max_memory),
     .min = 0,
     .max = INT64_MAX,
     .reloadable = true,
     .help = "Resident memory of the process above which the oldest windows go to blocks early; 0: "
             "three quarters of the memory of the machine or the control group."},
    {.key = "storage.block-window",
     .type = NX_SETTING_DURATION,
     .default_text = "2h",
     .offset = FIELD(window_ms),
     .min = MINUTE_MS,
     .max = DAY_MS,
     .help = "Time a block spans; samples stay in memory until their window has passed."},
    {.key = "storage.out-of-order-window",
     .type = NX_SETTING_DURATION,
     .default_text = "2h",
     .offset = FIELD(out_of_order_ms),
     .min = 0,
     .max = 31 * DAY_MS,
     .help = "How much older than the newest sample of its series a sample may be."},
    {.key = "storage.wal-segment-size",
     .type = NX_SETTING_BYTES,
     .default_text = "64MiB",
     .offset = FIELD(wal_segment_bytes),
     .min = 1 << 16,
     .max = INT64_C(1) << 30,
     .help = "Size at which the log goes on in a new file."},
    {.key = "wal.sync",
     .type = NX_SETTING_ENUM,
     .default_text = "always",
     .offset = FIELD(wal_sync),
     .choices = wal_syncs,
     .help =
         "When the log is synced to disk: before each answer, wal.sync-interval after it, or when "
         "the system does it. A process that dies loses nothing either way, a machine that does "
         "loses what was not synced."},
    {.key = "wal.sync-interval",
     .type = NX_SETTING_DURATION,
     .default_text = "1s",
     .offset = FIELD(wal_sync_interval_ms),
     .min = 1,
     .max = HOUR_MS,
     .help = "With wal.sync=interval: how long written records may wait for their sync."},
    {.key = "ingester.max-series",
     .type = NX_SETTING_INT,
     .default_text = "20000000",
     .offset = FIELD(max_series),
     .min = 1,
     .max = INT64_C(1) << 32,
     .reloadable = true,
     .help = "Series in memory of this process; samples of more series are refused with 429."},
    {.key = "ingester.max-exemplars",
     .type = NX_SETTING_INT,
     .default_text = "100000",
     .offset = FIELD(max_exemplars),
     .min = 0,
     .max = 100000000,
     .help = "Exemplars kept for each tenant; the oldest go first."},
    {.key = "ingester.max-inflight-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "256MiB",
     .offset = FIELD(max_inflight_bytes),
     .min = 1 << 20,
     .max = INT64_C(1) << 40,
     .help = "Bytes of pushes being worked on, and of log records not yet written; beyond, pushes "
             "get 503."},
    {.key = "ingester.select-max-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "1GiB",
     .offset = FIELD(select_max_bytes),
     .min = 1 << 20,
     .max = INT64_C(1) << 40,
     .reloadable = true,
     .help = "Memory that one select may use for the series it found."},
    {.key = "repair.interval",
     .type = NX_SETTING_DURATION,
     .default_text = "2m",
     .offset = FIELD(repair_interval_ms),
     .min = 1000,
     .max = DAY_MS,
     .reloadable = true,
     .help = "How often an ingester compares what it holds with the other owners, when nothing has "
             "happened that makes it do so at once."},
    {.key = "repair.bandwidth",
     .type = NX_SETTING_BYTES,
     .default_text = "32MiB",
     .offset = FIELD(repair_bandwidth),
     .min = 0,
     .max = INT64_MAX,
     .reloadable = true,
     .help = "Bytes a second that an ingester pulls from others to repair what it holds; 0: no "
             "limit."},
};

struct nx_setting_group ing_setting_group(struct ing_settings *settings)
{
    return (struct nx_setting_group){
        .settings = table, .count = sizeof table / sizeof table[0], .target = settings};
}
