/* Rows go to the writers of their partition: its owners, and while members come or go all that may
 * become one (ring.h). Metadata belongs to the partition of the series that
 * has only its metric's name, so that the same three ingesters keep it whoever sends it. */
#include "common/ring/placement.h"
#include "distributor/push_internal.h"

#define SKIPPED UINT32_MAX

static bool has_points(const struct dist_series *series)
{
    return series->sample_count > 0 || series->histogram_count > 0;
}

/* Rows of exemplars alone come behind the others: their series may be new in this request. */
static size_t collect_series(struct dist_push *push, uint32_t *partitions, size_t row,
                             bool exemplars_alone)
{
    const struct dist_batch *batch = push->request.batch;
    for (size_t i = 0; i < batch->series_count; i++) {
        const struct dist_series *series = &batch->series[i];
        if (series->refused || dist_series_is_empty(series) ||
            has_points(series) == exemplars_alone)
            continue;
        push->row_items[row] = (uint32_t)i;
        partitions[row++] = nx_series_id_partition(series->id, push->view->partitions);
    }
    return row;
}

static void collect_rows(struct dist_push *push, uint32_t *partitions)
{
    const struct dist_batch *batch = push->request.batch;
    size_t row = collect_series(push, partitions, 0, false);
    row = collect_series(push, partitions, row, true);
    push->series_rows = row;
    for (size_t i = 0; i < batch->metadata_count; i++) {
        if (batch->metadata[i].refused)
            continue;
        struct nx_label name = {.name = NX_LABEL_METRIC_NAME, .value = batch->metadata[i].metric};
        struct nx_series_id id =
            nx_series_id_of(push->request.tenant, (struct nx_labels){.items = &name, .count = 1});
        push->row_items[row] = (uint32_t)i;
        partitions[row++] = nx_series_id_partition(id, push->view->partitions);
    }
    push->row_count = row;
}

static bool takes_writes(const struct nx_member *member)
{
    return member->healthy && member->state != NX_MEMBER_LEFT &&
           member->state != NX_MEMBER_READONLY;
}

static const char *reason_of(const struct nx_member *member)
{
    return member->healthy ? "takes no writes" : member->problem;
}

/* Owners that do not exist, in a ring with fewer members than copies, fail. */
static size_t count_missing(struct dist_push *push, size_t row, size_t writers)
{
    uint32_t rf = push->view->rf;
    if (writers >= rf)
        return 0;
    for (size_t k = writers; k < rf && !push->quorum.motion; k++)
        dist_quorum_vote(&push->quorum, row, NX_PLACEMENT_NONE, DIST_VOTE_FAILED);
    dist_push_note_failure(push, "the ring", NX_ERR_UNAVAILABLE,
                           "has fewer members than the replication factor");
    return rf - writers;
}

/* One pass counts the rows of each member and lets the absent vote; `rows_of` then says how many.
 */
static void count_rows(struct dist_push *push, const uint32_t *partitions, uint32_t *rows_of)
{
    const struct nx_ring_view *view = push->view;
    struct nx_metrics *metrics = push->pusher->options.metrics;
    for (size_t m = 0; m < view->member_count; m++) {
        if (!takes_writes(&view->members[m]))
            rows_of[m] = SKIPPED;
    }
    size_t unhealthy = 0, missing = 0;
    for (size_t row = 0; row < push->row_count; row++) {
        size_t count;
        const uint16_t *writers = nx_ring_writers(view, partitions[row], &count);
        for (size_t k = 0; k < count; k++) {
            uint16_t m = writers[k];
            if (rows_of[m] != SKIPPED) {
                rows_of[m]++;
                continue;
            }
            dist_quorum_vote(&push->quorum, row, m, DIST_VOTE_FAILED);
            unhealthy++;
            dist_push_note_failure(push, view->members[m].name, NX_ERR_UNAVAILABLE,
                                   reason_of(&view->members[m]));
        }
        missing += count_missing(push, row, count);
    }
    nx_metric_add(metrics, DIST_METRIC_PUSH_SKIPPED, DIST_SKIP_UNHEALTHY, (double)unhealthy);
    nx_metric_add(metrics, DIST_METRIC_PUSH_SKIPPED, DIST_SKIP_MISSING, (double)missing);
}

