#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/net/worker.h"

static struct nx_workers *make(size_t count, size_t capacity)
{
    struct nx_workers_options options = {
        .count = count, .mailbox_capacity = capacity, .name = "test"};
    struct nx_workers *workers = NULL;
    assert_int_equal(nx_workers_new(&options, &workers), NX_OK);
    return workers;
}

struct note {
    struct nx_task task;
    struct nx_worker *expected;
    atomic_int *wrong;
    atomic_int *ran;
    int sender;
    int number;
    int *last; /* per sender, touched by the receiver only */
};

static void run_note(struct nx_task *task)
{
    struct note *note = (struct note *)task;
    if (nx_worker_current() != note->expected || !nx_worker_is_current(note->expected)) {
        atomic_fetch_add(note->wrong, 1);
    }
    if (note->last && note->last[note->sender]++ != note->number) {
        atomic_fetch_add(note->wrong, 1);
    }
    atomic_fetch_add(note->ran, 1);
}

static void workers_start_and_stop_without_work(void **state)
{
    (void)state;
    struct nx_workers *workers = make(3, 0);
    assert_int_equal(nx_workers_count(workers), 3);
    assert_int_equal(nx_worker_index(nx_workers_at(workers, 2)), 2);
    assert_true(nx_worker_is_current(nx_workers_at(workers, 1)));
    assert_int_equal(nx_workers_start(workers), NX_OK);
    assert_false(nx_worker_is_current(nx_workers_at(workers, 1)));
    assert_null(nx_worker_current());
    nx_workers_stop(workers);
    assert_true(nx_worker_is_current(nx_workers_at(workers, 1)));
    nx_workers_free(workers);
}

static void workers_free_without_start_runs_what_is_queued(void **state)
{
    (void)state;
    struct nx_workers *workers = make(2, 0);
    atomic_int ran = 0;
    atomic_int wrong = 0;
    struct note note = {.task = {.run = run_note},
                        .expected = nx_workers_at(workers, 1),
                        .wrong = &wrong,
                        .ran = &ran};
    assert_int_equal(nx_worker_post(note.expected, &note.task), NX_OK);
    nx_workers_free(workers);
    assert_int_equal(ran, 1);
    assert_int_equal(wrong, 0);
}

static void post_beyond_capacity_is_refused_and_reply_is_not(void **state)
{
    (void)state;
    struct nx_workers *workers = make(1, 3);
    struct nx_worker *worker = nx_workers_at(workers, 0);
    atomic_int ran = 0;
    atomic_int wrong = 0;
    struct note notes[5];
    for (int i = 0; i < 5; i++) {
        notes[i] = (struct note){
            .task = {.run = run_note}, .expected = worker, .wrong = &wrong, .ran = &ran};
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nx_worker_post(worker, &notes[i].task), NX_OK);
    }
    assert_int_equal(nx_worker_post(worker, &notes[3].task), NX_ERR_OVERLOADED);
    assert_int_equal(nx_worker_backlog(worker), 3);
    nx_worker_reply(worker, &notes[4].task);
    assert_int_equal(nx_worker_backlog(worker), 3);
    assert_int_equal(nx_workers_start(workers), NX_OK);
    nx_workers_stop(workers);
    assert_int_equal(ran, 4);
    assert_int_equal(wrong, 0);
    assert_int_equal(nx_worker_backlog(worker), 0);
    nx_workers_free(workers);
}

static void observed_workers_expose_mailbox_and_idle_time(void **state)
{
    (void)state;
    struct nx_telemetry *telemetry = NULL;
    struct nx_workers *workers = make(2, 1);
    struct nx_worker *worker = nx_workers_at(workers, 1);
    assert_int_equal(nx_telemetry_new(&telemetry), NX_OK);
    assert_int_equal(nx_workers_observe(workers, telemetry), NX_OK);
    atomic_int ran = 0;
    atomic_int wrong = 0;
    struct note notes[2];
    for (int i = 0; i < 2; i++) {
        notes[i] = (struct note){
            .task = {.run = run_note}, .expected = worker, .wrong = &wrong, .ran = &ran};
    }
    assert_int_equal(nx_worker_post(worker, &notes[0].task), NX_OK);
    assert_int_equal(nx_worker_post(worker, &notes[1].task), NX_ERR_OVERLOADED);
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    nx_telemetry_expose(telemetry, &out);
    nx_buf_append_char(&out, '\0');
    assert_non_null(strstr(out.data, "narthex_worker_mailbox_posts{worker=\"1\"} 1\n"));
    assert_non_null(strstr(out.data, "narthex_worker_mailbox_refused_total{worker=\"1\"} 1\n"));
    assert_non_null(strstr(out.data, "narthex_worker_mailbox_posts{worker=\"0\"} 0\n"));
    assert_int_equal(nx_workers_start(workers), NX_OK);
    uv_sleep(30);
    nx_buf_clear(&out);
    nx_telemetry_expose(telemetry, &out);
    nx_buf_append_char(&out, '\0');
    const char *idle = strstr(out.data, "narthex_worker_idle_seconds_total{worker=\"0\"} ");
    assert_non_null(idle);
    assert_true(strtod(strchr(idle, ' '), NULL) > 0.001);
    nx_buf_release(&out);
    nx_workers_stop(workers);
    nx_workers_free(workers);
    nx_telemetry_free(telemetry);
}

enum { SENDERS = 4, PER_SENDER = 5000 };

struct sender {
    struct nx_worker *to;
    struct note *notes;
};

