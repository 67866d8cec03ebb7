/* The ingester: holds the recent samples of its partitions in memory, logs them before it
 * acknowledges, writes closed windows to blocks, and answers selects over both. */
#ifndef ING_INGESTER_H
#define ING_INGESTER_H

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/config/config.h"
#include "common/config/overrides.h"
#include "common/ring/ring.h"

struct ingester;

/* Settings of the sections `storage`, `wal`, `ingester` and `repair`. */
struct ing_settings {
    const char *data_dir;
    int64_t retention_ms;
    int64_t retention_bytes; /* a tenant; 0: no limit */
    int64_t compaction_rate; /* bytes a second; 0: no limit */
    int64_t max_memory;      /* of the process; 0: three quarters of what there is */
    int64_t window_ms;       /* span of a block, 2 h */
    int64_t out_of_order_ms; /* how far behind a series' newest sample one is taken, 2 h */
    int64_t max_series;      /* of the process; beyond: refused with ERR_LIMIT -> 429 */
    int64_t max_exemplars;   /* a tenant */
    int64_t wal_segment_bytes;
    int wal_sync; /* enum ing_log_sync */
    int64_t wal_sync_interval_ms;
    int64_t max_inflight_bytes;
    int64_t select_max_bytes;
    /* Of one write to a chunk file, and of a file; 0: as docs/formats/head-chunks.md says. No
     * setting of the program: tests make them small. */
    size_t chunk_buffer_bytes;
    uint64_t chunk_file_bytes;
    int64_t repair_interval_ms;
    int64_t repair_bandwidth; /* bytes a second; 0: no limit */
};
struct nx_setting_group ing_setting_group(struct ing_settings *settings);

struct ing_deps {
    const struct ing_settings *settings;
    const struct nx_limit_settings *limits; /* may be NULL: none */
    struct nx_overrides *overrides;         /* may be NULL */
    const char *node_name;
    uint32_t partitions;
    struct nx_workers *workers;
    struct nx_http_server *http;
    struct nx_rpc_server *rpc;
    const struct nx_fs *fs;
    const struct nx_clock *clock;
    struct nx_log *log;
    struct nx_telemetry *telemetry;
};

/* Locks the data directory, reads its identity and registers the RPC methods, which answer
 * NX_ERR_UNAVAILABLE until ing_recover has ended. Before the workers start. */
enum nx_err ing_new(const struct ing_deps *deps, struct ingester **out,
                    struct nx_fail *fail) NX_WARN_UNUSED;
/* Opens the blocks and replays the log, with a thread for each worker's shard; blocking, progress
 * is logged. Once, on a thread that is no worker's, before the workers start or while they run.
 * NX_ERR_CLOSED where ing_stop came first. */
enum nx_err ing_recover(struct ingester *ing, struct nx_fail *fail) NX_WARN_UNUSED;
/* Appends what ing_recover is doing, or "serving". Any thread. */
void ing_print_progress(const struct ingester *ing, struct nx_buf *out);
/* Whose partitions are whose, by which limits of the cluster are divided; before the workers start.
 * Without, there are none. */
void ing_set_ring(struct ingester *ing, struct nx_ring *ring);
/* After ing_recover: starts maintenance (flush, retention); on worker 0 or before the workers run.
 */
enum nx_err ing_start(struct ingester *ing) NX_WARN_UNUSED;
/* After ing_start, on worker 0, whose client it is: compares with the other owners from now on, and
 * tells the ring what this node holds. Both outlive ing_stop. */
enum nx_err ing_join(struct ingester *ing, struct nx_ring *ring,
                     struct nx_rpc_client *client) NX_WARN_UNUSED;
/* Identifies this life of the data directory: stays over restarts, changes when the disk was wiped.
 */
uint64_t ing_incarnation(const struct ingester *ing);
/* Whether this life began with this process. */
bool ing_is_fresh(const struct ingester *ing);
/* Settings marked reloadable have changed. Any thread. */
void ing_reload(struct ingester *ing);
/* After the HTTP server has stopped, on worker 0: calls ing_recover off where it runs, waits for
 * running jobs, syncs the log, closes its handles; then `done`, on worker 0. */
void ing_stop(struct ingester *ing, void (*done)(void *user), void *user);
/* After the workers have stopped. */
void ing_free(struct ingester *ing);

#endif
