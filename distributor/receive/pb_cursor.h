/* A bounds-checked reader of protobuf bytes for the hot wire formats. It allocates nothing and
 * never recurses: a message within a message is a view that the caller opens with a cursor of its
 * own, so the nesting is what the schema has and no more. Strings and messages alias the source.
 *
 * Accepted and rejected as protobuf-c does: groups, field number 0, truncated or over-long varints
 * and lengths beyond the end fail; unknown fields are the caller's to skip. A known field with
 * another wire type than its own fails (dist_pb_*_of). After a failure every call returns zero or
 * false and `why` stays. Pure, any thread. */
#ifndef DIST_RECEIVE_PB_CURSOR_H
#define DIST_RECEIVE_PB_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/view.h"

enum dist_pb_wire {
    DIST_PB_VARINT = 0,
    DIST_PB_FIXED64 = 1,
    DIST_PB_BYTES = 2,
    DIST_PB_FIXED32 = 5
};

struct dist_pb {
    const uint8_t *ptr;
    const uint8_t *end;
    const char *why; /* NULL while all is well; a constant text otherwise */
};

struct dist_pb_field {
    uint32_t number;
    enum dist_pb_wire wire;
    uint64_t value;       /* VARINT, FIXED64, FIXED32 */
    struct nx_view bytes; /* BYTES */
    const uint8_t *start; /* of the tag */
};

static inline struct dist_pb dist_pb_of(struct nx_view bytes)
{
    const uint8_t *ptr = (const uint8_t *)(const void *)bytes.ptr;
    return (struct dist_pb){.ptr = ptr, .end = bytes.len ? ptr + bytes.len : ptr, .why = NULL};
}

static inline bool dist_pb_ok(const struct dist_pb *pb)
{
    return !pb->why;
}

bool dist_pb_next_slow(struct dist_pb *pb, struct dist_pb_field *field);
/* The next field; false at the end and on failure. Most are a tag of one byte and a text or message
 * of fewer than 128, which are read in place. */
static inline bool dist_pb_next(struct dist_pb *pb, struct dist_pb_field *field)
{
    const uint8_t *at = pb->ptr;
    if (pb->end - at < 2 || at[0] < 8 || (at[0] & 0x87) != DIST_PB_BYTES || at[1] >= 0x80 ||
        at[1] > pb->end - at - 2)
        return dist_pb_next_slow(pb, field);
    field->start = at;
    field->number = at[0] >> 3;
    field->wire = DIST_PB_BYTES;
    field->bytes = nx_view_make(at + 2, at[1]);
    pb->ptr = at + 2 + at[1];
    return true;
}

/* The field as the type the schema gives it; a field of another wire type fails the cursor. */
struct nx_view dist_pb_bytes_of(struct dist_pb *pb, const struct dist_pb_field *field);
uint64_t dist_pb_varint_of(struct dist_pb *pb, const struct dist_pb_field *field);
uint64_t dist_pb_fixed64_of(struct dist_pb *pb, const struct dist_pb_field *field);

static inline int64_t dist_pb_zigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
static inline int32_t dist_pb_zigzag32(uint64_t v)
{
    uint32_t low = (uint32_t)v;
    return (int32_t)(low >> 1) ^ -(int32_t)(low & 1);
}

/* The values of one field of a repeated scalar: a packed run, or the single value of the unpacked
 * form. `wire` is that of one element, VARINT or FIXED64. */
struct dist_pb_run {
    struct dist_pb elements;
    enum dist_pb_wire wire;
    uint64_t single;
    bool has_single;
};
struct dist_pb_run dist_pb_run_of(struct dist_pb *pb, const struct dist_pb_field *field,
                                  enum dist_pb_wire wire);
/* False at the end of the run and on failure; a failure is passed on to `pb`. */
bool dist_pb_run_next(struct dist_pb *pb, struct dist_pb_run *run, uint64_t *value);
/* How many elements the run has at most (exact for FIXED64). */
size_t dist_pb_run_bound(const struct dist_pb_run *run);

#endif
