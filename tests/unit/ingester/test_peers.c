/* When a member that is new may believe that its cluster is. */
#include "ingester/repair/peers.h"
#include "tests/unit/ingester/fixture.h"

enum { MEMBERS = 5 };

struct cluster {
    struct nx_member members[MEMBERS];
    struct nx_ring_view view;
    struct ing_peers peers;
};

/* Of three copies; member 0 is the one that asks, all are JOINING and were heard. */
static void newborn(struct cluster *cluster)
{
    *cluster = (struct cluster){.view = {.members = cluster->members, .rf = 3},
                                .peers = {.view = &cluster->view, .self = 0}};
    cluster->view.member_count = MEMBERS;
    for (size_t i = 0; i < MEMBERS; i++)
        cluster->members[i] =
            (struct nx_member){.state = NX_MEMBER_JOINING, .incarnation = i == 0 ? 0 : i};
}

static void birth_all_heard_joining_is_believed_at_once(void **state)
{
    struct cluster cluster;
    (void)state;
    newborn(&cluster);
    assert_true(ing_peers_is_birth(&cluster.peers, false));
}

static void birth_one_unheard_is_believed_after_the_wait(void **state)
{
    struct cluster cluster;
    (void)state;
    newborn(&cluster);
    cluster.members[3].incarnation = 0;
    assert_false(ing_peers_is_birth(&cluster.peers, false));
    assert_true(ing_peers_is_birth(&cluster.peers, true));
}

/* They may be the two that hold what was acknowledged while the others were still being filled. */
static void birth_two_unheard_is_never_believed(void **state)
{
    struct cluster cluster;
    (void)state;
    newborn(&cluster);
    cluster.members[1].incarnation = cluster.members[3].incarnation = 0;
    assert_false(ing_peers_is_birth(&cluster.peers, true));
}

static void birth_one_copy_and_one_unheard_is_never_believed(void **state)
{
    struct cluster cluster;
    (void)state;
    newborn(&cluster);
    cluster.view.rf = 1;
    cluster.members[2].incarnation = 0;
    assert_false(ing_peers_is_birth(&cluster.peers, true));
}

static void birth_someone_beyond_joining_is_never_believed(void **state)
{
    static const enum nx_member_state states[] = {NX_MEMBER_ACTIVE, NX_MEMBER_LEAVING,
                                                  NX_MEMBER_READONLY};
    struct cluster cluster;
    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        newborn(&cluster);
        cluster.members[4].state = states[i];
        assert_false(ing_peers_is_birth(&cluster.peers, true));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(birth_all_heard_joining_is_believed_at_once),
        cmocka_unit_test(birth_one_unheard_is_believed_after_the_wait),
        cmocka_unit_test(birth_two_unheard_is_never_believed),
        cmocka_unit_test(birth_one_copy_and_one_unheard_is_never_believed),
        cmocka_unit_test(birth_someone_beyond_joining_is_never_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
