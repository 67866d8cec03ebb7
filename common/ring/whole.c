#include "common/ring/whole.h"

#include <string.h>

#include "common/base/alloc.h"

static size_t bytes_of(uint32_t partitions)
{
    return ((size_t)partitions + 7) / 8;
}

/* Bits behind the last partition are always clear. */
static void recount(struct nx_whole *whole)
{
    if (whole->partitions % 8) {
        whole->bits[whole->partitions / 8] &= (uint8_t)((1u << (whole->partitions % 8)) - 1);
    }
    whole->count = 0;
    for (size_t i = 0; i < bytes_of(whole->partitions); i++) {
        whole->count += (uint32_t)__builtin_popcount(whole->bits[i]);
    }
}

struct nx_whole *nx_whole_new(uint32_t partitions, bool all)
{
    struct nx_whole *whole = nx_calloc(1, sizeof(*whole) + bytes_of(partitions));
    if (whole) {
        nx_refcount_init(&whole->refs);
        whole->partitions = partitions;
        memset(whole->bits, all ? 0xFF : 0, bytes_of(partitions));
        recount(whole);
    }
    return whole;
}

struct nx_whole *nx_whole_read(uint32_t partitions, struct nx_view bits)
{
    if (bits.len != bytes_of(partitions)) {
        return NULL;
    }
    struct nx_whole *whole = nx_whole_new(partitions, false);
    if (whole && bits.len > 0) {
        memcpy(whole->bits, bits.ptr, bits.len);
        recount(whole);
    }
    return whole;
}

struct nx_whole *nx_whole_with(const struct nx_whole *old, uint32_t partition, bool in)
{
    struct nx_whole *whole = nx_whole_read(old->partitions, nx_whole_bits(old));
    if (whole && partition < whole->partitions) {
        uint8_t bit = (uint8_t)(1u << (partition % 8));
        whole->bits[partition / 8] =
            (uint8_t)(in ? whole->bits[partition / 8] | bit : whole->bits[partition / 8] & ~bit);
        recount(whole);
    }
    return whole;
}

struct nx_whole *nx_whole_take(struct nx_whole *whole)
{
    nx_refcount_take(&whole->refs);
    return whole;
}

void nx_whole_drop(struct nx_whole *whole)
{
    if (whole && nx_refcount_drop(&whole->refs)) {
        nx_free(whole);
    }
}
