/* Which samples of the log are in blocks already: a block says for each shard up to which segment
 * it holds the samples of its windows. Built at start from the blocks, asked by the replay. */
#ifndef ING_WAL_COVERAGE_H
#define ING_WAL_COVERAGE_H

#include "common/base/index.h"
#include "common/base/view.h"

struct ing_coverage_item {
    uint64_t tenant_hash[2];
    int64_t window;
    uint64_t before; /* samples in segments before this one are in a block */
    uint32_t shard;
};

struct ing_coverage {
    struct nx_index index;
    struct ing_coverage_item *items;
    size_t count;
    size_t capacity;
};

void ing_coverage_init(struct ing_coverage *coverage);
void ing_coverage_release(struct ing_coverage *coverage);
enum nx_err ing_coverage_add(struct ing_coverage *coverage, struct nx_view tenant, int64_t window,
                             uint32_t shard, uint64_t before) NX_WARN_UNUSED;
/* The segment from which on samples of that window are not in a block; 0 where none are. */
uint64_t ing_coverage_before(const struct ing_coverage *coverage, struct nx_view tenant,
                             int64_t window, uint32_t shard);

#endif
