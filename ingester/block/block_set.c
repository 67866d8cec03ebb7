/* One array under a mutex, which is held for looking through it only: blocks are few hundreds, and
 * everything slow (opening, removing) happens outside. */
#include "ingester/block/block_set.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "ingester/metrics.h"

/* A directory whose block could not be opened; what it holds is known by its name only. */
struct lost_block {
    char *dir;
    char tenant_dir[ING_TENANT_DIR_MAX];
    int64_t min_t; /* inclusive */
    int64_t max_t; /* exclusive */
};

struct ing_block_set {
    const struct nx_fs *fs;
    char *dir;
    struct nx_log *log;
    struct nx_metrics *metrics;
    pthread_mutex_t lock;
    struct ing_block **blocks; /* under lock */
    size_t count;
    size_t capacity;
    struct lost_block *lost; /* under lock; of the start, later they only become fewer */
    size_t lost_count;
    size_t lost_capacity;
};

void ing_block_list_release(struct ing_block_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ing_block_drop(list->blocks[i]);
    nx_free(list->blocks);
    *list = (struct ing_block_list){0};
}

static bool has_suffix(const char *name, const char *suffix)
{
    return nx_view_has_suffix(nx_view_of(name), nx_view_of(suffix));
}

static enum nx_err remove_dir(const struct nx_fs *fs, const char *dir, const char *name)
{
    char *path = nx_path_join(dir, name);
    if (!path)
        return NX_ERR_NOMEM;
    enum nx_err err = fs->rmdir(fs, path);
    nx_free(path);
    return err;
}

/* A block that comes is counted under the lock: behind it others may take the block out and free
 * it. */
static void count_block(struct ing_block_set *set, const struct ing_block *block, double sign)
{
    nx_metric_add(set->metrics, ING_M_BLOCKS, 0, sign);
    nx_metric_add(set->metrics, ING_M_BLOCK_BYTES, 0, sign * (double)ing_block_size(block));
}

/* Renamed first, so that a crash in the middle of the removal leaves nothing that looks like a
 * block. */
static enum nx_err remove_path(struct ing_block_set *set, const char *dir)
{
    size_t len = strlen(dir);
    char *gone = nx_alloc(len + 6);
    if (!gone)
        return NX_ERR_NOMEM;
    (void)snprintf(gone, len + 6, "%s.gone", dir);
    enum nx_err err = set->fs->rename(set->fs, dir, gone);
    if (err == NX_OK)
        err = set->fs->rmdir(set->fs, gone);
    nx_free(gone);
    if (err != NX_OK)
        nx_log(set->log, NX_LOG_WARN, "block not removed: it goes at the next start",
               NX_S("dir", dir), NX_E(err));
    return err;
}

/* Under the lock; the caller gets the set's reference. */
static bool take_out(struct ing_block_set *set, const struct ing_block *block)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->blocks[i] != block)
            continue;
        set->blocks[i] = set->blocks[--set->count];
        return true;
    }
    return false;
}

static void discard(struct ing_block_set *set, struct ing_block *block)
{
    count_block(set, block, -1);
    (void)remove_path(set, ing_block_dir(block));
    ing_block_drop(block);
}

bool ing_block_set_remove(struct ing_block_set *set, const struct ing_block *block)
{
    pthread_mutex_lock(&set->lock);
    bool found = take_out(set, block);
    pthread_mutex_unlock(&set->lock);
    if (found)
        discard(set, (struct ing_block *)(uintptr_t)block);
    return found;
}

