/* Blocks written and read back; selections compared with asking every series. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/chunk/merge.h"
#include "fixture.h"
#include "ingester/block/block_set.h"
#include "ingester/block/block_writer.h"

#define T0 (INT64_C(200000) * 2 * HOUR_MS)
#define SERIES 120

struct written {
    char *dir;
    struct nx_arena arena;
    struct nx_labels labels[SERIES];
    struct nx_series_id ids[SERIES];
    int64_t times[SERIES][400];
    size_t counts[SERIES];
};

static struct nx_labels some_labels(struct nx_arena *arena, struct nx_rand *rand, int number)
{
    static const char *const names[] = {"a", "b", "c"};
    struct nx_labels_builder builder;
    struct nx_labels labels;
    char text[32];
    nx_labels_builder_init(&builder, arena, (struct nx_labels){0});
    for (size_t i = 0; i < 3; i++) {
        if (nx_rand_below(rand, 3) == 0)
            continue;
        int len = snprintf(text, sizeof text, "v%d", (int)nx_rand_below(rand, 4 + 20 * i));
        nx_labels_builder_set(&builder, nx_view_of(names[i]),
                              nx_arena_copy(arena, nx_view_make(text, (size_t)len)));
    }
    int len = snprintf(text, sizeof text, "%d", number);
    nx_labels_builder_set(&builder, NX_VIEW("n"),
                          nx_arena_copy(arena, nx_view_make(text, (size_t)len)));
    assert_int_equal(nx_labels_builder_take(&builder, &labels), NX_OK);
    return labels;
}

static struct nx_chunk make_chunk(struct nx_arena *arena, const int64_t *times, size_t count)
{
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_XOR, &app), NX_OK);
    for (size_t i = 0; i < count; i++) {
        struct nx_sample sample = {.t = times[i], .value = (double)times[i]};
        assert_int_equal(nx_chunk_append(app, &sample), NX_OK);
    }
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    chunk.data = nx_arena_copy(arena, chunk.data);
    nx_chunk_appender_free(app);
    return chunk;
}

static enum nx_err write_block(struct written *written, const struct nx_fs *fs, const char *name)
{
    struct ing_block_position positions[2] = {
        {.before = 7}, {.shard = 1, .before = 9, .min_t = T0, .max_t = T0 + HOUR_MS}};
    const struct nx_view sources[] = {NX_VIEW("one"), NX_VIEW("other")};
    struct ing_block_meta meta = {.tenant = NX_VIEW("tenant/1"),
                                  .min_t = T0,
                                  .max_t = T0 + 2 * HOUR_MS,
                                  .created_ms = 5,
                                  .generation = 3,
                                  .positions = positions,
                                  .position_count = 2,
                                  .level = 2,
                                  .deletions = 7,
                                  .sources = sources,
                                  .source_count = 2};
    struct ing_block_writer *writer;
    enum nx_err err = ing_block_writer_new(fs, written->dir, name, &meta, &writer);
    if (err != NX_OK)
        return err;
    for (int i = 0; i < SERIES && err == NX_OK; i++) {
        /* two chunks that overlap for every third series, ordered and apart for the others */
        struct nx_chunk chunks[3];
        size_t half = written->counts[i] / 2;
        int64_t odd[200];
        int64_t even[200];
        if (i % 3 == 0) {
            for (size_t j = 0; j < half; j++) {
                even[j] = written->times[i][2 * j];
                odd[j] = written->times[i][2 * j + 1];
            }
            chunks[0] = make_chunk(&written->arena, odd, half);
            chunks[1] = make_chunk(&written->arena, even, half);
        } else {
            chunks[1] = make_chunk(&written->arena, written->times[i], half);
            chunks[0] = make_chunk(&written->arena, written->times[i] + half, half);
        }
        err = ing_block_writer_add(writer, written->ids[i], written->labels[i], chunks, 2);
    }
    if (err == NX_OK)
        err = ing_block_writer_finish(writer);
    ing_block_writer_free(writer);
    return err;
}

static void written_init(struct written *written, struct nx_rand *rand)
{
    *written = (struct written){.dir = tmp_dir_new()};
    nx_arena_init(&written->arena, 0);
    for (int i = 0; i < SERIES; i++) {
        written->labels[i] = some_labels(&written->arena, rand, i);
        written->ids[i] = nx_series_id_of(NX_VIEW("tenant/1"), written->labels[i]);
        written->counts[i] = 2 * (1 + nx_rand_below(rand, 190));
        int64_t t = T0;
        for (size_t j = 0; j < written->counts[i]; j++) {
            t += 1 + (int64_t)nx_rand_below(rand, 10000);
            written->times[i][j] = t;
        }
    }
}

static void written_release(struct written *written)
{
    nx_arena_release(&written->arena);
    tmp_dir_free(written->dir);
}

