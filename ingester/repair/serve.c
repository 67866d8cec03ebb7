/* From the request's worker to worker 0, which borrows the ledger, to the lane, which writes the
 * answer, and back the same way. */
#include "ingester/repair/serve.h"

#include "common/base/alloc.h"
#include "ingester/repair/query.h"

struct request {
    struct nx_task task;
    struct nx_job job;
    struct ing_ledger_ask ask;
    struct ing_digest_server *server;
    struct nx_rpc_request *req;
    struct nx_worker *home;
    struct ing_pb pb;
    const Narthex__DigestsRequest *message;
    struct ing_digest_query query;
    struct nx_buf answer;
    enum nx_err err;
};

static void request_end(struct request *request)
{
    struct ingester *ing = request->server->ing;
    if (request->err == NX_OK)
        nx_rpc_reply(request->req, &request->answer);
    else
        nx_rpc_reply_error(request->req, request->err, nx_err_text(request->err));
    nx_buf_release(&request->answer);
    ing_pb_release(&request->pb);
    nx_free(request);
    ing_leave(ing);
}

static void request_end_task(struct nx_task *task)
{
    request_end((struct request *)task);
}

/* --- on the lane --- */

static Narthex__TenantDigests *make_rows(struct nx_arena *arena, struct nx_view tenant,
                                         const struct ing_digest_table *table)
{
    Narthex__TenantDigests *rows = nx_arena_alloc(arena, sizeof *rows);
    if (!rows)
        return NULL;
    *rows = (Narthex__TenantDigests)NARTHEX__TENANT_DIGESTS__INIT;
    rows->tenant = (char *)(uintptr_t)nx_arena_copy(arena, tenant).ptr;
    rows->partitions = nx_arena_array(arena, table->count, sizeof *rows->partitions);
    rows->buckets = nx_arena_array(arena, table->count, sizeof *rows->buckets);
    rows->counts = nx_arena_array(arena, table->count, sizeof *rows->counts);
    rows->hashes = nx_arena_array(arena, table->count, sizeof *rows->hashes);
    if (!rows->tenant || !rows->partitions || !rows->buckets || !rows->counts || !rows->hashes)
        return NULL;
    for (size_t i = 0; i < table->count; i++) {
        rows->partitions[i] = table->rows[i].partition;
        rows->buckets[i] = table->rows[i].window;
        rows->counts[i] = table->rows[i].digest.count;
        rows->hashes[i] = table->rows[i].digest.hash;
    }
    rows->n_partitions = rows->n_buckets = rows->n_counts = rows->n_hashes = table->count;
    return rows;
}

static enum nx_err answer_add(struct request *request, Narthex__DigestsResponse *response,
                              struct nx_view tenant, const struct ing_digest_table *table)
{
    if (table->count == 0)
        return NX_OK;
    Narthex__TenantDigests *rows = make_rows(&request->pb.arena, tenant, table);
    if (!rows)
        return NX_ERR_NOMEM;
    response->tenants[response->n_tenants++] = rows;
    return NX_OK;
}

static enum nx_err answer_digests(struct request *request, Narthex__DigestsResponse *response)
{
    const struct ing_digest_server *server = request->server;
    const Narthex__DigestsRequest *message = request->message;
    size_t count = ing_ledger_count(server->ledger);
    struct ing_digest_table table;
    enum nx_err err = NX_OK;
    response->tenants = nx_arena_array(&request->pb.arena, count + 1, sizeof(void *));
    if (!response->tenants)
        return NX_ERR_NOMEM;
    ing_digest_table_init(&table);
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        struct ing_ledger_page page = ing_ledger_at(server->ledger, i);
        if (*message->tenant && !nx_view_is(page.tenant, message->tenant))
            continue;
        err = ing_digest_query_add(server->ing, &request->query, page, &table);
        if (err != NX_OK || message->fold_tenants)
            continue;
        err = answer_add(request, response, page.tenant, &table);
        ing_digest_table_clear(&table);
    }
    if (err == NX_OK && message->fold_tenants)
        err = answer_add(request, response, (struct nx_view){0}, &table);
    ing_digest_table_release(&table);
    return err;
}

