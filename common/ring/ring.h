/* The ring: the ingesters of a cluster, which partitions they own, and who of them answers.
 *
 * A view is immutable and shared: take the current one at the start of a request, keep it to its
 * end, release it. The ring's worker probes every member with heartbeats over RPC and publishes a
 * new view when anything changes. Health does not move partitions: owners follow from the member
 * list and the members' states alone.
 *
 * Three sets of members of a partition (placement.h):
 *   owners       are read. Not members that are JOINING or LEFT.
 *   next owners  are read when all that is under way is done. Not those LEAVING or READONLY.
 *   writers      take its writes: whoever may be an owner while joiners turn ACTIVE and leavers
 *                LEFT one by one, in any order. A write counts as stored when every mixture of
 *                them on the way has a majority of it (nx_ring_is_stored), so a reader may know
 *                more or less of the change than the writer and still meets every such write.
 * While nothing is under way the three are the same. */
#ifndef NX_RING_RING_H
#define NX_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/log.h"
#include "common/base/time.h"
#include "common/net/rpc.h"
#include "common/ring/etcd_access.h"
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
    uint64_t zone_id;    /* equal for members that share a zone; one without is a zone itself */
    double weight;
    enum nx_member_state state;
    bool healthy;         /* serves, and answered a heartbeat within the time-out */
    bool in_motion;       /* JOINING, LEAVING, READONLY, just turned ACTIVE, or never heard */
    uint64_t incarnation; /* from its heartbeat; 0 = never heard */
    int64_t last_seen_ms; /* wall clock; 0 = never */
    int64_t skew_ms;      /* its clock less ours, when last heard */
    const char *problem;  /* why it is not healthy, or what is not as it should be; "" */
    const struct nx_whole *whole; /* the partitions it has all data of; see nx_ring_is_whole */
};

/* A set of partitions; immutable. */
struct nx_whole;

struct nx_ring_view {
    const char *cluster;
    uint32_t partitions;
    uint32_t rf;
    uint64_t version; /* grows with each published view */
    struct nx_member *members;
    size_t member_count;
    const uint16_t *owners;       /* partitions x rf, see placement.h */
    const uint16_t *next_owners;  /* likewise; is `owners` where nothing is under way */
    const uint16_t *writers;      /* NULL where nothing is under way: the owners */
    const uint32_t *writer_begin; /* partitions + 1 positions in `writers` */
    struct nx_ring_view_private *private_;
};

static inline const uint16_t *nx_ring_owners(const struct nx_ring_view *view, uint32_t partition)
{
    return view->owners + (size_t)partition * view->rf;
}
static inline const uint16_t *nx_ring_next_owners(const struct nx_ring_view *view,
                                                  uint32_t partition)
{
    return view->next_owners + (size_t)partition * view->rf;
}
/* The members that take the partition's writes, in descending score; at most 64. READONLY ones are
 * among them, though nothing is to be sent to them. */
const uint16_t *nx_ring_writers(const struct nx_ring_view *view, uint32_t partition, size_t *count);
/* Whether a write is safe once the writers with a bit in `stored` (by position in the above) have
 * it: so many copies as a majority of RF is, and of every set of owners the partition may have
 * while members come and go, so many that any R of them meet it. Never false again with more bits.
 */
bool nx_ring_is_stored(const struct nx_ring_view *view, uint32_t partition, uint64_t stored);
/* Whether members are coming or going. */
static inline bool nx_ring_in_motion(const struct nx_ring_view *view)
{
    return view->writers != NULL;
}
/* Whether the member, by its own word, has all data of the partition (up to what is on its way to
 * it). False for one that was never heard. */
bool nx_ring_is_whole(const struct nx_ring_view *view, size_t member, uint32_t partition);
/* How far the departure of a member is: partitions it owns, and those of them whose next owners are
 * all there, healthy and whole. */
void nx_ring_departure(const struct nx_ring_view *view, size_t member, uint32_t *owned,
                       uint32_t *moved);
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
    bool is_distributor; /* it pushes; is counted among the distributors */
    uint64_t incarnation;
    bool fresh;            /* the data directory is new: begins JOINING, else in the state it had */
    bool is_only;          /* nobody could refill it: begins ACTIVE where there is no such state */
    const char *state_dir; /* where the state outlives the process; NULL: begins JOINING */
    const char *zone;      /* "" where none is set */
    double weight;         /* for dns and etcd; static has it in its list */
};

