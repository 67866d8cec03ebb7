/* All scratch memory a part can need is taken before its first sample goes in, and the records of
 * what went in are written at the end even when memory runs out on the way: nothing is ever in the
 * head without being in the log, because a sender who repeats it would be told that it is stored.
 */
#include "ingester/apply.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/chunk/histogram_codec.h"

#define LABELS_MAX 65536u
#define EXEMPLAR_LABELS_MAX 128u

void ing_store_init(struct ing_store *store, struct ing_head *head, uint64_t next_log_ref)
{
    *store = (struct ing_store){.head = head, .next_log_ref = next_log_ref};
    ing_book_init(&store->book);
    nx_arena_init(&store->arena, 0);
}

void ing_store_release(struct ing_store *store)
{
    ing_book_release(&store->book);
    nx_arena_release(&store->arena);
    nx_free(store->rows);
    nx_free(store->created);
    nx_free(store->histograms);
    nx_free(store->exemplars);
}

/* --- room --- */

static size_t exemplars_bound(const struct ing_store *store, const struct ing_batch *batch,
                              uint32_t row, size_t *count)
{
    if (!batch->first_exemplar || batch->first_exemplar[row] == ING_ROW_NONE)
        return 0;
    size_t labels = ing_batch_labels(batch, row).len;
    uint32_t ref = ing_head_find(store->head, batch->ids[row]);
    if (ref != ING_REF_NONE) {
        size_t known = ing_head_labels_bound(store->head, ing_head_series(store->head, ref));
        labels = known > labels ? known : labels;
    }
    size_t bytes = 0;
    for (uint32_t i = batch->first_exemplar[row]; i != ING_ROW_NONE; i = batch->next_exemplar[i]) {
        bytes += labels + batch->request->exemplars[i]->labels.len + 64;
        *count += 1;
    }
    return bytes;
}

static size_t histograms_bound(const struct ing_batch *batch, uint32_t row, size_t *count)
{
    size_t bytes = 0;
    if (!batch->first_histogram)
        return 0;
    for (uint32_t i = batch->first_histogram[row]; i != ING_ROW_NONE;
         i = batch->next_histogram[i]) {
        bytes += batch->request->histograms[i]->histogram.len + 32;
        *count += 1;
    }
    return bytes;
}

static size_t row_samples(const struct ing_batch *batch, uint32_t row)
{
    return batch->sample_offsets[row + 1] - batch->sample_offsets[row];
}

static uint32_t bunch_first(const struct nx_push_columns *columns, uint32_t bunch)
{
    return bunch > 0 ? columns->ends[bunch - 1] : 0;
}

struct room {
    size_t rows, bytes, samples, histograms, exemplars;
};

static struct room room_of(const struct ing_store *store, const struct ing_part *part)
{
    const struct nx_push_columns *numbered = &part->batch->numbered;
    struct room room = {.rows = part->row_count};
    for (size_t i = 0; i < part->bunch_count; i++) {
        uint32_t first = bunch_first(numbered, part->bunches[i]);
        uint32_t end = numbered->ends[part->bunches[i]];
        room.rows += end - first;
        room.samples += numbered->offsets[end] - numbered->offsets[first];
    }
    for (size_t i = 0; i < part->row_count; i++) {
        uint32_t row = part->rows[i];
        room.samples += row_samples(part->batch, row);
        room.bytes += ing_batch_labels(part->batch, row).len + 48;
        room.bytes += histograms_bound(part->batch, row, &room.histograms);
        room.bytes += exemplars_bound(store, part->batch, row, &room.exemplars);
    }
    for (size_t i = 0; i < part->metadata_count; i++) {
        const Narthex__MetadataRow *row = part->batch->request->metadata[part->metadata[i]];
        room.bytes += strlen(row->metric) + strlen(row->help) + strlen(row->unit) + 48;
    }
    room.bytes += room.samples * ING_SAMPLE_ROW_MAX_BYTES;
    /* frames: a record a megabyte and at least one a type */
    size_t records =
        room.bytes / ING_RECORD_SPLIT_BYTES + room.samples / ING_RECORD_MAX_SAMPLES + 8;
    room.bytes += records * (ING_RECORD_FRAME_BYTES + 32 + part->batch->tenant.len);
    return room;
}

size_t ing_apply_bound(const struct ing_store *store, const struct ing_part *part)
{
    return room_of(store, part).bytes;
}

