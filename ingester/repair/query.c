#include "ingester/repair/query.h"

/* Windows that retention cannot have touched yet, by the clock of who asks. */
static int64_t kept_from(const struct ingester *ing, const struct ing_digest_query *query,
                         struct nx_view tenant)
{
    int64_t age_ms = query->retention_ms;
    if (ing->deps.overrides) {
        struct nx_tenant_limits limits;
        nx_overrides_get(ing->deps.overrides, tenant, &limits);
        if (limits.retention_ms >= 0)
            age_ms = limits.retention_ms;
    }
    int64_t from = ing_digest_window(query->now_ms - age_ms) + ING_DIGEST_WINDOW_MS;
    return from > query->from ? from : query->from;
}

enum nx_err ing_digest_query_add(const struct ingester *ing, const struct ing_digest_query *query,
                                 struct ing_ledger_page page, struct ing_digest_table *out)
{
    int64_t from = kept_from(ing, query, page.tenant);
    for (size_t i = 0; i < page.digests->count; i++) {
        const struct ing_digest_row *row = &page.digests->rows[i];
        if (row->window < from || row->window >= query->until || row->digest.count == 0 ||
            !ing_partition_has(&query->filter, row->partition))
            continue;
        enum nx_err err = ing_digest_table_add(
            out, row->partition, ing_digest_bucket(row->window, query->bucket_ms), row->digest);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

enum nx_err ing_digest_deletions(const struct ingester *ing, uint64_t *out)
{
    struct ing_tombstone_list list;
    struct nx_interval always = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    enum nx_err err = ing_tombstones_acquire(ing->tombstones, (struct nx_view){0}, always, &list);
    if (err != NX_OK)
        return err;
    *out = 0;
    for (size_t i = 0; i < list.count; i++)
        *out += ing_digest_mix(list.items[i]->id.hi, list.items[i]->id.lo);
    ing_tombstone_list_release(&list);
    return NX_OK;
}
