/* Heartbeats: who is asked when, what the answers do to the rows, and this process's own answer.
 *
 * One timer stands at the earliest moment at which a probe is due or a time-out passes. A probe
 * knows its row by number, so that the list may be replaced while it is out. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/ring/ring_internal.h"
#include "proto/internal.pb-c.h"

#define METHOD "heartbeat"
#define NS_PER_MS UINT64_C(1000000)

struct nx_ring_probe {
    TAILQ_ENTRY(nx_ring_probe) link;
    struct nx_ring *ring;
    struct nx_rpc_call *call;
    uint64_t row_id;
    uint64_t began_ns;
};

/* --- serving --------------------------------------------------------------------------------- */

/* Why the caller and this process do not belong together. */
static enum nx_err compare(const struct nx_ring *ring, const Narthex__HeartbeatRequest *request,
                           struct nx_fail *fail)
{
    if (strcmp(request->cluster, ring->cluster) != 0) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "belongs to cluster \"%.100s\", not \"%.100s\"",
                           ring->cluster, request->cluster);
    }
    if (!ring->is_member) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "\"%.100s\" is not an ingester", ring->self_name);
    }
    if (strcmp(request->expect, ring->self_name) != 0) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "is named \"%.100s\", not \"%.100s\"",
                           ring->self_name, request->expect);
    }
    if (request->partitions != ring->partitions) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "has ring.partitions %" PRIu32 ", not %" PRIu32,
                           ring->partitions, request->partitions);
    }
    if (request->replication_factor != ring->rf) {
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "has ring.replication-factor %" PRIu32 ", not %" PRIu32, ring->rf,
                           request->replication_factor);
    }
    int64_t ahead_ms = request->now_ms - nx_now_ms(ring->clock);
    int64_t apart_ms = ahead_ms > 0 ? ahead_ms : -ahead_ms;
    int64_t limit_ms = (int64_t)ring->max_skew_ms;
    if (limit_ms > 0 && apart_ms > limit_ms) {
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "the clock of \"%.100s\" is %" PRId64 ".%03" PRId64
                           " s %s that of \"%.100s\"; at most %" PRId64
                           " s are tolerated (ring.max-clock-skew)",
                           request->from, apart_ms / 1000, apart_ms % 1000,
                           ahead_ms > 0 ? "ahead of" : "behind", ring->self_name, limit_ms / 1000);
    }
    return NX_OK;
}

/* Whether the caller is who it says. */
static enum nx_err check_caller(struct nx_ring *ring, const Narthex__HeartbeatRequest *request,
                                struct nx_fail *fail)
{
    enum nx_err err = NX_OK;
    pthread_mutex_lock(&ring->lock);
    size_t i = nx_roster_find(ring->roster, request->from);
    if (i != SIZE_MAX) {
        err = nx_ring_rival_called(ring, i, request->from_incarnation, request->from_address, fail);
    }
    pthread_mutex_unlock(&ring->lock);
    return err;
}

static uint64_t age_ms(int64_t now_ms, int64_t since_ms)
{
    return now_ms > since_ms ? (uint64_t)(now_ms - since_ms) : 0;
}

/* With the lock held; `response` borrows from the ring. */
static void fill(struct nx_ring *ring, bool knows_whole, Narthex__HeartbeatResponse *response)
{
    struct nx_view bits = nx_whole_bits(ring->self.whole);
    response->name = ring->self_name;
    response->incarnation = ring->incarnation;
    response->state = (uint32_t)ring->self.state;
    response->now_ms = nx_now_ms(ring->clock);
    response->serving = ring->self.serving;
    response->distributors = nx_ring_count_pushers(ring);
    response->state_age_ms = age_ms(response->now_ms, ring->self.since_ms);
    response->whole_version = ring->self.whole_version;
    response->zone = ring->zone;
    if (!knows_whole) {
        response->whole =
            (ProtobufCBinaryData){.len = bits.len, .data = (uint8_t *)(uintptr_t)bits.ptr};
    }
}

static void answer(struct nx_ring *ring, struct nx_rpc_request *req,
                   const Narthex__HeartbeatRequest *request)
{
    Narthex__HeartbeatResponse response = NARTHEX__HEARTBEAT_RESPONSE__INIT;
    struct nx_buf out;
    pthread_mutex_lock(&ring->lock);
    fill(ring,
         request->known_incarnation == ring->incarnation &&
             request->known_whole_version == ring->self.whole_version,
         &response);
    enum nx_err err = nx_ring_pack(&response.base, &out);
    pthread_mutex_unlock(&ring->lock);
    nx_ring_reply(req, err, &out);
}

