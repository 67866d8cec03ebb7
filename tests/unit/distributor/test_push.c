/* What is sent to whom, again where need be, and that it ends. */
#include "common/chunk/sample.h"
#include "push_fixture.h"

static void push_majority_answers_before_the_third(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 1);
    assert_int_equal(fake->call_count, 3);
    answer_ok(fake, 2);
    assert_int_equal(fake->results, 0);
    answer_ok(fake, 0);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    assert_int_equal(fake->pushes, 1); /* the third finishes in the background */
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->pushes, 0);
    fake_free(fake);
}

static void push_carries_what_was_written(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    struct nx_buf message, series, exemplar, metadata, histogram;
    nx_buf_init(&message, SIZE_MAX);
    nx_buf_init(&series, SIZE_MAX);
    nx_buf_init(&exemplar, SIZE_MAX);
    nx_buf_init(&metadata, SIZE_MAX);
    nx_buf_init(&histogram, SIZE_MAX);
    put_series(&message, "m0", 5);
    test_put_label(&series, "job", "x");
    test_put_label(&series, "__name__", "two");
    test_put_sample(&series, -7, 2.5);
    test_put_sample(&series, INT64_C(1700000000000), -0.0);
    test_put_label(&exemplar, "trace_id", "abc");
    test_put_double(&exemplar, 2, 9.5);
    test_put_varint(&exemplar, 3, 77);
    test_put_message(&series, 3, &exemplar);
    test_put_varint(&histogram, 1, 3);
    test_put_double(&histogram, 3, 1.25);
    test_put_varint(&histogram, 6, 3);
    test_put_varint(&histogram, 15, 99);
    test_put_message(&series, 4, &histogram);
    test_put_message(&message, 1, &series);
    test_put_varint(&metadata, 1, 2);
    test_put_bytes(&metadata, 2, "two", 3);
    test_put_bytes(&metadata, 4, "Help.", 5);
    test_put_message(&message, 3, &metadata);
    push_message(fake, &message);

    assert_int_equal(fake->call_count, 1);
    const Narthex__PushRequest *sent = fake->calls[0].request;
    assert_string_equal(sent->tenant, "anonymous");
    assert_true(sent->incarnation == 100);
    assert_int_equal(sent->series_ids.len, 32);
    assert_int_equal(sent->n_labels, 2);
    assert_int_equal(sent->n_sample_counts, 2);
    assert_int_equal(sent->sample_counts[0], 1);
    assert_int_equal(sent->sample_counts[1], 2);
    assert_int_equal(sent->n_timestamps, 3);
    assert_true(sent->timestamps[0] == 5 && sent->timestamps[1] == -7);
    assert_true(sent->timestamps[2] == INT64_C(1700000000000));
    assert_true(sent->value_bits[1] == nx_double_bits(2.5));
    assert_true(sent->value_bits[2] == nx_double_bits(-0.0));

    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_cursor cursor = nx_cursor_of(nx_view_make(sent->labels[1].data, sent->labels[1].len));
    struct nx_labels labels;
    assert_int_equal(nx_labels_decode(&cursor, &arena, 10, &labels), NX_OK);
    assert_int_equal(labels.count, 2);
    assert_true(nx_view_is(nx_labels_get(labels, NX_VIEW("__name__")), "two"));
    struct nx_series_id id = nx_series_id_of(NX_VIEW("anonymous"), labels);
    cursor = nx_cursor_of(nx_view_make(sent->series_ids.data + 16, 16));
    assert_true(nx_series_id_eq(nx_series_id_read(&cursor), id));
    nx_arena_release(&arena);

    assert_int_equal(sent->n_histograms, 1);
    assert_int_equal(sent->histograms[0]->series, 1);
    assert_true(sent->histograms[0]->timestamp == 99);
    assert_true(sent->histograms[0]->histogram.len > 0);
    assert_int_equal(sent->n_exemplars, 1);
    assert_true(sent->exemplars[0]->timestamp == 77);
    assert_true(sent->exemplars[0]->value_bits == nx_double_bits(9.5));
    assert_true(sent->exemplars[0]->labels.len > 0);
    assert_int_equal(sent->n_metadata, 1);
    assert_string_equal(sent->metadata[0]->metric, "two");
    assert_string_equal(sent->metadata[0]->help, "Help.");
    assert_int_equal(sent->metadata[0]->type, 2);
    answer_ok(fake, 0);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_rows_go_to_their_owners(void **state)
{
    (void)state;
    struct fake *fake = fake_new(5, 3);
    push_series(fake, 200);
    assert_int_equal(fake->call_count, 5);
    size_t rows = 0;
    for (size_t i = 0; i < 5; i++) {
        const Narthex__PushRequest *sent = fake->calls[i].request;
        size_t count_here = sent->series_ids.len / 16;
        rows += count_here;
        for (size_t r = 0; r < count_here; r++) {
            struct nx_cursor cursor =
                nx_cursor_of(nx_view_make(sent->series_ids.data + r * 16, 16));
            uint32_t p = nx_series_id_partition(nx_series_id_read(&cursor), PARTITIONS);
            size_t owner = 0;
            for (size_t k = 0; k < 3; k++)
                owner += strcmp(fake->names[fake->owners[p * 3 + k]], fake->calls[i].address) == 0;
            assert_int_equal(owner, 1);
        }
    }
    assert_int_equal(rows, 600);
    answer_all(fake);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_labels_are_sent_until_confirmed(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 2);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    answer_error(fake, 2, NX_ERR_UNAVAILABLE, "connection refused");
    assert_int_equal(fake->err, NX_OK);
    push_series(fake, 2);
    for (size_t i = 3; i < 6; i++) {
        bool confirmed = strcmp(fake->calls[i].address, "ing-2") != 0;
        assert_int_equal(fake->calls[i].request->n_labels, confirmed ? 0 : 2);
    }
    answer_all(fake);
    /* A new incarnation knows nothing. */
    fake->members[1].incarnation = 999;
    fake->view.version++;
    push_series(fake, 2);
    for (size_t i = 6; i < 9; i++) {
        bool confirmed = strcmp(fake->calls[i].address, "ing-1") != 0;
        assert_int_equal(fake->calls[i].request->n_labels, confirmed ? 0 : 2);
    }
    answer_all(fake);
    fake_free(fake);
}

static void push_new_series_among_known_ones_brings_its_labels(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 2);
    answer_ok(fake, 0);
    push_series(fake, 3);
    assert_int_equal(fake->calls[1].request->n_labels, 3);
    assert_int_equal(fake->calls[1].request->labels[0].len, 0);
    assert_int_equal(fake->calls[1].request->labels[1].len, 0);
    assert_true(fake->calls[1].request->labels[2].len > 0);
    answer_ok(fake, 1);
    fake_free(fake);
}

