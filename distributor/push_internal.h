/* The parts of a push: push_route.c builds it (rows, legs), push_leg.c speaks to one ingester,
 * push.c decides. */
#ifndef DIST_PUSH_INTERNAL_H
#define DIST_PUSH_INTERNAL_H

#include "distributor/metrics.h"
#include "distributor/push.h"
#include "distributor/push_quorum.h"

enum { DIST_POOLED_BATCHES = 8, DIST_POOLED_BATCH_BYTES = 2 << 20 };

struct dist_pusher {
    struct dist_pusher_options options;
    struct dist_peers peers;
    struct dist_batch *pool[DIST_POOLED_BATCHES];
    size_t pooled;
    size_t in_flight;
};

/* An owner's refusal of (part of) a row; the first one heard for each row is kept. */
struct dist_row_refusal {
    uint32_t row;
    uint32_t samples;
    enum nx_err code;
    int64_t timestamp;
    struct nx_view text;
};

/* The call to one ingester: at most three, each for the rows that the one before did not know. */
struct dist_leg {
    struct dist_push *push;
    const struct nx_member *member; /* of push->view */
    uint16_t position;              /* of it */
    uint64_t name_hash;
    uint64_t incarnation; /* for which labels are left out */
    uint16_t life;
    struct dist_load *load;
    size_t charged_bytes;
    /* Series rows that go by their ids, those that go by their numbers, metadata rows. */
    uint32_t *rows;
    size_t row_count;
    size_t series_count;
    size_t by_id;      /* of the series rows, as last sent */
    bool *with_labels; /* a row by id */
    bool any_labels;
    uint32_t *numbers;  /* a series row; 0: by id. NULL: none has one */
    unsigned tries;     /* forms that are through: by number, by id as the cache has it, labels */
    bool needs_numbers; /* some row by id could have one */
    size_t samples;     /* and histograms, as last sent */
    uint64_t started_ns;
};

/* Rows 0..series_rows-1 stand for series, the rest for metadata entries: row_items says which. */
struct dist_push {
    struct dist_pusher *pusher;
    struct dist_push_request request; /* batch NULL once it was given back */
    struct nx_ring_view *view;
    struct nx_arena arena;
    struct dist_quorum quorum;
    uint32_t *row_items;
    size_t row_count, series_rows;
    struct dist_leg *legs;
    size_t leg_count;
    size_t legs_open;
    uint64_t started_ns, deadline_ns;
    bool starting;
    bool answered;
    struct dist_row_refusal *refusals;
    size_t refusal_count, refusal_capacity;
    uint32_t *refusal_of_row; /* position + 1; NULL while there is none */
    enum nx_err failure;      /* of the first owner that failed */
    struct nx_fail first_failure;
};

/* Finds rows and owners. Owners that cannot be asked have voted when it returns. */
enum nx_err dist_push_route(struct dist_push *push) NX_WARN_UNUSED;

/* --- push_form.c: how each row is sent --- */
/* By number, by id or with labels; brings the rows in that order. NX_ERR_NOMEM. */
enum nx_err dist_leg_choose_forms(struct dist_leg *leg) NX_WARN_UNUSED;
/* What the answer says of row i of the leg: `life` knows it, by that number (0: none said). */
void dist_leg_learn(struct dist_leg *leg, size_t i, uint16_t life, uint32_t number);
/* The life does not know row i in the form in which it was sent. */
void dist_leg_unlearn(struct dist_leg *leg, size_t i, uint16_t life);

/* Sends the leg; its end, also at once, is told by dist_push_leg_ended. */
void dist_leg_start(struct dist_leg *leg);

/* --- push.c, for the legs --- */
/* An owner failed: remembers the first for the answer's text. */
void dist_push_note_failure(struct dist_push *push, const char *member, enum nx_err err,
                            const char *text);
/* Keeps an ingester's refusal of a row. False without memory. */
bool dist_push_note_refusal(struct dist_push *push, const struct dist_row_refusal *refusal);
void dist_push_leg_ended(struct dist_push *push);
/* Some of a leg's rows have voted, the leg goes on with the others. */
void dist_push_leg_continues(struct dist_push *push);

static inline struct dist_series *dist_push_series(const struct dist_push *push, uint32_t row)
{
    return &push->request.batch->series[push->row_items[row]];
}

#endif
