/* Distributors that share the targets, by a list or as ingesters tell (found.c). Of a list each one
 * asks the others every half second; who has not
 * answered for scrape.peer-timeout is dead, and its targets fall to those that are left, as
 * rendezvous hashing has them. At the start everybody counts as alive until that time has passed,
 * so that a restart does not scrape what others do. */
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "distributor/scrape/scrape_internal.h"

#define METHOD "scrape-peer"
#define ASK_TIMEOUT_MS 2000

static void serve(struct nx_rpc_request *req, void *user)
{
    struct nx_buf empty;
    (void)user;
    nx_buf_init(&empty, 1);
    nx_rpc_reply(req, &empty);
}

static enum nx_err add_peer(struct dist_scrape *scrape, struct nx_view address,
                            struct nx_fail *fail)
{
    struct scrape_peer *peer = &scrape->peers[scrape->peer_count];
    struct nx_view copy = nx_arena_copy(&scrape->peer_arena, address);
    if (!copy.ptr)
        return NX_ERR_NOMEM;
    if (nx_view_find(address, ':') == address.len)
        return nx_fail_set(fail, NX_ERR_CONFIG, "scrape.peers: \"%s\" is not HOST:PORT", copy.ptr);
    for (size_t i = 0; i < scrape->peer_count; i++)
        if (strcmp(scrape->peers[i].address, copy.ptr) == 0)
            return nx_fail_set(fail, NX_ERR_CONFIG, "scrape.peers: \"%s\" is there twice",
                               copy.ptr);
    *peer = (struct scrape_peer){.scrape = scrape,
                                 .address = copy.ptr,
                                 .self = strcmp(copy.ptr, scrape->deps.self) == 0,
                                 .live = true,
                                 .heard_ms = scrape_mono_ms(scrape)};
    scrape->peer_count++;
    return NX_OK;
}

static enum nx_err parse(struct dist_scrape *scrape, struct nx_fail *fail)
{
    struct nx_view rest = nx_view_of(scrape->deps.settings->scrape_peers);
    bool has_self = false;
    scrape->peers = nx_calloc(SCRAPE_PEERS_MAX, sizeof *scrape->peers);
    if (!scrape->peers)
        return NX_ERR_NOMEM;
    while (rest.len > 0) {
        size_t at = nx_view_find(rest, ',');
        struct nx_view address = nx_view_trim(nx_view_make(rest.ptr, at));
        size_t next = at < rest.len ? at + 1 : at;
        rest = nx_view_make(rest.ptr + next, rest.len - next);
        if (address.len == 0)
            continue;
        if (scrape->peer_count == SCRAPE_PEERS_MAX)
            return nx_fail_set(fail, NX_ERR_CONFIG, "scrape.peers: more than %d", SCRAPE_PEERS_MAX);
        enum nx_err err = add_peer(scrape, address, fail);
        if (err)
            return err;
        has_self |= scrape->peers[scrape->peer_count - 1].self;
    }
    if (scrape->peer_count > 0 && !has_self)
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "scrape.peers: expected this node's own address \"%s\" "
                           "(node.advertise) among them",
                           scrape->deps.self);
    scrape->peers_found = scrape->peer_count == 0;
    scrape->peers_known = !scrape->peers_found;
    return NX_OK;
}

enum nx_err scrape_peers_init(struct dist_scrape *scrape, struct nx_fail *fail)
{
    enum nx_err err = parse(scrape, fail);
    if (!err && scrape->deps.rpc)
        err = nx_rpc_server_method(scrape->deps.rpc, METHOD, serve, scrape, 1024, NULL);
    return err;
}

static void on_answer(void *user, const struct nx_rpc_result *result)
{
    struct scrape_peer *peer = user;
    peer->asking = false;
    if (result->err == NX_OK)
        peer->heard_ms = scrape_mono_ms(peer->scrape);
}

static void ask(struct scrape_peer *peer)
{
    struct nx_rpc_call_options options = {.address = peer->address,
                                          .method = METHOD,
                                          .timeout_ms = ASK_TIMEOUT_MS,
                                          .max_frame_bytes = 1024,
                                          .done = on_answer,
                                          .user = peer};
    peer->asking = nx_rpc_call(peer->scrape->deps.clients[0], &options, NULL) == NX_OK;
}

static void judge(struct scrape_peer *peer, int64_t now)
{
    struct dist_scrape *scrape = peer->scrape;
    bool live = peer->self || now - peer->heard_ms < scrape->deps.settings->scrape_peer_timeout_ms;
    if (live == peer->live)
        return;
    peer->live = live;
    nx_log(scrape->deps.log, live ? NX_LOG_INFO : NX_LOG_WARN,
           live ? "a peer scrapes again" : "a peer is silent: its targets are shared out",
           NX_S("peer", peer->address));
    scrape_touch(scrape);
}

void scrape_peers_tick(struct dist_scrape *scrape)
{
    int64_t now = scrape_mono_ms(scrape);
    size_t live = 0;
    if (scrape->peers_found)
        scrape_found_tick(scrape);
    for (size_t i = 0; i < scrape->peer_count; i++) {
        struct scrape_peer *peer = &scrape->peers[i];
        judge(peer, now);
        if (!peer->self && !peer->asking && !scrape->peers_found)
            ask(peer);
        live += peer->live;
    }
    nx_metric_set(scrape->metrics, SCRAPE_METRIC_PEERS, 0, live > 0 ? (double)live : 1);
}

const char **scrape_peers_live(const struct dist_scrape *scrape)
{
    const char **list = nx_calloc(scrape->peer_count + 1, sizeof(const char *));
    size_t count = 0;
    for (size_t i = 0; list && i < scrape->peer_count; i++)
        if (scrape->peers[i].live)
            list[count++] = scrape->peers[i].address;
    return list;
}
