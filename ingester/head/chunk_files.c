/* Pieces are put into a buffer; a full one waits in a queue for its write, one at a time, and is in
 * memory until that has succeeded: a write that fails is tried again later, after cutting off what
 * it may have left, and everything behind it waits. The queue is short. While it is full nothing is
 * taken, and the head keeps its chunks in memory.
 *
 * A file begins with a header that is a part of its first buffer, so that an address less the
 * file's first one is an offset. */
#include "ingester/head/chunk_files.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "ingester/metrics.h"

#define BUFFER_BYTES ((size_t)256 << 10)
#define FILE_BYTES ((uint64_t)64 << 20)
#define QUEUE_MAX 8u
#define RETRY_NS UINT64_C(1000000000)
#define FILE_HEADER "NXHC\1\0\0\0"
#define FILE_HEADER_BYTES 8u

struct buffer {
    struct nx_job job;
    struct ing_chunk_files *files;
    struct ing_chunk_file *file; /* that it goes to */
    uint64_t start;
    size_t len;
    bool again; /* an earlier write of it failed */
    enum nx_err err;
    struct buffer *next;
    uint8_t bytes[];
};

/* A window that has chunks in a file. */
struct mark {
    int64_t window;
    uint32_t tenant;
};

struct file_entry {
    struct ing_chunk_file *file;
    struct mark *marks; /* sorted */
    size_t mark_count;
    size_t mark_capacity;
};

struct ing_chunk_files {
    struct ing_chunk_files_options options;
    char *dir;
    struct nx_lane *lane;
    bool ended;
    struct file_entry *entries; /* ascending; the last one is written to */
    size_t entry_count;
    size_t entry_capacity;
    size_t open_count; /* entries that are in the view: the first ones */
    struct ing_chunk_view *view;
    struct buffer *filling;
    struct buffer *first; /* the queue */
    struct buffer *last;
    size_t queued;
    struct buffer *spare;
    bool writing;
    bool failing;
    uint64_t failed_ns;
    uint64_t next_address;
    uint64_t written;
};

enum nx_err ing_chunk_files_new(const struct ing_chunk_files_options *options,
                                struct ing_chunk_files **out)
{
    struct ing_chunk_files *files = nx_calloc(1, sizeof *files);
    if (!files)
        return NX_ERR_NOMEM;
    files->options = *options;
    if (files->options.buffer_bytes == 0)
        files->options.buffer_bytes = BUFFER_BYTES;
    if (files->options.file_bytes == 0)
        files->options.file_bytes = FILE_BYTES;
    files->next_address = files->written = 1; /* 0 is none */
    files->dir = nx_strdup(options->dir);
    files->view = ing_chunk_view_new(NULL, 0);
    if (!files->dir || !files->view) {
        ing_chunk_files_free(files);
        return NX_ERR_NOMEM;
    }
    *out = files;
    return NX_OK;
}

void ing_chunk_files_free(struct ing_chunk_files *files)
{
    if (!files)
        return;
    while (files->first) {
        struct buffer *next = files->first->next;
        nx_free(files->first);
        files->first = next;
    }
    nx_free(files->filling);
    nx_free(files->spare);
    for (size_t i = 0; i < files->entry_count; i++) {
        ing_chunk_file_drop(files->entries[i].file);
        nx_free(files->entries[i].marks);
    }
    nx_free(files->entries);
    ing_chunk_view_drop(files->view);
    nx_free(files->dir);
    nx_free(files);
}

void ing_chunk_files_serve(struct ing_chunk_files *files, struct nx_lane *lane)
{
    assert(!files->writing);
    files->lane = lane;
}

void ing_chunk_files_end(struct ing_chunk_files *files)
{
    files->lane = NULL;
    files->ended = true;
}

/* --- writing --- */

