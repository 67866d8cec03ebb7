/* Reading and writing the few protobuf messages of the internal RPC (proto/internal.proto) without
 * copies: bytes alias the message, and label values may hold any byte. Compared with the generated
 * code in the tests. */
#ifndef QRY_SELECT_WIRE_H
#define QRY_SELECT_WIRE_H

#include "common/base/buf.h"
#include "common/base/cursor.h"

struct qry_wire_field {
    uint32_t number;
    uint64_t integer;     /* varint and fixed fields */
    struct nx_view bytes; /* length-delimited fields; ptr NULL otherwise */
};

/* The next field; false at the end and on damage, which nx_cursor_ok tells apart. */
bool qry_wire_next(struct nx_cursor *cur, struct qry_wire_field *out);
static inline int64_t qry_wire_zigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Zero and empty values are left out, as proto3 has it. */
void qry_wire_put_uint(struct nx_buf *buf, uint32_t number, uint64_t v);
void qry_wire_put_sint(struct nx_buf *buf, uint32_t number, int64_t v);
void qry_wire_put_bytes(struct nx_buf *buf, uint32_t number, struct nx_view v);
/* Also when empty: an element of a repeated field. */
void qry_wire_put_element(struct nx_buf *buf, uint32_t number, struct nx_view v);

#endif
