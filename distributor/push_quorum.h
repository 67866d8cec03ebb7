/* Counts the votes of owners for the rows of one push, and decides each row: a pure state machine,
 * without network and time.
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

struct dist_quorum {
    struct dist_row_votes *rows; /* of the caller, zeroed */
    size_t count;
    uint8_t owners;                          /* votes a row gets in all: the replication factor */
    uint8_t need;                            /* a majority of them */
    size_t states[DIST_ROW_UNREACHABLE + 1]; /* rows in each state */
};

void dist_quorum_init(struct dist_quorum *quorum, struct dist_row_votes *rows, size_t count,
                      uint8_t owners, uint8_t need);
/* One owner's vote; votes beyond `owners` are a programmer's error. A row once decided stays so. */
void dist_quorum_vote(struct dist_quorum *quorum, size_t row, enum dist_vote vote);
/* Nothing is open, or some row is unreachable. */
bool dist_quorum_settled(const struct dist_quorum *quorum);

#endif
