#include "querier/select/wire.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

bool qry_wire_next(struct nx_cursor *cur, struct qry_wire_field *out)
{
    if (!nx_cursor_ok(cur) || nx_cursor_left(cur) == 0)
        return false;
    uint64_t tag = nx_cursor_uvarint(cur);
    struct qry_wire_field field = {.number = (uint32_t)(tag >> 3)};
    switch (tag & 7) {
    case WIRE_VARINT:
        field.integer = nx_cursor_uvarint(cur);
        break;
    case WIRE_FIXED64:
        field.integer = nx_cursor_u64(cur);
        break;
    case WIRE_BYTES:
        field.bytes = nx_cursor_bytes(cur);
        break;
    case WIRE_FIXED32:
        field.integer = nx_cursor_u32(cur);
        break;
    default:
        cur->failed = true;
        break;
    }
    if (tag >> 3 == 0 || tag > UINT32_MAX)
        cur->failed = true;
    if (!nx_cursor_ok(cur))
        return false;
    *out = field;
    return true;
}

static void put_tag(struct nx_buf *buf, uint32_t number, unsigned type)
{
    nx_buf_put_uvarint(buf, (uint64_t)number << 3 | type);
}

void qry_wire_put_uint(struct nx_buf *buf, uint32_t number, uint64_t v)
{
    if (v == 0)
        return;
    put_tag(buf, number, WIRE_VARINT);
    nx_buf_put_uvarint(buf, v);
}

void qry_wire_put_sint(struct nx_buf *buf, uint32_t number, int64_t v)
{
    qry_wire_put_uint(buf, number, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

void qry_wire_put_element(struct nx_buf *buf, uint32_t number, struct nx_view v)
{
    put_tag(buf, number, WIRE_BYTES);
    nx_buf_put_bytes(buf, v);
}

void qry_wire_put_bytes(struct nx_buf *buf, uint32_t number, struct nx_view v)
{
    if (v.len > 0)
        qry_wire_put_element(buf, number, v);
}
