/* Answers that come in pieces, and calls that are cancelled or closed. */
#include <unistd.h>

#include "common/base/rand.h"
#include "http_client_fixture.h"

static void stream_arrives_in_pieces(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_big_stream, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    options.on_data = on_data;
    options.max_body_bytes = 10;
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(o.streamed, 4 << 20);
    assert_true(o.pieces > 1);
    assert_int_equal(o.body_len, 0);
    client_finish(&f);
}

static void stream_refused_status_goes_to_body(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_text, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(o.status, 503);
    assert_int_equal(o.pieces, 0);
    assert_string_equal(o.body, "busy");
    client_finish(&f);
}

static void stream_error_of_the_taker_ends_the_call(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_big_stream, NULL);
    struct outcome o = {.f = &f, .refuse = NX_ERR_LIMIT, .refuse_after = 200000};
    struct nx_http_call_options options = call_options(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_int_equal(o.err, NX_ERR_LIMIT);
    assert_string_equal(o.error, nx_err_text(NX_ERR_LIMIT));
    assert_true(o.streamed < 400000);
    client_finish(&f);
}

static void stream_canceled_from_its_own_data_ends_once(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_big_stream, NULL);
    struct outcome o = {.f = &f, .cancel_in_data = true};
    struct nx_http_call_options options = call_options(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    client_wait(&f, 1);
    client_turn(&f, 20);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    assert_int_equal(o.pieces, 1);
    assert_int_equal(o.times, 1);
    client_finish(&f);
}

static void stream_paused_waits_until_resumed(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_big_stream, NULL);
    struct outcome o = {.f = &f, .pause_in_data = true};
    struct nx_http_call_options options = call_options(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    while (o.times == 0) {
        size_t before = o.pieces;
        client_turn(&f, 2);
        assert_true(o.pieces <= before + 2);
        if (o.times == 0) {
            nx_http_call_pause(o.call, false);
        }
    }
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(o.streamed, 4 << 20);
    client_finish(&f);
}

static void stream_paused_still_times_out_and_cancels(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_big_stream, NULL);
    struct outcome o = {.f = &f, .pause_in_data = true};
    struct nx_http_call_options options = call_options(&o);
    options.on_data = on_data;
    options.timeout_ms = 50;
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_int_equal(o.err, NX_ERR_TIMEOUT);
    o.times = 0;
    options.timeout_ms = 5000;
    send_call(&o, &options);
    client_turn(&f, 20);
    nx_http_call_cancel(o.call);
    client_wait(&f, 2);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    client_finish(&f);
}

static void send_from_data_works(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_big_stream, NULL);
    struct outcome other = {.f = &f};
    struct outcome o = {.f = &f, .send_in_data = true, .other = &other};
    struct nx_http_call_options options = call_options(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    client_wait(&f, 2);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(other.err, NX_ERR_TOO_LARGE);
    client_finish(&f);
}

/* --- cancel and close --------------------------------------------------------------------------
 */

static void cancel_right_after_send_ends_once(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_echo, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    send_call(&o, &options);
    nx_http_call_cancel(o.call);
    nx_http_call_cancel(o.call);
    assert_int_equal(o.times, 0);
    client_wait(&f, 1);
    client_turn(&f, 20);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    assert_int_equal(o.times, 1);
    client_finish(&f);
}

static void cancel_at_any_moment_ends_once(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_echo, NULL);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 9);
    size_t canceled = 0;
    for (size_t round = 1; round <= 300; round++) {
        struct outcome o = {.f = &f};
        struct nx_http_call_options options = call_options(&o);
        send_call(&o, &options);
        for (size_t turns = nx_rand_below(&rand, 12); turns > 0 && o.times == 0; turns--) {
            uv_run(nx_worker_loop(f.worker), UV_RUN_NOWAIT);
        }
        if (o.times == 0) {
            nx_http_call_cancel(o.call);
            canceled++;
        }
        client_wait(&f, round);
        assert_int_equal(o.times, 1);
        assert_true(o.err == NX_OK || o.err == NX_ERR_CANCELED);
    }
    assert_true(canceled > 10);
    client_finish(&f);
}

static void close_cancels_what_is_in_flight(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_silence, NULL);
    struct outcome o[5];
    for (size_t i = 0; i < 5; i++) {
        o[i] = (struct outcome){.f = &f};
        struct nx_http_call_options options = call_options(&o[i]);
        send_call(&o[i], &options);
    }
    client_turn(&f, 20);
    nx_http_client_close(f.client, on_closed, &f);
    assert_int_equal(f.done, 0);
    assert_false(f.closed);
    struct outcome late = {.f = &f};
    struct nx_http_call_options options = call_options(&late);
    assert_int_equal(nx_http_client_send(f.client, &options, NULL), NX_ERR_CLOSED);
    while (!f.closed) {
        run_once(&f);
    }
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(o[i].times, 1);
        assert_int_equal(o[i].err, NX_ERR_CANCELED);
    }
    f.client = NULL;
    client_finish(&f);
}

static void close_from_done(void *user, const struct nx_http_response *response)
{
    struct outcome *o = user;
    assert_int_equal(response->err, NX_OK);
    nx_http_client_close(o->f->client, on_closed, o->f);
    o->f->client = NULL;
}

static void close_from_done_works(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_echo, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    options.done = close_from_done;
    assert_int_equal(nx_http_client_send(f.client, &options, NULL), NX_OK);
    while (!f.closed) {
        run_once(&f);
    }
    client_finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_arrives_in_pieces),
        cmocka_unit_test(stream_refused_status_goes_to_body),
        cmocka_unit_test(stream_error_of_the_taker_ends_the_call),
        cmocka_unit_test(stream_canceled_from_its_own_data_ends_once),
        cmocka_unit_test(stream_paused_waits_until_resumed),
        cmocka_unit_test(stream_paused_still_times_out_and_cancels),
        cmocka_unit_test(send_from_data_works),
        cmocka_unit_test(cancel_right_after_send_ends_once),
        cmocka_unit_test(cancel_at_any_moment_ends_once),
        cmocka_unit_test(close_cancels_what_is_in_flight),
        cmocka_unit_test(close_from_done_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