/* On the lane, or inline. */
static void write_run(struct nx_job *job)
{
    struct buffer *buffer = NX_OWNER(struct buffer, job, job);
    const struct nx_fs *fs = buffer->files->options.fs;
    struct ing_chunk_file *file = buffer->file;
    enum nx_err err = NX_OK;
    if (file->fd < 0) {
        int fd;
        err = fs->mkdir(fs, buffer->files->dir);
        if (err == NX_OK)
            err = fs->open(fs, file->path, NX_FILE_APPEND, &fd);
        if (err == NX_OK)
            file->fd = fd;
    }
    if (err == NX_OK && buffer->again)
        err = fs->truncate(fs, file->fd, buffer->start - file->start);
    if (err == NX_OK)
        err = fs->write(fs, file->fd, buffer->bytes, buffer->len);
    buffer->err = err;
}

/* The view gets the file that the buffer is the first of. */
static enum nx_err show_file(struct ing_chunk_files *files, const struct buffer *buffer)
{
    if (files->open_count > 0 &&
        files->entries[files->open_count - 1].file->start >= buffer->file->start)
        return NX_OK;
    struct ing_chunk_file **list =
        nx_alloc_array(files->open_count + 1, sizeof(struct ing_chunk_file *));
    if (!list)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i <= files->open_count; i++)
        list[i] = files->entries[i].file;
    struct ing_chunk_view *view = ing_chunk_view_new(list, files->open_count + 1);
    nx_free(list);
    if (!view)
        return NX_ERR_NOMEM;
    ing_chunk_view_drop(files->view);
    files->view = view;
    files->open_count++;
    return NX_OK;
}

static void report(struct ing_chunk_files *files, enum nx_err err)
{
    if (err == NX_OK && files->failing)
        nx_log(files->options.log, NX_LOG_INFO, "chunk files are written again",
               NX_S("dir", files->dir));
    if (err != NX_OK && !files->failing)
        nx_log(files->options.log, NX_LOG_ERROR,
               "chunk file not written: sealed chunks stay in memory", NX_S("dir", files->dir),
               NX_E(err));
    files->failing = err != NX_OK;
    if (err != NX_OK) {
        files->failed_ns = nx_now_ns(files->options.clock);
        nx_metric_inc(files->options.metrics, ING_M_CHUNK_WRITE_FAILURES);
    }
}

static void write_done(struct nx_job *job);

/* Writes the first of the queue, if there is one and its time has come. */
static void write_next(struct ing_chunk_files *files)
{
    struct buffer *buffer = files->first;
    if (!buffer || files->writing || files->ended)
        return;
    if (files->failing && nx_now_ns(files->options.clock) - files->failed_ns < RETRY_NS)
        return;
    files->writing = true;
    buffer->job = (struct nx_job){.run = write_run, .done = write_done};
    if (files->lane) { /* whose result is written there */
        enum nx_err err = nx_lane_submit(files->lane, &buffer->job);
        if (err == NX_OK)
            return;
        buffer->err = err;
    } else {
        write_run(&buffer->job);
    }
    write_done(&buffer->job);
}

static void write_done(struct nx_job *job)
{
    struct buffer *buffer = NX_OWNER(struct buffer, job, job);
    struct ing_chunk_files *files = buffer->files;
    assert(files->first == buffer);
    enum nx_err err = buffer->err;
    if (err == NX_OK)
        err = show_file(files, buffer);
    files->writing = false;
    report(files, err);
    if (err != NX_OK) {
        buffer->again = buffer->file->fd >= 0;
        return;
    }
    files->written = buffer->start + buffer->len;
    nx_metric_add(files->options.metrics, ING_M_CHUNK_FILE_BYTES, 0, (double)buffer->len);
    files->first = buffer->next;
    if (!files->first)
        files->last = NULL;
    files->queued--;
    nx_free(files->spare);
    files->spare = buffer;
    write_next(files);
}

/* --- taking chunks --- */

static enum nx_err entry_add(struct ing_chunk_files *files)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%016" PRIx64, files->next_address);
    enum nx_err err = nx_grow(&files->entries, &files->entry_capacity, files->entry_count + 1,
                              sizeof *files->entries);
    char *path = err == NX_OK ? nx_path_join(files->dir, name) : NULL;
    struct ing_chunk_file *file = path ? ing_chunk_file_new(files->next_address, path) : NULL;
    nx_free(path);
    if (!file)
        return NX_ERR_NOMEM;
    files->entries[files->entry_count++] = (struct file_entry){.file = file};
    return NX_OK;
}

