/* Threads of the start, which end before any worker touches a shard. Where the system has no thread
 * left, the caller's own does the work. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/net/thread.h"
#include "ingester/open.h"

#define REPORT_SECONDS 5

struct each {
    const struct ing_open_options *options;
    enum nx_err (*run)(void *user, uint32_t shard);
    void *user;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    uint32_t left;
};

struct each_shard {
    struct each *all;
    uint32_t number;
    enum nx_err err;
    pthread_t thread;
    bool started;
};

static void *run_shard(void *arg)
{
    struct each_shard *shard = arg;
    struct each *all = shard->all;
    shard->err = all->run(all->user, shard->number);
    if (all->options->progress)
        atomic_fetch_add(&all->options->progress->shards_done, 1);
    pthread_mutex_lock(&all->lock);
    all->left--;
    pthread_cond_signal(&all->ended);
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

static void log_progress(const struct ing_open_options *options)
{
    struct nx_buf text;
    if (!options->progress)
        return;
    nx_buf_init(&text, 1024);
    ing_progress_print(options->progress, &text);
    nx_log(options->log, NX_LOG_INFO, "starting", NX_V("progress", nx_buf_view(&text)));
    nx_buf_release(&text);
}

static void wait_ended(struct each *all)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += REPORT_SECONDS;
    pthread_mutex_lock(&all->lock);
    while (all->left > 0) {
        if (pthread_cond_timedwait(&all->ended, &all->lock, &until) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&all->lock);
        log_progress(all->options);
        until.tv_sec += REPORT_SECONDS;
        pthread_mutex_lock(&all->lock);
    }
    pthread_mutex_unlock(&all->lock);
}

enum nx_err ing_open_each(const struct ing_open_options *options, enum ing_phase phase,
                          enum nx_err (*run)(void *user, uint32_t shard), void *user)
{
    struct each all = {.options = options, .run = run, .user = user, .left = options->shards};
    struct each_shard *shards = nx_calloc(options->shards, sizeof *shards);
    pthread_condattr_t attr;
    if (!shards)
        return NX_ERR_NOMEM;
    pthread_mutex_init(&all.lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&all.ended, &attr);
    pthread_condattr_destroy(&attr);
    if (options->progress)
        ing_progress_begin(options->progress, phase, options->shards);
    for (uint32_t i = 0; i < options->shards; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "open-%u", (unsigned)i);
        shards[i] = (struct each_shard){.all = &all, .number = i};
        /* the last one is waited for here anyway, but the waiting reports */
        shards[i].started =
            options->shards > 1 || options->progress
                ? nx_thread_start(name, run_shard, &shards[i], &shards[i].thread) == NX_OK
                : false;
        if (!shards[i].started)
            run_shard(&shards[i]);
    }
    wait_ended(&all);
    enum nx_err err = NX_OK;
    for (uint32_t i = 0; i < options->shards; i++) {
        if (shards[i].started)
            (void)pthread_join(shards[i].thread, NULL);
        if (err == NX_OK)
            err = shards[i].err;
    }
    pthread_cond_destroy(&all.ended);
    pthread_mutex_destroy(&all.lock);
    nx_free(shards);
    return err;
}
