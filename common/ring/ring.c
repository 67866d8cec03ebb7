/* The list of members, a row for each, and the life of a ring. */
#include "common/ring/ring.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/ring/ring_internal.h"

static const char *const state_texts[] = {"JOINING", "ACTIVE", "LEAVING", "LEFT", "READONLY", NULL};
static const char *const health_texts[] = {"healthy", "unhealthy", NULL};
static const char *const outcome_texts[] = {"answered", "failed", NULL};
#define STATES 5
#define SMALL_RING 16

static const struct nx_metric_desc metric_descs[] = {
    [NX_RING_MEMBERS] = {.kind = NX_GAUGE,
                         .name = "narthex_ring_members",
                         .help = "Members of the ring by state.",
                         .label = "state",
                         .values = state_texts},
    [NX_RING_MEMBERS_BY_HEALTH] = {.kind = NX_GAUGE,
                                   .name = "narthex_ring_members_by_health",
                                   .help =
                                       "Members of the ring by health, as this process sees it.",
                                   .label = "health",
                                   .values = health_texts},
    [NX_RING_HEARTBEATS] = {.kind = NX_COUNTER,
                            .name = "narthex_ring_heartbeats_total",
                            .help = "Heartbeats sent to members, by outcome.",
                            .label = "outcome",
                            .values = outcome_texts},
    [NX_RING_HEARTBEAT_SECONDS] = {.kind = NX_HISTOGRAM,
                                   .name = "narthex_ring_heartbeat_seconds",
                                   .help = "Round trips of answered heartbeats.",
                                   .buckets = nx_latency_buckets,
                                   .bucket_count = NX_LATENCY_BUCKETS},
    [NX_RING_VIEW_VERSION] = {.kind = NX_GAUGE,
                              .name = "narthex_ring_view_version",
                              .help = "Version of the ring's view; grows with each change."},
    [NX_RING_PLACEMENT_SECONDS] = {.kind = NX_HISTOGRAM,
                                   .name = "narthex_ring_placement_seconds",
                                   .help = "Time it took to place all partitions anew.",
                                   .buckets = nx_latency_buckets,
                                   .bucket_count = NX_LATENCY_BUCKETS},
    [NX_RING_PLACEMENT_BYTES] = {.kind = NX_GAUGE,
                                 .name = "narthex_ring_placement_bytes",
                                 .help = "Memory of the placement in force."},
};
#define METRICS (sizeof(metric_descs) / sizeof(metric_descs[0]))
_Static_assert(METRICS == NX_RING_METRICS, "a description for each metric");

const char *nx_member_state_text(enum nx_member_state state)
{
    return (unsigned)state < STATES ? state_texts[state] : "UNKNOWN";
}

bool nx_ring_is_self(const struct nx_ring *ring, size_t i)
{
    return ring->is_member && strcmp(ring->roster->members[i].name, ring->self_name) == 0;
}

/* --- the member list ------------------------------------------------------------------------- */

void nx_ring_begin_row(const struct nx_ring *ring, struct nx_ring_row *row, size_t i, size_t count,
                       uint64_t now_ns)
{
    nx_health_init(&row->health, now_ns);
    if (count > SMALL_RING) {
        row->health.next_probe_ns += ring->limits.interval_ns / count * i;
    }
}

static void free_rows(struct nx_ring_row *rows, size_t count)
{
    for (size_t i = 0; rows && i < count; i++) {
        nx_whole_drop(rows[i].whole);
    }
    nx_free(rows);
}

/* Rows for a new roster; what is known of members that stay (same name and address) is kept. */
static struct nx_ring_row *make_rows(struct nx_ring *ring, const struct nx_roster *roster)
{
    struct nx_ring_row *rows = nx_calloc(roster->count, sizeof(*rows));
    for (size_t i = 0; rows && i < roster->count; i++) {
        size_t old =
            ring->roster ? nx_roster_find(ring->roster, roster->members[i].name) : SIZE_MAX;
        if (old != SIZE_MAX &&
            strcmp(ring->roster->members[old].address, roster->members[i].address) == 0) {
            rows[i] = ring->rows[old];
            nx_whole_take(rows[i].whole);
            continue;
        }
        rows[i].id = ring->next_id++;
        rows[i].state = NX_MEMBER_ACTIVE; /* until it says otherwise */
        rows[i].whole = nx_whole_take(ring->nothing);
        nx_ring_begin_row(ring, &rows[i], i, roster->count, nx_now_ns(ring->clock));
    }
    return rows;
}

