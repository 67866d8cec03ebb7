/* What a request claims is checked here, once, before any shard sees it: counts add up, and rows
 * that are named are there. */
#include "ingester/push_batch.h"

static enum nx_err read_ids(struct ing_batch *batch, struct nx_arena *arena)
{
    const ProtobufCBinaryData *bytes = &batch->request->series_ids;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(bytes->data, bytes->len));
    batch->ids = nx_arena_array(arena, batch->rows, sizeof *batch->ids);
    batch->sample_offsets = nx_arena_array(arena, batch->rows + 1, sizeof *batch->sample_offsets);
    if (!batch->ids || !batch->sample_offsets)
        return NX_ERR_NOMEM;
    uint64_t offset = 0;
    for (size_t i = 0; i < batch->rows; i++) {
        batch->ids[i] = nx_series_id_read(&cur);
        batch->sample_offsets[i] = (uint32_t)offset;
        offset += batch->request->sample_counts[i];
        if (offset > batch->request->n_timestamps)
            return NX_ERR_INVALID;
    }
    batch->sample_offsets[batch->rows] = (uint32_t)offset;
    return offset == batch->request->n_timestamps ? NX_OK : NX_ERR_INVALID;
}

static enum nx_err chains_new(const struct ing_batch *batch, struct nx_arena *arena, size_t count,
                              uint32_t **first, uint32_t **next)
{
    *first = nx_arena_array(arena, batch->rows, sizeof **first);
    *next = nx_arena_array(arena, count, sizeof **next);
    if (!*first || !*next)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < batch->rows; i++)
        (*first)[i] = ING_ROW_NONE;
    return NX_OK;
}

/* Backwards, so that the chains are in the order of the message. */
static enum nx_err chain_rows(struct ing_batch *batch, struct nx_arena *arena)
{
    const Narthex__PushRequest *request = batch->request;
    enum nx_err err;
    if (request->n_histograms > 0) {
        err = chains_new(batch, arena, request->n_histograms, &batch->first_histogram,
                         &batch->next_histogram);
        if (err != NX_OK)
            return err;
    }
    for (size_t i = request->n_histograms; i-- > 0;) {
        uint32_t row = request->histograms[i]->series;
        if (row >= batch->rows)
            return NX_ERR_INVALID;
        batch->next_histogram[i] = batch->first_histogram[row];
        batch->first_histogram[row] = (uint32_t)i;
    }
    if (request->n_exemplars > 0) {
        err = chains_new(batch, arena, request->n_exemplars, &batch->first_exemplar,
                         &batch->next_exemplar);
        if (err != NX_OK)
            return err;
    }
    for (size_t i = request->n_exemplars; i-- > 0;) {
        uint32_t row = request->exemplars[i]->series;
        if (row >= batch->rows)
            return NX_ERR_INVALID;
        batch->next_exemplar[i] = batch->first_exemplar[row];
        batch->first_exemplar[row] = (uint32_t)i;
    }
    return NX_OK;
}

static enum nx_err read_numbered(struct ing_batch *batch, struct nx_arena *arena)
{
    const Narthex__PushRequest *request = batch->request;
    if (request->want_numbers) {
        batch->numbers = nx_arena_calloc(arena, batch->rows, sizeof *batch->numbers);
        if (!batch->numbers)
            return NX_ERR_NOMEM;
    }
    if (request->numbered.len == 0)
        return NX_OK;
    return nx_push_columns_read(nx_view_make(request->numbered.data, request->numbered.len), arena,
                                &batch->numbered);
}

enum nx_err ing_batch_init(struct ing_batch *batch, const Narthex__PushRequest *request,
                           struct nx_arena *arena, struct nx_fail *fail)
{
    *batch = (struct ing_batch){.request = request,
                                .tenant = nx_view_of(request->tenant),
                                .rows = request->series_ids.len / NX_SERIES_ID_BYTES};
    if (batch->tenant.len == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "push: no tenant");
    if (request->series_ids.len % NX_SERIES_ID_BYTES != 0 || batch->rows >= ING_ROW_NONE ||
        (request->n_labels != batch->rows && request->n_labels != 0) ||
        request->n_sample_counts != batch->rows || request->n_timestamps != request->n_value_bits ||
        request->n_timestamps >= UINT32_MAX || request->n_histograms >= ING_ROW_NONE ||
        request->n_exemplars >= ING_ROW_NONE)
        return nx_fail_set(fail, NX_ERR_INVALID, "push: columns differ in length");
    enum nx_err err = read_ids(batch, arena);
    if (err == NX_ERR_INVALID)
        return nx_fail_set(fail, err, "push: sample counts do not add up to the samples");
    if (err == NX_OK)
        err = chain_rows(batch, arena);
    if (err == NX_ERR_INVALID)
        return nx_fail_set(fail, err, "push: a histogram or exemplar of a row that is not there");
    if (err == NX_OK)
        err = read_numbered(batch, arena);
    if (err == NX_ERR_INVALID)
        return nx_fail_set(fail, err, "push: malformed rows by number");
    return err;
}
