/* A log cut at every byte and with every byte flipped, and a block with every byte flipped. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/block/block_set.h"
#include "ingester/open.h"

#define T0 INT64_C(1600000000000)
#define PUSHES 6
#define SERIES 3

/* What push p holds: a float of each series at T0 + p, and a histogram of one of its own. */
static void push_number(struct fixture *fixture, int p)
{
    struct pusher pusher;
    pusher_init(&pusher, "t");
    for (int i = 0; i < SERIES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%d", i);
        pusher_row(&pusher, "__name__", name, NULL);
        pusher_sample(&pusher, T0 + p, p * 10 + i);
    }
    pusher_row(&pusher, "__name__", "h", NULL);
    pusher_histogram(&pusher, T0 + p, make_histogram(&pusher.arena, p + 1));
    pusher_exemplar(&pusher, T0 + p, 1, "trace", "abc");
    pusher_metadata(&pusher, "h", (uint32_t)p, "help", "unit");
    push_all(fixture, &pusher);
    pusher_release(&pusher);
}

static uint64_t size_of(const char *path)
{
    char *bytes;
    size_t len;
    assert_int_equal(nx_file_read_all(path, SIZE_MAX / 2, &bytes, &len), NX_OK);
    nx_free(bytes);
    return len;
}

/* A log of one segment, and its size after each push. */
static void make_log(struct fixture *fixture, uint64_t *sizes, char **segment)
{
    fixture_init(fixture, NULL, 1);
    fixture_open(fixture);
    for (int p = 0; p < PUSHES; p++) {
        push_number(fixture, p);
        *segment = find_file(fixture->dir, ".wal");
        assert_non_null(*segment);
        sizes[p] = size_of(*segment);
        if (p + 1 < PUSHES)
            nx_free(*segment);
    }
    fixture_close(fixture);
}

struct opened {
    struct ing_open_shard shard;
    struct ing_block_set *blocks;
    struct ing_series_limit limit;
    uint64_t generation;
    struct ing_log_loss loss;
};

static void open_dir(struct fixture *fixture, struct opened *opened)
{
    char *wal = nx_path_join(fixture->dir, "wal");
    char *blocks = nx_path_join(fixture->dir, "blocks");
    *opened = (struct opened){0};
    atomic_init(&opened->limit.used, 0);
    atomic_init(&opened->limit.max, SIZE_MAX);
    assert_int_equal(ing_block_set_open(nx_fs_posix(), blocks, NULL, NULL, &opened->blocks), NX_OK);
    struct ing_open_options options = {
        .fs = nx_fs_posix(),
        .clock = &fixture->clock.base,
        .wal_dir = wal,
        .blocks = opened->blocks,
        .shards = 1,
        .partitions = 64,
        .nonce = 7,
        .head = {.rules = {.window_ms = 2 * HOUR_MS, .out_of_order_ms = 2 * HOUR_MS},
                 .limit = &opened->limit,
                 .max_exemplars = 10}};
    assert_int_equal(ing_open_shards(&options, &opened->shard, &opened->generation, &opened->loss),
                     NX_OK);
    nx_free(wal);
    nx_free(blocks);
}

static void close_dir(struct opened *opened)
{
    ing_open_release(&opened->shard, 1);
    ing_block_set_free(opened->blocks);
}

/* Which pushes are there whole (bit p); asserts that nothing is there that was not pushed. */
static unsigned pushes_found(const struct opened *opened)
{
    unsigned found[SERIES + 1] = {0};
    struct ing_read_cursor cursor;
    struct ing_read_result result;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    ing_read_result_init(&result, SIZE_MAX);
    assert_int_equal(ing_read_begin(&cursor, opened->shard.store.head, NX_VIEW("t"), NULL, 0, all),
                     NX_OK);
    assert_int_equal(ing_read_step(&cursor, all, false, 1000, &result), 0);
    ing_read_end(&cursor);
    for (size_t i = 0; i < result.count; i++) {
        struct nx_cursor cur = nx_cursor_of(result.items[i].labels);
        struct nx_labels labels;
        assert_int_equal(nx_labels_decode(&cur, &arena, 10, &labels), NX_OK);
        struct nx_view name = nx_labels_get(labels, NX_LABEL_METRIC_NAME);
        int number = name.ptr[0] == 'h' ? SERIES : name.ptr[1] - '0';
        for (uint32_t c = 0; c < result.items[i].chunks.count; c++) {
            struct nx_chunk chunk = ing_sealed_chunk(result.items[i].chunks.items[c]);
            struct nx_sample_iter *it;
            struct nx_sample sample;
            int rc;
            assert_int_equal(nx_chunk_iter_new(chunk.encoding, chunk.data, &it), NX_OK);
            while ((rc = nx_sample_next(it, &sample)) == 1) {
                int64_t p = sample.t - T0;
                assert_in_range(p, 0, PUSHES - 1);
                if (number == SERIES)
                    assert_true(sample.histogram->sum == 1.5 * (double)(p + 1));
                else
                    assert_true(sample.value == (double)(p * 10 + number));
                found[number] |= 1u << p;
            }
            assert_int_equal(rc, 0);
            nx_sample_iter_free(it);
        }
    }
    ing_read_result_release(&result);
    nx_arena_release(&arena);
    return found[0] & found[1] & found[2] & found[3];
}

