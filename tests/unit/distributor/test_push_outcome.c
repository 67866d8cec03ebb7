/* What the answers of the owners come to for who pushed. */
#include "push_fixture.h"

static void push_two_failures_answer_unavailable(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 4);
    answer_error(fake, 0, NX_ERR_UNAVAILABLE, "connection refused");
    assert_int_equal(fake->results, 0);
    answer_error(fake, 1, NX_ERR_IO, "disk is gone");
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "4 of 4 series could not be stored on 2 of 3 owners"));
    assert_non_null(strstr(fake->text, "connection refused"));
    assert_int_equal(fake->reports, 1);
    assert_int_equal(fake->last_report, NX_ERR_UNAVAILABLE);
    answer_ok(fake, 2);
    fake_free(fake);
}

static void push_failure_codes_map_to_the_answer(void **state)
{
    (void)state;
    static const struct {
        enum nx_err leg, answer;
    } cases[] = {
        {NX_ERR_UNAVAILABLE, NX_ERR_UNAVAILABLE}, {NX_ERR_TIMEOUT, NX_ERR_TIMEOUT},
        {NX_ERR_OVERLOADED, NX_ERR_OVERLOADED},   {NX_ERR_RATE_LIMITED, NX_ERR_RATE_LIMITED},
        {NX_ERR_LIMIT, NX_ERR_RATE_LIMITED},      {NX_ERR_INVALID, NX_ERR_UNAVAILABLE},
        {NX_ERR_CANCELED, NX_ERR_UNAVAILABLE},    {NX_ERR_NOSPACE, NX_ERR_UNAVAILABLE},
        {NX_ERR_INTERNAL, NX_ERR_UNAVAILABLE},    {NX_ERR_CLUSTER, NX_ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake *fake = fake_new(1, 1);
        push_series(fake, 1);
        answer_error(fake, 0, cases[i].leg, "");
        assert_int_equal(fake->err, cases[i].answer);
        assert_true(nx_err_http(fake->err) == 503 || nx_err_http(fake->err) == 429);
        fake_free(fake);
    }
}

static void push_unhealthy_owner_is_skipped(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->members[1].healthy = false;
    fake->members[1].problem = "no heartbeat for 6 s";
    push_series(fake, 2);
    assert_int_equal(fake->call_count, 2);
    answer_ok(fake, 0);
    assert_int_equal(fake->results, 0);
    answer_ok(fake, 1);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_two_unhealthy_owners_fail_at_once(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->members[0].healthy = false;
    fake->members[2].healthy = false;
    fake->members[0].problem = fake->members[2].problem = "no heartbeat";
    push_series(fake, 2);
    assert_int_equal(fake->call_count, 0);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "no heartbeat"));
    fake_free(fake);
}

static void push_fewer_members_than_replicas_counts_as_failed(void **state)
{
    (void)state;
    struct fake *fake = fake_new(2, 3);
    push_series(fake, 1);
    assert_int_equal(fake->call_count, 2);
    answer_all(fake);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
    fake = fake_new(1, 3);
    push_series(fake, 1);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "replication factor"));
    fake_free(fake);
}

static void push_refused_by_a_majority_is_reported(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 3);
    answer_refused(fake, 0, 1, NX_ERR_CONFLICT, "duplicate sample for timestamp");
    answer_refused(fake, 1, 1, NX_ERR_CONFLICT, "duplicate sample for timestamp");
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    assert_int_equal(fake->refused_samples, 1);
    assert_string_equal(fake->refused_text,
                        "duplicate sample for timestamp, timestamp 1234, series: m1{job=\"test\"}");
    answer_ok(fake, 2);
    fake_free(fake);
}

static void push_refused_by_one_of_three_is_stored(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 1);
    answer_refused(fake, 0, 0, NX_ERR_TOO_OLD, "");
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 0);
    answer_ok(fake, 2);
    assert_int_equal(fake->err, NX_OK);
    assert_string_equal(fake->refused_text, "");
    fake_free(fake);
}

static void push_refused_with_one_owner_away_is_final(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->members[0].healthy = false;
    push_series(fake, 1);
    answer_refused(fake, 0, 0, NX_ERR_OUT_OF_ORDER, "");
    assert_int_equal(fake->results, 0);
    answer_refused(fake, 1, 0, NX_ERR_OUT_OF_ORDER, "");
    assert_int_equal(fake->err, NX_OK);
    assert_non_null(strstr(fake->refused_text, "out of order sample, timestamp 1234"));
    fake_free(fake);
}

static void push_refusal_for_a_limit_asks_to_wait(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 2);
    answer_refused(fake, 0, 0, NX_ERR_LIMIT, "storage.max-series reached");
    assert_int_equal(fake->err, NX_ERR_RATE_LIMITED);
    assert_non_null(strstr(fake->text, "storage.max-series reached"));
    fake_free(fake);
}

static void push_failure_beats_refusal(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 2);
    answer_refused(fake, 0, 0, NX_ERR_CONFLICT, "");
    answer_error(fake, 1, NX_ERR_UNAVAILABLE, "gone");
    assert_int_equal(fake->results, 0);
    answer_error(fake, 2, NX_ERR_UNAVAILABLE, "gone");
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    fake_free(fake);
}

static void push_exemplar_refusals_do_not_fail_the_request(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    struct nx_buf message, series, exemplar;
    nx_buf_init(&message, SIZE_MAX);
    nx_buf_init(&series, SIZE_MAX);
    nx_buf_init(&exemplar, SIZE_MAX);
    test_put_label(&series, "__name__", "m");
    test_put_double(&exemplar, 2, 1);
    test_put_varint(&exemplar, 3, 5);
    test_put_message(&series, 3, &exemplar);
    test_put_message(&message, 1, &series);
    push_message(fake, &message);
    answer_refused(fake, 0, 0, NX_ERR_UNKNOWN_SERIES, "no such series");
    assert_int_equal(fake->err, NX_OK);
    assert_string_equal(fake->refused_text, "");
    fake_free(fake);
}

static void push_answers_that_make_no_sense_fail_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 2);
    answer_bytes(fake, 0, NX_VIEW("\xff\xff\xff"));
    answer_unknown(fake, 1, 1, 2); /* there are rows 0 and 1 */
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "PushResponse"));
    answer_ok(fake, 2);
    fake_free(fake);
}

static void push_call_that_cannot_be_made_fails_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->refuse_call = NX_ERR_NOMEM;
    push_series(fake, 2);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_ERR_NOMEM);
    fake_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_two_failures_answer_unavailable),
        cmocka_unit_test(push_failure_codes_map_to_the_answer),
        cmocka_unit_test(push_unhealthy_owner_is_skipped),
        cmocka_unit_test(push_two_unhealthy_owners_fail_at_once),
        cmocka_unit_test(push_fewer_members_than_replicas_counts_as_failed),
        cmocka_unit_test(push_refused_by_a_majority_is_reported),
        cmocka_unit_test(push_refused_by_one_of_three_is_stored),
        cmocka_unit_test(push_refused_with_one_owner_away_is_final),
        cmocka_unit_test(push_refusal_for_a_limit_asks_to_wait),
        cmocka_unit_test(push_failure_beats_refusal),
        cmocka_unit_test(push_exemplar_refusals_do_not_fail_the_request),
        cmocka_unit_test(push_answers_that_make_no_sense_fail_that_owner),
        cmocka_unit_test(push_call_that_cannot_be_made_fails_that_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
