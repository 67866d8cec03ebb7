/* The list is small (deletions are made by people) and its file is written whole at each change,
 * under another name first. Readers take references under a lock that is never held over the disk.
 */
#include "ingester/tombstone/tombstones.h"

#include <pthread.h>

#include "common/base/alloc.h"
#include "ingester/metrics.h"

#define FILE_MAX_BYTES ((size_t)1 << 30)

struct ing_tombstones {
    const struct nx_fs *fs;
    char *dir;
    char *path;
    char *tmp_path;
    struct nx_metrics *metrics;
    pthread_mutex_t lock;
    struct ing_tombstone **items; /* by number; changed under both locks, read under either */
    size_t count;
    uint64_t last;
    pthread_mutex_t change; /* held through a change, file included; taken first */
};

static void count_gauge(const struct ing_tombstones *tombstones)
{
    nx_metric_set(tombstones->metrics, ING_M_TOMBSTONES, 0, (double)tombstones->count);
}

static enum nx_err write_new(const struct nx_fs *fs, const char *path,
                             struct ing_tombstone *const *items, size_t count, uint64_t last)
{
    struct nx_buf buf;
    int fd;
    nx_buf_init(&buf, FILE_MAX_BYTES);
    ing_tombstones_encode(&buf, items, count, last);
    enum nx_err err = nx_buf_err(&buf);
    if (err == NX_OK) {
        err = fs->unlink(fs, path);
        err = err == NX_ERR_NOT_FOUND ? NX_OK : err;
    }
    if (err == NX_OK)
        err = fs->open(fs, path, NX_FILE_CREATE, &fd);
    if (err == NX_OK) {
        err = fs->write(fs, fd, buf.data, buf.len);
        if (err == NX_OK)
            err = fs->sync(fs, fd);
        (void)fs->close(fs, fd);
    }
    nx_buf_release(&buf);
    return err;
}

static enum nx_err write_file(struct ing_tombstones *tombstones, struct ing_tombstone *const *items,
                              size_t count, uint64_t last)
{
    const struct nx_fs *fs = tombstones->fs;
    enum nx_err err = write_new(fs, tombstones->tmp_path, items, count, last);
    if (err == NX_OK)
        err = fs->rename(fs, tombstones->tmp_path, tombstones->path);
    if (err == NX_OK)
        err = fs->sync_dir(fs, tombstones->dir);
    return err;
}

/* Keeps a damaged file for whoever wants to look at it. */
static enum nx_err put_aside(struct ing_tombstones *tombstones, struct nx_log *log, size_t damaged)
{
    char *aside = nx_path_join(tombstones->dir, "tombstones.damaged");
    if (!aside)
        return NX_ERR_NOMEM;
    nx_metric_add(tombstones->metrics, ING_M_TOMBSTONES_DAMAGED, 0, (double)damaged);
    nx_log(log, NX_LOG_ERROR,
           "damaged list of deletions: what they hid may show until another replica tells of them",
           NX_S("file", aside), NX_I("damaged", damaged), NX_I("read", tombstones->count));
    enum nx_err err = tombstones->fs->rename(tombstones->fs, tombstones->path, aside);
    nx_free(aside);
    return err == NX_OK
               ? write_file(tombstones, tombstones->items, tombstones->count, tombstones->last)
               : err;
}

static enum nx_err read_file(struct ing_tombstones *tombstones, struct nx_log *log)
{
    struct ing_tombstone_list list = {0};
    size_t len, damaged;
    char *bytes;
    enum nx_err err = nx_file_read_all(tombstones->path, FILE_MAX_BYTES, &bytes, &len);
    if (err == NX_ERR_NOT_FOUND)
        return NX_OK;
    if (err != NX_OK)
        return err;
    err = ing_tombstones_decode(nx_view_make(bytes, len), &list, &tombstones->last, &damaged);
    nx_free(bytes);
    if (err != NX_OK)
        return err;
    tombstones->items = list.items;
    tombstones->count = list.count;
    return damaged > 0 ? put_aside(tombstones, log, damaged) : NX_OK;
}

enum nx_err ing_tombstones_open(const struct nx_fs *fs, const char *dir, uint64_t at_least,
                                struct nx_log *log, struct nx_metrics *metrics,
                                struct ing_tombstones **out)
{
    struct ing_tombstones *tombstones = nx_calloc(1, sizeof *tombstones);
    if (!tombstones)
        return NX_ERR_NOMEM;
    tombstones->fs = fs;
    tombstones->metrics = metrics;
    pthread_mutex_init(&tombstones->lock, NULL);
    pthread_mutex_init(&tombstones->change, NULL);
    tombstones->dir = nx_strdup(dir);
    tombstones->path = nx_path_join(dir, "tombstones");
    tombstones->tmp_path = nx_path_join(dir, "tombstones.tmp");
    enum nx_err err = tombstones->dir && tombstones->path && tombstones->tmp_path
                          ? read_file(tombstones, log)
                          : NX_ERR_NOMEM;
    if (err != NX_OK) {
        ing_tombstones_free(tombstones);
        return err;
    }
    if (tombstones->last < at_least)
        tombstones->last = at_least;
    count_gauge(tombstones);
    *out = tombstones;
    return NX_OK;
}

void ing_tombstones_free(struct ing_tombstones *tombstones)
{
    if (!tombstones)
        return;
    for (size_t i = 0; i < tombstones->count; i++)
        ing_tombstone_drop(tombstones->items[i]);
    nx_free(tombstones->items);
    nx_free(tombstones->dir);
    nx_free(tombstones->path);
    nx_free(tombstones->tmp_path);
    pthread_mutex_destroy(&tombstones->lock);
    pthread_mutex_destroy(&tombstones->change);
    nx_free(tombstones);
}

