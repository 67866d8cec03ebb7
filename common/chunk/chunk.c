/* What does not depend on the encoding. An appender allocates no data before its first sample,
 * starts with 32 bytes and grows by a quarter: capacity that is never used would be the greater
 * part of a head's memory if it doubled. */
#include "common/chunk/chunk.h"

#include "common/base/alloc.h"
#include "common/chunk/chunk_internal.h"
#include "common/chunk/column/column_chunk.h"

enum { FIRST_CAPACITY = 32, CAPACITY_STEP = 32 };

enum nx_err nx_chunk_appender_new(enum nx_chunk_encoding encoding, struct nx_chunk_appender **out)
{
    if (encoding != NX_CHUNK_XOR && encoding != NX_CHUNK_HISTOGRAM_RUN)
        return NX_ERR_INVALID;
    struct nx_chunk_appender *app = nx_calloc(1, sizeof *app);
    if (!app)
        return NX_ERR_NOMEM;
    app->encoding = (uint8_t)encoding;
    app->leading = NX_XOR_NO_WINDOW;
    *out = app;
    return NX_OK;
}

void nx_chunk_appender_free(struct nx_chunk_appender *app)
{
    if (!app)
        return;
    if (app->encoding == NX_CHUNK_HISTOGRAM_RUN)
        nx_run_state_free(app->run);
    nx_free(app->data);
    nx_free(app);
}

enum nx_err nx_chunk_reserve(struct nx_chunk_appender *app, size_t len)
{
    if (len <= app->capacity)
        return NX_OK;
    if (len > NX_CHUNK_MAX_BYTES)
        return NX_ERR_LIMIT;
    size_t target = app->capacity + app->capacity / 4;
    target = target > len ? target : len;
    target = (target + CAPACITY_STEP - 1) / CAPACITY_STEP * CAPACITY_STEP;
    uint8_t *grown = nx_realloc(app->data, target > FIRST_CAPACITY ? target : FIRST_CAPACITY);
    if (!grown)
        return NX_ERR_NOMEM;
    app->data = grown;
    app->capacity = (uint32_t)target;
    return NX_OK;
}

enum nx_err nx_chunk_append(struct nx_chunk_appender *app, const struct nx_sample *sample)
{
    if (app->count > 0 && sample->t <= app->last_t)
        return NX_ERR_INVALID;
    bool is_run = app->encoding == NX_CHUNK_HISTOGRAM_RUN;
    if (is_run != (sample->histogram != NULL))
        return NX_ERR_INVALID;
    if (app->count == NX_CHUNK_MAX_SAMPLES)
        return NX_ERR_LIMIT;
    return is_run ? nx_run_append(app, sample)
                  : nx_xor_append(app, sample->t, nx_double_bits(sample->value));
}

struct nx_chunk nx_chunk_appender_chunk(const struct nx_chunk_appender *app)
{
    return (struct nx_chunk){
        .encoding = (enum nx_chunk_encoding)app->encoding,
        .count = app->count,
        .min_t = app->min_t,
        .max_t = app->last_t,
        .data = app->count ? nx_view_make(app->data, app->len)
                           : nx_view_make("\0", NX_CHUNK_HEADER_BYTES),
    };
}

struct nx_sample nx_chunk_appender_last(const struct nx_chunk_appender *app)
{
    struct nx_sample last = {.t = app->last_t};
    if (app->encoding == NX_CHUNK_HISTOGRAM_RUN)
        last.histogram = app->run ? nx_run_state_last(app->run) : NULL;
    else
        last.value = nx_double_from_bits(app->value_bits);
    return last;
}

size_t nx_chunk_appender_memory_bytes(const struct nx_chunk_appender *app)
{
    size_t bytes = sizeof *app + app->capacity;
    if (app->encoding == NX_CHUNK_HISTOGRAM_RUN)
        bytes += nx_run_state_memory_bytes(app->run);
    return bytes;
}

enum nx_err nx_chunk_iter_new(enum nx_chunk_encoding encoding, struct nx_view data,
                              struct nx_sample_iter **out)
{
    switch (encoding) {
    case NX_CHUNK_XOR:
        return nx_xor_iter_new(data, out);
    case NX_CHUNK_HISTOGRAM_RUN:
        return nx_run_iter_new(data, out);
    case NX_CHUNK_COLUMN:
        return nx_column_iter_new(data, out);
    }
    return NX_ERR_INVALID;
}

enum nx_err nx_chunk_inspect(enum nx_chunk_encoding encoding, struct nx_view data,
                             struct nx_chunk *out)
{
    struct nx_sample_iter *it;
    enum nx_err err = nx_chunk_iter_new(encoding, data, &it);
    if (err != NX_OK)
        return err;
    struct nx_chunk chunk = {.encoding = encoding, .data = data};
    struct nx_sample sample;
    int got;
    while ((got = nx_sample_next(it, &sample)) > 0) {
        if (chunk.count++ == 0)
            chunk.min_t = sample.t;
        chunk.max_t = sample.t;
    }
    size_t left = 0; /* of a column: none, or the iterator has failed */
    if (encoding == NX_CHUNK_XOR)
        left = nx_xor_iter_left(it);
    else if (encoding == NX_CHUNK_HISTOGRAM_RUN)
        left = nx_run_iter_left(it);
    nx_sample_iter_free(it);
    if (got < 0)
        return (enum nx_err)got;
    if (left > 0)
        return NX_ERR_CORRUPT;
    *out = chunk;
    return NX_OK;
}
