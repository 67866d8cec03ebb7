#include "tests/sim/mutants.h"

#include "common/ring/placement.h"
#include "common/ring/ring.h"
#include "distributor/push_quorum.h"
#include "ingester/head/head.h"
#include "ingester/repair/pull_internal.h"
#include "querier/select/complete.h"
#include "querier/select/deletions.h"
#include "tests/sim/faults.h"
#include "tests/sim/sim.h"

#define BIT(fault) (1u << SIM_FAULT_##fault)
#define MOVES (BIT(JOIN) | BIT(LEAVE) | BIT(WIPE))

const struct sim_mutant_case sim_mutants[SIM_MUTANT_COUNT] = {
    [SIM_MUTANT_NONE] = {"none", SIM_FAULTS_ALL, false},
    [SIM_MUTANT_NO_SYNC] = {"no-sync", BIT(POWER), false},
    [SIM_MUTANT_NO_NAME_SYNC] = {"no-name-sync", BIT(POWER), false},
    [SIM_MUTANT_COUNT_FAILED] = {"count-failed", SIM_FAULTS_ALL, false},
    [SIM_MUTANT_ONE_COPY] = {"one-copy", SIM_FAULTS_ALL, true},
    [SIM_MUTANT_ANY_ANSWER] = {"any-answer", SIM_FAULTS_ALL, false},
    [SIM_MUTANT_TRUST_ALL] = {"trust-all", MOVES | BIT(KILL) | BIT(HANG) | BIT(ISOLATE), true},
    [SIM_MUTANT_TRUST_OLD] = {"trust-old", MOVES | BIT(KILL) | BIT(HANG) | BIT(ISOLATE), true},
    [SIM_MUTANT_SKIP_PULL] = {"skip-pull", SIM_FAULTS_ALL, false},
    [SIM_MUTANT_ONE_SIDE_MOVE] = {"one-side-move", MOVES | BIT(NET) | BIT(SLOW), true},
    [SIM_MUTANT_FORGET_DELETE] = {"forget-delete", BIT(CUT), true},
    [SIM_MUTANT_WRONG_VALUE] = {"wrong-value", SIM_FAULTS_ALL, false},
};

static enum sim_mutant active;

void sim_mutant_set(enum sim_mutant mutant)
{
    active = mutant;
}

bool sim_mutant_skips_sync(bool of_directory)
{
    return active == SIM_MUTANT_NO_SYNC || (active == SIM_MUTANT_NO_NAME_SYNC && of_directory);
}

/* --- the distributor's --- */

void __real_dist_quorum_init(struct dist_quorum *quorum, struct dist_row_votes *rows, size_t count,
                             uint8_t owners, uint8_t need);
void __wrap_dist_quorum_init(struct dist_quorum *quorum, struct dist_row_votes *rows, size_t count,
                             uint8_t owners, uint8_t need);
void __wrap_dist_quorum_init(struct dist_quorum *quorum, struct dist_row_votes *rows, size_t count,
                             uint8_t owners, uint8_t need)
{
    __real_dist_quorum_init(quorum, rows, count, owners, active == SIM_MUTANT_ONE_COPY ? 1 : need);
}

void __real_dist_quorum_vote(struct dist_quorum *quorum, size_t row, uint16_t member,
                             enum dist_vote vote);
void __wrap_dist_quorum_vote(struct dist_quorum *quorum, size_t row, uint16_t member,
                             enum dist_vote vote);
void __wrap_dist_quorum_vote(struct dist_quorum *quorum, size_t row, uint16_t member,
                             enum dist_vote vote)
{
    if (active == SIM_MUTANT_COUNT_FAILED && vote == DIST_VOTE_FAILED &&
        member != NX_PLACEMENT_NONE)
        vote = DIST_VOTE_STORED;
    __real_dist_quorum_vote(quorum, row, member, vote);
}

