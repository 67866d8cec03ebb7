#include "tests/sim/digests.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "proto/internal.pb-c.h"
#include "tests/sim/turn.h"

enum { MEMBERS_MAX = 16, PARTITIONS_MAX = 1024 };

struct sums {
    struct sim_digests *digests;
    const struct sim_node *node;
    bool answered, failed;
    uint64_t counts[PARTITIONS_MAX], hashes[PARTITIONS_MAX];
};

struct sim_digests {
    struct sim_node *asker;
    size_t pending;
    size_t count;
    struct sums members[MEMBERS_MAX];
};

static void take(struct sums *sums, const Narthex__DigestsResponse *answer)
{
    for (size_t i = 0; i < answer->n_tenants; i++) {
        const Narthex__TenantDigests *rows = answer->tenants[i];
        for (size_t j = 0; j < rows->n_partitions; j++) {
            sim_check(rows->partitions[j] < PARTITIONS_MAX, "a partition");
            sums->counts[rows->partitions[j]] += rows->counts[j];
            sums->hashes[rows->partitions[j]] += rows->hashes[j];
        }
    }
}

static void on_answer(void *user, const struct nx_rpc_result *result)
{
    struct sums *sums = user;
    sums->digests->pending--;
    sums->answered = true;
    sums->failed = result->err != NX_OK;
    if (sums->failed)
        return;
    Narthex__DigestsResponse *answer = narthex__digests_response__unpack(
        NULL, result->body.len, (const uint8_t *)result->body.ptr);
    sim_check(answer != NULL, "digests of the form that was asked");
    take(sums, answer);
    narthex__digests_response__free_unpacked(answer, NULL);
}

static void ask(struct sums *sums, struct sim_node *asker, int64_t until_ms)
{
    Narthex__DigestsRequest request = NARTHEX__DIGESTS_REQUEST__INIT;
    uint8_t all[PARTITIONS_MAX / 8];
    uint8_t bytes[PARTITIONS_MAX / 8 + 128];
    uint32_t partitions = asker->settings->partitions;
    memset(all, 0, sizeof all);
    for (uint32_t p = 0; p < partitions; p++)
        all[p / 8] |= (uint8_t)(1u << p % 8);
    request.until = until_ms;
    request.now_ms = until_ms;
    request.fold_tenants = true;
    request.partitions = (ProtobufCBinaryData){.data = all, .len = (partitions + 7) / 8};
    sim_check(narthex__digests_request__get_packed_size(&request) <= sizeof bytes, "room");
    struct nx_buf body;
    nx_buf_init(&body, sizeof bytes);
    nx_buf_append_view(&body, nx_view_make(bytes, narthex__digests_request__pack(&request, bytes)));
    struct nx_rpc_call_options options = {.address = sums->node->process.address,
                                          .method = "digests",
                                          .body = &body,
                                          .timeout_ms = 30000,
                                          .done = on_answer,
                                          .user = sums};
    sums->failed = nx_rpc_call(asker->clients[0], &options, NULL) != NX_OK;
    sums->digests->pending += !sums->failed;
}

struct sim_digests *sim_digests_ask(const struct sim_members *members, struct sim_node *asker,
                                    int64_t until_ms)
{
    struct sim_digests *digests = sim_calloc(1, sizeof *digests);
    digests->asker = asker;
    struct sim_process *outer = sim_enter(&asker->process);
    struct nx_worker *before = sim_turn(nx_workers_at(asker->workers, 0));
    for (size_t i = 0; i < members->ingester_count; i++) {
        if (members->ingesters[i].spare)
            continue;
        struct sums *sums = &digests->members[digests->count++];
        sums->digests = digests;
        sums->node = &members->ingesters[i];
        ask(sums, asker, until_ms);
    }
    (void)sim_turn(before);
    (void)sim_enter(outer);
    return digests;
}

bool sim_digests_are_in(const struct sim_digests *digests)
{
    return digests->pending == 0;
}

static const struct sums *sums_of(const struct sim_digests *digests, const char *name)
{
    for (size_t i = 0; i < digests->count; i++)
        if (strcmp(digests->members[i].node->process.name, name) == 0)
            return &digests->members[i];
    return NULL;
}

static bool agree_on(const struct sim_digests *digests, const struct nx_ring_view *view,
                     uint32_t partition, char *problem, size_t size)
{
    const struct sums *first = NULL;
    for (uint32_t k = 0; k < view->rf; k++) {
        uint16_t owner = nx_ring_owners(view, partition)[k];
        const struct sums *sums =
            owner < view->member_count ? sums_of(digests, view->members[owner].name) : NULL;
        if (!sums || sums->failed) {
            (void)snprintf(problem, size, "an owner of partition %u gives no digests", partition);
            return false;
        }
        first = first ? first : sums;
        if (sums->counts[partition] == first->counts[partition] &&
            sums->hashes[partition] == first->hashes[partition])
            continue;
        (void)snprintf(problem, size,
                       "of partition %u %s holds %" PRIu64 " samples (%016" PRIx64
                       "), %s holds %" PRIu64 " (%016" PRIx64 ")",
                       partition, first->node->process.name, first->counts[partition],
                       first->hashes[partition], sums->node->process.name, sums->counts[partition],
                       sums->hashes[partition]);
        return false;
    }
    return true;
}

bool sim_digests_agree(const struct sim_digests *digests, char *problem, size_t size)
{
    struct nx_ring_view *view = nx_ring_acquire(digests->asker->ring);
    bool agree = true;
    for (uint32_t p = 0; p < view->partitions && agree; p++)
        agree = agree_on(digests, view, p, problem, size);
    nx_ring_release(view);
    return agree;
}

void sim_digests_free(struct sim_digests *digests)
{
    sim_free(digests);
}
