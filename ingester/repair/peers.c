#include "ingester/repair/peers.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/ring/placement.h"

static bool among(const uint16_t *members, size_t count, size_t member)
{
    for (size_t i = 0; i < count; i++)
        if (members[i] == member)
            return true;
    return false;
}

static void find_mine(struct ing_peers *peers)
{
    const struct nx_ring_view *view = peers->view;
    uint32_t enough = nx_ring_read_quorum(view);
    for (uint32_t p = 0; p < view->partitions; p++) {
        const uint16_t *owners = nx_ring_owners(view, p);
        size_t count;
        const uint16_t *writers = nx_ring_writers(view, p, &count);
        uint32_t others = 0;
        for (uint32_t i = 0; i < view->rf; i++)
            others += owners[i] != NX_PLACEMENT_NONE && owners[i] != peers->self;
        ing_bit_set(peers->mine, p, among(writers, count, peers->self));
        ing_bit_set(peers->owned, p, among(owners, view->rf, peers->self));
        ing_bit_set(peers->next, p, among(nx_ring_next_owners(view, p), view->rf, peers->self));
        peers->needed[p] = (uint8_t)(others < enough ? others : enough);
    }
}

enum nx_err ing_peers_init(struct ing_peers *peers, struct nx_ring *ring, const char *name)
{
    *peers = (struct ing_peers){.view = nx_ring_acquire(ring), .self = ING_PEER_NONE};
    const struct nx_ring_view *view = peers->view;
    peers->mine = nx_calloc(ing_bits_size(view->partitions), 1);
    peers->owned = nx_calloc(ing_bits_size(view->partitions), 1);
    peers->next = nx_calloc(ing_bits_size(view->partitions), 1);
    peers->needed = nx_calloc(view->partitions, 1);
    if (!peers->mine || !peers->owned || !peers->next || !peers->needed) {
        ing_peers_release(peers);
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < view->member_count; i++)
        if (strcmp(view->members[i].name, name) == 0)
            peers->self = i;
    if (peers->self != ING_PEER_NONE)
        find_mine(peers);
    return NX_OK;
}

void ing_peers_release(struct ing_peers *peers)
{
    if (peers->view)
        nx_ring_release(peers->view);
    nx_free(peers->mine);
    nx_free(peers->owned);
    nx_free(peers->next);
    nx_free(peers->needed);
    *peers = (struct ing_peers){.self = ING_PEER_NONE};
}

bool ing_peers_shared(const struct ing_peers *peers, size_t member, uint8_t *bits)
{
    const struct nx_ring_view *view = peers->view;
    bool any = false;
    for (uint32_t p = 0; p < view->partitions; p++) {
        bool shared = ing_bit(peers->mine, p) && among(nx_ring_owners(view, p), view->rf, member);
        ing_bit_set(bits, p, shared);
        any = any || shared;
    }
    return any;
}

bool ing_peers_is_birth(const struct ing_peers *peers, bool waited)
{
    const struct nx_ring_view *view = peers->view;
    size_t unheard = 0;
    for (size_t i = 0; i < view->member_count; i++) {
        const struct nx_member *member = &view->members[i];
        bool heard = i == peers->self || member->incarnation != 0;
        unheard += !heard;
        if (heard && member->state != NX_MEMBER_JOINING)
            return false;
    }
    return unheard == 0 || (waited && unheard <= view->rf - nx_ring_write_quorum(view));
}