static void serve(struct nx_rpc_request *req, void *user)
{
    struct nx_ring *ring = user;
    Narthex__HeartbeatRequest *request =
        nx_ring_unpack_request(req, &narthex__heartbeat_request__descriptor);
    if (!request) {
        return;
    }
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = compare(ring, request, &fail);
    if (err == NX_OK) {
        err = check_caller(ring, request, &fail);
    }
    if (err == NX_OK && request->distributor != 0) {
        pthread_mutex_lock(&ring->lock);
        nx_ring_pusher_heard(&ring->pushers, request->distributor, nx_now_ns(ring->clock));
        pthread_mutex_unlock(&ring->lock);
    }
    if (err != NX_OK) {
        nx_rpc_reply_error(req, err, fail.text);
    } else {
        answer(ring, req, request);
    }
    nx_ring_free_message(&request->base);
}

enum nx_err nx_ring_serve(struct nx_ring *ring, struct nx_rpc_server *server)
{
    enum nx_err err =
        nx_rpc_server_method(server, METHOD, serve, ring, NX_RING_MESSAGE_BYTES_MAX, NULL);
    if (err == NX_OK) {
        nx_rpc_server_admit_all(server, METHOD); /* `compare` says more exactly what differs */
        err = nx_ring_serve_member(ring, server);
        err = err == NX_OK ? nx_ring_serve_forget(ring, server) : err;
    }
    return err;
}

/* --- what an answer does to its row ---------------------------------------------------------- */

static struct nx_ring_row *find_row(struct nx_ring *ring, uint64_t id, size_t *at)
{
    for (size_t i = 0; i < ring->roster->count; i++) {
        if (ring->rows[i].id == id) {
            *at = i;
            return &ring->rows[i];
        }
    }
    return NULL;
}

/* Reports a change of health, and of the reason while it stays bad, once. */
static void note_change(struct nx_ring *ring, size_t i, bool was_healthy, bool new_problem)
{
    const struct nx_ring_row *row = &ring->rows[i];
    const char *name = ring->roster->members[i].name;
    const char *address = ring->roster->members[i].address;
    if (!row->health.healthy && (was_healthy || new_problem)) {
        nx_log(ring->log, NX_LOG_WARN, "member is unhealthy", NX_S("member", name),
               NX_S("address", address), NX_S("problem", row->problem));
    } else if (row->health.healthy && !was_healthy) {
        nx_log(ring->log, NX_LOG_INFO, "member is healthy again", NX_S("member", name),
               NX_S("address", address));
    }
    ring->dirty |= was_healthy != row->health.healthy || new_problem;
}

/* Texts of failing connections differ in their milliseconds, so only another code makes another
 * problem, save where the member itself said why. */
static bool set_problem(struct nx_ring_row *row, enum nx_err err, const char *text)
{
    bool same =
        row->problem[0] && row->last_err == err &&
        (err != NX_ERR_CONFIG || strncmp(row->problem, text, sizeof(row->problem) - 1) == 0);
    if (!same) {
        row->last_err = err;
        (void)snprintf(row->problem, sizeof(row->problem), "%s", text);
    }
    return !same;
}

/* A time-out that is noticed late was not the member's: its answer may lie there unread. */
static bool noticed_late(const struct nx_ring *ring, const struct nx_ring_probe *probe,
                         enum nx_err err)
{
    uint64_t least_ns = ring->probe_timeout_ms * NS_PER_MS + ring->limits.interval_ns;
    return err == NX_ERR_TIMEOUT && nx_now_ns(ring->clock) >= probe->began_ns + least_ns;
}

static void row_failed(struct nx_ring *ring, size_t i, enum nx_err err, const char *text)
{
    struct nx_ring_row *row = &ring->rows[i];
    bool was_healthy = row->health.healthy;
    enum nx_health_failure kind = err == NX_ERR_CONFIG ? NX_HEALTH_REFUSED
                                  : err == NX_ERR_OVERLOADED || err == NX_ERR_RATE_LIMITED
                                      ? NX_HEALTH_BUSY
                                      : NX_HEALTH_SILENT;
    nx_metric_add(ring->metrics, NX_RING_HEARTBEATS, 1, 1);
    nx_health_failed(&row->health, &ring->limits, kind, nx_now_ns(ring->clock));
    bool new_problem = set_problem(row, err, text);
    note_change(ring, i, was_healthy, new_problem);
}

