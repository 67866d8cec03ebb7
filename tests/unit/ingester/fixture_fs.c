/* Counts changing calls and fails the chosen one; tells a model of the disk what was done, so that
 * it knows what a power cut leaves. One call at a time. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "disk_model.h"
#include "fixture.h"

#define OPEN_MAX 256

struct open_file {
    struct disk_node *node; /* NULL: free */
    int fd;
    bool append;
    uint64_t at;
};

struct fault_state {
    pthread_mutex_t lock; /* held during a call */
    struct disk_model *disk;
    struct open_file files[OPEN_MAX];
    size_t calls;
    size_t counts[FAULT_OPS];
    bool armed, forever, fired;
    size_t left;
    enum nx_err err;
    enum fault_op only;
    void (*after)(void *user, size_t call);
    void *after_user;
};

static struct fault_state *state_of(const struct nx_fs *fs)
{
    return ((const struct fault_fs *)(const void *)fs)->state;
}

/* Begins a call: locks, and tells whether it is to fail. */
static bool begin(struct fault_state *state, enum fault_op op, enum nx_err *err)
{
    pthread_mutex_lock(&state->lock);
    state->calls++;
    state->counts[op]++;
    if (!state->armed || (state->only != FAULT_OPS && state->only != op) || state->left-- > 0)
        return false;
    state->left = 0;
    state->fired = true;
    state->armed = state->forever;
    *err = state->err;
    return true;
}

static enum nx_err end(struct fault_state *state, enum nx_err err)
{
    if (state->after)
        state->after(state->after_user, state->calls);
    pthread_mutex_unlock(&state->lock);
    return err;
}

static struct open_file *file_of(struct fault_state *state, int fd)
{
    for (size_t i = 0; i < OPEN_MAX; i++)
        if (state->files[i].node && state->files[i].fd == fd)
            return &state->files[i];
    return NULL;
}

static void remember(struct fault_state *state, const char *path, enum nx_file_mode mode,
                     bool created, int fd)
{
    /* whoever only reads a file in the end closes it without asking: the number is free again */
    struct open_file *stale = file_of(state, fd);
    if (stale)
        *stale = (struct open_file){.node = NULL};
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (state->files[i].node)
            continue;
        state->files[i] = (struct open_file){.node = disk_open(state->disk, path, created),
                                             .fd = fd,
                                             .append = mode == NX_FILE_APPEND};
        return;
    }
    fail_msg("too many open files");
}

static enum nx_err f_open(const struct nx_fs *fs, const char *path, enum nx_file_mode mode, int *fd)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    if (mode == NX_FILE_READ)
        return nx_fs_posix()->open(nx_fs_posix(), path, mode, fd);
    if (begin(state, FAULT_OPEN, &err))
        return end(state, err);
    bool created = access(path, F_OK) != 0;
    err = nx_fs_posix()->open(nx_fs_posix(), path, mode, fd);
    if (err == NX_OK)
        remember(state, path, mode, created, *fd);
    return end(state, err);
}

static enum nx_err write_now(struct fault_state *state, int fd, const void *bytes, size_t len)
{
    struct open_file *file = file_of(state, fd);
    enum nx_err err = nx_fs_posix()->write(nx_fs_posix(), fd, bytes, len);
    if (err == NX_OK && file) {
        uint64_t at = file->append ? disk_size(file->node) : file->at;
        disk_write(state->disk, file->node, at, bytes, len);
        file->at = at + len;
    }
    return err;
}

static enum nx_err f_write(const struct nx_fs *fs, int fd, const void *bytes, size_t len)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    if (!begin(state, FAULT_WRITE, &err))
        err = write_now(state, fd, bytes, len);
    else if (len > 1)
        (void)write_now(state, fd, bytes, len / 2);
    return end(state, err);
}

/* A failed sync has lost what waited, or not. */
static enum nx_err f_sync(const struct nx_fs *fs, int fd)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    bool fail = begin(state, FAULT_SYNC, &err);
    struct open_file *file = file_of(state, fd);
    if (!fail)
        err = nx_fs_posix()->sync(nx_fs_posix(), fd);
    if (file && fail)
        disk_sync_failed(file->node, nx_hash64(&state->calls, sizeof state->calls) % 2);
    else if (file && err == NX_OK)
        disk_sync(file->node);
    return end(state, err);
}

