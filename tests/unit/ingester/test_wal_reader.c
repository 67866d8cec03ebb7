/* Reading the log piece by piece: windows over a file, and the numbers of series. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/wal/record.h"
#include "ingester/wal/ref_map.h"

#define NONCE UINT64_C(0x1234567890abcdef)

static void put_record(struct nx_buf *buf, struct nx_rand *rand, size_t len)
{
    struct ing_record_writer writer;
    ing_record_begin(&writer, buf, NONCE, ING_RECORD_SAMPLES);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t v = nx_rand_u64(rand);
        nx_buf_append(buf, &v, len - i < 8 ? len - i : 8);
    }
    ing_record_end(&writer);
}

/* Both readers over the same bytes give the same records and the same damage. */
static void compare_readers(const char *path, struct nx_view bytes)
{
    struct ing_record_reader memory;
    struct ing_record_reader file;
    struct ing_record a;
    struct ing_record b;
    int fd;
    file_write(path, bytes.ptr, bytes.len);
    assert_int_equal(nx_fs_posix()->open(nx_fs_posix(), path, NX_FILE_READ, &fd), NX_OK);
    ing_record_reader_init(&memory, bytes, 0, NONCE);
    ing_record_reader_open(&file, fd, bytes.len, 0, NONCE);
    for (;;) {
        bool more = ing_record_next(&memory, &a);
        assert_true(ing_record_next(&file, &b) == more);
        if (!more)
            break;
        assert_true(a.type == b.type && a.offset == b.offset);
        assert_true(nx_view_eq(a.payload, b.payload));
    }
    assert_int_equal(file.err, NX_OK);
    assert_true(memory.gaps == file.gaps && memory.damaged_bytes == file.damaged_bytes);
    assert_true(memory.first_gap == file.first_gap && memory.good_end == file.good_end);
    ing_record_reader_release(&file);
    ing_record_reader_release(&memory);
    assert_int_equal(close(fd), 0);
}

static void windows_over_a_file_give_what_the_whole_of_it_gives(void **state)
{
    (void)state;
    struct nx_rand rand;
    struct nx_buf buf;
    char *dir = tmp_dir_new();
    char *path = nx_path_join(dir, "log");
    nx_rand_seeded(&rand, 11);
    nx_buf_init(&buf, (size_t)64 << 20);
    /* records up to three times the window, at any place in it */
    for (int i = 0; i < 40; i++)
        put_record(&buf, &rand,
                   (size_t)nx_rand_below(&rand, i % 8 == 0 ? (size_t)3 << 20 : (size_t)200000));
    compare_readers(path, nx_buf_view(&buf));
    for (int round = 0; round < 30; round++) {
        size_t at = (size_t)nx_rand_below(&rand, buf.len);
        size_t run = 1 + (size_t)nx_rand_below(&rand, 64);
        for (size_t i = at; i < at + run && i < buf.len; i++)
            buf.data[i] ^= (char)(1 + nx_rand_below(&rand, 255));
        size_t cut = round % 3 == 0 ? (size_t)nx_rand_below(&rand, buf.len) : buf.len;
        compare_readers(path, nx_view_make(buf.data, cut));
    }
    nx_buf_release(&buf);
    nx_free(path);
    tmp_dir_free(dir);
}

static void file_that_is_shorter_than_told_ends_the_reading(void **state)
{
    (void)state;
    struct nx_rand rand;
    struct nx_buf buf;
    struct ing_record_reader reader;
    struct ing_record record;
    char *dir = tmp_dir_new();
    char *path = nx_path_join(dir, "log");
    int fd;
    nx_rand_seeded(&rand, 1);
    nx_buf_init(&buf, 1 << 20);
    put_record(&buf, &rand, 100);
    size_t first = buf.len;
    put_record(&buf, &rand, 100);
    file_write(path, buf.data, first + 20);
    assert_int_equal(nx_fs_posix()->open(nx_fs_posix(), path, NX_FILE_READ, &fd), NX_OK);
    ing_record_reader_open(&reader, fd, buf.len, 0, NONCE);
    assert_true(ing_record_next(&reader, &record));
    assert_false(ing_record_next(&reader, &record));
    assert_int_equal(reader.err, NX_ERR_IO);
    assert_int_equal(reader.good_end, first);
    ing_record_reader_release(&reader);
    assert_int_equal(close(fd), 0);
    nx_buf_release(&buf);
    nx_free(path);
    tmp_dir_free(dir);
}

#define NUMBERS 4000

static void numbers_are_found_where_they_were_put_and_nowhere_else(void **state)
{
    (void)state;
    struct nx_rand rand;
    struct ing_ref_map map;
    static uint64_t numbers[NUMBERS];
    nx_rand_seeded(&rand, 3);
    ing_ref_map_init(&map);
    assert_int_equal(ing_ref_map_find(&map, 0), ING_REF_MAP_NONE);
    for (uint32_t i = 0; i < NUMBERS; i++) {
        /* lives with dense numbers, and single ones anywhere */
        numbers[i] = i % 4 == 0 ? nx_rand_u64(&rand) : ((uint64_t)(i % 3) << 32) + 1 + i;
        assert_int_equal(ing_ref_map_add(&map, numbers[i], i), NX_OK);
        /* the first value stays */
        assert_int_equal(ing_ref_map_add(&map, numbers[i], i + 1), NX_OK);
    }
    for (uint32_t i = 0; i < NUMBERS; i++) {
        assert_int_equal(ing_ref_map_find(&map, numbers[i]), i);
        uint64_t other = nx_rand_u64(&rand);
        assert_int_equal(ing_ref_map_find(&map, other), ING_REF_MAP_NONE);
    }
    ing_ref_map_release(&map);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void numbers_without_memory_are_not_there(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct ing_ref_map map;
        size_t left = n;
        bool failed = false;
        ing_ref_map_init(&map);
        nx_alloc_set_hook(fail_nth, &left);
        for (uint32_t i = 0; i < 64; i++) {
            uint64_t number = (uint64_t)i * 100;
            enum nx_err err = ing_ref_map_add(&map, number, i);
            failed = failed || err != NX_OK;
            uint32_t expected = err == NX_OK ? i : ING_REF_MAP_NONE;
            assert_int_equal(ing_ref_map_find(&map, number), expected);
        }
        nx_alloc_set_hook(NULL, NULL);
        ing_ref_map_release(&map);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_over_a_file_give_what_the_whole_of_it_gives),
        cmocka_unit_test(file_that_is_shorter_than_told_ends_the_reading),
        cmocka_unit_test(numbers_are_found_where_they_were_put_and_nowhere_else),
        cmocka_unit_test(numbers_without_memory_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
