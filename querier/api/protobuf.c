#include "querier/api/protobuf.h"

#include "querier/select/wire.h"

static size_t string_size(struct nx_view v)
{
    return v.len ? 1 + qry_pb_varint_size(v.len) + v.len : 0;
}

void qry_pb_put_label(struct nx_buf *buf, uint32_t number, struct nx_view name,
                      struct nx_view value)
{
    qry_pb_put_tag(buf, number, QRY_PB_BYTES);
    nx_buf_put_uvarint(buf, string_size(name) + string_size(value));
    qry_wire_put_bytes(buf, 1, name);
    qry_wire_put_bytes(buf, 2, value);
}

void qry_pb_put_span(struct nx_buf *buf, uint32_t number, const struct nx_span *span)
{
    uint64_t offset = qry_pb_zigzag(span->offset);
    size_t len = (offset ? 1 + qry_pb_varint_size(offset) : 0) +
                 (span->length ? 1 + qry_pb_varint_size(span->length) : 0);
    qry_pb_put_tag(buf, number, QRY_PB_BYTES);
    nx_buf_put_uvarint(buf, len);
    qry_wire_put_uint(buf, 1, offset);
    qry_wire_put_uint(buf, 2, span->length);
}
