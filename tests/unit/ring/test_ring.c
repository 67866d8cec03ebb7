/* The list of members, and rings that no network is needed for. */
#include "common/base/alloc.h"
#include "common/ring/placement.h"
#include "common/ring/roster.h"
#include "ring_fixture.h"

static enum nx_err parse(const char *members, struct nx_roster **out, struct nx_fail *fail)
{
    fail->text[0] = '\0';
    return nx_roster_new(members, out, fail);
}

static void members_are_read_and_sorted_by_name(void **state)
{
    (void)state;
    struct nx_roster *roster = NULL;
    struct nx_fail fail;
    assert_int_equal(
        parse(" c@10.0.0.3:9902/z1*2.5, a@host-1.example:1/z2,b@[::1]:65535*0.5 ", &roster, &fail),
        NX_OK);
    assert_int_equal(roster->count, 3);
    assert_string_equal(roster->members[0].name, "a");
    assert_string_equal(roster->members[0].address, "host-1.example:1");
    assert_string_equal(roster->members[0].zone, "z2");
    assert_string_equal(roster->members[1].address, "[::1]:65535");
    assert_string_equal(roster->members[1].zone, "");
    assert_true(roster->members[0].weight > 0.99 && roster->members[0].weight < 1.01);
    assert_true(roster->members[1].weight > 0.49 && roster->members[1].weight < 0.51);
    assert_true(roster->members[2].weight > 2.49 && roster->members[2].weight < 2.51);
    assert_string_equal(roster->members[2].zone, "z1");
    assert_int_equal(nx_roster_find(roster, "c"), 2);
    assert_true(nx_roster_find(roster, "d") == SIZE_MAX);
    assert_true(nx_roster_find(roster, "") == SIZE_MAX);
    nx_roster_drop(roster);
}

static void members_bad_are_refused_with_the_entry(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *text;
    } cases[] = {
        {"", "ring.members: empty, expected name@host:port[/zone][*weight],..."},
        {"  ", "ring.members: empty, expected name@host:port[/zone][*weight],..."},
        {"a", "ring.members: \"a\": expected name@host:port[/zone][*weight]"},
        {"a@h:1,", "ring.members: \"\": expected name@host:port[/zone][*weight]"},
        {"a@h:1,,b@h:2", "ring.members: \"\": expected name@host:port[/zone][*weight]"},
        {"@h:1", "ring.members: \"@h:1\": the name is not one (letters, digits, - . _)"},
        {"a b@h:1", "ring.members: \"a b@h:1\": the name is not one (letters, digits, - . _)"},
        {"a@h", "ring.members: \"a@h\": the address is not host:port"},
        {"a@h:", "ring.members: \"a@h:\": the address is not host:port"},
        {"a@:1", "ring.members: \"a@:1\": the address is not host:port"},
        {"a@h:0", "ring.members: \"a@h:0\": the address is not host:port"},
        {"a@h:65536", "ring.members: \"a@h:65536\": the address is not host:port"},
        {"a@h:99999999999", "ring.members: \"a@h:99999999999\": the address is not host:port"},
        {"a@::1:80", "ring.members: \"a@::1:80\": the address is not host:port"},
        {"a@b@h:1", "ring.members: \"a@b@h:1\": the address is not host:port"},
        {"a@h:1/", "ring.members: \"a@h:1/\": the zone is not a name (letters, digits, - . _)"},
        {"a@h:1/z/y",
         "ring.members: \"a@h:1/z/y\": the zone is not a name (letters, digits, - . _)"},
        {"a@h:1*", "ring.members: \"a@h:1*\": the weight is not a number from 0.01 to 1000"},
        {"a@h:1/z*0", "ring.members: \"a@h:1/z*0\": the weight is not a number from 0.01 to 1000"},
        {"a@h:1*1e3", "ring.members: \"a@h:1*1e3\": the weight is not a number from 0.01 to 1000"},
        {"a@h:1*1001",
         "ring.members: \"a@h:1*1001\": the weight is not a number from 0.01 to 1000"},
        {"a@h:1,b@h:2,a@h:3", "ring.members: the name \"a\" occurs twice"},
        {"a@h:1,b@h:1", "ring.members: \"a\" and \"b\" have the same address \"h:1\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_roster *roster = NULL;
        struct nx_fail fail;
        assert_int_equal(parse(cases[i].members, &roster, &fail), NX_ERR_CONFIG);
        assert_string_equal(fail.text, cases[i].text);
        assert_null(roster);
    }
}

