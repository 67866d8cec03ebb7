#include "distributor/push_quorum.h"

#include <assert.h>

#include "common/ring/ring.h"

void dist_quorum_init(struct dist_quorum *quorum, struct dist_row_votes *rows, size_t count,
                      uint8_t owners, uint8_t need)
{
    assert(need > 0 && need <= owners);
    *quorum = (struct dist_quorum){.rows = rows, .count = count, .owners = owners, .need = need};
    quorum->states[DIST_ROW_OPEN] = count;
}

static enum dist_row_state decide(const struct dist_quorum *quorum,
                                  const struct dist_row_votes *row)
{
    unsigned spare = (unsigned)quorum->owners - quorum->need; /* owners a majority can do without */
    unsigned voted = (unsigned)row->stored + row->refused + row->failed;
    unsigned pending = quorum->owners - voted;
    if (row->stored >= quorum->need)
        return DIST_ROW_STORED;
    if (row->refused > spare)
        return DIST_ROW_REFUSED;
    if (pending == 0 && row->refused > 0 && row->stored + row->refused >= quorum->need)
        return DIST_ROW_REFUSED;
    if (row->failed > spare || pending == 0)
        return DIST_ROW_UNREACHABLE;
    return DIST_ROW_OPEN;
}

static void settle(struct dist_quorum *quorum, struct dist_row_votes *votes,
                   enum dist_row_state state)
{
    if (votes->state != DIST_ROW_OPEN || state == DIST_ROW_OPEN)
        return;
    votes->state = (uint8_t)state;
    quorum->states[DIST_ROW_OPEN]--;
    quorum->states[state]++;
}

/* --- members on the move --- */

static enum dist_row_state decide_in_motion(const struct dist_quorum *quorum,
                                            const struct dist_row_motion *row, size_t writers)
{
    const struct nx_ring_view *view = quorum->view;
    uint64_t all = writers < 64 ? (UINT64_C(1) << writers) - 1 : UINT64_MAX;
    bool pending = (row->stored | row->refused | row->failed) != all;
    if (nx_ring_is_stored(view, row->partition, row->stored))
        return DIST_ROW_STORED;
    if (row->refused && !nx_ring_is_stored(view, row->partition, all & ~row->refused) &&
        nx_ring_is_stored(view, row->partition, all))
        return DIST_ROW_REFUSED;
    if (!pending && row->refused &&
        nx_ring_is_stored(view, row->partition, row->stored | row->refused))
        return DIST_ROW_REFUSED;
    if (!pending || !nx_ring_is_stored(view, row->partition, all & ~row->failed))
        return DIST_ROW_UNREACHABLE;
    return DIST_ROW_OPEN;
}

void dist_quorum_in_motion(struct dist_quorum *quorum, const struct nx_ring_view *view,
                           struct dist_row_motion *rows)
{
    quorum->view = view;
    quorum->motion = rows;
    for (size_t i = 0; i < quorum->count; i++) {
        size_t writers;
        (void)nx_ring_writers(view, rows[i].partition, &writers);
        settle(quorum, &quorum->rows[i], decide_in_motion(quorum, &rows[i], writers));
    }
}

static void vote_in_motion(struct dist_quorum *quorum, size_t row, uint16_t member,
                           enum dist_vote vote)
{
    struct dist_row_motion *motion = &quorum->motion[row];
    size_t count;
    const uint16_t *writers = nx_ring_writers(quorum->view, motion->partition, &count);
    size_t at = 0;
    while (at < count && writers[at] != member)
        at++;
    assert(at < count);
    uint64_t bit = UINT64_C(1) << at;
    assert(!((motion->stored | motion->refused | motion->failed) & bit));
    motion->stored |= vote == DIST_VOTE_STORED ? bit : 0;
    motion->refused |= vote == DIST_VOTE_REFUSED ? bit : 0;
    motion->failed |= vote == DIST_VOTE_FAILED ? bit : 0;
    if (quorum->rows[row].state == DIST_ROW_OPEN)
        settle(quorum, &quorum->rows[row], decide_in_motion(quorum, motion, count));
}

void dist_quorum_vote(struct dist_quorum *quorum, size_t row, uint16_t member, enum dist_vote vote)
{
    assert(row < quorum->count);
    if (quorum->motion) {
        vote_in_motion(quorum, row, member, vote);
        return;
    }
    struct dist_row_votes *votes = &quorum->rows[row];
    assert(votes->stored + votes->refused + votes->failed < quorum->owners);
    switch (vote) {
    case DIST_VOTE_STORED:
        votes->stored++;
        break;
    case DIST_VOTE_REFUSED:
        votes->refused++;
        break;
    case DIST_VOTE_FAILED:
        votes->failed++;
        break;
    }
    if (votes->state == DIST_ROW_OPEN)
        settle(quorum, votes, decide(quorum, votes));
}

bool dist_quorum_settled(const struct dist_quorum *quorum)
{
    return quorum->states[DIST_ROW_OPEN] == 0 || quorum->states[DIST_ROW_UNREACHABLE] > 0;
}