enum nx_err ing_block_set_replace(struct ing_block_set *set, struct ing_block *block,
                                  const struct ing_block_list *sources)
{
    pthread_mutex_lock(&set->lock);
    enum nx_err err =
        nx_grow(&set->blocks, &set->capacity, set->count + 1, sizeof(struct ing_block *));
    struct ing_block_list out = {0};
    if (err == NX_OK) {
        out.blocks = nx_alloc_array(sources->count, sizeof(struct ing_block *));
        err = out.blocks ? NX_OK : NX_ERR_NOMEM;
    }
    for (size_t i = 0; err == NX_OK && i < sources->count; i++)
        if (take_out(set, sources->blocks[i]))
            out.blocks[out.count++] = sources->blocks[i];
    if (err == NX_OK && block) {
        set->blocks[set->count++] = block;
        count_block(set, block, 1);
    }
    pthread_mutex_unlock(&set->lock);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < out.count; i++)
        discard(set, out.blocks[i]);
    nx_free(out.blocks);
    return NX_OK;
}

enum nx_err ing_block_set_add(struct ing_block_set *set, struct ing_block *block)
{
    pthread_mutex_lock(&set->lock);
    enum nx_err err =
        nx_grow(&set->blocks, &set->capacity, set->count + 1, sizeof(struct ing_block *));
    if (err == NX_OK) {
        set->blocks[set->count++] = block;
        count_block(set, block, 1);
    }
    pthread_mutex_unlock(&set->lock);
    return err;
}

/* `<min>-<max>-<random>`, as block_writer.c names it. */
static bool parse_name(const char *name, int64_t *min_t, int64_t *max_t)
{
    char *end;
    *min_t = strtoll(name, &end, 10);
    if (end == name || *end != '-')
        return false;
    const char *second = end + 1;
    *max_t = strtoll(second, &end, 10);
    return end != second && *end == '-' && *min_t < *max_t;
}

static enum nx_err add_lost(struct ing_block_set *set, const char *tenant, const char *dir,
                            const char *name)
{
    struct lost_block lost;
    if (!parse_name(name, &lost.min_t, &lost.max_t))
        return NX_OK; /* a stray directory */
    (void)snprintf(lost.tenant_dir, sizeof lost.tenant_dir, "%s", tenant);
    enum nx_err err =
        nx_grow(&set->lost, &set->lost_capacity, set->lost_count + 1, sizeof *set->lost);
    lost.dir = err == NX_OK ? nx_path_join(dir, name) : NULL;
    if (!lost.dir)
        return NX_ERR_NOMEM;
    set->lost[set->lost_count++] = lost;
    return NX_OK;
}

static void remove_lost(struct ing_block_set *set, const char *dir)
{
    (void)remove_path(set, dir);
    for (size_t i = 0; i < set->lost_count; i++) {
        if (strcmp(set->lost[i].dir, dir) != 0)
            continue;
        nx_free(set->lost[i].dir);
        set->lost[i] = set->lost[--set->lost_count];
        return;
    }
}

enum nx_err ing_block_set_check_lost(struct ing_block_set *set, struct nx_view tenant,
                                     struct ing_range range, struct nx_fail *fail)
{
    char tenant_dir[ING_TENANT_DIR_MAX];
    enum nx_err err = NX_OK;
    ing_tenant_dir(tenant, tenant_dir);
    pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < set->lost_count && err == NX_OK; i++) {
        const struct lost_block *lost = &set->lost[i];
        if (lost->min_t <= range.max_t && lost->max_t > range.min_t &&
            strcmp(lost->tenant_dir, tenant_dir) == 0)
            err = nx_fail_set(fail, NX_ERR_CORRUPT, "damaged block %s", lost->dir);
    }
    pthread_mutex_unlock(&set->lock);
    return err;
}

/* Takes one that is to go out of the list; its directory is the caller's, NULL: there is none. */
static char *take_expired(struct ing_block_set *set, ing_lost_expired expired, void *user)
{
    char *dir = NULL;
    pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < set->lost_count && !dir; i++) {
        char tenant[ING_TENANT_DIR_MAX];
        bool told = ing_tenant_of_dir(set->lost[i].tenant_dir, tenant);
        if (!expired(user, told ? nx_view_of(tenant) : NX_VIEW(""), set->lost[i].max_t))
            continue;
        dir = set->lost[i].dir;
        set->lost[i] = set->lost[--set->lost_count];
    }
    pthread_mutex_unlock(&set->lock);
    return dir;
}

