#include "distributor/push_quorum.h"

#include "common/ring/placement.h"
#include "common/ring/ring.h"
#include "tests/unit/distributor/dist_test.h"

static enum dist_vote vote_of(char c)
{
    return c == 's' ? DIST_VOTE_STORED : c == 'r' ? DIST_VOTE_REFUSED : DIST_VOTE_FAILED;
}

static char state_letter(uint8_t state)
{
    return "osru"[state];
}

/* After each vote: o open, s stored, r refused, u unreachable. */
static void quorum_votes_decide_as_the_table_says(void **state)
{
    (void)state;
    static const struct {
        uint8_t owners, need;
        const char *votes;
        const char *states;
    } cases[] = {
        {1, 1, "s", "s"},         {1, 1, "r", "r"},         {1, 1, "f", "u"},
        {2, 2, "ss", "os"},       {2, 2, "sr", "or"},       {2, 2, "rs", "rr"},
        {2, 2, "sf", "ou"},       {2, 2, "fs", "uu"},       {3, 2, "ss", "os"},
        {3, 2, "sss", "oss"},     {3, 2, "sfs", "oos"},     {3, 2, "fss", "oos"},
        {3, 2, "rr", "or"},       {3, 2, "srr", "oor"},     {3, 2, "rss", "oos"},
        {3, 2, "srs", "oos"},     {3, 2, "ff", "ou"},       {3, 2, "sff", "oou"},
        {3, 2, "rff", "oou"},     {3, 2, "frr", "oor"}, /* one owner away: the refusal of both
                                                           others is final */
        {3, 2, "rfr", "oor"},     {3, 2, "frs", "oor"}, /* a majority answered, and one of them will
                                                           never store it */
        {3, 2, "fsr", "oor"},     {3, 2, "fsf", "oou"},     {5, 3, "sssrr", "oosss"},
        {5, 3, "ffsss", "oooos"}, {5, 3, "fff", "oou"},     {5, 3, "rrr", "oor"},
        {5, 3, "ffrss", "oooor"}, {5, 3, "ffffs", "oouuu"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dist_row_votes row = {0, 0, 0, 0};
        struct dist_quorum quorum;
        dist_quorum_init(&quorum, &row, 1, cases[i].owners, cases[i].need);
        assert_false(dist_quorum_settled(&quorum));
        for (size_t v = 0; cases[i].votes[v]; v++) {
            dist_quorum_vote(&quorum, 0, 0, vote_of(cases[i].votes[v]));
            if (state_letter(row.state) != cases[i].states[v])
                fail_msg("%u/%u %s: after vote %zu '%c', expected '%c'", cases[i].need,
                         cases[i].owners, cases[i].votes, v, state_letter(row.state),
                         cases[i].states[v]);
            assert_int_equal(dist_quorum_settled(&quorum), cases[i].states[v] != 'o');
        }
    }
}

static void quorum_one_unreachable_row_settles_all(void **state)
{
    (void)state;
    struct dist_row_votes rows[3] = {{0, 0, 0, 0}};
    struct dist_quorum quorum;
    dist_quorum_init(&quorum, rows, 3, 3, 2);
    dist_quorum_vote(&quorum, 0, 0, DIST_VOTE_STORED);
    dist_quorum_vote(&quorum, 1, 0, DIST_VOTE_FAILED);
    assert_false(dist_quorum_settled(&quorum));
    dist_quorum_vote(&quorum, 1, 0, DIST_VOTE_FAILED);
    assert_true(dist_quorum_settled(&quorum));
    assert_int_equal(quorum.states[DIST_ROW_OPEN], 2);
    assert_int_equal(quorum.states[DIST_ROW_UNREACHABLE], 1);
}

static void quorum_without_rows_is_settled(void **state)
{
    (void)state;
    struct dist_quorum quorum;
    dist_quorum_init(&quorum, NULL, 0, 3, 2);
    assert_true(dist_quorum_settled(&quorum));
}

/* Whatever the order, the last vote leaves the row decided, a majority of `stored` always wins, and
 * a decided row never changes. */
static void quorum_random_votes_always_decide(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 7);
    for (size_t round = 0; round < 20000; round++) {
        uint8_t owners = (uint8_t)(1 + nx_rand_below(&rand, 7));
        uint8_t need = (uint8_t)(owners / 2 + 1);
        struct dist_row_votes row = {0, 0, 0, 0};
        struct dist_quorum quorum;
        dist_quorum_init(&quorum, &row, 1, owners, need);
        uint8_t decided = DIST_ROW_OPEN;
        for (uint8_t v = 0; v < owners; v++) {
            dist_quorum_vote(&quorum, 0, 0, (enum dist_vote)nx_rand_below(&rand, 3));
            assert_true(decided == DIST_ROW_OPEN || row.state == decided);
            decided = row.state;
            assert_int_equal(row.stored >= need, decided == DIST_ROW_STORED);
        }
        assert_int_not_equal(decided, DIST_ROW_OPEN);
        assert_int_equal(quorum.states[decided], 1);
        if (decided == DIST_ROW_REFUSED)
            assert_true(row.refused > 0);
        if (decided == DIST_ROW_UNREACHABLE)
            assert_true(row.failed > 0);
    }
}