uint64_t ing_tombstones_last(struct ing_tombstones *tombstones)
{
    pthread_mutex_lock(&tombstones->lock);
    uint64_t last = tombstones->last;
    pthread_mutex_unlock(&tombstones->lock);
    return last;
}

static bool known(const struct ing_tombstones *tombstones, struct nx_hash128 id)
{
    for (size_t i = 0; i < tombstones->count; i++)
        if (tombstones->items[i]->id.hi == id.hi && tombstones->items[i]->id.lo == id.lo)
            return true;
    return false;
}

bool ing_tombstones_known(struct ing_tombstones *tombstones, struct nx_hash128 id)
{
    pthread_mutex_lock(&tombstones->lock);
    bool found = known(tombstones, id);
    pthread_mutex_unlock(&tombstones->lock);
    return found;
}

static enum nx_err add(struct ing_tombstones *tombstones, struct ing_tombstone *tombstone)
{
    if (known(tombstones, tombstone->id)) {
        ing_tombstone_drop(tombstone);
        return NX_OK;
    }
    if (tombstones->count >= ING_TOMBSTONES_MAX)
        return NX_ERR_RATE_LIMITED;
    struct ing_tombstone **items =
        nx_alloc_array(tombstones->count + 1, sizeof(struct ing_tombstone *));
    if (!items)
        return NX_ERR_NOMEM;
    if (tombstones->count > 0)
        memcpy(items, tombstones->items, tombstones->count * sizeof(struct ing_tombstone *));
    items[tombstones->count] = tombstone;
    tombstone->number = tombstones->last + 1;
    enum nx_err err = write_file(tombstones, items, tombstones->count + 1, tombstone->number);
    if (err != NX_OK) {
        nx_free(items);
        return err;
    }
    pthread_mutex_lock(&tombstones->lock);
    nx_free(tombstones->items);
    tombstones->items = items;
    tombstones->count++;
    tombstones->last = tombstone->number;
    pthread_mutex_unlock(&tombstones->lock);
    count_gauge(tombstones);
    return NX_OK;
}

enum nx_err ing_tombstones_add(struct ing_tombstones *tombstones, struct ing_tombstone *tombstone)
{
    pthread_mutex_lock(&tombstones->change);
    enum nx_err err = add(tombstones, tombstone);
    pthread_mutex_unlock(&tombstones->change);
    return err;
}

enum nx_err ing_tombstones_acquire(struct ing_tombstones *tombstones, struct nx_view tenant,
                                   struct nx_interval range, struct ing_tombstone_list *out)
{
    struct ing_tombstone_list list = {0};
    size_t capacity = 0;
    enum nx_err err = NX_OK;
    pthread_mutex_lock(&tombstones->lock);
    for (size_t i = 0; i < tombstones->count && err == NX_OK; i++) {
        struct ing_tombstone *tombstone = tombstones->items[i];
        if ((tenant.ptr && !nx_view_eq(tombstone->tenant, tenant)) ||
            tombstone->range.min_t > range.max_t || tombstone->range.max_t < range.min_t)
            continue;
        err = nx_grow(&list.items, &capacity, list.count + 1, sizeof(struct ing_tombstone *));
        if (err == NX_OK) {
            nx_refcount_take(&tombstone->refs);
            list.items[list.count++] = tombstone;
        }
    }
    pthread_mutex_unlock(&tombstones->lock);
    if (err != NX_OK)
        ing_tombstone_list_release(&list);
    else
        *out = list;
    return err;
}

static bool listed(const struct ing_tombstone_list *list, const struct ing_tombstone *tombstone)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == tombstone)
            return true;
    return false;
}

static enum nx_err forget(struct ing_tombstones *tombstones, const struct ing_tombstone_list *list)
{
    struct ing_tombstone **kept = nx_alloc_array(tombstones->count, sizeof(struct ing_tombstone *));
    struct ing_tombstone_list gone = {
        .items = nx_alloc_array(tombstones->count, sizeof(struct ing_tombstone *))};
    size_t count = 0;
    enum nx_err err = kept && gone.items ? NX_OK : NX_ERR_NOMEM;
    for (size_t i = 0; err == NX_OK && i < tombstones->count; i++) {
        if (listed(list, tombstones->items[i]))
            gone.items[gone.count++] = tombstones->items[i];
        else
            kept[count++] = tombstones->items[i];
    }
    if (err == NX_OK && gone.count > 0)
        err = write_file(tombstones, kept, count, tombstones->last);
    if (err != NX_OK || gone.count == 0) {
        nx_free(kept);
        nx_free(gone.items);
        return err;
    }
    pthread_mutex_lock(&tombstones->lock);
    nx_free(tombstones->items);
    tombstones->items = kept;
    tombstones->count = count;
    pthread_mutex_unlock(&tombstones->lock);
    count_gauge(tombstones);
    ing_tombstone_list_release(&gone);
    return NX_OK;
}

enum nx_err ing_tombstones_forget(struct ing_tombstones *tombstones,
                                  const struct ing_tombstone_list *list)
{
    pthread_mutex_lock(&tombstones->change);
    enum nx_err err = forget(tombstones, list);
    pthread_mutex_unlock(&tombstones->change);
    return err;
}

enum nx_err ing_tombstones_copy(struct ing_tombstones *tombstones, const char *dir)
{
    char *path = nx_path_join(dir, "tombstones");
    if (!path)
        return NX_ERR_NOMEM;
    pthread_mutex_lock(&tombstones->change);
    enum nx_err err =
        write_new(tombstones->fs, path, tombstones->items, tombstones->count, tombstones->last);
    pthread_mutex_unlock(&tombstones->change);
    nx_free(path);
    return err;
}
