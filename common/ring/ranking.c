/* Members are sorted into classes of equal (kind, zone, weight), settled ones first. Among members
 * of a class the order is that of the hash alone, so a partition's scan keeps the best of each
 * class by integer comparison, and only these few candidates get a logarithm, and only where
 * weights differ. Where all zones are distinct, zones bind nothing: they become one, and with them
 * the classes.
 *
 * Owners are picked in rounds, always from the zones used least so far. That is the same as the
 * first rf in the order (position within the zone, score), which nx_ranked_joins counts by. */
#include "common/ring/ranking.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/ring/score.h"

struct entry {
    uint64_t key;
    double weight;
    uint64_t zone;
    enum nx_placement_kind kind;
    uint16_t position;
};

/* A run of entries with equal kind, zone and weight. */
struct class
{
    uint32_t begin;
    uint32_t end;
    uint32_t best_begin; /* its part of `best` */
    uint32_t best_count;
};

struct nx_ranking {
    struct entry *entries;
    uint64_t *keys; /* of the entries, dense for the scan */
    size_t count;
    struct class *classes;
    size_t class_count;
    struct nx_ranked *best;
    struct nx_ranked **refs; /* to `best`: the settled candidates, then the movers */
    struct nx_ranked *chosen[NX_PLACEMENT_MAX_RF];
    struct nx_ranked settled[NX_PLACEMENT_MAX_RF];
    size_t settled_best; /* candidates of settled classes */
    size_t best_count;
    uint32_t rf;
    bool one_zone;
    bool one_weight;
};

/* --- setting up ------------------------------------------------------------------------------ */

#define ORDER(a, b)             \
    if ((a) < (b) || (a) > (b)) \
    return (a) < (b) ? -1 : 1

static int compare_zones(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    ORDER(x->zone, y->zone);
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    ORDER(x->kind, y->kind);
    ORDER(x->zone, y->zone);
    ORDER(x->weight, y->weight);
    ORDER(x->key, y->key);
    ORDER(x->position, y->position);
    return 0;
}

/* All zones become one where every member has one of its own, or there is just one. */
static void pack_zones(struct nx_ranking *ranking)
{
    qsort(ranking->entries, ranking->count, sizeof(*ranking->entries), compare_zones);
    size_t zones = ranking->count > 0 ? 1 : 0;
    for (size_t i = 1; i < ranking->count; i++) {
        zones += ranking->entries[i].zone != ranking->entries[i - 1].zone ? 1 : 0;
    }
    ranking->one_zone = zones == ranking->count || zones <= 1;
    for (size_t i = 0; i < ranking->count && ranking->one_zone; i++) {
        ranking->entries[i].zone = 0;
    }
    qsort(ranking->entries, ranking->count, sizeof(*ranking->entries), compare_entries);
}

static bool same_weight(const struct entry *a, const struct entry *b)
{
    return !(a->weight < b->weight) && !(a->weight > b->weight);
}

/* How many owners one zone can have at most. Copies spread evenly, so that is rf over the zones,
 * rounded up, where no zone has fewer members than that. */
static uint32_t most_of_a_zone(const struct nx_ranking *ranking)
{
    uint32_t zones = 0;
    uint32_t size = 0;
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < ranking->count; i++) {
        const struct entry *entry = &ranking->entries[i];
        if (entry->kind != NX_PLACEMENT_STAYS) {
            break;
        }
        if (i == 0 || entry->zone != (entry - 1)->zone) {
            least = zones > 0 && size < least ? size : least;
            zones++;
            size = 0;
        }
        size++;
    }
    least = size < least ? size : least;
    uint32_t most = zones > 0 ? (ranking->rf + zones - 1) / zones : ranking->rf;
    return least >= most ? most : ranking->rf;
}

static void find_classes(struct nx_ranking *ranking)
{
    ranking->one_weight = true;
    for (size_t i = 0; i < ranking->count; i++) {
        const struct entry *entry = &ranking->entries[i];
        const struct entry *before = i > 0 ? entry - 1 : NULL;
        ranking->one_weight = ranking->one_weight && same_weight(entry, &ranking->entries[0]);
        if (!before || before->kind != entry->kind || before->zone != entry->zone ||
            !same_weight(before, entry)) {
            ranking->classes[ranking->class_count++] = (struct class){.begin = (uint32_t)i};
        }
        ranking->classes[ranking->class_count - 1].end = (uint32_t)i + 1;
        ranking->keys[i] = entry->key;
    }
    uint32_t settled_kept = most_of_a_zone(ranking);
    uint32_t movers_kept =
        ranking->rf > NX_RANKING_MOVERS_KEPT ? ranking->rf : NX_RANKING_MOVERS_KEPT;
    for (size_t c = 0; c < ranking->class_count; c++) {
        struct class *class = &ranking->classes[c];
        uint32_t size = class->end - class->begin;
        bool settled = ranking->entries[class->begin].kind == NX_PLACEMENT_STAYS;
        uint32_t most = settled ? settled_kept : movers_kept;
        class->best_begin = (uint32_t)ranking->best_count;
        class->best_count = size < most ? size : most;
        ranking->best_count += class->best_count;
        ranking->settled_best = settled ? ranking->best_count : ranking->settled_best;
    }
}

