#include "distributor/push_quorum.h"

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
            dist_quorum_vote(&quorum, 0, vote_of(cases[i].votes[v]));
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
    dist_quorum_vote(&quorum, 0, DIST_VOTE_STORED);
    dist_quorum_vote(&quorum, 1, DIST_VOTE_FAILED);
    assert_false(dist_quorum_settled(&quorum));
    dist_quorum_vote(&quorum, 1, DIST_VOTE_FAILED);
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
            dist_quorum_vote(&quorum, 0, (enum dist_vote)nx_rand_below(&rand, 3));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quorum_votes_decide_as_the_table_says),
        cmocka_unit_test(quorum_one_unreachable_row_settles_all),
        cmocka_unit_test(quorum_without_rows_is_settled),
        cmocka_unit_test(quorum_random_votes_always_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
