/* What the files of the ring share. All state that changes stands under `lock`: ring.c publishes it
 * as views, heartbeat.c feeds it from the ring's worker. */
#ifndef NX_RING_RING_INTERNAL_H
#define NX_RING_RING_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/base/refcount.h"
#include "common/ring/health.h"
#include "common/ring/ring.h"
#include "common/ring/roster.h"

#define NX_RING_PROBLEM_BYTES 256

enum nx_ring_metric {
    NX_RING_MEMBERS,
    NX_RING_MEMBERS_BY_HEALTH,
    NX_RING_HEARTBEATS,
    NX_RING_HEARTBEAT_SECONDS,
    NX_RING_VIEW_VERSION,
};

/* What is known of a member; a row each, as in the roster. */
struct nx_ring_row {
    uint64_t id; /* of this row, for a probe that returns after the list was replaced */
    struct nx_health health;
    enum nx_member_state state;
    uint64_t incarnation;
    int64_t last_seen_ms;
    int64_t shown_seen_ms; /* as last published */
    enum nx_err last_err;
    char problem[NX_RING_PROBLEM_BYTES];
    bool probing;
};

struct nx_ring_view_private {
    struct nx_refcount refs;
    struct nx_roster *roster;
    char *problems;
};

struct nx_ring {
    const struct nx_clock *clock;
    struct nx_log *log;
    struct nx_metrics *metrics;
    char *cluster;
    char *self_name;
    bool is_member;
    uint64_t incarnation;
    uint32_t partitions;
    uint32_t rf;
    struct nx_health_limits limits;
    uint64_t probe_timeout_ms;
    atomic_int self_state;

    pthread_mutex_t lock;
    struct nx_roster *roster;
    struct nx_ring_row *rows;
    uint64_t next_id;
    struct nx_ring_view *view;
    uint64_t version;
    bool dirty; /* changed since the view was published */
    bool wake_sent;
    bool stopping;

    /* On the client's worker only. */
    struct nx_rpc_client *client;
    struct nx_worker *worker;
    uv_timer_t timer;
    struct nx_task wake;
    bool timer_closed;
    size_t probes_out;
    TAILQ_HEAD(, nx_ring_probe) probes;
    void (*closed)(void *user);
    void *closed_user;
};

/* --- ring.c --- */
/* With the lock held: makes a new view if anything changed. */
void nx_ring_publish(struct nx_ring *ring);
/* Rows begin anew at `now_ns`. In a large ring the first probes are spread over an interval. */
void nx_ring_begin_row(const struct nx_ring *ring, struct nx_ring_row *row, size_t i, size_t count,
                       uint64_t now_ns);
/* With the lock held: whether row `i` is this process itself. */
bool nx_ring_is_self(const struct nx_ring *ring, size_t i);

/* --- heartbeat.c --- */
enum nx_err nx_ring_serve(struct nx_ring *ring, struct nx_rpc_server *server) NX_WARN_UNUSED;
/* With the lock held: has the ring's worker look at what is due. */
void nx_ring_wake(struct nx_ring *ring);

#endif
