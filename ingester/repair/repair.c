/* A tick a second looks at the ring and the clock: partitions that have become this node's, members
 * that were away, a clock that has jumped because the process stood still. Any of these is an
 * event: from then on cycles follow each other closely, up to the present, until one has compared
 * everything that was written before. Otherwise a cycle every repair.interval compares closed
 * windows. */
#include "ingester/repair/repair.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/repair/held.h"
#include "ingester/repair/repair_internal.h"

#define LANE_QUEUE 256
#define TICK_MS 500
#define STOOD_STILL_MS 5000
#define SETTLE_MS 10000 /* what is younger may be on its way */
#define CLOSED_SETTLE_MS 30000
#define STEP_MS 5000 /* of the end of what is compared after an event */
#define AGAIN_MS 2000
#define EVENT_SLACK_MS 5000 /* until a distributor that knows of it sends its writes here */
#define BIRTH_WAIT_MS 8000
#define UNIT_SAMPLES UINT64_C(12000000)

static int64_t now_of(const struct ing_repair *repair)
{
    return nx_now_ms(repair->ing->deps.clock);
}

static int64_t floor_to(int64_t t, int64_t step)
{
    return t - t % step;
}

static void event(struct ing_repair *repair, const char *why)
{
    repair->event_ms = now_of(repair);
    repair->due_ms = repair->event_ms;
    nx_log(repair->ing->deps.log, NX_LOG_INFO, "repair: catching up", NX_S("why", why));
}

/* --- what is held --- */

static void held_run(struct nx_job *job)
{
    struct ing_repair *repair = NX_OWNER(struct ing_repair, job, job);
    const struct ing_deps *deps = &repair->ing->deps;
    repair->err =
        ing_held_store(deps->fs, deps->settings->data_dir, deps->partitions, repair->held_written);
}

static void idle(struct ing_repair *repair);

static void held_done(struct nx_job *job)
{
    struct ing_repair *repair = NX_OWNER(struct ing_repair, job, job);
    repair->running = false;
    if (repair->err != NX_OK) {
        repair->held_changed = true;
    } else if (repair->turns_active) {
        repair->turns_active = false;
        if (nx_ring_self_state(repair->ring) == NX_MEMBER_JOINING)
            nx_ring_set_self_state(repair->ring, NX_MEMBER_ACTIVE);
    }
    if (repair->err == NX_OK || repair->stopped)
        idle(repair); /* else the next tick tries again: a full disk stays full for a while */
}

static void store_held(struct ing_repair *repair)
{
    repair->job = (struct nx_job){.run = held_run, .done = held_done};
    memcpy(repair->held_written, repair->held, ing_bits_size(repair->ing->deps.partitions));
    repair->held_changed = false;
    repair->running = nx_lane_submit(repair->lane, &repair->job) == NX_OK;
    if (!repair->running)
        repair->held_changed = true;
}

static void set_held(struct ing_repair *repair, uint32_t partition, bool held)
{
    if (ing_bit(repair->held, partition) != held) {
        ing_bit_set(repair->held, partition, held);
        repair->held_changed = true;
    }
    if (nx_ring_set_whole(repair->ring, partition, held) != NX_OK)
        repair->held_changed = true;
}

static void load_held(struct ing_repair *repair)
{
    uint32_t partitions = repair->ing->deps.partitions;
    bool joining = nx_ring_self_state(repair->ring) == NX_MEMBER_JOINING;
    enum nx_err err =
        joining ? NX_ERR_CORRUPT
                : ing_held_load(repair->ing->deps.settings->data_dir, partitions, repair->held);
    if (err != NX_OK)
        memset(repair->held, err == NX_ERR_NOT_FOUND ? 0xff : 0, ing_bits_size(partitions));
    for (uint32_t p = 0; p < partitions; p++)
        set_held(repair, p, ing_bit(repair->held, p));
    repair->held_changed = true;
}

/* --- the ring --- */

