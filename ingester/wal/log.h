/* The log of one shard: group commit. The shard encodes records into the pending group; while the
 * log's lane writes and syncs one group, the next one gathers. Whoever waits for a position is
 * called when all that was appended up to there is committed, or when it could not be: the bytes
 * are kept then and tried again every second, and ing_log_failure tells the shard to take nothing
 * new until they are.
 *
 * Committed means written and synced, or, by choice, written only: then the system holds it, and
 * what it has not written when the power fails is lost, though not when only the process dies.
 *
 * On the shard's worker (or before any worker runs, for open and free). */
#ifndef ING_WAL_LOG_H
#define ING_WAL_LOG_H

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/time.h"
#include "common/net/lane.h"
#include "common/telemetry/telemetry.h"
#include "ingester/wal/segment.h"

struct ing_log;

enum ing_log_sync {
    ING_LOG_SYNC_ALWAYS,   /* each group before it counts */
    ING_LOG_SYNC_INTERVAL, /* at most so long after */
    ING_LOG_SYNC_OFF,      /* when the system likes; the last file when the log is closed */
};

struct ing_log_options {
    const struct nx_fs *fs;
    const struct nx_clock *clock;
    const char *dir; /* copied */
    uint64_t generation;
    uint64_t segment; /* the first to be written */
    uint64_t nonce;
    uint64_t segment_bytes; /* a new segment beyond */
    size_t max_pending_bytes;
    enum ing_log_sync sync;
    uint64_t sync_interval_ms;
    uint32_t shard;
    struct nx_worker *worker;
    struct nx_log *log;
    struct nx_metrics *metrics;
};

struct ing_log_waiter {
    struct ing_log_waiter *next;
    uint64_t position;
    void (*done)(struct ing_log_waiter *waiter, enum nx_err err);
};

/* Starts the lane; writes nothing yet. */
enum nx_err ing_log_open(const struct ing_log_options *options,
                         struct ing_log **out) NX_WARN_UNUSED;
/* NX_OK, or why nothing can be logged now: appends must not be made then. */
enum nx_err ing_log_failure(const struct ing_log *log) NX_WARN_UNUSED;
uint64_t ing_log_nonce(const struct ing_log *log);

/* The pending group with room for `bytes` more: appends up to that many cannot fail.
 * NX_ERR_OVERLOADED when too much is pending. */
enum nx_err ing_log_reserve(struct ing_log *log, size_t bytes, struct nx_buf **out) NX_WARN_UNUSED;
/* Records have been appended to the buffer: they are to be written. */
void ing_log_appended(struct ing_log *log);
/* The segment that the pending group goes to. */
uint64_t ing_log_segment(const struct ing_log *log);
/* Everything appended from now on goes to later segments than everything before: returns the first
 * of them. */
uint64_t ing_log_cut(struct ing_log *log);

/* Calls waiter->done once all that is appended now is committed (at once where it is already), or
 * failed. */
void ing_log_wait(struct ing_log *log, struct ing_log_waiter *waiter);

/* Writes and syncs what is pending (one last try when the log has failed), closes its handles and
 * ends the lane; then `closed`. Nothing may be appended any more. */
void ing_log_close(struct ing_log *log, void (*closed)(void *user), void *user);
/* After close, or when no worker ever ran. */
void ing_log_free(struct ing_log *log);

#endif
