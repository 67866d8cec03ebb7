/* Calls whose answer is a stream; over HTTP and within the process. */
#include "rpc_fixture.h"

/* --- streams -----------------------------------------------------------------------------------
 */

static void stream_arrives_in_order_without_running_ahead(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {
        .p = &p, .method = "stream", .body_text = "3000 8192 0", .streamed = true, .slow = true};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(atomic_load(&o.frames), 3000);
    assert_false(o.out_of_order);
    assert_true(atomic_load(&p.refused_frames) > 0);
    /* The high-water mark; over HTTP the sockets' buffers come on top. */
    assert_true(atomic_load(&p.most_ahead) < (local ? 1100000 : 20000000));
    process_finish(&p);
}

BOTH(stream_arrives_in_order_without_running_ahead)

static void stream_of_nothing_ends_well(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p, .method = "stream", .body_text = "0 0 0", .streamed = true};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(atomic_load(&o.frames), 0);
    process_finish(&p);
}

BOTH(stream_of_nothing_ends_well)

static void stream_failing_anywhere_carries_code_and_text(bool local)
{
    struct process p;
    process_start(&p, local);
    const char *const bodies[] = {"100 1000 1", "100 1000 2", "100 1000 50", "2000 10000 1999"};
    const unsigned frames[] = {0, 1, 49, 1998};
    for (size_t i = 0; i < 4; i++) {
        struct outcome o = {.p = &p, .method = "stream", .body_text = bodies[i], .streamed = true};
        call_and_wait(&o);
        assert_int_equal(o.err, NX_ERR_LIMIT);
        assert_string_equal(o.text, "the stream is over the limit");
        assert_int_equal(atomic_load(&o.frames), frames[i]);
    }
    process_finish(&p);
}

BOTH(stream_failing_anywhere_carries_code_and_text)

static void stream_refused_by_the_taker_stops_the_sender(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p,
                        .method = "stream",
                        .body_text = "4000000000 8192 0",
                        .streamed = true,
                        .refuse_at = 10};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_ERR_EXECUTION);
    assert_int_equal(atomic_load(&o.frames), 10);
    await_count(&p.cancels, 1);
    process_finish(&p);
    assert_int_equal(atomic_load(&o.times), 1);
}

BOTH(stream_refused_by_the_taker_stops_the_sender)

static void stream_canceled_from_its_frame_stops_the_sender(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p,
                        .method = "stream",
                        .body_text = "4000000000 8192 0",
                        .streamed = true,
                        .cancel_at = 10};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    await_count(&p.cancels, 1);
    process_finish(&p);
    assert_int_equal(atomic_load(&o.times), 1);
}

BOTH(stream_canceled_from_its_frame_stops_the_sender)

/* A sender without `cancel` that waits must be let run to its end: it would wait for ever. */
static void stream_canceled_frees_a_sender_that_only_waits(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p,
                        .method = "stream",
                        .body_text = "3000 65536 0 1",
                        .streamed = true,
                        .cancel_at = 3};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    process_finish(&p);
}

BOTH(stream_canceled_frees_a_sender_that_only_waits)

static void frame_beyond_limit_is_too_large(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p,
                        .method = "stream",
                        .body_text = "10 100000 0",
                        .streamed = true,
                        .max_frame_bytes = 50000};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_ERR_TOO_LARGE);
    process_finish(&p);
}

BOTH(frame_beyond_limit_is_too_large)

static void answer_of_the_other_kind_is_corrupt(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome unary = {.p = &p, .method = "stream", .body_text = "3 100 0"};
    call_and_wait(&unary);
    assert_int_equal(unary.err, NX_ERR_CORRUPT);
    struct outcome streamed = {.p = &p, .method = "echo", .body_text = "x", .streamed = true};
    call_and_wait(&streamed);
    assert_int_equal(streamed.err, NX_ERR_CORRUPT);
    process_finish(&p);
}

BOTH(answer_of_the_other_kind_is_corrupt)

int main(void)
{
#define PAIR(name) cmocka_unit_test(name##_over_http), cmocka_unit_test(name##_within_process)
    const struct CMUnitTest tests[] = {
        PAIR(stream_arrives_in_order_without_running_ahead),
        PAIR(stream_of_nothing_ends_well),
        PAIR(stream_failing_anywhere_carries_code_and_text),
        PAIR(stream_refused_by_the_taker_stops_the_sender),
        PAIR(stream_canceled_from_its_frame_stops_the_sender),
        PAIR(stream_canceled_frees_a_sender_that_only_waits),
        PAIR(frame_beyond_limit_is_too_large),
        PAIR(answer_of_the_other_kind_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
