#include "common/ring/backend.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "common/net/thread.h"

#define LIST_MAX_BYTES ((size_t)1 << 20)
#define FIRST_TRIES 30
#define BETWEEN_TRIES_US 500000

enum nx_err nx_backend_new(const struct nx_ring_options *options, struct nx_log *log,
                           struct nx_backend **out, struct nx_fail *fail)
{
    enum nx_err err = NX_OK;
    *out = NULL;
    if (strcmp(options->backend, "dns") == 0) {
        err = nx_backend_dns_new(options, out, fail);
    } else if (strcmp(options->backend, "etcd") == 0) {
        err = nx_backend_etcd_new(options, out, fail);
    } else if (strcmp(options->backend, "static") != 0) {
        err =
            nx_fail_set(fail, NX_ERR_CONFIG,
                        "ring.backend: expected static, dns or etcd, got \"%s\"", options->backend);
    }
    if (err == NX_OK && *out) {
        (*out)->log = log;
        atomic_init(&(*out)->stop, false);
        nx_buf_init(&(*out)->last, LIST_MAX_BYTES);
    }
    return err;
}

static enum nx_err fetch(struct nx_backend *backend, struct nx_buf *list, struct nx_fail *fail)
{
    nx_buf_init(list, LIST_MAX_BYTES);
    enum nx_err err = backend->ops->fetch(backend, list, fail);
    if (err == NX_OK) {
        nx_buf_append_char(list, '\0');
        err = nx_buf_err(list);
        if (err != NX_OK) {
            nx_fail_set(fail, err, "%s: the list of members: %s", backend->setting,
                        nx_err_text(err));
        }
    }
    return err;
}

enum nx_err nx_backend_first(struct nx_backend *backend, struct nx_fail *fail)
{
    enum nx_err err = NX_OK;
    for (unsigned try = 0; try < FIRST_TRIES; try++) {
        struct nx_buf list;
        err = fetch(backend, &list, fail);
        if (err == NX_OK) {
            backend->last = list;
            return NX_OK;
        }
        nx_buf_release(&list);
        if (err == NX_ERR_CONFIG) {
            return err;
        }
        if (try == 0) {
            nx_log(backend->log, NX_LOG_WARN, "no list of members yet",
                   NX_S("setting", backend->setting), NX_S("reason", nx_fail_text(fail)));
        }
        (void)usleep(BETWEEN_TRIES_US);
    }
    return err;
}

/* A list that cannot be had, or makes no sense, is reported once, and so is its return. */
static void note(struct nx_backend *backend, enum nx_err err, const struct nx_fail *fail)
{
    if (err != NX_OK && !backend->failing) {
        nx_log(backend->log, NX_LOG_ERROR, "the list of members stays as it is",
               NX_S("setting", backend->setting), NX_S("reason", nx_fail_text(fail)));
    } else if (err == NX_OK && backend->failing) {
        nx_log(backend->log, NX_LOG_INFO, "the list of members can be read again",
               NX_S("setting", backend->setting));
    }
    backend->failing = err != NX_OK;
}

static void refresh(struct nx_backend *backend)
{
    struct nx_buf list;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = fetch(backend, &list, &fail);
    bool same = err == NX_OK && backend->last.len == list.len &&
                memcmp(backend->last.data, list.data, list.len) == 0;
    if (err == NX_OK && !same) {
        err = nx_ring_set_members(backend->ring, list.data, &fail);
    }
    note(backend, err, &fail);
    if (err == NX_OK && !same) {
        struct nx_buf before = backend->last;
        backend->last = list;
        list = before;
    }
    nx_buf_release(&list);
}

static void *run(void *arg)
{
    struct nx_backend *backend = arg;
    while (!atomic_load(&backend->stop)) {
        backend->ops->wait(backend);
        if (!atomic_load(&backend->stop)) {
            refresh(backend);
        }
    }
    return NULL;
}

enum nx_err nx_backend_start(struct nx_backend *backend, struct nx_ring *ring)
{
    backend->ring = ring;
    enum nx_err err = nx_thread_start("ring-backend", run, backend, &backend->thread);
    backend->running = err == NX_OK;
    return err;
}

void nx_backend_stop(struct nx_backend *backend)
{
    atomic_store(&backend->stop, true);
}

void nx_backend_free(struct nx_backend *backend)
{
    if (!backend) {
        return;
    }
    nx_backend_stop(backend);
    if (backend->running) {
        (void)pthread_join(backend->thread, NULL);
    }
    nx_buf_release(&backend->last);
    backend->ops->free(backend);
}
