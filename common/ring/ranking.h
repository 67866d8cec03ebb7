/* The ranking behind a placement: for one partition at a time, the best of the settled members and
 * the movers that may matter. Inside common/ring. */
#ifndef NX_RING_RANKING_H
#define NX_RING_RANKING_H

#include "common/ring/placement.h"

/* Movers of one class that are kept for a partition, or rf where that is more. */
#define NX_RANKING_MOVERS_KEPT 16

struct nx_ranked {
    uint64_t hash;
    uint64_t key;
    double cost; /* 0 where all weights are equal: the hash says it all */
    uint64_t zone;
    enum nx_placement_kind kind;
    uint16_t position;
    bool taken; /* of nx_ranking_choose */
};

struct nx_ranking;

enum nx_err nx_ranking_new(const struct nx_placement_member *members, size_t count, uint32_t rf,
                           struct nx_ranking **out) NX_WARN_UNUSED;
void nx_ranking_free(struct nx_ranking *ranking);
/* Whether there are members of another kind than STAYS. */
bool nx_ranking_has_movers(const struct nx_ranking *ranking);
/* Ranks a partition: *settled are the owners that the settled members would be, best first;
 * *movers the candidates among the others, in no order. Both until the next call. */
void nx_ranking_partition(struct nx_ranking *ranking, uint32_t partition,
                          struct nx_ranked **settled, size_t *settled_count,
                          struct nx_ranked **movers, size_t *mover_count);

/* Whether `a` comes before `b`. */
bool nx_ranked_is_better(const struct nx_ranked *a, const struct nx_ranked *b);
/* Chooses at most rf (and MAX_RF) owners, best first; `items` keep their order. */
size_t nx_ranked_choose(struct nx_ranked **items, size_t count, uint32_t rf,
                        struct nx_ranked **chosen);
/* Whether `one` is chosen from the chosen ones (an outcome of nx_ranked_choose) and itself. */
bool nx_ranked_joins(struct nx_ranked *const *chosen, size_t count, uint32_t rf,
                     const struct nx_ranked *one);

#endif