static void push_never_heard_incarnation_gets_labels(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    fake->members[0].incarnation = 0;
    for (size_t i = 0; i < 2; i++) {
        push_series(fake, 1);
        assert_true(fake->calls[i].request->labels[0].len > 0);
        Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
        response.incarnation = 55;
        answer_with(fake, i, &response);
    }
    /* Once the ring has heard that incarnation, what it confirmed counts. */
    fake->members[0].incarnation = 55;
    fake->view.version++;
    push_series(fake, 1);
    assert_int_equal(fake->calls[2].request->n_labels, 0);
    answer_all(fake);
    fake_free(fake);
}

static void push_unknown_rows_are_sent_again_with_labels(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 3);
    answer_ok(fake, 0);
    push_series(fake, 3);
    assert_int_equal(fake->calls[1].request->n_labels, 0);
    answer_unknown(fake, 1, 777, 1); /* the ingester came back on an empty disk */
    assert_int_equal(fake->results, 0);
    assert_int_equal(fake->call_count, 3);
    const Narthex__PushRequest *again = fake->calls[2].request;
    assert_true(again->incarnation == 777);
    assert_int_equal(again->n_labels, 1);
    assert_true(again->labels[0].len > 0);
    assert_int_equal(again->n_timestamps, 1);
    assert_true(again->timestamps[0] == INT64_C(1699999999001));
    assert_memory_equal(again->series_ids.data, fake->calls[1].request->series_ids.data + 16, 16);
    answer_ok(fake, 2);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_unknown_twice_fails_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 1);
    answer_unknown(fake, 0, 100, 0);
    answer_unknown(fake, 1, 100, 0);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "series unknown"));
    fake_free(fake);
}

