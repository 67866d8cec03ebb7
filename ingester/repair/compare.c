/* The peer is asked first, and only then the ledger is borrowed: it is never held while this node
 * waits for another one, which may be waiting for it. */
#include "ingester/repair/compare.h"

#include <string.h>

#include "common/base/alloc.h"

#define DAY_MS INT64_C(86400000)
#define FROM_MS (-(INT64_C(1) << 58))

/* --- lists --- */

void ing_diffs_release(struct ing_diffs *diffs)
{
    for (size_t i = 0; i < diffs->count; i++) {
        nx_free((void *)(uintptr_t)diffs->items[i].tenant.ptr);
        ing_digest_table_release(&diffs->items[i].rows);
    }
    nx_free(diffs->items);
    *diffs = (struct ing_diffs){0};
}

const struct ing_diff *ing_diffs_find(const struct ing_diffs *diffs, struct nx_view tenant)
{
    for (size_t i = diffs->count; i-- > 0;)
        if (nx_view_eq(diffs->items[i].tenant, tenant))
            return &diffs->items[i];
    return NULL;
}

enum nx_err ing_diffs_get(struct ing_diffs *diffs, struct nx_view tenant, struct ing_diff **out)
{
    const struct ing_diff *found = ing_diffs_find(diffs, tenant);
    if (found) {
        *out = &diffs->items[found - diffs->items];
        return NX_OK;
    }
    enum nx_err err =
        nx_grow(&diffs->items, &diffs->capacity, diffs->count + 1, sizeof *diffs->items);
    char *copy = err == NX_OK ? nx_strndup(tenant.len > 0 ? tenant.ptr : "", tenant.len) : NULL;
    if (!copy)
        return NX_ERR_NOMEM;
    *out = &diffs->items[diffs->count++];
    (*out)->tenant = nx_view_make(copy, tenant.len);
    ing_digest_table_init(&(*out)->rows);
    return NX_OK;
}

/* --- on the lane --- */

static enum nx_err own_rows(struct ing_compare *compare, struct nx_view tenant,
                            struct ing_digest_table *out)
{
    enum nx_err err = NX_OK;
    if (compare->level != ING_COMPARE_ALL) {
        struct ing_ledger_page page = {.tenant = tenant,
                                       .digests = ing_ledger_find(compare->ledger, tenant)};
        return page.digests ? ing_digest_query_add(compare->ing, &compare->query, page, out) : err;
    }
    for (size_t i = 0; i < ing_ledger_count(compare->ledger) && err == NX_OK; i++)
        err = ing_digest_query_add(compare->ing, &compare->query, ing_ledger_at(compare->ledger, i),
                                   out);
    return err;
}

static bool is_taken(const struct ing_diff *taken, const struct ing_digest_row *row)
{
    const struct ing_digest *found =
        taken ? ing_digest_table_find(&taken->rows, row->partition, row->window) : NULL;
    return found && ing_digest_eq(*found, row->digest);
}

static size_t rows_of(const struct ing_diffs *diffs)
{
    size_t rows = 0;
    for (size_t i = 0; i < diffs->count; i++)
        rows += diffs->items[i].rows.count;
    return rows;
}

/* A row of the peer that differs here. */
static enum nx_err note(struct ing_compare *compare, struct nx_view tenant,
                        const struct ing_digest_row *row)
{
    struct ing_diff *diff;
    uint8_t bit = (uint8_t)(1U << (row->partition % 8));
    if (compare->level == ING_COMPARE_ALL) {
        compare->differs[row->partition / 8] |= bit;
        return NX_OK;
    }
    if (compare->level == ING_COMPARE_WINDOWS) {
        compare->equal[row->partition / 8] &= (uint8_t)~bit;
        if (rows_of(&compare->diffs) >= ING_COMPARE_ROWS_MAX) {
            compare->partial = true;
            return NX_OK;
        }
    }
    enum nx_err err = ing_diffs_get(
        compare->level == ING_COMPARE_DAYS ? &compare->days : &compare->diffs, tenant, &diff);
    return err == NX_OK
               ? ing_digest_table_add(&diff->rows, row->partition, row->window, row->digest)
               : err;
}