static struct file_entry *last_entry(struct ing_chunk_files *files)
{
    assert(files->entry_count > 0);
    return &files->entries[files->entry_count - 1];
}

/* An empty buffer to fill, at the end of the last file or in a new one. */
static enum nx_err buffer_begin(struct ing_chunk_files *files)
{
    const struct file_entry *entry = files->entry_count > 0 ? last_entry(files) : NULL;
    bool new_file = !entry || files->next_address - entry->file->start >= files->options.file_bytes;
    struct buffer *buffer = files->spare;
    if (!buffer)
        buffer = nx_alloc(sizeof *buffer + files->options.buffer_bytes);
    if (!buffer)
        return NX_ERR_NOMEM;
    files->spare = NULL;
    enum nx_err err = new_file ? entry_add(files) : NX_OK;
    if (err != NX_OK) {
        files->spare = buffer;
        return err;
    }
    *buffer = (struct buffer){
        .files = files, .file = last_entry(files)->file, .start = files->next_address};
    if (new_file) {
        memcpy(buffer->bytes, FILE_HEADER, FILE_HEADER_BYTES);
        buffer->len = FILE_HEADER_BYTES;
        files->next_address += FILE_HEADER_BYTES;
    }
    files->filling = buffer;
    return NX_OK;
}

/* Makes room for that many bytes. */
static enum nx_err buffer_reserve(struct ing_chunk_files *files, size_t len)
{
    if (len + FILE_HEADER_BYTES > files->options.buffer_bytes)
        return NX_ERR_TOO_LARGE;
    if (files->filling && files->filling->len + len <= files->options.buffer_bytes)
        return NX_OK;
    if (files->filling) {
        if (files->queued == QUEUE_MAX) {
            write_next(files);
            return NX_ERR_OVERLOADED;
        }
        struct buffer *full = files->filling;
        files->filling = NULL;
        if (files->last)
            files->last->next = full;
        else
            files->first = full;
        files->last = full;
        files->queued++;
        write_next(files);
    }
    return buffer_begin(files);
}

