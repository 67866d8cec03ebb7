/* Records of the log (docs/formats/wal.md): framing with a checksum, and the payload of each type.
 * The checksum is seeded with the segment's nonce, so that bytes a sender chose are never taken for
 * a record when a reader looks for the next good one behind a damaged spot. Writing and payloads
 * are pure functions over memory; reading blocks where it is from a file. */
#ifndef ING_WAL_RECORD_H
#define ING_WAL_RECORD_H

#include "common/labels/series_id.h"

enum ing_record_type {
    ING_RECORD_SERIES = 1,
    ING_RECORD_SAMPLES = 2,
    ING_RECORD_HISTOGRAMS = 3,
    ING_RECORD_EXEMPLARS = 4,
    ING_RECORD_METADATA = 5,
};

#define ING_RECORD_FRAME_BYTES 16
#define ING_RECORD_MAX_BYTES (UINT32_C(64) << 20)
/* A writer begins another record beyond this. */
#define ING_RECORD_SPLIT_BYTES (UINT32_C(1) << 20)
#define ING_RECORD_MAX_SAMPLES 65536u

struct ing_record_writer {
    struct nx_buf *buf;
    uint64_t nonce;
    size_t start;
};
void ing_record_begin(struct ing_record_writer *writer, struct nx_buf *buf, uint64_t nonce,
                      enum ing_record_type type);
void ing_record_end(struct ing_record_writer *writer);
static inline size_t ing_record_len(const struct ing_record_writer *writer)
{
    return writer->buf->len - writer->start;
}

struct ing_record {
    enum ing_record_type type;
    struct nx_view payload;
    uint64_t offset; /* of the frame */
};
/* Reads records from a file window by window, or from memory. */
struct ing_record_reader {
    int fd;             /* -1: the window is all there is */
    uint64_t size;      /* of the file */
    const char *window; /* what of it is in memory */
    uint64_t window_at;
    size_t window_len;
    char *own; /* the window's memory, where it has some of its own */
    size_t capacity;
    uint64_t at;
    uint64_t nonce;
    size_t gaps;            /* damaged spots skipped */
    uint64_t damaged_bytes; /* in them */
    uint64_t first_gap;     /* offset of the first */
    uint64_t good_end;      /* behind the last good record */
    uint64_t effort_bytes;  /* still to be spent on looking for records behind damage */
    enum nx_err err;        /* why reading ended before the end of the file: memory, or the disk */
};
/* `from`: offset of the first record. The bytes stay the caller's. */
void ing_record_reader_init(struct ing_record_reader *reader, struct nx_view bytes, uint64_t from,
                            uint64_t nonce);
/* The same over the first `size` bytes of a file, of which about a megabyte, or the largest record,
 * is in memory at a time. The descriptor stays the caller's. */
void ing_record_reader_open(struct ing_record_reader *reader, int fd, uint64_t size, uint64_t from,
                            uint64_t nonce);
void ing_record_reader_release(struct ing_record_reader *reader);
/* The next good record, whatever lies before it; its payload is valid until the next call. False at
 * the end: what is left behind good_end is no record. */
bool ing_record_next(struct ing_record_reader *reader, struct ing_record *out);

/* --- payloads; the views of decoded ones alias the record --- */

/* SERIES, EXEMPLARS and METADATA begin with the tenant, followed by entries to the end. */
struct ing_series_entry {
    uint64_t log_ref;
    struct nx_series_id id;
    struct nx_view labels; /* encoded set */
};
void ing_series_entry_put(struct nx_buf *buf, const struct ing_series_entry *entry);
bool ing_series_entry_read(struct nx_cursor *cur, struct ing_series_entry *out);

struct ing_exemplar_entry {
    struct nx_series_id id;
    struct nx_view series_labels;
    struct nx_view labels;
    int64_t t;
    uint64_t value_bits;
};
void ing_exemplar_entry_put(struct nx_buf *buf, const struct ing_exemplar_entry *entry);
bool ing_exemplar_entry_read(struct nx_cursor *cur, struct ing_exemplar_entry *out);

struct ing_metadata_entry {
    struct nx_view metric;
    struct nx_view help;
    struct nx_view unit;
    uint32_t type;
};
void ing_metadata_entry_put(struct nx_buf *buf, const struct ing_metadata_entry *entry);
bool ing_metadata_entry_read(struct nx_cursor *cur, struct ing_metadata_entry *out);

/* HISTOGRAMS: entries to the end. */
struct ing_histogram_entry {
    uint64_t log_ref;
    int64_t t;
    struct nx_view histogram; /* common/chunk/histogram_codec.h */
};
void ing_histogram_entry_put(struct nx_buf *buf, const struct ing_histogram_entry *entry);
bool ing_histogram_entry_read(struct nx_cursor *cur, struct ing_histogram_entry *out);

/* SAMPLES: columns. */
struct ing_sample_row {
    uint64_t log_ref;
    int64_t t;
    uint64_t bits;
};
#define ING_SAMPLE_ROW_MAX_BYTES 28
/* At most ING_RECORD_MAX_SAMPLES rows. */
void ing_sample_rows_put(struct nx_buf *buf, const struct ing_sample_row *rows, size_t count);
struct ing_sample_reader {
    struct nx_cursor refs;
    struct nx_cursor times;
    struct nx_cursor values;
    size_t left;
    uint64_t ref;
    int64_t t;
};
/* False where the payload is not what a writer writes. */
bool ing_sample_reader_init(struct ing_sample_reader *reader, struct nx_view payload);
bool ing_sample_reader_next(struct ing_sample_reader *reader, struct ing_sample_row *out);

#endif
