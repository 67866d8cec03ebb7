/* The election of a replica as one ingester sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "ingester/ha.h"

#define S UINT64_C(1000000000)
#define FAILOVER (30 * S)

static struct ing_ha *new_ha(void)
{
    struct ing_ha *ha;
    assert_int_equal(ing_ha_new(&ha), NX_OK);
    return ha;
}

/* Who is elected after the claim. */
static void claim(struct ing_ha *ha, const char *replica, bool held, uint64_t now,
                  const char *expected, bool expect_change)
{
    struct ing_ha_claim asked = {.tenant = NX_VIEW("t"),
                                 .cluster = NX_VIEW("c"),
                                 .replica = nx_view_of(replica),
                                 .failover_ns = FAILOVER,
                                 .held = held};
    struct nx_buf elected;
    bool changed;
    nx_buf_init(&elected, 256);
    assert_int_equal(ing_ha_claim(ha, &asked, now, &elected, &changed), NX_OK);
    assert_true(nx_view_is(nx_buf_view(&elected), expected));
    assert_int_equal(changed, expect_change);
    nx_buf_release(&elected);
}

static void first_is_elected_and_stays_while_it_is_heard(void **state)
{
    (void)state;
    struct ing_ha *ha = new_ha();
    claim(ha, "a", false, 100 * S, "a", true);
    claim(ha, "a", true, 101 * S, "a", false);
    for (uint64_t now = 102; now < 300; now += 20) {
        claim(ha, "b", false, now * S, "a", false);
        claim(ha, "a", true, now * S, "a", false);
    }
    ing_ha_free(ha);
}

static void other_takes_over_after_the_time_and_not_before(void **state)
{
    (void)state;
    struct ing_ha *ha = new_ha();
    claim(ha, "a", true, 100 * S, "a", true);
    claim(ha, "b", false, 130 * S, "a", false);
    claim(ha, "b", false, 130 * S + 1, "b", true);
    claim(ha, "b", true, 131 * S, "b", false);
    /* the first one is back, and waits */
    claim(ha, "a", true, 132 * S, "b", false);
    claim(ha, "a", false, 161 * S, "b", false);
    claim(ha, "a", false, 162 * S, "a", true);
    ing_ha_free(ha);
}

static void unconfirmed_elections_end_with_the_first_name(void **state)
{
    (void)state;
    struct ing_ha *ha = new_ha();
    claim(ha, "c", false, 100 * S, "c", true);
    claim(ha, "d", false, 100 * S, "c", false);
    claim(ha, "b", false, 101 * S, "b", true);
    claim(ha, "c", false, 101 * S, "b", false);
    claim(ha, "b", true, 102 * S, "b", false); /* a majority */
    claim(ha, "a", false, 103 * S, "b", false);
    ing_ha_free(ha);
}

/* Three ingesters, three replicas that all begin at once, in every order: one of them soon has a
 * majority, and then keeps it. */
static void three_replicas_agree_on_one(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    for (unsigned order = 0; order < 27; order++) {
        struct ing_ha *ingesters[3] = {new_ha(), new_ha(), new_ha()};
        unsigned first[3] = {order % 3, order / 3 % 3, order / 9 % 3};
        unsigned taken[3] = {0, 0, 0};
        for (int round = 0; round < 4; round++) {
            unsigned now[3] = {0, 0, 0};
            for (unsigned i = 0; i < 3; i++) {
                for (unsigned k = 0; k < 3; k++) {
                    unsigned r = (first[i] + k) % 3;
                    struct nx_buf elected;
                    bool changed;
                    struct ing_ha_claim asked = {.tenant = NX_VIEW("t"),
                                                 .cluster = NX_VIEW("c"),
                                                 .replica = nx_view_of(names[r]),
                                                 .failover_ns = FAILOVER,
                                                 .held = taken[r] >= 2};
                    nx_buf_init(&elected, 64);
                    assert_int_equal(ing_ha_claim(ingesters[i], &asked, (100 + (uint64_t)round) * S,
                                                  &elected, &changed),
                                     NX_OK);
                    now[r] += nx_view_is(nx_buf_view(&elected), names[r]);
                    nx_buf_release(&elected);
                }
            }
            memcpy(taken, now, sizeof taken);
        }
        unsigned winners = 0;
        for (unsigned r = 0; r < 3; r++)
            winners += taken[r] >= 2;
        assert_int_equal(winners, 1);
        for (unsigned i = 0; i < 3; i++)
            ing_ha_free(ingesters[i]);
    }
}

