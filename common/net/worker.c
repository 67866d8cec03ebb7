/* A mailbox is an intrusive stack pushed by compare-and-swap and taken whole by its owner, who
 * turns it around: one atomic a send, one exchange a wake, and order per sender is kept. The sender
 * that finds the stack empty sends the one uv_async_send of that batch.
 *
 * Ending needs agreement, because a worker whose own handles are closed may still be sent tasks by
 * another that is not done: each runs its loop empty, reports itself idle and keeps serving its
 * mailbox. The group ends when all are idle and all mailboxes are empty, which is checked under the
 * group's lock by whoever goes idle last: nobody runs then, so nobody sends. A task wakes an idle
 * worker, which leaves the idle state (under the lock) before it takes the mailbox. */
#include "common/net/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/net/thread.h"

enum { DEFAULT_MAILBOX_CAPACITY = 65536, THREAD_NAME_MAX = 16 };

struct nx_worker {
    uv_loop_t loop;
    uv_async_t wake;
    struct nx_workers *group;
    size_t index;
    pthread_t thread;
    bool idle;      /* under the group's lock */
    char apart[64]; /* what senders write stays off the cache line of what the owner reads */
    _Atomic(struct nx_task *) mailbox;
    atomic_size_t posts;
    atomic_size_t refused;
    struct nx_metrics *metrics;
};

/* Threads wait at the gate until all of them exist: a group starts whole or not at all. */
enum gate { GATE_CLOSED, GATE_OPEN, GATE_ABANDONED };

struct nx_workers {
    struct nx_worker **items;
    size_t count;
    size_t capacity;
    char name[THREAD_NAME_MAX];
    atomic_bool running;
    atomic_bool ending;
    bool stopped;
    pthread_mutex_t lock;
    pthread_cond_t gate_moved;
    enum gate gate;    /* under lock */
    size_t idle_count; /* under lock */
    bool finished;     /* under lock */
};

static _Thread_local struct nx_worker *current_worker;

static struct nx_task *mailbox_take(struct nx_worker *worker)
{
    struct nx_task *task = atomic_exchange_explicit(&worker->mailbox, NULL, memory_order_acquire);
    struct nx_task *first = NULL;
    while (task) {
        struct nx_task *older = task->next;
        task->next = first;
        first = task;
        task = older;
    }
    return first;
}

static void mailbox_drain(struct nx_worker *worker)
{
    struct nx_task *task = mailbox_take(worker);
    while (task) {
        struct nx_task *next = task->next;
        if (task->counted) {
            atomic_fetch_sub_explicit(&worker->posts, 1, memory_order_relaxed);
        }
        task->run(task);
        task = next;
    }
}

static void on_wake(uv_async_t *wake)
{
    struct nx_worker *worker = wake->data;
    struct nx_workers *group = worker->group;
    if (atomic_load_explicit(&group->ending, memory_order_acquire)) {
        uv_unref((uv_handle_t *)wake);
        pthread_mutex_lock(&group->lock);
        if (worker->idle) {
            worker->idle = false;
            group->idle_count--;
        }
        pthread_mutex_unlock(&group->lock);
    }
    mailbox_drain(worker);
}

static struct nx_worker *worker_new(struct nx_workers *group, size_t index)
{
    struct nx_worker *worker = nx_calloc(1, sizeof(*worker));
    if (!worker) {
        return NULL;
    }
    worker->group = group;
    worker->index = index;
    atomic_init(&worker->mailbox, NULL);
    atomic_init(&worker->posts, 0);
    atomic_init(&worker->refused, 0);
    if (uv_loop_init(&worker->loop) != 0) {
        nx_free(worker);
        return NULL;
    }
    worker->loop.data = worker;
    (void)uv_loop_configure(&worker->loop, UV_METRICS_IDLE_TIME);
    if (uv_async_init(&worker->loop, &worker->wake, on_wake) != 0) {
        uv_loop_close(&worker->loop);
        nx_free(worker);
        return NULL;
    }
    worker->wake.data = worker;
    return worker;
}

static void worker_close(struct nx_worker *worker)
{
    uv_close((uv_handle_t *)&worker->wake, NULL);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    int status = uv_loop_close(&worker->loop);
    assert(status == 0);
    (void)status;
}

