/* Every second each ingester is told that this distributor scrapes, and by which file, and tells
 * who else does by the same one: any ingester that answers is enough to be found by. So there is
 * no list to keep, whichever way the ring's members come. A peer that no ingester has named for
 * scrape.peer-timeout is dead (peers.c judges), one that is dead for long leaves the table. */
#include <string.h>

#include "common/base/alloc.h"
#include "common/ring/ring.h"
#include "distributor/scrape/scrape_internal.h"
#include "proto/internal.pb-c.h"

#define METHOD "scrapers"
#define ASK_EVERY_MS 1000
#define ASK_TIMEOUT_MS 2000
#define FORGET_TIMEOUTS 10

enum { ANSWER_MAX_BYTES = 512 * 1024 };

static struct scrape_peer *find(struct dist_scrape *scrape, struct nx_view address)
{
    for (size_t i = 0; i < scrape->peer_count; i++)
        if (nx_view_eq(nx_view_of(scrape->peers[i].address), address))
            return &scrape->peers[i];
    return NULL;
}

/* One without room or memory is not known: its targets are scraped twice, none is missing. */
static void hear(struct dist_scrape *scrape, struct nx_view address)
{
    struct scrape_peer *peer = find(scrape, address);
    if (!peer) {
        char *copy = NULL;
        if (scrape->peer_count < SCRAPE_PEERS_MAX)
            copy = nx_strndup(address.ptr, address.len);
        if (!copy)
            return;
        peer = &scrape->peers[scrape->peer_count++];
        *peer = (struct scrape_peer){.scrape = scrape,
                                     .address = copy,
                                     .self = strcmp(copy, scrape->deps.self) == 0,
                                     .live = true};
        scrape_touch(scrape);
    }
    peer->heard_ms = scrape_mono_ms(scrape);
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
    struct dist_scrape *scrape = user;
    ProtobufCAllocator allocator = {.alloc = pb_alloc, .free = pb_free};
    if (result->err != NX_OK || scrape->stopping)
        return;
    Narthex__ScrapersResponse *answer = narthex__scrapers_response__unpack(
        &allocator, result->body.len, (const uint8_t *)(const void *)result->body.ptr);
    if (!answer)
        return;
    for (struct nx_view rest = nx_view_of(answer->addresses); rest.len > 0;) {
        size_t at = nx_view_find(rest, ',');
        size_t next = at < rest.len ? at + 1 : at;
        hear(scrape, nx_view_make(rest.ptr, at));
        rest = nx_view_make(rest.ptr + next, rest.len - next);
    }
    /* Those that start with this one are heard in the next round. */
    scrape->peers_known |= scrape->rounds > 1;
    narthex__scrapers_response__free_unpacked(answer, &allocator);
}

static void ask(struct dist_scrape *scrape, const char *address, struct nx_buf *body)
{
    struct nx_rpc_call_options options = {.address = address,
                                          .method = METHOD,
                                          .body = body,
                                          .timeout_ms = ASK_TIMEOUT_MS,
                                          .max_frame_bytes = ANSWER_MAX_BYTES,
                                          .done = on_answer,
                                          .user = scrape};
    (void)!nx_rpc_call(scrape->deps.clients[0], &options, NULL);
}

static void ask_all(struct dist_scrape *scrape)
{
    Narthex__ScrapersRequest request = NARTHEX__SCRAPERS_REQUEST__INIT;
    request.address = (char *)(uintptr_t)scrape->deps.self;
    uint64_t parts[] = {scrape->config->fingerprint,
                        nx_hash_view(nx_view_of(scrape->deps.settings->scrape_tenant))};
    request.config = nx_hash64(parts, sizeof parts);
    request.timeout_ms = (uint64_t)scrape->deps.settings->scrape_peer_timeout_ms;
    struct nx_ring_view *view = nx_ring_acquire(scrape->deps.ring);
    size_t size = narthex__scrapers_request__get_packed_size(&request);
    for (size_t i = 0; view && i < view->member_count; i++) {
        struct nx_buf body;
        nx_buf_init(&body, SIZE_MAX);
        if (view->members[i].healthy && nx_buf_reserve(&body, size) == NX_OK) {
            body.len = narthex__scrapers_request__pack(&request, (uint8_t *)(void *)body.data);
            ask(scrape, view->members[i].address, &body);
        }
        nx_buf_release(&body);
    }
    if (view)
        nx_ring_release(view);
}

static void forget(struct dist_scrape *scrape, int64_t now_ms)
{
    int64_t most_ms = scrape->deps.settings->scrape_peer_timeout_ms * FORGET_TIMEOUTS;
    size_t kept = 0;
    for (size_t i = 0; i < scrape->peer_count; i++) {
        struct scrape_peer *peer = &scrape->peers[i];
        if (!peer->live && now_ms - peer->heard_ms > most_ms)
            nx_free((char *)(uintptr_t)peer->address);
        else
            scrape->peers[kept++] = *peer;
    }
    scrape->peer_count = kept;
}

void scrape_found_tick(struct dist_scrape *scrape)
{
    int64_t now_ms = scrape_mono_ms(scrape);
    if (scrape->config->job_count == 0) {
        scrape->peers_known = true; /* nothing to share */
        return;
    }
    if (now_ms < scrape->peers_due_ms)
        return;
    /* the first answers are waited for, so they are asked for with each tick until then */
    scrape->peers_due_ms = scrape->peers_known ? now_ms + ASK_EVERY_MS : now_ms;
    scrape->rounds++;
    ask_all(scrape);
    forget(scrape, now_ms);
}
