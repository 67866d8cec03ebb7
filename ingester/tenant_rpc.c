/* What distributors ask about a tenant: who of a group of replicas is elected, and how many series
 * it has in memory. */
#include "ingester/ask.h"
#include "ingester/ha.h"

/* --- ha_claim --- */

static enum nx_err answer_claim(struct ingester *ing, const Narthex__HaClaimRequest *request,
                                struct nx_buf *elected)
{
    struct ing_ha_claim claim = {.tenant = nx_view_of(request->tenant),
                                 .cluster = nx_view_of(request->cluster),
                                 .replica = nx_view_of(request->replica),
                                 .failover_ns = request->failover_ms * UINT64_C(1000000),
                                 .held = request->held};
    bool changed = false;
    enum nx_err err = ing_ha_claim(ing->ha, &claim, nx_now_ns(ing->deps.clock), elected, &changed);
    if (changed)
        nx_metric_inc(ing->metrics, ING_M_HA_CHANGES);
    nx_buf_append_char(elected, '\0');
    return err == NX_OK ? nx_buf_err(elected) : err;
}

void ing_ha_claim_handle(struct nx_rpc_request *req, void *user)
{
    struct ingester *ing = user;
    struct ing_pb pb;
    struct nx_buf elected;
    if (!ing_admit(ing, req))
        return;
    ing_pb_init(&pb);
    nx_buf_init(&elected, ING_HA_MAX_NAME_BYTES + 1);
    struct nx_view body = nx_rpc_request_body(req);
    const Narthex__HaClaimRequest *request =
        narthex__ha_claim_request__unpack(&pb.allocator, body.len, (const uint8_t *)body.ptr);
    enum nx_err err = request ? answer_claim(ing, request, &elected) : NX_ERR_INVALID;
    if (err == NX_OK) {
        Narthex__HaClaimResponse response = NARTHEX__HA_CLAIM_RESPONSE__INIT;
        response.elected = elected.data;
        ing_pb_reply(req, &response.base);
    } else {
        nx_rpc_reply_error(req, err, nx_err_text(err));
    }
    nx_buf_release(&elected);
    ing_pb_release(&pb);
    ing_leave(ing);
}

/* --- tenant_stats --- */

struct stats {
    struct ing_ask base;
    const Narthex__TenantStatsRequest *request;
    atomic_size_t series;
};

static void stats_part(struct ing_fan_slot *slot)
{
    struct stats *stats = NX_OWNER(struct stats, base.fan, slot->fan);
    const struct ing_head *head = slot->shard->store.head;
    uint32_t tenant = ing_head_tenant_find(head, nx_view_of(stats->request->tenant));
    if (tenant != ING_REF_NONE)
        (void)atomic_fetch_add(&stats->series, ing_head_tenant(head, tenant)->series);
    ing_fan_answer(slot, NX_OK);
}

static void stats_done(struct ing_fan *fan)
{
    struct stats *stats = NX_OWNER(struct stats, base.fan, fan);
    if (fan->err != NX_OK) {
        ing_ask_fail(&stats->base, fan->err);
        return;
    }
    Narthex__TenantStatsResponse response = NARTHEX__TENANT_STATS_RESPONSE__INIT;
    response.series = atomic_load(&stats->series);
    ing_ask_reply(&stats->base, &response.base);
}

void ing_tenant_stats_handle(struct nx_rpc_request *req, void *user)
{
    struct stats *stats = ing_ask_new(user, req, sizeof *stats, NULL);
    if (!stats)
        return;
    stats->request =
        ing_ask_message(&stats->base, &narthex__tenant_stats_request__descriptor, "tenant_stats");
    ing_ask_start(&stats->base, stats->request ? NX_OK : NX_ERR_INVALID, stats_part, stats_done);
}
