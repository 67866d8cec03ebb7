/* Rows by number: taken only where the number is still that of the series the sender means,
 * whatever became of the ingester and the series meanwhile; otherwise unknown, and nothing of them
 * stored. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/chunk/push_columns.h"
#include "fixture.h"
#include "ingester/apply.h"
#include "ingester/head/read.h"

#define T0 INT64_C(1704060000000)
#define ALL_TIME INT64_MIN, INT64_MAX

enum { SERIES = 100 };

/* What a distributor would know of series m0, m1, ... of a tenant. */
struct sender {
    const char *tenant;
    struct nx_series_id ids[SERIES];
    uint32_t numbers[SERIES];
};

static struct nx_series_id add_labels(struct pusher *pusher, size_t i)
{
    char name[16];
    (void)snprintf(name, sizeof name, "m%zu", i);
    return pusher_row(pusher, "__name__", nx_arena_copy(&pusher->arena, nx_view_of(name)).ptr,
                      "job", "x", NULL);
}

/* All series with their labels; learns the numbers. */
static void introduce(struct fixture *fixture, struct sender *sender, int64_t t)
{
    struct pusher pusher;
    enum nx_err err;
    pusher_init(&pusher, sender->tenant);
    for (size_t i = 0; i < SERIES; i++) {
        sender->ids[i] = add_labels(&pusher, i);
        pusher_sample(&pusher, t, (double)i);
    }
    pusher.request.want_numbers = true;
    Narthex__PushResponse *response = push(fixture, &pusher, &err);
    assert_int_equal(err, NX_OK);
    assert_int_equal(response->n_unknown + response->n_refused, 0);
    assert_int_equal(response->n_numbers, SERIES);
    for (size_t i = 0; i < SERIES; i++) {
        assert_int_not_equal(response->numbers[i], 0);
        sender->numbers[i] = response->numbers[i];
    }
    narthex__push_response__free_unpacked(response, NULL);
    pusher_release(&pusher);
}

/* Rows `from` to `to`, a sample each with the value of its series, in the order of their shards. */
static void put_rows(const struct sender *sender, size_t from, size_t to, int64_t t,
                     struct nx_buf *out)
{
    uint32_t numbers[SERIES], offsets[SERIES + 1], ends[SERIES];
    uint64_t bits[SERIES], checks[SERIES] = {0};
    int64_t times[SERIES];
    size_t of[SERIES];
    struct nx_push_columns columns = {.numbers = numbers,
                                      .offsets = offsets,
                                      .times = times,
                                      .bits = bits,
                                      .ends = ends,
                                      .checks = checks};
    for (uint32_t shard = 0; shard < NX_NUMBER_SHARDS; shard++)
        for (size_t i = from; i < to; i++)
            if (nx_number_shard(sender->numbers[i]) == shard)
                of[columns.rows++] = i;
    for (size_t row = 0; row < columns.rows; row++) {
        numbers[row] = sender->numbers[of[row]];
        offsets[row] = (uint32_t)row;
        offsets[row + 1] = (uint32_t)row + 1;
        times[row] = t;
        bits[row] = nx_double_bits((double)of[row]);
    }
    nx_push_cut(&columns);
    for (size_t row = 0, bunch = 0; row < columns.rows; row++) {
        checks[bunch] = nx_push_check(checks[bunch], sender->ids[of[row]]);
        bunch += row + 1 == ends[bunch];
    }
    nx_push_columns_put(out, &columns);
    assert_int_equal(nx_buf_err(out), NX_OK);
}

/* Returns how many rows were unknown. */
static size_t push_numbers(struct fixture *fixture, const struct sender *sender, size_t from,
                           size_t to, int64_t t)
{
    struct nx_buf bytes;
    struct answer answer;
    Narthex__PushRequest request = NARTHEX__PUSH_REQUEST__INIT;
    nx_buf_init(&bytes, SIZE_MAX);
    put_rows(sender, from, to, t, &bytes);
    request.tenant = (char *)(uintptr_t)sender->tenant;
    request.numbered =
        (ProtobufCBinaryData){.data = (uint8_t *)(void *)bytes.data, .len = bytes.len};
    call(fixture, "push_numbered", &request.base, &answer);
    assert_int_equal(answer.err, NX_OK);
    Narthex__PushResponse *response = narthex__push_response__unpack(
        NULL, answer.body.len, (const uint8_t *)(const void *)answer.body.data);
    assert_non_null(response);
    size_t unknown = response->n_unknown;
    for (size_t i = 0; i < unknown; i++)
        assert_true(response->unknown[i] < to - from);
    assert_int_equal(response->n_refused, 0);
    narthex__push_response__free_unpacked(response, NULL);
    answer_release(&answer);
    nx_buf_release(&bytes);
    return unknown;
}