/* What the member says of its partitions; without memory what was known stays. */
static void take_whole(struct nx_ring *ring, struct nx_ring_row *row,
                       const Narthex__HeartbeatResponse *response)
{
    if (response->whole.len == 0) {
        return;
    }
    struct nx_whole *whole = nx_whole_read(
        ring->partitions, nx_view_make((const char *)response->whole.data, response->whole.len));
    if (whole) {
        nx_whole_drop(row->whole);
        row->whole = whole;
        row->whole_version = response->whole_version;
        ring->dirty = true;
    }
}

/* A life that ended takes what it was whole for with it. */
static void take_incarnation(struct nx_ring *ring, struct nx_ring_row *row, uint64_t incarnation)
{
    if (row->incarnation == incarnation) {
        return;
    }
    row->incarnation = incarnation;
    nx_whole_drop(row->whole);
    row->whole = nx_whole_take(ring->nothing);
    row->whole_version = 0;
    ring->dirty = true;
}

/* How long it may be that others do not know yet that it is ACTIVE. */
static void take_state(struct nx_ring *ring, struct nx_ring_row *row,
                       const Narthex__HeartbeatResponse *response)
{
    enum nx_member_state state = response->state <= (uint32_t)NX_MEMBER_READONLY
                                     ? (enum nx_member_state)response->state
                                     : NX_MEMBER_READONLY;
    uint64_t grace_ns = NX_RING_GRACE_TIMEOUTS * ring->limits.timeout_ns;
    uint64_t age_ns = response->state_age_ms < grace_ns / NS_PER_MS
                          ? response->state_age_ms * NS_PER_MS
                          : grace_ns;
    ring->dirty |= row->state != state;
    row->state = state;
    row->settles_ns = state == NX_MEMBER_ACTIVE && age_ns < grace_ns
                          ? nx_now_ns(ring->clock) + (grace_ns - age_ns)
                          : 0;
}

static void row_answered(struct nx_ring *ring, size_t i, const Narthex__HeartbeatResponse *response,
                         uint64_t began_ns)
{
    struct nx_ring_row *row = &ring->rows[i];
    bool was_healthy = row->health.healthy;
    uint64_t now_ns = nx_now_ns(ring->clock);
    take_incarnation(ring, row, response->incarnation);
    take_whole(ring, row, response);
    take_state(ring, row, response);
    ring->dirty |= row->last_seen_ms == 0;
    row->distributors = response->distributors;
    row->last_seen_ms = nx_now_ms(ring->clock);
    row->skew_ms =
        response->now_ms + (int64_t)((now_ns - began_ns) / 2 / NS_PER_MS) - row->last_seen_ms;
    row->wrong_zone = *response->zone && strcmp(response->zone, ring->roster->members[i].zone) != 0;
    nx_ring_rival_answered(ring, i);
    nx_health_answered(&row->health, now_ns);
    nx_metric_add(ring->metrics, NX_RING_HEARTBEATS, 0, 1);
    bool new_problem = false;
    if (response->serving) {
        row->problem[0] = '\0';
        row->last_err = NX_OK;
    } else {
        row->health.healthy = false;
        new_problem =
            set_problem(row, NX_ERR_UNAVAILABLE, "does not serve: it is starting or stopping");
    }
    note_change(ring, i, was_healthy, new_problem);
}

