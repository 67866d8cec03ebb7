/* Whether the owners of each partition hold the same, by their own digests (docs/formats/rpc.md).
 */
#ifndef SIM_DIGESTS_H
#define SIM_DIGESTS_H

#include "tests/sim/members.h"

struct sim_digests;

/* Asks every member, as a peer would, for its digests of what is older than `until_ms`; through
 * `asker`, which is up. */
struct sim_digests *sim_digests_ask(const struct sim_members *members, struct sim_node *asker,
                                    int64_t until_ms);
/* All members have answered, or cannot. */
bool sim_digests_are_in(const struct sim_digests *digests);
/* Compares; otherwise says, in `problem`, who differs in what. */
bool sim_digests_agree(const struct sim_digests *digests, char *problem, size_t size);
void sim_digests_free(struct sim_digests *digests);

#endif
