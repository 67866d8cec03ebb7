/* Placement by weighted rendezvous hashing.
 *
 * For partition p and member m, h = mix(key(m) xor mix(p)) is a uniform 64-bit number, u = (h's
 * upper 53 bits
 * + 1/2) / 2^53 lies in (0, 1), and the member with the least cost -ln(u) / weight comes first:
 * that is the minimum of exponential variables with rate `weight`, hence each member wins in
 * proportion to its weight.
 *
 * Every process of a cluster must find the same owners on any machine, so the costs use only IEEE
 * 754 additions, multiplications and divisions, which are exactly rounded everywhere (the build
 * forbids contraction to fused multiply-add); libm's log, which is not, is not called. Equal costs
 * are ordered by h, then by key, so the outcome does not depend on the order of the list either.
 *
 * Speed: -ln is monotone, so among members of equal weight (and zone) the order is that of h alone.
 * Members are sorted into classes of equal (zone, weight); a partition's scan keeps the best `rf`
 * of each class by integer comparison, and only these few candidates get a logarithm. Where all
 * zones are distinct, zones bind nothing and are left out.
 *
 * Zones: owners are picked in rounds, always from the zones used least so far. With at least rf
 * zones that is one a zone; with fewer, copies spread evenly over those there are. */
#include "common/ring/placement.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"

#define MAX_RF 64

struct entry {
    uint64_t key;
    double weight;
    uint32_t zone; /* dense */
    uint16_t position;
};

/* A run of entries with equal zone and weight. */
struct class
{
    uint32_t begin;
    uint32_t end;
    uint32_t best_begin; /* its part of plan.best */
    uint32_t best_count;
};

struct candidate {
    uint64_t hash;
    double cost;
    uint32_t entry;
    bool taken;
};

struct plan {
    struct entry *entries;
    uint64_t *keys; /* of the entries, dense for the scan */
    size_t count;
    struct class *classes;
    size_t class_count;
    struct candidate *best;
    size_t best_count;
    uint32_t *zone_used;
    size_t zone_count;
    bool one_weight;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static uint64_t partition_hash(uint32_t partition)
{
    return mix((uint64_t)partition + UINT64_C(0x9E3779B97F4A7C15));
}

/* 1 / (2k + 1) */
#define SERIES_TERMS 12
static const double series[SERIES_TERMS] = {
    1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11,
    1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23,
};

/* -ln(u) of a number in (0, 1), reproducible bit by bit: u = m * 2^e with m in [sqrt(1/2),
 * sqrt(2)), ln m = 2 artanh((m - 1) / (m + 1)) as a series; the first term left out is below 2^-60.
 */
static double minus_log(double u)
{
    int exponent = 0;
    double m = frexp(u, &exponent);
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent -= 1;
    }
    double s = (m - 1) / (m + 1);
    double square = s * s;
    double sum = 0;
    for (size_t k = SERIES_TERMS; k > 0; k--) {
        sum = sum * square + series[k - 1];
    }
    return -((double)exponent * 0.69314718055994531 + 2 * s * sum);
}

static double cost_of(uint64_t hash, double weight)
{
    double u = ((double)(hash >> 11) + 0.5) * 0x1p-53;
    return minus_log(u) / weight;
}

/* --- setting up ------------------------------------------------------------------------------ */

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->zone != y->zone) {
        return x->zone < y->zone ? -1 : 1;
    }
    if (x->weight < y->weight || x->weight > y->weight) {
        return x->weight < y->weight ? -1 : 1;
    }
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return x->position < y->position ? -1 : x->position > y->position;
}

/* Renumbers zones 0..n-1; all become 0 where every member has one of its own. */
static void pack_zones(struct plan *plan)
{
    qsort(plan->entries, plan->count, sizeof(*plan->entries), compare_entries);
    size_t zones = 0;
    uint32_t last = 0;
    for (size_t i = 0; i < plan->count; i++) {
        uint32_t zone = plan->entries[i].zone;
        if (i == 0 || zone != last) {
            zones++;
        }
        last = zone;
        plan->entries[i].zone = (uint32_t)(zones - 1);
    }
    if (zones == plan->count) {
        for (size_t i = 0; i < plan->count; i++) {
            plan->entries[i].zone = 0;
        }
        zones = 1;
        qsort(plan->entries, plan->count, sizeof(*plan->entries), compare_entries);
    }
    plan->zone_count = zones;
}

static void find_classes(struct plan *plan, uint32_t rf)
{
    plan->one_weight = true;
    for (size_t i = 0; i < plan->count; i++) {
        const struct entry *entry = &plan->entries[i];
        const struct entry *before = i > 0 ? entry - 1 : NULL;
        bool same_weight =
            before && !(before->weight < entry->weight) && !(before->weight > entry->weight);
        if (before &&
            (plan->entries[0].weight < entry->weight || plan->entries[0].weight > entry->weight)) {
            plan->one_weight = false;
        }
        if (!same_weight || before->zone != entry->zone) {
            plan->classes[plan->class_count++] = (struct class){.begin = (uint32_t)i};
        }
        plan->classes[plan->class_count - 1].end = (uint32_t)i + 1;
        plan->keys[i] = entry->key;
    }
    for (size_t c = 0; c < plan->class_count; c++) {
        struct class *class = &plan->classes[c];
        uint32_t size = class->end - class->begin;
        class->best_begin = (uint32_t)plan->best_count;
        class->best_count = size < rf ? size : rf;
        plan->best_count += class->best_count;
    }
}

