/* Frame: magic, payload length, type, CRC32C over (nonce, length, type, payload); all u32
 * little-endian. The magic is only there to be searched for: behind a damaged spot every place
 * where it occurs is tried, with a limit on the bytes checksummed, since damaged or hostile content
 * may hold it many times. */
#include "ingester/wal/record.h"

#include <string.h>

#define MAGIC "\xa7NXr"
#define MAGIC_BYTES 4

static void store_u32(char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(uint8_t)(v >> (8 * i));
}

static uint32_t load_u32(const char *at)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v |= (uint32_t)(uint8_t)at[i] << (8 * i);
    return v;
}

static uint32_t frame_crc(uint64_t nonce, const char *frame, size_t payload_len)
{
    uint8_t seed[8];
    for (int i = 0; i < 8; i++)
        seed[i] = (uint8_t)(nonce >> (8 * i));
    uint32_t crc = nx_crc32c(0, seed, sizeof seed);
    crc = nx_crc32c(crc, frame + 4, 8);
    return nx_crc32c(crc, frame + ING_RECORD_FRAME_BYTES, payload_len);
}

void ing_record_begin(struct ing_record_writer *writer, struct nx_buf *buf, uint64_t nonce,
                      enum ing_record_type type)
{
    *writer = (struct ing_record_writer){.buf = buf, .nonce = nonce, .start = buf->len};
    nx_buf_append(buf, MAGIC, MAGIC_BYTES);
    nx_buf_put_u32(buf, 0);
    nx_buf_put_u32(buf, (uint32_t)type);
    nx_buf_put_u32(buf, 0);
}

void ing_record_end(struct ing_record_writer *writer)
{
    if (nx_buf_err(writer->buf) != NX_OK)
        return;
    char *frame = writer->buf->data + writer->start;
    size_t payload_len = ing_record_len(writer) - ING_RECORD_FRAME_BYTES;
    store_u32(frame + 4, (uint32_t)payload_len);
    store_u32(frame + 12, frame_crc(writer->nonce, frame, payload_len));
}

void ing_record_reader_init(struct ing_record_reader *reader, struct nx_view bytes, size_t from,
                            uint64_t nonce)
{
    if (from > bytes.len)
        from = bytes.len;
    *reader = (struct ing_record_reader){.bytes = bytes,
                                         .at = from,
                                         .nonce = nonce,
                                         .good_end = from,
                                         .effort_bytes = bytes.len * 8};
}

/* Whether a good record begins at `at`. */
static bool record_at(struct ing_record_reader *reader, size_t at, struct ing_record *out)
{
    size_t left = reader->bytes.len - at;
    const char *frame = reader->bytes.ptr + at;
    if (left < ING_RECORD_FRAME_BYTES || memcmp(frame, MAGIC, MAGIC_BYTES) != 0)
        return false;
    uint32_t len = load_u32(frame + 4);
    uint32_t type = load_u32(frame + 8);
    if (len > ING_RECORD_MAX_BYTES || len > left - ING_RECORD_FRAME_BYTES ||
        type < ING_RECORD_SERIES || type > ING_RECORD_METADATA)
        return false;
    reader->effort_bytes -= len < reader->effort_bytes ? len : reader->effort_bytes;
    if (frame_crc(reader->nonce, frame, len) != load_u32(frame + 12))
        return false;
    *out = (struct ing_record){.type = (enum ing_record_type)type,
                               .payload = nx_view_make(frame + ING_RECORD_FRAME_BYTES, len),
                               .offset = at};
    return true;
}

static bool search(struct ing_record_reader *reader, size_t from, struct ing_record *out)
{
    while (from < reader->bytes.len && reader->effort_bytes > 0) {
        const char *found =
            memmem(reader->bytes.ptr + from, reader->bytes.len - from, MAGIC, MAGIC_BYTES);
        if (!found)
            return false;
        from = (size_t)(found - reader->bytes.ptr);
        if (record_at(reader, from, out))
            return true;
        from++;
    }
    return false;
}

bool ing_record_next(struct ing_record_reader *reader, struct ing_record *out)
{
    if (reader->at >= reader->bytes.len)
        return false;
    if (!record_at(reader, reader->at, out)) {
        if (!search(reader, reader->at + 1, out)) {
            reader->at = reader->bytes.len;
            return false;
        }
        if (reader->gaps++ == 0)
            reader->first_gap = reader->at;
        reader->damaged_bytes += out->offset - reader->at;
    }
    reader->at = out->offset + ING_RECORD_FRAME_BYTES + out->payload.len;
    reader->good_end = reader->at;
    return true;
}

void ing_series_entry_put(struct nx_buf *buf, const struct ing_series_entry *entry)
{
    nx_buf_put_uvarint(buf, entry->log_ref);
    nx_series_id_put(buf, entry->id);
    nx_buf_put_bytes(buf, entry->labels);
}