static enum nx_err take_room(struct ing_store *store, struct ing_part *part)
{
    struct room room = room_of(store, part);
    enum nx_err err =
        nx_grow(&store->rows, &store->row_capacity, room.samples, sizeof *store->rows);
    if (err == NX_OK)
        err = nx_grow(&store->created, &store->created_capacity, part->row_count,
                      sizeof *store->created);
    if (err == NX_OK)
        err = nx_grow(&store->histograms, &store->histogram_capacity, room.histograms,
                      sizeof *store->histograms);
    if (err == NX_OK)
        err = nx_grow(&store->exemplars, &store->exemplar_capacity, room.exemplars,
                      sizeof *store->exemplars);
    if (err != NX_OK)
        return err;
    part->unknown = nx_arena_array(part->arena, room.rows, sizeof *part->unknown);
    part->refused = nx_arena_array(part->arena, room.rows, sizeof *part->refused);
    store->row_count = store->created_count = store->histogram_count = store->exemplar_count = 0;
    return part->unknown && part->refused ? NX_OK : NX_ERR_NOMEM;
}

/* --- rows --- */

struct applier {
    struct ing_store *store;
    struct ing_part *part;
    const struct ing_batch *batch;
    uint64_t segment;
    int64_t now_ms;
    int64_t window; /* of the sample taken last */
    uint32_t row;
    uint32_t ref;            /* of the row's series, or ING_REF_NONE */
    struct nx_labels labels; /* of the row, where it brought some */
    const int64_t *times;    /* the columns that have the row's samples, and where */
    const uint64_t *bits;
    uint32_t first_sample, end_sample;
    struct ing_refused_row *refused; /* the row's entry, once it has one */
    const char *limit_text;          /* of the tenant's limit that the row would pass, or NULL */
};

static const char *refusal_text(struct applier *a, enum nx_err code)
{
    if (code != NX_ERR_RATE_LIMITED)
        return nx_err_text(code);
    if (a->limit_text)
        return a->limit_text;
    char text[128];
    (void)snprintf(text, sizeof text, "limit of %zu series in memory (ingester.max-series) reached",
                   atomic_load(&a->store->head->options.limit->max));
    struct nx_view copy = nx_arena_copy(a->part->arena, nx_view_of(text));
    return copy.ptr ? copy.ptr : nx_err_text(code);
}

static void refuse(struct applier *a, enum nx_err code, uint32_t count, int64_t t, const char *text)
{
    if (!a->refused) {
        a->refused = &a->part->refused[a->part->refused_count++];
        *a->refused = (struct ing_refused_row){
            .row = a->row, .code = code, .t = t, .text = text ? text : refusal_text(a, code)};
    }
    a->refused->count += count;
}

/* All that the row holds. */
static uint32_t row_size(const struct applier *a)
{
    size_t count = row_samples(a->batch, a->row);
    if (a->batch->first_histogram)
        for (uint32_t i = a->batch->first_histogram[a->row]; i != ING_ROW_NONE;
             i = a->batch->next_histogram[i])
            count++;
    return (uint32_t)count;
}

static int64_t row_first_time(const struct applier *a)
{
    if (row_samples(a->batch, a->row) > 0)
        return a->batch->request->timestamps[a->batch->sample_offsets[a->row]];
    if (a->batch->first_histogram && a->batch->first_histogram[a->row] != ING_ROW_NONE)
        return a->batch->request->histograms[a->batch->first_histogram[a->row]]->timestamp;
    return 0;
}

/* False when the row is done: unknown or refused. */
static bool find_series(struct applier *a, enum nx_err *err)
{
    struct nx_series_id id = a->batch->ids[a->row];
    struct nx_view labels = ing_batch_labels(a->batch, a->row);
    if (a->ref == ING_REF_NONE) /* it may have come with a row before */
        a->ref = ing_head_find(a->store->head, id);
    a->labels = (struct nx_labels){0};
    if (labels.len == 0) {
        if (a->ref == ING_REF_NONE)
            a->part->unknown[a->part->unknown_count++] = a->row;
        return a->ref != ING_REF_NONE;
    }
    struct nx_cursor cur = nx_cursor_of(labels);
    nx_arena_clear(&a->store->arena);
    *err = nx_labels_decode(&cur, &a->store->arena, LABELS_MAX, &a->labels);
    if (*err == NX_ERR_NOMEM)
        return false;
    if (*err != NX_OK || nx_cursor_left(&cur) > 0) {
        *err = NX_OK;
        refuse(a, NX_ERR_INVALID, row_size(a), row_first_time(a), "malformed label set");
        return false;
    }
    if (!nx_series_id_eq(id, nx_series_id_of(a->batch->tenant, a->labels))) {
        refuse(a, NX_ERR_INVALID, row_size(a), row_first_time(a),
               "series id does not belong to the labels");
        return false;
    }
    return true;
}