/* Each series has so many samples, all of its own value. */
static void assert_samples(struct fixture *fixture, const struct sender *sender, size_t from,
                           size_t to, size_t samples)
{
    struct got got;
    select_series(fixture, sender->tenant, ALL_TIME, &got, NX_MATCH_EQ, "job", "x", -1);
    assert_int_equal(got.err, NX_OK);
    for (size_t i = from; i < to; i++) {
        const struct got_series *series = got_find(&got, sender->ids[i]);
        assert_int_equal(series ? series->count : 0, samples);
        for (size_t k = 0; k < samples; k++)
            assert_true(series->samples[k].bits == nx_double_bits((double)i));
    }
    got_release(&got);
}

static void rows_by_number_are_stored_and_survive_a_restart(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sender sender = {.tenant = "a"};
    fixture_init(&fixture, NULL, 3);
    fixture_open(&fixture);
    introduce(&fixture, &sender, T0);
    assert_int_equal(push_numbers(&fixture, &sender, 0, SERIES, T0 + 1000), 0);
    assert_int_equal(push_numbers(&fixture, &sender, 10, 30, T0 + 2000), 0);
    assert_int_equal(push_numbers(&fixture, &sender, 10, 30, T0 + 2000), 0); /* repeated */
    assert_samples(&fixture, &sender, 0, 10, 2);
    assert_samples(&fixture, &sender, 10, 30, 3);
    fixture_reopen(&fixture);
    assert_samples(&fixture, &sender, 10, 30, 3);
    assert_samples(&fixture, &sender, 30, SERIES, 2);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void rows_by_number_after_a_restart_are_right_or_unknown(void **state)
{
    (void)state;
    for (size_t workers = 1; workers <= 4; workers++) {
        struct fixture fixture;
        struct sender sender = {.tenant = "a"};
        fixture_init(&fixture, NULL, 2);
        fixture_open(&fixture);
        introduce(&fixture, &sender, T0);
        fixture_close(&fixture);
        fixture.worker_count = workers;
        fixture_open(&fixture);
        /* one bunch at a time: what is known must be the series meant */
        for (size_t i = 0; i < SERIES; i++) {
            size_t unknown = push_numbers(&fixture, &sender, i, i + 1, T0 + 1000);
            assert_samples(&fixture, &sender, i, i + 1, unknown ? 1 : 2);
        }
        fixture_close(&fixture);
        fixture_release(&fixture);
    }
}

static void rows_by_number_are_unknown_to_a_wiped_ingester(void **state)
{
    (void)state;
    struct fixture old, fresh;
    struct sender sender = {.tenant = "a"}, other = {.tenant = "b"};
    fixture_init(&old, NULL, 2);
    fixture_open(&old);
    introduce(&old, &sender, T0);
    fixture_close(&old);
    fixture_release(&old);
    fixture_init(&fresh, NULL, 2);
    fixture_open(&fresh);
    assert_int_equal(push_numbers(&fresh, &sender, 0, SERIES, T0 + 1000), SERIES);
    introduce(&fresh, &other, T0); /* the same slots are there now, of another tenant */
    assert_int_equal(push_numbers(&fresh, &sender, 0, SERIES, T0 + 1000), SERIES);
    assert_samples(&fresh, &sender, 0, SERIES, 0);
    assert_samples(&fresh, &other, 0, SERIES, 1);
    fixture_close(&fresh);
    fixture_release(&fresh);
}

static void rows_by_number_of_other_series_are_unknown_as_a_bunch(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sender sender = {.tenant = "a"};
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    introduce(&fixture, &sender, T0);
    struct sender wrong = sender;
    wrong.numbers[40] = sender.numbers[41]; /* swapped: the same series in another order */
    wrong.numbers[41] = sender.numbers[40];
    assert_int_equal(push_numbers(&fixture, &wrong, 0, SERIES, T0 + 1000), NX_PUSH_BUNCH);
    assert_samples(&fixture, &sender, 0, 32, 2);
    assert_samples(&fixture, &sender, 32, 64, 1);
    assert_samples(&fixture, &sender, 64, SERIES, 2);
    wrong = sender;
    wrong.numbers[0] = 0;
    wrong.numbers[1] = nx_number_of(0, 1 << 20); /* no such slot */
    wrong.numbers[2] = nx_number_of(63, 2);      /* no such shard */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(push_numbers(&fixture, &wrong, i, i + 1, T0 + 2000), 1);
    assert_samples(&fixture, &sender, 0, 3, 2);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void malformed_rows_by_number_are_invalid(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sender sender = {.tenant = "a"};
    struct answer answer;
    struct nx_buf bytes;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    introduce(&fixture, &sender, T0);
    nx_buf_init(&bytes, SIZE_MAX);
    put_rows(&sender, 0, 5, T0 + 1, &bytes);
    Narthex__PushRequest request = NARTHEX__PUSH_REQUEST__INIT;
    request.tenant = "a";
    request.numbered =
        (ProtobufCBinaryData){.data = (uint8_t *)(void *)bytes.data, .len = bytes.len - 1};
    call(&fixture, "push_numbered", &request.base, &answer);
    assert_int_equal(answer.err, NX_ERR_INVALID);
    assert_non_null(strstr(answer.text, "number"));
    answer_release(&answer);
    nx_buf_release(&bytes);
    assert_samples(&fixture, &sender, 0, 5, 1);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void numbers_are_given_only_where_they_are_wanted(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    enum nx_err err;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    for (int wanted = 0; wanted < 2; wanted++) {
        pusher_init(&pusher, "a");
        struct nx_series_id absent = {.hi = 1, .lo = 2};
        pusher_row(&pusher, "__name__", "m", NULL);
        pusher_sample(&pusher, T0 + wanted, 1);
        pusher_row_id(&pusher, absent);
        pusher_sample(&pusher, T0, 1);
        pusher.request.want_numbers = wanted;
        Narthex__PushResponse *response = push(&fixture, &pusher, &err);
        assert_int_equal(response->n_unknown, 1);
        assert_int_equal(response->n_numbers, wanted ? 2 : 0);
        if (wanted) {
            assert_int_not_equal(response->numbers[0], 0);
            assert_int_equal(response->numbers[1], 0);
        }
        narthex__push_response__free_unpacked(response, NULL);
        pusher_release(&pusher);
    }
    fixture_close(&fixture);
    fixture_release(&fixture);
}

/* --- series that come and go --- */

struct shard {
    struct ing_store store;
    struct ing_series_limit limit;
    struct nx_buf log;
};

static void shard_init(struct shard *shard)
{
    struct ing_head *head;
    struct ing_head_options options = {
        .rules = {.window_ms = 2 * HOUR_MS, .out_of_order_ms = 2 * HOUR_MS},
        .limit = &shard->limit,
        .max_exemplars = 10};
    atomic_init(&shard->limit.used, 0);
    atomic_init(&shard->limit.max, 1000);
    assert_int_equal(ing_head_new(&options, &head), NX_OK);
    ing_store_init(&shard->store, head, 1);
    nx_buf_init(&shard->log, SIZE_MAX);
}

static void shard_release(struct shard *shard)
{
    struct ing_head *head = shard->store.head;
    ing_store_release(&shard->store);
    ing_head_free(head);
    nx_buf_release(&shard->log);
}

/* Applies the request to the shard; `unknown` is told by row. */
static void apply(struct shard *shard, Narthex__PushRequest *request, uint32_t *numbers,
                  bool *unknown)
{
    struct nx_arena arena, results;
    struct ing_batch batch;
    struct nx_fail fail;
    uint32_t rows[SERIES], bunches[SERIES];
    nx_arena_init(&arena, 0);
    nx_arena_init(&results, 0);
    request->want_numbers = true;
    assert_int_equal(ing_batch_init(&batch, request, &arena, &fail), NX_OK);
    struct ing_part part = {.batch = &batch,
                            .rows = rows,
                            .row_count = batch.rows,
                            .bunches = bunches,
                            .bunch_count = batch.numbered.bunches,
                            .arena = &results};
    for (uint32_t i = 0; i < SERIES; i++)
        rows[i] = bunches[i] = i;
    nx_buf_clear(&shard->log);
    size_t bound = ing_apply_bound(&shard->store, &part);
    assert_int_equal(nx_buf_reserve(&shard->log, bound), NX_OK);
    assert_int_equal(ing_apply(&shard->store, &part, 0, 1, 1000, &shard->log), NX_OK);
    assert_true(shard->log.len <= bound);
    assert_int_equal(part.refused_count, 0);
    memset(unknown, 0, SERIES * sizeof *unknown);
    for (size_t i = 0; i < part.unknown_count; i++)
        unknown[part.unknown[i]] = true;
    for (size_t i = 0; i < batch.rows; i++)
        numbers[i] = batch.numbers[i];
    nx_arena_release(&results);
    nx_arena_release(&arena);
}

/* One sample of the series as a distributor brings it in: by number, by id, with labels. Returns
 * the forms it took. */
static int deliver(struct shard *shard, struct sender *sender, size_t from, size_t to, int64_t t)
{
    bool unknown[SERIES], left[SERIES] = {false};
    uint32_t numbers[SERIES];
    size_t known = from;
    int forms = 0;
    while (known < to && sender->numbers[known])
        known++;
    if (known > from) {
        struct nx_buf bytes;
        Narthex__PushRequest request = NARTHEX__PUSH_REQUEST__INIT;
        nx_buf_init(&bytes, SIZE_MAX);
        put_rows(sender, from, known, t, &bytes);
        request.tenant = (char *)(uintptr_t)sender->tenant;
        request.numbered =
            (ProtobufCBinaryData){.data = (uint8_t *)(void *)bytes.data, .len = bytes.len};
        apply(shard, &request, numbers, unknown);
        nx_buf_release(&bytes);
        for (size_t i = from; i < known; i++)
            left[i] = unknown[i - from];
        forms++;
    }
    for (size_t i = known; i < to; i++)
        left[i] = true;
    for (int labels = 0; labels < 2; labels++) {
        struct pusher pusher;
        size_t of[SERIES], rows = 0;
        pusher_init(&pusher, sender->tenant);
        for (size_t i = from; i < to; i++) {
            if (!left[i])
                continue;
            if (labels)
                add_labels(&pusher, i);
            else
                pusher_row_id(&pusher, sender->ids[i]);
            pusher_sample(&pusher, t, (double)i);
            of[rows++] = i;
        }
        if (rows > 0) {
            apply(shard, &pusher.request, numbers, unknown);
            forms++;
        }
        for (size_t k = 0; k < rows; k++) {
            left[of[k]] = unknown[k];
            if (!unknown[k])
                sender->numbers[of[k]] = numbers[k];
        }
        pusher_release(&pusher);
    }
    for (size_t i = from; i < to; i++)
        assert_false(left[i]);
    return forms;
}

static uint32_t find(const struct shard *shard, struct nx_series_id id)
{
    return ing_head_find(shard->store.head, id);
}

static void assert_shard(struct shard *shard, const struct sender *sender, const size_t *counts)
{
    struct ing_read_cursor cursor;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct ing_read_result result;
    size_t found = 0;
    ing_read_result_init(&result, SIZE_MAX);
    assert_int_equal(
        ing_read_begin(&cursor, shard->store.head, nx_view_of(sender->tenant), NULL, 0, all),
        NX_OK);
    assert_int_equal(ing_read_step(&cursor, all, false, 10000, &result), 0);
    ing_read_end(&cursor);
    for (size_t i = 0; i < SERIES; i++) {
        size_t k = 0, samples = 0;
        while (k < result.count && !nx_series_id_eq(result.items[k].id, sender->ids[i]))
            k++;
        for (uint32_t c = 0; k < result.count && c < result.items[k].chunks.count; c++)
            samples += result.items[k].chunks.items[c]->count;
        assert_int_equal(samples, counts[i]);
        found += k < result.count;
    }
    assert_int_equal(found, result.count);
    ing_read_result_release(&result);
}

/* Series leave the head and others take their slots; their numbers in the sender go stale. */
static void numbers_of_series_that_left_never_reach_another(void **state)
{
    (void)state;
    struct shard shard;
    struct sender sender = {.tenant = "t"};
    struct nx_rand rand;
    struct pusher pusher;
    size_t counts[SERIES] = {0}, stale = 0;
    nx_rand_seeded(&rand, 11);
    shard_init(&shard);
    pusher_init(&pusher, "t");
    for (size_t i = 0; i < SERIES; i++)
        sender.ids[i] = add_labels(&pusher, i);
    pusher_release(&pusher);
    for (int64_t round = 0; round < 2000; round++) {
        if (nx_rand_below(&rand, 3) == 0) {
            size_t i = nx_rand_below(&rand, SERIES);
            uint32_t ref = find(&shard, sender.ids[i]);
            if (ref != ING_REF_NONE)
                ing_head_remove(shard.store.head, ref);
            counts[i] = 0; /* its number stays with the sender */
        }
        size_t from = nx_rand_below(&rand, SERIES);
        size_t to = from + 1 + nx_rand_below(&rand, SERIES - from);
        stale += (size_t)deliver(&shard, &sender, from, to, T0 + round) == 3;
        for (size_t i = from; i < to; i++)
            counts[i]++;
        if (round % 50 == 0)
            assert_shard(&shard, &sender, counts);
    }
    assert_shard(&shard, &sender, counts);
    assert_true(stale > 100);
    shard_release(&shard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_by_number_are_stored_and_survive_a_restart),
        cmocka_unit_test(rows_by_number_after_a_restart_are_right_or_unknown),
        cmocka_unit_test(rows_by_number_are_unknown_to_a_wiped_ingester),
        cmocka_unit_test(rows_by_number_of_other_series_are_unknown_as_a_bunch),
        cmocka_unit_test(malformed_rows_by_number_are_invalid),
        cmocka_unit_test(numbers_are_given_only_where_they_are_wanted),
        cmocka_unit_test(numbers_of_series_that_left_never_reach_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
