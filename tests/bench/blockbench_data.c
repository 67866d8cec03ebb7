#include "tests/bench/blockbench_data.h"

#include <snappy-c.h>
#include <zstd.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "distributor/receive/remote_write_v1.h"

enum { CHUNK_SAMPLES = 120, LABELS_MAX = 1000, FILE_MAX = 256 << 20 };

void bench_data_init(struct bench_data *data)
{
    *data = (struct bench_data){.min_t = INT64_MAX, .max_t = INT64_MIN};
    nx_arena_init(&data->arena, 0);
    nx_index_init(&data->index);
}

void bench_data_release(struct bench_data *data)
{
    for (size_t i = 0; i < data->count; i++) {
        nx_chunk_appender_free(data->series[i].open);
        nx_free(data->series[i].chunks);
    }
    nx_free(data->series);
    nx_index_release(&data->index);
    nx_arena_release(&data->arena);
}

static enum nx_err seal(struct bench_data *data, struct bench_series *series)
{
    if (!series->open)
        return NX_OK;
    enum nx_err err =
        nx_grow(&series->chunks, &series->capacity, series->count + 1, sizeof *series->chunks);
    if (err)
        return err;
    struct nx_chunk chunk = nx_chunk_appender_chunk(series->open);
    chunk.data = nx_arena_copy(&data->arena, chunk.data);
    if (!chunk.data.ptr)
        return NX_ERR_NOMEM;
    data->chunk_bytes += chunk.data.len;
    series->chunks[series->count++] = chunk;
    nx_chunk_appender_free(series->open);
    series->open = NULL;
    return NX_OK;
}

static enum nx_err append(struct bench_data *data, struct bench_series *series,
                          const struct nx_sample *sample)
{
    enum nx_chunk_encoding encoding = sample->histogram ? NX_CHUNK_HISTOGRAM_RUN : NX_CHUNK_XOR;
    enum nx_err err = NX_OK;
    if (series->open) {
        struct nx_chunk open = nx_chunk_appender_chunk(series->open);
        if (sample->t <= open.max_t)
            return NX_OK; /* repeated */
        if (open.count == CHUNK_SAMPLES || open.encoding != encoding)
            err = seal(data, series);
    }
    if (!err && !series->open)
        err = nx_chunk_appender_new(encoding, &series->open);
    if (!err)
        err = nx_chunk_append(series->open, sample);
    if (err)
        return err;
    data->samples++;
    data->histograms += sample->histogram != NULL;
    data->min_t = sample->t < data->min_t ? sample->t : data->min_t;
    data->max_t = sample->t > data->max_t ? sample->t : data->max_t;
    return NX_OK;
}

static bool same_id(uint32_t ref, const void *key, const void *user)
{
    const struct bench_data *data = user;
    const struct nx_series_id *id = key;
    return nx_series_id_eq(data->series[ref].id, *id);
}

static enum nx_err find(struct bench_data *data, const struct dist_batch *batch, struct nx_view raw,
                        struct nx_arena *arena, struct bench_series **out)
{
    struct nx_label *items;
    size_t count;
    struct nx_labels_builder builder;
    struct nx_labels labels;
    enum nx_err err = batch->format->read(batch, raw, arena, LABELS_MAX, &items, &count, NULL);
    if (err)
        return err;
    nx_labels_builder_init(&builder, arena, (struct nx_labels){0});
    for (size_t i = 0; i < count; i++)
        nx_labels_builder_set(&builder, items[i].name, items[i].value);
    err = nx_labels_builder_take(&builder, &labels);
    if (err)
        return err;
    struct nx_series_id id = nx_series_id_of(NX_VIEW("anonymous"), labels);
    uint32_t ref = nx_index_find(&data->index, id.lo, same_id, &id, data);
    if (ref == NX_INDEX_NONE) {
        err = nx_grow(&data->series, &data->capacity, data->count + 1, sizeof *data->series);
        if (!err)
            err = nx_index_insert(&data->index, id.lo, (uint32_t)data->count);
        if (err)
            return err;
        ref = (uint32_t)data->count++;
        data->series[ref] =
            (struct bench_series){.id = id, .labels = nx_labels_copy(&data->arena, labels)};
        if (labels.count > 0 && !data->series[ref].labels.items)
            return NX_ERR_NOMEM;
    }
    *out = &data->series[ref];
    return NX_OK;
}