static enum nx_err f_truncate(const struct nx_fs *fs, int fd, uint64_t size)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    if (begin(state, FAULT_TRUNCATE, &err))
        return end(state, err);
    struct open_file *file = file_of(state, fd);
    err = nx_fs_posix()->truncate(nx_fs_posix(), fd, size);
    if (err == NX_OK && file)
        disk_truncate(state->disk, file->node, size);
    return end(state, err);
}

/* The descriptor is gone whatever close says, as with the system's. */
static enum nx_err f_close(const struct nx_fs *fs, int fd)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    bool fail = begin(state, FAULT_CLOSE, &err);
    struct open_file *file = file_of(state, fd);
    if (file)
        *file = (struct open_file){.node = NULL};
    enum nx_err closed = nx_fs_posix()->close(nx_fs_posix(), fd);
    return end(state, fail ? err : closed);
}

static enum nx_err f_rename(const struct nx_fs *fs, const char *from, const char *to)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    if (begin(state, FAULT_RENAME, &err))
        return end(state, err);
    if (access(from, F_OK) == 0)
        disk_rename(state->disk, from, to);
    err = nx_fs_posix()->rename(nx_fs_posix(), from, to);
    return end(state, err);
}

static enum nx_err f_unlink(const struct nx_fs *fs, const char *path)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    if (begin(state, FAULT_UNLINK, &err))
        return end(state, err);
    disk_remove(state->disk, path);
    return end(state, nx_fs_posix()->unlink(nx_fs_posix(), path));
}

static enum nx_err f_mkdir(const struct nx_fs *fs, const char *path)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    if (begin(state, FAULT_MKDIR, &err))
        return end(state, err);
    disk_mkdir(state->disk, path);
    return end(state, nx_fs_posix()->mkdir(nx_fs_posix(), path));
}

static enum nx_err f_rmdir(const struct nx_fs *fs, const char *path)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    if (begin(state, FAULT_RMDIR, &err))
        return end(state, err);
    disk_remove(state->disk, path);
    return end(state, nx_fs_posix()->rmdir(nx_fs_posix(), path));
}

static enum nx_err f_sync_dir(const struct nx_fs *fs, const char *path)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    if (begin(state, FAULT_SYNC_DIR, &err))
        return end(state, err);
    err = nx_fs_posix()->sync_dir(nx_fs_posix(), path);
    if (err == NX_OK)
        disk_sync_dir(state->disk, path);
    return end(state, err);
}

/* Nothing is safe afterwards that was not before. */
static enum nx_err f_write_behind(const struct nx_fs *fs, int fd, uint64_t offset, uint64_t len)
{
    struct fault_state *state = state_of(fs);
    enum nx_err err;
    if (begin(state, FAULT_WRITE_BEHIND, &err))
        return end(state, err);
    return end(state, nx_fs_posix()->write_behind(nx_fs_posix(), fd, offset, len));
}

void fault_fs_init(struct fault_fs *fs)
{
    *fs = (struct fault_fs){.base = {.open = f_open,
                                     .write = f_write,
                                     .sync = f_sync,
                                     .truncate = f_truncate,
                                     .close = f_close,
                                     .rename = f_rename,
                                     .unlink = f_unlink,
                                     .mkdir = f_mkdir,
                                     .rmdir = f_rmdir,
                                     .sync_dir = f_sync_dir,
                                     .write_behind = f_write_behind}};
    fs->state = calloc(1, sizeof *fs->state);
    assert_non_null(fs->state);
    fs->state->disk = disk_new();
    pthread_mutex_init(&fs->state->lock, NULL);
}

void fault_fs_release(struct fault_fs *fs)
{
    disk_free(fs->state->disk);
    pthread_mutex_destroy(&fs->state->lock);
    free(fs->state);
}

void fault_fs_arm(struct fault_fs *fs, size_t n, enum nx_err err, bool forever)
{
    pthread_mutex_lock(&fs->state->lock);
    fs->state->armed = true;
    fs->state->forever = forever;
    fs->state->fired = false;
    fs->state->left = n;
    fs->state->err = err;
    fs->state->only = FAULT_OPS;
    pthread_mutex_unlock(&fs->state->lock);
}

void fault_fs_only(struct fault_fs *fs, enum fault_op op)
{
    pthread_mutex_lock(&fs->state->lock);
    fs->state->only = op;
    pthread_mutex_unlock(&fs->state->lock);
}