static enum nx_err create_series(struct applier *a)
{
    struct ing_head *head = a->store->head;
    uint32_t tenant;
    enum nx_err err = ing_head_tenant_get(head, a->batch->tenant, &tenant);
    if (err == NX_OK && a->part->limited &&
        !ing_quota_allows(&a->part->quota, ing_head_tenant(head, tenant), a->labels, a->part->arena,
                          &a->limit_text))
        err = NX_ERR_RATE_LIMITED;
    if (err == NX_OK)
        err = ing_head_create(head, tenant, a->batch->ids[a->row], a->labels, &a->ref);
    if (err != NX_OK)
        return err;
    ing_head_series(head, a->ref)->log_ref = a->store->next_log_ref++;
    a->store->created[a->store->created_count++] = a->row;
    a->part->created++;
    return NX_OK;
}

/* Whether it was new is in *appended. */
static enum nx_err take_sample(struct applier *a, const struct nx_sample *sample, bool *appended)
{
    struct ing_head *head = a->store->head;
    *appended = false;
    if (sample->t > ING_TIME_LIMIT || sample->t < -ING_TIME_LIMIT)
        return NX_ERR_OUT_OF_BOUNDS;
    enum nx_err err = ing_book_reserve(&a->store->book, a->segment);
    if (err == NX_OK && a->ref == ING_REF_NONE)
        err = create_series(a);
    if (err != NX_OK)
        return err;
    enum ing_append_result result;
    err = ing_head_append(head, a->ref, sample, a->now_ms, &result);
    if (err != NX_OK)
        return err;
    if (result == ING_DUPLICATE) {
        a->part->duplicates++;
        return NX_OK;
    }
    int64_t window_ms = head->options.rules.window_ms;
    if (sample->t < a->window || sample->t - a->window >= window_ms)
        a->window = ing_window_of(window_ms, sample->t);
    ing_book_note(&a->store->book, a->segment, ing_head_series(head, a->ref)->tenant, a->window);
    *appended = true;
    return NX_OK;
}

static enum nx_err apply_floats(struct applier *a)
{
    struct ing_store *store = a->store;
    for (uint32_t i = a->first_sample; i < a->end_sample; i++) {
        struct nx_sample sample = {.t = a->times[i], .value = nx_double_from_bits(a->bits[i])};
        bool appended;
        enum nx_err err = take_sample(a, &sample, &appended);
        if (err == NX_ERR_NOMEM)
            return err;
        if (err != NX_OK)
            refuse(a, err, 1, sample.t, NULL);
        if (!appended)
            continue;
        a->part->floats++;
        store->rows[store->row_count++] =
            (struct ing_sample_row){.log_ref = ing_head_series(store->head, a->ref)->log_ref,
                                    .t = sample.t,
                                    .bits = a->bits[i]};
    }
    return NX_OK;
}

static enum nx_err apply_histogram(struct applier *a, const Narthex__HistogramRow *row,
                                   struct nx_arena *arena)
{
    struct ing_store *store = a->store;
    struct nx_view bytes = nx_view_make(row->histogram.data, row->histogram.len);
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct nx_histogram *histogram;
    struct nx_fail fail;
    enum nx_err err = nx_histogram_decode(&cur, arena, &histogram);
    if (err == NX_OK && nx_cursor_left(&cur) > 0)
        err = NX_ERR_INVALID;
    if (err == NX_ERR_NOMEM)
        return err;
    if (err != NX_OK) {
        refuse(a, NX_ERR_INVALID, 1, row->timestamp, "malformed histogram");
        return NX_OK;
    }
    err = nx_histogram_validate(histogram, &fail);
    if (err != NX_OK) {
        struct nx_view text = nx_arena_copy(a->part->arena, nx_view_of(nx_fail_text(&fail)));
        refuse(a, NX_ERR_INVALID, 1, row->timestamp, text.ptr);
        return NX_OK;
    }
    struct nx_sample sample = {.t = row->timestamp, .histogram = histogram};
    bool appended;
    err = take_sample(a, &sample, &appended);
    if (err == NX_ERR_NOMEM)
        return err;
    if (err != NX_OK)
        refuse(a, err, 1, sample.t, NULL);
    if (appended) {
        a->part->histograms++;
        store->histograms[store->histogram_count++] =
            (struct ing_histogram_entry){.log_ref = ing_head_series(store->head, a->ref)->log_ref,
                                         .t = sample.t,
                                         .histogram = bytes};
    }
    return NX_OK;
}

