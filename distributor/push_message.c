/* Lengths of packed fields are computed before they are written, so that the encoding is the
 * canonical one and nothing is moved afterwards. */
#include "distributor/push_message.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/chunk/push_columns.h"

enum {
    FIELD_TENANT = 1,
    FIELD_SERIES_IDS = 2,
    FIELD_LABELS = 3,
    FIELD_SAMPLE_COUNTS = 4,
    FIELD_TIMESTAMPS = 5,
    FIELD_VALUE_BITS = 6,
    FIELD_HISTOGRAMS = 7,
    FIELD_EXEMPLARS = 8,
    FIELD_METADATA = 9,
    FIELD_INCARNATION = 10,
    FIELD_EXEMPLARS_NEED_SERIES = 11,
    FIELD_NUMBERED = 12,
    FIELD_WANT_NUMBERS = 13,
};

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static size_t varint_size(uint64_t v)
{
    return v < 0x80 ? 1 : (size_t)(63 - __builtin_clzll(v)) / 7 + 1;
}

static void put_tag(struct nx_buf *out, unsigned field, unsigned wire)
{
    nx_buf_put_uvarint(out, (uint64_t)field << 3 | wire);
}

static void put_bytes(struct nx_buf *out, unsigned field, struct nx_view bytes)
{
    put_tag(out, field, WIRE_BYTES);
    nx_buf_put_bytes(out, bytes);
}

static void put_varint(struct nx_buf *out, unsigned field, uint64_t v)
{
    if (v == 0)
        return;
    put_tag(out, field, WIRE_VARINT);
    nx_buf_put_uvarint(out, v);
}

static void put_text(struct nx_buf *out, unsigned field, struct nx_view text)
{
    if (text.len > 0)
        put_bytes(out, field, text);
}

static char *write_varint(char *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (char)(v | 0x80);
        v >>= 7;
    }
    *at++ = (char)v;
    return at;
}

static char *write_fixed64(char *at, uint64_t v)
{
    nx_le64_store(at, v);
    return at + 8;
}

static const struct dist_series *row(const struct dist_push_part *part, size_t i)
{
    return &part->batch->series[part->series[i]];
}

/* Writes the head of a field of `len` bytes and makes room for them; NULL where that fails. */
static char *begin_packed(struct nx_buf *out, unsigned field, size_t len)
{
    put_tag(out, field, WIRE_BYTES);
    nx_buf_put_uvarint(out, len);
    return nx_buf_reserve(out, len) ? NULL : out->data + out->len;
}

static void encode_series(struct nx_buf *out, const struct dist_push_part *part)
{
    char *at = begin_packed(out, FIELD_SERIES_IDS, part->series_count * NX_SERIES_ID_BYTES);
    if (!at)
        return;
    for (size_t i = 0; i < part->series_count; i++) {
        at = write_fixed64(at, row(part, i)->id.hi);
        at = write_fixed64(at, row(part, i)->id.lo);
    }
    out->len = (size_t)(at - out->data);
    for (size_t i = 0; i < part->series_count && part->any_labels; i++)
        put_bytes(out, FIELD_LABELS, part->with_labels[i] ? row(part, i)->canonical : NX_VIEW(""));
}

static void encode_sample_counts(struct nx_buf *out, const struct dist_push_part *part)
{
    size_t len = 0;
    for (size_t i = 0; i < part->series_count; i++)
        len += varint_size(row(part, i)->sample_count);
    char *at = begin_packed(out, FIELD_SAMPLE_COUNTS, len);
    if (!at)
        return;
    for (size_t i = 0; i < part->series_count; i++)
        at = write_varint(at, row(part, i)->sample_count);
    out->len += len;
}

