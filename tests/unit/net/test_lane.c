#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/net/lane.h"

/* Lets a test hold a lane's thread until it has looked. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int entered;
    bool open;
};

static void gate_init(struct gate *gate)
{
    *gate = (struct gate){.open = false};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->moved, NULL);
}

static void gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->entered++;
    pthread_cond_broadcast(&gate->moved);
    while (!gate->open) {
        pthread_cond_wait(&gate->moved, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void gate_wait_entered(struct gate *gate, int count)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->entered < count) {
        pthread_cond_wait(&gate->moved, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->moved);
    pthread_mutex_unlock(&gate->lock);
}

struct errand {
    struct nx_job job;
    struct gate *gate; /* may be NULL */
    atomic_int *order;
    int ran_as; /* position among all runs */
    struct nx_worker *ran_on;
    struct nx_worker *done_on;
    int done_count;
};

static void errand_run(struct nx_job *job)
{
    struct errand *errand = (struct errand *)job;
    if (errand->gate) {
        gate_pass(errand->gate);
    }
    errand->ran_on = nx_worker_current();
    errand->ran_as = atomic_fetch_add(errand->order, 1);
}

static void errand_done(struct nx_job *job)
{
    struct errand *errand = (struct errand *)job;
    errand->done_on = nx_worker_current();
    errand->done_count++;
}

static struct errand errand_of(atomic_int *order, struct gate *gate)
{
    return (struct errand){
        .job = {.run = errand_run, .done = errand_done}, .gate = gate, .order = order};
}

static void jobs_without_home_run_in_order_and_finish_on_the_lane(void **state)
{
    (void)state;
    struct nx_lane *lane = NULL;
    assert_int_equal(nx_lane_new("a-name-longer-than-the-kernel-takes", 1, 100, &lane), NX_OK);
    atomic_int order = 0;
    struct errand errands[50];
    for (int i = 0; i < 50; i++) {
        errands[i] = errand_of(&order, NULL);
        assert_int_equal(nx_lane_submit(lane, &errands[i].job), NX_OK);
    }
    nx_lane_free(lane);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(errands[i].ran_as, i);
        assert_int_equal(errands[i].done_count, 1);
        assert_null(errands[i].job.home);
    }
}

static void submit_beyond_capacity_is_refused(void **state)
{
    (void)state;
    struct nx_lane *lane = NULL;
    struct gate gate;
    gate_init(&gate);
    struct nx_telemetry *telemetry = NULL;
    assert_int_equal(nx_telemetry_new(&telemetry), NX_OK);
    assert_int_equal(nx_lane_new("full", 1, 2, &lane), NX_OK);
    assert_int_equal(nx_lane_observe(lane, telemetry), NX_OK);
    atomic_int order = 0;
    struct errand errands[4];
    for (int i = 0; i < 4; i++) {
        errands[i] = errand_of(&order, i == 0 ? &gate : NULL);
    }
    assert_int_equal(nx_lane_submit(lane, &errands[0].job), NX_OK);
    gate_wait_entered(&gate, 1);
    assert_int_equal(nx_lane_backlog(lane), 0);
    assert_int_equal(nx_lane_submit(lane, &errands[1].job), NX_OK);
    assert_int_equal(nx_lane_submit(lane, &errands[2].job), NX_OK);
    assert_int_equal(nx_lane_backlog(lane), 2);
    assert_int_equal(nx_lane_submit(lane, &errands[3].job), NX_ERR_OVERLOADED);
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    nx_telemetry_expose(telemetry, &out);
    nx_buf_append_char(&out, '\0');
    assert_non_null(strstr(out.data, "narthex_lane_waiting_jobs{lane=\"full\"} 2\n"));
    assert_non_null(strstr(out.data, "narthex_lane_jobs_total{lane=\"full\"} 3\n"));
    assert_non_null(strstr(out.data, "narthex_lane_refused_total{lane=\"full\"} 1\n"));
    nx_buf_release(&out);
    gate_open(&gate);
    nx_lane_free(lane);
    nx_telemetry_free(telemetry);
    assert_int_equal(errands[2].done_count, 1);
    assert_int_equal(errands[3].done_count, 0);
}