static uint64_t health_of(const struct nx_ring_view *view)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < view->member_count; i++)
        if (view->members[i].healthy && view->members[i].incarnation != 0)
            sum += nx_hash64(view->members[i].name, strlen(view->members[i].name)) ^
                   view->members[i].incarnation;
    return sum;
}

/* Whether it has to find out what it lacks of the partition, whatever lay here: its writes have
 * begun to come here since the last look, or it is to be an owner and was not. The latter alone may
 * be all there is to see of a time in which others did not send them here: members that are young
 * are in motion for those who look from one moment on, and not for others. */
static bool has_come(const struct ing_repair *repair, const struct ing_peers *peers, uint32_t p)
{
    return (ing_bit(peers->mine, p) && !ing_bit(repair->mine, p)) ||
           (ing_bit(peers->next, p) && !ing_bit(repair->owned, p));
}

static void take_partitions(struct ing_repair *repair, const struct ing_peers *peers)
{
    bool more = false;
    repair->mine_count = repair->not_whole = 0;
    for (uint32_t p = 0; p < repair->ing->deps.partitions; p++) {
        bool mine = ing_bit(peers->mine, p);
        bool come = repair->looked && has_come(repair, peers, p);
        if (come || (repair->looked && !mine && ing_bit(repair->mine, p)))
            set_held(repair, p, false);
        more = more || come;
        repair->mine_count += mine;
        repair->not_whole += mine && !ing_bit(repair->held, p);
        ing_bit_set(repair->mine, p, mine);
        ing_bit_set(repair->owned, p, ing_bit(peers->owned, p) || ing_bit(peers->next, p));
    }
    repair->looked = true;
    if (more)
        event(repair, "partitions have become its own");
}

static bool is_new(struct ing_repair *repair)
{
    struct nx_ring_view *view = nx_ring_acquire(repair->ring);
    bool is_new = view->version != repair->seen_version;
    nx_ring_release(view);
    return is_new;
}

static void look_at_ring(struct ing_repair *repair)
{
    struct ing_peers peers;
    if (!is_new(repair) ||
        ing_peers_init(&peers, repair->ring, repair->ing->deps.node_name) != NX_OK)
        return;
    if (peers.self != ING_PEER_NONE) {
        uint64_t healthy = health_of(peers.view);
        if (repair->seen_version != 0 && healthy != repair->healthy)
            event(repair, "members have come or gone");
        repair->seen_version = peers.view->version;
        repair->healthy = healthy;
        take_partitions(repair, &peers);
    }
    ing_peers_release(&peers);
}

/* A distributor that has yet to learn of a joining node sends its writes to those that will not be
 * owners when it has joined, and not here. Until all ask for this node's heartbeats it may lack
 * what is written now. */
static void await_distributors(struct ing_repair *repair)
{
    bool awaits = nx_ring_self_state(repair->ring) == NX_MEMBER_JOINING &&
                  !nx_ring_hears_distributors(repair->ring);
    if (awaits && !repair->awaits)
        event(repair, "a distributor has yet to learn of this node");
    else if (awaits)
        repair->event_ms = now_of(repair);
    repair->awaits = awaits;
}

/* --- the end of a cycle --- */

/* Its own by the view of the cycle, and by the latest as well. */
static bool is_mine(const struct ing_repair *repair, uint32_t partition)
{
    return ing_bit(repair->peers.mine, partition) &&
           (!repair->looked || ing_bit(repair->mine, partition));
}

/* Only what is its own: a partition that comes to it later is not whole because this node has been.
 * ACTIVE follows when that is on disk: a crash in between must not leave a member that is read and
 * knows nothing of what it holds. */
static void become_active(struct ing_repair *repair)
{
    if (repair->turns_active)
        return;
    nx_log(repair->ing->deps.log, NX_LOG_INFO, "repair: holds all it is to hold",
           NX_I("partitions", repair->mine_count));
    for (uint32_t p = 0; p < repair->ing->deps.partitions; p++)
        if (is_mine(repair, p))
            set_held(repair, p, true);
    repair->held_changed = true;
    repair->turns_active = true;
}

/* What was compared with enough others up to a time behind the event is whole. Where these hold
 * nothing at all the cluster has only just been born, and there is nothing to wait for. */
