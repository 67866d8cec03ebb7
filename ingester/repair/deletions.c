#include "ingester/repair/deletions.h"

static void next(struct ing_deletions *deletions);

static bool is_known(struct ing_deletions *deletions, const Narthex__Deletion *deletion)
{
    struct nx_cursor cur = nx_cursor_of(nx_view_make(deletion->id.data, deletion->id.len));
    struct nx_hash128 id = {.hi = nx_cursor_u64(&cur)};
    id.lo = nx_cursor_u64(&cur);
    return !nx_cursor_ok(&cur) || ing_tombstones_known(deletions->ing->tombstones, id);
}

static void on_deleted(void *user, const struct nx_rpc_result *result)
{
    struct ing_deletions *deletions = user;
    deletions->call = NULL;
    if (result->err != NX_OK) {
        deletions->done(deletions, result->err);
        return;
    }
    deletions->learnt++;
    deletions->at++;
    next(deletions);
}

static enum nx_err carry_out(struct ing_deletions *deletions, const Narthex__TenantDeletion *item)
{
    const Narthex__Deletion *deletion = item->deletion;
    Narthex__DeleteRequest request = NARTHEX__DELETE_REQUEST__INIT;
    struct nx_buf body;
    request.tenant = item->tenant;
    request.id = deletion->id;
    request.matchers = deletion->matchers;
    request.n_matchers = deletion->n_matchers;
    request.min_t = deletion->min_t;
    request.max_t = deletion->max_t;
    request.created_ms = deletion->created_ms;
    request.late = true;
    nx_buf_init(&body, 1 << 20);
    enum nx_err err = ing_pb_pack(&request.base, &body);
    struct nx_rpc_call_options options = {.address = deletions->own_address,
                                          .method = "delete",
                                          .body = &body,
                                          .timeout_ms = deletions->timeout_ms,
                                          .done = on_deleted,
                                          .user = deletions};
    if (err == NX_OK)
        err = nx_rpc_call(deletions->client, &options, &deletions->call);
    nx_buf_release(&body);
    return err;
}

static void next(struct ing_deletions *deletions)
{
    const Narthex__DigestsResponse *list = deletions->list;
    while (deletions->at < list->n_deletion &&
           (!list->deletion[deletions->at]->deletion ||
            is_known(deletions, list->deletion[deletions->at]->deletion)))
        deletions->at++;
    if (deletions->at == list->n_deletion) {
        deletions->done(deletions, NX_OK);
        return;
    }
    enum nx_err err = carry_out(deletions, list->deletion[deletions->at]);
    if (err != NX_OK)
        deletions->done(deletions, err);
}

static void on_list(void *user, const struct nx_rpc_result *result)
{
    struct ing_deletions *deletions = user;
    enum nx_err err = result->err;
    deletions->call = NULL;
    if (err == NX_OK) {
        nx_buf_append_view(&deletions->answer, result->body);
        err = nx_buf_err(&deletions->answer);
    }
    if (err == NX_OK) {
        deletions->list =
            narthex__digests_response__unpack(&deletions->pb.allocator, deletions->answer.len,
                                              (const uint8_t *)deletions->answer.data);
        err = deletions->list ? NX_OK : NX_ERR_CORRUPT;
    }
    if (err != NX_OK)
        deletions->done(deletions, err);
    else
        next(deletions);
}

void ing_deletions_start(struct ing_deletions *deletions)
{
    Narthex__DigestsRequest request = NARTHEX__DIGESTS_REQUEST__INIT;
    struct nx_buf body;
    nx_buf_init(&deletions->answer, (size_t)64 << 20);
    ing_pb_init(&deletions->pb);
    nx_buf_init(&body, 1 << 20);
    request.until = deletions->until;
    request.from = deletions->until; /* no digests */
    request.fold_tenants = true;
    request.list_deletions = true;
    enum nx_err err = ing_pb_pack(&request.base, &body);
    struct nx_rpc_call_options options = {.address = deletions->peer,
                                          .method = "digests",
                                          .body = &body,
                                          .timeout_ms = deletions->timeout_ms,
                                          .done = on_list,
                                          .user = deletions};
    if (err == NX_OK)
        err = nx_rpc_call(deletions->client, &options, &deletions->call);
    nx_buf_release(&body);
    if (err != NX_OK)
        deletions->done(deletions, err);
}

void ing_deletions_cancel(struct ing_deletions *deletions)
{
    if (deletions->call)
        nx_rpc_call_cancel(deletions->call);
}

void ing_deletions_release(struct ing_deletions *deletions)
{
    nx_buf_release(&deletions->answer);
    ing_pb_release(&deletions->pb);
}