/* --- members on the move --- */

struct moving {
    struct nx_member members[6];
    struct nx_placement *placement;
    struct nx_ring_view view;
};

/* Letters: S stays, C comes, G goes; member i of zone i, all of one partition. */
static void moving_init(struct moving *moving, const char *kinds, uint64_t salt)
{
    struct nx_placement_member list[6];
    size_t count = strlen(kinds);
    *moving = (struct moving){.placement = NULL};
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct nx_placement_member){.key = salt * 31 + i,
                                               .weight = 1,
                                               .zone = i,
                                               .kind = kinds[i] == 'S'   ? NX_PLACEMENT_STAYS
                                                       : kinds[i] == 'C' ? NX_PLACEMENT_COMES
                                                                         : NX_PLACEMENT_GOES};
        moving->members[i] = (struct nx_member){.zone_id = i, .in_motion = kinds[i] != 'S'};
    }
    assert_int_equal(nx_placement_new(list, count, 1, 3, &moving->placement), NX_OK);
    moving->view = (struct nx_ring_view){.partitions = 1,
                                         .rf = 3,
                                         .members = moving->members,
                                         .member_count = count,
                                         .owners = moving->placement->owners,
                                         .next_owners = moving->placement->next_owners,
                                         .writers = moving->placement->writers,
                                         .writer_begin = moving->placement->writer_begin};
}

static bool majority_has(const uint16_t *owners, const bool *stored)
{
    unsigned count = 0;
    for (size_t i = 0; i < 3; i++)
        count += owners[i] != NX_PLACEMENT_NONE && stored[owners[i]];
    return count >= 2;
}

/* A wiped member takes writes like any other: one of three may be away, the joiner or another. */
static void quorum_one_of_three_joining_may_lack_any_one_vote(void **state)
{
    (void)state;
    for (uint16_t away = 0; away < 3; away++) {
        struct moving moving;
        struct dist_row_votes row = {0, 0, 0, 0};
        struct dist_row_motion motion = {.partition = 0};
        struct dist_quorum quorum;
        moving_init(&moving, "SSC", away);
        dist_quorum_init(&quorum, &row, 1, 3, 2);
        dist_quorum_in_motion(&quorum, &moving.view, &motion);
        assert_int_equal(row.state, DIST_ROW_OPEN);
        dist_quorum_vote(&quorum, 0, away, DIST_VOTE_FAILED);
        dist_quorum_vote(&quorum, 0, (uint16_t)((away + 1) % 3), DIST_VOTE_STORED);
        assert_int_equal(row.state, DIST_ROW_OPEN);
        dist_quorum_vote(&quorum, 0, (uint16_t)((away + 2) % 3), DIST_VOTE_STORED);
        assert_int_equal(row.state, DIST_ROW_STORED);
        assert_int_equal(quorum.states[DIST_ROW_STORED], 1);
        nx_placement_free(moving.placement);
    }
}