static enum nx_err apply_histograms(struct applier *a)
{
    if (!a->batch->first_histogram)
        return NX_OK;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    enum nx_err err = NX_OK;
    for (uint32_t i = a->batch->first_histogram[a->row]; i != ING_ROW_NONE && err == NX_OK;
         i = a->batch->next_histogram[i]) {
        nx_arena_clear(&arena);
        err = apply_histogram(a, a->batch->request->histograms[i], &arena);
    }
    nx_arena_release(&arena);
    return err;
}

/* The row's label set as bytes that live as long as the part. */
static enum nx_err row_labels(struct applier *a, struct nx_view *out)
{
    *out = ing_batch_labels(a->batch, a->row);
    if (out->len > 0)
        return NX_OK;
    struct nx_buf buf;
    nx_buf_init(&buf, SIZE_MAX / 4);
    ing_head_encode_labels(a->store->head, ing_head_series(a->store->head, a->ref), &buf);
    enum nx_err err = nx_buf_err(&buf);
    if (err == NX_OK) {
        *out = nx_arena_copy(a->part->arena, nx_buf_view(&buf));
        err = out->ptr ? NX_OK : NX_ERR_NOMEM;
    }
    nx_buf_release(&buf);
    return err;
}

static enum nx_err apply_exemplar(struct applier *a, const Narthex__ExemplarRow *row,
                                  struct nx_view labels)
{
    struct ing_store *store = a->store;
    struct nx_view own = nx_view_make(row->labels.data, row->labels.len);
    struct nx_cursor cur = nx_cursor_of(own);
    struct nx_labels decoded = {0};
    if (own.len > 0 &&
        nx_labels_decode(&cur, &store->arena, EXEMPLAR_LABELS_MAX, &decoded) != NX_OK)
        return NX_OK; /* the distributor has checked it: not worth a refusal of its own */
    if (own.len == 0)
        own = nx_view_make("\0", 1);
    struct ing_exemplar exemplar = {.series = a->batch->ids[a->row],
                                    .series_labels = labels,
                                    .labels = own,
                                    .t = row->timestamp,
                                    .value_bits = row->value_bits};
    uint32_t tenant;
    bool added;
    enum nx_err err = ing_head_tenant_get(store->head, a->batch->tenant, &tenant);
    if (err == NX_OK)
        err =
            ing_exemplars_add(&ing_head_tenant(store->head, tenant)->exemplars, &exemplar, &added);
    if (err == NX_OK && added) {
        a->part->exemplars++;
        store->exemplars[store->exemplar_count++] =
            (struct ing_exemplar_entry){.id = exemplar.series,
                                        .series_labels = labels,
                                        .labels = own,
                                        .t = row->timestamp,
                                        .value_bits = row->value_bits};
    }
    return err == NX_ERR_RATE_LIMITED ? NX_OK : err;
}

static enum nx_err apply_exemplars(struct applier *a)
{
    if (!a->batch->first_exemplar || a->batch->first_exemplar[a->row] == ING_ROW_NONE)
        return NX_OK;
    if (a->ref == ING_REF_NONE && a->batch->request->exemplars_need_series) {
        uint32_t first = a->batch->first_exemplar[a->row];
        refuse(a, NX_ERR_UNKNOWN_SERIES, 0, a->batch->request->exemplars[first]->timestamp,
               "the series of an exemplar has no sample");
        return NX_OK;
    }
    struct nx_view labels;
    enum nx_err err = row_labels(a, &labels);
    for (uint32_t i = a->batch->first_exemplar[a->row]; i != ING_ROW_NONE && err == NX_OK;
         i = a->batch->next_exemplar[i])
        err = apply_exemplar(a, a->batch->request->exemplars[i], labels);
    return err;
}

static enum nx_err apply_row(struct applier *a)
{
    enum nx_err err = NX_OK;
    a->refused = NULL;
    a->limit_text = NULL;
    a->times = a->batch->request->timestamps;
    a->bits = a->batch->request->value_bits;
    a->first_sample = a->batch->sample_offsets[a->row];
    a->end_sample = a->batch->sample_offsets[a->row + 1];
    if (!find_series(a, &err))
        return err;
    err = apply_floats(a);
    if (err == NX_OK)
        err = apply_histograms(a);
    if (err == NX_OK)
        err = apply_exemplars(a);
    return err;
}