static void encode_samples(struct nx_buf *out, const struct dist_push_part *part)
{
    const struct dist_batch *batch = part->batch;
    size_t len = 0, count = 0;
    for (size_t i = 0; i < part->series_count; i++) {
        const struct dist_series *s = row(part, i);
        for (uint32_t k = 0; k < s->sample_count; k++)
            len += varint_size(zigzag(batch->timestamps[s->first_sample + k]));
        count += s->sample_count;
    }
    if (count == 0)
        return;
    char *at = begin_packed(out, FIELD_TIMESTAMPS, len);
    if (!at)
        return;
    for (size_t i = 0; i < part->series_count; i++) {
        const struct dist_series *s = row(part, i);
        for (uint32_t k = 0; k < s->sample_count; k++)
            at = write_varint(at, zigzag(batch->timestamps[s->first_sample + k]));
    }
    out->len += len;
    at = begin_packed(out, FIELD_VALUE_BITS, count * 8);
    if (!at)
        return;
    for (size_t i = 0; i < part->series_count; i++) {
        const struct dist_series *s = row(part, i);
        for (uint32_t k = 0; k < s->sample_count; k++)
            at = write_fixed64(at, batch->value_bits[s->first_sample + k]);
    }
    out->len += count * 8;
}

/* --- rows by number --- */

static enum nx_err columns_new(struct nx_push_columns *columns, size_t rows, size_t samples,
                               struct nx_arena *arena)
{
    columns->offsets = nx_arena_array(arena, rows + 1, sizeof *columns->offsets);
    columns->ends = nx_arena_array(arena, rows, sizeof *columns->ends);
    columns->checks = nx_arena_array(arena, rows, sizeof *columns->checks);
    columns->times = nx_arena_array(arena, samples, sizeof *columns->times);
    columns->bits = nx_arena_array(arena, samples, sizeof *columns->bits);
    return columns->offsets && columns->ends && columns->checks && columns->times && columns->bits
               ? NX_OK
               : NX_ERR_NOMEM;
}

static size_t gather_row(const struct dist_batch *batch, const struct dist_series *s,
                         struct nx_push_columns *columns, size_t at)
{
    for (uint32_t k = 0; k < s->sample_count; k++) {
        columns->times[at + k] = batch->timestamps[s->first_sample + k];
        columns->bits[at + k] = batch->value_bits[s->first_sample + k];
    }
    return at + s->sample_count;
}

/* Each series is looked at once: they lie all over the batch. */
static void gather(const struct dist_push_part *part, struct nx_push_columns *columns)
{
    size_t row = 0, at = 0;
    for (size_t bunch = 0; bunch < columns->bunches; bunch++) {
        uint64_t check = 0;
        for (; row < columns->ends[bunch]; row++) {
            const struct dist_series *s = &part->batch->series[part->numbered[row]];
            columns->offsets[row] = (uint32_t)at;
            at = gather_row(part->batch, s, columns, at);
            check = nx_push_check(check, s->id);
        }
        columns->checks[bunch] = check;
    }
    columns->offsets[row] = (uint32_t)at;
}

static enum nx_err encode_numbered(struct nx_buf *out, const struct dist_push_part *part,
                                   struct nx_arena *scratch)
{
    struct nx_push_columns columns = {.rows = part->numbered_count, .numbers = part->numbers};
    size_t samples = 0;
    for (size_t i = 0; i < part->numbered_count; i++)
        samples += part->batch->series[part->numbered[i]].sample_count;
    struct nx_buf bytes;
    nx_buf_init(&bytes, SIZE_MAX);
    enum nx_err err = columns_new(&columns, columns.rows, samples, scratch);
    if (!err) {
        nx_push_cut(&columns);
        gather(part, &columns);
        nx_push_columns_put(&bytes, &columns);
        err = nx_buf_err(&bytes);
    }
    if (!err)
        put_bytes(out, FIELD_NUMBERED, nx_buf_view(&bytes));
    nx_buf_release(&bytes);
    return err;
}

static size_t varint_field_size(uint64_t v)
{
    return v ? 1 + varint_size(v) : 0; /* fields below 16 have a tag of one byte */
}

static size_t bytes_field_size(struct nx_view bytes)
{
    return bytes.len ? 1 + varint_size(bytes.len) + bytes.len : 0;
}

static void encode_histogram(struct nx_buf *out, size_t series, const struct dist_histogram *h)
{
    put_tag(out, FIELD_HISTOGRAMS, WIRE_BYTES);
    nx_buf_put_uvarint(out, varint_field_size(series) + varint_field_size(zigzag(h->timestamp)) +
                                bytes_field_size(h->encoded));
    put_varint(out, 1, series);
    put_varint(out, 2, zigzag(h->timestamp));
    put_text(out, 3, h->encoded);
}

