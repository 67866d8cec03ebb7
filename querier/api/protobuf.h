/* Pieces of protobuf that the public messages need beside those of select/wire.h. */
#ifndef QRY_API_PROTOBUF_H
#define QRY_API_PROTOBUF_H

#include "common/chunk/sample.h"
#include "common/labels/labels.h"

enum qry_pb_type { QRY_PB_VARINT = 0, QRY_PB_FIXED64 = 1, QRY_PB_BYTES = 2 };

static inline uint64_t qry_pb_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline size_t qry_pb_varint_size(uint64_t v)
{
    return v == 0 ? 1 : (size_t)(70 - __builtin_clzll(v)) / 7;
}
static inline void qry_pb_put_tag(struct nx_buf *buf, uint32_t number, enum qry_pb_type type)
{
    nx_buf_put_uvarint(buf, (uint64_t)number << 3 | type);
}
/* Also when zero. */
static inline void qry_pb_put_double(struct nx_buf *buf, uint32_t number, double v)
{
    qry_pb_put_tag(buf, number, QRY_PB_FIXED64);
    nx_buf_put_u64(buf, nx_double_bits(v));
}

/* A message of two strings, name and value. */
void qry_pb_put_label(struct nx_buf *buf, uint32_t number, struct nx_view name,
                      struct nx_view value);
/* A BucketSpan. */
void qry_pb_put_span(struct nx_buf *buf, uint32_t number, const struct nx_span *span);

#endif