static enum nx_err take_series(struct bench_data *data, const struct dist_batch *batch,
                               const struct dist_series *from, struct nx_arena *arena)
{
    struct bench_series *series;
    if (from->sample_count + from->histogram_count == 0)
        return NX_OK;
    enum nx_err err = find(data, batch, from->raw_labels, arena, &series);
    for (uint32_t i = 0; !err && i < from->sample_count; i++) {
        uint32_t at = from->first_sample + i;
        struct nx_sample sample = {.t = batch->timestamps[at],
                                   .value = nx_double_from_bits(batch->value_bits[at])};
        err = append(data, series, &sample);
    }
    for (uint32_t i = 0; !err && i < from->histogram_count; i++) {
        const struct dist_histogram *h = &batch->histograms[from->first_histogram + i];
        struct nx_sample sample = {.t = h->timestamp, .histogram = h->histogram};
        err = append(data, series, &sample);
    }
    return err;
}

static enum nx_err take_request(struct bench_data *data, struct nx_view body,
                                struct dist_batch *batch, struct nx_arena *arena)
{
    struct dist_decode_limits limits = {.max_series = SIZE_MAX, .max_samples = SIZE_MAX};
    dist_batch_clear(batch, SIZE_MAX);
    enum nx_err err = dist_rw1_decode(body, &limits, batch, NULL);
    for (size_t i = 0; !err && i < batch->series_count; i++) {
        nx_arena_clear(arena);
        err = take_series(data, batch, &batch->series[i], arena);
    }
    return err;
}

static enum nx_err seal_all(struct bench_data *data)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; !err && i < data->count; i++)
        err = seal(data, &data->series[i]);
    return err;
}

static enum nx_err unpack(const char *path, struct nx_buf *out)
{
    char *packed;
    size_t len;
    enum nx_err err = nx_file_read_all(path, FILE_MAX, &packed, &len);
    if (err)
        return err;
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {.src = packed, .size = len};
    while (!err && in.pos < in.size) {
        err = stream ? nx_buf_reserve(out, 1 << 20) : NX_ERR_NOMEM;
        if (err)
            break;
        ZSTD_outBuffer to = {.dst = out->data + out->len, .size = 1 << 20};
        if (ZSTD_isError(ZSTD_decompressStream(stream, &to, &in)))
            err = NX_ERR_CORRUPT;
        out->len += to.pos;
    }
    ZSTD_freeDStream(stream);
    nx_free(packed);
    return err;
}

static enum nx_err take_snappy(struct bench_data *data, struct nx_view packed,
                               struct dist_batch *batch, struct nx_arena *arena)
{
    size_t len;
    if (snappy_uncompressed_length(packed.ptr, packed.len, &len) != SNAPPY_OK || len > FILE_MAX)
        return NX_ERR_CORRUPT;
    char *body = nx_alloc(len);
    if (!body)
        return NX_ERR_NOMEM;
    enum nx_err err = NX_ERR_CORRUPT;
    if (snappy_uncompress(packed.ptr, packed.len, body, &len) == SNAPPY_OK)
        err = take_request(data, nx_view_make(body, len), batch, arena);
    nx_free(body);
    return err;
}

enum nx_err bench_data_read(struct bench_data *data, const char *path)
{
    struct nx_buf stream;
    struct dist_batch batch;
    struct nx_arena arena;
    nx_buf_init(&stream, SIZE_MAX / 4);
    nx_arena_init(&arena, 0);
    dist_batch_init(&batch);
    enum nx_err err = unpack(path, &stream);
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&stream));
    while (!err && nx_cursor_left(&cur) > 0) {
        struct nx_view packed = nx_cursor_take(&cur, nx_cursor_u32(&cur));
        err = nx_cursor_ok(&cur) ? take_snappy(data, packed, &batch, &arena) : NX_ERR_CORRUPT;
    }
    if (!err)
        err = seal_all(data);
    dist_batch_release(&batch);
    nx_arena_release(&arena);
    nx_buf_release(&stream);
    return err;
}

enum nx_err bench_data_make(struct bench_data *data, const struct load_options *options)
{
    struct load_template *template;
    struct dist_batch batch;
    struct nx_arena arena;
    struct nx_buf body;
    enum nx_err err = load_template_new(&template);
    if (err)
        return err;
    nx_arena_init(&arena, 0);
    dist_batch_init(&batch);
    nx_buf_init(&body, SIZE_MAX / 4);
    for (uint64_t scrape = 0; !err && scrape < options->scrapes; scrape++) {
        for (uint64_t i = 0; !err && i < load_batches(options); i++) {
            nx_buf_clear(&body);
            load_encode(template, options, i, scrape, &body);
            err = nx_buf_err(&body);
            if (!err)
                err = take_request(data, nx_buf_view(&body), &batch, &arena);
        }
    }
    if (!err)
        err = seal_all(data);
    dist_batch_release(&batch);
    nx_arena_release(&arena);
    nx_buf_release(&body);
    load_template_free(template);
    return err;
}
