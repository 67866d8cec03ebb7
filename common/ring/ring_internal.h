/* What the files of the ring share. All state that changes stands under `lock`: ring.c keeps the
 * list of members, ring_view.c publishes all as views, heartbeat.c feeds it from the ring's worker,
 * ring_self.c has this process's own part, and conflict.c notices two of one name. */
#ifndef NX_RING_RING_INTERNAL_H
#define NX_RING_RING_INTERNAL_H

#include <protobuf-c/protobuf-c.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/base/file.h"
#include "common/base/refcount.h"
#include "common/net/lane.h"
#include "common/ring/backend.h"
#include "common/ring/health.h"
#include "common/ring/pushers.h"
#include "common/ring/ring.h"
#include "common/ring/roster.h"
#include "common/ring/whole.h"

#define NX_RING_PROBLEM_BYTES 256

enum nx_ring_metric {
    NX_RING_MEMBERS,
    NX_RING_MEMBERS_BY_HEALTH,
    NX_RING_HEARTBEATS,
    NX_RING_HEARTBEAT_SECONDS,
    NX_RING_VIEW_VERSION,
    NX_RING_PLACEMENT_SECONDS,
    NX_RING_PLACEMENT_BYTES,
    NX_RING_METRICS,
};

/* What is known of a member; a row each, as in the roster. */
struct nx_ring_row {
    uint64_t id; /* of this row, for a probe that returns after the list was replaced */
    struct nx_health health;
    enum nx_member_state state;
    uint64_t settles_ns; /* ACTIVE since so little that others may not know; 0: long ago */
    bool born;           /* it became so with the cluster: nobody knows it otherwise */
    uint64_t incarnation;
    struct nx_whole *whole; /* never NULL */
    uint64_t whole_version;
    int64_t skew_ms;
    bool wrong_zone;       /* it names another one than the list */
    uint64_t rival;        /* another incarnation that goes by its name; 0: none */
    bool rival_sure;       /* the member has answered since the rival was heard */
    uint64_t rival_ns;     /* when it was heard last */
    uint32_t distributors; /* as it last answered */
    int64_t last_seen_ms;
    int64_t shown_seen_ms; /* as last published */
    enum nx_err last_err;
    char problem[NX_RING_PROBLEM_BYTES];
    bool probing;
};

/* A placement, shared by the views made with it, and the kinds it was made for. */
struct nx_ring_layout {
    struct nx_refcount refs;
    struct nx_roster *roster;
    enum nx_placement_kind *kinds;
    struct nx_placement *placement;
};

struct nx_ring_view_private {
    struct nx_refcount refs;
    struct nx_roster *roster;
    struct nx_ring_layout *layout;
    char *problems;
};

/* What an ingester says of itself. */
struct nx_ring_self_part {
    enum nx_member_state state;
    int64_t since_ms; /* wall clock */
    bool serving;
    struct nx_whole *whole; /* never NULL where the process is a member */
    uint64_t whole_version;
    /* The state on disk. */
    char *dir; /* NULL: not kept */
    enum nx_member_state saved;
    bool saving;
};

struct nx_ring {
    const struct nx_clock *clock;
    struct nx_log *log;
    struct nx_metrics *metrics;
    char *cluster;
    char *self_name;
    char *address;
    bool is_member;
    uint64_t distributor_id; /* random; 0: does not push */
    uint64_t incarnation;
    uint32_t partitions;
    uint32_t rf;
    struct nx_health_limits limits;
    uint64_t probe_timeout_ms;
    uint64_t max_skew_ms; /* 0: no limit */
    const struct nx_fs *fs;
    char *zone;                 /* as this process is told it is in */
    struct nx_backend *backend; /* NULL: static */
    uint64_t forget_after_ns;   /* 0: never */
    struct nx_lane *lane;       /* writes the state, and forgets members */
    struct nx_job forget_job;
    char forget_name[256]; /* of the member being forgotten; "" */
    uint64_t forget_next_ns;
    struct nx_job save;
    enum nx_member_state save_state;
    int64_t save_since_ms;
    enum nx_err save_err;

