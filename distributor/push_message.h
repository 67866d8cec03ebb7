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
    const uint32_t *series; /* positions in batch->series: the rows */
    size_t series_count;
    const bool *with_labels;  /* a row: send its canonical labels (which then are there) */
    bool any_labels;          /* of with_labels; false leaves the column out */
    const uint32_t *metadata; /* positions in batch->metadata */
    size_t metadata_count;
    uint64_t incarnation;
};

/* Appends the PushRequest. Failure (memory, the buffer's cap) is the buffer's to tell. */
void dist_push_encode(struct nx_buf *out, const struct dist_push_part *part);

/* Reads an answer and checks that it speaks of rows below `rows` only. NX_ERR_CORRUPT otherwise.
 * Free with dist_push_answer_free. */
enum nx_err dist_push_answer_read(struct nx_view body, size_t rows,
                                  Narthex__PushResponse **out) NX_WARN_UNUSED;
void dist_push_answer_free(Narthex__PushResponse *answer);

#endif
