/* A member that leaves, or takes no more writes for a while, because an operator says so.
 *
 * A LEAVING member keeps its partitions for reads and takes their writes until their next owners
 * are whole and every process has had the time to learn that it leaves; then it is LEFT. */
#include <inttypes.h>

#include "common/base/alloc.h"
#include "common/ring/ring_internal.h"
#include "proto/internal.pb-c.h"

#define METHOD "member"
#define NS_PER_MS UINT64_C(1000000)

static bool contains(const uint16_t *owners, uint32_t rf, size_t member)
{
    for (uint32_t i = 0; i < rf; i++) {
        if (owners[i] == member) {
            return true;
        }
    }
    return false;
}

static bool has_moved(const struct nx_ring_view *view, uint32_t partition)
{
    const uint16_t *next = nx_ring_next_owners(view, partition);
    for (uint32_t i = 0; i < view->rf; i++) {
        if (next[i] == NX_PLACEMENT_NONE || !view->members[next[i]].healthy ||
            !nx_ring_is_whole(view, next[i], partition)) {
            return false;
        }
    }
    return true;
}

void nx_ring_departure(const struct nx_ring_view *view, size_t member, uint32_t *owned,
                       uint32_t *moved)
{
    *owned = 0;
    *moved = 0;
    for (uint32_t p = 0; p < view->partitions; p++) {
        if (contains(nx_ring_owners(view, p), view->rf, member)) {
            ++*owned;
            *moved += has_moved(view, p) ? 1 : 0;
        }
    }
}

void nx_ring_depart(struct nx_ring *ring)
{
    if (!ring->is_member || ring->self.state != NX_MEMBER_LEAVING) {
        return;
    }
    int64_t age_ms = nx_now_ms(ring->clock) - ring->self.since_ms;
    size_t self = nx_roster_find(ring->roster, ring->self_name);
    if (age_ms < (int64_t)(NX_RING_GRACE_TIMEOUTS * ring->limits.timeout_ns / NS_PER_MS) ||
        self == SIZE_MAX) {
        return;
    }
    uint32_t owned = 0;
    uint32_t moved = 0;
    nx_ring_departure(ring->view, self, &owned, &moved);
    if (moved == owned) {
        nx_ring_self_turn(ring, NX_MEMBER_LEFT);
    }
}

/* --- what an operator may ask for ------------------------------------------------------------ */

/* Members that would be there for the copies if this one left. */
static enum nx_err check_leave(const struct nx_ring *ring, struct nx_fail *fail)
{
    const struct nx_ring_view *view = ring->view;
    uint32_t others = 0;
    for (size_t i = 0; i < view->member_count; i++) {
        enum nx_member_state state = view->members[i].state;
        bool stays = state == NX_MEMBER_ACTIVE || state == NX_MEMBER_JOINING;
        others += !nx_ring_is_self(ring, i) && stays ? 1 : 0;
    }
    if (others < view->rf) {
        return nx_fail_set(fail, NX_ERR_FORBIDDEN,
                           "%" PRIu32 " other members stay, too few for %" PRIu32
                           " copies: add one first",
                           others, view->rf);
    }
    return NX_OK;
}

static enum nx_err check_readonly(const struct nx_ring *ring, struct nx_fail *fail)
{
    const struct nx_ring_view *view = ring->view;
    size_t self = nx_roster_find(ring->roster, ring->self_name);
    for (uint32_t p = 0; p < view->partitions; p++) {
        const uint16_t *owners = nx_ring_owners(view, p);
        uint32_t left = 0;
        for (uint32_t i = 0; i < view->rf; i++) {
            const struct nx_member *member =
                owners[i] == NX_PLACEMENT_NONE ? NULL : &view->members[owners[i]];
            left += member && owners[i] != self && member->healthy &&
                            member->state != NX_MEMBER_READONLY
                        ? 1
                        : 0;
        }
        if (contains(owners, view->rf, self) && left < nx_ring_write_quorum(view)) {
            return nx_fail_set(fail, NX_ERR_FORBIDDEN,
                               "partition %" PRIu32 " would have %" PRIu32
                               " owners that take writes, fewer than a majority of %" PRIu32,
                               p, left, view->rf);
        }
    }
    return NX_OK;
}