void nx_ranking_free(struct nx_ranking *ranking)
{
    if (!ranking) {
        return;
    }
    nx_free(ranking->entries);
    nx_free(ranking->keys);
    nx_free(ranking->classes);
    nx_free(ranking->best);
    nx_free(ranking->refs);
    nx_free(ranking);
}

static enum nx_err check(const struct nx_placement_member *members, size_t count, uint32_t rf)
{
    if (rf == 0 || rf > NX_PLACEMENT_MAX_RF || count >= NX_PLACEMENT_NONE) {
        return NX_ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(members[i].weight) || members[i].weight <= 0) {
            return NX_ERR_INVALID;
        }
    }
    return NX_OK;
}

enum nx_err nx_ranking_new(const struct nx_placement_member *members, size_t count, uint32_t rf,
                           struct nx_ranking **out)
{
    enum nx_err err = check(members, count, rf);
    if (err != NX_OK) {
        return err;
    }
    struct nx_ranking *ranking = nx_calloc(1, sizeof(*ranking));
    if (!ranking) {
        return NX_ERR_NOMEM;
    }
    ranking->rf = rf;
    ranking->entries = nx_alloc_array(count + 1, sizeof(*ranking->entries));
    ranking->keys = nx_alloc_array(count + 1, sizeof(*ranking->keys));
    ranking->classes = nx_calloc(count + 1, sizeof(*ranking->classes));
    ranking->best = nx_calloc(count + 1, sizeof(*ranking->best));
    ranking->refs = nx_calloc(count + 1, sizeof(struct nx_ranked *));
    if (!ranking->entries || !ranking->keys || !ranking->classes || !ranking->best ||
        !ranking->refs) {
        nx_ranking_free(ranking);
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i].kind != NX_PLACEMENT_OUT) {
            ranking->entries[ranking->count++] = (struct entry){
                .key = members[i].key,
                .weight = members[i].weight,
                .zone = members[i].zone,
                .kind = members[i].kind,
                .position = (uint16_t)i,
            };
        }
    }
    pack_zones(ranking);
    find_classes(ranking);
    *out = ranking;
    return NX_OK;
}

bool nx_ranking_has_movers(const struct nx_ranking *ranking)
{
    return ranking->best_count > ranking->settled_best;
}

/* --- a partition ----------------------------------------------------------------------------- */

#define KEPT_MAX NX_PLACEMENT_MAX_RF
_Static_assert(NX_RANKING_MOVERS_KEPT <= KEPT_MAX, "room for a class's best");

/* The greatest hashes of a class so far, in descending order; equal ones in key order, which is
 * that of the entries. Kept small, since a scan shifts them. */
struct greatest {
    uint64_t hash[KEPT_MAX];
    uint32_t entry[KEPT_MAX];
    uint32_t held;
};

static void put_greatest(struct greatest *greatest, uint32_t room, uint64_t hash, uint32_t entry)
{
    uint32_t at = greatest->held < room ? greatest->held++ : room - 1;
    assert(at < KEPT_MAX);
    for (; at > 0 && greatest->hash[at - 1] < hash; at--) {
        greatest->hash[at] = greatest->hash[at - 1];
        greatest->entry[at] = greatest->entry[at - 1];
    }
    greatest->hash[at] = hash;
    greatest->entry[at] = entry;
}

/* The class's part of `best`, in descending order. */
static void scan_class(struct nx_ranking *ranking, const struct class *class, uint64_t seed)
{
    struct greatest greatest;
    const uint64_t *keys = ranking->keys;
    uint32_t room = class->best_count;
    uint32_t i = class->begin;
    greatest.held = 0;
    for (; greatest.held < room; i++) {
        put_greatest(&greatest, room, nx_score_mix(keys[i] ^ seed), i);
    }
    uint64_t least = room > 0 ? greatest.hash[room - 1] : 0;
    for (; i < class->end; i++) {
        uint64_t hash = nx_score_mix(keys[i] ^ seed);
        if (hash > least) {
            put_greatest(&greatest, room, hash, i);
            least = greatest.hash[room - 1];
        }
    }
    struct nx_ranked *best = ranking->best + class->best_begin;
    for (uint32_t k = 0; k < room; k++) {
        const struct entry *entry = &ranking->entries[greatest.entry[k]];
        uint64_t hash = greatest.hash[k];
        best[k] = (struct nx_ranked){
            .hash = hash,
            .key = entry->key,
            .zone = entry->zone,
            .kind = entry->kind,
            .position = entry->position,
            .cost = ranking->one_weight ? 0 : nx_score_cost(hash, entry->weight)};
    }
}

