/* Reading, mapping, listing and locking. */
#include "common/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/alloc.h"

static enum nx_err last_error(void)
{
    return nx_err_from_errno(errno);
}

enum nx_err nx_file_size(int fd, uint64_t *size_bytes)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return last_error();
    *size_bytes = (uint64_t)st.st_size;
    return NX_OK;
}

enum nx_err nx_file_pread(int fd, uint64_t offset, void *bytes, size_t len, size_t *got)
{
    if (offset > INT64_MAX - len)
        return NX_ERR_TOO_LARGE;
    char *p = bytes;
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, p + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return last_error();
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return NX_OK;
}

/* Reads to the end of the file, which may grow or have no size (procfs): asks until nothing more
 * comes. */
static enum nx_err read_to_end(int fd, size_t max_bytes, char **bytes, size_t *len)
{
    uint64_t size = 0;
    enum nx_err err = nx_file_size(fd, &size);
    if (err != NX_OK)
        return err;
    if (size > max_bytes)
        return NX_ERR_TOO_LARGE;
    char *data = NULL;
    size_t capacity = 0;
    size_t used = 0;
    size_t want = (size_t)size + 1;
    for (;;) {
        size_t got = 0;
        err = nx_grow(&data, &capacity, want, 1);
        if (err == NX_OK)
            err = nx_file_pread(fd, used, data + used, capacity - used, &got);
        if (err != NX_OK)
            break;
        used += got;
        if (used < capacity) {
            err = used > max_bytes ? NX_ERR_TOO_LARGE : NX_OK;
            break;
        }
        want = capacity + 1;
    }
    if (err != NX_OK) {
        nx_free(data);
        return err;
    }
    *bytes = data;
    *len = used;
    return NX_OK;
}

enum nx_err nx_file_read_all(const char *path, size_t max_bytes, char **bytes, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return last_error();
    enum nx_err err = read_to_end(fd, max_bytes, bytes, len);
    close(fd);
    return err;
}

enum nx_err nx_file_map(const char *path, struct nx_view *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return last_error();
    uint64_t size = 0;
    enum nx_err err = nx_file_size(fd, &size);
    if (err == NX_OK && size == 0) {
        *out = (struct nx_view){.ptr = NULL, .len = 0};
    } else if (err == NX_OK) {
        void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED)
            err = last_error();
        else
            *out = nx_view_make(at, (size_t)size);
    }
    close(fd);
    return err;
}

void nx_file_unmap(struct nx_view mapping)
{
    if (mapping.len == 0)
        return;
    void *at;
    memcpy(&at, &mapping.ptr, sizeof at);
    munmap(at, mapping.len);
}

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

static enum nx_err read_names(DIR *dir, char ***names, size_t *count, size_t *capacity)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry)
            return nx_err_from_errno(errno);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        enum nx_err err = nx_grow(names, capacity, *count + 1, sizeof **names);
        if (err != NX_OK)
            return err;
        char *name = nx_strdup(entry->d_name);
        if (!name)
            return NX_ERR_NOMEM;
        (*names)[(*count)++] = name;
    }
}

enum nx_err nx_dir_list(const char *path, char ***names, size_t *count)
{
    DIR *dir = opendir(path);
    if (!dir)
        return last_error();
    char **list = NULL;
    size_t len = 0;
    size_t capacity = 0;
    enum nx_err err = read_names(dir, &list, &len, &capacity);
    closedir(dir);
    if (err != NX_OK) {
        nx_dir_free(list, len);
        return err;
    }
    if (len > 1)
        qsort(list, len, sizeof *list, compare_names);
    *names = list;
    *count = len;
    return NX_OK;
}

void nx_dir_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        nx_free(names[i]);
    nx_free(names);
}

enum nx_err nx_dir_lock(const char *path, int *fd)
{
    char *name = nx_path_join(path, "lock");
    if (!name)
        return NX_ERR_NOMEM;
    int got = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    nx_free(name);
    if (got < 0)
        return last_error();
    if (flock(got, LOCK_EX | LOCK_NB) != 0) {
        enum nx_err err = errno == EWOULDBLOCK ? NX_ERR_EXISTS : last_error();
        close(got);
        return err;
    }
    *fd = got;
    return NX_OK;
}

char *nx_path_join(const char *dir, const char *name)
{
    size_t dir_len = strlen(dir);
    size_t name_len = strlen(name);
    while (dir_len > 1 && dir[dir_len - 1] == '/')
        dir_len--;
    bool slash = dir_len > 0 && dir[dir_len - 1] != '/';
    char *out = nx_alloc(dir_len + slash + name_len + 1);
    if (!out)
        return NULL;
    memcpy(out, dir, dir_len);
    if (slash)
        out[dir_len] = '/';
    memcpy(out + dir_len + slash, name, name_len);
    out[dir_len + slash + name_len] = '\0';
    return out;
}