static void quorum_without_enough_writers_is_unreachable_at_once(void **state)
{
    (void)state;
    struct moving moving;
    struct dist_row_votes row = {0, 0, 0, 0};
    struct dist_row_motion motion = {.partition = 0};
    struct dist_quorum quorum;
    moving_init(&moving, "C", 1);
    dist_quorum_init(&quorum, &row, 1, 3, 2);
    dist_quorum_in_motion(&quorum, &moving.view, &motion);
    assert_int_equal(row.state, DIST_ROW_UNREACHABLE);
    assert_true(dist_quorum_settled(&quorum));
    nx_placement_free(moving.placement);
}

/* In any order of any votes: the last leaves the row decided; a decided one never changes; a stored
 * one has a majority of the owners and of the next owners; and a row that all have stored is. */
static void quorum_in_motion_random_votes_keep_the_promise(void **state)
{
    (void)state;
    static const char *const shapes[] = {"SSSC", "SSSCC", "SSSG",  "SSSSGC",
                                         "SSC",  "SCCC",  "SSSCCC"};
    struct nx_rand rand;
    nx_rand_seeded(&rand, 8);
    size_t outcomes[DIST_ROW_UNREACHABLE + 1] = {0};
    for (size_t round = 0; round < 20000; round++) {
        struct moving moving;
        struct dist_row_votes row = {0, 0, 0, 0};
        struct dist_row_motion motion = {.partition = 0};
        struct dist_quorum quorum;
        bool stored[6] = {false};
        bool good = true;
        moving_init(&moving, shapes[nx_rand_below(&rand, 7)], round);
        dist_quorum_init(&quorum, &row, 1, 3, 2);
        dist_quorum_in_motion(&quorum, &moving.view, &motion);
        size_t count;
        const uint16_t *writers = nx_ring_writers(&moving.view, 0, &count);
        size_t first = nx_rand_below(&rand, count);
        uint8_t decided = row.state;
        for (size_t i = 0; i < count; i++) {
            uint16_t member = writers[(first + i) % count];
            enum dist_vote vote = nx_rand_below(&rand, 3) ? DIST_VOTE_STORED
                                                          : (enum dist_vote)nx_rand_below(&rand, 3);
            stored[member] = vote == DIST_VOTE_STORED;
            good = good && stored[member];
            dist_quorum_vote(&quorum, 0, member, vote);
            assert_true(decided == DIST_ROW_OPEN || row.state == decided);
            decided = row.state;
            if (decided == DIST_ROW_STORED) {
                assert_true(majority_has(nx_ring_next_owners(&moving.view, 0), stored));
                assert_true(nx_ring_owners(&moving.view, 0)[2] == NX_PLACEMENT_NONE ||
                            majority_has(nx_ring_owners(&moving.view, 0), stored));
            }
        }
        assert_int_not_equal(decided, DIST_ROW_OPEN);
        assert_true(!good || decided == DIST_ROW_STORED);
        outcomes[decided]++;
        nx_placement_free(moving.placement);
    }
    assert_true(outcomes[DIST_ROW_STORED] > 1000 && outcomes[DIST_ROW_REFUSED] > 1000 &&
                outcomes[DIST_ROW_UNREACHABLE] > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quorum_votes_decide_as_the_table_says),
        cmocka_unit_test(quorum_one_unreachable_row_settles_all),
        cmocka_unit_test(quorum_without_rows_is_settled),
        cmocka_unit_test(quorum_random_votes_always_decide),
        cmocka_unit_test(quorum_one_of_three_joining_may_lack_any_one_vote),
        cmocka_unit_test(quorum_without_enough_writers_is_unreachable_at_once),
        cmocka_unit_test(quorum_in_motion_random_votes_keep_the_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
