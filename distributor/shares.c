/* A row a tenant that holds any; the last row takes the place of one that goes. There are no more
 * rows than requests in flight, and the server bounds those. */
#include "distributor/shares.h"

#include <assert.h>
#include <pthread.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/base/index.h"

struct row {
    struct nx_hash128 tenant;
    size_t bytes;
};

struct dist_shares {
    pthread_mutex_t lock;
    struct nx_index index;
    struct row *rows;
    size_t count, capacity;
};

enum nx_err dist_shares_new(struct dist_shares **out)
{
    struct dist_shares *shares = nx_calloc(1, sizeof *shares);
    if (!shares)
        return NX_ERR_NOMEM;
    pthread_mutex_init(&shares->lock, NULL);
    nx_index_init(&shares->index);
    *out = shares;
    return NX_OK;
}

void dist_shares_free(struct dist_shares *shares)
{
    if (!shares)
        return;
    nx_free(shares->rows);
    nx_index_release(&shares->index);
    pthread_mutex_destroy(&shares->lock);
    nx_free(shares);
}

static bool row_is(uint32_t position, const void *key, const void *user)
{
    const struct dist_shares *shares = user;
    const struct nx_hash128 *tenant = key;
    const struct row *row = &shares->rows[position];
    return row->tenant.hi == tenant->hi && row->tenant.lo == tenant->lo;
}

static uint32_t find(const struct dist_shares *shares, struct nx_hash128 tenant)
{
    return nx_index_find(&shares->index, tenant.lo, row_is, &tenant, shares);
}

/* NX_INDEX_NONE without memory. */
static uint32_t add(struct dist_shares *shares, struct nx_hash128 tenant)
{
    if (nx_grow(&shares->rows, &shares->capacity, shares->count + 1, sizeof *shares->rows) ||
        nx_index_insert(&shares->index, tenant.lo, (uint32_t)shares->count))
        return NX_INDEX_NONE;
    shares->rows[shares->count] = (struct row){.tenant = tenant};
    return (uint32_t)shares->count++;
}

static void drop(struct dist_shares *shares, uint32_t at)
{
    uint32_t last = (uint32_t)(shares->count - 1);
    nx_index_remove(&shares->index, shares->rows[at].tenant.lo, at);
    if (at != last) {
        struct row moved = shares->rows[last];
        nx_index_remove(&shares->index, moved.tenant.lo, last);
        shares->rows[at] = moved;
        enum nx_err err = nx_index_insert(&shares->index, moved.tenant.lo, at);
        assert(err == NX_OK); /* two slots have just been freed */
        (void)err;
    }
    shares->count--;
}

static size_t part_of(size_t tenants, size_t max_bytes)
{
    return (max_bytes - max_bytes / 8) / (tenants > 0 ? tenants : 1);
}

bool dist_shares_take(struct dist_shares *shares, struct nx_view tenant, size_t bytes,
                      size_t used_bytes, size_t max_bytes)
{
    struct nx_hash128 key = nx_hash128(tenant.ptr, tenant.len);
    if (bytes == 0)
        return true;
    pthread_mutex_lock(&shares->lock);
    uint32_t at = find(shares, key);
    size_t held = at == NX_INDEX_NONE ? 0 : shares->rows[at].bytes;
    size_t tenants = shares->count + (held == 0);
    bool room = used_bytes < max_bytes / 2 && bytes <= max_bytes / 2 - used_bytes;
    size_t part = part_of(tenants, max_bytes);
    bool allowed = room || held == 0 || (held <= part && bytes <= part - held);
    if (allowed && at == NX_INDEX_NONE)
        at = add(shares, key);
    if (allowed && at != NX_INDEX_NONE)
        shares->rows[at].bytes += bytes;
    pthread_mutex_unlock(&shares->lock);
    return allowed && at != NX_INDEX_NONE;
}

void dist_shares_give(struct dist_shares *shares, struct nx_view tenant, size_t bytes)
{
    if (bytes == 0)
        return;
    pthread_mutex_lock(&shares->lock);
    uint32_t at = find(shares, nx_hash128(tenant.ptr, tenant.len));
    assert(at != NX_INDEX_NONE && shares->rows[at].bytes >= bytes);
    shares->rows[at].bytes -= bytes;
    if (shares->rows[at].bytes == 0)
        drop(shares, at);
    pthread_mutex_unlock(&shares->lock);
}

size_t dist_shares_active(struct dist_shares *shares)
{
    pthread_mutex_lock(&shares->lock);
    size_t count = shares->count;
    pthread_mutex_unlock(&shares->lock);
    return count;
}
