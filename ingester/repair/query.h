/* A question to the ledger: which digests, added up how. Asked by peers over RPC and by the node
 * itself for the comparison, so that both sides add up alike. On the ledger's lane. */
#ifndef ING_REPAIR_QUERY_H
#define ING_REPAIR_QUERY_H

#include "ingester/repair/ledger.h"

struct ing_digest_query {
    int64_t from;
    int64_t until;
    int64_t bucket_ms; /* 0: all in one, which begins at 0 */
    int64_t now_ms;
    int64_t retention_ms; /* where a tenant has none of its own */
    struct ing_partition_filter filter;
};

/* The bucket of a window. */
static inline int64_t ing_digest_bucket(int64_t window, int64_t bucket_ms)
{
    int64_t rest = bucket_ms > 0 ? window % bucket_ms : window;
    return window - (bucket_ms > 0 && rest < 0 ? rest + bucket_ms : rest);
}
/* Adds what the page has to the table, in buckets. */
enum nx_err ing_digest_query_add(const struct ingester *ing, const struct ing_digest_query *query,
                                 struct ing_ledger_page page,
                                 struct ing_digest_table *out) NX_WARN_UNUSED;
/* The sum of the hashes of all deletions' ids. */
enum nx_err ing_digest_deletions(const struct ingester *ing, uint64_t *out) NX_WARN_UNUSED;

#endif
