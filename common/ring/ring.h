/* The ring: the ingesters of a cluster, which partitions they own, and who of them answers.
 *
 * A view is immutable and shared: take the current one at the start of a request, keep it to its
 * end, release it. The ring's worker probes every member with heartbeats over RPC and publishes a
 * new view when anything changes. Health does not move partitions: owners follow from the member
 * list alone. */
#ifndef NX_RING_RING_H
#define NX_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/log.h"
#include "common/base/time.h"
#include "common/net/rpc.h"
#include "common/telemetry/telemetry.h"

enum nx_member_state {
    NX_MEMBER_JOINING,
    NX_MEMBER_ACTIVE,
    NX_MEMBER_LEAVING,
    NX_MEMBER_LEFT,
    NX_MEMBER_READONLY,
};
const char *nx_member_state_text(enum nx_member_state state);

struct nx_member {
    const char *name;
    const char *address; /* "host:port" */
    const char *zone;    /* "" where none is set */
    double weight;
    enum nx_member_state state;
    bool healthy;         /* answered a heartbeat within the time-out */
    uint64_t incarnation; /* from its heartbeat; 0 = never heard */
    int64_t last_seen_ms; /* wall clock; 0 = never */
    const char *problem;  /* why it is not healthy: last error; "" */
};

struct nx_ring_view {
    const char *cluster;
    uint32_t partitions;
    uint32_t rf;
    uint64_t version; /* grows with each published view */
    struct nx_member *members;
    size_t member_count;
    uint16_t *owners; /* partitions x rf, see placement.h */
    struct nx_ring_view_private *private_;
};

static inline const uint16_t *nx_ring_owners(const struct nx_ring_view *view, uint32_t partition)
{
    return view->owners + (size_t)partition * view->rf;
}
/* Acknowledgements a write needs (majority), and answers a read needs: R = RF - W + 1. */
static inline uint32_t nx_ring_write_quorum(const struct nx_ring_view *view)
{
    return view->rf / 2 + 1;
}
static inline uint32_t nx_ring_read_quorum(const struct nx_ring_view *view)
{
    return view->rf - nx_ring_write_quorum(view) + 1;
}

/* What this process says of itself when another one probes it; ingesters set `is_member`. */
struct nx_ring_self {
    const char *name;
    bool is_member;
    uint64_t incarnation;
};

struct nx_ring_options {
    const char *backend; /* "static" */
    const char *members; /* "name@host:port[/zone],..." */
    const char *cluster; /* name; a peer with another one is refused */
    uint32_t partitions;
    uint32_t rf;
    uint64_t heartbeat_interval_ms; /* 1000 */
    uint64_t heartbeat_timeout_ms;  /* 5000: silent that long = unhealthy */
    struct nx_ring_self self;
};

struct nx_ring;

/* Parses the members, publishes the first view (nobody heard yet counts as healthy until the first
 * time-out has passed, so that a start does not refuse writes) and serves the heartbeat RPC.
 * NX_ERR_CONFIG with the entry at fault. Before the workers start; probing begins on `worker` with
 * nx_ring_start. */
enum nx_err nx_ring_new(const struct nx_ring_options *options, const struct nx_clock *clock,
                        struct nx_rpc_server *server, struct nx_log *log,
                        struct nx_telemetry *telemetry, struct nx_ring **out,
                        struct nx_fail *fail) NX_WARN_UNUSED;
/* On the client's worker. */
enum nx_err nx_ring_start(struct nx_ring *ring, struct nx_rpc_client *client) NX_WARN_UNUSED;
/* On the same worker; `closed` once its timers are closed. */
void nx_ring_stop(struct nx_ring *ring, void (*closed)(void *user), void *user);
void nx_ring_free(struct nx_ring *ring);
/* Replaces the member list (SIGHUP); any thread. */
enum nx_err nx_ring_set_members(struct nx_ring *ring, const char *members,
                                struct nx_fail *fail) NX_WARN_UNUSED;
/* This process's state as its heartbeats report it (JOINING while it replays). Any thread. */
void nx_ring_set_self_state(struct nx_ring *ring, enum nx_member_state state);

/* Any thread. */
struct nx_ring_view *nx_ring_acquire(struct nx_ring *ring);
void nx_ring_release(struct nx_ring_view *view);
/* A failed or answered call tells the ring what it learnt, ahead of the next heartbeat. Any thread.
 */
void nx_ring_report(struct nx_ring *ring, const char *member_name, enum nx_err outcome);

/* JSON of the view for /api/v1/cluster (members, states, owned partitions, quorum). */
void nx_ring_view_print_json(const struct nx_ring_view *view, struct nx_buf *out);

#endif
