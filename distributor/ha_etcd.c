/* Key /narthex/CLUSTER/ha/<hash of tenant and group>, value "<lease> <replica>". A claim reads the
 * key. It is absent: a transaction creates it under a new lease, and who loses the race reads
 * again. It names the claiming replica: the lease is kept alive. It names another one: the claim
 * is refused; once that one is silent its lease runs out and etcd removes the key. Calls block, so
 * they are made on a lane, one after the other: a pair takes two of them every
 * distributor.ha-update-timeout. */
#include "distributor/ha_etcd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/arena.h"
#include "common/base/owner.h"
#include "common/net/lane.h"
#include "common/ring/etcd_client.h"

enum { LANE_CAPACITY = 1024, TRIES = 3, KEY_BYTES = 512, MAX_LEASE_S = 86400 };

struct dist_ha_etcd {
    struct nx_lane *lane;
    struct nx_etcd *client; /* of the lane's thread */
    atomic_bool stop;
    char prefix[256];
};

struct etcd_claim {
    struct dist_ha_etcd *etcd;
    struct dist_ha_claim_options options;
    struct nx_arena arena; /* of the pair's names */
    struct nx_job job;
    struct nx_view elected; /* in the arena */
    enum nx_err err;
};

/* What the key says. */
struct holder {
    bool found;
    int64_t lease;
    struct nx_view replica; /* in the claim's arena */
};

enum nx_err dist_ha_etcd_new(const struct nx_etcd_access *access, const char *cluster,
                             struct nx_telemetry *telemetry, struct dist_ha_etcd **out,
                             struct nx_fail *fail)
{
    struct dist_ha_etcd *etcd = nx_calloc(1, sizeof *etcd);
    if (!etcd)
        return NX_ERR_NOMEM;
    atomic_init(&etcd->stop, false);
    (void)snprintf(etcd->prefix, sizeof etcd->prefix, "/narthex/%.200s/ha/", cluster);
    enum nx_err err = nx_etcd_new(access, &etcd->stop, &etcd->client, fail);
    if (!err)
        err = nx_lane_new("ha", 1, LANE_CAPACITY, &etcd->lane);
    if (!err)
        err = nx_lane_observe(etcd->lane, telemetry);
    if (err) {
        dist_ha_etcd_free(etcd);
        return err;
    }
    *out = etcd;
    return NX_OK;
}

void dist_ha_etcd_stop(struct dist_ha_etcd *etcd)
{
    if (etcd)
        atomic_store(&etcd->stop, true);
}

void dist_ha_etcd_free(struct dist_ha_etcd *etcd)
{
    if (!etcd)
        return;
    if (etcd->lane)
        nx_lane_free(etcd->lane);
    if (etcd->client)
        nx_etcd_free(etcd->client);
    nx_free(etcd);
}

/* --- calls, on the lane --- */

static void key_of(const struct etcd_claim *claim, char *key)
{
    const struct dist_ha_pair *pair = &claim->options.pair;
    struct nx_hash128 parts[] = {nx_hash128(pair->tenant.ptr, pair->tenant.len),
                                 nx_hash128(pair->cluster.ptr, pair->cluster.len)};
    struct nx_hash128 hash = nx_hash128(parts, sizeof parts);
    (void)snprintf(key, KEY_BYTES, "%s%016" PRIx64 "%016" PRIx64, claim->etcd->prefix, hash.hi,
                   hash.lo);
}

static enum nx_err call(struct etcd_claim *claim, const char *path, json_t *request,
                        json_t **answer)
{
    struct nx_fail fail = {.code = NX_OK};
    *answer = NULL;
    if (!request)
        return NX_ERR_NOMEM;
    return nx_etcd_call(claim->etcd->client, path, request, answer, &fail);
}

static enum nx_err read_holder(struct etcd_claim *claim, const char *key, struct holder *out)
{
    json_t *answer = NULL;
    enum nx_err err =
        call(claim, "/v3/kv/range", json_pack("{s:o}", "key", nx_etcd_text(key)), &answer);
    const json_t *kv = json_array_get(json_object_get(answer, "kvs"), 0);
    char *value = kv ? nx_etcd_read(json_object_get(kv, "value")) : NULL;
    char *name = value ? strchr(value, ' ') : NULL;
    *out = (struct holder){.found = !err && kv};
    if (name) {
        out->lease = strtoll(value, NULL, 10);
        out->replica = nx_arena_copy(&claim->arena, nx_view_of(name + 1));
        if (!out->replica.ptr)
            err = NX_ERR_NOMEM;
    } else if (out->found) {
        err = NX_ERR_CORRUPT;
    }
    nx_free(value);
    json_decref(answer);
    return err;
}

static enum nx_err grant(struct etcd_claim *claim, int64_t *lease)
{
    json_t *answer = NULL;
    uint64_t seconds = (claim->options.failover_ms + 999) / 1000;
    if (seconds > MAX_LEASE_S)
        seconds = MAX_LEASE_S;
    enum nx_err err = call(claim, "/v3/lease/grant",
                           json_pack("{s:I}", "TTL", (json_int_t)(seconds ? seconds : 1)), &answer);
    *lease = nx_etcd_number(json_object_get(answer, "ID"));
    json_decref(answer);
    return err || *lease ? err : NX_ERR_UNAVAILABLE;
}

