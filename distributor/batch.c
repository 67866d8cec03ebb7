/* The columns are heap arrays which stay with the batch from request to request, so that a steady
 * stream of requests allocates nothing. */
#include "distributor/batch.h"

#include <string.h>

#include "common/base/alloc.h"

void dist_batch_init(struct dist_batch *batch)
{
    memset(batch, 0, sizeof *batch);
    nx_arena_init(&batch->arena, 0);
}

static void free_columns(struct dist_batch *batch)
{
    nx_free(batch->series);
    nx_free(batch->timestamps);
    nx_free(batch->value_bits);
    nx_free(batch->histograms);
    nx_free(batch->exemplars);
    nx_free(batch->metadata);
}

void dist_batch_release(struct dist_batch *batch)
{
    dist_limits_release(&batch->limits);
    nx_free(batch->body);
    nx_arena_release(&batch->arena);
    free_columns(batch);
    memset(batch, 0, sizeof *batch);
}

static size_t column_bytes(const struct dist_batch *batch)
{
    return batch->series_capacity * sizeof *batch->series +
           batch->timestamp_capacity * sizeof *batch->timestamps +
           batch->value_capacity * sizeof *batch->value_bits +
           batch->histogram_capacity * sizeof *batch->histograms +
           batch->exemplar_capacity * sizeof *batch->exemplars +
           batch->metadata_capacity * sizeof *batch->metadata;
}

size_t dist_batch_memory_bytes(const struct dist_batch *batch)
{
    return batch->body_len + batch->arena.used_bytes + batch->series_count * sizeof *batch->series +
           batch->sample_count * (sizeof *batch->timestamps + sizeof *batch->value_bits) +
           batch->histogram_count * sizeof *batch->histograms +
           batch->exemplar_count * sizeof *batch->exemplars +
           batch->metadata_count * sizeof *batch->metadata;
}

void dist_batch_clear(struct dist_batch *batch, size_t keep_bytes)
{
    if (column_bytes(batch) + batch->arena.used_bytes > keep_bytes) {
        dist_batch_release(batch);
        dist_batch_init(batch);
        return;
    }
    dist_limits_release(&batch->limits);
    nx_free(batch->body);
    batch->body = NULL;
    batch->body_len = 0;
    nx_arena_clear(&batch->arena);
    batch->arena.max_bytes = 0;
    batch->series_count = 0;
    batch->sample_count = 0;
    batch->histogram_count = 0;
    batch->exemplar_count = 0;
    batch->metadata_count = 0;
    batch->symbols = NULL;
    batch->symbol_count = 0;
    batch->strict_exemplars = false;
}

enum nx_err dist_batch_add_series(struct dist_batch *batch, struct dist_series **out)
{
    if (batch->series_count == batch->series_capacity) {
        enum nx_err err = nx_grow(&batch->series, &batch->series_capacity, batch->series_count + 1,
                                  sizeof *batch->series);
        if (err)
            return err;
    }
    *out = &batch->series[batch->series_count++];
    memset(*out, 0, sizeof **out);
    (*out)->cache_ref = DIST_NO_REF;
    return NX_OK;
}

enum nx_err dist_batch_add_histogram(struct dist_batch *batch, struct dist_histogram **out)
{
    enum nx_err err = nx_grow(&batch->histograms, &batch->histogram_capacity,
                              batch->histogram_count + 1, sizeof *batch->histograms);
    if (err)
        return err;
    *out = &batch->histograms[batch->histogram_count++];
    memset(*out, 0, sizeof **out);
    return NX_OK;
}

enum nx_err dist_batch_add_exemplar(struct dist_batch *batch, struct dist_exemplar **out)
{
    enum nx_err err = nx_grow(&batch->exemplars, &batch->exemplar_capacity,
                              batch->exemplar_count + 1, sizeof *batch->exemplars);
    if (err)
        return err;
    *out = &batch->exemplars[batch->exemplar_count++];
    memset(*out, 0, sizeof **out);
    return NX_OK;
}

enum nx_err dist_batch_add_metadata(struct dist_batch *batch, struct dist_metadata **out)
{
    enum nx_err err = nx_grow(&batch->metadata, &batch->metadata_capacity,
                              batch->metadata_count + 1, sizeof *batch->metadata);
    if (err)
        return err;
    *out = &batch->metadata[batch->metadata_count++];
    memset(*out, 0, sizeof **out);
    (*out)->metric = (*out)->help = (*out)->unit = NX_VIEW("");
    return NX_OK;
}

enum nx_err dist_batch_add_sample(struct dist_batch *batch, int64_t timestamp, uint64_t value_bits)
{
    size_t need = batch->sample_count + 1;
    if (need > batch->timestamp_capacity || need > batch->value_capacity) {
        enum nx_err err = nx_grow(&batch->timestamps, &batch->timestamp_capacity, need,
                                  sizeof *batch->timestamps);
        if (!err)
            err = nx_grow(&batch->value_bits, &batch->value_capacity, need,
                          sizeof *batch->value_bits);
        if (err)
            return err;
    }
    batch->timestamps[batch->sample_count] = timestamp;
    batch->value_bits[batch->sample_count++] = value_bits;
    return NX_OK;
}
