/* Records, segments and directories of the log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/wal/layout.h"
#include "ingester/wal/record.h"
#include "ingester/wal/segment.h"

#define NONCE UINT64_C(0x1234567890abcdef)

static void put_record(struct nx_buf *buf, uint64_t nonce, struct nx_view payload)
{
    struct ing_record_writer writer;
    ing_record_begin(&writer, buf, nonce, ING_RECORD_METADATA);
    nx_buf_append_view(buf, payload);
    ing_record_end(&writer);
}

static void sample_rows_come_back_whatever_their_values(void **state)
{
    (void)state;
    struct ing_sample_row rows[500];
    struct nx_rand rand;
    struct nx_buf buf;
    nx_rand_seeded(&rand, 1);
    nx_buf_init(&buf, 1 << 20);
    for (size_t i = 0; i < 500; i++)
        rows[i] = (struct ing_sample_row){.log_ref = nx_rand_u64(&rand),
                                          .t = (int64_t)nx_rand_u64(&rand),
                                          .bits = nx_rand_u64(&rand)};
    rows[3].t = INT64_MIN;
    rows[4].t = INT64_MAX;
    ing_sample_rows_put(&buf, rows, 500);
    assert_true(buf.len <= 500 * ING_SAMPLE_ROW_MAX_BYTES + 10);
    struct ing_sample_reader reader;
    struct ing_sample_row row;
    assert_true(ing_sample_reader_init(&reader, nx_buf_view(&buf)));
    for (size_t i = 0; i < 500; i++) {
        assert_true(ing_sample_reader_next(&reader, &row));
        assert_memory_equal(&row, &rows[i], sizeof row);
    }
    assert_false(ing_sample_reader_next(&reader, &row));
    for (size_t cut = 0; cut < buf.len; cut++)
        assert_false(ing_sample_reader_init(&reader, nx_view_make(buf.data, cut)));
    nx_buf_release(&buf);
}

static void record_with_another_nonce_is_not_a_record(void **state)
{
    (void)state;
    struct nx_buf buf;
    struct ing_record_reader reader;
    struct ing_record record;
    nx_buf_init(&buf, 1 << 20);
    put_record(&buf, NONCE, NX_VIEW("hello"));
    ing_record_reader_init(&reader, nx_buf_view(&buf), 0, NONCE + 1);
    assert_false(ing_record_next(&reader, &record));
    assert_int_equal(reader.good_end, 0);
    ing_record_reader_init(&reader, nx_buf_view(&buf), 0, NONCE);
    assert_true(ing_record_next(&reader, &record));
    assert_true(nx_view_is(record.payload, "hello"));
    assert_int_equal(reader.good_end, buf.len);
    nx_buf_release(&buf);
}

/* A payload may hold what looks like a record, if its author does not know the nonce. */
static void record_inside_a_damaged_one_is_not_read(void **state)
{
    (void)state;
    struct nx_buf fake;
    struct nx_buf buf;
    struct ing_record_reader reader;
    struct ing_record record;
    nx_buf_init(&fake, 1 << 20);
    nx_buf_init(&buf, 1 << 20);
    put_record(&fake, 0, NX_VIEW("forged"));
    put_record(&buf, NONCE, nx_buf_view(&fake));
    size_t first = buf.len;
    put_record(&buf, NONCE, NX_VIEW("true"));
    buf.data[20] ^= 1;
    ing_record_reader_init(&reader, nx_buf_view(&buf), 0, NONCE);
    assert_true(ing_record_next(&reader, &record));
    assert_true(nx_view_is(record.payload, "true"));
    assert_int_equal(record.offset, first);
    assert_int_equal(reader.gaps, 1);
    assert_int_equal(reader.damaged_bytes, first);
    assert_false(ing_record_next(&reader, &record));
    nx_buf_release(&fake);
    nx_buf_release(&buf);
}

/* Every four bytes claim to begin a record of megabytes: looking for a good one must not take for
 * ever. */
static void hostile_content_behind_damage_is_given_up_on(void **state)
{
    (void)state;
    size_t len = (size_t)4 << 20;
    char *bytes = malloc(len);
    struct nx_buf head;
    struct ing_record_reader reader;
    struct ing_record record;
    nx_buf_init(&head, 1 << 10);
    put_record(&head, NONCE, NX_VIEW(""));
    for (size_t i = 0; i + 12 <= len; i += 12) {
        memcpy(bytes + i, head.data, 12);
        bytes[i + 6] = 16; /* a megabyte */
    }
    ing_record_reader_init(&reader, nx_view_make(bytes, len), 0, NONCE);
    assert_false(ing_record_next(&reader, &record));
    free(bytes);
    nx_buf_release(&head);
}

