/* A series record gives a series its number within the directory; sample records name series by it.
 * A head's replay knows the numbers of the other heads' series too, to tell theirs from lost ones.
 * Series that end up without samples leave the heads afterwards (the caller collects). Files are
 * read in pieces rather than mapped: a disk error is then an error of a read, not a fault of a
 * mapping. */
#include "ingester/wal/replay.h"

#include <sys/stat.h>

#include "common/base/alloc.h"
#include "common/chunk/histogram_codec.h"
#include "ingester/wal/record.h"
#include "ingester/wal/ref_map.h"
#include "ingester/wal/segment.h"

#define LABELS_MAX 65536u
#define REF_ELSEWHERE (UINT32_MAX - 1) /* a series of another head */

struct reader {
    struct ing_replay *replay;
    uint32_t dir_shard;
    struct ing_book *book;
    struct ing_ref_map refs;
    uint64_t segment;
    struct nx_arena arena;
    /* the window looked up last; mostly the next sample's too */
    uint32_t cached_tenant; /* UINT32_MAX: none */
    uint64_t cached_segment;
    int64_t cached_window;
    bool cached_covered;
    bool cached_noted; /* in the book */
};

/* Rows are taken in bunches, so that the series of all of them are on their way from memory while
 * the first ones are appended. */
#define BUNCH 64u

struct bunch {
    uint32_t refs[BUNCH];
    struct ing_sample_row rows[BUNCH];
    size_t count;
};

static uint32_t head_of(const struct ing_replay *replay, struct nx_series_id id)
{
    return nx_series_id_partition(id, replay->partitions) % replay->heads;
}

static void damaged(struct reader *reader, const char *path, const char *what, uint64_t offset,
                    uint64_t bytes)
{
    if (!reader->replay->reports)
        return;
    reader->replay->stats.damaged_spots++;
    reader->replay->stats.damaged_bytes += bytes;
    nx_log(reader->replay->log, NX_LOG_ERROR, "damage in the log skipped", NX_S("file", path),
           NX_S("what", what), NX_I("offset", offset), NX_I("bytes", bytes));
}

/* The series of an entry in the head: found or made. */
static enum nx_err series_ref(struct reader *reader, struct nx_view tenant,
                              const struct ing_series_entry *entry, struct nx_labels labels,
                              uint32_t *out)
{
    struct ing_head *head = reader->replay->head;
    uint32_t number;
    *out = ing_head_find(head, entry->id);
    if (*out == ING_REF_NONE) {
        enum nx_err err = ing_head_tenant_get(head, tenant, &number);
        if (err == NX_OK)
            err = ing_head_create(head, number, entry->id, labels, out);
        if (err != NX_OK)
            return err;
    }
    ing_head_series(head, *out)->log_ref = entry->log_ref;
    return NX_OK;
}

