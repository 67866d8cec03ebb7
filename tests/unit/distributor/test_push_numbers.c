/* Rows that go by the numbers which ingesters gave their series. */
#include <stdio.h>

#include "common/chunk/sample.h"
#include "push_fixture.h"

/* --- rows by number --- */

static struct nx_series_id id_of(size_t i)
{
    char name[24];
    (void)snprintf(name, sizeof name, "m%zu", i);
    struct nx_label labels[] = {{NX_VIEW("__name__"), nx_view_of(name)},
                                {NX_VIEW("job"), NX_VIEW("test")}};
    return nx_series_id_of(NX_VIEW("anonymous"), (struct nx_labels){.items = labels, .count = 2});
}

/* The rows by number of a call, in memory of the arena. */
static struct nx_push_columns columns_of(const struct fake_call *call, struct nx_arena *arena)
{
    struct nx_push_columns columns;
    nx_arena_init(arena, 0);
    struct nx_view bytes = nx_view_make(call->request->numbered.data, call->request->numbered.len);
    assert_int_equal(nx_push_columns_read(bytes, arena, &columns), NX_OK);
    return columns;
}

static void push_goes_by_number_once_one_was_given(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 100);
    answer_numbers(fake, 0, nx_number_of(2, 7));
    push_series(fake, 100);
    const struct fake_call *call = &fake->calls[1];
    assert_int_equal(call->request->series_ids.len, 0);
    assert_int_equal(call->request->n_timestamps, 0);
    assert_false(call->request->want_numbers);
    assert_in_range(call->bytes, 100, 100 * 8);
    struct nx_arena arena;
    struct nx_push_columns columns = columns_of(call, &arena);
    assert_int_equal(columns.rows, 100);
    assert_int_equal(nx_push_samples(&columns), 100);
    uint64_t check = 0;
    for (size_t i = 0, bunch = 0; i < 100; i++) {
        assert_int_equal(columns.numbers[i], nx_number_of(2, (uint32_t)(7 + i)));
        assert_true(columns.times[i] == INT64_C(1699999999000) + (int64_t)i);
        assert_true(columns.bits[i] == nx_double_bits(1.5));
        check = nx_push_check(check, id_of(i));
        if (i + 1 < columns.ends[bunch])
            continue;
        assert_true(columns.checks[bunch++] == check);
        check = 0;
    }
    nx_arena_release(&arena);
    answer_ok(fake, 1);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_unknown_number_goes_by_id_and_then_with_labels(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 3);
    answer_numbers(fake, 0, nx_number_of(0, 0));
    push_series(fake, 3);
    assert_true(fake->calls[1].numbered);
    answer_unknown(fake, 1, 100, 1); /* the number is another series' by now */
    assert_int_equal(fake->results, 0);
    const Narthex__PushRequest *by_id = fake->calls[2].request;
    assert_false(fake->calls[2].numbered);
    assert_int_equal(by_id->series_ids.len, 16);
    assert_int_equal(by_id->n_labels, 0);
    assert_true(by_id->want_numbers);
    assert_true(by_id->timestamps[0] == INT64_C(1699999999001));
    answer_unknown(fake, 2, 100, 0); /* and it was dropped */
    const Narthex__PushRequest *with_labels = fake->calls[3].request;
    assert_int_equal(with_labels->n_labels, 1);
    assert_true(with_labels->labels[0].len > 0);
    assert_memory_equal(with_labels->series_ids.data, by_id->series_ids.data, 16);
    answer_numbers(fake, 3, nx_number_of(0, 9));
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    push_series(fake, 3);
    struct nx_arena arena;
    struct nx_push_columns columns = columns_of(&fake->calls[4], &arena);
    assert_int_equal(columns.rows, 3);
    assert_int_equal(columns.numbers[0], nx_number_of(0, 0));
    assert_int_equal(columns.numbers[1], nx_number_of(0, 9));
    assert_int_equal(columns.numbers[2], nx_number_of(0, 2));
    nx_arena_release(&arena);
    answer_ok(fake, 4);
    fake_free(fake);
}