/* --- records --- */

struct entries {
    struct ing_record_writer writer;
    struct nx_buf *log;
    uint64_t nonce;
    enum ing_record_type type;
    struct nx_view tenant; /* ptr NULL: types without one */
    bool open;
};

static void entries_next(struct entries *entries)
{
    if (entries->open && ing_record_len(&entries->writer) < ING_RECORD_SPLIT_BYTES)
        return;
    if (entries->open)
        ing_record_end(&entries->writer);
    ing_record_begin(&entries->writer, entries->log, entries->nonce, entries->type);
    if (entries->tenant.ptr)
        nx_buf_put_bytes(entries->log, entries->tenant);
    entries->open = true;
}

static void entries_end(struct entries *entries)
{
    if (entries->open)
        ing_record_end(&entries->writer);
}

static void log_series(const struct applier *a, uint64_t nonce, struct nx_buf *log)
{
    struct entries entries = {
        .log = log, .nonce = nonce, .type = ING_RECORD_SERIES, .tenant = a->batch->tenant};
    for (size_t i = 0; i < a->store->created_count; i++) {
        uint32_t row = a->store->created[i];
        uint32_t ref = ing_head_find(a->store->head, a->batch->ids[row]);
        struct ing_series_entry entry = {.log_ref = ing_head_series(a->store->head, ref)->log_ref,
                                         .id = a->batch->ids[row],
                                         .labels = ing_batch_labels(a->batch, row)};
        entries_next(&entries);
        ing_series_entry_put(log, &entry);
    }
    entries_end(&entries);
}

static void log_samples(const struct applier *a, uint64_t nonce, struct nx_buf *log)
{
    for (size_t i = 0; i < a->store->row_count; i += ING_RECORD_MAX_SAMPLES) {
        size_t count = a->store->row_count - i;
        struct ing_record_writer writer;
        ing_record_begin(&writer, log, nonce, ING_RECORD_SAMPLES);
        ing_sample_rows_put(log, a->store->rows + i,
                            count < ING_RECORD_MAX_SAMPLES ? count : ING_RECORD_MAX_SAMPLES);
        ing_record_end(&writer);
    }
    struct entries entries = {.log = log, .nonce = nonce, .type = ING_RECORD_HISTOGRAMS};
    for (size_t i = 0; i < a->store->histogram_count; i++) {
        entries_next(&entries);
        ing_histogram_entry_put(log, &a->store->histograms[i]);
    }
    entries_end(&entries);
}

static void log_exemplars(const struct applier *a, uint64_t nonce, struct nx_buf *log)
{
    struct entries entries = {
        .log = log, .nonce = nonce, .type = ING_RECORD_EXEMPLARS, .tenant = a->batch->tenant};
    for (size_t i = 0; i < a->store->exemplar_count; i++) {
        entries_next(&entries);
        ing_exemplar_entry_put(log, &a->store->exemplars[i]);
    }
    entries_end(&entries);
}

static enum nx_err apply_metadata(const struct applier *a, uint64_t nonce, struct nx_buf *log)
{
    struct entries entries = {
        .log = log, .nonce = nonce, .type = ING_RECORD_METADATA, .tenant = a->batch->tenant};
    struct ing_head *head = a->store->head;
    uint32_t tenant = 0;
    enum nx_err err = NX_OK;
    if (a->part->metadata_count > 0)
        err = ing_head_tenant_get(head, a->batch->tenant, &tenant);
    for (size_t i = 0; i < a->part->metadata_count && err == NX_OK; i++) {
        const Narthex__MetadataRow *row = a->batch->request->metadata[a->part->metadata[i]];
        struct ing_metadata metadata = {.metric = nx_view_of(row->metric),
                                        .help = nx_view_of(row->help),
                                        .unit = nx_view_of(row->unit),
                                        .type = row->type};
        bool changed;
        err = ing_metadata_set(&ing_head_tenant(head, tenant)->metadata, &metadata, &changed);
        if (err != NX_OK || !changed)
            continue;
        struct ing_metadata_entry entry = {.metric = metadata.metric,
                                           .help = metadata.help,
                                           .unit = metadata.unit,
                                           .type = metadata.type};
        entries_next(&entries);
        ing_metadata_entry_put(log, &entry);
    }
    entries_end(&entries);
    return err == NX_ERR_RATE_LIMITED ? NX_OK : err;
}