static size_t mark_position(const struct file_entry *entry, struct mark mark)
{
    size_t low = 0;
    size_t high = entry->mark_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct mark *at = &entry->marks[mid];
        if (at->window < mark.window || (at->window == mark.window && at->tenant < mark.tenant))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool mark_is(const struct file_entry *entry, size_t at, struct mark mark)
{
    return at < entry->mark_count && entry->marks[at].window == mark.window &&
           entry->marks[at].tenant == mark.tenant;
}

static enum nx_err mark_add(struct file_entry *entry, struct mark mark)
{
    size_t at = mark_position(entry, mark);
    if (mark_is(entry, at, mark))
        return NX_OK;
    enum nx_err err =
        nx_grow(&entry->marks, &entry->mark_capacity, entry->mark_count + 1, sizeof *entry->marks);
    if (err != NX_OK)
        return err;
    memmove(&entry->marks[at + 1], &entry->marks[at],
            (entry->mark_count - at) * sizeof *entry->marks);
    entry->marks[at] = mark;
    entry->mark_count++;
    return NX_OK;
}

uint64_t ing_chunk_files_append(struct ing_chunk_files *files, const struct ing_chunk_piece *piece,
                                uint32_t tenant, int64_t window)
{
    size_t len = ING_CHUNK_PIECE_HEADER_BYTES + piece->chunk.data.len;
    if (!ing_chunk_piece_fits(piece) || files->next_address + len > ING_ADDRESS_MAX ||
        buffer_reserve(files, len) != NX_OK ||
        mark_add(last_entry(files), (struct mark){.window = window, .tenant = tenant}) != NX_OK)
        return ING_CHUNK_ADDRESS_NONE;
    struct buffer *buffer = files->filling;
    uint64_t address = files->next_address;
    buffer->len += ing_chunk_piece_write(piece, buffer->bytes + buffer->len);
    files->next_address += len;
    return address;
}

/* --- letting go --- */

struct removal {
    struct nx_job job;
    const struct nx_fs *fs;
    struct nx_log *log;
    struct ing_chunk_file *file;
};

static void remove_file(const struct nx_fs *fs, struct nx_log *log, struct ing_chunk_file *file)
{
    enum nx_err err = fs->unlink(fs, file->path);
    if (err != NX_OK)
        nx_log(log, NX_LOG_WARN, "chunk file not removed", NX_S("file", file->path), NX_E(err));
    ing_chunk_file_drop(file);
}

static void removal_run(struct nx_job *job)
{
    struct removal *removal = NX_OWNER(struct removal, job, job);
    remove_file(removal->fs, removal->log, removal->file);
}

static void removal_done(struct nx_job *job)
{
    nx_free(NX_OWNER(struct removal, job, job));
}

/* Takes over the reference. The last close of a large file takes a while: on the lane. */
static void unlink_file(struct ing_chunk_files *files, struct ing_chunk_file *file)
{
    struct removal *removal = files->lane ? nx_alloc(sizeof *removal) : NULL;
    if (removal) {
        *removal = (struct removal){.job = {.run = removal_run, .done = removal_done},
                                    .fs = files->options.fs,
                                    .log = files->options.log,
                                    .file = file};
        if (nx_lane_submit(files->lane, &removal->job) == NX_OK)
            return;
        nx_free(removal);
    }
    remove_file(files->options.fs, files->options.log, file);
}

/* The first `count` files, all of them in the view, go. */
static void drop_files(struct ing_chunk_files *files, size_t count)
{
    size_t left = files->open_count - count;
    struct ing_chunk_view *view = ing_chunk_view_new(&files->view->files[count], left);
    if (!view)
        return; /* at another time */
    ing_chunk_view_drop(files->view);
    files->view = view;
    for (size_t i = 0; i < count; i++) {
        unlink_file(files, files->entries[i].file);
        nx_free(files->entries[i].marks);
    }
    files->entry_count -= count;
    files->open_count = left;
    memmove(files->entries, files->entries + count, files->entry_count * sizeof *files->entries);
}

void ing_chunk_files_forget(struct ing_chunk_files *files, uint32_t tenant, int64_t window)
{
    struct mark mark = {.window = window, .tenant = tenant};
    for (size_t i = 0; i < files->entry_count; i++) {
        struct file_entry *entry = &files->entries[i];
        size_t at = mark_position(entry, mark);
        if (!mark_is(entry, at, mark))
            continue;
        entry->mark_count--;
        memmove(&entry->marks[at], &entry->marks[at + 1],
                (entry->mark_count - at) * sizeof *entry->marks);
    }
    /* never the last one, nor one that a write is still to come for */
    size_t count = 0;
    while (count + 1 < files->open_count && files->entries[count].mark_count == 0)
        count++;
    if (count > 0)
        drop_files(files, count);
}

/* --- reading --- */

uint64_t ing_chunk_files_written(const struct ing_chunk_files *files)
{
    return files->written;
}

enum nx_err ing_chunk_files_read_memory(const struct ing_chunk_files *files, uint64_t address,
                                        uint32_t owner, struct ing_chunk_piece *out)
{
    const struct buffer *buffer = files->first;
    while (buffer && address >= buffer->start + buffer->len)
        buffer = buffer->next;
    if (!buffer)
        buffer = files->filling;
    size_t len;
    if (!buffer || address < buffer->start ||
        address + ING_CHUNK_PIECE_HEADER_BYTES > buffer->start + buffer->len)
        return NX_ERR_CORRUPT;
    size_t at = (size_t)(address - buffer->start);
    enum nx_err err = ing_chunk_piece_length(buffer->bytes + at, &len);
    if (err != NX_OK)
        return err;
    len += ING_CHUNK_PIECE_HEADER_BYTES;
    return len > buffer->len - at
               ? NX_ERR_CORRUPT
               : ing_chunk_piece_read(nx_view_make(buffer->bytes + at, len), owner, out);
}

struct ing_chunk_view *ing_chunk_files_view(const struct ing_chunk_files *files)
{
    return files->view;
}