struct nx_fs;

struct nx_ring_options {
    const char *backend;      /* "static", "dns", "etcd" */
    const char *members;      /* static: "name@host:port[/zone][*weight],..." */
    const char *dns;          /* dns: "host:port[/zone]" or "_service._proto.name[/zone]",... */
    const char *dns_server;   /* "IPv4[:port]"; NULL or "": of resolv.conf */
    uint64_t dns_interval_ms; /* between two looks */
    struct nx_etcd_access etcd;
    uint64_t forget_after_ms; /* silent that long, a member's copies are made elsewhere; 0: never */
    const char *cluster;      /* name; a peer with another one is refused */
    uint32_t partitions;
    uint32_t rf;
    uint64_t heartbeat_interval_ms; /* 1000 */
    uint64_t heartbeat_timeout_ms;  /* 5000: silent that long = unhealthy */
    uint64_t max_skew_ms;           /* a peer whose clock differs by more is refused; 0: none is */
    const char *address;            /* under which this process believes to be known; may be "" */
    const struct nx_fs *fs;         /* for self.state_dir */
    struct nx_ring_self self;
};

struct nx_ring;

/* `options`, and what it points to, must live as long as the ring where the backend is not static.
 * Such a backend is asked at once, for up to 15 seconds.
 *
 * Parses the members, publishes the first view (nobody heard yet counts as healthy until the first
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

/* --- what an ingester says of itself. Any thread. -------------------------------------------- */

/* Kept over restarts where there is a state directory. An ingester on a fresh directory begins
 * JOINING, and turns ACTIVE when it is whole, or finds that there is nothing to be had. */
void nx_ring_set_self_state(struct nx_ring *ring, enum nx_member_state state);
enum nx_member_state nx_ring_self_state(struct nx_ring *ring);
/* What an operator asks for: LEAVING (turns LEFT by itself when all its partitions have moved; a
 * member that is JOINING has nothing to move and is LEFT at once), READONLY, or ACTIVE again from
 * either. NX_ERR_FORBIDDEN, with the reason, where the cluster would not have enough members for
 * its copies, or for a majority that takes writes, or where the state does not allow it. */
enum nx_err nx_ring_ask_self_state(struct nx_ring *ring, enum nx_member_state state,
                                   struct nx_fail *fail) NX_WARN_UNUSED;
/* Whether it serves at all: not while it replays, and no longer once it drains for a restart.
 * Begins false. Others see one that does not serve as unhealthy; its state stays. */
void nx_ring_set_self_serving(struct nx_ring *ring, bool serving);
/* The partitions it has all data of; begins with none on a fresh directory, else with all.
 * NX_ERR_NOMEM: nothing changed. */
enum nx_err nx_ring_set_whole(struct nx_ring *ring, uint32_t partition, bool whole) NX_WARN_UNUSED;

/* How many distributors there are, as far as the ingesters that answer know; at least 1. Any
 * thread.
 */
uint32_t nx_ring_distributors(struct nx_ring *ring);
/* Whether as many distributors ask this process for heartbeats as any ingester that answers is
 * asked by: otherwise one may not have it in its list yet, and sends its writes as if it were not
 * there. Any thread. */
bool nx_ring_hears_distributors(struct nx_ring *ring);

/* Any thread. */
struct nx_ring_view *nx_ring_acquire(struct nx_ring *ring);
void nx_ring_release(struct nx_ring_view *view);
/* How long ago the member gave a sign of life; 0 for one that is not in the list. Any thread. */
int64_t nx_ring_silent_ms(struct nx_ring *ring, const char *member_name);
/* Takes a member that is LEFT or silent off the list for good. Blocks; any thread that may. */
enum nx_err nx_ring_forget(struct nx_ring *ring, const char *member_name,
                           struct nx_fail *fail) NX_WARN_UNUSED;
/* A failed or answered call tells the ring what it learnt, ahead of the next heartbeat. Any thread.
 */
void nx_ring_report(struct nx_ring *ring, const char *member_name, enum nx_err outcome);

/* JSON of the view for /api/v1/cluster (members, states, owned partitions, quorum). */
void nx_ring_view_print_json(const struct nx_ring_view *view, struct nx_buf *out);

#endif