/* While the tenant's rows go in the head has the tenant's window, where that is narrower. Returns
 * the head's own. */
static int64_t take_narrow_window(struct ing_head *head, const struct ing_part *part)
{
    int64_t own = head->options.rules.out_of_order_ms;
    int64_t wanted = part->limited ? part->quota.out_of_order_ms : -1;
    if (wanted >= 0 && wanted < own)
        head->options.rules.out_of_order_ms = wanted;
    return own;
}

/* Looked up together, so that one row's memory comes while another's is worked on. */
static enum nx_err apply_bunch(struct applier *a, const uint32_t *rows, size_t count)
{
    struct nx_series_id ids[ING_HEAD_BUNCH];
    uint32_t refs[ING_HEAD_BUNCH];
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < count; i++)
        ids[i] = a->batch->ids[rows[i]];
    ing_head_find_many(a->store->head, ids, count, refs);
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        a->row = rows[i];
        a->ref = refs[i];
        err = apply_row(a);
        if (a->batch->numbers && a->ref != ING_REF_NONE)
            a->batch->numbers[a->row] = nx_number_of(a->part->shard, a->ref);
    }
    return err;
}

/* --- rows by number --- */

_Static_assert(NX_PUSH_BUNCH <= ING_HEAD_BUNCH, "the head looks at a bunch at once");

static void bunch_is_unknown(const struct applier *a, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        a->part->unknown[a->part->unknown_count++] = (uint32_t)a->batch->rows + i;
}

/* Nothing of the bunch is taken before it is sure that its series are those the sender means. */
static enum nx_err apply_numbered(struct applier *a, uint32_t tenant, uint32_t bunch)
{
    const struct nx_push_columns *columns = &a->batch->numbered;
    uint32_t first = bunch_first(columns, bunch), end = columns->ends[bunch];
    uint32_t refs[NX_PUSH_BUNCH];
    for (uint32_t i = first; i < end; i++)
        refs[i - first] = nx_number_slot(columns->numbers[i]);
    if (nx_number_shard(columns->numbers[first]) != a->part->shard ||
        !ing_head_are(a->store->head, tenant, refs, end - first, columns->checks[bunch])) {
        bunch_is_unknown(a, first, end);
        return NX_OK;
    }
    enum nx_err err = NX_OK;
    a->times = columns->times;
    a->bits = columns->bits;
    for (uint32_t i = first; i < end && err == NX_OK; i++) {
        a->row = (uint32_t)a->batch->rows + i;
        a->ref = refs[i - first];
        a->refused = NULL;
        a->limit_text = NULL;
        a->first_sample = columns->offsets[i];
        a->end_sample = columns->offsets[i + 1];
        err = apply_floats(a);
    }
    return err;
}

static enum nx_err apply_bunches(struct applier *a)
{
    /* of a tenant that is not there no slot is */
    uint32_t tenant = ing_head_tenant_find(a->store->head, a->batch->tenant);
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < a->part->bunch_count && err == NX_OK; i++)
        err = apply_numbered(a, tenant, a->part->bunches[i]);
    return err;
}

enum nx_err ing_apply(struct ing_store *store, struct ing_part *part, uint64_t segment,
                      uint64_t nonce, int64_t now_ms, struct nx_buf *log)
{
    struct applier a = {.store = store,
                        .part = part,
                        .batch = part->batch,
                        .segment = segment,
                        .now_ms = now_ms,
                        .window = INT64_MAX};
    enum nx_err err = take_room(store, part);
    if (err != NX_OK)
        return err;
    int64_t out_of_order_ms = take_narrow_window(store->head, part);
    for (size_t i = 0; i < part->row_count && err == NX_OK; i += ING_HEAD_BUNCH) {
        size_t left = part->row_count - i;
        err = apply_bunch(&a, part->rows + i, left < ING_HEAD_BUNCH ? left : ING_HEAD_BUNCH);
    }
    if (err == NX_OK && part->bunch_count > 0)
        err = apply_bunches(&a);
    store->head->options.rules.out_of_order_ms = out_of_order_ms;
    log_series(&a, nonce, log);
    log_samples(&a, nonce, log);
    log_exemplars(&a, nonce, log);
    enum nx_err metadata_err = apply_metadata(&a, nonce, log);
    return err != NX_OK ? err : metadata_err;
}
