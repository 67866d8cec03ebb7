#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/file.h"

struct fixture {
    char dir[32];
    const struct nx_fs *fs;
};

static int setup(void **state)
{
    static struct fixture f;
    memcpy(f.dir, "/tmp/nx-file-XXXXXX", 20);
    f.fs = nx_fs_posix();
    *state = &f;
    return mkdtemp(f.dir) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    return f->fs->rmdir(f->fs, f->dir) == NX_OK ? 0 : -1;
}

static const char *path_in(const struct fixture *f, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return path;
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    int fd = -1;
    assert_int_equal(f->fs->open(f->fs, path_in(f, name), NX_FILE_APPEND, &fd), NX_OK);
    assert_int_equal(f->fs->write(f->fs, fd, text, strlen(text)), NX_OK);
    assert_int_equal(f->fs->sync(f->fs, fd), NX_OK);
    assert_int_equal(f->fs->close(f->fs, fd), NX_OK);
}

static void open_modes_behave(void **state)
{
    struct fixture *f = *state;
    int fd = -1;
    assert_int_equal(f->fs->open(f->fs, path_in(f, "a"), NX_FILE_READ, &fd), NX_ERR_NOT_FOUND);
    assert_int_equal(fd, -1);
    assert_int_equal(f->fs->open(f->fs, path_in(f, "a"), NX_FILE_CREATE, &fd), NX_OK);
    assert_int_equal(f->fs->write(f->fs, fd, "12345", 5), NX_OK);
    assert_int_equal(f->fs->truncate(f->fs, fd, 3), NX_OK);
    assert_int_equal(f->fs->close(f->fs, fd), NX_OK);
    assert_int_equal(f->fs->open(f->fs, path_in(f, "a"), NX_FILE_CREATE, &fd), NX_ERR_EXISTS);
    write_file(f, "a", "678");
    char *bytes;
    size_t len;
    assert_int_equal(nx_file_read_all(path_in(f, "a"), 6, &bytes, &len), NX_OK);
    assert_int_equal(len, 6);
    assert_memory_equal(bytes, "123678", 6);
    nx_free(bytes);
    assert_int_equal(nx_file_read_all(path_in(f, "a"), 5, &bytes, &len), NX_ERR_TOO_LARGE);
    assert_int_equal(f->fs->close(f->fs, 9999), NX_ERR_IO);
}

static void pread_is_short_only_at_the_end(void **state)
{
    struct fixture *f = *state;
    write_file(f, "p", "0123456789");
    int fd;
    assert_int_equal(f->fs->open(f->fs, path_in(f, "p"), NX_FILE_READ, &fd), NX_OK);
    char bytes[16];
    size_t got;
    assert_int_equal(nx_file_pread(fd, 4, bytes, 3, &got), NX_OK);
    assert_int_equal(got, 3);
    assert_memory_equal(bytes, "456", 3);
    assert_int_equal(nx_file_pread(fd, 8, bytes, 16, &got), NX_OK);
    assert_int_equal(got, 2);
    assert_int_equal(nx_file_pread(fd, 100, bytes, 16, &got), NX_OK);
    assert_int_equal(got, 0);
    assert_int_equal(nx_file_pread(fd, UINT64_MAX, bytes, 16, &got), NX_ERR_TOO_LARGE);
    uint64_t size;
    assert_int_equal(nx_file_size(fd, &size), NX_OK);
    assert_int_equal(size, 10);
    assert_int_equal(f->fs->close(f->fs, fd), NX_OK);
    assert_int_equal(nx_file_size(fd, &size), NX_ERR_IO);
}

static void map_shows_the_file(void **state)
{
    struct fixture *f = *state;
    write_file(f, "m", "mapped");
    write_file(f, "empty", "");
    struct nx_view view;
    assert_int_equal(nx_file_map(path_in(f, "m"), &view), NX_OK);
    assert_true(nx_view_is(view, "mapped"));
    nx_file_unmap(view);
    assert_int_equal(nx_file_map(path_in(f, "empty"), &view), NX_OK);
    assert_int_equal(view.len, 0);
    nx_file_unmap(view);
    assert_int_equal(nx_file_map(path_in(f, "none"), &view), NX_ERR_NOT_FOUND);
}