size_t ing_block_set_remove_lost(struct ing_block_set *set, ing_lost_expired expired, void *user)
{
    size_t count = 0;
    char *dir;
    while ((dir = take_expired(set, expired, user)) != NULL) {
        nx_log(set->log, NX_LOG_INFO, "damaged block is beyond the retention: removed",
               NX_S("dir", dir));
        (void)remove_path(set, dir);
        nx_free(dir);
        count++;
    }
    return count;
}

/* Only memory is a failure. */
static enum nx_err open_one(struct ing_block_set *set, const char *tenant, const char *dir,
                            const char *name)
{
    struct nx_fail fail = {.code = NX_OK};
    struct ing_block *block;
    char *path = nx_path_join(dir, name);
    if (!path)
        return NX_ERR_NOMEM;
    enum nx_err err = ing_block_open(path, &block, &fail);
    nx_free(path);
    if (err == NX_OK) {
        err = ing_block_set_add(set, block);
        if (err != NX_OK)
            ing_block_drop(block);
        return err;
    }
    if (err == NX_ERR_NOMEM)
        return err;
    nx_metric_inc(set->metrics, ING_M_BLOCKS_DAMAGED);
    nx_log(set->log, NX_LOG_ERROR, "damaged block: what is selected from its time fails here",
           NX_S("why", nx_fail_text(&fail)));
    return add_lost(set, tenant, dir, name);
}

static int name_cmp(const void *a, const void *b)
{
    const char *left = *(char *const *)a, *right = *(char *const *)b;
    assert(left && right);
    return strcmp(left, right);
}

static struct ing_block *find_open(const struct ing_block_set *set, size_t from, const char *path)
{
    for (size_t i = from; i < set->count; i++)
        if (strcmp(ing_block_dir(set->blocks[i]), path) == 0)
            return set->blocks[i];
    return NULL;
}

/* Marks what the blocks of a tenant (those from `from` on) say they replace. */
static enum nx_err mark_replaced(const struct ing_block_set *set, char **names, size_t count,
                                 size_t from, bool *replaced)
{
    for (size_t i = from; i < set->count; i++) {
        const struct ing_block_meta *meta = ing_block_meta(set->blocks[i]);
        for (size_t j = 0; j < meta->source_count; j++) {
            char *name = nx_strndup(meta->sources[j].ptr, meta->sources[j].len);
            if (!name)
                return NX_ERR_NOMEM;
            char **found = bsearch(&name, names, count, sizeof(char *), name_cmp);
            if (found)
                replaced[found - names] = true;
            nx_free(name);
        }
    }
    return NX_OK;
}

/* A crash came between the appearance of a compacted block and the end of its sources: these go
 * now, before anybody reads both. */
static enum nx_err remove_replaced(struct ing_block_set *set, const char *dir, char **names,
                                   size_t count, size_t from)
{
    bool *replaced = nx_calloc(count + 1, sizeof *replaced);
    enum nx_err err = replaced ? mark_replaced(set, names, count, from, replaced) : NX_ERR_NOMEM;
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        if (!replaced[i])
            continue;
        char *path = nx_path_join(dir, names[i]);
        if (!path) {
            err = NX_ERR_NOMEM;
            break;
        }
        struct ing_block *block = find_open(set, from, path);
        nx_log(set->log, NX_LOG_INFO, "block was compacted into another: removed",
               NX_S("dir", path));
        if (block)
            (void)ing_block_set_remove(set, block);
        else
            remove_lost(set, path);
        nx_free(path);
    }
    nx_free(replaced);
    return err;
}

