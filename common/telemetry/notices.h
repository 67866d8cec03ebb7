/* What whoever operates the process should know now: of each kind whether it is so, and since when.
 * Watchers are woken by changes and told the latest state of each kind, so that one that is slow
 * misses what lies between, and nothing queues up. Any thread. */
#ifndef NX_TELEMETRY_NOTICES_H
#define NX_TELEMETRY_NOTICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/err.h"
#include "common/base/time.h"

/* X(name, text) */
#define NX_NOTICE_TABLE(X)                                    \
    X(STARTING, "Narthex is starting and replaying the log.") \
    X(RELOAD_FAILED, "Configuration reload has failed.")      \
    X(STOPPING, "Narthex is shutting down; no request is taken any more.")

enum nx_notice_kind {
#define X(name, text) NX_NOTICE_##name,
    NX_NOTICE_TABLE(X)
#undef X
        NX_NOTICE_KINDS
};

#define NX_NOTICE_WATCHES_MAX 16

struct nx_notices;

struct nx_notice {
    enum nx_notice_kind kind;
    const char *text;
    int64_t raised_ms;  /* 0: never */
    int64_t cleared_ms; /* 0: never */
    bool active;
};

struct nx_notice_watch {
    TAILQ_ENTRY(nx_notice_watch) link;
    /* With the list of watches locked, on the thread of the change: no more than a message to the
     * watcher's own. */
    void (*changed)(struct nx_notice_watch *watch);
    uint64_t told[NX_NOTICE_KINDS];
};

enum nx_err nx_notices_new(const struct nx_clock *clock, struct nx_notices **out) NX_WARN_UNUSED;
/* When nobody watches any more. */
void nx_notices_free(struct nx_notices *notices);

/* `notices` may be NULL: nothing happens (tests). Raising again renews the time. */
void nx_notices_raise(struct nx_notices *notices, enum nx_notice_kind kind);
void nx_notices_clear(struct nx_notices *notices, enum nx_notice_kind kind);
struct nx_notice nx_notices_get(struct nx_notices *notices, enum nx_notice_kind kind);

/* False where there are NX_NOTICE_WATCHES_MAX. What is active now is untold. */
bool nx_notices_watch(struct nx_notices *notices, struct nx_notice_watch *watch) NX_WARN_UNUSED;
/* `changed` is not called any more once this returns. */
void nx_notices_unwatch(struct nx_notices *notices, struct nx_notice_watch *watch);
/* One that changed since the watch was last told of it; false: none did. */
bool nx_notices_next(struct nx_notices *notices, struct nx_notice_watch *watch,
                     struct nx_notice *out) NX_WARN_UNUSED;

#endif
