/* What is placed follows from the ranking of a partition (ranking.h): S, the owners that the
 * settled members alone would be, and the movers. The choice from a set is the choice from what was
 * chosen of its parts, so
 *   owners       = choice(S + settling + going)
 *   next owners  = choice(S + settling + coming)
 *   writers      = S and every mover m that is in choice(S + m)
 * and a partition needs a new look after a change only where a changed member was among its writers
 * or is one now. */
#include "common/ring/placement.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/ring/ranking.h"
#include "common/ring/score.h"

#define MAX_RF NX_PLACEMENT_MAX_RF
#define MAX_WRITERS NX_PLACEMENT_MAX_WRITERS

/* What is being made. */
struct draft {
    struct nx_placement *placement;
    struct nx_ranking *ranking;
    struct nx_ranked **pool; /* as many as there are members, and rf */
    size_t writer_capacity;
};

void nx_placement_free(struct nx_placement *placement)
{
    if (!placement) {
        return;
    }
    if (placement->next_owners != placement->owners) {
        nx_free(placement->next_owners);
    }
    nx_free(placement->owners);
    nx_free(placement->writers);
    nx_free(placement->writer_begin);
    nx_free(placement);
}

static void put(uint16_t *owners, uint32_t rf, struct nx_ranked *const *chosen, size_t count)
{
    for (uint32_t i = 0; i < rf; i++) {
        owners[i] = i < count ? chosen[i]->position : NX_PLACEMENT_NONE;
    }
}

static bool counts(enum nx_placement_kind kind, enum nx_placement_kind also)
{
    return kind == NX_PLACEMENT_STAYS || kind == NX_PLACEMENT_SETTLES || kind == also;
}

/* The choice from the settled ones, the settling and those of one more kind. */
static size_t choose_with(struct draft *draft, struct nx_ranked *const *all, size_t count,
                          enum nx_placement_kind also, struct nx_ranked **chosen)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (counts(all[i]->kind, also)) {
            draft->pool[count + n++] = all[i];
        }
    }
    return nx_ranked_choose(draft->pool + count, n, draft->placement->rf, chosen);
}

static bool contains(struct nx_ranked *const *items, size_t count, const struct nx_ranked *one)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i] == one) {
            return true;
        }
    }
    return false;
}

struct writers {
    struct nx_ranked *items[MAX_WRITERS];
    size_t count;
};

static void add_writer(struct writers *writers, struct nx_ranked *one)
{
    if (writers->count == MAX_WRITERS || contains(writers->items, writers->count, one)) {
        return;
    }
    size_t at = writers->count++;
    for (; at > 0 && nx_ranked_is_better(one, writers->items[at - 1]); at--) {
        writers->items[at] = writers->items[at - 1];
    }
    writers->items[at] = one;
}

static enum nx_err append_writers(struct draft *draft, uint32_t partition,
                                  const struct writers *writers)
{
    struct nx_placement *placement = draft->placement;
    uint32_t begin = placement->writer_begin[partition];
    if (nx_grow(&placement->writers, &draft->writer_capacity, begin + writers->count,
                sizeof(*placement->writers)) != NX_OK) {
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < writers->count; i++) {
        placement->writers[begin + i] = writers->items[i]->position;
    }
    placement->writer_begin[partition + 1] = begin + (uint32_t)writers->count;
    return NX_OK;
}

/* Owners and next owners first, so that none of them is left out at the cap. */
static void collect_writers(struct nx_ranked **settled, size_t settled_count,
                            struct nx_ranked **movers, size_t mover_count, uint32_t rf,
                            struct writers *writers)
{
    for (size_t i = 0; i < settled_count; i++) {
        add_writer(writers, settled[i]);
    }
    for (size_t i = 0; i < mover_count; i++) {
        if (nx_ranked_joins(settled, settled_count, rf, movers[i])) {
            add_writer(writers, movers[i]);
        }
    }
}

static enum nx_err place_moving(struct draft *draft, uint32_t partition, struct nx_ranked *settled,
                                size_t settled_count, struct nx_ranked *movers, size_t mover_count)
{
    struct nx_placement *placement = draft->placement;
    uint32_t rf = placement->rf;
    size_t count = settled_count + mover_count;
    for (size_t i = 0; i < count; i++) {
        draft->pool[i] = i < settled_count ? &settled[i] : &movers[i - settled_count];
    }
    struct nx_ranked *chosen[MAX_RF];
    struct writers writers = {.count = 0};
    size_t n = choose_with(draft, draft->pool, count, NX_PLACEMENT_GOES, chosen);
    put(placement->owners + (size_t)partition * rf, rf, chosen, n);
    for (size_t i = 0; i < n; i++) {
        add_writer(&writers, chosen[i]);
    }
    n = choose_with(draft, draft->pool, count, NX_PLACEMENT_COMES, chosen);
    put(placement->next_owners + (size_t)partition * rf, rf, chosen, n);
    for (size_t i = 0; i < n; i++) {
        add_writer(&writers, chosen[i]);
    }
    collect_writers(draft->pool, settled_count, draft->pool + settled_count, mover_count, rf,
                    &writers);
    return append_writers(draft, partition, &writers);
}