static enum nx_err answer_deletions(struct request *request, Narthex__DigestsResponse *response)
{
    struct ing_tombstone_list list;
    struct nx_interval always = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct nx_arena *arena = &request->pb.arena;
    enum nx_err err = ing_tombstones_acquire(request->server->ing->tombstones, (struct nx_view){0},
                                             always, &list);
    if (err != NX_OK)
        return err;
    response->deletion = nx_arena_array(arena, list.count + 1, sizeof(void *));
    if (!response->deletion)
        err = NX_ERR_NOMEM;
    for (size_t i = 0; i < list.count && err == NX_OK; i++) {
        Narthex__TenantDeletion *item = nx_arena_alloc(arena, sizeof *item);
        struct nx_view tenant = nx_arena_copy(arena, list.items[i]->tenant);
        if (!item || !tenant.ptr) {
            err = NX_ERR_NOMEM;
            break;
        }
        *item = (Narthex__TenantDeletion)NARTHEX__TENANT_DELETION__INIT;
        item->tenant = (char *)(uintptr_t)tenant.ptr;
        err = ing_tombstone_message(list.items[i], arena, &item->deletion);
        response->deletion[response->n_deletion++] = item;
    }
    /* the texts are the tombstones' */
    if (err == NX_OK)
        err = ing_pb_pack(&response->base, &request->answer);
    ing_tombstone_list_release(&list);
    return err;
}

static void lane_run(struct nx_job *job)
{
    struct request *request = NX_OWNER(struct request, job, job);
    Narthex__DigestsResponse response = NARTHEX__DIGESTS_RESPONSE__INIT;
    uint64_t deletions;
    enum nx_err err = ing_digest_deletions(request->server->ing, &deletions);
    if (err == NX_OK) {
        response.deletions = deletions;
        err = answer_digests(request, &response);
    }
    if (err == NX_OK && request->message->list_deletions)
        err = answer_deletions(request, &response);
    else if (err == NX_OK)
        err = ing_pb_pack(&response.base, &request->answer);
    request->err = err;
}

/* --- worker 0 --- */

static void finish(struct request *request)
{
    struct ing_ledger *ledger = request->server->ledger;
    request->task.run = request_end_task;
    nx_worker_reply(request->home, &request->task);
    ing_ledger_return(ledger);
}

static void lane_done(struct nx_job *job)
{
    finish(NX_OWNER(struct request, job, job));
}

static void ready(struct ing_ledger_ask *ask, enum nx_err err)
{
    struct request *request = NX_OWNER(struct request, ask, ask);
    request->job = (struct nx_job){.run = lane_run, .done = lane_done};
    if (err == NX_OK)
        err = nx_lane_submit(request->server->lane, &request->job);
    if (err == NX_OK)
        return;
    request->err = err;
    finish(request);
}

static void borrow(struct nx_task *task)
{
    struct request *request = (struct request *)task;
    request->ask = (struct ing_ledger_ask){.until = request->message->until, .ready = ready};
    request->query.retention_ms = request->server->ing->deps.settings->retention_ms;
    ing_ledger_borrow(request->server->ledger, &request->ask);
}

/* --- the request --- */

static enum nx_err request_init(struct request *request)
{
    struct nx_view body = nx_rpc_request_body(request->req);
    request->message = narthex__digests_request__unpack(&request->pb.allocator, body.len,
                                                        (const uint8_t *)body.ptr);
    if (!request->message)
        return NX_ERR_INVALID;
    const Narthex__DigestsRequest *message = request->message;
    request->query = (struct ing_digest_query){.from = message->from,
                                               .until = message->until,
                                               .bucket_ms = message->bucket_ms,
                                               .now_ms = message->now_ms};
    if (message->before != 0 && message->before < message->until)
        request->query.until = message->before;
    if (message->until > ING_TIME_LIMIT || message->until < -ING_TIME_LIMIT ||
        message->now_ms > ING_TIME_LIMIT || message->now_ms < -ING_TIME_LIMIT ||
        message->bucket_ms < 0 || message->bucket_ms % ING_DIGEST_WINDOW_MS != 0)
        return NX_ERR_INVALID;
    return ing_partition_filter_init(&request->query.filter, &message->partitions,
                                     request->server->ing->deps.partitions);
}

void ing_digests_handle(struct nx_rpc_request *req, void *user)
{
    struct ing_digest_server *server = user;
    if (!ing_admit(server->ing, req))
        return;
    struct request *request = nx_calloc(1, sizeof *request);
    if (!request) {
        nx_rpc_reply_error(req, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        ing_leave(server->ing);
        return;
    }
    request->server = server;
    request->req = req;
    request->home = nx_rpc_request_worker(req);
    ing_pb_init(&request->pb);
    nx_buf_init(&request->answer, ING_DIGESTS_ANSWER_MAX);
    /* Once posted, the request belongs to the others: they may have ended it already. */
    enum nx_err err = request_init(request);
    if (err == NX_OK) {
        request->task.run = borrow;
        err = nx_worker_post(nx_workers_at(server->ing->deps.workers, 0), &request->task);
    }
    if (err != NX_OK) {
        request->err = err;
        request_end(request);
    }
}