static void give_back(struct etcd_claim *claim, int64_t lease)
{
    json_t *answer = NULL;
    (void)!call(claim, "/v3/lease/revoke", json_pack("{s:I}", "ID", (json_int_t)lease), &answer);
    json_decref(answer);
}

/* *mine: the key was still absent, and is ours now. */
static enum nx_err take(struct etcd_claim *claim, const char *key, bool *mine)
{
    const struct nx_view replica = claim->options.pair.replica;
    int64_t lease = 0;
    json_t *answer = NULL;
    struct nx_buf value;
    enum nx_err err = grant(claim, &lease);
    if (err)
        return err;
    nx_buf_init(&value, SIZE_MAX);
    nx_buf_printf(&value, "%" PRId64 " %.*s", lease, NX_VIEW_ARG(replica));
    nx_buf_append_char(&value, '\0');
    err = nx_buf_err(&value);
    if (!err)
        err = call(claim, "/v3/kv/txn",
                   json_pack("{s:[{s:o,s:s,s:s,s:s}],s:[{s:{s:o,s:o,s:I}}]}", "compare", "key",
                             nx_etcd_text(key), "target", "CREATE", "result", "EQUAL",
                             "create_revision", "0", "success", "request_put", "key",
                             nx_etcd_text(key), "value", nx_etcd_text(value.data), "lease",
                             (json_int_t)lease),
                   &answer);
    *mine = !err && json_is_true(json_object_get(answer, "succeeded"));
    json_decref(answer);
    nx_buf_release(&value);
    if (!err && !*mine)
        give_back(claim, lease);
    return err;
}

/* *mine: the lease still ran, and runs on. */
static enum nx_err keep(struct etcd_claim *claim, int64_t lease, bool *mine)
{
    json_t *answer = NULL;
    enum nx_err err =
        call(claim, "/v3/lease/keepalive", json_pack("{s:I}", "ID", (json_int_t)lease), &answer);
    const json_t *result = json_object_get(answer, "result");
    *mine = !err && nx_etcd_number(json_object_get(result, "TTL")) > 0;
    json_decref(answer);
    return err;
}

static void run(struct nx_job *job)
{
    struct etcd_claim *claim = NX_OWNER(struct etcd_claim, job, job);
    const struct nx_view replica = claim->options.pair.replica;
    char key[KEY_BYTES];
    key_of(claim, key);
    claim->err = NX_ERR_UNAVAILABLE;
    for (int i = 0; i < TRIES; i++) {
        struct holder holder;
        bool mine = false;
        enum nx_err err = read_holder(claim, key, &holder);
        if (!err && holder.found && !nx_view_eq(holder.replica, replica)) {
            claim->elected = holder.replica;
            claim->err = NX_OK;
            return;
        }
        if (!err)
            err = holder.found ? keep(claim, holder.lease, &mine) : take(claim, key, &mine);
        if (mine)
            claim->elected = replica;
        if (err || mine) {
            claim->err = err;
            return;
        }
    }
}

/* --- claims, on a worker --- */

static void finish(struct etcd_claim *claim)
{
    struct dist_ha_claim_options options = claim->options;
    bool mine = !claim->err && nx_view_eq(claim->elected, options.pair.replica);
    if (!claim->err)
        dist_ha_learn(options.ha, &options.pair, claim->elected, nx_now_ns(options.clock));
    options.done(options.user, claim->err ? NX_ERR_UNAVAILABLE : NX_OK,
                 claim->err ? DIST_HA_ASK
                 : mine     ? DIST_HA_TAKE
                            : DIST_HA_DROP);
    nx_arena_release(&claim->arena);
    nx_free(claim);
    if (options.count)
        options.count(options.count_user, -1);
}

static void done(struct nx_job *job)
{
    finish(NX_OWNER(struct etcd_claim, job, job));
}

static bool copy_names(struct etcd_claim *claim)
{
    struct dist_ha_pair *pair = &claim->options.pair;
    pair->tenant = nx_arena_copy(&claim->arena, pair->tenant);
    pair->cluster = nx_arena_copy(&claim->arena, pair->cluster);
    pair->replica = nx_arena_copy(&claim->arena, pair->replica);
    return pair->tenant.ptr && pair->cluster.ptr && pair->replica.ptr;
}

void dist_ha_etcd_claim(struct dist_ha_etcd *etcd, const struct dist_ha_claim_options *options)
{
    struct etcd_claim *claim = nx_calloc(1, sizeof *claim);
    if (!claim) {
        options->done(options->user, NX_ERR_NOMEM, DIST_HA_ASK);
        return;
    }
    *claim =
        (struct etcd_claim){.etcd = etcd, .options = *options, .job = {.run = run, .done = done}};
    nx_arena_init(&claim->arena, 0);
    if (options->count)
        options->count(options->count_user, 1);
    /* Once submitted, the claim and its outcome belong to the lane. */
    enum nx_err err = copy_names(claim) ? nx_lane_submit(etcd->lane, &claim->job) : NX_ERR_NOMEM;
    if (err) {
        claim->err = err;
        finish(claim);
    }
}
