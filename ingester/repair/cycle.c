/* Member by member: compare; learn deletions, if there are any this node does not know of; pull;
 * the next one. What a member holds that was compared or pulled this node holds as well. */
#include <string.h>

#include "common/base/alloc.h"
#include "ingester/repair/repair_internal.h"

#define COMPARE_TIMEOUT_MS 120000
#define PULL_TIMEOUT_MS 120000
#define TAKEN_ROWS_MAX 4000000u

static void next_member(struct ing_repair *repair);

static const struct nx_member *member_of(const struct ing_repair *repair)
{
    return &repair->peers.view->members[repair->at];
}

/* --- what was pulled before --- */

static struct ing_repair_taken *taken_of(struct ing_repair *repair)
{
    const struct nx_member *member = member_of(repair);
    for (size_t i = 0; i < repair->taken_count; i++) {
        struct ing_repair_taken *taken = &repair->taken[i];
        if (strcmp(taken->name, member->name) != 0)
            continue;
        if (taken->incarnation != member->incarnation) {
            ing_diffs_release(&taken->diffs);
            taken->incarnation = member->incarnation;
        }
        return taken;
    }
    struct ing_repair_taken taken = {.name = nx_strdup(member->name),
                                     .incarnation = member->incarnation};
    if (!taken.name || nx_grow(&repair->taken, &repair->taken_capacity, repair->taken_count + 1,
                               sizeof *repair->taken) != NX_OK) {
        nx_free(taken.name);
        return NULL;
    }
    repair->taken[repair->taken_count] = taken;
    return &repair->taken[repair->taken_count++];
}

/* Without memory for it, it is pulled again. */
static void remember(struct ing_repair *repair)
{
    struct ing_repair_taken *taken = taken_of(repair);
    size_t rows = 0;
    if (!taken)
        return;
    for (size_t i = 0; i < taken->diffs.count; i++)
        rows += taken->diffs.items[i].rows.count;
    if (rows > TAKEN_ROWS_MAX)
        ing_diffs_release(&taken->diffs);
    for (size_t i = 0; i < repair->compare.diffs.count; i++) {
        const struct ing_diff *from = &repair->compare.diffs.items[i];
        struct ing_diff *to;
        if (ing_diffs_get(&taken->diffs, from->tenant, &to) != NX_OK)
            return;
        for (size_t j = 0; j < from->rows.count; j++) {
            const struct ing_digest_row *row = &from->rows.rows[j];
            struct ing_digest *old = ing_digest_table_find(&to->rows, row->partition, row->window);
            if (old)
                *old = row->digest;
            else if (ing_digest_table_add(&to->rows, row->partition, row->window, row->digest) !=
                     NX_OK)
                return;
        }
    }
}

/* --- the end of a member --- */

static struct ing_repair_peer *seen_of(struct ing_repair *repair)
{
    const char *name = member_of(repair)->name;
    for (size_t i = 0; i < repair->seen_count; i++)
        if (strcmp(repair->seen[i].name, name) == 0)
            return &repair->seen[i];
    struct ing_repair_peer peer = {.name = nx_strdup(name)};
    if (!peer.name || nx_grow(&repair->seen, &repair->seen_capacity, repair->seen_count + 1,
                              sizeof *repair->seen) != NX_OK) {
        nx_free(peer.name);
        return NULL;
    }
    repair->seen[repair->seen_count] = peer;
    return &repair->seen[repair->seen_count++];
}

static void end_member(struct ing_repair *repair, enum nx_err err)
{
    struct ing_repair_peer *peer = seen_of(repair);
    if (peer) {
        peer->err = err;
        peer->compared_ms = nx_now_ms(repair->ing->deps.clock);
        peer->until = repair->until;
    }
    if (err != NX_OK) {
        repair->any_failed = true;
        nx_log(repair->ing->deps.log, NX_LOG_WARN, "repair: not compared",
               NX_S("member", member_of(repair)->name), NX_E(err));
    }
    ing_compare_release(&repair->compare);
    repair->at++;
    next_member(repair);
}

static void count_compared(struct ing_repair *repair, const uint8_t *bits)
{
    for (uint32_t p = 0; p < repair->peers.view->partitions; p++)
        repair->compared[p] = (uint8_t)(repair->compared[p] + ing_bit(bits, p));
}

/* --- pulling --- */

static void on_progress(struct ing_pull *pull, uint64_t bytes)
{
    struct ing_repair *repair = NX_OWNER(struct ing_repair, pull, pull);
    repair->pulled_bytes += bytes;
    nx_metric_add(repair->metrics, ING_R_PULLED_BYTES, 0, (double)bytes);
}

static void on_pulled(struct ing_pull *pull, enum nx_err err)
{
    struct ing_repair *repair = NX_OWNER(struct ing_repair, pull, pull);
    repair->pulling = false;
    repair->pulled_samples += pull->samples;
    repair->fresh = repair->fresh || pull->blocks > 0;
    repair->any_change = repair->any_change || pull->blocks > 0;
    nx_metric_add(repair->metrics, ING_R_PULLED_SAMPLES, 0, (double)pull->samples);
    nx_metric_add(repair->metrics, ING_R_BLOCKS, 0, (double)pull->blocks);
    nx_log(repair->ing->deps.log, NX_LOG_INFO, "repair: pulled",
           NX_S("member", member_of(repair)->name), NX_I("samples", pull->samples),
           NX_I("bytes", pull->bytes), NX_I("blocks", pull->blocks), NX_E(err));
    if (err == NX_ERR_LIMIT && repair->unit_samples > 1000)
        repair->unit_samples /= 4;
    if (err == NX_OK) {
        remember(repair);
        /* the whole of what differed, unless there was more than could be told at once */
        count_compared(repair, repair->compare.partial ? repair->compare.equal : repair->shared);
    }
    ing_pull_release(pull);
    end_member(repair, err);
}

