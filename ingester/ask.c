#include "ingester/ask.h"

#include "common/base/alloc.h"

void *ing_ask_new(struct ingester *ing, struct nx_rpc_request *req, size_t size,
                  void (*release)(struct ing_ask *ask))
{
    if (!ing_admit(ing, req))
        return NULL;
    struct ing_ask *ask = nx_calloc(1, size);
    if (!ask) {
        nx_rpc_reply_error(req, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        ing_leave(ing);
        return NULL;
    }
    ask->ing = ing;
    ask->req = req;
    ask->release = release;
    ing_pb_init(&ask->pb);
    return ask;
}

const void *ing_ask_message(struct ing_ask *ask, const ProtobufCMessageDescriptor *type,
                            const char *method)
{
    struct nx_view body = nx_rpc_request_body(ask->req);
    const void *message =
        protobuf_c_message_unpack(type, &ask->pb.allocator, body.len, (const uint8_t *)body.ptr);
    if (!message)
        nx_fail_set(&ask->fail, NX_ERR_INVALID, "%s: malformed message", method);
    return message;
}

enum nx_err ing_ask_matchers(struct ing_ask *ask, Narthex__Matcher *const *rows, size_t count)
{
    enum nx_err err = ing_matchers_init(rows, count, &ask->pb.arena, &ask->matchers, &ask->fail);
    if (err == NX_OK)
        ask->matcher_count = count;
    return err;
}

enum nx_err ing_ask_arenas(struct ing_ask *ask, size_t max_bytes)
{
    uint32_t shards = ask->ing->shard_count;
    struct nx_arena *arenas = nx_arena_calloc(&ask->pb.arena, shards, sizeof *arenas);
    if (!arenas)
        return NX_ERR_NOMEM;
    for (uint32_t i = 0; i < shards; i++)
        nx_arena_init(&arenas[i], max_bytes / shards);
    ask->arenas = arenas;
    return NX_OK;
}

static void end(struct ing_ask *ask)
{
    struct ingester *ing = ask->ing;
    if (ask->release)
        ask->release(ask);
    for (uint32_t i = 0; ask->arenas && i < ing->shard_count; i++)
        nx_arena_release(&ask->arenas[i]);
    ing_matchers_release(ask->matchers, ask->matcher_count);
    ing_pb_release(&ask->pb);
    nx_free(ask);
    ing_leave(ing);
}

void ing_ask_reply(struct ing_ask *ask, const ProtobufCMessage *message)
{
    struct nx_buf empty;
    nx_buf_init(&empty, 16);
    if (message)
        ing_pb_reply(ask->req, message);
    else
        nx_rpc_reply(ask->req, &empty);
    end(ask);
}

void ing_ask_fail(struct ing_ask *ask, enum nx_err err)
{
    nx_rpc_reply_error(ask->req, err,
                       ask->fail.code != NX_OK ? nx_fail_text(&ask->fail) : nx_err_text(err));
    end(ask);
}

void ing_ask_start(struct ing_ask *ask, enum nx_err err, void (*run)(struct ing_fan_slot *slot),
                   void (*done)(struct ing_fan *fan))
{
    struct ing_fan *fan = &ask->fan;
    if (err == NX_OK) {
        fan->slots = nx_arena_calloc(&ask->pb.arena, ask->ing->shard_count, sizeof *fan->slots);
        err = fan->slots ? NX_OK : NX_ERR_NOMEM;
    }
    if (err != NX_OK) {
        ing_ask_fail(ask, err);
        return;
    }
    fan->ing = ask->ing;
    fan->home = nx_rpc_request_worker(ask->req);
    fan->run = run;
    fan->done = done;
    ing_fan_start(fan);
}