static enum nx_err open_tenant(struct ing_block_set *set, const char *tenant)
{
    char **names;
    size_t count;
    char *dir = nx_path_join(set->dir, tenant);
    if (!dir)
        return NX_ERR_NOMEM;
    enum nx_err err = nx_dir_list(dir, &names, &count);
    if (err == NX_OK) {
        size_t from = set->count;
        for (size_t i = 0; i < count && err == NX_OK; i++) {
            if (has_suffix(names[i], ".tmp") || has_suffix(names[i], ".gone"))
                err = remove_dir(set->fs, dir, names[i]);
            else
                err = open_one(set, tenant, dir, names[i]);
        }
        if (err == NX_OK)
            err = remove_replaced(set, dir, names, count, from);
        nx_dir_free(names, count);
    } else if (err != NX_ERR_NOMEM) {
        err = NX_OK; /* a stray file */
    }
    nx_free(dir);
    return err;
}

enum nx_err ing_block_set_open(const struct nx_fs *fs, const char *dir, struct nx_log *log,
                               struct nx_metrics *metrics, struct ing_block_set **out)
{
    struct ing_block_set *set = nx_calloc(1, sizeof *set);
    if (!set)
        return NX_ERR_NOMEM;
    set->fs = fs;
    set->log = log;
    set->metrics = metrics;
    pthread_mutex_init(&set->lock, NULL);
    set->dir = nx_strdup(dir);
    enum nx_err err = set->dir ? fs->mkdir(fs, dir) : NX_ERR_NOMEM;
    char **names = NULL;
    size_t count = 0;
    if (err == NX_OK)
        err = nx_dir_list(dir, &names, &count);
    for (size_t i = 0; i < count && err == NX_OK; i++)
        err = open_tenant(set, names[i]);
    nx_dir_free(names, count);
    if (err != NX_OK) {
        ing_block_set_free(set);
        return err;
    }
    *out = set;
    return NX_OK;
}

void ing_block_set_free(struct ing_block_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        ing_block_drop(set->blocks[i]);
    nx_free(set->blocks);
    for (size_t i = 0; i < set->lost_count; i++)
        nx_free(set->lost[i].dir);
    nx_free(set->lost);
    nx_free(set->dir);
    pthread_mutex_destroy(&set->lock);
    nx_free(set);
}

static bool block_matches(const struct ing_block *block, struct nx_view tenant,
                          struct ing_range range)
{
    const struct ing_block_meta *meta = ing_block_meta(block);
    return (!tenant.ptr || nx_view_eq(meta->tenant, tenant)) && meta->min_t <= range.max_t &&
           meta->max_t > range.min_t;
}

enum nx_err ing_block_set_acquire(struct ing_block_set *set, struct nx_view tenant,
                                  struct ing_range range, struct ing_block_list *out)
{
    struct ing_block_list list = {0};
    size_t capacity = 0;
    enum nx_err err = NX_OK;
    pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < set->count && err == NX_OK; i++) {
        if (!block_matches(set->blocks[i], tenant, range))
            continue;
        err = nx_grow(&list.blocks, &capacity, list.count + 1, sizeof(struct ing_block *));
        if (err == NX_OK)
            list.blocks[list.count++] = ing_block_take(set->blocks[i]);
    }
    pthread_mutex_unlock(&set->lock);
    if (err != NX_OK)
        ing_block_list_release(&list);
    else
        *out = list;
    return err;
}

void ing_block_set_report(struct ing_block_set *set, const struct ing_block *block, enum nx_err err)
{
    if (err != NX_ERR_CORRUPT)
        return;
    nx_metric_inc(set->metrics, ING_M_BLOCKS_DAMAGED);
    nx_log(set->log, NX_LOG_ERROR, "damaged block", NX_S("dir", ing_block_dir(block)), NX_E(err));
}

enum nx_err ing_block_set_tenant_dir(struct ing_block_set *set, struct nx_view tenant, char **out)
{
    char name[ING_TENANT_DIR_MAX];
    ing_tenant_dir(tenant, name);
    char *path = nx_path_join(set->dir, name);
    if (!path)
        return NX_ERR_NOMEM;
    enum nx_err err = set->fs->mkdir(set->fs, path);
    if (err == NX_OK)
        err = set->fs->sync_dir(set->fs, set->dir);
    if (err != NX_OK) {
        nx_free(path);
        return err;
    }
    *out = path;
    return NX_OK;
}