static void push_unknown_after_the_answer_is_still_resent(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 1);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 1);
    answer_unknown(fake, 2, 5, 0);
    assert_int_equal(fake->call_count, 4);
    answer_ok(fake, 3);
    assert_int_equal(fake->results, 1);
    fake_free(fake);
}

static void push_tight_budget_gives_the_batch_back_at_the_answer(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->budget.max_bytes = 1500; /* 1000 are charged: more than half */
    push_series(fake, 1);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 1);
    assert_int_equal(atomic_load(&fake->budget.used_bytes), 0);
    assert_int_equal(fake->pushes, 1);
    answer_unknown(fake, 2, 5, 0); /* too late: it has missed the row */
    assert_int_equal(fake->call_count, 3);
    assert_int_equal(fake->pushes, 0);
    fake_free(fake);
}

static void push_slow_owner_is_skipped_when_too_much_waits(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->settings.max_inflight_bytes = 300; /* half of it for one ingester */
    push_series(fake, 1);
    assert_int_equal(fake->call_count, 3);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    push_series(fake, 1);
    size_t before = fake->call_count;
    push_series(fake, 1);
    assert_true(before <= 6);
    size_t to_slow = 0;
    for (size_t i = 0; i < fake->call_count; i++)
        to_slow += strcmp(fake->calls[i].address, fake->calls[2].address) == 0;
    assert_true(to_slow < 3);
    answer_all(fake);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_time_left_goes_down_with_the_resend(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 1);
    assert_int_equal(fake->calls[0].timeout_ms, 10000);
    nx_clock_manual_advance(&fake->clock, 9000);
    answer_unknown(fake, 0, 1, 0);
    assert_int_equal(fake->calls[1].timeout_ms, 1000);
    answer_error(fake, 1, NX_ERR_TIMEOUT, "timed out");
    assert_int_equal(fake->err, NX_ERR_TIMEOUT);
    push_series(fake, 1);
    nx_clock_manual_advance(&fake->clock, 10001);
    answer_unknown(fake, 2, 1, 0); /* nothing left: no second call */
    assert_int_equal(fake->call_count, 3);
    assert_int_equal(fake->err, NX_ERR_TIMEOUT);
    fake_free(fake);
}

static void push_without_rows_is_stored(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    struct nx_buf message;
    nx_buf_init(&message, SIZE_MAX);
    test_put_bytes(&message, 20, "x", 1);
    push_message(fake, &message);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    assert_int_equal(fake->call_count, 0);
    fake_free(fake);
}

static void push_metadata_alone_goes_to_a_majority(void **state)
{
    (void)state;
    struct fake *fake = fake_new(5, 3);
    struct nx_buf message, metadata;
    nx_buf_init(&message, SIZE_MAX);
    nx_buf_init(&metadata, SIZE_MAX);
    test_put_bytes(&metadata, 2, "up", 2);
    test_put_message(&message, 3, &metadata);
    push_message(fake, &message);
    assert_int_equal(fake->call_count, 3);
    assert_int_equal(fake->calls[0].request->n_metadata, 1);
    assert_int_equal(fake->calls[0].request->series_ids.len, 0);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    answer_ok(fake, 2);
    fake_free(fake);
}