static enum nx_err compare_rows(struct ing_compare *compare, const Narthex__TenantDigests *message)
{
    struct nx_view tenant = nx_view_of(message->tenant);
    const struct ing_diff *taken =
        compare->level == ING_COMPARE_WINDOWS ? ing_diffs_find(compare->taken, tenant) : NULL;
    struct ing_digest_table own;
    ing_digest_table_init(&own);
    enum nx_err err = own_rows(compare, tenant, &own);
    for (size_t i = 0; i < message->n_partitions && err == NX_OK; i++) {
        struct ing_digest_row row = {
            .window = message->buckets[i],
            .partition = message->partitions[i],
            .digest = {.count = message->counts[i], .hash = message->hashes[i]}};
        const struct ing_digest *found = ing_digest_table_find(&own, row.partition, row.window);
        if (row.partition >= compare->ing->deps.partitions || row.digest.count == 0 ||
            row.window < -ING_TIME_LIMIT || row.window > ING_TIME_LIMIT)
            err = NX_ERR_CORRUPT;
        else if (!(found && ing_digest_eq(*found, row.digest)) && !is_taken(taken, &row))
            err = note(compare, tenant, &row);
    }
    ing_digest_table_release(&own);
    return err;
}

static enum nx_err compare_answer(struct ing_compare *compare)
{
    struct ing_pb pb;
    ing_pb_init(&pb);
    const Narthex__DigestsResponse *response = narthex__digests_response__unpack(
        &pb.allocator, compare->answer.len, (const uint8_t *)compare->answer.data);
    enum nx_err err = response ? NX_OK : NX_ERR_CORRUPT;
    for (size_t i = 0; err == NX_OK && i < response->n_tenants; i++) {
        const Narthex__TenantDigests *rows = response->tenants[i];
        if (rows->n_buckets != rows->n_partitions || rows->n_counts != rows->n_partitions ||
            rows->n_hashes != rows->n_partitions)
            err = NX_ERR_CORRUPT;
        else
            err = compare_rows(compare, rows);
    }
    if (err == NX_OK && compare->level == ING_COMPARE_ALL) {
        compare->deletions = response->deletions;
        compare->peer_has_data = response->n_tenants > 0;
        err = ing_digest_deletions(compare->ing, &compare->own_deletions);
    }
    ing_pb_release(&pb);
    return err;
}

static void lane_run(struct nx_job *job)
{
    struct ing_compare *compare = NX_OWNER(struct ing_compare, job, job);
    compare->err = compare_answer(compare);
}

/* --- worker 0 --- */

static void ask_peer(struct ing_compare *compare);

static bool is_empty(const uint8_t *bits, uint32_t partitions)
{
    for (uint32_t i = 0; i < (partitions + 7) / 8; i++)
        if (bits[i])
            return false;
    return true;
}

static void finish(struct ing_compare *compare, enum nx_err err)
{
    nx_buf_clear(&compare->answer);
    compare->done(compare, err);
}

static void next_level(struct ing_compare *compare)
{
    uint32_t partitions = compare->ing->deps.partitions;
    if (compare->level == ING_COMPARE_ALL) {
        if (is_empty(compare->differs, partitions)) {
            finish(compare, NX_OK);
            return;
        }
        compare->level = ING_COMPARE_DAYS;
    } else if (compare->level == ING_COMPARE_DAYS) {
        compare->level = ING_COMPARE_WINDOWS;
        compare->day_at = 0;
    } else {
        compare->day_at++;
    }
    if (compare->level == ING_COMPARE_WINDOWS &&
        (compare->day_at == compare->days.count || compare->partial))
        finish(compare, NX_OK);
    else
        ask_peer(compare);
}

static void lane_done(struct nx_job *job)
{
    struct ing_compare *compare = NX_OWNER(struct ing_compare, job, job);
    ing_ledger_return(compare->ledger);
    if (compare->err != NX_OK)
        finish(compare, compare->err);
    else
        next_level(compare);
}

static void ready(struct ing_ledger_ask *ask, enum nx_err err)
{
    struct ing_compare *compare = NX_OWNER(struct ing_compare, ask, ask);
    compare->job = (struct nx_job){.run = lane_run, .done = lane_done};
    compare->afresh = false;
    if (err == NX_OK)
        err = nx_lane_submit(compare->lane, &compare->job);
    if (err == NX_OK)
        return;
    ing_ledger_return(compare->ledger);
    finish(compare, err);
}

