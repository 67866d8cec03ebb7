/* A series record gives a series its number within the directory; sample records name series by it.
 * Series that end up without samples leave the heads afterwards (the caller collects). Records are
 * read from a copy of the file in memory: a disk error is then an error of a read, not a fault of a
 * mapping. */
#include "ingester/wal/replay.h"

#include "common/base/alloc.h"
#include "common/chunk/histogram_codec.h"
#include "ingester/wal/record.h"
#include "ingester/wal/segment.h"

#define LABELS_MAX 65536u

struct mapping {
    uint64_t log_ref;
    uint32_t head;
    uint32_t ref;
};

struct reader {
    struct ing_replay *replay;
    uint32_t dir_shard;
    struct ing_book *book;
    struct nx_index index; /* log_ref -> mappings */
    struct mapping *mappings;
    size_t mapping_count;
    size_t mapping_capacity;
    uint64_t segment;
    struct nx_arena arena;
    /* the window looked up last */
    uint32_t cached_head;
    uint32_t cached_tenant;
    int64_t cached_window;
    uint64_t cached_before;
};

static bool mapping_eq(uint32_t at, const void *key, const void *user)
{
    return ((const struct reader *)user)->mappings[at].log_ref == *(const uint64_t *)key;
}

static uint64_t ref_hash(uint64_t log_ref)
{
    return nx_hash64(&log_ref, sizeof log_ref);
}

static const struct mapping *mapping_find(const struct reader *reader, uint64_t log_ref)
{
    uint32_t at = nx_index_find(&reader->index, ref_hash(log_ref), mapping_eq, &log_ref, reader);
    return at == NX_INDEX_NONE ? NULL : &reader->mappings[at];
}

static enum nx_err mapping_add(struct reader *reader, const struct mapping *mapping)
{
    if (mapping_find(reader, mapping->log_ref))
        return NX_OK;
    enum nx_err err = nx_grow(&reader->mappings, &reader->mapping_capacity,
                              reader->mapping_count + 1, sizeof *reader->mappings);
    if (err == NX_OK)
        err = nx_index_insert(&reader->index, ref_hash(mapping->log_ref),
                              (uint32_t)reader->mapping_count);
    if (err == NX_OK)
        reader->mappings[reader->mapping_count++] = *mapping;
    return err;
}

static uint32_t head_of(const struct ing_replay *replay, struct nx_series_id id)
{
    return nx_series_id_partition(id, replay->partitions) % replay->shards;
}

static void damaged(struct reader *reader, const char *path, const char *what, size_t offset,
                    size_t bytes)
{
    reader->replay->stats.damaged_spots++;
    reader->replay->stats.damaged_bytes += bytes;
    nx_log(reader->replay->log, NX_LOG_ERROR, "damage in the log skipped", NX_S("file", path),
           NX_S("what", what), NX_I("offset", offset), NX_I("bytes", bytes));
}