static struct ing_block *open_block(const struct written *written, const char *name)
{
    struct ing_block *block;
    char *dir = nx_path_join(written->dir, name);
    assert_int_equal(ing_block_open(dir, &block, NULL), NX_OK);
    nx_free(dir);
    return block;
}

static void series_check(const struct written *written, const struct ing_block_series *series,
                         struct ing_range range)
{
    int number = -1;
    for (int i = 0; i < SERIES; i++)
        if (nx_series_id_eq(written->ids[i], series->id))
            number = i;
    assert_true(number >= 0);
    assert_true(nx_labels_eq(series->labels, written->labels[number]));
    int64_t end = INT64_MIN;
    struct nx_sample_iter *it;
    struct nx_sample sample;
    for (size_t i = 0; i < series->chunk_count; i++) {
        assert_true(series->chunks[i].min_t > end);
        end = series->chunks[i].max_t;
        assert_true(series->chunks[i].min_t <= range.max_t && end >= range.min_t);
    }
    assert_int_equal(
        nx_chunks_iter_new(series->chunks, series->chunk_count, range.min_t, range.max_t, &it),
        NX_OK);
    for (size_t j = 0; j < written->counts[number]; j++) {
        int64_t t = written->times[number][j];
        if (t < range.min_t || t > range.max_t)
            continue;
        assert_int_equal(nx_sample_next(it, &sample), 1);
        assert_true(sample.t == t && sample.value == (double)t);
    }
    assert_int_equal(nx_sample_next(it, &sample), 0);
    nx_sample_iter_free(it);
}

static void block_read_back_has_every_sample(void **state)
{
    (void)state;
    struct written written;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 1);
    written_init(&written, &rand);
    assert_int_equal(write_block(&written, nx_fs_posix(), "b"), NX_OK);
    struct ing_block *block = open_block(&written, "b");
    const struct ing_block_meta *meta = ing_block_meta(block);
    assert_true(nx_view_is(meta->tenant, "tenant/1"));
    assert_true(meta->min_t == T0 && meta->max_t == T0 + 2 * HOUR_MS && meta->created_ms == 5);
    assert_true(meta->series == SERIES && meta->generation == 3 && meta->position_count == 2);
    assert_true(meta->positions[1].shard == 1 && meta->positions[1].before == 9);
    assert_true(meta->positions[0].min_t == T0 && meta->positions[0].max_t == meta->max_t);
    assert_true(meta->positions[1].min_t == T0 && meta->positions[1].max_t == T0 + HOUR_MS);
    assert_true(meta->level == 2 && meta->deletions == 7 && meta->source_count == 2);
    assert_true(nx_view_is(meta->sources[0], "one") && nx_view_is(meta->sources[1], "other"));
    assert_int_equal(ing_block_verify(block), NX_OK);
    struct ing_range ranges[] = {{INT64_MIN, INT64_MAX}, {T0 + 100000, T0 + 200000}, {T0, T0}};
    for (size_t r = 0; r < 3; r++) {
        struct ing_block_iter *iter;
        struct ing_block_series series;
        size_t count = 0;
        assert_int_equal(ing_block_select(block, NULL, 0, ranges[r], &iter), NX_OK);
        while (ing_block_iter_next(iter, &series) == 1) {
            series_check(&written, &series, ranges[r]);
            count++;
        }
        if (r == 0)
            assert_int_equal(count, SERIES);
        ing_block_iter_free(iter);
    }
    ing_block_drop(block);
    written_release(&written);
}

static void block_selection_agrees_with_asking_every_series(void **state)
{
    (void)state;
    static const char *const values[] = {"",   "v1", "v2",  "nope",    "v1|v2", "v.*",
                                         ".*", ".+", "v1|", "(v1|v3)", "v1.*"};
    static const char *const names[] = {"a", "b", "c", "n", "missing"};
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct written written;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 2);
    written_init(&written, &rand);
    assert_int_equal(write_block(&written, nx_fs_posix(), "b"), NX_OK);
    struct ing_block *block = open_block(&written, "b");
    for (int round = 0; round < 600; round++) {
        struct nx_matcher matchers[3];
        struct nx_arena arena;
        struct ing_block_iter *iter;
        struct ing_block_series series;
        size_t matcher_count = 1 + nx_rand_below(&rand, 3);
        nx_arena_init(&arena, 0);
        for (size_t i = 0; i < matcher_count; i++)
            assert_int_equal(nx_matcher_init(&matchers[i], &arena,
                                             (enum nx_match_type)nx_rand_below(&rand, 4),
                                             nx_view_of(names[nx_rand_below(&rand, 5)]),
                                             nx_view_of(values[nx_rand_below(&rand, 11)]), NULL),
                             NX_OK);
        size_t expected = 0;
        for (int i = 0; i < SERIES; i++)
            expected += nx_matchers_match(matchers, matcher_count, written.labels[i]);
        size_t count = 0;
        assert_int_equal(ing_block_select(block, matchers, matcher_count, all, &iter), NX_OK);
        while (ing_block_iter_next(iter, &series) == 1) {
            assert_true(nx_matchers_match(matchers, matcher_count, series.labels));
            count++;
        }
        assert_int_equal(count, expected);
        ing_block_iter_free(iter);
        /* label values of those series */
        struct ing_texts texts;
        ing_texts_init(&texts, 0);
        assert_int_equal(ing_block_labels(block, NX_VIEW("n"), matchers, matcher_count, &texts),
                         NX_OK);
        assert_int_equal(texts.count, expected);
        ing_texts_release(&texts);
        for (size_t i = 0; i < matcher_count; i++)
            nx_matcher_release(&matchers[i]);
        nx_arena_release(&arena);
    }
    ing_block_drop(block);
    written_release(&written);
}

