#include "ingester/repair/repair.h"

#include "common/base/alloc.h"
#include "ingester/repair/serve.h"

#define LANE_QUEUE 256

struct ing_repair {
    struct ingester *ing;
    struct nx_lane *lane;
    struct ing_ledger *ledger;
    struct ing_digest_server server;
};

enum nx_err ing_repair_new(struct ingester *ing, struct ing_repair **out)
{
    struct ing_repair *repair = nx_calloc(1, sizeof *repair);
    if (!repair)
        return NX_ERR_NOMEM;
    repair->ing = ing;
    enum nx_err err = nx_lane_new("ing-repair", 1, LANE_QUEUE, &repair->lane);
    if (err == NX_OK)
        err = nx_lane_observe(repair->lane, ing->deps.telemetry);
    if (err == NX_OK)
        err = ing_ledger_new(ing, repair->lane, &repair->ledger);
    if (err == NX_OK) {
        repair->server =
            (struct ing_digest_server){.ing = ing, .lane = repair->lane, .ledger = repair->ledger};
        err = nx_rpc_server_method(ing->deps.rpc, "digests", ing_digests_handle, &repair->server,
                                   ING_DIGESTS_BODY_MAX, NULL);
    }
    if (err != NX_OK) {
        ing_repair_free(repair);
        return err;
    }
    *out = repair;
    return NX_OK;
}

void ing_repair_close_lane(struct ing_repair *repair)
{
    nx_lane_free(repair->lane);
    repair->lane = NULL;
}

void ing_repair_free(struct ing_repair *repair)
{
    if (!repair)
        return;
    nx_lane_free(repair->lane);
    ing_ledger_free(repair->ledger);
    nx_free(repair);
}
