/* Rows become views. A view copies the few words a row has and shares the roster (names) and the
 * layout (owners), so a change of health costs a small allocation, not a placement; that is made
 * anew where the kind of a member changes. Where memory fails, the last view stays in force and the
 * next tick tries again. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/ring/ring_internal.h"

/* --- layouts --------------------------------------------------------------------------------- */

void nx_ring_layout_drop(struct nx_ring_layout *layout)
{
    if (!layout || !nx_refcount_drop(&layout->refs)) {
        return;
    }
    nx_roster_drop(layout->roster);
    nx_placement_free(layout->placement);
    nx_free(layout->kinds);
    nx_free(layout);
}

/* A member that was never heard may be in any state, until it has had the time to say so: then it
 * is away, and taking it for an owner asks all others for the write. */
static enum nx_placement_kind kind_of(const struct nx_ring *ring, size_t i, uint64_t now_ns)
{
    const struct nx_ring_row *row = &ring->rows[i];
    bool self = nx_ring_is_self(ring, i);
    if (ring->worker && !self && !row->health.heard && row->health.healthy) {
        return NX_PLACEMENT_SETTLES;
    }
    if (!self && !row->health.healthy && ring->forget_after_ns > 0 &&
        now_ns > row->health.since_ns + ring->forget_after_ns && row->state != NX_MEMBER_LEFT) {
        return NX_PLACEMENT_GOES; /* silent for so long that its copies are made elsewhere */
    }
    switch (self ? ring->self.state : row->state) {
    case NX_MEMBER_JOINING:
        return NX_PLACEMENT_COMES;
    case NX_MEMBER_LEAVING:
    case NX_MEMBER_READONLY:
        return NX_PLACEMENT_GOES;
    case NX_MEMBER_LEFT:
        return NX_PLACEMENT_OUT;
    case NX_MEMBER_ACTIVE:
    default:
        return now_ns < row->settles_ns ? NX_PLACEMENT_SETTLES : NX_PLACEMENT_STAYS;
    }
}

static bool was_heard(const struct nx_ring *ring, size_t i)
{
    return nx_ring_is_self(ring, i) || ring->rows[i].health.heard;
}

/* Where no member has been ACTIVE for longer the cluster has just been born, and nobody can have an
 * older picture of it that matters. Who was ACTIVE then stays settled: the first one's time being
 * over does not put the others in motion. */
static void find_kinds(struct nx_ring *ring, enum nx_placement_kind *kinds)
{
    uint64_t now_ns = nx_now_ns(ring->clock);
    bool any = false;
    bool all_heard = true;
    for (size_t i = 0; i < ring->roster->count; i++) {
        struct nx_ring_row *row = &ring->rows[i];
        kinds[i] = kind_of(ring, i, now_ns);
        row->born = row->born && kinds[i] == NX_PLACEMENT_SETTLES;
        any = any || kinds[i] == NX_PLACEMENT_STAYS || kinds[i] == NX_PLACEMENT_GOES;
        all_heard = all_heard && was_heard(ring, i);
    }
    for (size_t i = 0; i < ring->roster->count; i++) {
        if (kinds[i] == NX_PLACEMENT_SETTLES && (!any || ring->rows[i].born)) {
            ring->rows[i].born = all_heard || ring->rows[i].born;
            kinds[i] = NX_PLACEMENT_STAYS;
        }
    }
}

static struct nx_ring_layout *layout_new(struct nx_ring *ring, enum nx_placement_kind *kinds)
{
    struct nx_ring_layout *layout = nx_calloc(1, sizeof(*layout));
    if (!layout) {
        return NULL;
    }
    uint64_t began_ns = nx_now_ns(ring->clock);
    if (nx_roster_place(ring->roster, kinds, ring->partitions, ring->rf, &layout->placement) !=
        NX_OK) {
        nx_free(layout);
        return NULL;
    }
    nx_refcount_init(&layout->refs);
    layout->kinds = kinds;
    nx_roster_take(ring->roster);
    layout->roster = ring->roster;
    nx_metric_observe(ring->metrics, NX_RING_PLACEMENT_SECONDS, 0,
                      (double)(nx_now_ns(ring->clock) - began_ns) / 1e9);
    nx_metric_set(ring->metrics, NX_RING_PLACEMENT_BYTES, 0, (double)layout->placement->bytes);
    return layout;
}

