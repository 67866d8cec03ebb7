/* Workers: N threads with one uv_loop_t each, and the mailboxes between them.
 *
 * What a worker owns (connections, shards, clients) is touched by its thread only; other threads send it
 * tasks. A task is embedded in whatever it is about, so sending allocates nothing; it belongs to the
 * mailbox from the send until its `run` is called, on the receiving worker's thread.
 *
 * A request goes out with nx_worker_post, which refuses when the mailbox holds `mailbox_capacity` posts; its
 * answer comes back with nx_worker_reply, which cannot be refused, because what is answered has been
 * admitted before. Tasks from one sender to one receiver run in the order they were sent. */
#ifndef NX_NET_WORKER_H
#define NX_NET_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/base/err.h"
#include "common/telemetry/telemetry.h"

struct nx_worker;
struct nx_workers;

struct nx_task {
    struct nx_task *next;
    void (*run)(struct nx_task *task);
    bool counted;
};

struct nx_workers_options {
    size_t count;
    size_t mailbox_capacity; /* posts a worker; 0: 65536 */
    const char *name;        /* thread names "<name>-<i>" */
};

/* Creates the loops; no thread runs yet. Until nx_workers_start the caller may set up handles on the loops. */
enum nx_err nx_workers_new(const struct nx_workers_options *options, struct nx_workers **out) NX_WARN_UNUSED;
enum nx_err nx_workers_start(struct nx_workers *workers) NX_WARN_UNUSED;
/* Asks every worker to end once its handles are closed: the owners must have begun closing them. Joins the
 * threads; requires that each loop closes clean (assert). Tasks still queued are run first. */
void nx_workers_stop(struct nx_workers *workers);
void nx_workers_free(struct nx_workers *workers);

/* Exposes each worker's mailbox and idle time, with a label worker="<i>". After new, before start; the
 * telemetry must not be exposed any more once the workers are freed. */
enum nx_err nx_workers_observe(struct nx_workers *workers, struct nx_telemetry *telemetry) NX_WARN_UNUSED;

size_t nx_workers_count(const struct nx_workers *workers);
struct nx_worker *nx_workers_at(struct nx_workers *workers, size_t i);
uv_loop_t *nx_worker_loop(struct nx_worker *worker);
size_t nx_worker_index(const struct nx_worker *worker);
/* The worker whose thread this is, or NULL. */
struct nx_worker *nx_worker_current(void);
/* Whether the caller is on that worker's thread, or no thread runs yet; entry points assert it. */
bool nx_worker_is_current(const struct nx_worker *worker);

enum nx_err nx_worker_post(struct nx_worker *worker, struct nx_task *task) NX_WARN_UNUSED;
void nx_worker_reply(struct nx_worker *worker, struct nx_task *task);
/* Posts waiting now; any thread. */
size_t nx_worker_backlog(const struct nx_worker *worker);

#endif
