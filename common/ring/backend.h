/* A backend: where the list of members comes from when it is not in the configuration. It runs on a
 * thread of its own, where calls may block: it fetches the list, hands it to the ring where it has
 * changed, and waits for the next change. What it cannot fetch leaves the list as it is. */
#ifndef NX_RING_BACKEND_H
#define NX_RING_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/buf.h"
#include "common/ring/ring.h"

struct nx_backend;

struct nx_backend_ops {
    /* Appends the list as ring.members has it. Blocks; called first before the ring is there. */
    enum nx_err (*fetch)(struct nx_backend *backend, struct nx_buf *members, struct nx_fail *fail);
    /* Returns when the list may have changed, after a while, or soon after backend->stop is set. */
    void (*wait)(struct nx_backend *backend);
    /* NULL where no member can be forgotten. */
    enum nx_err (*forget)(struct nx_backend *backend, const char *name, struct nx_fail *fail);
    /* Ends what it holds elsewhere, and its memory. */
    void (*free)(struct nx_backend *backend);
};

struct nx_backend {
    const struct nx_backend_ops *ops;
    const char *setting; /* that names it, for messages */
    struct nx_log *log;
    struct nx_ring *ring; /* NULL until it runs */
    atomic_bool stop;
    pthread_t thread;
    bool running;
    bool failing;
    struct nx_buf last; /* the list as last handed over */
};

/* NX_OK with *out NULL for "static". */
enum nx_err nx_backend_new(const struct nx_ring_options *options, struct nx_log *log,
                           struct nx_backend **out, struct nx_fail *fail) NX_WARN_UNUSED;
/* The first list, NUL-terminated in backend->last; tried again for a while where it fails. */
enum nx_err nx_backend_first(struct nx_backend *backend, struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err nx_backend_start(struct nx_backend *backend, struct nx_ring *ring) NX_WARN_UNUSED;
/* It ends within about a second. */
void nx_backend_stop(struct nx_backend *backend);
/* Joins its thread. NULL is ignored. */
void nx_backend_free(struct nx_backend *backend);

/* --- the backends --- */
enum nx_err nx_backend_dns_new(const struct nx_ring_options *options, struct nx_backend **out,
                               struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err nx_backend_etcd_new(const struct nx_ring_options *options, struct nx_backend **out,
                                struct nx_fail *fail) NX_WARN_UNUSED;
/* Appends the members in a DNS answer: services where `port` is NULL, else addresses. For tests. */
enum nx_err nx_dns_read(const uint8_t *answer, size_t len, const char *port, const char *zone,
                        struct nx_buf *list) NX_WARN_UNUSED;

#endif