bool nx_ranked_is_better(const struct nx_ranked *a, const struct nx_ranked *b)
{
    if (a->cost < b->cost || a->cost > b->cost) {
        return a->cost < b->cost;
    }
    if (a->hash != b->hash) {
        return a->hash > b->hash;
    }
    if (a->key != b->key) {
        return a->key < b->key;
    }
    return a->position < b->position;
}

static uint32_t zone_uses(struct nx_ranked *const *chosen, size_t count, uint64_t zone)
{
    uint32_t uses = 0;
    for (size_t i = 0; i < count; i++) {
        uses += chosen[i]->zone == zone ? 1 : 0;
    }
    return uses;
}

/* The best item left among the zones used least. */
static struct nx_ranked *pick(struct nx_ranked **items, size_t count, struct nx_ranked **chosen,
                              size_t chosen_count)
{
    struct nx_ranked *found = NULL;
    uint32_t found_used = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i]->taken) {
            continue;
        }
        uint32_t used = zone_uses(chosen, chosen_count, items[i]->zone);
        if (!found || used < found_used ||
            (used == found_used && nx_ranked_is_better(items[i], found))) {
            found = items[i];
            found_used = used;
        }
    }
    return found;
}

size_t nx_ranked_choose(struct nx_ranked **items, size_t count, uint32_t rf,
                        struct nx_ranked **chosen)
{
    size_t chosen_count = 0;
    for (size_t i = 0; i < count; i++) {
        items[i]->taken = false;
    }
    while (chosen_count < rf) {
        struct nx_ranked *one = pick(items, count, chosen, chosen_count);
        if (!one) {
            break;
        }
        one->taken = true;
        size_t at = chosen_count++;
        for (; at > 0 && nx_ranked_is_better(one, chosen[at - 1]); at--) {
            chosen[at] = chosen[at - 1];
        }
        chosen[at] = one;
    }
    return chosen_count;
}

bool nx_ranked_joins(struct nx_ranked *const *chosen, size_t count, uint32_t rf,
                     const struct nx_ranked *one)
{
    uint32_t rank = 0; /* of `one` within its zone */
    for (size_t i = 0; i < count; i++) {
        rank += chosen[i]->zone == one->zone && nx_ranked_is_better(chosen[i], one) ? 1 : 0;
    }
    uint32_t before = 0;
    for (size_t i = 0; i < count; i++) {
        /* `chosen` is in order of score, so those before it in its zone are better. */
        uint32_t its_rank = zone_uses(chosen, i, chosen[i]->zone);
        before +=
            its_rank < rank || (its_rank == rank && nx_ranked_is_better(chosen[i], one)) ? 1 : 0;
    }
    return before < rf;
}

/* One class and zone: its best are the chosen ones. */
static bool is_simple(const struct nx_ranking *ranking)
{
    return ranking->one_zone && ranking->class_count > 0 &&
           ranking->classes[0].best_count == ranking->settled_best;
}

void nx_ranking_partition(struct nx_ranking *ranking, uint32_t partition,
                          struct nx_ranked **settled, size_t *settled_count,
                          struct nx_ranked **movers, size_t *mover_count)
{
    uint64_t seed = nx_score_seed(partition);
    for (size_t c = 0; c < ranking->class_count; c++) {
        scan_class(ranking, &ranking->classes[c], seed);
    }
    *movers = ranking->best + ranking->settled_best;
    *mover_count = ranking->best_count - ranking->settled_best;
    if (is_simple(ranking)) {
        *settled = ranking->best;
        *settled_count = ranking->settled_best;
        return;
    }
    for (size_t i = 0; i < ranking->settled_best; i++) {
        ranking->refs[i] = &ranking->best[i];
    }
    *settled_count =
        nx_ranked_choose(ranking->refs, ranking->settled_best, ranking->rf, ranking->chosen);
    for (size_t i = 0; i < *settled_count; i++) {
        ranking->settled[i] = *ranking->chosen[i];
    }
    *settled = ranking->settled;
}