static void judge(struct ing_repair *repair)
{
    const struct nx_ring_view *view = repair->peers.view;
    bool all = true, enough = true;
    bool late_enough = repair->event_ms == 0 || repair->until >= repair->event_ms + EVENT_SLACK_MS;
    repair->not_whole = 0;
    for (uint32_t p = 0; p < view->partitions; p++) {
        if (!is_mine(repair, p))
            continue;
        if (!ing_bit(repair->held, p) && late_enough &&
            repair->compared[p] >= repair->peers.needed[p])
            set_held(repair, p, true);
        all = all && ing_bit(repair->held, p);
        enough = enough && repair->compared[p] >= repair->peers.needed[p];
        repair->not_whole += !ing_bit(repair->held, p);
    }
    bool waited = now_of(repair) - repair->started_ms >= BIRTH_WAIT_MS;
    bool nothing = !repair->any_data && nx_ring_hears_distributors(repair->ring);
    if (nx_ring_self_state(repair->ring) == NX_MEMBER_JOINING &&
        (all || (nothing && (enough || ing_peers_is_birth(&repair->peers, waited)))))
        become_active(repair);
    if (late_enough && !repair->any_failed)
        repair->event_ms = 0;
}

/* When the next cycle has something to do. One that has seen all the others since the event has
 * fetched what was missed; what is younger is mostly on its way here itself, and only the time in
 * which it no longer is can end the event. */
static int64_t next_due(const struct ing_repair *repair, int64_t now)
{
    int64_t again = now + AGAIN_MS;
    if (repair->event_ms == 0 && repair->not_whole == 0)
        return now + repair->ing->deps.settings->repair_interval_ms;
    if (repair->not_whole > 0 || repair->any_failed || repair->any_partial ||
        repair->event_ms > repair->begun_ms ||
        nx_ring_self_state(repair->ring) == NX_MEMBER_JOINING)
        return again;
    int64_t settled = repair->event_ms + EVENT_SLACK_MS + SETTLE_MS + STEP_MS;
    return settled > again ? settled : again;
}

void ing_repair_cycle_done(struct ing_repair *repair)
{
    int64_t now = now_of(repair);
    if (!repair->stopped)
        judge(repair);
    ing_peers_release(&repair->peers);
    repair->running = false;
    repair->cycles++;
    repair->finished_ms = now;
    repair->differing_last = repair->differing;
    repair->due_ms = next_due(repair, now);
    ing_repair_measure(repair);
    idle(repair);
}

static void begin(struct ing_repair *repair)
{
    int64_t now = now_of(repair);
    if (ing_peers_init(&repair->peers, repair->ring, repair->ing->deps.node_name) != NX_OK) {
        repair->due_ms = now + AGAIN_MS;
        return;
    }
    if (repair->peers.self == ING_PEER_NONE) {
        ing_peers_release(&repair->peers);
        repair->due_ms = now + AGAIN_MS;
        return;
    }
    bool urgent = repair->event_ms != 0 || repair->not_whole > 0;
    repair->until = urgent ? floor_to(now - SETTLE_MS, STEP_MS)
                           : floor_to(now - CLOSED_SETTLE_MS, ING_DIGEST_WINDOW_MS);
    repair->running = true;
    repair->begun_ms = now;
    ing_repair_cycle(repair);
}

/* --- the tick --- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct ing_repair *repair = handle->data;
    repair->timer_open = false;
    repair->stopped(repair->stopped_user);
}

static void idle(struct ing_repair *repair)
{
    if (repair->stopped)
        uv_close((uv_handle_t *)&repair->timer, on_timer_closed);
    else if (repair->held_changed)
        store_held(repair);
}

static void on_tick(uv_timer_t *timer)
{
    struct ing_repair *repair = timer->data;
    int64_t now = now_of(repair);
    if (now - repair->ticked_ms > STOOD_STILL_MS)
        event(repair, "the process stood still");
    repair->ticked_ms = now;
    if (repair->stopped)
        return;
    look_at_ring(repair);
    await_distributors(repair);
    if (repair->running)
        return;
    if (repair->held_changed)
        store_held(repair);
    else if (now >= repair->due_ms)
        begin(repair);
}

/* --- life --- */

