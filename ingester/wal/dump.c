/* Records are ended at a size and where the tenant changes; empty ones are not begun. */
#include "ingester/wal/dump.h"

#include "common/base/alloc.h"
#include "common/chunk/histogram_codec.h"
#include "common/chunk/merge.h"

/* A record of entries of one tenant, begun with the first entry. */
struct open_record {
    struct ing_record_writer writer;
    struct nx_buf *out;
    uint64_t nonce;
    enum ing_record_type type;
    const struct ing_tenant *tenant; /* NULL: types without one */
    bool open;
};

static void record_close(struct open_record *record)
{
    if (record->open)
        ing_record_end(&record->writer);
    record->open = false;
}

static void record_for(struct open_record *record, const struct ing_tenant *tenant)
{
    if (record->open && record->tenant == tenant &&
        ing_record_len(&record->writer) < ING_RECORD_SPLIT_BYTES)
        return;
    record_close(record);
    ing_record_begin(&record->writer, record->out, record->nonce, record->type);
    if (tenant)
        nx_buf_put_bytes(record->out, tenant->name);
    record->tenant = tenant;
    record->open = true;
}

void ing_dump_series(const struct ing_head *head, uint32_t from, uint32_t to, uint64_t nonce,
                     struct nx_buf *out)
{
    struct open_record record = {.out = out, .nonce = nonce, .type = ING_RECORD_SERIES};
    struct nx_buf labels;
    nx_buf_init(&labels, SIZE_MAX / 4);
    for (uint32_t ref = from; ref < to && ref < head->series_end; ref++) {
        const struct ing_series *series = ing_head_series(head, ref);
        if (!ing_series_live(series) || series->log_ref == 0)
            continue;
        nx_buf_clear(&labels);
        ing_head_encode_labels(head, series, &labels);
        if (nx_buf_err(&labels) != NX_OK)
            out->err = nx_buf_err(&labels);
        record_for(&record, head->tenants[series->tenant]);
        struct ing_series_entry entry = {
            .log_ref = series->log_ref, .id = series->id, .labels = nx_buf_view(&labels)};
        ing_series_entry_put(out, &entry);
    }
    record_close(&record);
    nx_buf_release(&labels);
}

struct sample_dump {
    struct ing_sample_row *rows; /* ING_RECORD_MAX_SAMPLES */
    size_t count;
    struct open_record histograms;
    struct nx_buf histogram;
    struct nx_buf *out;
    uint64_t nonce;
};

static void rows_flush(struct sample_dump *dump)
{
    if (dump->count == 0)
        return;
    struct ing_record_writer writer;
    ing_record_begin(&writer, dump->out, dump->nonce, ING_RECORD_SAMPLES);
    ing_sample_rows_put(dump->out, dump->rows, dump->count);
    ing_record_end(&writer);
    dump->count = 0;
}

/* Floats and histograms of a series go to different records; replay takes them in any order, within
 * the out-of-order rule: each kind's rows are flushed when the other kind comes. */
static void sample_put(struct sample_dump *dump, uint64_t log_ref, const struct nx_sample *sample)
{
    if (!sample->histogram) {
        record_close(&dump->histograms);
        if (dump->count == ING_RECORD_MAX_SAMPLES)
            rows_flush(dump);
        dump->rows[dump->count++] = (struct ing_sample_row){
            .log_ref = log_ref, .t = sample->t, .bits = nx_double_bits(sample->value)};
        return;
    }
    rows_flush(dump);
    nx_buf_clear(&dump->histogram);
    enum nx_err err = nx_histogram_encode(&dump->histogram, sample->histogram);
    if (err != NX_OK) {
        dump->out->err = err;
        return;
    }
    record_for(&dump->histograms, NULL);
    struct ing_histogram_entry entry = {
        .log_ref = log_ref, .t = sample->t, .histogram = nx_buf_view(&dump->histogram)};
    ing_histogram_entry_put(dump->out, &entry);
}

static enum nx_err dump_one(struct sample_dump *dump, const struct ing_head *head,
                            const struct ing_series *series)
{
    struct ing_sealed_list list = {0};
    struct nx_chunk *chunks = NULL;
    struct nx_sample_iter *it = NULL;
    enum nx_err err = ing_series_read(&head->pool, series, INT64_MIN, INT64_MAX, &list);
    if (err == NX_OK)
        err = ing_sealed_list_load(&list, INT64_MIN, INT64_MAX);
    if (err != NX_OK || ing_sealed_list_is_empty(&list))
        goto done;
    chunks = nx_alloc_array(list.count, sizeof *chunks);
    err = chunks ? NX_OK : NX_ERR_NOMEM;
    for (uint32_t i = 0; chunks && i < list.count; i++)
        chunks[i] = ing_sealed_chunk(list.items[i]);
    if (err == NX_OK)
        err = nx_chunks_iter_new(chunks, list.count, INT64_MIN, INT64_MAX, &it);
    int rc = err;
    struct nx_sample sample;
    while (rc == NX_OK && (rc = nx_sample_next(it, &sample)) == 1) {
        sample_put(dump, series->log_ref, &sample);
        rc = nx_buf_err(dump->out);
    }
    err = (enum nx_err)rc;
done:
    nx_sample_iter_free(it);
    nx_free(chunks);
    ing_sealed_list_release(&list);
    return err;
}

enum nx_err ing_dump_samples(const struct ing_head *head, uint32_t from, uint32_t to,
                             uint64_t nonce, struct nx_buf *out)
{
    struct sample_dump dump = {.out = out, .nonce = nonce};
    dump.histograms =
        (struct open_record){.out = out, .nonce = nonce, .type = ING_RECORD_HISTOGRAMS};
    nx_buf_init(&dump.histogram, SIZE_MAX / 4);
    dump.rows = nx_alloc_array(ING_RECORD_MAX_SAMPLES, sizeof *dump.rows);
    enum nx_err err = dump.rows ? NX_OK : NX_ERR_NOMEM;
    for (uint32_t ref = from; err == NX_OK && ref < to && ref < head->series_end; ref++) {
        const struct ing_series *series = ing_head_series(head, ref);
        if (ing_series_live(series) && series->log_ref > 0)
            err = dump_one(&dump, head, series);
    }
    if (err == NX_OK) {
        rows_flush(&dump);
        record_close(&dump.histograms);
        err = nx_buf_err(out);
    }
    nx_free(dump.rows);
    nx_buf_release(&dump.histogram);
    return err;
}

void ing_dump_extras(const struct ing_tenant *tenant, uint64_t nonce, struct nx_buf *out)
{
    struct open_record record = {.out = out, .nonce = nonce, .type = ING_RECORD_METADATA};
    for (size_t i = 0; i < tenant->metadata.count; i++) {
        const struct ing_metadata *item = &tenant->metadata.items[i];
        record_for(&record, tenant);
        struct ing_metadata_entry entry = {
            .metric = item->metric, .help = item->help, .unit = item->unit, .type = item->type};
        ing_metadata_entry_put(out, &entry);
    }
    record_close(&record);
    record.type = ING_RECORD_EXEMPLARS;
    const struct ing_exemplars *ring = &tenant->exemplars;
    for (size_t i = 0; i < ring->count; i++) {
        const struct ing_exemplar *item = &ring->items[(ring->next + i) % ring->count];
        record_for(&record, tenant);
        struct ing_exemplar_entry entry = {.id = item->series,
                                           .series_labels = item->series_labels,
                                           .labels = item->labels,
                                           .t = item->t,
                                           .value_bits = item->value_bits};
        ing_exemplar_entry_put(out, &entry);
    }
    record_close(&record);
}
