/* A member that is gone for good is taken off the list. Only where the backend keeps a list that
 * can be written; and only one that has LEFT or does not answer, since any other would come back.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/ring/ring_internal.h"
#include "proto/internal.pb-c.h"

#define METHOD "forget"

static enum nx_err check(struct nx_ring *ring, const char *name, struct nx_fail *fail)
{
    enum nx_err err = NX_OK;
    pthread_mutex_lock(&ring->lock);
    size_t i = nx_roster_find(ring->roster, name);
    bool self = i != SIZE_MAX && nx_ring_is_self(ring, i);
    enum nx_member_state state = self            ? ring->self.state
                                 : i != SIZE_MAX ? ring->rows[i].state
                                                 : NX_MEMBER_LEFT;
    if (i == SIZE_MAX) {
        err = nx_fail_set(fail, NX_ERR_NOT_FOUND, "there is no member \"%.100s\"", name);
    } else if (state != NX_MEMBER_LEFT && (self || ring->rows[i].health.healthy)) {
        err = nx_fail_set(fail, NX_ERR_FORBIDDEN,
                          "it answers, and is %s: drain it, or stop it, first",
                          nx_member_state_text(state));
    } else if (!ring->backend || !ring->backend->ops->forget) {
        err = nx_fail_set(fail, NX_ERR_UNSUPPORTED,
                          "the list of members is not kept by the cluster: take it out of "
                          "ring.members of each node and reload (static), or out of DNS (dns)");
    }
    pthread_mutex_unlock(&ring->lock);
    return err;
}

enum nx_err nx_ring_forget(struct nx_ring *ring, const char *member_name, struct nx_fail *fail)
{
    enum nx_err err = check(ring, member_name, fail);
    return err == NX_OK ? ring->backend->ops->forget(ring->backend, member_name, fail) : err;
}

int64_t nx_ring_silent_ms(struct nx_ring *ring, const char *member_name)
{
    int64_t silent_ms = 0;
    pthread_mutex_lock(&ring->lock);
    size_t i = nx_roster_find(ring->roster, member_name);
    if (i != SIZE_MAX && !nx_ring_is_self(ring, i)) {
        uint64_t now_ns = nx_now_ns(ring->clock);
        uint64_t since_ns = ring->rows[i].health.since_ns;
        silent_ms = now_ns > since_ns ? (int64_t)((now_ns - since_ns) / UINT64_C(1000000)) : 0;
    }
    pthread_mutex_unlock(&ring->lock);
    return silent_ms;
}

/* --- by itself ------------------------------------------------------------------------------- */

#define LOOK_NS (UINT64_C(10) * 1000000000)

static void run_own(struct nx_job *job)
{
    struct nx_ring *ring = NX_OWNER(struct nx_ring, forget_job, job);
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = nx_ring_forget(ring, ring->forget_name, &fail);
    nx_log(ring->log, err == NX_OK ? NX_LOG_WARN : NX_LOG_ERROR,
           err == NX_OK ? "a member that was silent for too long is forgotten"
                        : "a member that was silent for too long cannot be forgotten",
           NX_S("member", ring->forget_name), NX_S("reason", fail.text));
}

static void done_own(struct nx_job *job)
{
    struct nx_ring *ring = NX_OWNER(struct nx_ring, forget_job, job);
    pthread_mutex_lock(&ring->lock);
    ring->forget_name[0] = '\0';
    pthread_mutex_unlock(&ring->lock);
    nx_ring_settle(ring);
}

/* One of the members does it: the first that is well. */
static bool is_forgetter(const struct nx_ring *ring)
{
    for (size_t i = 0; i < ring->roster->count; i++) {
        bool self = nx_ring_is_self(ring, i);
        if (self || (ring->rows[i].health.healthy && ring->rows[i].state == NX_MEMBER_ACTIVE)) {
            return self && ring->self.state == NX_MEMBER_ACTIVE;
        }
    }
    return false;
}

void nx_ring_forget_silent(struct nx_ring *ring, uint64_t now_ns)
{
    if (ring->forget_after_ns == 0 || !ring->backend || !ring->backend->ops->forget ||
        ring->forget_name[0] || now_ns < ring->forget_next_ns || !is_forgetter(ring)) {
        return;
    }
    ring->forget_next_ns = now_ns + LOOK_NS;
    for (size_t i = 0; i < ring->roster->count; i++) {
        const struct nx_health *health = &ring->rows[i].health;
        uint32_t owned = 0;
        uint32_t moved = 0;
        if (nx_ring_is_self(ring, i) || health->healthy ||
            now_ns < health->since_ns + ring->forget_after_ns) {
            continue;
        }
        nx_ring_departure(ring->view, i, &owned, &moved);
        if (moved == owned) {
            (void)snprintf(ring->forget_name, sizeof(ring->forget_name), "%s",
                           ring->roster->members[i].name);
            ring->forget_job = (struct nx_job){.run = run_own, .done = done_own};
            if (nx_lane_submit(ring->lane, &ring->forget_job) != NX_OK) {
                ring->forget_name[0] = '\0';
            }
            return;
        }
    }
}

/* --- the RPC --------------------------------------------------------------------------------- */

struct forget_job {
    struct nx_job job;
    struct nx_ring *ring;
    struct nx_rpc_request *req;
    Narthex__ForgetRequest *request;
    enum nx_err err;
    struct nx_fail fail;
};

static void run(struct nx_job *job)
{
    struct forget_job *forget = (struct forget_job *)job;
    forget->err = nx_ring_forget(forget->ring, forget->request->name, &forget->fail);
}

static void done(struct nx_job *job)
{
    struct forget_job *forget = (struct forget_job *)job;
    struct nx_buf empty;
    nx_buf_init(&empty, NX_RING_MESSAGE_BYTES_MAX);
    if (forget->err == NX_OK) {
        nx_rpc_reply(forget->req, &empty);
    } else {
        nx_rpc_reply_error(forget->req, forget->err, forget->fail.text);
    }
    nx_buf_release(&empty);
    nx_ring_free_message(&forget->request->base);
    nx_free(forget);
}

static void serve(struct nx_rpc_request *req, void *user)
{
    struct nx_ring *ring = user;
    Narthex__ForgetRequest *request =
        nx_ring_unpack_request(req, &narthex__forget_request__descriptor);
    if (!request) {
        return;
    }
    struct forget_job *forget = nx_calloc(1, sizeof(*forget));
    enum nx_err err = forget ? NX_OK : NX_ERR_NOMEM;
    if (err == NX_OK) {
        *forget = (struct forget_job){
            .job = {.run = run, .done = done}, .ring = ring, .req = req, .request = request};
        err = nx_lane_submit(ring->lane, &forget->job);
    }
    if (err != NX_OK) {
        nx_rpc_reply_error(req, err, nx_err_text(err));
        nx_ring_free_message(&request->base);
        nx_free(forget);
    }
}

enum nx_err nx_ring_serve_forget(struct nx_ring *ring, struct nx_rpc_server *server)
{
    return nx_rpc_server_method(server, METHOD, serve, ring, NX_RING_MESSAGE_BYTES_MAX, NULL);
}
