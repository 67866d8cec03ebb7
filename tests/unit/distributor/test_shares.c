/* Parts of tenants in the memory for requests in flight. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "distributor/shares.h"
#include "tests/unit/distributor/dist_test.h"

#define ROOM 1000u

static struct dist_shares *new_shares(void)
{
    struct dist_shares *shares;
    assert_int_equal(dist_shares_new(&shares), NX_OK);
    return shares;
}

static void one_tenant_gets_all_but_the_last_eighth(void **state)
{
    (void)state;
    struct dist_shares *shares = new_shares();
    size_t used = 0;
    while (dist_shares_take(shares, NX_VIEW("a"), 25, used, ROOM))
        used += 25;
    assert_int_equal(used, 875);
    /* there is room for another one, which halves the parts */
    assert_true(dist_shares_take(shares, NX_VIEW("b"), 100, used, ROOM));
    assert_false(dist_shares_take(shares, NX_VIEW("a"), 1, used + 100, ROOM));
    assert_int_equal(dist_shares_active(shares), 2);
    dist_shares_give(shares, NX_VIEW("a"), used);
    assert_int_equal(dist_shares_active(shares), 1);
    dist_shares_give(shares, NX_VIEW("b"), 100);
    assert_int_equal(dist_shares_active(shares), 0);
    dist_shares_free(shares);
}

/* However much two flood, a third one finds room, and nobody who is refused holds less than a part.
 */
static void floods_leave_room_for_others(void **state)
{
    (void)state;
    struct dist_shares *shares = new_shares();
    static const char *const names[] = {"flood", "flood2", "small", "tiny"};
    size_t held[4] = {0}, used = 0, refused_small = 0;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    for (int i = 0; i < 200000; i++) {
        size_t who =
            nx_rand_below(&rand, 100) < 90 ? nx_rand_below(&rand, 2) : 2 + nx_rand_below(&rand, 2);
        size_t bytes = who < 2 ? 10 : 4;
        bool give = held[who] >= bytes && nx_rand_below(&rand, 100) < (who < 2 ? 30 : 60);
        if (give) {
            dist_shares_give(shares, nx_view_of(names[who]), bytes);
            held[who] -= bytes;
            used -= bytes;
        } else if (used + bytes <= ROOM &&
                   dist_shares_take(shares, nx_view_of(names[who]), bytes, used, ROOM)) {
            held[who] += bytes;
            used += bytes;
        } else {
            refused_small += who >= 2;
        }
        assert_true(held[0] <= ROOM - ROOM / 8 && held[1] <= ROOM - ROOM / 8);
    }
    assert_true(held[0] + held[1] > ROOM / 3);
    assert_int_equal(refused_small, 0);
    for (size_t i = 0; i < 4; i++)
        dist_shares_give(shares, nx_view_of(names[i]), held[i]);
    assert_int_equal(dist_shares_active(shares), 0);
    dist_shares_free(shares);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void without_memory_nobody_new_is_let_in(void **state)
{
    (void)state;
    struct dist_shares *shares = new_shares();
    for (size_t n = 0; n < 2; n++) {
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        assert_false(dist_shares_take(shares, NX_VIEW("a"), 5, 0, ROOM));
        nx_alloc_set_hook(NULL, NULL);
        assert_int_equal(dist_shares_active(shares), 0);
    }
    assert_true(dist_shares_take(shares, NX_VIEW("a"), 5, 0, ROOM));
    dist_shares_give(shares, NX_VIEW("a"), 5);
    dist_shares_free(shares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_tenant_gets_all_but_the_last_eighth),
        cmocka_unit_test(floods_leave_room_for_others),
        cmocka_unit_test(without_memory_nobody_new_is_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
