/* An RPC that asks every shard: admitted, decoded, carried to the shards' workers and answered on
 * the worker it came in on. What differs (the message, a shard's share, the answer) is the asker's,
 * whose struct begins with this one. */
#ifndef ING_ASK_H
#define ING_ASK_H

#include "ingester/ingester_internal.h"

struct ing_ask {
    struct ingester *ing;
    struct nx_rpc_request *req;
    struct ing_pb pb; /* the message, and what is answered */
    struct nx_matcher *matchers;
    size_t matcher_count;
    struct ing_fan fan;
    struct nx_arena *arenas; /* one a shard; NULL unless asked for */
    struct nx_fail fail;     /* why it fails, where the code does not say enough */
    void (*release)(struct ing_ask *ask);
};

/* `size` bytes, zero behind the struct ing_ask they begin with; from here on the request is
 * answered by ing_ask_reply or ing_ask_fail. `release` (or NULL) frees what the asker owns beside.
 * NULL where the request was refused; it has been answered then. */
void *ing_ask_new(struct ingester *ing, struct nx_rpc_request *req, size_t size,
                  void (*release)(struct ing_ask *ask));
/* The body as a message of that type, in the ask's memory; NULL where it is none, which `fail` says
 * then (NX_ERR_INVALID). `method` is named in the text. */
const void *ing_ask_message(struct ing_ask *ask, const ProtobufCMessageDescriptor *type,
                            const char *method);
enum nx_err ing_ask_matchers(struct ing_ask *ask, Narthex__Matcher *const *rows,
                             size_t count) NX_WARN_UNUSED;
/* An arena for each shard's share of the answer, all of them together of so many bytes at most. */
enum nx_err ing_ask_arenas(struct ing_ask *ask, size_t max_bytes) NX_WARN_UNUSED;
/* As ing_fan_start, or the end where `err`, which is what came of preparing it, is one. */
void ing_ask_start(struct ing_ask *ask, enum nx_err err, void (*run)(struct ing_fan_slot *slot),
                   void (*done)(struct ing_fan *fan));

/* Both end the ask. Without a message the answer is empty. */
void ing_ask_reply(struct ing_ask *ask, const ProtobufCMessage *message);
void ing_ask_fail(struct ing_ask *ask, enum nx_err err);

#endif