static void take_result(struct nx_ring *ring, const struct nx_ring_probe *probe,
                        const struct nx_rpc_result *result)
{
    size_t i = 0;
    struct nx_ring_row *row = find_row(ring, probe->row_id, &i);
    if (!row) {
        return; /* no longer a member */
    }
    row->probing = false;
    if (ring->stopping) {
        return;
    }
    if (noticed_late(ring, probe, result->err)) {
        nx_health_failed(&row->health, &ring->limits, NX_HEALTH_UNKNOWN, nx_now_ns(ring->clock));
        return;
    }
    if (result->err != NX_OK) {
        row_failed(ring, i, result->err, result->text);
        return;
    }
    Narthex__HeartbeatResponse *response =
        nx_ring_unpack(result->body, &narthex__heartbeat_response__descriptor);
    if (!response) {
        row_failed(ring, i, NX_ERR_CORRUPT, "malformed answer to the heartbeat");
    } else if (strcmp(response->name, ring->roster->members[i].name) != 0) {
        row_failed(ring, i, NX_ERR_CONFIG, "answers under another name");
    } else {
        row_answered(ring, i, response, probe->began_ns);
        nx_metric_observe(ring->metrics, NX_RING_HEARTBEAT_SECONDS, 0,
                          (double)(nx_now_ns(ring->clock) - probe->began_ns) / 1e9);
    }
    if (response) {
        nx_ring_free_message(&response->base);
    }
}

/* --- probing --------------------------------------------------------------------------------- */

static void look(struct nx_ring *ring);

void nx_ring_settle(struct nx_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    bool over = ring->stopping && ring->timer_closed && ring->probes_out == 0 && !ring->wake_sent &&
                !ring->self.saving && !ring->forget_name[0];
    pthread_mutex_unlock(&ring->lock);
    if (over) {
        void (*closed)(void *) = ring->closed;
        ring->closed = NULL;
        if (closed) {
            closed(ring->closed_user);
        }
    }
}

/* The timer is never set further ahead than an interval: whoever comes so much later as another one
 * has stood still. */
static void allow_for_standstill(struct nx_ring *ring)
{
    uint64_t now = nx_now_ns(ring->clock);
    if (ring->due_ns == 0 || now < ring->due_ns + ring->limits.interval_ns) {
        return;
    }
    for (size_t i = 0; i < ring->roster->count; i++) {
        nx_health_stood_still(&ring->rows[i].health, now - ring->due_ns, now);
    }
    ring->due_ns = now;
}

static void on_done(void *user, const struct nx_rpc_result *result)
{
    struct nx_ring_probe *probe = user;
    struct nx_ring *ring = probe->ring;
    pthread_mutex_lock(&ring->lock);
    allow_for_standstill(ring);
    take_result(ring, probe, result);
    pthread_mutex_unlock(&ring->lock);
    TAILQ_REMOVE(&ring->probes, probe, link);
    ring->probes_out--;
    nx_free(probe);
    look(ring);
    nx_ring_settle(ring);
}

static enum nx_err send_probe(struct nx_ring *ring, size_t i, struct nx_ring_probe *probe)
{
    const struct nx_roster_member *member = &ring->roster->members[i];
    Narthex__HeartbeatRequest request = NARTHEX__HEARTBEAT_REQUEST__INIT;
    request.cluster = ring->cluster;
    request.partitions = ring->partitions;
    request.replication_factor = ring->rf;
    request.from = ring->self_name;
    request.expect = (char *)(uintptr_t)member->name;
    request.now_ms = nx_now_ms(ring->clock);
    request.distributor = ring->distributor_id;
    request.known_incarnation = ring->rows[i].incarnation;
    request.known_whole_version = ring->rows[i].whole_version;
    request.from_incarnation = ring->is_member ? ring->incarnation : 0;
    request.from_address = ring->address;
    struct nx_buf body;
    enum nx_err err = nx_ring_pack(&request.base, &body);
    if (err != NX_OK) {
        nx_buf_release(&body);
        return err;
    }
    struct nx_rpc_call_options options = {
        .address = member->address,
        .method = METHOD,
        .body = &body,
        .timeout_ms = ring->probe_timeout_ms,
        .max_frame_bytes = NX_RING_MESSAGE_BYTES_MAX,
        .done = on_done,
        .user = probe,
    };
    return nx_rpc_call(ring->client, &options, &probe->call);
}

/* Failures on our own side (no memory) count for nothing: the next interval tries again. */
static void probe_row(struct nx_ring *ring, size_t i)
{
    struct nx_ring_row *row = &ring->rows[i];
    nx_health_probed(&row->health, &ring->limits, nx_now_ns(ring->clock));
    struct nx_ring_probe *probe = nx_calloc(1, sizeof(*probe));
    if (!probe) {
        return;
    }
    probe->ring = ring;
    probe->row_id = row->id;
    probe->began_ns = nx_now_ns(ring->clock);
    if (send_probe(ring, i, probe) != NX_OK) {
        nx_free(probe);
        return;
    }
    row->probing = true;
    ring->probes_out++;
    TAILQ_INSERT_TAIL(&ring->probes, probe, link);
}

