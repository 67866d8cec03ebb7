/* Counts the votes of owners for the rows of one push, and decides each row: a pure state machine,
 * without network and time.
 *
 * While members come or go, the votes are those of a partition's writers, and it counts who stored
 * a row, not only how many: "a majority" below then is what nx_ring_is_stored says.
 *
 * A row is stored when a majority of its owners has stored it. It is refused when so many owners
 * refuse it that no majority can store it, or when all have spoken, a majority of them answered,
 * and a refusal is what keeps it from being stored: asking again would not change that. It is
 * unreachable when neither can come about any more; asking again may help. */
#ifndef DIST_PUSH_QUORUM_H
#define DIST_PUSH_QUORUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dist_row_state { DIST_ROW_OPEN, DIST_ROW_STORED, DIST_ROW_REFUSED, DIST_ROW_UNREACHABLE };
enum dist_vote { DIST_VOTE_STORED, DIST_VOTE_REFUSED, DIST_VOTE_FAILED };

struct dist_row_votes {
    uint8_t stored, refused, failed;
    uint8_t state; /* enum dist_row_state */
};

/* Who voted what for a row: bits by position among the writers of its partition. */
struct dist_row_motion {
    uint64_t stored, refused, failed;
    uint32_t partition;
};

struct nx_ring_view;

struct dist_quorum {
    struct dist_row_votes *rows; /* of the caller, zeroed */
    size_t count;
    const struct nx_ring_view *view;         /* where members come or go, else NULL */
    struct dist_row_motion *motion;          /* likewise, a row each */
    uint8_t owners;                          /* votes a row gets in all: the replication factor */
    uint8_t need;                            /* a majority of them */
    size_t states[DIST_ROW_UNREACHABLE + 1]; /* rows in each state */
};

void dist_quorum_init(struct dist_quorum *quorum, struct dist_row_votes *rows, size_t count,
                      uint8_t owners, uint8_t need);
/* Before the first vote, of a view in motion: rows[i].partition is set, the rest zero. Rows that
 * have too few writers are decided at once. */
void dist_quorum_in_motion(struct dist_quorum *quorum, const struct nx_ring_view *view,
                           struct dist_row_motion *rows);
/* One owner's vote (a position in the view; without motion it is not looked at); votes beyond
 * `owners` are a programmer's error. A row once decided stays so. */
void dist_quorum_vote(struct dist_quorum *quorum, size_t row, uint16_t member, enum dist_vote vote);
/* Nothing is open, or some row is unreachable. */
bool dist_quorum_settled(const struct dist_quorum *quorum);

#endif
