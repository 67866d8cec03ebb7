/* A push taken apart: columns and per-row chains over the decoded message, which the shards share.
 */
#ifndef ING_PUSH_BATCH_H
#define ING_PUSH_BATCH_H

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/chunk/push_columns.h"
#include "common/labels/series_id.h"
#include "proto/internal.pb-c.h"

#define ING_ROW_NONE UINT32_MAX

/* Read-only for the shards but for `numbers`, of which each shard fills its rows. Rows by number
 * follow `rows`, which are by id. */
struct ing_batch {
    const Narthex__PushRequest *request;
    struct nx_view tenant;
    size_t rows;
    uint32_t *numbers; /* a row, 0 until its shard has given it one; NULL: not wanted */
    struct nx_push_columns numbered;
    struct nx_series_id *ids;
    uint32_t *sample_offsets; /* rows + 1 */
    uint32_t
        *first_histogram; /* a row's first, ING_ROW_NONE where it has none; NULL where none has */
    uint32_t *next_histogram;
    uint32_t *first_exemplar;
    uint32_t *next_exemplar;
};
/* Checks that the columns belong together; NX_ERR_INVALID with what does not. Memory of the arena.
 */
enum nx_err ing_batch_init(struct ing_batch *batch, const Narthex__PushRequest *request,
                           struct nx_arena *arena, struct nx_fail *fail) NX_WARN_UNUSED;
static inline struct nx_view ing_batch_labels(const struct ing_batch *batch, uint32_t row)
{
    if (batch->request->n_labels == 0)
        return (struct nx_view){0};
    const ProtobufCBinaryData *bytes = &batch->request->labels[row];
    return nx_view_make(bytes->data, bytes->len);
}

#endif