/* Brings the layout in line with the rows; true where there is a new one. *err for want of memory:
 * then the old one stands. */
static bool renew_layout(struct nx_ring *ring, enum nx_err *err)
{
    size_t count = ring->roster->count;
    enum nx_placement_kind *kinds = nx_calloc(count + 1, sizeof(*kinds));
    *err = kinds ? NX_OK : NX_ERR_NOMEM;
    if (!kinds) {
        return false;
    }
    find_kinds(ring, kinds);
    struct nx_ring_layout *old = ring->layout;
    if (old && old->roster == ring->roster &&
        memcmp(old->kinds, kinds, count * sizeof(*kinds)) == 0) {
        nx_free(kinds);
        return false;
    }
    struct nx_ring_layout *layout = layout_new(ring, kinds);
    if (!layout) {
        nx_free(kinds);
        *err = NX_ERR_NOMEM;
        return false;
    }
    ring->layout = layout;
    nx_ring_layout_drop(old);
    return true;
}

/* --- views ----------------------------------------------------------------------------------- */

static void view_free(struct nx_ring_view *view)
{
    struct nx_ring_view_private *private = view->private_;
    if (private && private->roster && view->members) {
        for (size_t i = 0; i < view->member_count; i++) {
            nx_whole_drop((struct nx_whole *)(uintptr_t)view->members[i].whole);
        }
        nx_roster_drop(private->roster);
        nx_ring_layout_drop(private->layout);
    }
    if (private) {
        nx_free(private->problems);
    }
    nx_free(private);
    nx_free(view->members);
    nx_free(view);
}

static struct nx_ring_view *view_new(struct nx_ring_layout *layout)
{
    struct nx_roster *roster = layout->roster;
    struct nx_ring_view *view = nx_calloc(1, sizeof(*view));
    if (!view) {
        return NULL;
    }
    view->private_ = nx_calloc(1, sizeof(*view->private_));
    view->members = nx_calloc(roster->count, sizeof(*view->members));
    if (!view->private_ || !view->members) {
        goto fail;
    }
    view->private_->problems = nx_calloc(roster->count, NX_RING_PROBLEM_BYTES);
    if (!view->private_->problems) {
        goto fail;
    }
    nx_refcount_init(&view->private_->refs);
    nx_roster_take(roster);
    nx_refcount_take(&layout->refs);
    view->private_->roster = roster;
    view->private_->layout = layout;
    view->member_count = roster->count;
    view->owners = layout->placement->owners;
    view->next_owners = layout->placement->next_owners;
    view->writers = layout->placement->writers;
    view->writer_begin = layout->placement->writer_begin;
    return view;
fail:
    view_free(view);
    return NULL;
}

static void show_self(struct nx_ring *ring, struct nx_ring_row *row)
{
    row->state = ring->self.state;
    row->incarnation = ring->incarnation;
    row->last_seen_ms = nx_now_ms(ring->clock);
    row->health.healthy = ring->self.serving;
    if (row->whole != ring->self.whole) {
        nx_whole_drop(row->whole);
        row->whole = nx_whole_take(ring->self.whole);
    }
    (void)snprintf(row->problem, sizeof(row->problem), "%s",
                   ring->self.serving ? "" : "does not serve: it is starting or stopping");
}

/* What does not make a member unhealthy, and yet is not as it should be. */
static void describe(const struct nx_ring_row *row, char *problem)
{
    if (row->rival_sure) {
        (void)snprintf(problem, NX_RING_PROBLEM_BYTES,
                       "another process (incarnation %llu) uses the same name",
                       (unsigned long long)row->rival);
    } else if (row->wrong_zone) {
        (void)snprintf(problem, NX_RING_PROBLEM_BYTES,
                       "its node.zone is another one than the list of members has");
    } else {
        problem[0] = '\0';
    }
}

