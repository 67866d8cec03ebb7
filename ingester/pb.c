/* protobuf-c over arenas: a decoded message is freed with its request. */
#include "ingester/ingester_internal.h"

static void *arena_alloc(void *data, size_t size)
{
    return nx_arena_alloc(data, size);
}

static void arena_free(void *data, void *ptr)
{
    (void)data;
    (void)ptr;
}

void ing_pb_init(struct ing_pb *pb)
{
    nx_arena_init(&pb->arena, 0);
    pb->allocator = (ProtobufCAllocator){
        .alloc = arena_alloc, .free = arena_free, .allocator_data = &pb->arena};
}

void ing_pb_release(struct ing_pb *pb)
{
    nx_arena_release(&pb->arena);
}

enum nx_err ing_pb_pack(const ProtobufCMessage *message, struct nx_buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    enum nx_err err = nx_buf_reserve(out, size);
    if (err == NX_OK)
        out->len += protobuf_c_message_pack(message, (uint8_t *)out->data + out->len);
    return err;
}

void ing_pb_reply(struct nx_rpc_request *req, const ProtobufCMessage *message)
{
    struct nx_buf buf;
    nx_buf_init(&buf, SIZE_MAX / 4);
    enum nx_err err = ing_pb_pack(message, &buf);
    if (err == NX_OK) {
        nx_rpc_reply(req, &buf);
    } else {
        nx_rpc_reply_error(req, err, nx_err_text(err));
    }
    nx_buf_release(&buf);
}

enum nx_err ing_matchers_init(Narthex__Matcher *const *rows, size_t count, struct nx_arena *arena,
                              struct nx_matcher **out, struct nx_fail *fail)
{
    struct nx_matcher *matchers = nx_arena_array(arena, count, sizeof *matchers);
    if (!matchers)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        enum nx_err err = NX_ERR_INVALID;
        if (rows[i]->type > NX_MATCH_NRE)
            nx_fail_set(fail, err, "matcher of unknown type %u", (unsigned)rows[i]->type);
        else
            err = nx_matcher_init(&matchers[i], arena, (enum nx_match_type)rows[i]->type,
                                  nx_view_of(rows[i]->name), nx_view_of(rows[i]->value), fail);
        if (err != NX_OK) {
            ing_matchers_release(matchers, i);
            return err;
        }
    }
    *out = matchers;
    return NX_OK;
}

void ing_matchers_release(struct nx_matcher *matchers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        nx_matcher_release(&matchers[i]);
}

enum nx_err ing_partition_filter_init(struct ing_partition_filter *filter,
                                      const ProtobufCBinaryData *bits, uint32_t partitions)
{
    if (bits->len > 0 && bits->len != (partitions + 7) / 8)
        return NX_ERR_INVALID;
    *filter = (struct ing_partition_filter){.partitions = partitions,
                                            .bits = bits->len > 0 ? bits->data : NULL};
    return NX_OK;
}

enum nx_err ing_tombstone_message(const struct ing_tombstone *tombstone, struct nx_arena *arena,
                                  Narthex__Deletion **out)
{
    Narthex__Deletion *deletion = nx_arena_alloc(arena, sizeof *deletion);
    Narthex__Matcher *matchers = nx_arena_array(arena, tombstone->matcher_count, sizeof *matchers);
    Narthex__Matcher **list =
        nx_arena_array(arena, tombstone->matcher_count, sizeof(Narthex__Matcher *));
    uint8_t *id = nx_arena_alloc(arena, 16);
    if (!deletion || !matchers || !list || !id)
        return NX_ERR_NOMEM;
    nx_le64_store(id, tombstone->id.hi);
    nx_le64_store(id + 8, tombstone->id.lo);
    for (size_t i = 0; i < tombstone->matcher_count; i++) {
        matchers[i] = (Narthex__Matcher)NARTHEX__MATCHER__INIT;
        matchers[i].type = (uint32_t)tombstone->matchers[i].type;
        matchers[i].name = (char *)(uintptr_t)tombstone->matchers[i].name.ptr;
        matchers[i].value = (char *)(uintptr_t)tombstone->matchers[i].value.ptr;
        list[i] = &matchers[i];
    }
    *deletion = (Narthex__Deletion)NARTHEX__DELETION__INIT;
    deletion->id = (ProtobufCBinaryData){.data = id, .len = 16};
    deletion->matchers = list;
    deletion->n_matchers = tombstone->matcher_count;
    deletion->min_t = tombstone->range.min_t;
    deletion->max_t = tombstone->range.max_t;
    deletion->created_ms = tombstone->created_ms;
    *out = deletion;
    return NX_OK;
}