    pthread_mutex_t lock;
    struct nx_roster *roster;
    struct nx_ring_row *rows;
    struct nx_ring_pushers pushers;
    struct nx_whole *nothing; /* the whole of a member that was never heard */
    struct nx_ring_self_part self;
    uint64_t next_id;
    struct nx_ring_layout *layout;
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
    uint64_t due_ns; /* when the timer is to fire; 0: it does not run */
    bool timer_closed;
    size_t probes_out;
    TAILQ_HEAD(, nx_ring_probe) probes;
    void (*closed)(void *user);
    void *closed_user;
};

/* For how long after a member turned ACTIVE others may not know, in heartbeat time-outs. */
#define NX_RING_GRACE_TIMEOUTS 3

/* --- ring.c --- */
/* Rows begin anew at `now_ns`. In a large ring the first probes are spread over an interval. */
void nx_ring_begin_row(const struct nx_ring *ring, struct nx_ring_row *row, size_t i, size_t count,
                       uint64_t now_ns);
/* Whether row `i` is this process itself. With the lock held, as all that follows. */
bool nx_ring_is_self(const struct nx_ring *ring, size_t i);

/* --- ring_view.c --- */
/* Makes a new view if anything changed, or has changed by the passing of time. */
void nx_ring_publish(struct nx_ring *ring);
void nx_ring_layout_drop(struct nx_ring_layout *layout);

/* --- ring_self.c --- */
enum nx_err nx_ring_self_init(struct nx_ring *ring, const struct nx_ring_self *self) NX_WARN_UNUSED;
void nx_ring_self_release(struct nx_ring *ring);
/* On the ring's worker: writes the state where it has changed. */
void nx_ring_self_save(struct nx_ring *ring);
void nx_ring_self_turn(struct nx_ring *ring, enum nx_member_state state);

/* --- departure.c --- */
enum nx_err nx_ring_serve_member(struct nx_ring *ring, struct nx_rpc_server *server) NX_WARN_UNUSED;
/* Answers the RPC that has a member forgotten. */
enum nx_err nx_ring_serve_forget(struct nx_ring *ring, struct nx_rpc_server *server) NX_WARN_UNUSED;
/* Has a member forgotten that has been silent for too long, once its copies are elsewhere. */
void nx_ring_forget_silent(struct nx_ring *ring, uint64_t now_ns);
/* Takes the last step of a departure when it is due. */
void nx_ring_depart(struct nx_ring *ring);

/* --- conflict.c --- */
/* A process that says it is member `i` has called. NX_ERR_CONFIG where another one certainly is. */
enum nx_err nx_ring_rival_called(struct nx_ring *ring, size_t i, uint64_t incarnation,
                                 const char *address, struct nx_fail *fail) NX_WARN_UNUSED;
/* Member `i` answered under its address. */
void nx_ring_rival_answered(struct nx_ring *ring, size_t i);
void nx_ring_rival_tick(struct nx_ring *ring, size_t i, uint64_t now_ns);

/* With the lock held: the distributors that this process knows of, itself included. */
uint32_t nx_ring_count_pushers(struct nx_ring *ring);

/* --- message.c --- */
#define NX_RING_MESSAGE_BYTES_MAX 16384 /* the largest bitmap of partitions is 8 KiB */
enum nx_err nx_ring_pack(const ProtobufCMessage *message, struct nx_buf *out) NX_WARN_UNUSED;
/* Ends a request with what was packed, or with why it could not be. Takes what `out` holds. */
void nx_ring_reply(struct nx_rpc_request *req, enum nx_err packed, struct nx_buf *out);
/* A message of that type, for nx_ring_free_message; NULL where it is none or without memory. */
void *nx_ring_unpack(struct nx_view body, const ProtobufCMessageDescriptor *type);
/* The body of a request; one that is none has been answered where this returns NULL. */
void *nx_ring_unpack_request(struct nx_rpc_request *req, const ProtobufCMessageDescriptor *type);
void nx_ring_free_message(ProtobufCMessage *message);

/* --- heartbeat.c --- */
enum nx_err nx_ring_serve(struct nx_ring *ring, struct nx_rpc_server *server) NX_WARN_UNUSED;
/* Has the ring's worker look at what is due. */
void nx_ring_wake(struct nx_ring *ring);
/* On the ring's worker, without the lock: after something that nx_ring_stop waits for. */
void nx_ring_settle(struct nx_ring *ring);

#endif