static void push_out_of_memory_anywhere_answers_once_and_leaks_nothing(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct fake *fake = fake_new(3, 3);
        struct nx_buf message;
        nx_buf_init(&message, SIZE_MAX);
        put_series(&message, "m0", 1);
        put_series(&message, "m1", 2);
        struct dist_batch *batch = dist_pusher_take_batch(fake->pusher);
        struct dist_refusals refusals = {.samples = 0};
        struct dist_resolver resolver = {
            .limits = &fake->limits, .tenant = NX_VIEW("t"), .now_ms = 1000};
        batch->body = nx_buf_take(&message, &batch->body_len);
        assert_int_equal(test_decode(nx_view_make(batch->body, batch->body_len), batch, NULL),
                         NX_OK);
        assert_int_equal(dist_resolve(&resolver, batch, &refusals, NULL), NX_OK);
        struct dist_push_request request = {
            .batch = batch, .tenant = resolver.tenant, .done = on_result, .user = fake};
        test_fail_allocation(n);
        dist_push_start(fake->pusher, &request);
        for (size_t i = 0; i < fake->call_count; i++)
            if (!fake->calls[i].answered)
                answer_unknown(fake, i, 5, 0);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        answer_all(fake);
        assert_int_equal(fake->results, 1);
        if (!failed)
            assert_int_equal(fake->err, NX_ERR_UNAVAILABLE); /* unknown twice */
        fake_free(fake);
    }
}

/* Many concurrent pushes, answered in random order and ways: each is answered once, and everything
 * comes back. */
static void push_random_answers_always_end(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 21);
    for (size_t round = 0; round < 300; round++) {
        struct fake *fake = fake_new((uint32_t)(1 + nx_rand_below(&rand, 5)), 3);
        for (size_t m = 0; m < fake->view.member_count; m++)
            fake->members[m].healthy = nx_rand_below(&rand, 6) != 0;
        size_t answers = 0;
        for (size_t p = 0; p < 4; p++) {
            push_series(fake, 1 + nx_rand_below(&rand, 4));
            answers += fake->results;
        }
        fake->results = 0;
        for (bool open = true; open;) {
            open = false;
            for (size_t i = 0; i < fake->call_count; i++) {
                if (fake->calls[i].answered)
                    continue;
                open = true;
                if (nx_rand_below(&rand, 2))
                    continue;
                switch (nx_rand_below(&rand, 7)) {
                case 0:
                    answer_error(fake, i, NX_ERR_TIMEOUT, "slow");
                    break;
                case 1:
                    answer_unknown(fake, i, 5, 0);
                    break;
                case 2:
                    answer_refused(fake, i, 0, NX_ERR_CONFLICT, "");
                    break;
                case 3:
                    answer_error(fake, i, NX_ERR_METHOD, "older");
                    break;
                case 4:
                    if (fake->calls[i].request->want_numbers)
                        answer_numbers(fake, i, nx_number_of(1, 3));
                    break;
                default:
                    answer_ok(fake, i);
                    break;
                }
            }
        }
        assert_int_equal(answers + fake->results, 4);
        fake_free(fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_majority_answers_before_the_third),
        cmocka_unit_test(push_carries_what_was_written),
        cmocka_unit_test(push_rows_go_to_their_owners),
        cmocka_unit_test(push_labels_are_sent_until_confirmed),
        cmocka_unit_test(push_new_series_among_known_ones_brings_its_labels),
        cmocka_unit_test(push_never_heard_incarnation_gets_labels),
        cmocka_unit_test(push_unknown_rows_are_sent_again_with_labels),
        cmocka_unit_test(push_unknown_twice_fails_that_owner),
        cmocka_unit_test(push_unknown_after_the_answer_is_still_resent),
        cmocka_unit_test(push_tight_budget_gives_the_batch_back_at_the_answer),
        cmocka_unit_test(push_slow_owner_is_skipped_when_too_much_waits),
        cmocka_unit_test(push_time_left_goes_down_with_the_resend),
        cmocka_unit_test(push_without_rows_is_stored),
        cmocka_unit_test(push_metadata_alone_goes_to_a_majority),
        cmocka_unit_test(push_out_of_memory_anywhere_answers_once_and_leaks_nothing),
        cmocka_unit_test(push_random_answers_always_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
