/* Most chunks lie wholly inside or outside of a deletion and are never decoded. */
#include "common/chunk/cut.h"

static bool covers(const struct nx_interval *intervals, size_t count, int64_t t)
{
    for (size_t i = 0; i < count; i++)
        if (t >= intervals[i].min_t && t <= intervals[i].max_t)
            return true;
    return false;
}

static bool covers_all(const struct nx_chunk *chunk, const struct nx_interval *intervals,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (chunk->min_t >= intervals[i].min_t && chunk->max_t <= intervals[i].max_t)
            return true;
    return false;
}

static bool touches(const struct nx_chunk *chunk, const struct nx_interval *intervals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (chunk->min_t <= intervals[i].max_t && chunk->max_t >= intervals[i].min_t)
            return true;
    return false;
}

static enum nx_err append(struct nx_chunk_appender **app, struct nx_sample sample, bool after_gap)
{
    struct nx_histogram hinted;
    if (!*app) {
        enum nx_err err =
            nx_chunk_appender_new(sample.histogram ? NX_CHUNK_HISTOGRAM_RUN : NX_CHUNK_XOR, app);
        if (err != NX_OK)
            return err;
    }
    if (after_gap && sample.histogram && sample.histogram->hint != NX_HINT_GAUGE) {
        hinted = *sample.histogram;
        hinted.hint = NX_HINT_UNKNOWN;
        sample.histogram = &hinted;
    }
    return nx_chunk_append(*app, &sample);
}

static enum nx_err copy_rest(struct nx_sample_iter *it, const struct nx_interval *intervals,
                             size_t count, struct nx_chunk_appender **app)
{
    struct nx_sample sample;
    bool gap = false;
    int rc;
    while ((rc = nx_sample_next(it, &sample)) == 1) {
        if (covers(intervals, count, sample.t)) {
            gap = true;
            continue;
        }
        enum nx_err err = append(app, sample, gap);
        if (err != NX_OK)
            return err;
        gap = false;
    }
    return (enum nx_err)rc;
}

enum nx_err nx_chunk_cut(const struct nx_chunk *chunk, const struct nx_interval *intervals,
                         size_t count, struct nx_arena *arena, struct nx_chunk *out)
{
    struct nx_chunk result = *chunk;
    if (!touches(chunk, intervals, count)) {
        *out = result;
        return NX_OK;
    }
    if (covers_all(chunk, intervals, count)) {
        result.count = 0;
        *out = result;
        return NX_OK;
    }
    struct nx_chunk_appender *app = NULL;
    struct nx_sample_iter *it;
    enum nx_err err = nx_chunk_iter_new(chunk->encoding, chunk->data, &it);
    if (err != NX_OK)
        return err;
    err = copy_rest(it, intervals, count, &app);
    nx_sample_iter_free(it);
    if (err == NX_OK && !app) {
        result.count = 0;
    } else if (err == NX_OK) {
        result = nx_chunk_appender_chunk(app);
        if (result.count == chunk->count)
            result = *chunk;
        else
            result.data = nx_arena_copy(arena, result.data);
        if (!result.data.ptr)
            err = NX_ERR_NOMEM;
    }
    nx_chunk_appender_free(app);
    if (err == NX_OK)
        *out = result;
    return err;
}
