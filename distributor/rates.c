/* Buckets lie in an array with an index over their names; a bucket is brought up to date when it is
 * touched, so nothing runs while nobody sends. The average is an exponentially decaying one: what
 * was counted fades with AVERAGE_S. When the table is full, those idle for IDLE_NS are swept out.
 */
#include "distributor/rates.h"

#include <math.h>
#include <pthread.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/base/index.h"

#define AVERAGE_S 30.0
#define NS_PER_S 1e9
#define IDLE_NS UINT64_C(600000000000)
#define SWEEP_NS UINT64_C(10000000000)

struct bucket {
    char *name;
    size_t name_len;
    double taken; /* of the burst; fades with the rate */
    uint64_t taken_ns;
    double average; /* a second */
    uint64_t average_ns;
};

struct dist_rates {
    pthread_mutex_t lock;
    struct nx_index index;
    struct bucket *buckets;
    size_t count, capacity;
    uint64_t swept_ns;
};

enum nx_err dist_rates_new(struct dist_rates **out)
{
    struct dist_rates *rates = nx_calloc(1, sizeof *rates);
    if (!rates)
        return NX_ERR_NOMEM;
    pthread_mutex_init(&rates->lock, NULL);
    nx_index_init(&rates->index);
    *out = rates;
    return NX_OK;
}

void dist_rates_free(struct dist_rates *rates)
{
    if (!rates)
        return;
    for (size_t i = 0; i < rates->count; i++)
        nx_free(rates->buckets[i].name);
    nx_free(rates->buckets);
    nx_index_release(&rates->index);
    pthread_mutex_destroy(&rates->lock);
    nx_free(rates);
}

static struct nx_view name_of(const struct bucket *bucket)
{
    return nx_view_make(bucket->name, bucket->name_len);
}

static bool is_named(uint32_t position, const void *key, const void *user)
{
    const struct dist_rates *rates = user;
    return nx_view_eq(name_of(&rates->buckets[position]), *(const struct nx_view *)key);
}

static struct bucket *find(struct dist_rates *rates, struct nx_view tenant)
{
    uint32_t found = nx_index_find(&rates->index, nx_hash_view(tenant), is_named, &tenant, rates);
    return found == NX_INDEX_NONE ? NULL : &rates->buckets[found];
}

static uint64_t last_use(const struct bucket *bucket)
{
    return bucket->taken_ns > bucket->average_ns ? bucket->taken_ns : bucket->average_ns;
}

/* Positions change, so the index is built anew. */
static void sweep(struct dist_rates *rates, uint64_t now_ns)
{
    size_t kept = 0;
    if (now_ns < rates->swept_ns + SWEEP_NS || !rates->buckets)
        return;
    rates->swept_ns = now_ns;
    for (size_t i = 0; i < rates->count; i++) {
        struct bucket *bucket = &rates->buckets[i];
        if (now_ns < last_use(bucket) + IDLE_NS)
            rates->buckets[kept++] = *bucket;
        else
            nx_free(bucket->name);
    }
    rates->count = kept;
    nx_index_clear(&rates->index);
    for (size_t i = 0; i < kept; i++) {
        uint64_t hash = nx_hash_view(name_of(&rates->buckets[i]));
        if (nx_index_insert(&rates->index, hash, (uint32_t)i))
            continue; /* forgotten until it is swept: counts as one that has sent nothing */
    }
}

/* NULL without memory or room. */
static struct bucket *get(struct dist_rates *rates, struct nx_view tenant, uint64_t now_ns)
{
    struct bucket *bucket = find(rates, tenant);
    if (bucket)
        return bucket;
    if (rates->count >= DIST_RATES_MAX_TENANTS)
        sweep(rates, now_ns);
    if (rates->count >= DIST_RATES_MAX_TENANTS ||
        nx_grow(&rates->buckets, &rates->capacity, rates->count + 1, sizeof *rates->buckets))
        return NULL;
    char *name = nx_strndup(tenant.ptr, tenant.len);
    if (!name || nx_index_insert(&rates->index, nx_hash_view(tenant), (uint32_t)rates->count)) {
        nx_free(name);
        return NULL;
    }
    bucket = &rates->buckets[rates->count++];
    *bucket = (struct bucket){.name = name, .name_len = tenant.len};
    bucket->taken_ns = bucket->average_ns = now_ns;
    return bucket;
}

static double seconds_since(uint64_t then_ns, uint64_t now_ns)
{
    return now_ns > then_ns ? (double)(now_ns - then_ns) / NS_PER_S : 0;
}

bool dist_rates_take(struct dist_rates *rates, struct nx_view tenant, double per_second,
                     double burst, double count, uint64_t now_ns, double *wait_s)
{
    bool taken = count <= burst;
    *wait_s = -1;
    if (!taken)
        return false;
    pthread_mutex_lock(&rates->lock);
    struct bucket *bucket = get(rates, tenant, now_ns);
    if (bucket) {
        double before = bucket->taken - seconds_since(bucket->taken_ns, now_ns) * per_second;
        before = before > 0 ? before : 0;
        taken = before + count <= burst;
        *wait_s = taken ? 0 : (before + count - burst) / per_second;
        bucket->taken = taken ? before + count : before;
        bucket->taken_ns = now_ns;
    }
    pthread_mutex_unlock(&rates->lock);
    return taken;
}

static void fade(struct bucket *bucket, uint64_t now_ns)
{
    bucket->average *= exp(-seconds_since(bucket->average_ns, now_ns) / AVERAGE_S);
    bucket->average_ns = now_ns;
}

void dist_rates_count(struct dist_rates *rates, struct nx_view tenant, double count,
                      uint64_t now_ns)
{
    pthread_mutex_lock(&rates->lock);
    struct bucket *bucket = get(rates, tenant, now_ns);
    if (bucket) {
        fade(bucket, now_ns);
        bucket->average += count / AVERAGE_S;
    }
    pthread_mutex_unlock(&rates->lock);
}

double dist_rates_of(struct dist_rates *rates, struct nx_view tenant, uint64_t now_ns)
{
    pthread_mutex_lock(&rates->lock);
    struct bucket *bucket = find(rates, tenant);
    if (bucket)
        fade(bucket, now_ns);
    double average = bucket ? bucket->average : 0;
    pthread_mutex_unlock(&rates->lock);
    return average;
}