enum nx_err nx_workers_new(const struct nx_workers_options *options, struct nx_workers **out)
{
    assert(options->count > 0);
    struct nx_workers *workers = nx_calloc(1, sizeof(*workers));
    struct nx_worker **items = nx_calloc(options->count, sizeof(struct nx_worker *));
    if (!workers || !items) {
        nx_free(workers);
        nx_free(items);
        return NX_ERR_NOMEM;
    }
    workers->items = items;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->gate_moved, NULL);
    workers->capacity =
        options->mailbox_capacity ? options->mailbox_capacity : DEFAULT_MAILBOX_CAPACITY;
    (void)snprintf(workers->name, sizeof(workers->name), "%s",
                   options->name ? options->name : "worker");
    for (; workers->count < options->count; workers->count++) {
        workers->items[workers->count] = worker_new(workers, workers->count);
        if (!workers->items[workers->count]) {
            nx_workers_free(workers);
            return NX_ERR_NOMEM;
        }
    }
    *out = workers;
    return NX_OK;
}

enum worker_metric { MAILBOX_POSTS, MAILBOX_REFUSED, IDLE_SECONDS, WORKER_METRICS };

static const struct nx_metric_desc worker_descs[WORKER_METRICS] = {
    [MAILBOX_POSTS] = {.kind = NX_GAUGE,
                       .name = "narthex_worker_mailbox_posts",
                       .help = "Requests that wait in the worker's mailbox."},
    [MAILBOX_REFUSED] = {.kind = NX_COUNTER,
                         .name = "narthex_worker_mailbox_refused_total",
                         .help = "Requests refused because the worker's mailbox was full."},
    [IDLE_SECONDS] =
        {.kind = NX_COUNTER,
         .name = "narthex_worker_idle_seconds_total",
         .help = "Time the worker's loop had nothing to do; one minus its rate is the load."},
};

static void collect_workers(void *user)
{
    struct nx_workers *workers = user;
    for (size_t i = 0; i < workers->count; i++) {
        struct nx_worker *worker = workers->items[i];
        double refused = (double)atomic_load_explicit(&worker->refused, memory_order_relaxed);
        double idle = (double)uv_metrics_idle_time(&worker->loop) * 1e-9;
        nx_metric_set(worker->metrics, MAILBOX_POSTS, 0, (double)nx_worker_backlog(worker));
        nx_metric_set(worker->metrics, MAILBOX_REFUSED, 0, refused);
        nx_metric_set(worker->metrics, IDLE_SECONDS, 0, idle);
    }
}

enum nx_err nx_workers_observe(struct nx_workers *workers, struct nx_telemetry *telemetry)
{
    for (size_t i = 0; i < workers->count; i++) {
        char number[24];
        (void)snprintf(number, sizeof(number), "%zu", i);
        enum nx_err err = nx_telemetry_register(telemetry, worker_descs, WORKER_METRICS, "worker",
                                                number, &workers->items[i]->metrics);
        if (err != NX_OK) {
            return err;
        }
    }
    return nx_telemetry_on_collect(telemetry, collect_workers, workers);
}

static bool all_mailboxes_empty(const struct nx_workers *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (atomic_load_explicit(&group->items[i]->mailbox, memory_order_acquire)) {
            return false;
        }
    }
    return true;
}

/* Reports the worker idle; true when the group has agreed to end. */
static bool enter_idle(struct nx_worker *worker)
{
    struct nx_workers *group = worker->group;
    pthread_mutex_lock(&group->lock);
    if (!worker->idle) {
        worker->idle = true;
        group->idle_count++;
    }
    if (!group->finished && group->idle_count == group->count && all_mailboxes_empty(group)) {
        group->finished = true;
        for (size_t i = 0; i < group->count; i++) {
            uv_async_send(&group->items[i]->wake);
        }
    }
    bool finished = group->finished;
    pthread_mutex_unlock(&group->lock);
    return finished;
}

static bool wait_at_gate(struct nx_workers *group)
{
    pthread_mutex_lock(&group->lock);
    while (group->gate == GATE_CLOSED) {
        pthread_cond_wait(&group->gate_moved, &group->lock);
    }
    bool open = group->gate == GATE_OPEN;
    pthread_mutex_unlock(&group->lock);
    return open;
}

static void move_gate(struct nx_workers *group, enum gate gate)
{
    pthread_mutex_lock(&group->lock);
    group->gate = gate;
    pthread_cond_broadcast(&group->gate_moved);
    pthread_mutex_unlock(&group->lock);
}

