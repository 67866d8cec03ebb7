/* Every changing call on the data directory fails once, or from then on; the power is cut; what was
 * acknowledged must be there after the next start. */
#include <stdio.h>
#include <unistd.h>

#include "fixture.h"

#define T0 INT64_C(1600000000000)
#define STEPS 14

struct outcome {
    bool acknowledged[STEPS];
    size_t pushes;
};

static bool is_flush(int step)
{
    return step == 6 || step == 11;
}

/* One sample of each of three series a step; steps are an hour apart, so that flushes have windows
 * to write. */
static bool push_step(struct fixture *fixture, int step)
{
    struct pusher pusher;
    enum nx_err err;
    pusher_init(&pusher, "t");
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        pusher_row(&pusher, "__name__", name, NULL);
        pusher_sample(&pusher, T0 + step * HOUR_MS + i, step * 10 + i);
    }
    Narthex__PushResponse *response = push(fixture, &pusher, &err);
    bool good = err == NX_OK && response->n_refused == 0 && response->n_unknown == 0;
    if (err != NX_OK)
        assert_true(nx_err_http(err) >= 500);
    if (response)
        narthex__push_response__free_unpacked(response, NULL);
    pusher_release(&pusher);
    return good;
}

static void run_steps(struct fixture *fixture, struct outcome *outcome)
{
    struct answer answer;
    *outcome = (struct outcome){0};
    for (int step = 0; step < STEPS; step++) {
        if (is_flush(step)) {
            call(fixture, "flush", NULL, &answer);
            answer_release(&answer);
        } else {
            outcome->acknowledged[step] = push_step(fixture, step);
            outcome->pushes++;
        }
    }
}

static void check(struct fixture *fixture, const struct outcome *outcome)
{
    struct got got;
    select_series(fixture, "t", INT64_MIN, INT64_MAX, &got, NX_MATCH_RE, "__name__", "s.", -1);
    assert_int_equal(got.err, NX_OK);
    for (int step = 0; step < STEPS; step++) {
        if (!outcome->acknowledged[step])
            continue;
        assert_int_equal(got.count, 3);
        for (size_t i = 0; i < 3; i++) {
            int number = got.series[i].labels.items[0].value.ptr[1] - '0';
            bool found = false;
            for (size_t j = 0; j < got.series[i].count; j++) {
                const struct got_sample *sample = &got.series[i].samples[j];
                int64_t at = (sample->t - T0) / HOUR_MS;
                /* nothing but what was sent */
                assert_true(sample->bits == nx_double_bits((double)(at * 10 + number)));
                found = found || sample->t == T0 + step * HOUR_MS + number;
            }
            assert_true(found);
        }
    }
    got_release(&got);
}

/* False when the run made fewer calls than n. */
static bool fail_nth(size_t n, enum nx_err err, bool forever, bool cut_power)
{
    struct fixture fixture;
    struct outcome outcome;
    fixture_init(&fixture, NULL, 1);
    fixture.settings.out_of_order_ms = 0;
    fixture.settings.wal_segment_bytes = 600;
    fixture.settings.chunk_buffer_bytes = 100;
    fixture.settings.chunk_file_bytes = 300;
    fixture_open(&fixture);
    fault_fs_arm(&fixture.fs, n, err, forever);
    run_steps(&fixture, &outcome);
    bool fired = fault_fs_fired(&fixture.fs);
    fixture_close(&fixture);
    fault_fs_disarm(&fixture.fs);
    if (cut_power)
        fault_fs_power_cut(&fixture.fs, fixture.dir, DISK_ANY, n);
    fixture_open(&fixture);
    check(&fixture, &outcome);
    flush_all(&fixture);
    check(&fixture, &outcome);
    fixture_reopen(&fixture);
    check(&fixture, &outcome);
    fixture_close(&fixture);
    fixture_release(&fixture);
    return fired;
}

static void failing_call_loses_nothing_acknowledged(void **state)
{
    (void)state;
    static const enum nx_err errors[] = {NX_ERR_NOSPACE, NX_ERR_IO};
    for (size_t e = 0; e < 2; e++) {
        for (int variant = 0; variant < 2; variant++) {
            size_t n = 0;
            while (fail_nth(n, errors[e], variant == 1, true))
                n++;
            print_message("%zu calls failed one by one\n", n);
            assert_true(n > 20);
        }
    }
}

static void failing_start_is_an_error_or_loses_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    struct outcome outcome;
    fixture_init(&fixture, NULL, 1);
    fixture.settings.out_of_order_ms = 0;
    fixture_open(&fixture);
    run_steps(&fixture, &outcome);
    fixture_close(&fixture);
    for (size_t n = 0;; n++) {
        /* another number of workers each time: the log is written anew */
        fixture.worker_count = 1 + n % 3;
        fault_fs_arm(&fixture.fs, n, NX_ERR_IO, false);
        enum nx_err err = fixture_try_open(&fixture);
        bool fired = fault_fs_fired(&fixture.fs);
        fault_fs_disarm(&fixture.fs);
        if (err == NX_OK) {
            check(&fixture, &outcome);
            fixture_close(&fixture);
        }
        fixture_open(&fixture);
        check(&fixture, &outcome);
        fixture_close(&fixture);
        if (!fired)
            break;
    }
    fixture_release(&fixture);
}

static void full_disk_refuses_pushes_and_recovers_by_itself(void **state)
{
    (void)state;
    struct fixture fixture;
    struct outcome outcome = {0};
    fixture_init(&fixture, NULL, 1);
    fixture.settings.out_of_order_ms = 0;
    fixture_open(&fixture);
    outcome.acknowledged[0] = push_step(&fixture, 0);
    assert_true(outcome.acknowledged[0]);
    fault_fs_arm(&fixture.fs, 0, NX_ERR_NOSPACE, true);
    assert_false(push_step(&fixture, 1));
    assert_false(push_step(&fixture, 2));
    fault_fs_disarm(&fixture.fs);
    for (int tries = 0; tries < 100 && !outcome.acknowledged[3]; tries++) {
        outcome.acknowledged[3] = push_step(&fixture, 3);
        usleep(50000);
    }
    assert_true(outcome.acknowledged[3]);
    /* what was refused can be sent again, also what is in memory already */
    outcome.acknowledged[4] = push_step(&fixture, 4);
    assert_true(outcome.acknowledged[4]);
    fixture_close(&fixture);
    fault_fs_power_cut(&fixture.fs, fixture.dir, DISK_ANY, 1);
    fixture_open(&fixture);
    check(&fixture, &outcome);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void second_process_on_the_directory_is_refused(void **state)
{
    (void)state;
    struct fixture first;
    struct fixture second;
    fixture_init(&first, NULL, 1);
    fixture_open(&first);
    fixture_init(&second, first.dir, 1);
    assert_int_equal(fixture_try_open(&second), NX_ERR_EXISTS);
    fixture_release(&second);
    fixture_close(&first);
    fixture_release(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_call_loses_nothing_acknowledged),
        cmocka_unit_test(failing_start_is_an_error_or_loses_nothing),
        cmocka_unit_test(full_disk_refuses_pushes_and_recovers_by_itself),
        cmocka_unit_test(second_process_on_the_directory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