static enum nx_err make_leg(struct dist_push *push, size_t member, size_t rows,
                            struct dist_leg *leg)
{
    const struct dist_peer *peer = &push->pusher->peers.items[member];
    *leg = (struct dist_leg){.push = push,
                             .position = (uint16_t)member,
                             .member = &push->view->members[member],
                             .name_hash = peer->name_hash,
                             .incarnation = peer->incarnation,
                             .life = peer->life,
                             .load = peer->load};
    leg->rows = nx_arena_array(&push->arena, rows, sizeof *leg->rows);
    leg->with_labels = nx_arena_array(&push->arena, rows, sizeof *leg->with_labels);
    leg->numbers = nx_arena_array(&push->arena, rows, sizeof *leg->numbers);
    return leg->rows && leg->with_labels && leg->numbers ? NX_OK : NX_ERR_NOMEM;
}

static enum nx_err make_legs(struct dist_push *push, const uint32_t *rows_of,
                             struct dist_leg **leg_of)
{
    size_t members = push->view->member_count;
    push->legs = nx_arena_array(&push->arena, members, sizeof *push->legs);
    if (!push->legs)
        return NX_ERR_NOMEM;
    for (size_t m = 0; m < members; m++) {
        if (rows_of[m] == 0 || rows_of[m] == SKIPPED)
            continue;
        leg_of[m] = &push->legs[push->leg_count];
        enum nx_err err = make_leg(push, m, rows_of[m], leg_of[m]);
        if (err)
            return err;
        push->leg_count++;
    }
    return NX_OK;
}

static void fill_legs(struct dist_push *push, const uint32_t *partitions, struct dist_leg **leg_of)
{
    const struct nx_ring_view *view = push->view;
    for (size_t row = 0; row < push->row_count; row++) {
        size_t count;
        const uint16_t *writers = nx_ring_writers(view, partitions[row], &count);
        for (size_t k = 0; k < count; k++) {
            struct dist_leg *leg = leg_of[writers[k]];
            if (!leg)
                continue;
            leg->rows[leg->row_count++] = (uint32_t)row;
            leg->series_count += row < push->series_rows;
        }
    }
}

/* While members come or go, who has stored a row matters. */
static enum nx_err follow_motion(struct dist_push *push, const uint32_t *partitions)
{
    if (!nx_ring_in_motion(push->view))
        return NX_OK;
    struct dist_row_motion *motion = nx_arena_calloc(&push->arena, push->row_count, sizeof *motion);
    if (!motion)
        return NX_ERR_NOMEM;
    for (size_t row = 0; row < push->row_count; row++)
        motion[row].partition = partitions[row];
    dist_quorum_in_motion(&push->quorum, push->view, motion);
    return NX_OK;
}

enum nx_err dist_push_route(struct dist_push *push)
{
    const struct dist_batch *batch = push->request.batch;
    const struct nx_ring_view *view = push->view;
    struct nx_arena *arena = &push->arena;
    size_t most = batch->series_count + batch->metadata_count;
    uint32_t *partitions = nx_arena_array(arena, most, sizeof *partitions);
    struct dist_row_votes *votes = nx_arena_calloc(arena, most, sizeof *votes);
    uint32_t *rows_of = nx_arena_calloc(arena, view->member_count, sizeof *rows_of);
    struct dist_leg **leg_of =
        nx_arena_calloc(arena, view->member_count, sizeof(struct dist_leg *));
    push->row_items = nx_arena_array(arena, most, sizeof *push->row_items);
    if (!partitions || !votes || !rows_of || !leg_of || !push->row_items)
        return NX_ERR_NOMEM;
    enum nx_err err = dist_peers_update(&push->pusher->peers, view);
    if (err)
        return err;
    collect_rows(push, partitions);
    dist_quorum_init(&push->quorum, votes, push->row_count, (uint8_t)view->rf,
                     (uint8_t)nx_ring_write_quorum(view));
    err = follow_motion(push, partitions);
    if (err)
        return err;
    count_rows(push, partitions, rows_of);
    err = make_legs(push, rows_of, leg_of);
    if (!err)
        fill_legs(push, partitions, leg_of);
    return err;
}
