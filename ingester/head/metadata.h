/* What is known of a tenant's metrics: type, help and unit; the last word wins. One thread. */
#ifndef ING_HEAD_METADATA_H
#define ING_HEAD_METADATA_H

#include <assert.h>

#include "common/base/hash.h"
#include "common/base/index.h"
#include "common/base/view.h"

#define ING_METADATA_MAX 50000 /* metrics of a tenant in a shard; more are not kept */
#define ING_METADATA_TEXT_MAX \
    16384 /* bytes of name, help and unit together; longer ones are not kept */

struct ing_metadata {
    struct nx_view metric;
    struct nx_view help;
    struct nx_view unit;
    uint32_t type; /* MetricMetadata.MetricType */
};

struct ing_metadata_table {
    struct nx_index index;
    struct ing_metadata *items;
    size_t count;
    size_t capacity;
};

/* The shard that keeps a metric's metadata. */
static inline uint32_t ing_metadata_shard(struct nx_view metric, uint32_t shards)
{
    assert(shards > 0);
    return (uint32_t)(nx_hash_view(metric) % shards);
}

void ing_metadata_init(struct ing_metadata_table *table);
void ing_metadata_release(struct ing_metadata_table *table);
/* Copies the texts. *changed is false where this was known, or is not kept. */
enum nx_err ing_metadata_set(struct ing_metadata_table *table, const struct ing_metadata *metadata,
                             bool *changed) NX_WARN_UNUSED;
/* NULL where nothing is known. */
const struct ing_metadata *ing_metadata_get(const struct ing_metadata_table *table,
                                            struct nx_view metric);

#endif
