/* Counts changing calls and fails the chosen one; remembers how much of each file is synced. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "fixture.h"

struct tracked {
    char *path;
    int fd; /* -1: closed */
    uint64_t synced;
};

struct fault_state {
    pthread_mutex_t lock;
    size_t calls;
    bool armed, forever, fired;
    size_t left;
    enum nx_err err;
    enum fault_op only;
    struct tracked files[4096];
    size_t file_count;
};

static struct fault_state *state_of(const struct nx_fs *fs)
{
    return ((const struct fault_fs *)(const void *)fs)->state;
}

static bool fails(const struct nx_fs *fs, enum fault_op op, enum nx_err *err)
{
    struct fault_state *state = state_of(fs);
    bool fail = false;
    pthread_mutex_lock(&state->lock);
    state->calls++;
    if (state->armed && (state->only == FAULT_OPS || state->only == op)) {
        if (state->left == 0) {
            fail = true;
            state->fired = true;
            *err = state->err;
            state->armed = state->forever;
        } else {
            state->left--;
        }
    }
    pthread_mutex_unlock(&state->lock);
    return fail;
}

static struct tracked *track(struct fault_state *state, int fd)
{
    for (size_t i = 0; i < state->file_count; i++)
        if (state->files[i].fd == fd)
            return &state->files[i];
    return NULL;
}

static enum nx_err f_open(const struct nx_fs *fs, const char *path, enum nx_file_mode mode, int *fd)
{
    enum nx_err err;
    struct fault_state *state = state_of(fs);
    if (mode != NX_FILE_READ && fails(fs, FAULT_OPEN, &err))
        return err;
    err = nx_fs_posix()->open(nx_fs_posix(), path, mode, fd);
    if (err != NX_OK || mode == NX_FILE_READ)
        return err;
    pthread_mutex_lock(&state->lock);
    assert_true(state->file_count < 4096);
    struct tracked *file = NULL;
    for (size_t i = 0; i < state->file_count; i++)
        if (state->files[i].path && strcmp(state->files[i].path, path) == 0)
            file = &state->files[i];
    if (!file || mode == NX_FILE_CREATE) {
        if (!file)
            file = &state->files[state->file_count++];
        else
            free(file->path);
        *file = (struct tracked){.path = strdup(path)};
    }
    file->fd = *fd;
    pthread_mutex_unlock(&state->lock);
    return NX_OK;
}

static enum nx_err f_write(const struct nx_fs *fs, int fd, const void *bytes, size_t len)
{
    enum nx_err err;
    if (fails(fs, FAULT_WRITE, &err)) {
        if (len > 1)
            (void)nx_fs_posix()->write(nx_fs_posix(), fd, bytes, len / 2);
        return err;
    }
    return nx_fs_posix()->write(nx_fs_posix(), fd, bytes, len);
}

static enum nx_err f_sync(const struct nx_fs *fs, int fd)
{
    enum nx_err err;
    if (fails(fs, FAULT_SYNC, &err))
        return err;
    struct fault_state *state = state_of(fs);
    uint64_t size = 0;
    pthread_mutex_lock(&state->lock);
    struct tracked *file = track(state, fd);
    if (file && nx_file_size(fd, &size) == NX_OK)
        file->synced = size;
    pthread_mutex_unlock(&state->lock);
    return nx_fs_posix()->sync(nx_fs_posix(), fd);
}

static enum nx_err f_truncate(const struct nx_fs *fs, int fd, uint64_t size)
{
    enum nx_err err;
    return fails(fs, FAULT_TRUNCATE, &err) ? err : nx_fs_posix()->truncate(nx_fs_posix(), fd, size);
}

/* The descriptor is gone whatever close says, as with the system's. */
static enum nx_err f_close(const struct nx_fs *fs, int fd)
{
    enum nx_err err;
    struct fault_state *state = state_of(fs);
    pthread_mutex_lock(&state->lock);
    struct tracked *file = track(state, fd);
    if (file)
        file->fd = -1;
    pthread_mutex_unlock(&state->lock);
    enum nx_err closed = nx_fs_posix()->close(nx_fs_posix(), fd);
    return fails(fs, FAULT_CLOSE, &err) ? err : closed;
}

static enum nx_err f_rename(const struct nx_fs *fs, const char *from, const char *to)
{
    enum nx_err err;
    if (fails(fs, FAULT_RENAME, &err))
        return err;
    struct fault_state *state = state_of(fs);
    size_t len = strlen(from);
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < state->file_count; i++) {
        struct tracked *file = &state->files[i];
        if (!file->path || strncmp(file->path, from, len) != 0 ||
            (file->path[len] && file->path[len] != '/'))
            continue;
        char moved[1024];
        snprintf(moved, sizeof moved, "%s%s", to, file->path + len);
        free(file->path);
        file->path = strdup(moved);
    }
    pthread_mutex_unlock(&state->lock);
    return nx_fs_posix()->rename(nx_fs_posix(), from, to);
}

static enum nx_err f_unlink(const struct nx_fs *fs, const char *path)
{
    enum nx_err err;
    return fails(fs, FAULT_UNLINK, &err) ? err : nx_fs_posix()->unlink(nx_fs_posix(), path);
}

static enum nx_err f_mkdir(const struct nx_fs *fs, const char *path)
{
    enum nx_err err;
    return fails(fs, FAULT_MKDIR, &err) ? err : nx_fs_posix()->mkdir(nx_fs_posix(), path);
}

static enum nx_err f_rmdir(const struct nx_fs *fs, const char *path)
{
    enum nx_err err;
    return fails(fs, FAULT_RMDIR, &err) ? err : nx_fs_posix()->rmdir(nx_fs_posix(), path);
}

static enum nx_err f_sync_dir(const struct nx_fs *fs, const char *path)
{
    enum nx_err err;
    return fails(fs, FAULT_SYNC_DIR, &err) ? err : nx_fs_posix()->sync_dir(nx_fs_posix(), path);
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
                                     .sync_dir = f_sync_dir}};
    fs->state = calloc(1, sizeof *fs->state);
    assert_non_null(fs->state);
    pthread_mutex_init(&fs->state->lock, NULL);
}

void fault_fs_release(struct fault_fs *fs)
{
    for (size_t i = 0; i < fs->state->file_count; i++)
        free(fs->state->files[i].path);
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

size_t fault_fs_calls(const struct fault_fs *fs)
{
    pthread_mutex_lock(&fs->state->lock);
    size_t calls = fs->state->calls;
    pthread_mutex_unlock(&fs->state->lock);
    return calls;
}

bool fault_fs_fired(const struct fault_fs *fs)
{
    pthread_mutex_lock(&fs->state->lock);
    bool fired = fs->state->fired;
    pthread_mutex_unlock(&fs->state->lock);
    return fired;
}

void fault_fs_power_cut(struct fault_fs *fs)
{
    for (size_t i = 0; i < fs->state->file_count; i++) {
        const struct tracked *file = &fs->state->files[i];
        struct stat info;
        if (file->path && stat(file->path, &info) == 0 && (uint64_t)info.st_size > file->synced)
            assert_int_equal(truncate(file->path, (off_t)file->synced), 0);
    }
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