static void *send_all(void *arg)
{
    struct sender *sender = arg;
    for (int i = 0; i < PER_SENDER; i++) {
        if (i % 2) {
            nx_worker_reply(sender->to, &sender->notes[i].task);
        } else if (nx_worker_post(sender->to, &sender->notes[i].task) != NX_OK) {
            abort();
        }
    }
    return NULL;
}

static void tasks_of_many_senders_keep_each_senders_order(void **state)
{
    (void)state;
    struct nx_workers *workers = make(2, 0);
    assert_int_equal(nx_workers_start(workers), NX_OK);
    atomic_int ran = 0;
    atomic_int wrong = 0;
    int last[SENDERS] = {0};
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    for (int s = 0; s < SENDERS; s++) {
        senders[s].to = nx_workers_at(workers, 1);
        senders[s].notes = nx_alloc_array(PER_SENDER, sizeof(struct note));
        assert_non_null(senders[s].notes);
        for (int i = 0; i < PER_SENDER; i++) {
            senders[s].notes[i] = (struct note){.task = {.run = run_note},
                                                .expected = senders[s].to,
                                                .wrong = &wrong,
                                                .ran = &ran,
                                                .sender = s,
                                                .number = i,
                                                .last = last};
        }
        assert_int_equal(pthread_create(&threads[s], NULL, send_all, &senders[s]), 0);
    }
    for (int s = 0; s < SENDERS; s++) {
        pthread_join(threads[s], NULL);
    }
    nx_workers_stop(workers);
    assert_int_equal(ran, SENDERS * PER_SENDER);
    assert_int_equal(wrong, 0);
    nx_workers_free(workers);
    for (int s = 0; s < SENDERS; s++) {
        nx_free(senders[s].notes);
    }
}

/* A ball that two workers throw to each other; ending while it flies must still run every throw. */
struct ball {
    struct nx_task task;
    struct nx_workers *workers;
    int left;
    size_t at;
};

static void run_ball(struct nx_task *task)
{
    struct ball *ball = (struct ball *)task;
    if (--ball->left > 0) {
        ball->at = (ball->at + 1) % nx_workers_count(ball->workers);
        nx_worker_reply(nx_workers_at(ball->workers, ball->at), &ball->task);
    }
}

static void stop_lets_tasks_that_send_tasks_finish(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct nx_workers *workers = make(3, 0);
        struct ball balls[8];
        for (int i = 0; i < 8; i++) {
            balls[i] = (struct ball){
                .task = {.run = run_ball}, .workers = workers, .left = 500 + i, .at = 0};
            nx_worker_reply(nx_workers_at(workers, 0), &balls[i].task);
        }
        if (round % 4 != 0) {
            assert_int_equal(nx_workers_start(workers), NX_OK);
        }
        nx_workers_stop(workers);
        for (int i = 0; i < 8; i++) {
            assert_int_equal(balls[i].left, 0);
        }
        nx_workers_free(workers);
    }
}

/* A handle whose closing is asked for by a task from another worker after that one had nothing
 * left. */
struct owner {
    struct nx_task close_task;
    uv_timer_t timer;
    uv_timer_t delay;
    struct nx_workers *workers;
    bool closed;
};

static void on_timer_closed(uv_handle_t *handle)
{
    struct owner *owner = handle->data;
    owner->closed = true;
}

static void run_close(struct nx_task *task)
{
    struct owner *owner = (struct owner *)task;
    uv_close((uv_handle_t *)&owner->timer, on_timer_closed);
}

static void on_never(uv_timer_t *timer)
{
    (void)timer;
}

static void on_delay(uv_timer_t *timer)
{
    struct owner *owner = timer->data;
    nx_worker_reply(nx_workers_at(owner->workers, 0), &owner->close_task);
    uv_close((uv_handle_t *)timer, NULL);
}

static void stop_waits_for_handles_that_another_worker_closes(void **state)
{
    (void)state;
    struct nx_workers *workers = make(3, 0);
    struct owner owner = {.close_task = {.run = run_close}, .workers = workers};
    owner.timer.data = &owner;
    owner.delay.data = &owner;
    uv_timer_init(nx_worker_loop(nx_workers_at(workers, 0)), &owner.timer);
    uv_timer_start(&owner.timer, on_never, 3600 * 1000, 0);
    uv_timer_init(nx_worker_loop(nx_workers_at(workers, 2)), &owner.delay);
    uv_timer_start(&owner.delay, on_delay, 20, 0);
    assert_int_equal(nx_workers_start(workers), NX_OK);
    nx_workers_stop(workers);
    assert_true(owner.closed);
    nx_workers_free(workers);
}

static bool fail_nth(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- != 0;
}

static void workers_new_with_any_allocation_failing_leaks_nothing(void **state)
{
    (void)state;
    struct nx_workers_options options = {.count = 3};
    for (int n = 0;; n++) {
        int left = n;
        struct nx_workers *workers = NULL;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = nx_workers_new(&options, &workers);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK) {
            assert_true(n > 3);
            nx_workers_free(workers);
            break;
        }
        assert_int_equal(err, NX_ERR_NOMEM);
        assert_null(workers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_start_and_stop_without_work),
        cmocka_unit_test(workers_free_without_start_runs_what_is_queued),
        cmocka_unit_test(post_beyond_capacity_is_refused_and_reply_is_not),
        cmocka_unit_test(observed_workers_expose_mailbox_and_idle_time),
        cmocka_unit_test(tasks_of_many_senders_keep_each_senders_order),
        cmocka_unit_test(stop_lets_tasks_that_send_tasks_finish),
        cmocka_unit_test(stop_waits_for_handles_that_another_worker_closes),
        cmocka_unit_test(workers_new_with_any_allocation_failing_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
