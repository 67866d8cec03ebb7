/* The ingester as its peers see it: RPC in, RPC out. */
#include <string.h>

#include "fixture.h"

#define T0 INT64_C(1704060000000)
#define ALL_TIME INT64_MIN, INT64_MAX

static void push_one(struct fixture *fixture, const char *name, int64_t t, double value)
{
    struct pusher pusher;
    pusher_init(&pusher, "a");
    pusher_row(&pusher, "__name__", name, "job", "x", NULL);
    pusher_sample(&pusher, t, value);
    push_all(fixture, &pusher);
    pusher_release(&pusher);
}

static void push_then_select_gives_the_samples(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    struct got got;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    pusher_init(&pusher, "a");
    struct nx_series_id one = pusher_row(&pusher, "__name__", "up", "job", "x", NULL);
    for (int i = 0; i < 300; i++)
        pusher_sample(&pusher, T0 + i * 15000, i);
    struct nx_series_id two = pusher_row(&pusher, "__name__", "up", "job", "y", NULL);
    pusher_bits(&pusher, T0, NX_STALE_NAN_BITS);
    pusher_bits(&pusher, T0 + 1, UINT64_C(0x7ff8dead00000001));
    push_all(&fixture, &pusher);
    pusher_release(&pusher);

    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_EQ, "__name__", "up", -1);
    assert_int_equal(got.err, NX_OK);
    assert_int_equal(got.count, 2);
    const struct got_series *series = got_find(&got, one);
    assert_non_null(series);
    assert_int_equal(series->count, 300);
    for (int i = 0; i < 300; i++) {
        assert_true(series->samples[i].t == T0 + i * 15000);
        assert_true(series->samples[i].bits == nx_double_bits(i));
    }
    series = got_find(&got, two);
    assert_int_equal(series->count, 2);
    assert_true(series->samples[0].bits == NX_STALE_NAN_BITS);
    assert_true(series->samples[1].bits == UINT64_C(0x7ff8dead00000001));
    got_release(&got);
    select_series(&fixture, "b", ALL_TIME, &got, NX_MATCH_EQ, "__name__", "up", -1);
    assert_int_equal(got.count, 0);
    got_release(&got);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void restart_brings_back_what_was_acknowledged(void **state)
{
    (void)state;
    for (size_t again = 1; again <= 3; again++) {
        struct fixture fixture;
        struct got got;
        fixture_init(&fixture, NULL, 2);
        fixture_open(&fixture);
        uint64_t incarnation = ing_incarnation(fixture.ing);
        for (int i = 0; i < 20; i++) {
            char name[16];
            snprintf(name, sizeof name, "m%d", i);
            push_one(&fixture, name, T0 + i, i);
        }
        fixture_close(&fixture);
        fixture.worker_count = again; /* also with another number of shards */
        fixture_open(&fixture);
        assert_true(ing_incarnation(fixture.ing) == incarnation);
        select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_EQ, "job", "x", -1);
        assert_int_equal(got.count, 20);
        got_release(&got);
        push_one(&fixture, "m1", T0 + 100, 5);
        fixture_reopen(&fixture);
        select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_EQ, "__name__", "m1", -1);
        assert_int_equal(got.count, 1);
        assert_int_equal(got.series[0].count, 2);
        got_release(&got);
        fixture_close(&fixture);
        fixture_release(&fixture);
    }
}

static void flush_moves_samples_to_blocks_without_losing_any(void **state)
{
    (void)state;
    struct fixture fixture;
    struct got got;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    for (int i = 0; i < 40; i++)
        push_one(&fixture, i % 2 ? "odd" : "even", T0 + i * 600000,
                 i); /* 400 minutes: several windows */
    flush_all(&fixture);
    for (int round = 0; round < 2; round++) {
        select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_RE, "__name__", "odd|even", -1);
        assert_int_equal(got.err, NX_OK);
        assert_int_equal(got.count, 2);
        assert_int_equal(got.series[0].count, 20);
        assert_int_equal(got.series[1].count, 20);
        got_release(&got);
        fixture_reopen(&fixture);
    }
    push_one(&fixture, "even", T0 + INT64_C(41) * 600000, 1);
    flush_all(&fixture);
    push_one(&fixture, "odd", T0 + INT64_C(42) * 600000, 1);
    fixture_reopen(&fixture);
    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_RE, "__name__", "odd|even", -1);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.series[0].count, 21);
    assert_int_equal(got.series[1].count, 21);
    got_release(&got);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void refusals_name_the_row_and_the_reason(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    enum nx_err err;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    push_one(&fixture, "m", T0 + 4 * HOUR_MS, 1);
    pusher_init(&pusher, "a");
    struct nx_series_id id = pusher_row(&pusher, "__name__", "m", "job", "x", NULL);
    pusher_sample(&pusher, T0 + 4 * HOUR_MS, 1); /* again: fine */
    pusher_sample(&pusher, T0 + 4 * HOUR_MS, 2); /* another value */
    pusher_sample(&pusher, T0 + 3 * HOUR_MS, 3); /* out of order, taken */
    pusher_sample(&pusher, T0 + HOUR_MS, 4);     /* too old */
    pusher_row(&pusher, "__name__", "n", NULL);
    pusher_sample(&pusher, INT64_MAX, 4);
    pusher_row_id(&pusher, (struct nx_series_id){1, 2});
    pusher_sample(&pusher, T0, 1);
    Narthex__PushResponse *response = push(&fixture, &pusher, &err);
    assert_int_equal(err, NX_OK);
    assert_int_equal(response->n_unknown, 1);
    assert_int_equal(response->unknown[0], 2);
    assert_int_equal(response->n_refused, 2);
    const Narthex__Refusal *first = response->refused[response->refused[0]->series == 0 ? 0 : 1];
    const Narthex__Refusal *second = response->refused[response->refused[0]->series == 0 ? 1 : 0];
    assert_int_equal(first->series, 0);
    assert_int_equal(first->count, 2);
    assert_int_equal(first->code, NX_ERR_CONFLICT);
    assert_true(first->timestamp == T0 + 4 * HOUR_MS);
    assert_int_equal(second->series, 1);
    assert_int_equal(second->code, NX_ERR_OUT_OF_BOUNDS);
    narthex__push_response__free_unpacked(response, NULL);
    pusher_release(&pusher);

    struct got got;
    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_NE, "__name__", "", -1);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.series[0].count, 2);
    assert_true(nx_series_id_eq(got.series[0].id, id));
    got_release(&got);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_then_select_gives_the_samples),
        cmocka_unit_test(restart_brings_back_what_was_acknowledged),
        cmocka_unit_test(flush_moves_samples_to_blocks_without_losing_any),
        cmocka_unit_test(refusals_name_the_row_and_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
