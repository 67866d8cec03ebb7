#include "distributor/receive/families.h"

#include "common/base/hash.h"

void dist_families_init(struct dist_families *families)
{
    nx_index_init(&families->entries);
}

void dist_families_release(struct dist_families *families)
{
    nx_index_release(&families->entries);
}

static bool same_entry(uint32_t ref, const void *key, const void *user)
{
    const struct dist_batch *batch = user;
    const struct dist_metadata *a = &batch->metadata[ref];
    const struct dist_metadata *b = key;
    return a->type == b->type && nx_view_eq(a->metric, b->metric) && nx_view_eq(a->help, b->help) &&
           nx_view_eq(a->unit, b->unit);
}

static uint64_t hash_entry(const struct dist_metadata *entry)
{
    uint64_t parts[] = {nx_hash_view(entry->metric), nx_hash_view(entry->help),
                        nx_hash_view(entry->unit), entry->type};
    return nx_hash_view(nx_view_make(parts, sizeof parts));
}

enum nx_err dist_families_add(struct dist_families *families, struct dist_decoding *d,
                              const struct dist_metadata *entry)
{
    struct dist_batch *batch = d->batch;
    struct dist_metadata *added = NULL;
    if (entry->metric.len == 0 ||
        (entry->type == 0 && entry->help.len == 0 && entry->unit.len == 0))
        return NX_OK;
    uint64_t hash = hash_entry(entry);
    if (nx_index_find(&families->entries, hash, same_entry, entry, batch) != NX_INDEX_NONE)
        return NX_OK;
    enum nx_err err = dist_decoding_element(d, batch->metadata_count, "metadata entries");
    if (!err)
        err = nx_index_insert(&families->entries, hash, (uint32_t)batch->metadata_count);
    if (!err)
        err = dist_batch_add_metadata(batch, &added);
    if (!err)
        *added = *entry;
    return err;
}
