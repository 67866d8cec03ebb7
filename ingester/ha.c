/* Pairs in an array with an index over (tenant, group). A full table drops its most silent tenth.
 */
#include "ingester/ha.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/hash.h"
#include "common/base/index.h"

struct pair {
    char *key; /* tenant, a zero byte, group */
    size_t key_len;
    char *replica;
    size_t replica_len;
    uint64_t heard_ns;
    bool confirmed;
};

struct ing_ha {
    pthread_mutex_t lock;
    struct nx_index index;
    struct pair *pairs;
    size_t count, capacity;
};

enum nx_err ing_ha_new(struct ing_ha **out)
{
    struct ing_ha *ha = nx_calloc(1, sizeof *ha);
    if (!ha)
        return NX_ERR_NOMEM;
    pthread_mutex_init(&ha->lock, NULL);
    nx_index_init(&ha->index);
    *out = ha;
    return NX_OK;
}

static void pair_release(struct pair *pair)
{
    nx_free(pair->key);
    nx_free(pair->replica);
}

void ing_ha_free(struct ing_ha *ha)
{
    if (!ha)
        return;
    for (size_t i = 0; i < ha->count; i++)
        pair_release(&ha->pairs[i]);
    nx_free(ha->pairs);
    nx_index_release(&ha->index);
    pthread_mutex_destroy(&ha->lock);
    nx_free(ha);
}

size_t ing_ha_count(struct ing_ha *ha)
{
    pthread_mutex_lock(&ha->lock);
    size_t count = ha->count;
    pthread_mutex_unlock(&ha->lock);
    return count;
}

static uint64_t key_hash(struct nx_view key)
{
    return nx_hash_view(key);
}

static bool key_is(uint32_t position, const void *key, const void *user)
{
    const struct ing_ha *ha = user;
    const struct pair *pair = &ha->pairs[position];
    return nx_view_eq(nx_view_make(pair->key, pair->key_len), *(const struct nx_view *)key);
}

static int most_silent_last(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    return (left->heard_ns < right->heard_ns) - (left->heard_ns > right->heard_ns);
}

static enum nx_err make_room(struct ing_ha *ha)
{
    enum nx_err err = NX_OK;
    qsort(ha->pairs, ha->count, sizeof *ha->pairs, most_silent_last);
    while (ha->count > ING_HA_MAX_PAIRS - ING_HA_MAX_PAIRS / 10)
        pair_release(&ha->pairs[--ha->count]);
    nx_index_clear(&ha->index);
    for (size_t i = 0; i < ha->count && err == NX_OK; i++) {
        struct nx_view key = nx_view_make(ha->pairs[i].key, ha->pairs[i].key_len);
        err = nx_index_insert(&ha->index, key_hash(key), (uint32_t)i);
    }
    return err;
}

static enum nx_err set_replica(struct pair *pair, struct nx_view replica)
{
    char *name = nx_strndup(replica.ptr, replica.len);
    if (!name)
        return NX_ERR_NOMEM;
    nx_free(pair->replica);
    pair->replica = name;
    pair->replica_len = replica.len;
    return NX_OK;
}

static enum nx_err pair_add(struct ing_ha *ha, struct nx_view key, struct nx_view replica,
                            struct pair **out)
{
    struct pair made = {.key = NULL};
    enum nx_err err = ha->count >= ING_HA_MAX_PAIRS ? make_room(ha) : NX_OK;
    if (err == NX_OK)
        err = nx_grow(&ha->pairs, &ha->capacity, ha->count + 1, sizeof *ha->pairs);
    if (err == NX_OK)
        err = set_replica(&made, replica);
    if (err == NX_OK) {
        made.key = nx_strndup(key.ptr, key.len);
        made.key_len = key.len;
        err = made.key ? nx_index_insert(&ha->index, key_hash(key), (uint32_t)ha->count)
                       : NX_ERR_NOMEM;
    }
    if (err != NX_OK) {
        pair_release(&made);
        return err;
    }
    ha->pairs[ha->count] = made;
    *out = &ha->pairs[ha->count++];
    return NX_OK;
}

/* The transitions; see the header. */
static enum nx_err decide(struct pair *pair, const struct ing_ha_claim *claim, uint64_t now_ns,
                          bool *changed)
{
    struct nx_view elected = nx_view_make(pair->replica, pair->replica_len);
    if (nx_view_eq(elected, claim->replica)) {
        if (claim->held || pair->confirmed || now_ns > pair->heard_ns + claim->failover_ns)
            pair->heard_ns = now_ns;
        pair->confirmed = pair->confirmed || claim->held;
        return NX_OK;
    }
    bool silent = now_ns > pair->heard_ns + claim->failover_ns;
    bool yields = !pair->confirmed && nx_view_cmp(claim->replica, elected) < 0;
    if (!silent && !yields)
        return NX_OK;
    enum nx_err err = set_replica(pair, claim->replica);
    if (err != NX_OK)
        return err;
    pair->heard_ns = now_ns;
    pair->confirmed = false;
    *changed = true;
    return NX_OK;
}

static enum nx_err claim_locked(struct ing_ha *ha, struct nx_view key,
                                const struct ing_ha_claim *claim, uint64_t now_ns,
                                struct nx_buf *elected, bool *changed)
{
    struct pair *pair = NULL;
    enum nx_err err;
    *changed = false;
    uint32_t found = nx_index_find(&ha->index, key_hash(key), key_is, &key, ha);
    if (found == NX_INDEX_NONE) {
        err = pair_add(ha, key, claim->replica, &pair);
        if (err == NX_OK) {
            pair->heard_ns = now_ns;
            pair->confirmed = claim->held;
            *changed = true;
        }
    } else {
        pair = &ha->pairs[found];
        err = decide(pair, claim, now_ns, changed);
    }
    if (err != NX_OK)
        return err;
    nx_buf_append(elected, pair->replica, pair->replica_len);
    return nx_buf_err(elected);
}

static bool is_name(struct nx_view name)
{
    return name.len > 0 && name.len <= ING_HA_MAX_NAME_BYTES;
}

enum nx_err ing_ha_claim(struct ing_ha *ha, const struct ing_ha_claim *claim, uint64_t now_ns,
                         struct nx_buf *elected, bool *changed)
{
    struct nx_buf key;
    if (!is_name(claim->tenant) || !is_name(claim->cluster) || !is_name(claim->replica))
        return NX_ERR_INVALID;
    nx_buf_init(&key, 2 * ING_HA_MAX_NAME_BYTES + 1);
    nx_buf_append_view(&key, claim->tenant);
    nx_buf_append_char(&key, '\0');
    nx_buf_append_view(&key, claim->cluster);
    enum nx_err err = nx_buf_err(&key);
    if (err == NX_OK) {
        pthread_mutex_lock(&ha->lock);
        err = claim_locked(ha, nx_buf_view(&key), claim, now_ns, elected, changed);
        pthread_mutex_unlock(&ha->lock);
    }
    nx_buf_release(&key);
    return err;
}
