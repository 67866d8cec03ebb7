/* Asks the ingesters: every request goes to every member that owns partitions, the answers are
 * collected, and the completeness rule decides what they are worth.
 *
 * Members that are known to be down are left out where the others suffice. Once enough have
 * answered for a complete result, the rest gets a little longer and is then given up. All on one
 * worker; the answers may be read by another thread between `done` and the release. */
#ifndef QRY_SELECT_FANOUT_H
#define QRY_SELECT_FANOUT_H

#include <stdatomic.h>

#include "common/base/time.h"
#include "common/net/rpc.h"
#include "common/ring/ring.h"

struct qry_fanout;

struct qry_fanout_request {
    const char *method;  /* a constant */
    struct nx_view body; /* must live until done */
    bool stream;
};

/* Bytes of answers held by all fan-outs of a process, from their arrival to the release. Any
 * thread. */
struct qry_fetch_budget {
    atomic_size_t used_bytes;
    size_t max_bytes;
};

struct qry_fanout_options {
    struct nx_worker *worker;
    struct nx_rpc_client *client; /* of that worker */
    struct nx_ring *ring;
    const struct nx_clock *clock;
    uint64_t timeout_ms;
    size_t max_bytes;                /* of all answers together */
    struct qry_fetch_budget *budget; /* of all fan-outs together; may be NULL */
    bool partial;                    /* an incomplete result is good enough */
    bool write; /* complete is what a majority of the owners of every partition has done */
    const struct qry_fanout_request *requests; /* must live until done */
    size_t request_count;
    void (*done)(void *user); /* exactly once, never from inside start */
    void *user;
};

/* One message of an answer: a frame of a stream, or the whole of a unary one. */
struct qry_answer {
    struct qry_answer *next;
    size_t len;
    char bytes[];
};

enum nx_err qry_fanout_start(const struct qry_fanout_options *options,
                             struct qry_fanout **out) NX_WARN_UNUSED;
/* `done` follows. */
void qry_fanout_cancel(struct qry_fanout *fanout);

/* --- after done --- */
/* NX_OK: complete, or good enough (*incomplete says what is missing, "" if nothing; valid until the
 * release). NX_ERR_LIMIT, _TIMEOUT, _CANCELED, _UNAVAILABLE ... with a text for the user. */
enum nx_err qry_fanout_outcome(const struct qry_fanout *fanout, const char **incomplete,
                               struct nx_fail *fail) NX_WARN_UNUSED;
/* The messages that came for a request from the i-th member asked; false past the last member. */
bool qry_fanout_answers(const struct qry_fanout *fanout, size_t request, size_t i,
                        const struct qry_answer **first);
/* How many members are asked. */
size_t qry_fanout_members(const struct qry_fanout *fanout);
/* Something that the i-th member asked should be told once this is over: the body of a call of its
 * method `delete`. Takes the buffer's memory; without memory it is not told. */
void qry_fanout_note(struct qry_fanout *fanout, size_t i, struct nx_buf *body);
/* On the worker: sends what was noted and does not wait for answers. `*busy` counts the calls under
 * way of all who share it; beyond a few, the rest is left for another time. */
void qry_fanout_tell(struct qry_fanout *fanout, atomic_size_t *busy);
size_t qry_fanout_bytes(const struct qry_fanout *fanout);
/* Copies of each series in the cluster: the replication factor, or fewer where there are fewer
 * members. */
uint32_t qry_fanout_copies(const struct qry_fanout *fanout);
void qry_fanout_free(struct qry_fanout *fanout);

#endif