static bool fail_countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    long *left = user;
    return (*left)-- != 0;
}

static void roster_allocation_failing_anywhere_is_out_of_memory(void **state)
{
    (void)state;
    long n = 0;
    for (; n < 100; n++) {
        struct nx_roster *roster = NULL;
        struct nx_fail fail;
        long left = n;
        nx_alloc_set_hook(fail_countdown, &left);
        enum nx_err err = parse("a@h:1/x,b@h:2/y,c@h:3", &roster, &fail);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK) {
            nx_roster_drop(roster);
            break;
        }
        assert_int_equal(err, NX_ERR_NOMEM);
    }
    assert_true(n >= 3 && n < 100);
}

/* --- rings without a network ---------------------------------------------------------------------
 */

static void options_bad_name_the_setting(void **state)
{
    (void)state;
    struct nx_ring_options cases[6];
    static const char *const texts[] = {
        "ring.backend: expected static, dns or etcd, got \"gossip\"",
        "ring.partitions: expected 1 to 65536, got 0",
        "ring.replication-factor: expected 1 to 64, got 0",
        "ring.heartbeat-timeout: expected at least the heartbeat interval (40ms, not 0), got 39ms",
        "node.name: \"x\" is not among ring.members, expected one of their names",
        "ring.members: \"a\": expected name@host:port[/zone][*weight]",
    };
    for (size_t i = 0; i < 6; i++) {
        cases[i] = ring_options_of("a@h:1");
    }
    cases[0].backend = "gossip";
    cases[1].partitions = 0;
    cases[2].rf = 0;
    cases[3].heartbeat_timeout_ms = 39;
    cases[4].self = (struct nx_ring_self){.name = "x", .is_member = true};
    cases[5].members = "a";
    for (size_t i = 0; i < 6; i++) {
        struct nx_ring *ring = NULL;
        struct nx_fail fail = {.code = NX_OK};
        assert_int_equal(nx_ring_new(&cases[i], nx_clock_system(), NULL, NULL, NULL, &ring, &fail),
                         NX_ERR_CONFIG);
        assert_string_equal(fail.text, texts[i]);
        assert_null(ring);
    }
}

static void view_before_start_shows_all_members_healthy(void **state)
{
    (void)state;
    struct nx_ring_options options = ring_options_of("b@h:2/z2,a@h:1/z1,c@h:3/z1");
    struct nx_ring *ring = NULL;
    struct nx_fail fail;
    options.self = (struct nx_ring_self){.name = "b", .is_member = true, .incarnation = 7};
    assert_int_equal(nx_ring_new(&options, nx_clock_system(), NULL, NULL, NULL, &ring, &fail),
                     NX_OK);
    struct nx_ring_view *view = nx_ring_acquire(ring);
    assert_int_equal(view->member_count, 3);
    assert_int_equal(view->partitions, 64);
    assert_int_equal(nx_ring_write_quorum(view), 2);
    assert_int_equal(nx_ring_read_quorum(view), 2);
    assert_string_equal(view->members[0].name, "a");
    assert_true(view->members[0].healthy);
    assert_int_equal(view->members[0].state, NX_MEMBER_ACTIVE);
    assert_int_equal(view->members[0].incarnation, 0);
    assert_int_equal(view->members[1].state, NX_MEMBER_JOINING);
    assert_int_equal(view->members[1].incarnation, 7);
    for (uint32_t p = 0; p < 64; p++) {
        const uint16_t *owners = nx_ring_owners(view, p);
        assert_true(owners[0] != 1 && owners[1] != 1 && owners[0] < 3 && owners[1] < 3);
        assert_int_equal(owners[2], NX_PLACEMENT_NONE);
        assert_int_not_equal(nx_ring_next_owners(view, p)[2], NX_PLACEMENT_NONE);
    }
    assert_true(nx_ring_in_motion(view));
    assert_true(view->members[1].in_motion && !view->members[0].in_motion);
    nx_ring_set_self_state(ring, NX_MEMBER_ACTIVE);
    assert_int_equal(view->members[1].state, NX_MEMBER_JOINING);
    struct nx_ring_view *later = nx_ring_acquire(ring);
    assert_int_equal(later->members[1].state, NX_MEMBER_ACTIVE);
    assert_int_not_equal(nx_ring_owners(later, 0)[2], NX_PLACEMENT_NONE);
    assert_true(later->version > view->version);
    nx_ring_release(later);
    nx_ring_report(ring, "a", NX_ERR_UNAVAILABLE);
    nx_ring_report(ring, "nobody", NX_ERR_UNAVAILABLE);
    nx_ring_free(ring);
    assert_string_equal(view->members[2].name, "c");
    nx_ring_release(view);
}