bool ing_series_entry_read(struct nx_cursor *cur, struct ing_series_entry *out)
{
    if (nx_cursor_left(cur) == 0)
        return false;
    out->log_ref = nx_cursor_uvarint(cur);
    out->id = nx_series_id_read(cur);
    out->labels = nx_cursor_bytes(cur);
    return nx_cursor_ok(cur);
}

void ing_exemplar_entry_put(struct nx_buf *buf, const struct ing_exemplar_entry *entry)
{
    nx_series_id_put(buf, entry->id);
    nx_buf_put_bytes(buf, entry->series_labels);
    nx_buf_put_bytes(buf, entry->labels);
    nx_buf_put_varint(buf, entry->t);
    nx_buf_put_u64(buf, entry->value_bits);
}

bool ing_exemplar_entry_read(struct nx_cursor *cur, struct ing_exemplar_entry *out)
{
    if (nx_cursor_left(cur) == 0)
        return false;
    out->id = nx_series_id_read(cur);
    out->series_labels = nx_cursor_bytes(cur);
    out->labels = nx_cursor_bytes(cur);
    out->t = nx_cursor_varint(cur);
    out->value_bits = nx_cursor_u64(cur);
    return nx_cursor_ok(cur);
}

void ing_metadata_entry_put(struct nx_buf *buf, const struct ing_metadata_entry *entry)
{
    nx_buf_put_uvarint(buf, entry->type);
    nx_buf_put_bytes(buf, entry->metric);
    nx_buf_put_bytes(buf, entry->help);
    nx_buf_put_bytes(buf, entry->unit);
}

bool ing_metadata_entry_read(struct nx_cursor *cur, struct ing_metadata_entry *out)
{
    if (nx_cursor_left(cur) == 0)
        return false;
    uint64_t type = nx_cursor_uvarint(cur);
    out->metric = nx_cursor_bytes(cur);
    out->help = nx_cursor_bytes(cur);
    out->unit = nx_cursor_bytes(cur);
    out->type = (uint32_t)type;
    return nx_cursor_ok(cur) && type <= UINT32_MAX;
}

void ing_histogram_entry_put(struct nx_buf *buf, const struct ing_histogram_entry *entry)
{
    nx_buf_put_uvarint(buf, entry->log_ref);
    nx_buf_put_varint(buf, entry->t);
    nx_buf_put_bytes(buf, entry->histogram);
}

bool ing_histogram_entry_read(struct nx_cursor *cur, struct ing_histogram_entry *out)
{
    if (nx_cursor_left(cur) == 0)
        return false;
    out->log_ref = nx_cursor_uvarint(cur);
    out->t = nx_cursor_varint(cur);
    out->histogram = nx_cursor_bytes(cur);
    return nx_cursor_ok(cur);
}

/* Differences wrap around: any pair of times and refs is written and read back. */
void ing_sample_rows_put(struct nx_buf *buf, const struct ing_sample_row *rows, size_t count)
{
    uint64_t ref = 0;
    uint64_t t = 0;
    nx_buf_put_uvarint(buf, count);
    for (size_t i = 0; i < count; i++) {
        nx_buf_put_u64(buf, rows[i].bits);
    }
    for (size_t i = 0; i < count; i++) {
        nx_buf_put_varint(buf, (int64_t)(rows[i].log_ref - ref));
        ref = rows[i].log_ref;
    }
    for (size_t i = 0; i < count; i++) {
        nx_buf_put_varint(buf, (int64_t)((uint64_t)rows[i].t - t));
        t = (uint64_t)rows[i].t;
    }
}

bool ing_sample_reader_init(struct ing_sample_reader *reader, struct nx_view payload)
{
    struct nx_cursor cur = nx_cursor_of(payload);
    uint64_t count = nx_cursor_uvarint(&cur);
    if (!nx_cursor_ok(&cur) || count > ING_RECORD_MAX_SAMPLES || count > nx_cursor_left(&cur) / 10)
        return false;
    *reader = (struct ing_sample_reader){.left = (size_t)count};
    reader->values = nx_cursor_of(nx_cursor_take(&cur, (size_t)count * 8));
    reader->refs = cur;
    for (uint64_t i = 0; i < count; i++)
        (void)nx_cursor_varint(&cur);
    reader->times = cur;
    for (uint64_t i = 0; i < count; i++)
        (void)nx_cursor_varint(&cur);
    return nx_cursor_ok(&cur) && nx_cursor_left(&cur) == 0;
}

bool ing_sample_reader_next(struct ing_sample_reader *reader, struct ing_sample_row *out)
{
    if (reader->left == 0)
        return false;
    reader->left--;
    reader->ref += (uint64_t)nx_cursor_varint(&reader->refs);
    reader->t = (int64_t)((uint64_t)reader->t + (uint64_t)nx_cursor_varint(&reader->times));
    *out = (struct ing_sample_row){
        .log_ref = reader->ref, .t = reader->t, .bits = nx_cursor_u64(&reader->values)};
    return true;
}