static enum nx_err check_change(const struct nx_ring *ring, enum nx_member_state to,
                                struct nx_fail *fail)
{
    enum nx_member_state from = ring->self.state;
    bool held = from == NX_MEMBER_LEAVING || from == NX_MEMBER_READONLY;
    if (from == to || (to == NX_MEMBER_LEAVING && from == NX_MEMBER_LEFT) ||
        (to == NX_MEMBER_ACTIVE && held)) {
        return NX_OK;
    }
    if (to == NX_MEMBER_LEAVING && from != NX_MEMBER_LEFT) {
        return check_leave(ring, fail);
    }
    if (to == NX_MEMBER_READONLY && from == NX_MEMBER_ACTIVE) {
        return check_readonly(ring, fail);
    }
    return nx_fail_set(fail, NX_ERR_FORBIDDEN, "it is %s, from which it cannot turn %s",
                       nx_member_state_text(from), nx_member_state_text(to));
}

enum nx_err nx_ring_ask_self_state(struct nx_ring *ring, enum nx_member_state state,
                                   struct nx_fail *fail)
{
    pthread_mutex_lock(&ring->lock);
    enum nx_err err = check_change(ring, state, fail);
    enum nx_member_state from = ring->self.state;
    if (err == NX_OK && !(state == NX_MEMBER_LEAVING && from == NX_MEMBER_LEFT)) {
        bool at_once = state == NX_MEMBER_LEAVING && from == NX_MEMBER_JOINING;
        nx_ring_self_turn(ring, at_once ? NX_MEMBER_LEFT : state);
    }
    pthread_mutex_unlock(&ring->lock);
    return err;
}

/* --- the RPC --------------------------------------------------------------------------------- */

static enum nx_err act(struct nx_ring *ring, const Narthex__MemberRequest *request,
                       struct nx_fail *fail)
{
    if (!ring->is_member || strcmp(request->name, ring->self_name) != 0) {
        return nx_fail_set(fail, NX_ERR_INVALID, "\"%.100s\" was asked, this is \"%.100s\"",
                           request->name, ring->self_name);
    }
    switch (request->action) {
    case NARTHEX__MEMBER_ACTION__MEMBER_ASK:
        return NX_OK;
    case NARTHEX__MEMBER_ACTION__MEMBER_DRAIN:
        return nx_ring_ask_self_state(ring, NX_MEMBER_LEAVING, fail);
    case NARTHEX__MEMBER_ACTION__MEMBER_RETURN:
        return nx_ring_ask_self_state(ring, NX_MEMBER_ACTIVE, fail);
    case NARTHEX__MEMBER_ACTION__MEMBER_READONLY:
        return nx_ring_ask_self_state(ring, NX_MEMBER_READONLY, fail);
    case _NARTHEX__MEMBER_ACTION_IS_INT_SIZE:
    default:
        return nx_fail_set(fail, NX_ERR_INVALID, "no such action");
    }
}

static void answer(struct nx_ring *ring, struct nx_rpc_request *req)
{
    Narthex__MemberResponse response = NARTHEX__MEMBER_RESPONSE__INIT;
    struct nx_ring_view *view = nx_ring_acquire(ring);
    for (size_t i = 0; i < view->member_count; i++) {
        if (strcmp(view->members[i].name, ring->self_name) == 0) {
            nx_ring_departure(view, i, &response.partitions, &response.moved);
        }
    }
    nx_ring_release(view);
    response.state = (uint32_t)nx_ring_self_state(ring);
    struct nx_buf out;
    nx_ring_reply(req, nx_ring_pack(&response.base, &out), &out);
}

static void serve(struct nx_rpc_request *req, void *user)
{
    struct nx_ring *ring = user;
    Narthex__MemberRequest *request =
        nx_ring_unpack_request(req, &narthex__member_request__descriptor);
    if (!request) {
        return;
    }
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = act(ring, request, &fail);
    nx_ring_free_message(&request->base);
    if (err != NX_OK) {
        nx_rpc_reply_error(req, err, fail.text);
    } else {
        answer(ring, req);
    }
}

enum nx_err nx_ring_serve_member(struct nx_ring *ring, struct nx_rpc_server *server)
{
    return nx_rpc_server_method(server, METHOD, serve, ring, NX_RING_MESSAGE_BYTES_MAX, NULL);
}
