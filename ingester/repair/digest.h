/* Digests: what a replica holds of a partition in a window of five minutes, as a count of samples
 * and a sum of their hashes (docs/formats/rpc.md, "digests"). The sum does not depend on the order,
 * so equal data has equal digests whatever form it is kept in; digests of disjoint data add up.
 *
 * What is hashed of a sample: the series' id, the time, and the bits of the value, or the canonical
 * encoding of a histogram without its reset hint (which says what a copy has seen before it, not
 * what was measured); a gauge stays one. One thread. */
#ifndef ING_REPAIR_DIGEST_H
#define ING_REPAIR_DIGEST_H

#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/index.h"
#include "common/chunk/chunk.h"
#include "common/labels/series_id.h"

#define ING_DIGEST_WINDOW_MS INT64_C(300000)

struct ing_digest {
    uint64_t count;
    uint64_t hash; /* sum modulo 2^64 */
};

static inline bool ing_digest_eq(struct ing_digest a, struct ing_digest b)
{
    return a.count == b.count && a.hash == b.hash;
}
/* The start of the digest window that holds t. */
static inline int64_t ing_digest_window(int64_t t)
{
    int64_t rest = t % ING_DIGEST_WINDOW_MS;
    return t - (rest < 0 ? rest + ING_DIGEST_WINDOW_MS : rest);
}
/* Mixes a number into a hash. */
uint64_t ing_digest_mix(uint64_t hash, uint64_t v);

struct ing_digest_row {
    int64_t window; /* its start */
    uint32_t partition;
    struct ing_digest digest;
};

/* Digests by partition and window. */
struct ing_digest_table {
    struct nx_index index;
    struct ing_digest_row *rows;
    size_t count;
    size_t capacity;
};
void ing_digest_table_init(struct ing_digest_table *table);
void ing_digest_table_release(struct ing_digest_table *table);
void ing_digest_table_clear(struct ing_digest_table *table);
/* Adds to what is there. */
enum nx_err ing_digest_table_add(struct ing_digest_table *table, uint32_t partition, int64_t window,
                                 struct ing_digest digest) NX_WARN_UNUSED;
/* NULL where there is nothing; valid until the next change. */
struct ing_digest *ing_digest_table_find(const struct ing_digest_table *table, uint32_t partition,
                                         int64_t window);
/* Forgets the windows that begin in [from, to). NX_ERR_NOMEM: the table is empty then. */
enum nx_err ing_digest_table_drop(struct ing_digest_table *table, int64_t from,
                                  int64_t to) NX_WARN_UNUSED;
/* By partition, then window. NX_ERR_NOMEM: the table is empty then. */
enum nx_err ing_digest_table_sort(struct ing_digest_table *table) NX_WARN_UNUSED;

/* Samples of one series, with a buffer for the encoding of its histograms. */
struct ing_digest_sum {
    struct ing_digest_table *table;
    uint32_t partitions;
    struct nx_buf scratch;
};
void ing_digest_sum_init(struct ing_digest_sum *sum, struct ing_digest_table *table,
                         uint32_t partitions);
void ing_digest_sum_release(struct ing_digest_sum *sum);
/* Adds the series' samples in [min_t, max_t], each time once, whatever its chunks are (their merge
 * decides between two values for one time). NX_ERR_CORRUPT, and a part may have been added. */
enum nx_err ing_digest_sum_chunks(struct ing_digest_sum *sum, struct nx_series_id id,
                                  const struct nx_chunk *chunks, size_t count, int64_t min_t,
                                  int64_t max_t) NX_WARN_UNUSED;

/* The table's bytes, sorted first, and back; NX_ERR_CORRUPT for partitions that do not exist or
 * rows that are not in order. */
enum nx_err ing_digest_table_encode(struct ing_digest_table *table,
                                    struct nx_buf *out) NX_WARN_UNUSED;
enum nx_err ing_digest_table_decode(struct nx_cursor *cur, uint32_t partitions,
                                    struct ing_digest_table *out) NX_WARN_UNUSED;

#endif
