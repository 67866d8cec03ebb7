/* Frame: magic, payload length, type, CRC32C over (nonce, length, type, payload); all u32
 * little-endian. The magic is only there to be searched for: behind a damaged spot every place
 * where it occurs is tried, with a limit on the bytes checksummed, since damaged or hostile content
 * may hold it many times. */
#include "ingester/wal/record.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/file.h"

#define WINDOW_BYTES ((size_t)1 << 20)
#define EFFORT_FACTOR 8
#define MAGIC "\xa7NXr"
#define MAGIC_BYTES 4

static uint32_t frame_crc(uint64_t nonce, const char *frame, size_t payload_len)
{
    uint8_t seed[8];
    nx_le64_store(seed, nonce);
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
    nx_le32_store(frame + 4, (uint32_t)payload_len);
    nx_le32_store(frame + 12, frame_crc(writer->nonce, frame, payload_len));
}

void ing_record_reader_init(struct ing_record_reader *reader, struct nx_view bytes, uint64_t from,
                            uint64_t nonce)
{
    ing_record_reader_open(reader, -1, bytes.len, from, nonce);
    reader->window = bytes.ptr;
    reader->window_len = bytes.len;
}

void ing_record_reader_open(struct ing_record_reader *reader, int fd, uint64_t size, uint64_t from,
                            uint64_t nonce)
{
    if (from > size)
        from = size;
    *reader = (struct ing_record_reader){.fd = fd,
                                         .size = size,
                                         .at = from,
                                         .nonce = nonce,
                                         .good_end = from,
                                         .effort_bytes = size * EFFORT_FACTOR};
}

void ing_record_reader_release(struct ing_record_reader *reader)
{
    nx_free(reader->own);
    reader->own = NULL;
    reader->window = NULL;
    reader->window_len = 0;
}

/* Puts a window of at least `need` bytes at `at`, which lie within the file. */
static enum nx_err move_window(struct ing_record_reader *reader, uint64_t at, size_t need)
{
    uint64_t end = reader->window_at + reader->window_len;
    size_t kept = at >= reader->window_at && at < end ? (size_t)(end - at) : 0;
    size_t capacity = need > WINDOW_BYTES ? need : WINDOW_BYTES;
    if (capacity > reader->capacity) {
        char *grown = nx_alloc(capacity);
        if (!grown)
            return NX_ERR_NOMEM;
        if (kept > 0)
            memcpy(grown, reader->window + (at - reader->window_at), kept);
        nx_free(reader->own);
        reader->own = grown;
        reader->capacity = capacity;
    } else if (kept > 0) {
        memmove(reader->own, reader->window + (at - reader->window_at), kept);
    }
    uint64_t left = reader->size - at;
    size_t want = left < reader->capacity ? (size_t)left : reader->capacity;
    size_t got = 0;
    enum nx_err err = nx_file_pread(reader->fd, at + kept, reader->own + kept, want - kept, &got);
    reader->window = reader->own;
    reader->window_at = at;
    reader->window_len = err == NX_OK ? kept + got : kept;
    return err;
}

/* Bytes from `at` on, at least `need` of them; NULL where the file, the disk or memory ends. */
static const char *bytes_at(struct ing_record_reader *reader, uint64_t at, size_t need,
                            size_t *available)
{
    if (at > reader->size || need > reader->size - at || reader->err != NX_OK)
        return NULL;
    bool inside = at >= reader->window_at && at - reader->window_at <= reader->window_len &&
                  need <= reader->window_len - (size_t)(at - reader->window_at);
    if (!inside) {
        if (reader->fd < 0)
            return NULL;
        reader->err = move_window(reader, at, need);
        if (reader->err == NX_OK && reader->window_len < need)
            reader->err = NX_ERR_IO; /* the file has shrunk */
        if (reader->err != NX_OK)
            return NULL;
    }
    size_t from = (size_t)(at - reader->window_at);
    if (available)
        *available = reader->window_len - from;
    return reader->window + from;
}

/* Whether a good record begins at `at`. */
static bool record_at(struct ing_record_reader *reader, uint64_t at, struct ing_record *out)
{
    const char *frame = bytes_at(reader, at, ING_RECORD_FRAME_BYTES, NULL);
    if (!frame || memcmp(frame, MAGIC, MAGIC_BYTES) != 0)
        return false;
    uint32_t len = nx_le32_load(frame + 4);
    uint32_t type = nx_le32_load(frame + 8);
    if (len > ING_RECORD_MAX_BYTES || len > reader->size - at - ING_RECORD_FRAME_BYTES ||
        type < ING_RECORD_SERIES || type > ING_RECORD_METADATA)
        return false;
    reader->effort_bytes -= len < reader->effort_bytes ? len : reader->effort_bytes;
    frame = bytes_at(reader, at, ING_RECORD_FRAME_BYTES + len, NULL);
    if (!frame || frame_crc(reader->nonce, frame, len) != nx_le32_load(frame + 12))
        return false;
    *out = (struct ing_record){.type = (enum ing_record_type)type,
                               .payload = nx_view_make(frame + ING_RECORD_FRAME_BYTES, len),
                               .offset = at};
    return true;
}

static bool search(struct ing_record_reader *reader, uint64_t from, struct ing_record *out)
{
    size_t available;
    const char *bytes;
    while (reader->effort_bytes > 0 &&
           (bytes = bytes_at(reader, from, MAGIC_BYTES, &available)) != NULL) {
        const char *found = memmem(bytes, available, MAGIC, MAGIC_BYTES);
        if (!found) {
            from += available - MAGIC_BYTES + 1;
            continue;
        }
        from += (uint64_t)(found - bytes);
        if (record_at(reader, from, out))
            return true;
        from++;
    }
    return false;
}

bool ing_record_next(struct ing_record_reader *reader, struct ing_record *out)
{
    if (reader->at >= reader->size || reader->err != NX_OK)
        return false;
    if (!record_at(reader, reader->at, out)) {
        if (!search(reader, reader->at + 1, out)) {
            reader->at = reader->size;
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