static void encode_exemplar(struct nx_buf *out, size_t series, const struct dist_exemplar *e)
{
    char bits[8];
    (void)write_fixed64(bits, e->value_bits);
    put_tag(out, FIELD_EXEMPLARS, WIRE_BYTES);
    nx_buf_put_uvarint(out, varint_field_size(series) + varint_field_size(zigzag(e->timestamp)) +
                                (e->value_bits ? 9 : 0) + bytes_field_size(e->canonical));
    put_varint(out, 1, series);
    put_varint(out, 2, zigzag(e->timestamp));
    if (e->value_bits) {
        put_tag(out, 3, WIRE_FIXED64);
        nx_buf_append(out, bits, sizeof bits);
    }
    put_text(out, 4, e->canonical);
}

static void encode_metadata(struct nx_buf *out, const struct dist_metadata *m)
{
    put_tag(out, FIELD_METADATA, WIRE_BYTES);
    nx_buf_put_uvarint(out, bytes_field_size(m->metric) + varint_field_size(m->type) +
                                bytes_field_size(m->help) + bytes_field_size(m->unit));
    put_text(out, 1, m->metric);
    put_varint(out, 2, m->type);
    put_text(out, 3, m->help);
    put_text(out, 4, m->unit);
}

enum nx_err dist_push_encode(struct nx_buf *out, const struct dist_push_part *part,
                             struct nx_arena *scratch)
{
    enum nx_err err = NX_OK;
    const struct dist_batch *batch = part->batch;
    put_text(out, FIELD_TENANT, part->tenant);
    if (part->series_count > 0) {
        encode_series(out, part);
        encode_sample_counts(out, part);
        encode_samples(out, part);
    }
    for (size_t i = 0; i < part->series_count; i++) {
        const struct dist_series *s = row(part, i);
        for (uint32_t k = 0; k < s->histogram_count; k++)
            encode_histogram(out, i, &batch->histograms[s->first_histogram + k]);
        for (uint32_t k = 0; k < s->exemplar_count; k++)
            encode_exemplar(out, i, &batch->exemplars[s->first_exemplar + k]);
    }
    for (size_t i = 0; i < part->metadata_count; i++)
        encode_metadata(out, &batch->metadata[part->metadata[i]]);
    put_varint(out, FIELD_INCARNATION, part->incarnation);
    put_varint(out, FIELD_EXEMPLARS_NEED_SERIES, batch->strict_exemplars);
    if (part->numbered_count > 0)
        err = encode_numbered(out, part, scratch);
    put_varint(out, FIELD_WANT_NUMBERS, part->want_numbers && part->series_count > 0);
    return err ? err : nx_buf_err(out);
}

/* --- the answer --- */

static void *allocate(void *user, size_t size)
{
    (void)user;
    return nx_alloc(size);
}

static void release(void *user, void *ptr)
{
    (void)user;
    nx_free(ptr);
}

static ProtobufCAllocator allocator(void)
{
    return (ProtobufCAllocator){.alloc = allocate, .free = release, .allocator_data = NULL};
}

enum nx_err dist_push_answer_read(struct nx_view body, size_t rows, size_t by_id,
                                  Narthex__PushResponse **out)
{
    ProtobufCAllocator memory = allocator();
    Narthex__PushResponse *answer =
        narthex__push_response__unpack(&memory, body.len, (const uint8_t *)(const void *)body.ptr);
    if (!answer)
        return NX_ERR_CORRUPT;
    bool sound = answer->n_numbers == 0 || answer->n_numbers == by_id;
    for (size_t i = 0; i < answer->n_unknown; i++)
        sound = sound && answer->unknown[i] < rows;
    for (size_t i = 0; i < answer->n_refused; i++)
        sound = sound && answer->refused[i]->series < rows;
    if (!sound) {
        dist_push_answer_free(answer);
        return NX_ERR_CORRUPT;
    }
    *out = answer;
    return NX_OK;
}

void dist_push_answer_free(Narthex__PushResponse *answer)
{
    ProtobufCAllocator memory = allocator();
    if (answer)
        narthex__push_response__free_unpacked(answer, &memory);
}