static void push_number_of_a_wiped_ingester_brings_labels_at_once(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 1);
    answer_numbers(fake, 0, 5);
    push_series(fake, 1);
    answer_unknown(fake, 1, 777, 0); /* the ring has not heard of it yet */
    assert_int_equal(fake->call_count, 3);
    assert_true(fake->calls[2].request->incarnation == 777);
    assert_true(fake->calls[2].request->n_labels == 1 && fake->calls[2].request->labels[0].len > 0);
    answer_numbers(fake, 2, 1);
    assert_int_equal(fake->err, NX_OK);
    fake->members[0].incarnation = 777;
    fake->view.version++;
    push_series(fake, 1);
    struct nx_arena arena;
    assert_int_equal(columns_of(&fake->calls[3], &arena).numbers[0], 1);
    nx_arena_release(&arena);
    answer_ok(fake, 3);
    fake_free(fake);
}

static void push_unknown_in_every_form_fails_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 1);
    answer_numbers(fake, 0, 5);
    push_series(fake, 1);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(fake->results, 0);
        answer_unknown(fake, i, 100, 0);
    }
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->call_count, 4);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    fake_free(fake);
}

static void push_to_an_ingester_of_an_older_release_goes_by_id(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 2);
    answer_numbers(fake, 0, 5);
    push_series(fake, 3); /* one of them new */
    assert_true(fake->calls[1].numbered);
    assert_int_equal(fake->calls[1].request->series_ids.len, 16);
    answer_error(fake, 1, NX_ERR_METHOD, "no such method"); /* it was rolled back */
    assert_int_equal(fake->results, 0);
    assert_int_equal(fake->reports, 0);
    assert_false(fake->calls[2].numbered);
    assert_int_equal(fake->calls[2].request->series_ids.len, 48);
    assert_int_equal(fake->calls[2].request->n_timestamps, 3);
    answer_ok(fake, 2);
    assert_int_equal(fake->err, NX_OK);
    push_series(fake, 3);
    assert_false(fake->calls[3].numbered);
    assert_int_equal(fake->calls[3].request->n_labels, 0);
    answer_ok(fake, 3);
    fake_free(fake);
}

static void push_numbers_are_each_ingesters_own(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 2);
    for (uint32_t i = 0; i < 3; i++)
        answer_numbers(fake, i, nx_number_of(i, 10 * (i + 1)));
    push_series(fake, 2);
    for (size_t i = 3; i < 6; i++) {
        const struct fake_call *call = &fake->calls[i];
        uint32_t m = (uint32_t)(call->address[4] - '0');
        struct nx_arena arena;
        size_t first = 0;
        while (strcmp(fake->calls[first].address, call->address) != 0)
            first++;
        struct nx_push_columns columns = columns_of(call, &arena);
        assert_int_equal(columns.rows, 2);
        assert_in_range(m, 0, 2);
        assert_int_equal(columns.numbers[0],
                         nx_number_of((uint32_t)first, 10 * ((uint32_t)first + 1)));
        nx_arena_release(&arena);
    }
    answer_all(fake);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_rows_by_number_are_gathered_by_shard(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 6);
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    uint32_t numbers[] = {nx_number_of(1, 4), nx_number_of(0, 8), 0,
                          nx_number_of(1, 2), nx_number_of(0, 9), nx_number_of(1, 5)};
    response.incarnation = 100;
    response.numbers = numbers;
    response.n_numbers = 6;
    answer_with(fake, 0, &response);
    push_series(fake, 6);
    const Narthex__PushRequest *request = fake->calls[1].request;
    static const size_t order[] = {1, 4, 0, 3, 5};
    struct nx_arena arena;
    struct nx_push_columns columns = columns_of(&fake->calls[1], &arena);
    assert_int_equal(columns.rows, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(columns.numbers[i], numbers[order[i]]);
        assert_true(columns.times[i] == INT64_C(1699999999000) + (int64_t)order[i]);
    }
    nx_arena_release(&arena);
    assert_int_equal(request->series_ids.len, 16); /* the one without a number */
    assert_true(request->want_numbers && request->timestamps[0] == INT64_C(1699999999002));
    answer_refused(fake, 1, 3, NX_ERR_CONFLICT, ""); /* row 3: the third by number */
    assert_non_null(strstr(fake->refused_text, "m0{"));
    fake_free(fake);
}

