/* The view as JSON, for /api/v1/cluster and `narthex ctl`. Incarnations are strings: they need all
 * 64 bits. */
#include <inttypes.h>

#include "common/base/quote.h"
#include "common/ring/placement.h"
#include "common/ring/ring.h"

static void put_string(struct nx_buf *out, const char *text)
{
    if (!nx_view_is_utf8(nx_view_of(text))) {
        text = "";
    }
    nx_quote_json(out, nx_view_of(text));
}

/* Partitions of which the member is an owner, and those of which it is the first. */
static void count_owned(const struct nx_ring_view *view, size_t member, uint32_t *owned,
                        uint32_t *first)
{
    *owned = 0;
    *first = 0;
    for (uint32_t p = 0; p < view->partitions; p++) {
        const uint16_t *owners = nx_ring_owners(view, p);
        for (uint32_t i = 0; i < view->rf; i++) {
            *owned += owners[i] == member ? 1 : 0;
        }
        *first += owners[0] == member ? 1 : 0;
    }
}

/* Partitions that the member is to own, and of which it has all data. */
static uint32_t count_whole(const struct nx_ring_view *view, size_t member)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < view->partitions; p++) {
        const uint16_t *owners = nx_ring_next_owners(view, p);
        for (uint32_t i = 0; i < view->rf; i++) {
            count += owners[i] == member && nx_ring_is_whole(view, member, p) ? 1 : 0;
        }
    }
    return count;
}

static void print_member(const struct nx_ring_view *view, size_t i, struct nx_buf *out)
{
    const struct nx_member *member = &view->members[i];
    uint32_t owned = 0;
    uint32_t first = 0;
    count_owned(view, i, &owned, &first);
    nx_buf_append_str(out, "{\"name\":");
    put_string(out, member->name);
    nx_buf_append_str(out, ",\"address\":");
    put_string(out, member->address);
    nx_buf_append_str(out, ",\"zone\":");
    put_string(out, member->zone);
    nx_buf_printf(out, ",\"weight\":%g,\"state\":\"%s\",\"healthy\":%s", member->weight,
                  nx_member_state_text(member->state), member->healthy ? "true" : "false");
    nx_buf_printf(out, ",\"incarnation\":\"%" PRIu64 "\",\"lastSeenMs\":%" PRId64,
                  member->incarnation, member->last_seen_ms);
    nx_buf_printf(out, ",\"clockSkewMs\":%" PRId64 ",\"wholePartitions\":%" PRIu32, member->skew_ms,
                  count_whole(view, i));
    nx_buf_append_str(out, ",\"problem\":");
    put_string(out, member->problem);
    nx_buf_printf(out, ",\"partitions\":%" PRIu32 ",\"primaryPartitions\":%" PRIu32 "}", owned,
                  first);
}

/* Partitions of which fewer than `quorum` owners are healthy, and where asked for, whole. */
static uint32_t count_short(const struct nx_ring_view *view, uint32_t quorum, bool whole)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < view->partitions; p++) {
        const uint16_t *owners = nx_ring_owners(view, p);
        uint32_t good = 0;
        for (uint32_t i = 0; i < view->rf; i++) {
            good += owners[i] != NX_PLACEMENT_NONE && view->members[owners[i]].healthy &&
                            (!whole || nx_ring_is_whole(view, owners[i], p))
                        ? 1
                        : 0;
        }
        count += good < quorum ? 1 : 0;
    }
    return count;
}

void nx_ring_view_print_json(const struct nx_ring_view *view, struct nx_buf *out)
{
    uint32_t write = nx_ring_write_quorum(view);
    uint32_t read = nx_ring_read_quorum(view);
    nx_buf_append_str(out, "{\"cluster\":");
    put_string(out, view->cluster);
    nx_buf_printf(out, ",\"version\":%" PRIu64 ",\"partitions\":%" PRIu32, view->version,
                  view->partitions);
    nx_buf_printf(out, ",\"replicationFactor\":%" PRIu32 ",\"writeQuorum\":%" PRIu32, view->rf,
                  write);
    nx_buf_printf(out, ",\"readQuorum\":%" PRIu32, read);
    nx_buf_printf(out, ",\"partitionsWhole\":%" PRIu32,
                  view->partitions - count_short(view, view->rf, true));
    nx_buf_printf(out, ",\"partitionsBelowWriteQuorum\":%" PRIu32, count_short(view, write, false));
    nx_buf_printf(out, ",\"partitionsBelowReadQuorum\":%" PRIu32, count_short(view, read, true));
    nx_buf_append_str(out, ",\"members\":[");
    for (size_t i = 0; i < view->member_count; i++) {
        nx_buf_append_str(out, i > 0 ? "," : "");
        print_member(view, i, out);
    }
    nx_buf_append_str(out, "]}");
}