enum nx_err nx_ring_set_members(struct nx_ring *ring, const char *members, struct nx_fail *fail)
{
    struct nx_roster *roster = NULL;
    enum nx_err err = nx_roster_new(members, &roster, fail);
    if (err != NX_OK) {
        return err;
    }
    pthread_mutex_lock(&ring->lock);
    struct nx_ring_row *rows = make_rows(ring, roster);
    struct nx_roster *before = ring->roster;
    if (rows) {
        free_rows(ring->rows, before ? before->count : 0);
        ring->rows = rows;
        ring->roster = roster;
        ring->dirty = true;
        nx_ring_publish(ring);
        nx_ring_wake(ring);
        err = ring->view ? NX_OK : NX_ERR_NOMEM;
        if (before && ring->is_member && nx_roster_find(roster, ring->self_name) == SIZE_MAX) {
            nx_log(ring->log, NX_LOG_WARN, "this node is no longer among ring.members",
                   NX_S("node", ring->self_name));
        }
    } else {
        before = roster;
        err = NX_ERR_NOMEM;
    }
    pthread_mutex_unlock(&ring->lock);
    if (before) {
        nx_roster_drop(before);
    }
    return err == NX_OK ? NX_OK : nx_fail_set(fail, err, "%s", nx_err_text(err));
}

uint32_t nx_ring_count_pushers(struct nx_ring *ring)
{
    size_t others =
        nx_ring_pushers_count(&ring->pushers, nx_now_ns(ring->clock), ring->limits.timeout_ns);
    return (uint32_t)others + (ring->distributor_id != 0);
}

/* With the lock held: of those heard here and those that the ingesters which answer have heard. */
static uint32_t most_pushers(const struct nx_ring *ring, uint32_t heard)
{
    uint32_t most = heard;
    for (size_t i = 0; i < ring->roster->count; i++) {
        const struct nx_ring_row *row = &ring->rows[i];
        if (row->health.healthy && row->distributors > most) {
            most = row->distributors;
        }
    }
    return most;
}

uint32_t nx_ring_distributors(struct nx_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    uint32_t most = most_pushers(ring, nx_ring_count_pushers(ring));
    pthread_mutex_unlock(&ring->lock);
    return most > 0 ? most : 1;
}

bool nx_ring_hears_distributors(struct nx_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    uint32_t heard = nx_ring_count_pushers(ring);
    bool all = most_pushers(ring, heard) == heard;
    pthread_mutex_unlock(&ring->lock);
    return all;
}

void nx_ring_report(struct nx_ring *ring, const char *member_name, enum nx_err outcome)
{
    bool bad =
        outcome == NX_ERR_UNAVAILABLE || outcome == NX_ERR_TIMEOUT || outcome == NX_ERR_CLUSTER;
    if (outcome == NX_ERR_CANCELED || outcome == NX_ERR_NOMEM) {
        return; /* says nothing of the member */
    }
    pthread_mutex_lock(&ring->lock);
    size_t i = nx_roster_find(ring->roster, member_name);
    if (i != SIZE_MAX && !nx_ring_is_self(ring, i) && ring->rows[i].health.healthy == bad) {
        nx_health_doubt(&ring->rows[i].health, &ring->limits, nx_now_ns(ring->clock));
        if (!ring->rows[i].probing) {
            nx_ring_wake(ring);
        }
    }
    pthread_mutex_unlock(&ring->lock);
}

/* --- life ------------------------------------------------------------------------------------ */

static enum nx_err check_options(const struct nx_ring_options *options, struct nx_fail *fail)
{
    if (options->partitions == 0 || options->partitions > 65536) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "ring.partitions: expected 1 to 65536, got %u",
                           options->partitions);
    }
    if (options->rf == 0 || options->rf > NX_PLACEMENT_MAX_RF) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "ring.replication-factor: expected 1 to 64, got %u",
                           options->rf);
    }
    if (options->heartbeat_interval_ms == 0 ||
        options->heartbeat_timeout_ms < options->heartbeat_interval_ms) {
        return nx_fail_set(
            fail, NX_ERR_CONFIG,
            "ring.heartbeat-timeout: expected at least the heartbeat interval (%llums, "
            "not 0), got %llums",
            (unsigned long long)options->heartbeat_interval_ms,
            (unsigned long long)options->heartbeat_timeout_ms);
    }
    return NX_OK;
}

