/* Series identity: 128-bit XXH3 over the tenant and the canonical label set (architecture: section
 * 3).
 *
 * Hashed bytes: tenant, 0xFF, then per label name, 0xFF, value, 0xFF. 0xFF never occurs in UTF-8,
 * so different inputs give different byte strings. Ids are part of the wire and disk formats. */
#ifndef NX_LABELS_SERIES_ID_H
#define NX_LABELS_SERIES_ID_H

#include "common/labels/labels.h"

#define NX_SERIES_ID_BYTES 16

struct nx_series_id {
    uint64_t hi;
    uint64_t lo;
};

struct nx_series_id nx_series_id_of(struct nx_view tenant, struct nx_labels labels);

static inline bool nx_series_id_eq(struct nx_series_id a, struct nx_series_id b)
{
    return a.hi == b.hi && a.lo == b.lo;
}
/* Negative, zero or positive; hi first. */
int nx_series_id_cmp(struct nx_series_id a, struct nx_series_id b);

/* The partition (slice of the id space) the series belongs to: the high 64 bits scaled to
 * [0, partitions), so that partitions are contiguous ranges of ids. */
static inline uint32_t nx_series_id_partition(struct nx_series_id id, uint32_t partitions)
{
    return (uint32_t)(((unsigned __int128)id.hi * partitions) >> 64);
}

/* 16 bytes, hi then lo, each little-endian. */
void nx_series_id_put(struct nx_buf *buf, struct nx_series_id id);
struct nx_series_id nx_series_id_read(struct nx_cursor *cur);

#endif