static void tick_row(struct nx_ring *ring, size_t i, uint64_t now)
{
    struct nx_ring_row *row = &ring->rows[i];
    bool was_healthy = row->health.healthy;
    nx_health_tick(&row->health, &ring->limits, now);
    if (was_healthy && !row->health.healthy) {
        if (!row->problem[0]) {
            (void)set_problem(row, NX_ERR_TIMEOUT, "no answer to heartbeats");
        }
        note_change(ring, i, true, false);
    }
    if (!row->probing && now >= row->health.next_probe_ns) {
        probe_row(ring, i);
    }
    nx_ring_rival_tick(ring, i, now);
    /* What is shown of the last sign of life may be old, but not older than a time-out. */
    if (row->last_seen_ms - row->shown_seen_ms > (int64_t)(ring->limits.timeout_ns / NS_PER_MS)) {
        ring->dirty = true;
    }
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

/* Does what is due and sets the timer for what is due next. */
static void look(struct nx_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    if (!ring->stopping) {
        allow_for_standstill(ring);
        uint64_t now = nx_now_ns(ring->clock);
        uint64_t due = now + ring->limits.interval_ns;
        for (size_t i = 0; i < ring->roster->count; i++) {
            if (nx_ring_is_self(ring, i)) {
                continue;
            }
            tick_row(ring, i, now);
            uint64_t row_due =
                nx_health_due_ns(&ring->rows[i].health, &ring->limits, ring->rows[i].probing);
            due = row_due < due ? row_due : due;
        }
        nx_ring_depart(ring);
        nx_ring_publish(ring);
        nx_ring_self_save(ring);
        nx_ring_forget_silent(ring, now);
        uint64_t wait_ns = due > now ? due - now : 0;
        ring->due_ns = now + wait_ns;
        uv_timer_start(&ring->timer, on_timer, (wait_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
    }
    pthread_mutex_unlock(&ring->lock);
}

static void on_wake(struct nx_task *task)
{
    struct nx_ring *ring = NX_OWNER(struct nx_ring, wake, task);
    pthread_mutex_lock(&ring->lock);
    ring->wake_sent = false;
    pthread_mutex_unlock(&ring->lock);
    look(ring);
    nx_ring_settle(ring);
}

void nx_ring_wake(struct nx_ring *ring)
{
    if (ring->worker && !ring->wake_sent && !ring->stopping) {
        ring->wake_sent = true;
        ring->wake.run = on_wake;
        nx_worker_reply(ring->worker, &ring->wake);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

enum nx_err nx_ring_start(struct nx_ring *ring, struct nx_rpc_client *client)
{
    struct nx_worker *worker = nx_rpc_client_worker(client);
    assert(nx_worker_is_current(worker) && !ring->worker);
    if (uv_timer_init(nx_worker_loop(worker), &ring->timer) != 0) {
        return NX_ERR_INTERNAL;
    }
    ring->timer.data = ring;
    ring->client = client;
    pthread_mutex_lock(&ring->lock);
    ring->worker = worker;
    uint64_t now = nx_now_ns(ring->clock);
    for (size_t i = 0; i < ring->roster->count; i++) {
        nx_ring_begin_row(ring, &ring->rows[i], i, ring->roster->count, now);
    }
    pthread_mutex_unlock(&ring->lock);
    look(ring);
    return NX_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct nx_ring *ring = handle->data;
    ring->timer_closed = true;
    nx_ring_settle(ring);
}

void nx_ring_stop(struct nx_ring *ring, void (*closed)(void *user), void *user)
{
    pthread_mutex_lock(&ring->lock);
    ring->stopping = true;
    if (ring->backend) {
        nx_backend_stop(ring->backend);
    }
    bool started = ring->worker != NULL;
    pthread_mutex_unlock(&ring->lock);
    if (!started) {
        if (closed) {
            closed(user);
        }
        return;
    }
    assert(nx_worker_is_current(ring->worker));
    ring->closed = closed;
    ring->closed_user = user;
    struct nx_ring_probe *probe;
    TAILQ_FOREACH(probe, &ring->probes, link)
    {
        nx_rpc_call_cancel(probe->call);
    }
    uv_close((uv_handle_t *)&ring->timer, on_timer_closed);
}
