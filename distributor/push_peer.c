#include "distributor/push_peer.h"

#include <assert.h>
#include <pthread.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/base/index.h"
#include "common/base/view.h"
#include "common/ring/ring.h"
#include "distributor/series_cache.h"

struct dist_life {
    uint64_t name_hash;
    uint64_t incarnation;
};

enum { MAX_LIVES = UINT16_MAX };

/* --- loads --- */

struct dist_loads {
    pthread_mutex_t lock;
    struct dist_load *first;
    struct dist_life *lives;
    size_t life_count, life_capacity;
    struct nx_index life_index; /* life - 1 */
};

enum nx_err dist_loads_new(struct dist_loads **out)
{
    struct dist_loads *loads = nx_calloc(1, sizeof *loads);
    if (!loads)
        return NX_ERR_NOMEM;
    if (pthread_mutex_init(&loads->lock, NULL) != 0) {
        nx_free(loads);
        return NX_ERR_NOMEM;
    }
    nx_index_init(&loads->life_index);
    *out = loads;
    return NX_OK;
}

void dist_loads_free(struct dist_loads *loads)
{
    if (!loads)
        return;
    while (loads->first) {
        struct dist_load *next = loads->first->next;
        nx_free(loads->first);
        loads->first = next;
    }
    pthread_mutex_destroy(&loads->lock);
    nx_index_release(&loads->life_index);
    nx_free(loads->lives);
    nx_free(loads);
}

struct dist_load *dist_loads_get(struct dist_loads *loads, uint64_t name_hash)
{
    pthread_mutex_lock(&loads->lock);
    struct dist_load *load = loads->first;
    while (load && load->name_hash != name_hash)
        load = load->next;
    if (!load) {
        load = nx_calloc(1, sizeof *load);
        if (load) {
            atomic_init(&load->bytes, 0);
            load->name_hash = name_hash;
            load->next = loads->first;
            loads->first = load;
        }
    }
    pthread_mutex_unlock(&loads->lock);
    return load;
}

bool dist_load_charge(struct dist_load *load, size_t bytes, size_t max_bytes)
{
    size_t before = atomic_load_explicit(&load->bytes, memory_order_relaxed);
    do {
        if (before > 0 && (before > max_bytes || bytes > max_bytes - before))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&load->bytes, &before, before + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void dist_load_discharge(struct dist_load *load, size_t bytes)
{
    size_t before = atomic_fetch_sub_explicit(&load->bytes, bytes, memory_order_relaxed);
    assert(before >= bytes);
    (void)before;
}

/* --- peers --- */

void dist_peers_init(struct dist_peers *peers, struct dist_loads *loads, struct dist_cache *cache)
{
    *peers = (struct dist_peers){.loads = loads, .cache = cache};
}

void dist_peers_release(struct dist_peers *peers)
{
    nx_free(peers->items);
    *peers = (struct dist_peers){.loads = NULL};
}

static bool life_is(uint32_t ref, const void *key, const void *user)
{
    const struct dist_life *life = &((const struct dist_loads *)user)->lives[ref];
    const struct dist_life *wanted = key;
    return life->name_hash == wanted->name_hash && life->incarnation == wanted->incarnation;
}

/* `*anew`: the numbers had run out. */
static uint16_t life_get(struct dist_loads *loads, struct dist_life life, bool *anew)
{
    uint64_t hash = nx_hash64(&life, sizeof life);
    uint32_t found = nx_index_find(&loads->life_index, hash, life_is, &life, loads);
    if (found != NX_INDEX_NONE)
        return (uint16_t)(found + 1);
    *anew = loads->life_count == MAX_LIVES;
    if (*anew) {
        loads->life_count = 0;
        nx_index_clear(&loads->life_index);
    }
    if (nx_grow(&loads->lives, &loads->life_capacity, loads->life_count + 1,
                sizeof *loads->lives) ||
        nx_index_insert(&loads->life_index, hash, (uint32_t)loads->life_count))
        return 0;
    loads->lives[loads->life_count++] = life;
    return (uint16_t)loads->life_count;
}

uint16_t dist_peers_life(struct dist_peers *peers, uint64_t name_hash, uint64_t incarnation)
{
    if (incarnation == 0)
        return 0;
    bool anew = false;
    pthread_mutex_lock(&peers->loads->lock);
    uint16_t life =
        life_get(peers->loads,
                 (struct dist_life){.name_hash = name_hash, .incarnation = incarnation}, &anew);
    pthread_mutex_unlock(&peers->loads->lock);
    if (anew && peers->cache)
        dist_cache_forget_all(peers->cache);
    for (size_t i = 0; anew && i < peers->count; i++)
        peers->items[i].life = 0;
    return life;
}

enum nx_err dist_peers_update(struct dist_peers *peers, const struct nx_ring_view *view)
{
    if (peers->count == view->member_count && peers->view_version == view->version)
        return NX_OK;
    enum nx_err err =
        nx_grow(&peers->items, &peers->capacity, view->member_count, sizeof *peers->items);
    if (err)
        return err;
    peers->count = 0;
    for (size_t i = 0; i < view->member_count; i++) {
        const struct nx_member *member = &view->members[i];
        struct dist_peer peer = {.name_hash = nx_hash_view(nx_view_of(member->name))};
        peer.load = dist_loads_get(peers->loads, peer.name_hash);
        if (!peer.load)
            return NX_ERR_NOMEM;
        peer.incarnation = member->incarnation;
        peer.life = dist_peers_life(peers, peer.name_hash, peer.incarnation);
        peers->items[i] = peer;
        peers->count = i + 1;
    }
    peers->view_version = view->version;
    return NX_OK;
}
