/* The tag and the lengths are at most five bytes, values at most ten, as protobuf-c reads them;
 * bits beyond the type's width are dropped. */
#include "distributor/receive/pb_cursor.h"

#include "common/base/endian.h"

static bool fail(struct dist_pb *pb, const char *why)
{
    if (!pb->why)
        pb->why = why;
    pb->ptr = pb->end;
    return false;
}

static bool read_varint(struct dist_pb *pb, size_t max_bytes, uint64_t *out)
{
    const uint8_t *ptr = pb->ptr;
    if (ptr < pb->end && *ptr < 0x80) {
        *out = *ptr;
        pb->ptr = ptr + 1;
        return true;
    }
    uint64_t value = 0;
    unsigned shift = 0;
    for (size_t i = 0; i < max_bytes; i++, shift += 7) {
        if (ptr == pb->end)
            return fail(pb, "truncated varint");
        uint8_t byte = *ptr++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            pb->ptr = ptr;
            return true;
        }
    }
    return fail(pb, "varint of too many bytes");
}

static bool read_fixed(struct dist_pb *pb, size_t bytes, uint64_t *out)
{
    if ((size_t)(pb->end - pb->ptr) < bytes)
        return fail(pb, "truncated fixed-width value");
    *out = bytes == 8 ? nx_le64_load(pb->ptr) : nx_le32_load(pb->ptr);
    pb->ptr += bytes;
    return true;
}

bool dist_pb_next_slow(struct dist_pb *pb, struct dist_pb_field *field)
{
    if (pb->ptr == pb->end)
        return false;
    field->start = pb->ptr;
    uint64_t tag = 0;
    if (!read_varint(pb, 5, &tag))
        return false;
    if (tag > UINT32_MAX)
        return fail(pb, "field number too large");
    field->number = (uint32_t)(tag >> 3);
    if (field->number == 0)
        return fail(pb, "field number 0");
    switch (tag & 7) {
    case DIST_PB_VARINT:
        field->wire = DIST_PB_VARINT;
        return read_varint(pb, 10, &field->value);
    case DIST_PB_FIXED64:
        field->wire = DIST_PB_FIXED64;
        return read_fixed(pb, 8, &field->value);
    case DIST_PB_FIXED32:
        field->wire = DIST_PB_FIXED32;
        return read_fixed(pb, 4, &field->value);
    case DIST_PB_BYTES: {
        field->wire = DIST_PB_BYTES;
        uint64_t len = 0;
        if (!read_varint(pb, 5, &len))
            return false;
        if (len > (uint64_t)(pb->end - pb->ptr))
            return fail(pb, "length beyond the end of the message");
        field->bytes = nx_view_make(pb->ptr, (size_t)len);
        pb->ptr += len;
        return true;
    }
    default:
        return fail(pb, "unsupported wire type");
    }
}

struct nx_view dist_pb_bytes_of(struct dist_pb *pb, const struct dist_pb_field *field)
{
    if (field->wire == DIST_PB_BYTES)
        return field->bytes;
    (void)fail(pb, "wrong wire type for a string or message");
    return nx_view_make(NULL, 0);
}

uint64_t dist_pb_varint_of(struct dist_pb *pb, const struct dist_pb_field *field)
{
    if (field->wire == DIST_PB_VARINT)
        return field->value;
    (void)fail(pb, "wrong wire type for an integer");
    return 0;
}

uint64_t dist_pb_fixed64_of(struct dist_pb *pb, const struct dist_pb_field *field)
{
    if (field->wire == DIST_PB_FIXED64)
        return field->value;
    (void)fail(pb, "wrong wire type for a double");
    return 0;
}

struct dist_pb_run dist_pb_run_of(struct dist_pb *pb, const struct dist_pb_field *field,
                                  enum dist_pb_wire wire)
{
    struct dist_pb_run run = {.wire = wire};
    run.elements = dist_pb_of(nx_view_make(NULL, 0));
    if (field->wire == wire) {
        run.single = field->value;
        run.has_single = true;
    } else if (field->wire == DIST_PB_BYTES) {
        run.elements = dist_pb_of(field->bytes);
        if (wire == DIST_PB_FIXED64 && field->bytes.len % 8 != 0)
            (void)fail(pb, "packed doubles of a broken length");
    } else {
        (void)fail(pb, "wrong wire type for a repeated number");
    }
    return run;
}

bool dist_pb_run_next(struct dist_pb *pb, struct dist_pb_run *run, uint64_t *value)
{
    if (pb->why)
        return false;
    if (run->has_single) {
        run->has_single = false;
        *value = run->single;
        return true;
    }
    if (run->elements.ptr == run->elements.end)
        return false;
    bool got = run->wire == DIST_PB_FIXED64 ? read_fixed(&run->elements, 8, value)
                                            : read_varint(&run->elements, 10, value);
    return got || fail(pb, run->elements.why);
}

size_t dist_pb_run_bound(const struct dist_pb_run *run)
{
    size_t left = (size_t)(run->elements.end - run->elements.ptr);
    return run->has_single ? 1 : run->wire == DIST_PB_FIXED64 ? left / 8 : left;
}