static void block_that_fails_to_be_written_is_not_there(void **state)
{
    (void)state;
    struct written written;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    written_init(&written, &rand);
    for (size_t n = 0;; n++) {
        struct fault_fs fs;
        struct ing_block *block;
        fault_fs_init(&fs);
        fault_fs_arm(&fs, n, NX_ERR_NOSPACE, false);
        enum nx_err err = write_block(&written, &fs.base, "b");
        bool fired = fault_fs_fired(&fs);
        fault_fs_release(&fs);
        char *dir = nx_path_join(written.dir, "b");
        enum nx_err opened = ing_block_open(dir, &block, NULL);
        if (err == NX_OK)
            assert_int_equal(opened, NX_OK);
        if (opened == NX_OK) { /* whole, or not there */
            assert_int_equal(ing_block_verify(block), NX_OK);
            ing_block_drop(block);
            assert_int_equal(nx_fs_posix()->rmdir(nx_fs_posix(), dir), NX_OK);
        }
        nx_free(dir);
        if (!fired)
            break;
    }
    written_release(&written);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void block_written_without_memory_is_an_error(void **state)
{
    (void)state;
    struct written written;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4);
    written_init(&written, &rand);
    struct nx_chunk chunk = make_chunk(&written.arena, written.times[0], 2);
    for (size_t n = 0;; n++) {
        struct ing_block_meta meta = {
            .tenant = NX_VIEW("t"), .min_t = T0, .max_t = T0 + 2 * HOUR_MS};
        struct ing_block_writer *writer = NULL;
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = ing_block_writer_new(nx_fs_posix(), written.dir, "b", &meta, &writer);
        if (err == NX_OK)
            err = ing_block_writer_add(writer, written.ids[0], written.labels[0], &chunk, 1);
        if (err == NX_OK)
            err = ing_block_writer_finish(writer);
        ing_block_writer_free(writer);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK)
            break;
        assert_int_equal(err, NX_ERR_NOMEM);
    }
    written_release(&written);
}

static void tenant_directories_are_distinct_and_safe(void **state)
{
    (void)state;
    char a[ING_TENANT_DIR_MAX];
    char b[ING_TENANT_DIR_MAX];
    char text[400];
    ing_tenant_dir(NX_VIEW("team-1_X"), a);
    assert_string_equal(a, "team-1_X");
    ing_tenant_dir(NX_VIEW("../etc"), a);
    assert_string_equal(a, "%2E%2E%2Fetc");
    ing_tenant_dir(NX_VIEW("a%b"), a);
    assert_string_equal(a, "a%25b");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = '.';
    ing_tenant_dir(nx_view_make(text, sizeof text), a);
    ing_tenant_dir(nx_view_make(text, sizeof text - 1), b);
    assert_int_equal(strlen(a), 33);
    assert_string_not_equal(a, b);
}

static void removed_blocks_go_and_readers_keep_theirs(void **state)
{
    (void)state;
    struct written written;
    struct nx_rand rand;
    struct ing_block_set *set;
    struct ing_block_list list;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    nx_rand_seeded(&rand, 5);
    written_init(&written, &rand);
    char *blocks = nx_path_join(written.dir, "blocks");
    char *root = written.dir;
    assert_int_equal(ing_block_set_open(nx_fs_posix(), blocks, NULL, NULL, &set), NX_OK);
    assert_int_equal(ing_block_set_tenant_dir(set, NX_VIEW("tenant/1"), &written.dir), NX_OK);
    assert_int_equal(write_block(&written, nx_fs_posix(), "b"), NX_OK);
    ing_block_set_free(set);
    nx_free(written.dir);
    written.dir = root;
    assert_int_equal(ing_block_set_open(nx_fs_posix(), blocks, NULL, NULL, &set), NX_OK);
    assert_int_equal(ing_block_set_acquire(set, NX_VIEW("tenant/1"), all, &list), NX_OK);
    assert_int_equal(list.count, 1);
    assert_true(ing_block_set_remove(set, list.blocks[0]));
    assert_false(ing_block_set_remove(set, list.blocks[0]));
    assert_int_equal(ing_block_verify(list.blocks[0]), NX_OK); /* still mapped */
    ing_block_list_release(&list);
    assert_int_equal(ing_block_set_acquire(set, NX_VIEW("tenant/1"), all, &list), NX_OK);
    assert_int_equal(list.count, 0);
    assert_null(find_file(blocks, ".nxb"));
    ing_block_list_release(&list);
    ing_block_set_free(set);
    nx_free(blocks);
    written_release(&written);
}

