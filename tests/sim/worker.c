/* Stands in for common/net/worker.c: a mailbox is emptied by an event a moment after the first
 * task came, so that workers of a process, and processes, take turns by chance. */
#include "common/net/worker.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "tests/sim/process.h"
#include "tests/sim/turn.h"

#define CAPACITY 65536

struct nx_worker {
    uv_loop_t loop; /* its `data` is the worker: all that the timers need */
    struct nx_workers *group;
    size_t index;
    struct nx_task *first, **last;
    size_t posts;
    bool woken;
};

struct nx_workers {
    struct sim_process *process;
    struct nx_worker *items;
    size_t count, capacity;
    bool running;
};

struct wake {
    struct sim_event event;
    struct nx_worker *worker;
};

static struct nx_worker *turn;

struct nx_worker *sim_turn(struct nx_worker *worker)
{
    struct nx_worker *before = turn;
    turn = worker;
    return before;
}

static void drain(struct nx_worker *worker)
{
    struct nx_task *task = worker->first;
    worker->first = NULL;
    worker->last = &worker->first;
    while (task) {
        struct nx_task *next = task->next;
        if (task->counted)
            worker->posts--;
        task->run(task);
        task = next;
    }
}

static void wake_drop(struct sim_event *event)
{
    free(NX_OWNER(struct wake, event, event));
}

static void wake_run(struct sim_event *event)
{
    struct wake *wake = NX_OWNER(struct wake, event, event);
    struct nx_worker *worker = wake->worker;
    free(wake);
    worker->woken = false;
    struct nx_worker *before = sim_turn(worker);
    drain(worker);
    (void)sim_turn(before);
}

static void enqueue(struct nx_worker *worker, struct nx_task *task, bool counted)
{
    task->next = NULL;
    task->counted = counted;
    *worker->last = task;
    worker->last = &task->next;
    if (worker->woken)
        return;
    worker->woken = true;
    struct wake *wake = sim_calloc(1, sizeof *wake);
    wake->worker = worker;
    wake->event = (struct sim_event){.kind = SIM_MAILBOX, .run = wake_run, .drop = wake_drop};
    sim_after(&wake->event, worker->group->process, sim_between(1, 40) * SIM_US);
}

enum nx_err nx_worker_post(struct nx_worker *worker, struct nx_task *task)
{
    if (worker->posts >= worker->group->capacity)
        return NX_ERR_OVERLOADED;
    worker->posts++;
    enqueue(worker, task, true);
    return NX_OK;
}

void nx_worker_reply(struct nx_worker *worker, struct nx_task *task)
{
    enqueue(worker, task, false);
}

size_t nx_worker_backlog(const struct nx_worker *worker)
{
    return worker->posts;
}

enum nx_err nx_workers_new(const struct nx_workers_options *options, struct nx_workers **out)
{
    struct nx_workers *workers = sim_process_calloc(1, sizeof *workers);
    workers->items = sim_process_calloc(options->count, sizeof *workers->items);
    workers->count = options->count;
    workers->capacity = options->mailbox_capacity ? options->mailbox_capacity : CAPACITY;
    workers->process = sim_current();
    for (size_t i = 0; i < workers->count; i++) {
        struct nx_worker *worker = &workers->items[i];
        worker->group = workers;
        worker->index = i;
        worker->last = &worker->first;
        worker->loop.data = worker;
    }
    *out = workers;
    return NX_OK;
}

enum nx_err nx_workers_start(struct nx_workers *workers)
{
    workers->running = true;
    return NX_OK;
}

/* The tasks that are left run; there must be nothing else. */
void nx_workers_stop(struct nx_workers *workers)
{
    bool busy = true;
    while (busy) {
        busy = false;
        for (size_t i = 0; i < workers->count; i++) {
            struct nx_worker *before = sim_turn(&workers->items[i]);
            busy |= workers->items[i].first != NULL;
            drain(&workers->items[i]);
            (void)sim_turn(before);
        }
    }
    workers->running = false;
}

void nx_workers_free(struct nx_workers *workers)
{
    if (!workers)
        return;
    nx_free(workers->items);
    nx_free(workers);
}

enum nx_err nx_workers_observe(struct nx_workers *workers, struct nx_telemetry *telemetry)
{
    (void)workers;
    (void)telemetry;
    return NX_OK;
}

size_t nx_workers_count(const struct nx_workers *workers)
{
    return workers->count;
}

struct nx_worker *nx_workers_at(struct nx_workers *workers, size_t i)
{
    assert(i < workers->count);
    return &workers->items[i];
}

uv_loop_t *nx_worker_loop(struct nx_worker *worker)
{
    return &worker->loop;
}

size_t nx_worker_index(const struct nx_worker *worker)
{
    return worker->index;
}

struct nx_worker *nx_worker_current(void)
{
    return turn;
}

bool nx_worker_is_current(const struct nx_worker *worker)
{
    return turn == worker || !worker->group->running;
}

struct sim_process *sim_worker_process(const struct nx_worker *worker)
{
    return worker->group->process;
}