static void plan_release(struct plan *plan)
{
    nx_free(plan->entries);
    nx_free(plan->keys);
    nx_free(plan->classes);
    nx_free(plan->best);
    nx_free(plan->zone_used);
}

static enum nx_err plan_init(struct plan *plan, const struct nx_placement_member *members,
                             size_t count, uint32_t rf)
{
    *plan = (struct plan){.count = count};
    plan->entries = nx_alloc_array(count + 1, sizeof(*plan->entries));
    plan->keys = nx_alloc_array(count + 1, sizeof(*plan->keys));
    plan->classes = nx_calloc(count + 1, sizeof(*plan->classes));
    plan->best = nx_calloc(count + 1, sizeof(*plan->best));
    plan->zone_used = nx_calloc(count + 1, sizeof(*plan->zone_used));
    if (!plan->entries || !plan->keys || !plan->classes || !plan->best || !plan->zone_used) {
        plan_release(plan);
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        plan->entries[i] = (struct entry){
            .key = members[i].key,
            .weight = members[i].weight,
            .zone = members[i].zone,
            .position = (uint16_t)i,
        };
    }
    pack_zones(plan);
    find_classes(plan, rf);
    return NX_OK;
}

/* --- a partition ----------------------------------------------------------------------------- */

/* Leaves the class's greatest hashes in its part of `best`, in descending order; equal hashes in
 * key order, which is that of the entries. */
static void scan_class(struct plan *plan, const struct class *class, uint64_t seed)
{
    struct candidate *best = plan->best + class->best_begin;
    uint32_t room = class->best_count;
    uint32_t held = 0;
    uint64_t least = 0;
    for (uint32_t i = class->begin; i < class->end; i++) {
        uint64_t hash = mix(plan->keys[i] ^ seed);
        if (held == room && hash <= least) {
            continue;
        }
        uint32_t at = held < room ? held++ : room - 1;
        for (; at > 0 && best[at - 1].hash < hash; at--) {
            best[at] = best[at - 1];
        }
        best[at] = (struct candidate){.hash = hash, .entry = i};
        least = best[held - 1].hash;
    }
}

/* Whether `a` comes before `b`. */
static bool is_better(const struct plan *plan, const struct candidate *a, const struct candidate *b)
{
    if (a->cost < b->cost || a->cost > b->cost) {
        return a->cost < b->cost;
    }
    if (a->hash != b->hash) {
        return a->hash > b->hash;
    }
    const struct entry *x = &plan->entries[a->entry];
    const struct entry *y = &plan->entries[b->entry];
    if (x->key != y->key) {
        return x->key < y->key;
    }
    return x->position < y->position;
}

/* The best candidate left among the zones used least. */
static struct candidate *pick(struct plan *plan)
{
    struct candidate *found = NULL;
    uint32_t found_used = 0;
    for (size_t i = 0; i < plan->best_count; i++) {
        struct candidate *candidate = &plan->best[i];
        if (candidate->taken) {
            continue;
        }
        uint32_t used = plan->zone_used[plan->entries[candidate->entry].zone];
        if (!found || used < found_used ||
            (used == found_used && is_better(plan, candidate, found))) {
            found = candidate;
            found_used = used;
        }
    }
    return found;
}

static void place(struct plan *plan, uint32_t partition, uint32_t rf, uint16_t *owners)
{
    uint64_t seed = partition_hash(partition);
    for (size_t c = 0; c < plan->class_count; c++) {
        scan_class(plan, &plan->classes[c], seed);
    }
    for (size_t i = 0; i < plan->best_count && !plan->one_weight; i++) {
        struct candidate *candidate = &plan->best[i];
        candidate->cost = cost_of(candidate->hash, plan->entries[candidate->entry].weight);
    }
    memset(plan->zone_used, 0, plan->zone_count * sizeof(*plan->zone_used));
    const struct candidate *picked[MAX_RF];
    uint32_t count = 0;
    while (count < rf) {
        struct candidate *candidate = pick(plan);
        if (!candidate) {
            break;
        }
        candidate->taken = true;
        plan->zone_used[plan->entries[candidate->entry].zone]++;
        uint32_t at = count++;
        for (; at > 0 && is_better(plan, candidate, picked[at - 1]); at--) {
            picked[at] = picked[at - 1];
        }
        picked[at] = candidate;
    }
    for (uint32_t i = 0; i < rf; i++) {
        owners[i] = i < count ? plan->entries[picked[i]->entry].position : NX_PLACEMENT_NONE;
    }
}

enum nx_err nx_placement_compute(const struct nx_placement_member *members, size_t count,
                                 uint32_t partitions, uint32_t rf, uint16_t *owners)
{
    if (rf == 0 || rf > MAX_RF || count >= NX_PLACEMENT_NONE) {
        return NX_ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(members[i].weight) || members[i].weight <= 0) {
            return NX_ERR_INVALID;
        }
    }
    struct plan plan;
    enum nx_err err = plan_init(&plan, members, count, rf);
    if (err != NX_OK) {
        return err;
    }
    for (uint32_t p = 0; p < partitions; p++) {
        place(&plan, p, rf, owners + (size_t)p * rf);
    }
    plan_release(&plan);
    return NX_OK;
}
