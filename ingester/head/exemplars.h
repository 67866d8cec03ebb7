/* The newest exemplars of one tenant in one shard: a ring that forgets the oldest. They carry the
 * labels of their series with them, so that they outlive it. One thread. */
#ifndef ING_HEAD_EXEMPLARS_H
#define ING_HEAD_EXEMPLARS_H

#include "common/base/index.h"
#include "common/labels/series_id.h"

struct ing_exemplar {
    struct nx_series_id series;
    struct nx_view series_labels; /* encoded as labels.h has it */
    struct nx_view labels;        /* the exemplar's own, encoded */
    int64_t t;
    uint64_t value_bits;
};

struct ing_exemplars {
    struct ing_exemplar *items;
    size_t capacity;
    size_t max;
    size_t count;
    size_t next; /* where the next one goes once the ring is full */
    struct nx_index
        index; /* over all fields but the series' labels: what is sent twice is kept once */
};

void ing_exemplars_init(struct ing_exemplars *ring, size_t max);
void ing_exemplars_release(struct ing_exemplars *ring);
/* Copies the label bytes. *added is false where the same exemplar is there already, or max is 0. */
enum nx_err ing_exemplars_add(struct ing_exemplars *ring, const struct ing_exemplar *exemplar,
                              bool *added) NX_WARN_UNUSED;

#endif
