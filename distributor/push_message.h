/* The messages of the push RPC (proto/internal.proto): the request is written by hand, column by
 * column, because it is the hot path; the answer, which is small, is read with protobuf-c. */
#ifndef DIST_PUSH_MESSAGE_H
#define DIST_PUSH_MESSAGE_H

#include "distributor/batch.h"
#include "proto/internal.pb-c.h"

/* One ingester's part of a batch. */
struct dist_push_part {
    struct nx_view tenant;
    const struct dist_batch *batch;
    const uint32_t *series; /* positions in batch->series: the rows that go by their ids */
    size_t series_count;
    const bool *with_labels; /* a row: send its canonical labels (which then are there) */
    bool any_labels;         /* of with_labels; false leaves the column out */
    bool want_numbers;
    const uint32_t *numbered; /* likewise, the rows that go by their numbers */
    uint32_t *numbers;        /* of them */
    size_t numbered_count;
    const uint32_t *metadata; /* positions in batch->metadata */
    size_t metadata_count;
    uint64_t incarnation;
};

/* Appends the PushRequest. NX_ERR_NOMEM, or the buffer's failure. `scratch` lends memory. */
enum nx_err dist_push_encode(struct nx_buf *out, const struct dist_push_part *part,
                             struct nx_arena *scratch) NX_WARN_UNUSED;

/* Reads an answer and checks that it speaks of rows below `rows` only, and gives numbers to all of
 * the first `by_id` or to none. NX_ERR_CORRUPT otherwise. Free with dist_push_answer_free. */
enum nx_err dist_push_answer_read(struct nx_view body, size_t rows, size_t by_id,
                                  Narthex__PushResponse **out) NX_WARN_UNUSED;
void dist_push_answer_free(Narthex__PushResponse *answer);

#endif