static void set_members_replaces_the_list_or_leaves_it(void **state)
{
    (void)state;
    struct nx_ring_options options = ring_options_of("a@h:1,b@h:2");
    struct nx_ring *ring = NULL;
    struct nx_fail fail;
    assert_int_equal(nx_ring_new(&options, nx_clock_system(), NULL, NULL, NULL, &ring, &fail),
                     NX_OK);
    assert_int_equal(nx_ring_set_members(ring, "a@h:1,nonsense", &fail), NX_ERR_CONFIG);
    struct nx_ring_view *view = nx_ring_acquire(ring);
    assert_int_equal(view->member_count, 2);
    assert_int_equal(nx_ring_owners(view, 0)[2], NX_PLACEMENT_NONE);
    nx_ring_release(view);
    assert_int_equal(nx_ring_set_members(ring, "a@h:1,b@h:2,c@h:3", &fail), NX_OK);
    view = nx_ring_acquire(ring);
    assert_int_equal(view->member_count, 3);
    assert_true(nx_ring_owners(view, 0)[2] < 3);
    nx_ring_release(view);
    nx_ring_free(ring);
}

static void json_has_members_and_quorums(void **state)
{
    (void)state;
    struct nx_ring_options options = ring_options_of("a@h:1/z1");
    struct nx_ring *ring = NULL;
    struct nx_fail fail;
    struct nx_buf out;
    options.rf = 1;
    assert_int_equal(nx_ring_new(&options, nx_clock_system(), NULL, NULL, NULL, &ring, &fail),
                     NX_OK);
    struct nx_ring_view *view = nx_ring_acquire(ring);
    nx_buf_init(&out, 1 << 20);
    nx_ring_view_print_json(view, &out);
    nx_buf_append_char(&out, '\0');
    assert_string_equal(
        out.data,
        "{\"cluster\":\"test\",\"version\":1,\"partitions\":64,"
        "\"replicationFactor\":1,\"writeQuorum\":1,\"readQuorum\":1,"
        "\"partitionsWhole\":0,\"partitionsBelowWriteQuorum\":0,\"partitionsBelowReadQuorum\":64,"
        "\"members\":[{\"name\":\"a\",\"address\":\"h:1\",\"zone\":\"z1\",\"weight\":1,"
        "\"state\":\"ACTIVE\",\"healthy\":true,\"incarnation\":\"0\",\"lastSeenMs\":0,"
        "\"clockSkewMs\":0,\"wholePartitions\":0,\"problem\":\"\",\"partitions\":64,"
        "\"primaryPartitions\":64}]}");
    nx_buf_release(&out);
    nx_ring_release(view);
    nx_ring_free(ring);
}

static void ring_allocation_failing_anywhere_is_out_of_memory(void **state)
{
    (void)state;
    long n = 0;
    for (; n < 200; n++) {
        struct nx_ring_options options = ring_options_of("a@h:1,b@h:2");
        struct nx_ring *ring = NULL;
        struct nx_fail fail;
        long left = n;
        nx_alloc_set_hook(fail_countdown, &left);
        enum nx_err err = nx_ring_new(&options, nx_clock_system(), NULL, NULL, NULL, &ring, &fail);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK) {
            nx_ring_free(ring);
            break;
        }
        assert_int_equal(err, NX_ERR_NOMEM);
        assert_null(ring);
    }
    assert_true(n > 5 && n < 200);
}

/* --- processes -----------------------------------------------------------------------------------
 */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read_and_sorted_by_name),
        cmocka_unit_test(members_bad_are_refused_with_the_entry),
        cmocka_unit_test(roster_allocation_failing_anywhere_is_out_of_memory),
        cmocka_unit_test(options_bad_name_the_setting),
        cmocka_unit_test(view_before_start_shows_all_members_healthy),
        cmocka_unit_test(set_members_replaces_the_list_or_leaves_it),
        cmocka_unit_test(json_has_members_and_quorums),
        cmocka_unit_test(ring_allocation_failing_anywhere_is_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