static enum nx_err replay_series(struct reader *reader, struct nx_view payload)
{
    const struct ing_replay *replay = reader->replay;
    struct nx_cursor cur = nx_cursor_of(payload);
    struct nx_view tenant = nx_cursor_bytes(&cur);
    struct ing_series_entry entry;
    while (ing_series_entry_read(&cur, &entry)) {
        uint32_t ref = REF_ELSEWHERE;
        enum nx_err err = NX_OK;
        if (entry.log_ref == 0)
            continue;
        if (head_of(replay, entry.id) == replay->number) {
            struct nx_cursor labels_cur = nx_cursor_of(entry.labels);
            struct nx_labels labels;
            nx_arena_clear(&reader->arena);
            err = nx_labels_decode(&labels_cur, &reader->arena, LABELS_MAX, &labels);
            if (err == NX_OK)
                err = series_ref(reader, tenant, &entry, labels, &ref);
            else if (err != NX_ERR_NOMEM)
                continue;
        }
        if (err == NX_OK)
            err = ing_ref_map_add(&reader->refs, entry.log_ref, ref);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static void find_window(struct reader *reader, uint32_t tenant, int64_t t)
{
    const struct ing_head *head = reader->replay->head;
    const struct ing_coverage *coverage = reader->replay->coverage;
    int64_t window = ing_window_of(head->options.rules.window_ms, t);
    uint64_t before = coverage->count == 0
                          ? 0
                          : ing_coverage_before(coverage, ing_head_tenant(head, tenant)->name,
                                                window, reader->dir_shard);
    reader->cached_tenant = tenant;
    reader->cached_segment = reader->segment;
    reader->cached_window = window;
    reader->cached_covered = reader->segment < before;
    reader->cached_noted = false;
}

static bool in_cached_window(const struct reader *reader, uint32_t tenant, int64_t t)
{
    return reader->cached_tenant == tenant && reader->cached_segment == reader->segment &&
           t >= reader->cached_window &&
           t - reader->cached_window < reader->replay->head->options.rules.window_ms;
}

/* The window has samples in the segment. */
static enum nx_err note_window(struct reader *reader)
{
    if (!reader->book || reader->cached_noted)
        return NX_OK;
    enum nx_err err = ing_book_reserve(reader->book, reader->segment);
    if (err != NX_OK)
        return err;
    ing_book_note(reader->book, reader->segment, reader->cached_tenant, reader->cached_window);
    reader->cached_noted = true;
    return NX_OK;
}

/* Only memory is a failure. `ref` is of a series of this head. */
static enum nx_err replay_sample(struct reader *reader, uint32_t ref,
                                 const struct nx_sample *sample, int64_t now_ms)
{
    struct ing_replay_stats *stats = &reader->replay->stats;
    struct ing_head *head = reader->replay->head;
    if (sample->t > ING_TIME_LIMIT || sample->t < -ING_TIME_LIMIT) {
        stats->refused++;
        return NX_OK;
    }
    uint32_t tenant = ing_head_series(head, ref)->tenant;
    if (!in_cached_window(reader, tenant, sample->t))
        find_window(reader, tenant, sample->t);
    if (reader->cached_covered) {
        stats->covered++;
        return NX_OK;
    }
    enum ing_append_result result;
    enum nx_err err = note_window(reader);
    if (err == NX_OK)
        err = ing_head_append(head, ref, sample, now_ms, &result);
    if (err == NX_ERR_NOMEM)
        return err;
    if (err == NX_OK)
        stats->samples++;
    else
        stats->refused++;
    return NX_OK;
}

/* False where the number is of no series of this head. */
static bool find_ref(struct reader *reader, uint64_t log_ref, uint32_t *out)
{
    *out = ing_ref_map_find(&reader->refs, log_ref);
    if (*out == ING_REF_MAP_NONE)
        reader->replay->stats.lost++;
    return *out != ING_REF_MAP_NONE && *out != REF_ELSEWHERE;
}

static void fill_bunch(struct reader *reader, struct ing_sample_reader *rows, struct bunch *bunch)
{
    const struct ing_head *head = reader->replay->head;
    bunch->count = 0;
    while (bunch->count < BUNCH && ing_sample_reader_next(rows, &bunch->rows[bunch->count])) {
        uint32_t ref;
        if (!find_ref(reader, bunch->rows[bunch->count].log_ref, &ref))
            continue;
        __builtin_prefetch(ing_head_series(head, ref));
        bunch->refs[bunch->count++] = ref;
    }
}

static enum nx_err replay_samples(struct reader *reader, struct nx_view payload, int64_t now_ms)
{
    struct ing_sample_reader rows;
    struct bunch bunch;
    if (!ing_sample_reader_init(&rows, payload))
        return NX_OK;
    do {
        fill_bunch(reader, &rows, &bunch);
        for (size_t i = 0; i < bunch.count; i++) {
            struct nx_sample sample = {.t = bunch.rows[i].t,
                                       .value = nx_double_from_bits(bunch.rows[i].bits)};
            enum nx_err err = replay_sample(reader, bunch.refs[i], &sample, now_ms);
            if (err != NX_OK)
                return err;
        }
    } while (rows.left > 0);
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
        uint32_t ref;
        if (err == NX_OK && find_ref(reader, entry.log_ref, &ref)) {
            struct nx_sample sample = {.t = entry.t, .histogram = histogram};
            err = replay_sample(reader, ref, &sample, now_ms);
        } else if (err != NX_OK && err != NX_ERR_NOMEM) {
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
        struct ing_head *head = reader->replay->head;
        if (head_of(reader->replay, entry.id) != reader->replay->number)
            continue;
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
        struct ing_head *head = replay->head;
        if (ing_metadata_shard(entry.metric, replay->heads) != replay->number)
            continue;
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
static void cut_tail(struct reader *reader, const char *path, uint64_t good_end, uint64_t torn)
{
    const struct nx_fs *fs = reader->replay->fs;
    int fd;
    if (reader->replay->reports) {
        reader->replay->stats.torn_bytes += torn;
        nx_log(reader->replay->log, NX_LOG_WARN, "log cut at its last good record",
               NX_S("file", path), NX_I("offset", good_end), NX_I("bytes", torn));
    }
    if (!reader->replay->cuts || fs->open(fs, path, NX_FILE_APPEND, &fd) != NX_OK)
        return;
    (void)fs->truncate(fs, fd, good_end);
    (void)fs->close(fs, fd);
}

static void count_read(const struct ing_replay *replay, uint64_t *counted, uint64_t at)
{
    if (replay->progress && replay->reports)
        atomic_fetch_add(&replay->progress->read_bytes, at - *counted);
    *counted = at;
}

static enum nx_err replay_records(struct reader *reader, struct ing_record_reader *records)
{
    struct ing_record record;
    int64_t now_ms = nx_now_ms(reader->replay->clock);
    uint64_t counted = 0;
    enum nx_err err = NX_OK;
    while (err == NX_OK && ing_record_next(records, &record)) {
        err = ing_progress_canceled(reader->replay->progress)
                  ? NX_ERR_CLOSED
                  : replay_record(reader, &record, now_ms);
        count_read(reader->replay, &counted, records->at);
    }
    count_read(reader->replay, &counted, records->size);
    return err == NX_OK && records->err == NX_ERR_NOMEM ? NX_ERR_NOMEM : err;
}

/* What was found besides good records. */
static void report_file(struct reader *reader, const char *path,
                        const struct ing_record_reader *records, bool last)
{
    if (records->gaps > 0) {
        damaged(reader, path, "records", records->first_gap, records->damaged_bytes);
        if (reader->replay->reports)
            reader->replay->stats.damaged_spots += records->gaps - 1;
    }
    uint64_t torn = records->size - records->good_end;
    if (records->err != NX_OK)
        damaged(reader, path, nx_err_text(records->err), records->good_end, torn);
    else if (torn > 0 && last)
        cut_tail(reader, path, records->good_end, torn);
    else if (torn > 0)
        damaged(reader, path, "end of file", records->good_end, torn);
}

static enum nx_err replay_open_file(struct reader *reader, const char *path, int fd, bool last)
{
    uint8_t start[ING_SEGMENT_HEADER_BYTES];
    struct ing_segment_header header;
    struct ing_record_reader records;
    uint64_t size;
    size_t got = 0;
    enum nx_err err = nx_file_size(fd, &size);
    if (err == NX_OK)
        err = nx_file_pread(fd, 0, start, sizeof start, &got);
    if (err != NX_OK)
        return err;
    if (reader->replay->reports) {
        reader->replay->stats.files++;
        reader->replay->stats.bytes += size;
    }
    if (!ing_segment_header_read(nx_view_make(start, got), &header)) {
        /* the last file may have been cut while it was created */
        if (!last || size > ING_SEGMENT_HEADER_BYTES)
            damaged(reader, path, "header", 0, size);
        return NX_OK;
    }
    ing_record_reader_open(&records, fd, size, ING_SEGMENT_HEADER_BYTES, header.nonce);
    err = replay_records(reader, &records);
    if (err == NX_OK)
        report_file(reader, path, &records, last);
    ing_record_reader_release(&records);
    return err;
}

static char *file_path(const char *dir, const struct ing_wal_file *file)
{
    char name[ING_SEGMENT_NAME_MAX];
    if (file->checkpoint)
        ing_checkpoint_name(file->segment, name);
    else
        ing_segment_name(file->segment, file->attempt, name);
    return nx_path_join(dir, name);
}

/* Not the file's fault: to skip it would be to lose what it holds. */
static bool is_of_the_machine(enum nx_err err)
{
    return err == NX_ERR_NOMEM || err == NX_ERR_CLOSED || err == NX_ERR_OVERLOADED ||
           err == NX_ERR_FORBIDDEN;
}

static enum nx_err replay_file(struct reader *reader, const char *dir,
                               const struct ing_wal_file *file, bool last)
{
    const struct nx_fs *fs = nx_fs_posix();
    char *path = file_path(dir, file);
    if (!path)
        return NX_ERR_NOMEM;
    int fd;
    reader->segment = file->segment;
    enum nx_err err = fs->open(fs, path, NX_FILE_READ, &fd);
    if (err == NX_OK) {
        err = replay_open_file(reader, path, fd, last);
        (void)fs->close(fs, fd);
    }
    if (err != NX_OK && !is_of_the_machine(err)) {
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
        .replay = replay, .dir_shard = dir_shard, .book = book, .cached_tenant = UINT32_MAX};
    ing_ref_map_init(&reader.refs);
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
    ing_ref_map_release(&reader.refs);
    nx_arena_release(&reader.arena);
    ing_wal_files_release(&files);
    return err;
}

uint64_t ing_replay_size(const char *dir)
{
    struct ing_wal_files files;
    uint64_t total = 0;
    if (ing_wal_files_list(dir, &files) != NX_OK)
        return 0;
    for (size_t i = 0; i < files.count; i++) {
        char *path = file_path(dir, &files.items[i]);
        struct stat info;
        if (path && stat(path, &info) == 0)
            total += (uint64_t)info.st_size;
        nx_free(path);
    }
    ing_wal_files_release(&files);
    return total;
}