static void tenant_of_a_directory_is_the_one_that_made_it(void **state)
{
    (void)state;
    struct nx_rand rand;
    char dir[ING_TENANT_DIR_MAX], again[ING_TENANT_DIR_MAX], text[150];
    nx_rand_seeded(&rand, 17);
    for (int round = 0; round < 2000; round++) {
        size_t len = 1 + (size_t)nx_rand_below(&rand, sizeof text - 1);
        for (size_t i = 0; i < len; i++) {
            uint64_t pick = nx_rand_below(&rand, 40);
            text[i] = pick < 30 ? (char)('a' + pick % 26) : "!-_.*'()%/"[pick - 30];
        }
        ing_tenant_dir(nx_view_make(text, len), dir);
        bool hashed = strlen(dir) == 33 && dir[0] == '%' && len > 60;
        assert_int_equal(ing_tenant_of_dir(dir, again), !hashed);
        if (!hashed)
            assert_true(nx_view_eq(nx_view_of(again), nx_view_make(text, len)));
    }
    static const char *const strange[] = {"a%", "a%4", "a%zz", "%61", "a.b", "a%2e"};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        assert_false(ing_tenant_of_dir(strange[i], again));
}

static void block_that_cannot_be_opened_fails_what_needs_it(void **state)
{
    (void)state;
    struct written written;
    struct nx_rand rand;
    struct ing_block_set *set;
    struct nx_fail fail = {.text = ""};
    nx_rand_seeded(&rand, 6);
    written_init(&written, &rand);
    char *blocks = nx_path_join(written.dir, "blocks");
    char *root = written.dir;
    assert_int_equal(ing_block_set_open(nx_fs_posix(), blocks, NULL, NULL, &set), NX_OK);
    assert_int_equal(ing_block_set_tenant_dir(set, NX_VIEW("tenant/1"), &written.dir), NX_OK);
    assert_int_equal(write_block(&written, nx_fs_posix(), "-1000-2000-b"), NX_OK);
    ing_block_set_free(set);
    char *file = find_file(blocks, ".nxb");
    assert_int_equal(truncate(file, 10), 0);
    char *stray = nx_path_join(written.dir, "stray");
    assert_int_equal(mkdir(stray, 0700), 0);
    assert_int_equal(ing_block_set_open(nx_fs_posix(), blocks, NULL, NULL, &set), NX_OK);
    static const struct {
        const char *tenant;
        struct ing_range range;
        enum nx_err err;
    } cases[] = {
        {"tenant/1", {INT64_MIN, INT64_MAX}, NX_ERR_CORRUPT},
        {"tenant/1", {1999, 5000}, NX_ERR_CORRUPT},
        {"tenant/1", {-5000, -1000}, NX_ERR_CORRUPT},
        {"tenant/1", {2000, 5000}, NX_OK},
        {"tenant/1", {-5000, -1001}, NX_OK},
        {"tenant", {INT64_MIN, INT64_MAX}, NX_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            ing_block_set_check_lost(set, nx_view_of(cases[i].tenant), cases[i].range, &fail),
            cases[i].err);
    assert_non_null(strstr(nx_fail_text(&fail), "-1000-2000-b"));
    ing_block_set_free(set);
    nx_free(stray);
    nx_free(file);
    nx_free(written.dir);
    written.dir = root;
    nx_free(blocks);
    written_release(&written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_read_back_has_every_sample),
        cmocka_unit_test(block_selection_agrees_with_asking_every_series),
        cmocka_unit_test(block_that_fails_to_be_written_is_not_there),
        cmocka_unit_test(block_written_without_memory_is_an_error),
        cmocka_unit_test(tenant_directories_are_distinct_and_safe),
        cmocka_unit_test(tenant_of_a_directory_is_the_one_that_made_it),
        cmocka_unit_test(removed_blocks_go_and_readers_keep_theirs),
        cmocka_unit_test(block_that_cannot_be_opened_fails_what_needs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
