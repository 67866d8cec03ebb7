/* Deletions that a peer knows of and this node does not: asked for, and carried out here through
 * the method `delete` of this process, up to the moment they were made. On worker 0. */
#ifndef ING_REPAIR_DELETIONS_H
#define ING_REPAIR_DELETIONS_H

#include "ingester/ingester_internal.h"

struct ing_deletions {
    /* --- set by the owner --- */
    struct ingester *ing;
    struct nx_rpc_client *client;
    const char *peer;
    const char *own_address;
    int64_t until; /* any that is in the peer's digests anyway */
    uint64_t timeout_ms;
    void (*done)(struct ing_deletions *deletions, enum nx_err err);
    /* --- the result --- */
    size_t learnt;
    /* --- its own --- */
    struct nx_buf answer;
    struct ing_pb pb;
    const Narthex__DigestsResponse *list;
    size_t at;
    struct nx_rpc_call *call;
};

void ing_deletions_start(struct ing_deletions *deletions);
void ing_deletions_cancel(struct ing_deletions *deletions);
void ing_deletions_release(struct ing_deletions *deletions);

#endif