static unsigned before(const uint64_t *sizes, uint64_t offset)
{
    unsigned expected = 0;
    for (int p = 0; p < PUSHES; p++)
        if (sizes[p] <= offset)
            expected |= 1u << p;
    return expected;
}

static void log_cut_at_every_byte_keeps_what_lies_before(void **state)
{
    (void)state;
    struct fixture fixture;
    uint64_t sizes[PUSHES];
    char *segment;
    char *bytes;
    size_t len;
    make_log(&fixture, sizes, &segment);
    assert_int_equal(nx_file_read_all(segment, SIZE_MAX / 2, &bytes, &len), NX_OK);
    for (size_t cut = 0; cut <= len; cut++) {
        struct opened opened;
        file_write(segment, bytes, cut);
        open_dir(&fixture, &opened);
        unsigned found = pushes_found(&opened);
        unsigned expected = before(sizes, cut);
        /* of the push that was cut, the samples may be there and only its exemplar missing */
        assert_true(found == expected || found == (expected << 1 | 1));
        assert_int_equal(opened.loss.samples, 0); /* what is torn was never acknowledged */
        close_dir(&opened);
        /* the torn end is gone: the next start finds a whole file */
        open_dir(&fixture, &opened);
        assert_int_equal(pushes_found(&opened), found);
        close_dir(&opened);
    }
    nx_free(bytes);
    nx_free(segment);
    fixture_release(&fixture);
}

static void log_with_any_byte_changed_keeps_the_rest(void **state)
{
    (void)state;
    struct fixture fixture;
    uint64_t sizes[PUSHES];
    char *segment;
    char *bytes;
    size_t len;
    static const char masks[] = {1, (char)0x80, (char)0xff};
    make_log(&fixture, sizes, &segment);
    assert_int_equal(nx_file_read_all(segment, SIZE_MAX / 2, &bytes, &len), NX_OK);
    for (size_t at = 0; at < len; at++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            struct opened opened;
            bytes[at] ^= masks[m];
            file_write(segment, bytes, len);
            open_dir(&fixture, &opened);
            unsigned found = pushes_found(&opened);
            unsigned expected = before(sizes, at);
            assert_int_equal(found & expected, expected);
            /* the series are in the first push: damage behind it costs one push only */
            if (at >= sizes[0])
                assert_true(__builtin_popcount(found) >= PUSHES - 1);
            if (at < 96)
                assert_int_equal(found, (1u << PUSHES) - 1); /* the header stands twice */
            /* the last record may as well be one that was never written out */
            if (found != (1u << PUSHES) - 1 && at < sizes[PUSHES - 2])
                assert_true(opened.loss.samples > 0);
            if (found > 0 && opened.loss.samples > 0)
                assert_true(opened.loss.min_t <= T0 + PUSHES && opened.loss.max_t >= T0);
            close_dir(&opened);
            bytes[at] ^= masks[m];
        }
    }
    nx_free(bytes);
    nx_free(segment);
    fixture_release(&fixture);
}

static void log_of_garbage_starts_empty(void **state)
{
    (void)state;
    struct fixture fixture;
    uint64_t sizes[PUSHES];
    char *segment;
    struct nx_rand rand;
    struct opened opened;
    nx_rand_seeded(&rand, 1);
    make_log(&fixture, sizes, &segment);
    char *noise = malloc(100000);
    for (size_t i = 0; i < 100000; i++)
        noise[i] = (char)nx_rand_u64(&rand);
    file_write(segment, noise, 100000);
    open_dir(&fixture, &opened);
    assert_int_equal(pushes_found(&opened), 0);
    assert_true(opened.loss.samples > 0);
    close_dir(&opened);
    free(noise);
    nx_free(segment);
    fixture_release(&fixture);
}

