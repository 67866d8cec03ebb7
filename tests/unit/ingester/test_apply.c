/* What a push puts into memory is in its log records, also when memory runs out on the way. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/apply.h"
#include "ingester/head/read.h"
#include "ingester/wal/replay.h"
#include "ingester/wal/segment.h"

#define T0 INT64_C(1600000000000)
#define NONCE 99

static const struct ing_window_rules rules = {.window_ms = 2 * HOUR_MS,
                                              .out_of_order_ms = 2 * HOUR_MS};

static struct ing_head *head_new(struct ing_series_limit *limit)
{
    struct ing_head *head;
    struct ing_head_options options = {.rules = rules, .limit = limit, .max_exemplars = 100};
    atomic_init(&limit->used, 0);
    atomic_init(&limit->max, 1000);
    assert_int_equal(ing_head_new(&options, &head), NX_OK);
    return head;
}

static void fill(struct pusher *pusher)
{
    pusher_init(pusher, "t");
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        pusher_row(pusher, "__name__", nx_arena_copy(&pusher->arena, nx_view_of(name)).ptr, "job",
                   "x", NULL);
        for (int j = 0; j < 5; j++)
            pusher_sample(pusher, T0 + (j == 3 ? -1000 : j * 1000), j);
        if (i % 2)
            pusher_histogram(pusher, T0 + 5000, make_histogram(&pusher->arena, i));
        pusher_exemplar(pusher, T0, i, "trace", "abc");
        pusher_metadata(pusher, i % 2 ? "m1" : "m2", (uint32_t)i, "help", "");
    }
}

static void read_head(struct ing_head *head, struct ing_read_result *result)
{
    struct ing_read_cursor cursor;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    ing_read_result_init(result, SIZE_MAX);
    assert_int_equal(ing_read_begin(&cursor, head, NX_VIEW("t"), NULL, 0, all), NX_OK);
    assert_int_equal(ing_read_step(&cursor, all, false, 1000, result), 0);
    ing_read_end(&cursor);
}

static size_t samples_of(const struct ing_read_series *series)
{
    size_t count = 0;
    for (uint32_t i = 0; i < series->chunks.count; i++)
        count += series->chunks.items[i]->count;
    return count;
}

/* The head that the records give. */
static void replay_records(struct nx_view records, struct ing_head *head)
{
    char *dir = tmp_dir_new();
    struct ing_segment_header header = {.nonce = NONCE};
    struct nx_buf file;
    struct ing_coverage coverage;
    uint8_t bytes[ING_SEGMENT_HEADER_BYTES];
    uint64_t next_segment;
    nx_buf_init(&file, 1 << 24);
    ing_segment_header_write(&header, bytes);
    nx_buf_append(&file, bytes, sizeof bytes);
    nx_buf_append_view(&file, records);
    char *path = nx_path_join(dir, "0000000000-000.wal");
    file_write(path, file.data, file.len);
    ing_coverage_init(&coverage);
    struct ing_replay replay = {.head = head,
                                .heads = 1,
                                .partitions = 8,
                                .reports = true,
                                .coverage = &coverage,
                                .fs = nx_fs_posix(),
                                .clock = nx_clock_system()};
    assert_int_equal(ing_replay_dir(&replay, dir, 0, NULL, &next_segment), NX_OK);
    assert_true(replay.stats.damaged_spots == 0 && replay.stats.torn_bytes == 0);
    assert_true(replay.stats.lost == 0 && replay.stats.refused == 0);
    ing_coverage_release(&coverage);
    nx_buf_release(&file);
    nx_free(path);
    tmp_dir_free(dir);
}

static void compare(struct ing_head *head, struct nx_view records)
{
    struct ing_series_limit limit;
    struct ing_head *again = head_new(&limit);
    struct ing_read_result a;
    struct ing_read_result b;
    replay_records(records, again);
    read_head(head, &a);
    read_head(again, &b);
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        size_t j = 0;
        while (j < b.count && !nx_series_id_eq(a.items[i].id, b.items[j].id))
            j++;
        assert_true(j < b.count);
        assert_true(nx_view_eq(a.items[i].labels, b.items[j].labels));
        assert_int_equal(samples_of(&a.items[i]), samples_of(&b.items[j]));
    }
    uint32_t x = ing_head_tenant_find(head, NX_VIEW("t"));
    uint32_t y = ing_head_tenant_find(again, NX_VIEW("t"));
    if (x != ING_REF_NONE && ing_head_tenant(head, x)->exemplars.count > 0)
        assert_int_equal(ing_head_tenant(head, x)->exemplars.count,
                         ing_head_tenant(again, y)->exemplars.count);
    ing_read_result_release(&a);
    ing_read_result_release(&b);
    ing_head_free(again);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

/* One push with the n-th allocation failing, then the same push again. */
static enum nx_err run(size_t n)
{
    struct ing_series_limit limit;
    struct ing_store store;
    struct pusher pusher;
    struct ing_batch batch;
    struct nx_arena arena;
    struct nx_fail fail;
    struct nx_buf log;
    uint32_t rows[6] = {0, 1, 2, 3, 4, 5};
    uint32_t metadata[6] = {0, 1, 2, 3, 4, 5};
    enum nx_err first = NX_OK;
    nx_arena_init(&arena, 0);
    nx_buf_init(&log, 1 << 24);
    fill(&pusher);
    ing_store_init(&store, head_new(&limit), 1);
    assert_int_equal(ing_batch_init(&batch, &pusher.request, &arena, &fail), NX_OK);
    for (int round = 0; round < 2; round++) {
        struct nx_arena results;
        nx_arena_init(&results, 0);
        struct ing_part part = {.batch = &batch,
                                .rows = rows,
                                .row_count = 6,
                                .metadata = metadata,
                                .metadata_count = 6,
                                .arena = &results};
        size_t bound = ing_apply_bound(&store, &part);
        size_t before = log.len;
        size_t left = n;
        assert_int_equal(nx_buf_reserve(&log, bound), NX_OK);
        if (round == 0)
            nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = ing_apply(&store, &part, 0, NONCE, 1000, &log);
        nx_alloc_set_hook(NULL, NULL);
        assert_int_equal(nx_buf_err(&log), NX_OK);
        assert_true(log.len - before <= bound);
        compare(store.head, nx_buf_view(&log));
        if (round == 0)
            first = err;
        else
            assert_int_equal(err, NX_OK);
        assert_int_equal(part.refused_count, 0);
        nx_arena_release(&results);
    }
    assert_int_equal(store.head->series_count, 6);
    struct ing_head *head = store.head;
    ing_store_release(&store);
    ing_head_free(head);
    pusher_release(&pusher);
    nx_arena_release(&arena);
    nx_buf_release(&log);
    return first;
}

static void push_without_memory_logs_exactly_what_it_took(void **state)
{
    (void)state;
    size_t n = 0;
    for (enum nx_err err; (err = run(n)) != NX_OK; n++)
        assert_int_equal(err, NX_ERR_NOMEM);
    assert_true(n > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_without_memory_logs_exactly_what_it_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
