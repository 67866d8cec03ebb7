/* Replicas are compared by their 128-bit hash. Pairs not heard of for long are swept when the table
 * is full; one that finds no room is asked about every time. */
#include "distributor/ha.h"

#include <pthread.h>
#include <stdbool.h>

#include "common/base/alloc.h"
#include "common/base/index.h"

#define IDLE_NS UINT64_C(300000000000)

struct pair {
    struct nx_hash128 key;
    struct nx_hash128 elected;
    uint64_t learnt_ns;
    uint64_t claimed_ns; /* by the elected one */
    uint64_t probed_ns;  /* by another one */
};

struct dist_ha {
    pthread_mutex_t lock;
    struct nx_index index;
    struct pair *pairs;
    size_t count, capacity;
};

enum nx_err dist_ha_new(struct dist_ha **out)
{
    struct dist_ha *ha = nx_calloc(1, sizeof *ha);
    if (!ha)
        return NX_ERR_NOMEM;
    pthread_mutex_init(&ha->lock, NULL);
    nx_index_init(&ha->index);
    *out = ha;
    return NX_OK;
}

void dist_ha_free(struct dist_ha *ha)
{
    if (!ha)
        return;
    nx_free(ha->pairs);
    nx_index_release(&ha->index);
    pthread_mutex_destroy(&ha->lock);
    nx_free(ha);
}

static bool same(struct nx_hash128 a, struct nx_hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static struct nx_hash128 hash_of(struct nx_view text)
{
    return nx_hash128(text.ptr, text.len);
}

static struct nx_hash128 key_of(const struct dist_ha_pair *pair)
{
    struct nx_hash128 parts[] = {hash_of(pair->tenant), hash_of(pair->cluster)};
    return nx_hash128(parts, sizeof parts);
}

static bool key_is(uint32_t position, const void *key, const void *user)
{
    const struct dist_ha *ha = user;
    return same(ha->pairs[position].key, *(const struct nx_hash128 *)key);
}

static struct pair *find(struct dist_ha *ha, struct nx_hash128 key)
{
    uint32_t found = nx_index_find(&ha->index, key.lo, key_is, &key, ha);
    return found == NX_INDEX_NONE ? NULL : &ha->pairs[found];
}

static bool is_due(uint64_t *last_ns, uint64_t now_ns, uint64_t update_ns)
{
    if (now_ns < *last_ns + update_ns)
        return false;
    *last_ns = now_ns;
    return true;
}

enum dist_ha_verdict dist_ha_look(struct dist_ha *ha, const struct dist_ha_pair *wanted,
                                  uint64_t now_ns, uint64_t update_ns, uint64_t failover_ns,
                                  bool *refresh, bool *held)
{
    enum dist_ha_verdict verdict = DIST_HA_ASK;
    *refresh = *held = false;
    pthread_mutex_lock(&ha->lock);
    struct pair *pair = find(ha, key_of(wanted));
    if (pair) {
        *held = same(pair->elected, hash_of(wanted->replica));
        if (now_ns <= pair->learnt_ns + failover_ns) {
            verdict = *held ? DIST_HA_TAKE : DIST_HA_DROP;
            *refresh = is_due(*held ? &pair->claimed_ns : &pair->probed_ns, now_ns, update_ns);
        }
    }
    pthread_mutex_unlock(&ha->lock);
    return verdict;
}

/* Positions change, so the index is built anew. */
static void sweep(struct dist_ha *ha, uint64_t now_ns)
{
    size_t kept = 0;
    if (!ha->pairs)
        return;
    for (size_t i = 0; i < ha->count; i++)
        if (now_ns < ha->pairs[i].learnt_ns + IDLE_NS)
            ha->pairs[kept++] = ha->pairs[i];
    ha->count = kept;
    nx_index_clear(&ha->index);
    for (size_t i = 0; i < kept; i++)
        if (nx_index_insert(&ha->index, ha->pairs[i].key.lo, (uint32_t)i))
            return; /* those left out are asked about */
}

static struct pair *get(struct dist_ha *ha, struct nx_hash128 key, uint64_t now_ns)
{
    struct pair *pair = find(ha, key);
    if (pair)
        return pair;
    if (ha->count >= DIST_HA_MAX_PAIRS)
        sweep(ha, now_ns);
    if (ha->count >= DIST_HA_MAX_PAIRS ||
        nx_grow(&ha->pairs, &ha->capacity, ha->count + 1, sizeof *ha->pairs) ||
        nx_index_insert(&ha->index, key.lo, (uint32_t)ha->count))
        return NULL;
    pair = &ha->pairs[ha->count++];
    *pair = (struct pair){.key = key, .claimed_ns = now_ns, .probed_ns = now_ns};
    return pair;
}

void dist_ha_learn(struct dist_ha *ha, const struct dist_ha_pair *heard, struct nx_view elected,
                   uint64_t now_ns)
{
    pthread_mutex_lock(&ha->lock);
    struct pair *pair = get(ha, key_of(heard), now_ns);
    if (pair) {
        struct nx_hash128 name = hash_of(elected);
        if (!same(pair->elected, name))
            pair->claimed_ns = 0; /* the next claim confirms it */
        pair->elected = name;
        pair->learnt_ns = now_ns;
    }
    pthread_mutex_unlock(&ha->lock);
}