static enum nx_err set_up(struct nx_ring *ring, const struct nx_ring_options *options)
{
    ring->cluster = nx_strdup(options->cluster ? options->cluster : "");
    ring->self_name = nx_strdup(options->self.name ? options->self.name : "");
    ring->address = nx_strdup(options->address ? options->address : "");
    ring->zone = nx_strdup(options->self.zone ? options->self.zone : "");
    ring->nothing = nx_whole_new(options->partitions, false);
    if (!ring->cluster || !ring->self_name || !ring->address || !ring->zone || !ring->nothing) {
        return NX_ERR_NOMEM;
    }
    ring->is_member = options->self.is_member;
    if (options->self.is_distributor) {
        struct nx_rand rand;
        nx_rand_system(&rand);
        ring->distributor_id = nx_rand_u64(&rand) | 1;
    }
    ring->incarnation = options->self.incarnation;
    ring->partitions = options->partitions;
    ring->rf = options->rf;
    ring->limits.interval_ns = options->heartbeat_interval_ms * UINT64_C(1000000);
    ring->limits.timeout_ns = options->heartbeat_timeout_ms * UINT64_C(1000000);
    /* Two probes must fit into the time-out. */
    ring->probe_timeout_ms = options->heartbeat_timeout_ms / 2 + 1;
    ring->forget_after_ns = options->forget_after_ms * UINT64_C(1000000);
    ring->max_skew_ms = options->max_skew_ms;
    ring->fs = options->fs;
    enum nx_err err = nx_ring_self_init(ring, &options->self);
    return err == NX_OK ? nx_lane_new("ring", 1, 16, &ring->lane) : err;
}

static enum nx_err check_self(const struct nx_ring *ring, struct nx_fail *fail)
{
    if (ring->is_member && nx_roster_find(ring->roster, ring->self_name) == SIZE_MAX) {
        return nx_fail_set(
            fail, NX_ERR_CONFIG,
            "node.name: \"%s\" is not among ring.members, expected one of their names",
            ring->self_name);
    }
    if (ring->roster->count < ring->rf) {
        nx_log(ring->log, NX_LOG_WARN, "fewer members than the replication factor",
               NX_I("members", ring->roster->count), NX_I("replication_factor", ring->rf));
    }
    return NX_OK;
}

static enum nx_err first_members(struct nx_ring *ring, const struct nx_ring_options *options,
                                 struct nx_fail *fail)
{
    enum nx_err err = nx_backend_new(options, ring->log, &ring->backend, fail);
    if (err != NX_OK || !ring->backend) {
        return err == NX_OK ? nx_ring_set_members(ring, options->members, fail) : err;
    }
    err = nx_backend_first(ring->backend, fail);
    if (err == NX_OK) {
        err = nx_ring_set_members(ring, ring->backend->last.data, fail);
    }
    return err == NX_OK ? nx_backend_start(ring->backend, ring) : err;
}

enum nx_err nx_ring_new(const struct nx_ring_options *options, const struct nx_clock *clock,
                        struct nx_rpc_server *server, struct nx_log *log,
                        struct nx_telemetry *telemetry, struct nx_ring **out, struct nx_fail *fail)
{
    enum nx_err err = check_options(options, fail);
    if (err != NX_OK) {
        return err;
    }
    struct nx_ring *ring = nx_calloc(1, sizeof(*ring));
    if (!ring) {
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    }
    pthread_mutex_init(&ring->lock, NULL);
    TAILQ_INIT(&ring->probes);
    ring->clock = clock;
    ring->log = log;
    ring->next_id = 1;
    err = set_up(ring, options);
    if (err == NX_OK && telemetry) {
        err = nx_telemetry_register(telemetry, metric_descs, METRICS, NULL, NULL, &ring->metrics);
    }
    if (err != NX_OK) {
        nx_fail_set(fail, err, "%s", nx_err_text(err));
        goto fail;
    }
    err = first_members(ring, options, fail);
    if (err == NX_OK) {
        err = check_self(ring, fail);
    }
    if (err == NX_OK && server) {
        err = nx_ring_serve(ring, server);
        if (err != NX_OK) {
            nx_fail_set(fail, err, "the heartbeat RPC: %s", nx_err_text(err));
        }
    }
    if (err != NX_OK) {
        goto fail;
    }
    *out = ring;
    return NX_OK;
fail:
    nx_ring_free(ring);
    return err;
}

void nx_ring_free(struct nx_ring *ring)
{
    if (!ring) {
        return;
    }
    if (ring->lane) {
        nx_lane_free(ring->lane);
    }
    nx_backend_free(ring->backend);
    nx_ring_self_release(ring);
    if (ring->view) {
        nx_ring_release(ring->view);
    }
    nx_ring_layout_drop(ring->layout);
    free_rows(ring->rows, ring->roster ? ring->roster->count : 0);
    if (ring->roster) {
        nx_roster_drop(ring->roster);
    }
    nx_whole_drop(ring->nothing);
    nx_free(ring->cluster);
    nx_free(ring->self_name);
    nx_free(ring->address);
    nx_free(ring->zone);
    pthread_mutex_destroy(&ring->lock);
    nx_free(ring);
}