static void names_are_checked_and_pairs_are_apart(void **state)
{
    (void)state;
    struct ing_ha *ha = new_ha();
    struct nx_buf elected;
    bool changed;
    char text[ING_HA_MAX_NAME_BYTES + 2];
    memset(text, 'x', sizeof text);
    struct ing_ha_claim wrong[] = {
        {.tenant = NX_VIEW("t"), .cluster = NX_VIEW(""), .replica = NX_VIEW("a")},
        {.tenant = NX_VIEW("t"), .cluster = NX_VIEW("c"), .replica = {NULL, 0}},
        {.tenant = NX_VIEW("t"), .cluster = {text, sizeof text}, .replica = NX_VIEW("a")},
    };
    nx_buf_init(&elected, 64);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ing_ha_claim(ha, &wrong[i], S, &elected, &changed), NX_ERR_INVALID);
    assert_int_equal(ing_ha_count(ha), 0);
    claim(ha, "a", false, S, "a", true);
    struct ing_ha_claim other = {.tenant = NX_VIEW("u"),
                                 .cluster = NX_VIEW("c"),
                                 .replica = NX_VIEW("b"),
                                 .failover_ns = FAILOVER};
    assert_int_equal(ing_ha_claim(ha, &other, S, &elected, &changed), NX_OK);
    assert_true(nx_view_is(nx_buf_view(&elected), "b"));
    assert_int_equal(ing_ha_count(ha), 2);
    nx_buf_release(&elected);
    ing_ha_free(ha);
}

static void full_table_drops_the_most_silent(void **state)
{
    (void)state;
    struct ing_ha *ha = new_ha();
    struct nx_buf elected;
    bool changed;
    char name[32];
    nx_buf_init(&elected, 1 << 22);
    for (unsigned i = 0; i <= ING_HA_MAX_PAIRS; i++) {
        (void)snprintf(name, sizeof name, "c%u", i);
        struct ing_ha_claim asked = {.tenant = NX_VIEW("t"),
                                     .cluster = nx_view_of(name),
                                     .replica = NX_VIEW("a"),
                                     .failover_ns = FAILOVER};
        assert_int_equal(ing_ha_claim(ha, &asked, S + i, &elected, &changed), NX_OK);
        nx_buf_clear(&elected);
    }
    assert_int_equal(ing_ha_count(ha), ING_HA_MAX_PAIRS - ING_HA_MAX_PAIRS / 10 + 1);
    nx_buf_release(&elected);
    ing_ha_free(ha);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void failing_memory_elects_nobody(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct ing_ha *ha = new_ha();
        struct nx_buf elected;
        bool changed;
        size_t left = n;
        struct ing_ha_claim asked = {.tenant = NX_VIEW("t"),
                                     .cluster = NX_VIEW("c"),
                                     .replica = NX_VIEW("a"),
                                     .failover_ns = FAILOVER};
        nx_buf_init(&elected, 64);
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = ing_ha_claim(ha, &asked, S, &elected, &changed);
        nx_alloc_set_hook(NULL, NULL);
        nx_buf_release(&elected);
        if (err == NX_OK) {
            ing_ha_free(ha);
            assert_true(n >= 4);
            break;
        }
        assert_int_equal(err, NX_ERR_NOMEM);
        claim(ha, "a", false, 2 * S, "a", ing_ha_count(ha) == 0);
        ing_ha_free(ha);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_is_elected_and_stays_while_it_is_heard),
        cmocka_unit_test(other_takes_over_after_the_time_and_not_before),
        cmocka_unit_test(unconfirmed_elections_end_with_the_first_name),
        cmocka_unit_test(three_replicas_agree_on_one),
        cmocka_unit_test(names_are_checked_and_pairs_are_apart),
        cmocka_unit_test(full_table_drops_the_most_silent),
        cmocka_unit_test(failing_memory_elects_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
