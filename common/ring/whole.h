/* A set of partitions, shared and immutable: those of which a member has all data. */
#ifndef NX_RING_WHOLE_H
#define NX_RING_WHOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/refcount.h"
#include "common/base/view.h"

struct nx_whole {
    struct nx_refcount refs;
    uint32_t partitions;
    uint32_t count; /* in the set */
    uint8_t bits[]; /* partition p is bit p % 8 of byte p / 8 */
};

/* None or all of the partitions. NULL without memory. */
struct nx_whole *nx_whole_new(uint32_t partitions, bool all);
/* From its bits; NULL without memory, or where they are not as many bytes as `partitions` need. */
struct nx_whole *nx_whole_read(uint32_t partitions, struct nx_view bits);
/* `old` with one partition put in or taken out. */
struct nx_whole *nx_whole_with(const struct nx_whole *old, uint32_t partition, bool in);
struct nx_whole *nx_whole_take(struct nx_whole *whole);
/* NULL is ignored. */
void nx_whole_drop(struct nx_whole *whole);

static inline bool nx_whole_has(const struct nx_whole *whole, uint32_t partition)
{
    return partition < whole->partitions && (whole->bits[partition / 8] >> (partition % 8) & 1);
}
static inline struct nx_view nx_whole_bits(const struct nx_whole *whole)
{
    return nx_view_make((const char *)whole->bits, (whole->partitions + 7) / 8);
}

#endif
