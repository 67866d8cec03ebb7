/* The RPC method `digests`: what this node holds, told to a peer. */
#ifndef ING_REPAIR_SERVE_H
#define ING_REPAIR_SERVE_H

#include "ingester/repair/ledger.h"

#define ING_DIGESTS_BODY_MAX ((size_t)1 << 20)
#define ING_DIGESTS_ANSWER_MAX ((size_t)64 << 20)

struct ing_digest_server {
    struct ingester *ing;
    struct nx_lane *lane;
    struct ing_ledger *ledger;
};
/* Handles a request; `server` is a struct ing_digest_server that outlives it. */
void ing_digests_handle(struct nx_rpc_request *req, void *server);

#endif
