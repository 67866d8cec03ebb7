#include "distributor/push_quorum.h"

#include <assert.h>

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

void dist_quorum_vote(struct dist_quorum *quorum, size_t row, enum dist_vote vote)
{
    assert(row < quorum->count);
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
    if (votes->state != DIST_ROW_OPEN)
        return;
    enum dist_row_state state = decide(quorum, votes);
    if (state == DIST_ROW_OPEN)
        return;
    votes->state = (uint8_t)state;
    quorum->states[DIST_ROW_OPEN]--;
    quorum->states[state]++;
}

bool dist_quorum_settled(const struct dist_quorum *quorum)
{
    return quorum->states[DIST_ROW_OPEN] == 0 || quorum->states[DIST_ROW_UNREACHABLE] > 0;
}