static enum nx_err place(struct draft *draft, uint32_t partition)
{
    struct nx_ranked *settled;
    struct nx_ranked *movers;
    size_t settled_count;
    size_t mover_count;
    nx_ranking_partition(draft->ranking, partition, &settled, &settled_count, &movers,
                         &mover_count);
    if (draft->placement->writer_begin) {
        return place_moving(draft, partition, settled, settled_count, movers, mover_count);
    }
    uint32_t rf = draft->placement->rf;
    uint16_t *owners = draft->placement->owners + (size_t)partition * rf;
    for (uint32_t i = 0; i < rf; i++) {
        owners[i] = i < settled_count ? settled[i].position : NX_PLACEMENT_NONE;
    }
    return NX_OK;
}

/* --- life ------------------------------------------------------------------------------------ */

static enum nx_err make_tables(struct draft *draft, uint32_t partitions, uint32_t rf)
{
    struct nx_placement *placement = draft->placement;
    size_t slots = (size_t)partitions * rf;
    placement->partitions = partitions;
    placement->rf = rf;
    placement->owners = nx_alloc_array(slots + 1, sizeof(*placement->owners));
    if (!placement->owners) {
        return NX_ERR_NOMEM;
    }
    placement->next_owners = placement->owners;
    if (!nx_ranking_has_movers(draft->ranking)) {
        return NX_OK;
    }
    placement->next_owners = nx_alloc_array(slots + 1, sizeof(*placement->owners));
    placement->writer_begin = nx_calloc((size_t)partitions + 1, sizeof(*placement->writer_begin));
    return placement->next_owners && placement->writer_begin ? NX_OK : NX_ERR_NOMEM;
}

static void draft_release(struct draft *draft)
{
    nx_ranking_free(draft->ranking);
    nx_free(draft->pool);
    nx_placement_free(draft->placement);
}

static enum nx_err draft_init(struct draft *draft, const struct nx_placement_member *members,
                              size_t count, uint32_t partitions, uint32_t rf)
{
    *draft = (struct draft){.placement = NULL};
    enum nx_err err = nx_ranking_new(members, count, rf, &draft->ranking);
    if (err != NX_OK) {
        return err;
    }
    draft->placement = nx_calloc(1, sizeof(*draft->placement));
    draft->pool = nx_alloc_array(2 * (count + rf), sizeof(struct nx_ranked *));
    err = draft->placement && draft->pool ? make_tables(draft, partitions, rf) : NX_ERR_NOMEM;
    if (err != NX_OK) {
        draft_release(draft);
    }
    return err;
}

static struct nx_placement *draft_take(struct draft *draft)
{
    struct nx_placement *placement = draft->placement;
    size_t slots = (size_t)placement->partitions * placement->rf;
    bool moving = placement->writer_begin != NULL;
    placement->bytes = sizeof(*placement) + slots * sizeof(uint16_t) * (moving ? 2 : 1) +
                       draft->writer_capacity * sizeof(uint16_t) +
                       (moving ? placement->partitions + 1 : 0) * sizeof(uint32_t);
    draft->placement = NULL;
    draft_release(draft);
    return placement;
}

enum nx_err nx_placement_new(const struct nx_placement_member *members, size_t count,
                             uint32_t partitions, uint32_t rf, struct nx_placement **out)
{
    struct draft draft;
    enum nx_err err = draft_init(&draft, members, count, partitions, rf);
    if (err != NX_OK) {
        return err;
    }
    for (uint32_t p = 0; p < partitions && err == NX_OK; p++) {
        err = place(&draft, p);
    }
    if (err != NX_OK) {
        draft_release(&draft);
        return err;
    }
    *out = draft_take(&draft);
    return NX_OK;
}

enum nx_err nx_placement_compute(const struct nx_placement_member *members, size_t count,
                                 uint32_t partitions, uint32_t rf, uint16_t *owners)
{
    struct nx_ranking *ranking;
    enum nx_err err = nx_ranking_new(members, count, rf, &ranking);
    for (uint32_t p = 0; p < partitions && err == NX_OK; p++) {
        struct nx_ranked *settled;
        struct nx_ranked *movers;
        size_t settled_count;
        size_t mover_count;
        nx_ranking_partition(ranking, p, &settled, &settled_count, &movers, &mover_count);
        for (uint32_t i = 0; i < rf; i++) {
            owners[(size_t)p * rf + i] =
                i < settled_count ? settled[i].position : NX_PLACEMENT_NONE;
        }
    }
    if (err == NX_OK) {
        nx_ranking_free(ranking);
    }
    return err;
}