static void on_answer(void *user, const struct nx_rpc_result *result)
{
    struct ing_compare *compare = user;
    enum nx_err err = result->err;
    compare->call = NULL;
    nx_buf_clear(&compare->answer);
    if (err == NX_OK) {
        nx_buf_append_view(&compare->answer, result->body);
        err = nx_buf_err(&compare->answer);
    }
    if (err != NX_OK) {
        finish(compare, err);
        return;
    }
    compare->ask =
        (struct ing_ledger_ask){.until = compare->until, .afresh = compare->afresh, .ready = ready};
    ing_ledger_borrow(compare->ledger, &compare->ask);
}

/* Of the tenant whose turn it is: the days and partitions that differ. */
static void narrow(struct ing_compare *compare, Narthex__DigestsRequest *request)
{
    const struct ing_diff *days = &compare->days.items[compare->day_at];
    int64_t from = INT64_MAX, until = INT64_MIN;
    memset(compare->differs, 0, (compare->ing->deps.partitions + 7) / 8);
    for (size_t i = 0; i < days->rows.count; i++) {
        const struct ing_digest_row *row = &days->rows.rows[i];
        compare->differs[row->partition / 8] |= (uint8_t)(1U << (row->partition % 8));
        from = row->window < from ? row->window : from;
        until = row->window + DAY_MS > until ? row->window + DAY_MS : until;
    }
    request->tenant = (char *)(uintptr_t)days->tenant.ptr;
    compare->query.from = from;
    compare->query.until = until < compare->until ? until : compare->until;
    request->before = compare->query.until;
}

static void ask_peer(struct ing_compare *compare)
{
    static const int64_t buckets[] = {0, DAY_MS, ING_DIGEST_WINDOW_MS};
    Narthex__DigestsRequest request = NARTHEX__DIGESTS_REQUEST__INIT;
    size_t bytes = (compare->ing->deps.partitions + 7) / 8;
    compare->query.from = FROM_MS;
    compare->query.until = compare->until;
    compare->query.bucket_ms = buckets[compare->level];
    compare->query.filter.bits =
        compare->level == ING_COMPARE_ALL ? compare->partitions : compare->differs;
    if (compare->level == ING_COMPARE_WINDOWS)
        narrow(compare, &request);
    request.from = compare->query.from;
    request.until = compare->until;
    request.bucket_ms = compare->query.bucket_ms;
    request.partitions = (ProtobufCBinaryData){
        .data = (uint8_t *)(uintptr_t)compare->query.filter.bits, .len = bytes};
    request.fold_tenants = compare->level == ING_COMPARE_ALL;
    request.now_ms = compare->query.now_ms;
    struct nx_buf body;
    nx_buf_init(&body, 1 << 20);
    enum nx_err err = ing_pb_pack(&request.base, &body);
    struct nx_rpc_call_options options = {.address = compare->address,
                                          .method = "digests",
                                          .body = &body,
                                          .timeout_ms = compare->timeout_ms,
                                          .done = on_answer,
                                          .user = compare};
    if (err == NX_OK)
        err = nx_rpc_call(compare->client, &options, &compare->call);
    nx_buf_release(&body);
    if (err != NX_OK)
        finish(compare, err);
}

void ing_compare_start(struct ing_compare *compare)
{
    size_t bytes = (compare->ing->deps.partitions + 7) / 8;
    compare->level = ING_COMPARE_ALL;
    nx_buf_init(&compare->answer, (size_t)64 << 20);
    compare->query =
        (struct ing_digest_query){.now_ms = nx_now_ms(compare->ing->deps.clock),
                                  .retention_ms = compare->ing->deps.settings->retention_ms,
                                  .filter = {.partitions = compare->ing->deps.partitions}};
    compare->differs = nx_calloc(bytes, 1);
    compare->equal = nx_calloc(bytes, 1);
    if (!compare->differs || !compare->equal) {
        finish(compare, NX_ERR_NOMEM);
        return;
    }
    memcpy(compare->equal, compare->partitions, bytes);
    ask_peer(compare);
}

void ing_compare_cancel(struct ing_compare *compare)
{
    if (compare->call)
        nx_rpc_call_cancel(compare->call);
}

void ing_compare_release(struct ing_compare *compare)
{
    ing_diffs_release(&compare->diffs);
    ing_diffs_release(&compare->days);
    nx_buf_release(&compare->answer);
    nx_free(compare->differs);
    nx_free(compare->equal);
    compare->differs = compare->equal = NULL;
}
