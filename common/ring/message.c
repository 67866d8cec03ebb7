/* The messages of the ring's RPCs: small, each in memory of its own. */
#include "common/base/alloc.h"
#include "common/ring/ring_internal.h"

static void *pb_alloc(void *data, size_t size)
{
    (void)data;
    return nx_alloc(size);
}

static void pb_free(void *data, void *ptr)
{
    (void)data;
    nx_free(ptr);
}

static ProtobufCAllocator pb_allocator(void)
{
    return (ProtobufCAllocator){.alloc = pb_alloc, .free = pb_free};
}

enum nx_err nx_ring_pack(const ProtobufCMessage *message, struct nx_buf *out)
{
    nx_buf_init(out, NX_RING_MESSAGE_BYTES_MAX);
    size_t size = protobuf_c_message_get_packed_size(message);
    enum nx_err err = nx_buf_reserve(out, size);
    if (err == NX_OK) {
        out->len = protobuf_c_message_pack(message, (uint8_t *)out->data);
    }
    return err;
}

void nx_ring_reply(struct nx_rpc_request *req, enum nx_err packed, struct nx_buf *out)
{
    if (packed == NX_OK) {
        nx_rpc_reply(req, out);
    } else {
        nx_rpc_reply_error(req, packed, nx_err_text(packed));
    }
    nx_buf_release(out);
}

void *nx_ring_unpack(struct nx_view body, const ProtobufCMessageDescriptor *type)
{
    ProtobufCAllocator allocator = pb_allocator();
    return protobuf_c_message_unpack(type, &allocator, body.len, (const uint8_t *)body.ptr);
}

void *nx_ring_unpack_request(struct nx_rpc_request *req, const ProtobufCMessageDescriptor *type)
{
    void *message = nx_ring_unpack(nx_rpc_request_body(req), type);
    if (!message) {
        nx_rpc_reply_error(req, NX_ERR_INVALID, "malformed request");
    }
    return message;
}

void nx_ring_free_message(ProtobufCMessage *message)
{
    ProtobufCAllocator allocator = pb_allocator();
    protobuf_c_message_free_unpacked(message, &allocator);
}