static void *worker_main(void *arg)
{
    struct nx_worker *worker = arg;
    if (!wait_at_gate(worker->group)) {
        return NULL;
    }
    current_worker = worker;
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    assert(atomic_load(&worker->group->ending));
    while (!enter_idle(worker)) {
        uv_ref((uv_handle_t *)&worker->wake);
        uv_run(&worker->loop, UV_RUN_ONCE);
        uv_unref((uv_handle_t *)&worker->wake);
        uv_run(&worker->loop, UV_RUN_DEFAULT);
    }
    worker_close(worker);
    current_worker = NULL;
    return NULL;
}

static void join_threads(struct nx_workers *workers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pthread_join(workers->items[i]->thread, NULL);
    }
}

enum nx_err nx_workers_start(struct nx_workers *workers)
{
    assert(!atomic_load(&workers->running) && !workers->stopped);
    workers->gate = GATE_CLOSED;
    size_t made = 0;
    for (; made < workers->count; made++) {
        struct nx_worker *worker = workers->items[made];
        char name[THREAD_NAME_MAX + 24];
        (void)snprintf(name, sizeof(name), "%s-%zu", workers->name, made);
        if (nx_thread_start(name, worker_main, worker, &worker->thread) != NX_OK) {
            break;
        }
    }
    if (made < workers->count) {
        move_gate(workers, GATE_ABANDONED);
        join_threads(workers, made);
        return NX_ERR_NOMEM;
    }
    atomic_store(&workers->running, true);
    move_gate(workers, GATE_OPEN);
    return NX_OK;
}

/* Ends a group whose threads never ran, on the caller's thread. */
static void run_out_inline(struct nx_workers *workers)
{
    bool busy = true;
    while (busy) {
        busy = false;
        for (size_t i = 0; i < workers->count; i++) {
            struct nx_worker *worker = workers->items[i];
            current_worker = worker;
            uv_unref((uv_handle_t *)&worker->wake);
            mailbox_drain(worker);
            busy |= uv_run(&worker->loop, UV_RUN_NOWAIT) != 0;
            current_worker = NULL;
        }
        busy |= !all_mailboxes_empty(workers);
        if (busy) {
            uv_sleep(1);
        }
    }
    for (size_t i = 0; i < workers->count; i++) {
        worker_close(workers->items[i]);
    }
}

void nx_workers_stop(struct nx_workers *workers)
{
    assert(!workers->stopped && !current_worker);
    atomic_store_explicit(&workers->ending, true, memory_order_release);
    if (atomic_load(&workers->running)) {
        for (size_t i = 0; i < workers->count; i++) {
            uv_async_send(&workers->items[i]->wake);
        }
        join_threads(workers, workers->count);
        atomic_store(&workers->running, false);
    } else {
        run_out_inline(workers);
    }
    workers->stopped = true;
}

void nx_workers_free(struct nx_workers *workers)
{
    if (!workers) {
        return;
    }
    if (!workers->stopped) {
        nx_workers_stop(workers);
    }
    for (size_t i = 0; i < workers->count; i++) {
        nx_free(workers->items[i]);
    }
    nx_free(workers->items);
    pthread_cond_destroy(&workers->gate_moved);
    pthread_mutex_destroy(&workers->lock);
    nx_free(workers);
}

size_t nx_workers_count(const struct nx_workers *workers)
{
    return workers->count;
}

struct nx_worker *nx_workers_at(struct nx_workers *workers, size_t i)
{
    assert(i < workers->count);
    return workers->items[i];
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
    return current_worker;
}

bool nx_worker_is_current(const struct nx_worker *worker)
{
    return current_worker == worker || !atomic_load(&worker->group->running);
}

static void mailbox_send(struct nx_worker *worker, struct nx_task *task)
{
    struct nx_task *head = atomic_load_explicit(&worker->mailbox, memory_order_relaxed);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&worker->mailbox, &head, task,
                                                    memory_order_release, memory_order_relaxed));
    if (!head) {
        uv_async_send(&worker->wake);
    }
}

enum nx_err nx_worker_post(struct nx_worker *worker, struct nx_task *task)
{
    size_t waiting = atomic_fetch_add_explicit(&worker->posts, 1, memory_order_relaxed);
    if (waiting >= worker->group->capacity) {
        atomic_fetch_sub_explicit(&worker->posts, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&worker->refused, 1, memory_order_relaxed);
        return NX_ERR_OVERLOADED;
    }
    task->counted = true;
    mailbox_send(worker, task);
    return NX_OK;
}

void nx_worker_reply(struct nx_worker *worker, struct nx_task *task)
{
    task->counted = false;
    mailbox_send(worker, task);
}

size_t nx_worker_backlog(const struct nx_worker *worker)
{
    return atomic_load_explicit(&worker->posts, memory_order_relaxed);
}