static void names_are_parsed_back_and_others_are_not(void **state)
{
    (void)state;
    char name[ING_SEGMENT_NAME_MAX];
    uint64_t segment;
    uint32_t attempt;
    ing_segment_name(42, 7, name);
    assert_string_equal(name, "0000000042-007.wal");
    assert_true(ing_segment_name_parse(name, &segment, &attempt));
    assert_true(segment == 42 && attempt == 7);
    ing_checkpoint_name(43, name);
    assert_true(ing_checkpoint_name_parse(name, &segment));
    assert_true(segment == 43);
    static const char *const others[] = {"",
                                         "1",
                                         "1-2",
                                         "1-2.wal.tmp",
                                         "-1-2.wal",
                                         "a-b.wal",
                                         "1-2.walx",
                                         "1-.wal",
                                         "99999999999999999999999-1.wal",
                                         "checkpoint-",
                                         "checkpoint-1.tmp",
                                         "checkpoint-x"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(ing_segment_name_parse(others[i], &segment, &attempt));
        assert_false(ing_checkpoint_name_parse(others[i], &segment));
    }
}

static void header_with_one_damaged_copy_is_read(void **state)
{
    (void)state;
    struct ing_segment_header header = {.generation = 1, .segment = 2, .nonce = 3, .shard = 4};
    struct ing_segment_header got;
    uint8_t bytes[ING_SEGMENT_HEADER_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++) {
        ing_segment_header_write(&header, bytes);
        bytes[i] ^= 0x55;
        assert_true(ing_segment_header_read(nx_view_make(bytes, sizeof bytes), &got));
        assert_true(got.generation == 1 && got.segment == 2 && got.nonce == 3 && got.shard == 4);
    }
    bytes[0] ^= 1;
    assert_false(ing_segment_header_read(nx_view_make(bytes, sizeof bytes), &got));
    assert_false(ing_segment_header_read(nx_view_make(bytes, sizeof bytes - 1), &got));
}

/* All records in a directory in reading order, each once however often it is there. */
static size_t count_records(const char *dir, size_t expected)
{
    struct ing_wal_files files;
    bool seen[64] = {false};
    size_t count = 0;
    assert_int_equal(ing_wal_files_list(dir, &files), NX_OK);
    for (size_t i = 0; i < files.count; i++) {
        char name[ING_SEGMENT_NAME_MAX];
        char *bytes;
        size_t len;
        struct ing_segment_header header;
        struct ing_record_reader reader;
        struct ing_record record;
        ing_segment_name(files.items[i].segment, files.items[i].attempt, name);
        char *path = nx_path_join(dir, name);
        assert_int_equal(nx_file_read_all(path, SIZE_MAX / 2, &bytes, &len), NX_OK);
        if (ing_segment_header_read(nx_view_make(bytes, len), &header)) {
            ing_record_reader_init(&reader, nx_view_make(bytes, len), ING_SEGMENT_HEADER_BYTES,
                                   header.nonce);
            while (ing_record_next(&reader, &record)) {
                size_t number = (size_t)(unsigned char)record.payload.ptr[0];
                assert_in_range(number, 0, expected - 1);
                count += !seen[number];
                seen[number] = true;
            }
        }
        nx_free(bytes);
        nx_free(path);
    }
    ing_wal_files_release(&files);
    return count;
}

static void commits_survive_a_failure_of_any_call(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        for (size_t n = 0;; n++) {
            struct fault_fs fs;
            struct ing_segment_writer writer;
            char *dir = tmp_dir_new();
            fault_fs_init(&fs);
            ing_segment_writer_init(&writer, &fs.base, dir, 1, 0, NONCE);
            fault_fs_arm(&fs, n, NX_ERR_IO, false);
            for (unsigned char i = 0; i < 12; i++) {
                struct nx_buf buf;
                nx_buf_init(&buf, 1 << 10);
                put_record(&buf, NONCE, nx_view_make(&i, 1));
                enum nx_err err = ing_segment_commit(&writer, i / 4, nx_buf_view(&buf));
                if (err != NX_OK) /* the same bytes again, as the log does */
                    err = ing_segment_commit(&writer, i / 4, nx_buf_view(&buf));
                assert_int_equal(err, NX_OK);
                nx_buf_release(&buf);
            }
            ing_segment_writer_close(&writer);
            if (cut)
                fault_fs_power_cut(&fs, dir, DISK_ANY, n);
            assert_int_equal(count_records(dir, 12), 12);
            bool fired = fault_fs_fired(&fs);
            fault_fs_release(&fs);
            tmp_dir_free(dir);
            if (!fired)
                break;
        }
    }
}

