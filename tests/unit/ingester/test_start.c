/* The start: requests that come before it has ended, and one that is called off. */
#include <pthread.h>
#include <stdio.h>

#include "fixture.h"

#define T0 INT64_C(1600000000000)
#define SERIES 2000

static void push_many(struct fixture *fixture)
{
    for (int s = 0; s < 20; s++) {
        struct pusher pusher;
        pusher_init(&pusher, "t");
        for (int i = 0; i < SERIES; i++) {
            char name[16];
            snprintf(name, sizeof name, "s%d", i);
            pusher_row(&pusher, "__name__", name, NULL);
            pusher_sample(&pusher, T0 + s * 15000, s + i);
        }
        push_all(fixture, &pusher);
        pusher_release(&pusher);
    }
}

static size_t count_samples(struct fixture *fixture)
{
    struct got got;
    size_t samples = 0;
    select_series(fixture, "t", INT64_MIN, INT64_MAX, &got, NX_MATCH_RE, "__name__", "s.*", -1);
    assert_int_equal(got.err, NX_OK);
    for (size_t i = 0; i < got.count; i++)
        samples += got.series[i].count;
    got_release(&got);
    return samples;
}

static void requests_before_the_end_of_the_start_are_told_so(void **state)
{
    (void)state;
    struct fixture fixture;
    struct answer answer;
    struct nx_fail fail = {.code = NX_OK};
    struct nx_buf text;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    push_many(&fixture);
    fixture_close(&fixture);
    nx_buf_init(&text, 1000);
    fixture_open_starting(&fixture);
    static const char *const methods[] = {"push",      "labels", "metadata",
                                          "exemplars", "status", "flush"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        call(&fixture, methods[i], NULL, &answer);
        assert_int_equal(answer.err, NX_ERR_UNAVAILABLE);
        answer_release(&answer);
    }
    ing_print_progress(fixture.ing, &text);
    assert_true(nx_view_is(nx_buf_view(&text), "starting"));
    assert_int_equal(ing_recover(fixture.ing, &fail), NX_OK);
    nx_buf_clear(&text);
    ing_print_progress(fixture.ing, &text);
    assert_true(nx_view_is(nx_buf_view(&text), "serving"));
    assert_int_equal(count_samples(&fixture), SERIES * 20);
    fixture_close(&fixture);
    nx_buf_release(&text);
    fixture_release(&fixture);
}

static void *recover(void *arg)
{
    struct fixture *fixture = arg;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = ing_recover(fixture->ing, &fail);
    assert_true(err == NX_OK || err == NX_ERR_CLOSED);
    return NULL;
}

/* Wherever the stop comes, also where the log is being written anew. */
static void start_that_is_called_off_ends_and_loses_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    push_many(&fixture);
    fixture_close(&fixture);
    for (int round = 0; round < 12; round++) {
        pthread_t thread;
        fixture.worker_count = 1 + (size_t)round % 3;
        fixture_open_starting(&fixture);
        assert_int_equal(pthread_create(&thread, NULL, recover, &fixture), 0);
        struct timespec pause = {.tv_nsec = round * 2000000L};
        nanosleep(&pause, NULL);
        fixture_stop(&fixture);
        assert_int_equal(pthread_join(thread, NULL), 0);
        fixture_free(&fixture);
    }
    fixture_open(&fixture);
    assert_int_equal(count_samples(&fixture), SERIES * 20);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_before_the_end_of_the_start_are_told_so),
        cmocka_unit_test(start_that_is_called_off_ends_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