static enum nx_err replay_series(struct reader *reader, struct nx_view payload)
{
    struct nx_cursor cur = nx_cursor_of(payload);
    struct nx_view tenant = nx_cursor_bytes(&cur);
    struct ing_series_entry entry;
    while (ing_series_entry_read(&cur, &entry)) {
        struct mapping mapping = {.log_ref = entry.log_ref,
                                  .head = head_of(reader->replay, entry.id)};
        struct ing_head *head = reader->replay->heads[mapping.head];
        struct nx_cursor labels_cur = nx_cursor_of(entry.labels);
        struct nx_labels labels;
        nx_arena_clear(&reader->arena);
        enum nx_err err = nx_labels_decode(&labels_cur, &reader->arena, LABELS_MAX, &labels);
        if (err == NX_ERR_NOMEM)
            return err;
        if (err != NX_OK || entry.log_ref == 0)
            continue;
        mapping.ref = ing_head_find(head, entry.id);
        if (mapping.ref == ING_REF_NONE) {
            uint32_t number;
            err = ing_head_tenant_get(head, tenant, &number);
            if (err == NX_OK)
                err = ing_head_create(head, number, entry.id, labels, &mapping.ref);
            if (err != NX_OK)
                return err;
        }
        ing_head_series(head, mapping.ref)->log_ref = entry.log_ref;
        err = mapping_add(reader, &mapping);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static bool is_covered(struct reader *reader, const struct mapping *mapping, int64_t t)
{
    struct ing_head *head = reader->replay->heads[mapping->head];
    uint32_t tenant = ing_head_series(head, mapping->ref)->tenant;
    int64_t window = ing_window_of(head->options.rules.window_ms, t);
    if (reader->cached_head != mapping->head || reader->cached_tenant != tenant ||
        reader->cached_window != window) {
        reader->cached_head = mapping->head;
        reader->cached_tenant = tenant;
        reader->cached_window = window;
        reader->cached_before =
            ing_coverage_before(reader->replay->coverage, ing_head_tenant(head, tenant)->name,
                                window, reader->dir_shard);
    }
    return reader->segment < reader->cached_before;
}

/* Only memory is a failure. */
static enum nx_err replay_sample(struct reader *reader, uint64_t log_ref,
                                 const struct nx_sample *sample, int64_t now_ms)
{
    struct ing_replay_stats *stats = &reader->replay->stats;
    const struct mapping *mapping = mapping_find(reader, log_ref);
    if (!mapping) {
        stats->lost++;
        return NX_OK;
    }
    if (sample->t > ING_TIME_LIMIT || sample->t < -ING_TIME_LIMIT) {
        stats->refused++;
        return NX_OK;
    }
    if (is_covered(reader, mapping, sample->t)) {
        stats->covered++;
        return NX_OK;
    }
    struct ing_head *head = reader->replay->heads[mapping->head];
    enum ing_append_result result;
    enum nx_err err = reader->book ? ing_book_reserve(reader->book, reader->segment) : NX_OK;
    if (err == NX_OK)
        err = ing_head_append(head, mapping->ref, sample, now_ms, &result);
    if (err == NX_ERR_NOMEM)
        return err;
    if (err != NX_OK) {
        stats->refused++;
        return NX_OK;
    }
    stats->samples++;
    if (reader->book)
        ing_book_note(reader->book, reader->segment, ing_head_series(head, mapping->ref)->tenant,
                      ing_window_of(head->options.rules.window_ms, sample->t));
    return NX_OK;
}

static enum nx_err replay_samples(struct reader *reader, struct nx_view payload, int64_t now_ms)
{
    struct ing_sample_reader rows;
    struct ing_sample_row row;
    if (!ing_sample_reader_init(&rows, payload))
        return NX_OK;
    while (ing_sample_reader_next(&rows, &row)) {
        struct nx_sample sample = {.t = row.t, .value = nx_double_from_bits(row.bits)};
        enum nx_err err = replay_sample(reader, row.log_ref, &sample, now_ms);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err replay_histograms(struct reader *reader, struct nx_view payload, int64_t now_ms)
{
    struct nx_cursor cur = nx_cursor_of(payload);
    struct ing_histogram_entry entry;
    while (ing_histogram_entry_read(&cur, &entry)) {
        struct nx_cursor bytes = nx_cursor_of(entry.histogram);
        struct nx_histogram *histogram;
        nx_arena_clear(&reader->arena);
        enum nx_err err = nx_histogram_decode(&bytes, &reader->arena, &histogram);
        if (err == NX_OK) {
            struct nx_sample sample = {.t = entry.t, .histogram = histogram};
            err = replay_sample(reader, entry.log_ref, &sample, now_ms);
        } else if (err != NX_ERR_NOMEM) {
            reader->replay->stats.refused++;
            err = NX_OK;
        }
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err replay_exemplars(struct reader *reader, struct nx_view payload)
{
    struct nx_cursor cur = nx_cursor_of(payload);
    struct nx_view tenant = nx_cursor_bytes(&cur);
    struct ing_exemplar_entry entry;
    while (ing_exemplar_entry_read(&cur, &entry)) {
        struct ing_head *head = reader->replay->heads[head_of(reader->replay, entry.id)];
        struct ing_exemplar exemplar = {.series = entry.id,
                                        .series_labels = entry.series_labels,
                                        .labels = entry.labels,
                                        .t = entry.t,
                                        .value_bits = entry.value_bits};
        uint32_t number;
        bool added;
        enum nx_err err = ing_head_tenant_get(head, tenant, &number);
        if (err == NX_OK)
            err = ing_exemplars_add(&ing_head_tenant(head, number)->exemplars, &exemplar, &added);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err replay_metadata(struct reader *reader, struct nx_view payload)
{
    const struct ing_replay *replay = reader->replay;
    struct nx_cursor cur = nx_cursor_of(payload);
    struct nx_view tenant = nx_cursor_bytes(&cur);
    struct ing_metadata_entry entry;
    while (ing_metadata_entry_read(&cur, &entry)) {
        struct ing_head *head = replay->heads[ing_metadata_shard(entry.metric, replay->shards)];
        struct ing_metadata metadata = {
            .metric = entry.metric, .help = entry.help, .unit = entry.unit, .type = entry.type};
        uint32_t number;
        bool changed;
        enum nx_err err = ing_head_tenant_get(head, tenant, &number);
        if (err == NX_OK)
            err = ing_metadata_set(&ing_head_tenant(head, number)->metadata, &metadata, &changed);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err replay_record(struct reader *reader, const struct ing_record *record,
                                 int64_t now_ms)
{
    switch (record->type) {
    case ING_RECORD_SERIES:
        return replay_series(reader, record->payload);
    case ING_RECORD_SAMPLES:
        return replay_samples(reader, record->payload, now_ms);
    case ING_RECORD_HISTOGRAMS:
        return replay_histograms(reader, record->payload, now_ms);
    case ING_RECORD_EXEMPLARS:
        return replay_exemplars(reader, record->payload);
    case ING_RECORD_METADATA:
        return replay_metadata(reader, record->payload);
    }
    return NX_OK;
}

/* Cuts what a crash left behind the last good record of the last file, so that the next start does
 * not find it again; that it may fail does not matter. */
static void cut_tail(struct reader *reader, const char *path, size_t good_end, size_t torn)
{
    const struct nx_fs *fs = reader->replay->fs;
    int fd;
    reader->replay->stats.torn_bytes += torn;
    nx_log(reader->replay->log, NX_LOG_WARN, "log cut at its last good record", NX_S("file", path),
           NX_I("offset", good_end), NX_I("bytes", torn));
    if (fs->open(fs, path, NX_FILE_APPEND, &fd) != NX_OK)
        return;
    (void)fs->truncate(fs, fd, good_end);
    (void)fs->close(fs, fd);
}

static enum nx_err replay_bytes(struct reader *reader, const char *path, struct nx_view bytes,
                                bool last)
{
    struct ing_segment_header header;
    if (!ing_segment_header_read(bytes, &header)) {
        /* the last file may have been cut while it was created */
        if (!last || bytes.len > ING_SEGMENT_HEADER_BYTES)
            damaged(reader, path, "header", 0, bytes.len);
        return NX_OK;
    }
    struct ing_record_reader records;
    struct ing_record record;
    int64_t now_ms = nx_now_ms(reader->replay->clock);
    ing_record_reader_init(&records, bytes, ING_SEGMENT_HEADER_BYTES, header.nonce);
    while (ing_record_next(&records, &record)) {
        enum nx_err err = replay_record(reader, &record, now_ms);
        if (err != NX_OK)
            return err;
    }
    if (records.gaps > 0) {
        damaged(reader, path, "records", records.first_gap, records.damaged_bytes);
        reader->replay->stats.damaged_spots += records.gaps - 1;
    }
    size_t torn = bytes.len - records.good_end;
    if (torn > 0 && last)
        cut_tail(reader, path, records.good_end, torn);
    else if (torn > 0)
        damaged(reader, path, "end of file", records.good_end, torn);
    return NX_OK;
}

static enum nx_err replay_file(struct reader *reader, const char *dir,
                               const struct ing_wal_file *file, bool last)
{
    char name[ING_SEGMENT_NAME_MAX];
    if (file->checkpoint)
        ing_checkpoint_name(file->segment, name);
    else
        ing_segment_name(file->segment, file->attempt, name);
    char *path = nx_path_join(dir, name);
    if (!path)
        return NX_ERR_NOMEM;
    char *bytes;
    size_t len;
    reader->segment = file->segment;
    enum nx_err err = nx_file_read_all(path, SIZE_MAX / 2, &bytes, &len);
    if (err == NX_OK) {
        reader->replay->stats.files++;
        reader->replay->stats.bytes += len;
        err = replay_bytes(reader, path, nx_view_make(bytes, len), last);
        nx_free(bytes);
    } else if (err != NX_ERR_NOMEM) {
        damaged(reader, path, nx_err_text(err), 0, 0);
        err = NX_OK;
    }
    nx_free(path);
    return err;
}

enum nx_err ing_replay_dir(struct ing_replay *replay, const char *dir, uint32_t dir_shard,
                           struct ing_book *book, uint64_t *next_segment)
{
    struct ing_wal_files files;
    enum nx_err err = ing_wal_files_list(dir, &files);
    if (err != NX_OK)
        return err;
    struct reader reader = {
        .replay = replay, .dir_shard = dir_shard, .book = book, .cached_head = UINT32_MAX};
    nx_index_init(&reader.index);
    nx_arena_init(&reader.arena, 0);
    struct ing_replay_stats *stats = &replay->stats;
    uint64_t damaged_before = stats->damaged_spots;
    uint64_t lost_before = stats->lost;
    for (size_t i = 0; i < files.count && err == NX_OK; i++)
        err = replay_file(&reader, dir, &files.items[i], i + 1 == files.count);
    if (stats->damaged_spots == damaged_before) {
        /* a series left memory with all its samples in blocks, and the checkpoint does not have it
         * any more */
        stats->covered += stats->lost - lost_before;
        stats->lost = lost_before;
    }
    if (err == NX_OK)
        *next_segment = files.next_segment;
    replay->first_segment = files.count > 0 ? files.items[0].segment : files.next_segment;
    nx_free(reader.mappings);
    nx_index_release(&reader.index);
    nx_arena_release(&reader.arena);
    ing_wal_files_release(&files);
    return err;
}
