/* A call to each owner; the claim is decided when a majority has taken it, or so many have not that
 * none can. What a majority of answers names as elected is learnt in either case. Owners of a pair
 * are those of the partition of the label set {cluster, tenant}. */
#include "distributor/ha_claim.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/labels/series_id.h"
#include "common/ring/ring.h"
#include "distributor/push.h"
#include "proto/internal.pb-c.h"

enum { ANSWER_MAX_BYTES = 16384 };
static const char claim_method[] = "ha_claim";

struct claim {
    struct dist_ha_claim_options options;
    struct nx_arena arena;
    struct nx_ring_view *view;
    size_t owners, need;
    size_t open, taken, refused;
    struct nx_view elected; /* by the first that refused */
    bool starting;
    bool decided;
};

static void claim_end(struct claim *claim)
{
    struct dist_ha_claim_options options = claim->options;
    if (claim->view)
        options.cluster->release(options.cluster, claim->view);
    nx_arena_release(&claim->arena);
    nx_free(claim);
    if (options.count)
        options.count(options.count_user, -1);
}

static void tell(struct claim *claim, enum nx_err err, enum dist_ha_verdict verdict)
{
    const struct dist_ha_claim_options *options = &claim->options;
    claim->decided = true;
    if (err == NX_OK)
        dist_ha_learn(options->ha, &options->pair,
                      verdict == DIST_HA_TAKE ? options->pair.replica : claim->elected,
                      nx_now_ns(options->clock));
    options->done(options->user, err, verdict);
}

static void advance(struct claim *claim)
{
    if (claim->starting)
        return;
    if (!claim->decided && claim->taken >= claim->need)
        tell(claim, NX_OK, DIST_HA_TAKE);
    else if (!claim->decided && claim->open == 0 && claim->taken + claim->refused >= claim->need)
        tell(claim, NX_OK, DIST_HA_DROP);
    else if (!claim->decided && claim->refused > claim->owners - claim->need)
        tell(claim, NX_OK, DIST_HA_DROP);
    else if (!claim->decided && claim->open == 0)
        tell(claim, NX_ERR_UNAVAILABLE, DIST_HA_ASK);
    if (claim->open == 0)
        claim_end(claim);
}

static void count_answer(struct claim *claim, struct nx_view elected)
{
    if (nx_view_eq(elected, claim->options.pair.replica)) {
        claim->taken++;
        return;
    }
    claim->refused++;
    if (claim->elected.len == 0)
        claim->elected = nx_arena_copy(&claim->arena, elected);
}

static void *pb_alloc(void *data, size_t size)
{
    (void)data;
    return nx_alloc(size);
}

static void pb_free(void *data, void *ptr)
{
    (void)data;
    nx_free(ptr);
}

static void on_answer(void *user, const struct nx_rpc_result *result)
{
    struct claim *claim = user;
    ProtobufCAllocator allocator = {.alloc = pb_alloc, .free = pb_free};
    claim->open--;
    if (result->err == NX_OK) {
        Narthex__HaClaimResponse *answer = narthex__ha_claim_response__unpack(
            &allocator, result->body.len, (const uint8_t *)result->body.ptr);
        if (answer && answer->elected[0])
            count_answer(claim, nx_view_of(answer->elected));
        narthex__ha_claim_response__free_unpacked(answer, &allocator);
    }
    advance(claim);
}

static enum nx_err call_owner(struct claim *claim, const struct nx_member *member)
{
    const struct dist_ha_claim_options *options = &claim->options;
    Narthex__HaClaimRequest request = NARTHEX__HA_CLAIM_REQUEST__INIT;
    request.tenant = (char *)(uintptr_t)options->pair.tenant.ptr;
    request.cluster = (char *)(uintptr_t)options->pair.cluster.ptr;
    request.replica = (char *)(uintptr_t)options->pair.replica.ptr;
    request.failover_ms = options->failover_ms;
    request.held = options->held;
    struct nx_buf body;
    size_t size = narthex__ha_claim_request__get_packed_size(&request);
    nx_buf_init(&body, SIZE_MAX);
    enum nx_err err = nx_buf_reserve(&body, size);
    if (err == NX_OK) {
        body.len = narthex__ha_claim_request__pack(&request, (uint8_t *)body.data);
        struct nx_rpc_call_options call = {.address = member->address,
                                           .method = claim_method,
                                           .body = &body,
                                           .timeout_ms = options->timeout_ms,
                                           .max_frame_bytes = ANSWER_MAX_BYTES,
                                           .done = on_answer,
                                           .user = claim};
        err = options->cluster->call(options->cluster, &call);
    }
    nx_buf_release(&body);
    return err;
}

static void call_owners(struct claim *claim)
{
    const struct dist_ha_pair *pair = &claim->options.pair;
    struct nx_label label = {.name = NX_VIEW("cluster"), .value = pair->cluster};
    struct nx_series_id id =
        nx_series_id_of(pair->tenant, (struct nx_labels){.items = &label, .count = 1});
    const uint16_t *owners =
        nx_ring_owners(claim->view, nx_series_id_partition(id, claim->view->partitions));
    claim->owners = claim->view->rf;
    claim->need = nx_ring_write_quorum(claim->view);
    for (uint32_t i = 0; i < claim->view->rf; i++) {
        if (owners[i] >= claim->view->member_count || !claim->view->members[owners[i]].healthy)
            continue;
        if (call_owner(claim, &claim->view->members[owners[i]]) == NX_OK)
            claim->open++;
    }
}

static enum nx_err prepare(struct claim *claim)
{
    struct dist_ha_pair *pair = &claim->options.pair;
    pair->tenant = nx_arena_copy(&claim->arena, pair->tenant);
    pair->cluster = nx_arena_copy(&claim->arena, pair->cluster);
    pair->replica = nx_arena_copy(&claim->arena, pair->replica);
    claim->view = claim->options.cluster->acquire(claim->options.cluster);
    bool copied = pair->tenant.ptr && pair->cluster.ptr && pair->replica.ptr;
    return copied && claim->view ? NX_OK : NX_ERR_NOMEM;
}

void dist_ha_claim_start(const struct dist_ha_claim_options *options)
{
    struct claim *claim = nx_calloc(1, sizeof *claim);
    if (!claim) {
        options->done(options->user, NX_ERR_NOMEM, DIST_HA_ASK);
        return;
    }
    claim->options = *options;
    nx_arena_init(&claim->arena, 0);
    if (options->count)
        options->count(options->count_user, 1);
    claim->starting = true;
    enum nx_err err = prepare(claim);
    if (err == NX_OK)
        call_owners(claim);
    claim->starting = false;
    if (err != NX_OK)
        tell(claim, err, DIST_HA_ASK);
    advance(claim);
}