static void read_all_takes_files_without_a_size(void **state)
{
    (void)state;
    char *bytes;
    size_t len;
    assert_int_equal(nx_file_read_all("/proc/self/status", 1 << 20, &bytes, &len), NX_OK);
    assert_true(len > 100);
    nx_free(bytes);
    assert_int_equal(nx_file_read_all("/proc/self/status", 10, &bytes, &len), NX_ERR_TOO_LARGE);
}

static void directories_are_made_listed_and_removed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->fs->mkdir(f->fs, path_in(f, "x/y/z")), NX_OK);
    assert_int_equal(f->fs->mkdir(f->fs, path_in(f, "x/y/z/")), NX_OK);
    write_file(f, "x/b", "1");
    write_file(f, "x/a", "1");
    write_file(f, "x/y/z/deep", "1");
    assert_int_equal(symlink("/etc", path_in(f, "x/link")), 0);
    assert_int_equal(f->fs->mkdir(f->fs, path_in(f, "x/a")), NX_ERR_EXISTS);
    assert_int_equal(f->fs->mkdir(f->fs, path_in(f, "x/a/b")), NX_ERR_EXISTS);
    char **names;
    size_t count;
    assert_int_equal(nx_dir_list(path_in(f, "x"), &names, &count), NX_OK);
    assert_int_equal(count, 4);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "b");
    assert_string_equal(names[2], "link");
    assert_string_equal(names[3], "y");
    nx_dir_free(names, count);
    assert_int_equal(f->fs->sync_dir(f->fs, path_in(f, "x")), NX_OK);
    assert_int_equal(f->fs->rmdir(f->fs, path_in(f, "x")), NX_OK);
    assert_int_equal(nx_dir_list(path_in(f, "x"), &names, &count), NX_ERR_NOT_FOUND);
    assert_int_equal(access("/etc/passwd", F_OK), 0);
    assert_int_equal(f->fs->rmdir(f->fs, path_in(f, "x")), NX_ERR_NOT_FOUND);
}

static void rename_and_unlink_move_files(void **state)
{
    struct fixture *f = *state;
    write_file(f, "old", "1");
    char *old = nx_path_join(f->dir, "old");
    char *new = nx_path_join(f->dir, "new");
    assert_int_equal(f->fs->rename(f->fs, old, new), NX_OK);
    assert_int_equal(f->fs->rename(f->fs, old, new), NX_ERR_NOT_FOUND);
    assert_int_equal(f->fs->unlink(f->fs, new), NX_OK);
    assert_int_equal(f->fs->unlink(f->fs, new), NX_ERR_NOT_FOUND);
    nx_free(old);
    nx_free(new);
}

static void lock_is_exclusive(void **state)
{
    struct fixture *f = *state;
    int first;
    int second = -1;
    assert_int_equal(nx_dir_lock(f->dir, &first), NX_OK);
    assert_int_equal(nx_dir_lock(f->dir, &second), NX_ERR_EXISTS);
    assert_int_equal(second, -1);
    close(first);
    assert_int_equal(nx_dir_lock(f->dir, &second), NX_OK);
    close(second);
    assert_int_equal(nx_dir_lock("/nonexistent", &second), NX_ERR_NOT_FOUND);
}

static void path_join_puts_one_slash(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a//", "b", "a/b"},
        {"/", "b", "/b"},  {"", "b", "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = nx_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        nx_free(path);
    }
}

static bool countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- > 0;
}

static void list_fails_cleanly_at_each_allocation(void **state)
{
    struct fixture *f = *state;
    write_file(f, "one", "1");
    write_file(f, "two", "2");
    enum nx_err err = NX_ERR_NOMEM;
    for (int n = 0; err != NX_OK; n++) {
        int left = n;
        char **names;
        size_t count;
        nx_alloc_set_hook(countdown, &left);
        err = nx_dir_list(f->dir, &names, &count);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK)
            nx_dir_free(names, count);
        else
            assert_int_equal(err, NX_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_modes_behave, setup, teardown),
        cmocka_unit_test_setup_teardown(pread_is_short_only_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(map_shows_the_file, setup, teardown),
        cmocka_unit_test(read_all_takes_files_without_a_size),
        cmocka_unit_test_setup_teardown(directories_are_made_listed_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(rename_and_unlink_move_files, setup, teardown),
        cmocka_unit_test_setup_teardown(lock_is_exclusive, setup, teardown),
        cmocka_unit_test(path_join_puts_one_slash),
        cmocka_unit_test_setup_teardown(list_fails_cleanly_at_each_allocation, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