enum nx_err ing_repair_new(struct ingester *ing, struct ing_repair **out)
{
    struct ing_repair *repair = nx_calloc(1, sizeof *repair);
    if (!repair)
        return NX_ERR_NOMEM;
    size_t bytes = ing_bits_size(ing->deps.partitions);
    repair->ing = ing;
    repair->unit_samples = UNIT_SAMPLES;
    repair->mine = nx_calloc(bytes, 1);
    repair->owned = nx_calloc(bytes, 1);
    repair->held = nx_calloc(bytes, 1);
    repair->held_written = nx_calloc(bytes, 1);
    repair->shared = nx_calloc(bytes, 1);
    repair->compared = nx_calloc(ing->deps.partitions, 1);
    bool all = repair->mine && repair->owned && repair->held && repair->held_written &&
               repair->shared && repair->compared;
    enum nx_err err = all ? NX_OK : NX_ERR_NOMEM;
    if (err == NX_OK)
        err = nx_lane_new("ing-repair", 1, LANE_QUEUE, &repair->lane);
    if (err == NX_OK)
        nx_lane_give_way(repair->lane);
    if (err == NX_OK)
        err = nx_lane_observe(repair->lane, ing->deps.telemetry);
    if (err == NX_OK)
        err = ing_ledger_new(ing, repair->lane, &repair->ledger);
    if (err == NX_OK) {
        repair->server =
            (struct ing_digest_server){.ing = ing, .lane = repair->lane, .ledger = repair->ledger};
        err = nx_rpc_server_method(ing->deps.rpc, "digests", ing_digests_handle, &repair->server,
                                   ING_DIGESTS_BODY_MAX, NULL);
    }
    if (err == NX_OK)
        err = ing_repair_register(repair);
    if (err != NX_OK) {
        ing_repair_free(repair);
        return err;
    }
    *out = repair;
    return NX_OK;
}

enum nx_err ing_repair_start(struct ing_repair *repair, struct nx_ring *ring,
                             struct nx_rpc_client *client)
{
    struct nx_worker *worker = nx_workers_at(repair->ing->deps.workers, 0);
    int rc = uv_timer_init(nx_worker_loop(worker), &repair->timer);
    if (rc != 0)
        return nx_err_from_uv(rc);
    repair->timer.data = repair;
    repair->timer_open = true;
    repair->ring = ring;
    repair->client = client;
    repair->started_ms = repair->ticked_ms = now_of(repair);
    load_held(repair);
    event(repair, "this node has started");
    rc = uv_timer_start(&repair->timer, on_tick, 1, TICK_MS);
    return rc == 0 ? NX_OK : nx_err_from_uv(rc);
}

void ing_repair_stop(struct ing_repair *repair, void (*done)(void *user), void *user)
{
    if (!repair->timer_open) {
        done(user);
        return;
    }
    repair->stopped = done;
    repair->stopped_user = user;
    if (repair->running)
        ing_repair_cycle_cancel(repair);
    else
        idle(repair);
}

void ing_repair_close_lane(struct ing_repair *repair)
{
    nx_lane_free(repair->lane);
    repair->lane = NULL;
}

void ing_repair_free(struct ing_repair *repair)
{
    if (!repair)
        return;
    nx_lane_free(repair->lane);
    ing_ledger_free(repair->ledger);
    for (size_t i = 0; i < repair->taken_count; i++) {
        nx_free(repair->taken[i].name);
        ing_diffs_release(&repair->taken[i].diffs);
    }
    for (size_t i = 0; i < repair->seen_count; i++)
        nx_free(repair->seen[i].name);
    nx_free(repair->taken);
    nx_free(repair->seen);
    nx_free(repair->mine);
    nx_free(repair->owned);
    nx_free(repair->held);
    nx_free(repair->held_written);
    nx_free(repair->shared);
    nx_free(repair->compared);
    nx_free(repair);
}