/* What select gives of the block, as text, or the error. */
static enum nx_err block_text(const char *dir, struct nx_buf *out)
{
    struct ing_block *block;
    struct ing_block_iter *iter;
    struct ing_block_series series;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct ing_texts texts;
    nx_buf_clear(out);
    enum nx_err err = ing_block_open(dir, &block, NULL);
    if (err != NX_OK)
        return err;
    struct nx_arena arena;
    struct nx_matcher matcher;
    nx_arena_init(&arena, 0);
    assert_int_equal(nx_matcher_init(&matcher, &arena, NX_MATCH_RE, NX_LABEL_METRIC_NAME,
                                     NX_VIEW("(s|h).*"), NULL),
                     NX_OK);
    const struct ing_block_meta *meta = ing_block_meta(block);
    nx_buf_printf(out, "%.*s %" PRId64 " %" PRId64 "\n", NX_VIEW_ARG(meta->tenant), meta->min_t,
                  meta->max_t);
    ing_texts_init(&texts, 0);
    err = ing_block_labels(block, NX_LABEL_METRIC_NAME, NULL, 0, &texts);
    for (size_t i = 0; i < texts.count; i++)
        nx_buf_append_view(out, texts.items[i]);
    ing_texts_release(&texts);
    if (err == NX_OK)
        err = ing_block_select(block, &matcher, 1, all, &iter);
    if (err == NX_OK) {
        int rc;
        while ((rc = ing_block_iter_next(iter, &series)) == 1) {
            nx_labels_print(out, series.labels);
            nx_buf_printf(out, "%016" PRIx64 "%016" PRIx64, series.id.hi, series.id.lo);
            for (size_t i = 0; i < series.chunk_count; i++) {
                nx_buf_printf(out, " %d %u %" PRId64 " %" PRId64 " ",
                              (int)series.chunks[i].encoding, (unsigned)series.chunks[i].count,
                              series.chunks[i].min_t, series.chunks[i].max_t);
                nx_buf_append_view(out, series.chunks[i].data);
            }
        }
        err = (enum nx_err)rc;
        ing_block_iter_free(iter);
    }
    nx_matcher_release(&matcher);
    nx_arena_release(&arena);
    ing_block_drop(block);
    return err;
}

static void block_with_any_byte_changed_is_an_error_or_right(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    for (int p = 0; p < PUSHES; p++)
        push_number(&fixture, p);
    flush_all(&fixture);
    fixture_close(&fixture);
    char *path = find_file(fixture.dir, "block.nxb");
    assert_non_null(path);
    char *dir = nx_strndup(path, strlen(path) - strlen("/block.nxb"));
    struct nx_buf right;
    struct nx_buf got;
    nx_buf_init(&right, 1 << 20);
    nx_buf_init(&got, 1 << 20);
    assert_int_equal(block_text(dir, &right), NX_OK);
    assert_true(right.len > 100);
    char *bytes;
    size_t len;
    size_t errors = 0;
    assert_int_equal(nx_file_read_all(path, SIZE_MAX / 2, &bytes, &len), NX_OK);
    static const char masks[] = {1, (char)0x80, (char)0xff};
    for (size_t at = 0; at < len; at++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            bytes[at] ^= masks[m];
            file_write(path, bytes, len);
            enum nx_err err = block_text(dir, &got);
            if (err == NX_OK)
                assert_true(nx_view_eq(nx_buf_view(&got), nx_buf_view(&right)));
            else
                errors++;
            bytes[at] ^= masks[m];
        }
    }
    assert_true(errors > len * 2);
    for (size_t cut = 0; cut < len; cut++) {
        file_write(path, bytes, cut);
        assert_int_not_equal(block_text(dir, &got), NX_OK);
    }
    nx_free(bytes);
    nx_buf_release(&right);
    nx_buf_release(&got);
    nx_free(dir);
    nx_free(path);
    fixture_release(&fixture);
}

static void damaged_block_at_start_fails_its_time_and_the_rest_is_served(void **state)
{
    (void)state;
    struct fixture fixture;
    struct got got;
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    push_number(&fixture, 0);
    flush_all(&fixture);
    push_number(&fixture, 3 * 3600 * 1000);
    char *path = find_file(fixture.dir, "block.nxb");
    fixture_close(&fixture);
    file_write(path, "rubbish", 7);
    fixture_open(&fixture);
    select_series(&fixture, "t", INT64_MIN, INT64_MAX, &got, NX_MATCH_EQ, "__name__", "s1", -1);
    assert_int_equal(got.err, NX_ERR_CORRUPT);
    got_release(&got);
    select_series(&fixture, "other", INT64_MIN, INT64_MAX, &got, NX_MATCH_EQ, "__name__", "s1", -1);
    assert_int_equal(got.err, NX_OK);
    got_release(&got);
    int64_t later = 0;
    const char *name = strstr(path, "/blocks/");
    assert_non_null(name);
    assert_int_equal(sscanf(name, "/blocks/t/%*d-%" SCNd64 "-", &later), 1);
    select_series(&fixture, "t", later, INT64_MAX, &got, NX_MATCH_EQ, "__name__", "s1", -1);
    assert_int_equal(got.err, NX_OK);
    assert_int_equal(got.count, 1);
    got_release(&got);
    fixture_close(&fixture);
    nx_free(path);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_cut_at_every_byte_keeps_what_lies_before),
        cmocka_unit_test(log_with_any_byte_changed_keeps_the_rest),
        cmocka_unit_test(log_of_garbage_starts_empty),
        cmocka_unit_test(block_with_any_byte_changed_is_an_error_or_right),
        cmocka_unit_test(damaged_block_at_start_fails_its_time_and_the_rest_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