static void disk_that_stays_broken_does_not_fill_with_attempts(void **state)
{
    (void)state;
    struct fault_fs fs;
    struct ing_segment_writer writer;
    char *dir = tmp_dir_new();
    char **names;
    size_t count;
    fault_fs_init(&fs);
    ing_segment_writer_init(&writer, &fs.base, dir, 1, 0, NONCE);
    for (int op = FAULT_WRITE; op <= FAULT_SYNC; op++) {
        fault_fs_arm(&fs, 0, NX_ERR_NOSPACE, true);
        fault_fs_only(&fs, (enum fault_op)op);
        for (int i = 0; i < 2000; i++)
            assert_int_equal(ing_segment_commit(&writer, 1, NX_VIEW("x")), NX_ERR_NOSPACE);
        fault_fs_disarm(&fs);
    }
    assert_int_equal(ing_segment_commit(&writer, 1, NX_VIEW("x")), NX_OK);
    assert_int_equal(nx_dir_list(dir, &names, &count), NX_OK);
    assert_int_equal(count, 1);
    nx_dir_free(names, count);
    ing_segment_writer_close(&writer);
    fault_fs_release(&fs);
    tmp_dir_free(dir);
}

static void files_before_a_checkpoint_are_not_read(void **state)
{
    (void)state;
    static const char *const names[] = {"0000000001-000.wal",        "0000000002-000.wal",
                                        "0000000002-001.wal",        "0000000003-000.wal",
                                        "checkpoint-0000000001",     "checkpoint-0000000002",
                                        "checkpoint-0000000003.tmp", "notes.txt"};
    char *dir = tmp_dir_new();
    struct ing_wal_files files;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = nx_path_join(dir, names[i]);
        file_write(path, "", 0);
        nx_free(path);
    }
    assert_int_equal(ing_wal_files_list(dir, &files), NX_OK);
    assert_int_equal(files.count, 4);
    assert_true(files.items[0].checkpoint && files.items[0].segment == 2);
    assert_true(files.items[1].segment == 2 && files.items[1].attempt == 0);
    assert_true(files.items[2].segment == 2 && files.items[2].attempt == 1);
    assert_true(files.items[3].segment == 3);
    assert_true(files.next_segment == 4);
    ing_wal_files_release(&files);
    assert_int_equal(ing_wal_files_remove(nx_fs_posix(), dir, 3), NX_OK);
    char **left;
    size_t count;
    assert_int_equal(nx_dir_list(dir, &left, &count), NX_OK);
    assert_int_equal(count, 2);
    nx_dir_free(left, count);
    tmp_dir_free(dir);
}

static void generation_counts_only_when_it_is_finished(void **state)
{
    (void)state;
    const struct nx_fs *fs = nx_fs_posix();
    char *dir = tmp_dir_new();
    struct ing_wal_layout layout;
    assert_int_equal(ing_wal_layout_find(fs, dir, &layout), NX_OK);
    assert_true(layout.generation == 0);
    layout = (struct ing_wal_layout){.generation = 1, .shards = 2, .partitions = 64};
    assert_int_equal(ing_wal_generation_begin(fs, dir, &layout), NX_OK);
    struct ing_wal_layout found;
    assert_int_equal(ing_wal_layout_find(fs, dir, &found),
                     NX_OK); /* a crash here: nothing of it stays */
    assert_true(found.generation == 0);
    assert_int_equal(ing_wal_generation_begin(fs, dir, &layout), NX_OK);
    assert_int_equal(ing_wal_generation_finish(fs, dir, &layout), NX_OK);
    assert_int_equal(ing_wal_layout_find(fs, dir, &found), NX_OK);
    assert_true(found.generation == 1 && found.shards == 2 && found.partitions == 64 &&
                found.shard_dirs == 2);
    layout = (struct ing_wal_layout){.generation = 2, .shards = 3, .partitions = 64};
    assert_int_equal(ing_wal_generation_begin(fs, dir, &layout), NX_OK);
    assert_int_equal(ing_wal_generation_finish(fs, dir, &layout), NX_OK);
    assert_int_equal(ing_wal_layout_find(fs, dir, &found), NX_OK);
    assert_true(found.generation == 2 && found.shards == 3);
    char *meta = nx_path_join(dir, "gen-00000002/meta");
    file_write(meta, "damaged", 7);
    assert_int_equal(ing_wal_layout_find(fs, dir, &found), NX_OK);
    assert_true(found.generation == 2 && found.shards == 0 && found.shard_dirs == 3);
    nx_free(meta);
    tmp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_rows_come_back_whatever_their_values),
        cmocka_unit_test(record_with_another_nonce_is_not_a_record),
        cmocka_unit_test(record_inside_a_damaged_one_is_not_read),
        cmocka_unit_test(hostile_content_behind_damage_is_given_up_on),
        cmocka_unit_test(names_are_parsed_back_and_others_are_not),
        cmocka_unit_test(header_with_one_damaged_copy_is_read),
        cmocka_unit_test(commits_survive_a_failure_of_any_call),
        cmocka_unit_test(disk_that_stays_broken_does_not_fill_with_attempts),
        cmocka_unit_test(files_before_a_checkpoint_are_not_read),
        cmocka_unit_test(generation_counts_only_when_it_is_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