static void pull(struct ing_repair *repair)
{
    repair->pulling = true;
    repair->pull = (struct ing_pull){
        .ing = repair->ing,
        .lane = repair->lane,
        .client = repair->client,
        .address = member_of(repair)->address,
        .diffs = &repair->compare.diffs,
        .until = repair->until,
        .bandwidth = repair->ing->deps.settings->repair_bandwidth,
        .unit_samples = repair->unit_samples,
        .timeout_ms = PULL_TIMEOUT_MS,
        .progress = on_progress,
        .done = on_pulled,
    };
    ing_pull_start(&repair->pull);
}

/* --- deletions --- */

static void on_deletions(struct ing_deletions *deletions, enum nx_err err)
{
    struct ing_repair *repair = NX_OWNER(struct ing_repair, deletions, deletions);
    size_t learnt = deletions->learnt;
    repair->deleting = false;
    ing_deletions_release(deletions);
    if (err != NX_OK) {
        end_member(repair, err);
    } else if (learnt > 0) {
        /* what is here has changed: it is compared anew in the next cycle */
        repair->any_change = true;
        repair->any_failed = true;
        repair->fresh = true;
        end_member(repair, NX_OK);
    } else {
        pull(repair);
    }
}

static void learn_deletions(struct ing_repair *repair)
{
    repair->deleting = true;
    repair->deletions = (struct ing_deletions){
        .ing = repair->ing,
        .client = repair->client,
        .peer = member_of(repair)->address,
        .own_address = repair->peers.view->members[repair->peers.self].address,
        .until = repair->until,
        .timeout_ms = COMPARE_TIMEOUT_MS,
        .done = on_deletions,
    };
    ing_deletions_start(&repair->deletions);
}

/* --- comparing --- */

static void on_compared(struct ing_compare *compare, enum nx_err err)
{
    struct ing_repair *repair = NX_OWNER(struct ing_repair, compare, compare);
    uint64_t windows = 0;
    repair->comparing = false;
    if (err == NX_OK)
        repair->fresh = false;
    for (size_t i = 0; i < compare->diffs.count; i++)
        windows += compare->diffs.items[i].rows.count;
    repair->differing += windows;
    repair->any_partial = repair->any_partial || compare->partial;
    repair->any_data = repair->any_data || compare->peer_has_data;
    struct ing_repair_peer *peer = seen_of(repair);
    if (peer)
        peer->windows = windows;
    if (err != NX_OK || repair->stopped) {
        end_member(repair, err != NX_OK ? err : NX_ERR_CANCELED);
    } else if (compare->deletions != compare->own_deletions) {
        learn_deletions(repair);
    } else if (windows > 0) {
        pull(repair);
    } else {
        count_compared(repair, repair->shared);
        end_member(repair, NX_OK);
    }
}

static void compare(struct ing_repair *repair)
{
    const struct ing_repair_taken *taken = taken_of(repair);
    static const struct ing_diffs none;
    repair->comparing = true;
    repair->compare = (struct ing_compare){
        .ing = repair->ing,
        .lane = repair->lane,
        .ledger = repair->ledger,
        .client = repair->client,
        .address = member_of(repair)->address,
        .partitions = repair->shared,
        .until = repair->until,
        .afresh = repair->fresh,
        .taken = taken ? &taken->diffs : &none,
        .timeout_ms = COMPARE_TIMEOUT_MS,
        .done = on_compared,
    };
    ing_compare_start(&repair->compare);
}

static void next_member(struct ing_repair *repair)
{
    const struct nx_ring_view *view = repair->peers.view;
    for (; repair->at < view->member_count && !repair->stopped; repair->at++) {
        const struct nx_member *member = &view->members[repair->at];
        if (repair->at == repair->peers.self ||
            !ing_peers_shared(&repair->peers, repair->at, repair->shared))
            continue;
        if (!member->healthy || member->incarnation == 0) {
            repair->any_failed = true;
            continue;
        }
        compare(repair);
        return;
    }
    ing_repair_cycle_done(repair);
}

void ing_repair_cycle(struct ing_repair *repair)
{
    uint32_t partitions = repair->peers.view->partitions;
    memset(repair->compared, 0, partitions);
    repair->at = 0;
    repair->differing = 0;
    repair->any_failed = repair->any_partial = repair->any_change = repair->any_data = false;
    repair->fresh = true;
    next_member(repair);
}

void ing_repair_cycle_cancel(struct ing_repair *repair)
{
    if (repair->comparing)
        ing_compare_cancel(&repair->compare);
    if (repair->deleting)
        ing_deletions_cancel(&repair->deletions);
    if (repair->pulling)
        ing_pull_cancel(&repair->pull);
}