static void show_member(struct nx_ring *ring, size_t i, struct nx_member *out, char *problem)
{
    struct nx_ring_row *row = &ring->rows[i];
    const struct nx_roster_member *member = &ring->roster->members[i];
    if (nx_ring_is_self(ring, i)) {
        show_self(ring, row);
    }
    if (row->health.healthy) {
        describe(row, problem);
    } else {
        memcpy(problem, row->problem, sizeof(row->problem));
    }
    row->shown_seen_ms = row->last_seen_ms;
    *out = (struct nx_member){
        .name = member->name,
        .address = member->address,
        .zone = member->zone,
        .zone_id = member->zone_id,
        .weight = member->weight,
        .state = row->state,
        .healthy = row->health.healthy,
        .in_motion = ring->layout->kinds[i] != NX_PLACEMENT_STAYS,
        .incarnation = row->incarnation,
        .last_seen_ms = row->last_seen_ms,
        .skew_ms = row->skew_ms,
        .problem = problem,
        .whole = nx_whole_take(row->whole),
    };
}

static void set_gauges(struct nx_ring *ring, const struct nx_ring_view *view)
{
    size_t states[NX_MEMBER_READONLY + 1] = {0};
    size_t healthy = 0;
    for (size_t i = 0; i < view->member_count; i++) {
        states[view->members[i].state]++;
        healthy += view->members[i].healthy ? 1 : 0;
    }
    for (size_t s = 0; s <= NX_MEMBER_READONLY; s++) {
        nx_metric_set(ring->metrics, NX_RING_MEMBERS, s, (double)states[s]);
    }
    nx_metric_set(ring->metrics, NX_RING_MEMBERS_BY_HEALTH, 0, (double)healthy);
    nx_metric_set(ring->metrics, NX_RING_MEMBERS_BY_HEALTH, 1,
                  (double)(view->member_count - healthy));
    nx_metric_set(ring->metrics, NX_RING_VIEW_VERSION, 0, (double)view->version);
}

void nx_ring_publish(struct nx_ring *ring)
{
    enum nx_err err = NX_OK;
    ring->dirty |= renew_layout(ring, &err);
    if (err != NX_OK || !ring->dirty) {
        return;
    }
    struct nx_ring_view *view = view_new(ring->layout);
    if (!view) {
        return;
    }
    view->cluster = ring->cluster;
    view->partitions = ring->partitions;
    view->rf = ring->rf;
    view->version = ++ring->version;
    for (size_t i = 0; i < view->member_count; i++) {
        show_member(ring, i, &view->members[i],
                    view->private_->problems + i * NX_RING_PROBLEM_BYTES);
    }
    set_gauges(ring, view);
    struct nx_ring_view *before = ring->view;
    ring->view = view;
    ring->dirty = false;
    if (before) {
        nx_ring_release(before);
    }
}

struct nx_ring_view *nx_ring_acquire(struct nx_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    struct nx_ring_view *view = ring->view;
    nx_refcount_take(&view->private_->refs);
    pthread_mutex_unlock(&ring->lock);
    return view;
}

void nx_ring_release(struct nx_ring_view *view)
{
    if (nx_refcount_drop(&view->private_->refs)) {
        view_free(view);
    }
}

/* --- questions to a view --------------------------------------------------------------------- */

const uint16_t *nx_ring_writers(const struct nx_ring_view *view, uint32_t partition, size_t *count)
{
    if (view->writers) {
        uint32_t begin = view->writer_begin[partition];
        *count = view->writer_begin[partition + 1] - begin;
        return view->writers + begin;
    }
    const uint16_t *owners = nx_ring_owners(view, partition);
    size_t n = 0;
    while (n < view->rf && owners[n] != NX_PLACEMENT_NONE) {
        n++;
    }
    *count = n;
    return owners;
}

bool nx_ring_is_stored(const struct nx_ring_view *view, uint32_t partition, uint64_t stored)
{
    size_t count;
    const uint16_t *writers = nx_ring_writers(view, partition, &count);
    uint64_t zones[NX_PLACEMENT_MAX_WRITERS];
    uint64_t movers = 0;
    uint32_t need = nx_ring_write_quorum(view);
    for (size_t i = 0; i < count; i++) {
        const struct nx_member *member = &view->members[writers[i]];
        zones[i] = member->zone_id;
        movers |= member->in_motion ? UINT64_C(1) << i : 0;
    }
    uint64_t all = count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX;
    return (uint32_t)__builtin_popcountll(stored & all) >= need &&
           !nx_placement_may_miss(zones, count, movers, stored, view->rf, view->rf - need);
}

bool nx_ring_is_whole(const struct nx_ring_view *view, size_t member, uint32_t partition)
{
    const struct nx_whole *whole = view->members[member].whole;
    return whole && nx_whole_has(whole, partition);
}