static void pool_runs_jobs_side_by_side(void **state)
{
    (void)state;
    struct nx_lane *lane = NULL;
    struct gate gate;
    gate_init(&gate);
    assert_int_equal(nx_lane_new("pool", 3, 10, &lane), NX_OK);
    atomic_int order = 0;
    struct errand errands[3];
    for (int i = 0; i < 3; i++) {
        errands[i] = errand_of(&order, &gate);
        assert_int_equal(nx_lane_submit(lane, &errands[i].job), NX_OK);
    }
    gate_wait_entered(&gate, 3); /* hangs unless all three run at once */
    gate_open(&gate);
    nx_lane_free(lane);
    assert_int_equal(order, 3);
}

struct submitter {
    struct nx_task task;
    struct nx_lane *lane;
    struct errand errands[20];
    struct gate *submitted;
};

static void run_submitter(struct nx_task *task)
{
    struct submitter *submitter = (struct submitter *)task;
    for (int i = 0; i < 20; i++) {
        if (nx_lane_submit(submitter->lane, &submitter->errands[i].job) != NX_OK) {
            abort();
        }
    }
    gate_pass(submitter->submitted);
}

static void done_of_a_workers_job_runs_on_that_worker(void **state)
{
    (void)state;
    struct nx_workers_options options = {.count = 2, .name = "home"};
    struct nx_workers *workers = NULL;
    assert_int_equal(nx_workers_new(&options, &workers), NX_OK);
    assert_int_equal(nx_workers_start(workers), NX_OK);
    struct nx_lane *lane = NULL;
    assert_int_equal(nx_lane_new("lane", 2, 100, &lane), NX_OK);
    atomic_int order = 0;
    struct gate gate;
    gate_init(&gate);
    gate.open = true;
    struct submitter submitter = {.task = {.run = run_submitter}, .lane = lane, .submitted = &gate};
    for (int i = 0; i < 20; i++) {
        submitter.errands[i] = errand_of(&order, NULL);
    }
    struct nx_worker *home = nx_workers_at(workers, 1);
    assert_int_equal(nx_worker_post(home, &submitter.task), NX_OK);
    gate_wait_entered(&gate, 1);
    nx_lane_free(lane);
    nx_workers_stop(workers);
    for (int i = 0; i < 20; i++) {
        assert_null(submitter.errands[i].ran_on);
        assert_ptr_equal(submitter.errands[i].done_on, home);
        assert_int_equal(submitter.errands[i].done_count, 1);
    }
    nx_workers_free(workers);
}

struct look {
    struct nx_job job;
    int priority;
    sem_t seen;
};

static void look_at_priority(struct nx_job *job)
{
    struct look *look = (struct look *)job;
    look->priority = getpriority(PRIO_PROCESS, (id_t)gettid());
}

static void look_done(struct nx_job *job)
{
    assert_int_equal(sem_post(&((struct look *)job)->seen), 0);
}

static int priority_on(struct nx_lane *lane)
{
    struct look look = {.job = {.run = look_at_priority, .done = look_done}};
    assert_int_equal(sem_init(&look.seen, 0, 0), 0);
    assert_int_equal(nx_lane_submit(lane, &look.job), NX_OK);
    while (sem_wait(&look.seen) != 0) {
    }
    assert_int_equal(sem_destroy(&look.seen), 0);
    return look.priority;
}

static void lane_that_gives_way_has_a_lower_priority_and_others_keep_theirs(void **state)
{
    (void)state;
    struct nx_lane *plain = NULL;
    struct nx_lane *kind = NULL;
    assert_int_equal(nx_lane_new("plain", 1, 4, &plain), NX_OK);
    assert_int_equal(nx_lane_new("kind", 1, 4, &kind), NX_OK);
    nx_lane_give_way(kind);
    int before = getpriority(PRIO_PROCESS, 0);
    assert_true(priority_on(kind) > before || before == 19);
    assert_int_equal(priority_on(plain), before);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
    nx_lane_free(plain);
    nx_lane_free(kind);
}

static void lane_free_of_null_does_nothing(void **state)
{
    (void)state;
    nx_lane_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_without_home_run_in_order_and_finish_on_the_lane),
        cmocka_unit_test(submit_beyond_capacity_is_refused),
        cmocka_unit_test(pool_runs_jobs_side_by_side),
        cmocka_unit_test(done_of_a_workers_job_runs_on_that_worker),
        cmocka_unit_test(lane_that_gives_way_has_a_lower_priority_and_others_keep_theirs),
        cmocka_unit_test(lane_free_of_null_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