void fault_fs_disarm(struct fault_fs *fs)
{
    pthread_mutex_lock(&fs->state->lock);
    fs->state->armed = false;
    pthread_mutex_unlock(&fs->state->lock);
}

void fault_fs_after(struct fault_fs *fs, void (*after)(void *user, size_t call), void *user)
{
    pthread_mutex_lock(&fs->state->lock);
    fs->state->after = after;
    fs->state->after_user = user;
    pthread_mutex_unlock(&fs->state->lock);
}

size_t fault_fs_calls(const struct fault_fs *fs)
{
    pthread_mutex_lock(&fs->state->lock);
    size_t calls = fs->state->calls;
    pthread_mutex_unlock(&fs->state->lock);
    return calls;
}

size_t fault_fs_count(const struct fault_fs *fs, enum fault_op op)
{
    pthread_mutex_lock(&fs->state->lock);
    size_t count = fs->state->counts[op];
    pthread_mutex_unlock(&fs->state->lock);
    return count;
}

bool fault_fs_fired(const struct fault_fs *fs)
{
    pthread_mutex_lock(&fs->state->lock);
    bool fired = fs->state->fired;
    pthread_mutex_unlock(&fs->state->lock);
    return fired;
}

struct disk_model *fault_fs_disk(struct fault_fs *fs)
{
    return fs->state->disk;
}

void fault_fs_image(struct fault_fs *fs, const char *from, const char *to,
                    enum disk_survival survival, uint64_t seed)
{
    pthread_mutex_lock(&fs->state->lock);
    disk_image(fs->state->disk, from, to, survival, seed);
    pthread_mutex_unlock(&fs->state->lock);
}

void fault_fs_power_cut(struct fault_fs *fs, const char *dir, enum disk_survival survival,
                        uint64_t seed)
{
    char image[1024];
    snprintf(image, sizeof image, "%s.cut", dir);
    disk_image(fs->state->disk, dir, image, survival, seed);
    assert_int_equal(nx_fs_posix()->rmdir(nx_fs_posix(), dir), NX_OK);
    assert_int_equal(nx_fs_posix()->rename(nx_fs_posix(), image, dir), NX_OK);
    disk_free(fs->state->disk);
    fs->state->disk = disk_new();
}

char *tmp_dir_new(void)
{
    /* in memory where possible: these tests sync thousands of times */
    char *dir = strdup(access("/dev/shm", W_OK) == 0 ? "/dev/shm/nx-ingester-XXXXXX"
                                                     : "/tmp/nx-ingester-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

void tmp_dir_free(char *dir)
{
    if (dir)
        assert_int_equal(nx_fs_posix()->rmdir(nx_fs_posix(), dir), NX_OK);
    free(dir);
}

void file_write(const char *path, const void *bytes, size_t len)
{
    (void)unlink(path); /* a new file: emptying an old one makes some file systems flush it */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

void copy_tree(const char *from, const char *to)
{
    struct stat info;
    assert_int_equal(stat(from, &info), 0);
    if (S_ISREG(info.st_mode)) {
        char *bytes;
        size_t len;
        assert_int_equal(nx_file_read_all(from, SIZE_MAX / 2, &bytes, &len), NX_OK);
        file_write(to, bytes, len);
        nx_free(bytes);
        return;
    }
    char **names;
    size_t count;
    assert_int_equal(nx_fs_posix()->mkdir(nx_fs_posix(), to), NX_OK);
    assert_int_equal(nx_dir_list(from, &names, &count), NX_OK);
    for (size_t i = 0; i < count; i++) {
        char *source = nx_path_join(from, names[i]);
        char *target = nx_path_join(to, names[i]);
        copy_tree(source, target);
        nx_free(source);
        nx_free(target);
    }
    nx_dir_free(names, count);
}

char *find_file(const char *dir, const char *suffix)
{
    char **names;
    size_t count;
    char *found = NULL;
    if (nx_dir_list(dir, &names, &count) != NX_OK)
        return NULL;
    for (size_t i = 0; i < count && !found; i++) {
        char *path = nx_path_join(dir, names[i]);
        struct stat info;
        assert_int_equal(stat(path, &info), 0);
        if (S_ISDIR(info.st_mode))
            found = find_file(path, suffix);
        else if (nx_view_has_suffix(nx_view_of(path), nx_view_of(suffix)))
            found = nx_strdup(path);
        nx_free(path);
    }
    nx_dir_free(names, count);
    return found;
}