bool __real_nx_ring_is_stored(const struct nx_ring_view *view, uint32_t partition, uint64_t stored);
bool __wrap_nx_ring_is_stored(const struct nx_ring_view *view, uint32_t partition, uint64_t stored);
bool __wrap_nx_ring_is_stored(const struct nx_ring_view *view, uint32_t partition, uint64_t stored)
{
    uint32_t copies = (uint32_t)__builtin_popcountll(stored);
    if (active == SIM_MUTANT_ONE_COPY)
        return copies >= 1;
    if (active == SIM_MUTANT_ONE_SIDE_MOVE)
        return copies >= nx_ring_write_quorum(view);
    return __real_nx_ring_is_stored(view, partition, stored);
}

/* --- the querier's --- */

bool __real_qry_is_complete(const struct nx_ring_view *view, const bool *answered, uint32_t needed,
                            bool whole, uint32_t *missing);
bool __wrap_qry_is_complete(const struct nx_ring_view *view, const bool *answered, uint32_t needed,
                            bool whole, uint32_t *missing);
bool __wrap_qry_is_complete(const struct nx_ring_view *view, const bool *answered, uint32_t needed,
                            bool whole, uint32_t *missing)
{
    bool complete = __real_qry_is_complete(view, answered, needed, whole, missing);
    if (active != SIM_MUTANT_ANY_ANSWER || !whole)
        return complete;
    for (size_t i = 0; i < view->member_count; i++)
        complete = complete || answered[i];
    if (missing && complete)
        *missing = 0;
    return complete;
}

enum nx_err __real_qry_deletions_missing(const struct qry_deletions *deletions, size_t member,
                                         const struct qry_deletion ***out, size_t *count);
enum nx_err __wrap_qry_deletions_missing(const struct qry_deletions *deletions, size_t member,
                                         const struct qry_deletion ***out, size_t *count);
enum nx_err __wrap_qry_deletions_missing(const struct qry_deletions *deletions, size_t member,
                                         const struct qry_deletion ***out, size_t *count)
{
    enum nx_err err = __real_qry_deletions_missing(deletions, member, out, count);
    if (active == SIM_MUTANT_FORGET_DELETE && err == NX_OK)
        *count = 0;
    return err;
}

/* --- the ring's and the ingester's --- */

bool __real_nx_ring_is_whole(const struct nx_ring_view *view, size_t member, uint32_t partition);
bool __wrap_nx_ring_is_whole(const struct nx_ring_view *view, size_t member, uint32_t partition);
bool __wrap_nx_ring_is_whole(const struct nx_ring_view *view, size_t member, uint32_t partition)
{
    return active == SIM_MUTANT_TRUST_ALL || __real_nx_ring_is_whole(view, member, partition);
}

enum nx_err __real_nx_ring_set_whole(struct nx_ring *ring, uint32_t partition, bool whole);
enum nx_err __wrap_nx_ring_set_whole(struct nx_ring *ring, uint32_t partition, bool whole);
enum nx_err __wrap_nx_ring_set_whole(struct nx_ring *ring, uint32_t partition, bool whole)
{
    return __real_nx_ring_set_whole(ring, partition, whole || active == SIM_MUTANT_TRUST_OLD);
}

enum nx_err __real_ing_pull_write(struct ing_pull *pull);
enum nx_err __wrap_ing_pull_write(struct ing_pull *pull);
enum nx_err __wrap_ing_pull_write(struct ing_pull *pull)
{
    if (active != SIM_MUTANT_SKIP_PULL)
        return __real_ing_pull_write(pull);
    ing_pull_drop_frames(pull);
    return NX_OK;
}

enum nx_err __real_ing_head_append(struct ing_head *head, uint32_t ref,
                                   const struct nx_sample *sample, int64_t now_ms,
                                   enum ing_append_result *out);
enum nx_err __wrap_ing_head_append(struct ing_head *head, uint32_t ref,
                                   const struct nx_sample *sample, int64_t now_ms,
                                   enum ing_append_result *out);
enum nx_err __wrap_ing_head_append(struct ing_head *head, uint32_t ref,
                                   const struct nx_sample *sample, int64_t now_ms,
                                   enum ing_append_result *out)
{
    struct nx_sample changed = *sample;
    if (active == SIM_MUTANT_WRONG_VALUE && !sample->histogram && sim_chance(0.001))
        changed.value += 1;
    return __real_ing_head_append(head, ref, &changed, now_ms, out);
}