static void push_series_with_exemplars_go_by_id(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    for (size_t i = 0; i < 2; i++) {
        struct nx_buf message, series, exemplar;
        nx_buf_init(&message, SIZE_MAX);
        nx_buf_init(&series, SIZE_MAX);
        nx_buf_init(&exemplar, SIZE_MAX);
        put_series(&message, "m0", 5 + (int64_t)i);
        test_put_label(&series, "__name__", "m1");
        test_put_sample(&series, 6 + (int64_t)i, 2.5);
        test_put_double(&exemplar, 2, 1);
        test_put_varint(&exemplar, 3, 5 + i);
        test_put_message(&series, 3, &exemplar);
        test_put_message(&message, 1, &series);
        push_message(fake, &message);
        if (i == 0)
            answer_numbers(fake, 0, 5);
    }
    const Narthex__PushRequest *request = fake->calls[1].request;
    assert_true(fake->calls[1].numbered);
    assert_int_equal(request->series_ids.len, 16);
    assert_int_equal(request->n_labels, 0);
    assert_int_equal(request->n_exemplars, 1);
    assert_int_equal(request->exemplars[0]->series, 0);
    assert_true(request->timestamps[0] == 7);
    answer_ok(fake, 1);
    fake_free(fake);
}

static void push_answer_with_too_few_numbers_fails_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 2);
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    uint32_t number = 5;
    response.numbers = &number;
    response.n_numbers = 1;
    answer_with(fake, 0, &response);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    fake_free(fake);
}

static void push_by_number_out_of_memory_answers_once(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct fake *fake = fake_new(1, 1);
        push_series(fake, 4);
        answer_numbers(fake, 0, 5);
        struct nx_buf message;
        nx_buf_init(&message, SIZE_MAX);
        for (int i = 0; i < 4; i++) {
            char name[8];
            (void)snprintf(name, sizeof name, "m%d", i);
            put_series(&message, name, 7);
        }
        struct dist_batch *batch = dist_pusher_take_batch(fake->pusher);
        struct dist_refusals refusals = {.samples = 0};
        struct dist_resolver resolver = {.limits = &fake->limits,
                                         .cache = fake->cache,
                                         .tenant = NX_VIEW("anonymous"),
                                         .now_ms = 1000};
        batch->body = nx_buf_take(&message, &batch->body_len);
        assert_int_equal(test_decode(nx_view_make(batch->body, batch->body_len), batch, NULL),
                         NX_OK);
        assert_int_equal(dist_resolve(&resolver, batch, &refusals, NULL), NX_OK);
        struct dist_push_request request = {
            .batch = batch, .tenant = resolver.tenant, .done = on_result, .user = fake};
        fake->results = 0;
        test_fail_allocation(n);
        dist_push_start(fake->pusher, &request);
        for (size_t i = 1; i < fake->call_count; i++)
            if (!fake->calls[i].answered)
                answer_unknown(fake, i, 100, 0);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        answer_all(fake);
        assert_int_equal(fake->results, 1);
        fake_free(fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_goes_by_number_once_one_was_given),
        cmocka_unit_test(push_unknown_number_goes_by_id_and_then_with_labels),
        cmocka_unit_test(push_number_of_a_wiped_ingester_brings_labels_at_once),
        cmocka_unit_test(push_unknown_in_every_form_fails_that_owner),
        cmocka_unit_test(push_to_an_ingester_of_an_older_release_goes_by_id),
        cmocka_unit_test(push_numbers_are_each_ingesters_own),
        cmocka_unit_test(push_rows_by_number_are_gathered_by_shard),
        cmocka_unit_test(push_series_with_exemplars_go_by_id),
        cmocka_unit_test(push_answer_with_too_few_numbers_fails_that_owner),
        cmocka_unit_test(push_by_number_out_of_memory_answers_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
