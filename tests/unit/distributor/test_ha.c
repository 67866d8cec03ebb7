/* What a distributor remembers of elections, and which request asks again. */
#include "common/base/alloc.h"
#include "distributor/ha.h"
#include "tests/unit/distributor/dist_test.h"

#define S UINT64_C(1000000000)
#define UPDATE (2 * S)
#define FAILOVER (30 * S)

static struct dist_ha_pair pair_of(const char *replica)
{
    return (struct dist_ha_pair){
        .tenant = NX_VIEW("t"), .cluster = NX_VIEW("c"), .replica = nx_view_of(replica)};
}

static void look(struct dist_ha *ha, const char *replica, uint64_t now,
                 enum dist_ha_verdict verdict, bool refresh)
{
    struct dist_ha_pair pair = pair_of(replica);
    bool asks, held;
    assert_int_equal(dist_ha_look(ha, &pair, now, UPDATE, FAILOVER, &asks, &held), verdict);
    assert_int_equal(asks, refresh);
    if (verdict != DIST_HA_ASK)
        assert_int_equal(held, verdict == DIST_HA_TAKE);
}

static void word_of_the_ingesters_holds_and_is_renewed(void **state)
{
    (void)state;
    struct dist_ha *ha;
    struct dist_ha_pair a = pair_of("a");
    uint64_t now = 100 * S;
    assert_int_equal(dist_ha_new(&ha), NX_OK);
    look(ha, "a", now, DIST_HA_ASK, false);
    dist_ha_learn(ha, &a, NX_VIEW("a"), now);
    /* the first one elected confirms at once, then each replica once in a while */
    look(ha, "a", now, DIST_HA_TAKE, true);
    look(ha, "a", now + S, DIST_HA_TAKE, false);
    look(ha, "b", now + S, DIST_HA_DROP, false);
    look(ha, "b", now + 2 * S, DIST_HA_DROP, true);
    look(ha, "b", now + 3 * S, DIST_HA_DROP, false);
    /* that the other one asked does not keep the elected one from it */
    look(ha, "a", now + 3 * S, DIST_HA_TAKE, true);
    /* fail-over */
    dist_ha_learn(ha, &a, NX_VIEW("b"), now + 5 * S);
    look(ha, "a", now + 5 * S, DIST_HA_DROP, true);
    look(ha, "b", now + 5 * S, DIST_HA_TAKE, true);
    /* nobody has said anything for long */
    look(ha, "b", now + 36 * S, DIST_HA_ASK, false);
    dist_ha_free(ha);
}

static void pairs_are_apart(void **state)
{
    (void)state;
    struct dist_ha *ha;
    struct dist_ha_pair a = pair_of("a"), other = pair_of("a");
    bool refresh, held;
    other.tenant = NX_VIEW("u");
    assert_int_equal(dist_ha_new(&ha), NX_OK);
    dist_ha_learn(ha, &a, NX_VIEW("a"), 100 * S);
    assert_int_equal(dist_ha_look(ha, &other, 100 * S, UPDATE, FAILOVER, &refresh, &held),
                     DIST_HA_ASK);
    dist_ha_learn(ha, &other, NX_VIEW("b"), 100 * S);
    assert_int_equal(dist_ha_look(ha, &other, 100 * S, UPDATE, FAILOVER, &refresh, &held),
                     DIST_HA_DROP);
    look(ha, "a", 100 * S, DIST_HA_TAKE, true);
    dist_ha_free(ha);
}

static bool never(size_t size, void *user)
{
    (void)size;
    (void)user;
    return false;
}

static void without_memory_it_asks_again(void **state)
{
    (void)state;
    struct dist_ha *ha;
    struct dist_ha_pair a = pair_of("a");
    assert_int_equal(dist_ha_new(&ha), NX_OK);
    nx_alloc_set_hook(never, NULL);
    dist_ha_learn(ha, &a, NX_VIEW("a"), S);
    nx_alloc_set_hook(NULL, NULL);
    look(ha, "a", S, DIST_HA_ASK, false);
    dist_ha_free(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(word_of_the_ingesters_holds_and_is_renewed),
        cmocka_unit_test(pairs_are_apart),
        cmocka_unit_test(without_memory_it_asks_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
