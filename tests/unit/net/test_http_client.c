/* Calls and their answers, good and bad. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "http_client_fixture.h"

static void call_get_gives_status_body_and_headers(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_echo, NULL);
    struct outcome o = {.f = &f};
    const char *const headers[] = {"X-Mine: 1", NULL};
    struct nx_http_call_options options = call_options(&o);
    options.headers = headers;
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(o.status, 200);
    assert_string_equal(o.header, "yes");
    assert_non_null(strstr(o.body, "GET /x HTTP/1.1\r\n"));
    assert_non_null(strstr(o.body, "\r\nX-Mine: 1\r\n"));
    assert_null(strstr(o.body, "Content-Type"));
    client_finish(&f);
    assert_int_equal(o.times, 1);
}

static void call_post_sends_body_without_expect(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_echo, NULL);
    struct outcome o[3] = {{.f = &f}, {.f = &f}, {.f = &f}};
    struct nx_buf body;
    nx_buf_init(&body, 100000);
    for (int i = 0; i < 3000; i++) {
        nx_buf_append_char(&body, 'b');
    }
    struct nx_http_call_options options = call_options(&o[0]);
    options.method = "POST";
    options.body = &body;
    send_call(&o[0], &options);
    assert_null(body.data);
    options = call_options(&o[1]);
    options.method = "PUT";
    options.shared_body = NX_VIEW("shared");
    const char *const headers[] = {"content-type: text/plain", NULL};
    options.headers = headers;
    send_call(&o[1], &options);
    options = call_options(&o[2]);
    options.method = "DELETE";
    send_call(&o[2], &options);
    client_wait(&f, 3);
    assert_non_null(strstr(o[0].body, "POST /x HTTP/1.1"));
    assert_non_null(strstr(o[0].body, "Content-Length: 3000\r\n"));
    assert_non_null(strstr(o[0].body, "bbbbbbbbbbbb"));
    assert_null(strstr(o[0].body, "Expect"));
    assert_null(strstr(o[0].body, "Content-Type"));
    assert_non_null(strstr(o[1].body, "PUT /x HTTP/1.1"));
    assert_non_null(strstr(o[1].body, "content-type: text/plain\r\n"));
    assert_non_null(strstr(o[1].body, "\r\n\r\nshared"));
    assert_non_null(strstr(o[2].body, "DELETE /x HTTP/1.1"));
    client_finish(&f);
}

static void call_post_with_large_body_arrives_whole(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_text, "HTTP/1.1 204 No Content\r\n\r\n");
    /* `serve_text` reads 8 KiB at most, so this server breaks off: the client must report, not
     * hang. */
    struct outcome o = {.f = &f};
    char *big = calloc(1, 8 << 20);
    struct nx_http_call_options options = call_options(&o);
    options.method = "POST";
    options.shared_body = nx_view_make(big, 8 << 20);
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_true(o.err == NX_ERR_UNAVAILABLE || o.status == 204);
    free(big);
    client_finish(&f);
}

static void answers_of_one_server_reuse_the_connection(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_echo, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    for (size_t i = 1; i <= 50; i++) {
        send_call(&o, &options);
        client_wait(&f, i);
        assert_int_equal(o.err, NX_OK);
    }
    assert_int_equal(scripted_server_connections(f.server), 1);
    client_finish(&f);
}

static void one_request_each(int fd, int nth, void *user)
{
    char request[8192];
    (void)nth;
    (void)user;
    if (scripted_read_request(fd, request, sizeof(request))) {
        scripted_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}

static void connection_closed_while_idle_is_replaced(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, one_request_each, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    for (size_t i = 1; i <= 20; i++) {
        send_call(&o, &options);
        client_wait(&f, i);
        assert_string_equal(o.error, "");
        assert_string_equal(o.body, "ok");
        if (i % 2) {
            usleep(2000);
        }
    }
    client_finish(&f);
}

static void calls_many_at_once_all_end_once(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_echo, NULL);
    static struct outcome o[200];
    for (size_t i = 0; i < 200; i++) {
        o[i] = (struct outcome){.f = &f};
        struct nx_http_call_options options = call_options(&o[i]);
        send_call(&o[i], &options);
    }
    client_wait(&f, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(o[i].times, 1);
        assert_int_equal(o[i].err, NX_OK);
    }
    client_finish(&f);
}

static void send_from_done(void *user, const struct nx_http_response *response)
{
    struct outcome *o = user;
    assert_int_equal(response->err, NX_OK);
    o->f->done++;
    if (++o->times < 10) {
        struct nx_http_call_options options = call_options(o);
        options.done = send_from_done;
        assert_int_equal(nx_http_client_send(o->f->client, &options, NULL), NX_OK);
    }
}

static void send_from_done_works(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_echo, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    options.done = send_from_done;
    assert_int_equal(nx_http_client_send(f.client, &options, NULL), NX_OK);
    client_wait(&f, 10);
    assert_int_equal(scripted_server_connections(f.server), 1);
    client_finish(&f);
}

/* --- failures ----------------------------------------------------------------------------------
 */

static void connection_refused_is_unavailable(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, NULL, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_int_equal(o.err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(o.error, "Failed to connect"));
    client_finish(&f);
}

/* The name has an address on which nobody listens before or after the one with the server. */
static void name_with_a_dead_address_reaches_the_other(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_echo, NULL);
    (void)snprintf(f.url, sizeof(f.url), "http://localhost:%u/x", scripted_server_port(f.server));
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    for (size_t i = 1; i <= 20; i++) {
        send_call(&o, &options);
        client_wait(&f, i);
        assert_string_equal(o.error, "");
    }
    client_finish(&f);
}

static void name_unknown_is_unavailable(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, NULL, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    options.url = "http://no-such-host.invalid:1/";
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_true(o.err == NX_ERR_UNAVAILABLE || o.err == NX_ERR_TIMEOUT);
    client_finish(&f);
}

static void url_bad_ends_in_invalid(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, NULL, NULL);
    const char *const urls[] = {"http://", "ftp://127.0.0.1/x", "http://[::1/",
                                "file:///etc/passwd"};
    for (size_t i = 0; i < 4; i++) {
        struct outcome o = {.f = &f};
        struct nx_http_call_options options = call_options(&o);
        options.url = urls[i];
        enum nx_err err = nx_http_client_send(f.client, &options, NULL);
        if (err == NX_OK) {
            client_wait(&f, f.done + 1);
            err = o.err;
        }
        assert_int_equal(err, NX_ERR_INVALID);
    }
    client_finish(&f);
}

static void server_silent_times_out(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_silence, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    options.timeout_ms = 50;
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_int_equal(o.err, NX_ERR_TIMEOUT);
    client_finish(&f);
}

static void server_stopping_half_way_times_out(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_half, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    options.timeout_ms = 100;
    options.on_data = on_data;
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_int_equal(o.err, NX_ERR_TIMEOUT);
    assert_int_equal(o.streamed, 4);
    client_finish(&f);
}

static void answers_broken_in_any_way_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum nx_err err;
    } cases[] = {
        {"", NX_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", NX_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", NX_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n", NX_ERR_UNAVAILABLE},
        {"garbage, not HTTP at all\r\n\r\n", NX_ERR_INVALID},
        {"HTTP/1.1 200 OK\r\nContent-Le", NX_ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        client_start(&f, serve_text, (void *)(uintptr_t)cases[i].answer);
        struct outcome o = {.f = &f};
        struct nx_http_call_options options = call_options(&o);
        send_call(&o, &options);
        client_wait(&f, 1);
        assert_true(o.err != NX_OK || o.body_len == 0);
        assert_int_equal(o.times, 1);
        if (cases[i].err == NX_ERR_UNAVAILABLE && i != 5) {
            assert_int_equal(o.err, NX_ERR_UNAVAILABLE);
        }
        client_finish(&f);
    }
}

static void answer_beyond_cap_is_too_large(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, serve_big_stream, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = call_options(&o);
    options.max_body_bytes = 100000;
    send_call(&o, &options);
    client_wait(&f, 1);
    assert_int_equal(o.err, NX_ERR_TOO_LARGE);
    client_finish(&f);
}

/* --- streaming ---------------------------------------------------------------------------------
 */

static bool fail_countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    long *left = user;
    return (*left)-- != 0;
}

static void allocation_failing_anywhere_ends_every_call(void **state)
{
    (void)state;
    for (long n = 0; n < 12; n++) {
        struct fixture f;
        client_start(&f, serve_echo, NULL);
        struct outcome o = {.f = &f};
        struct nx_http_call_options options = call_options(&o);
        options.timeout_ms = 500;
        long left = n;
        nx_alloc_set_hook(fail_countdown, &left);
        enum nx_err err = nx_http_client_send(f.client, &options, NULL);
        if (err == NX_OK) {
            client_wait(&f, 1);
            err = o.err;
        }
        nx_alloc_set_hook(NULL, NULL);
        assert_true(err == NX_OK || left < 0);
        assert_true(err == NX_OK || err == NX_ERR_NOMEM || err == NX_ERR_UNAVAILABLE);
        client_finish(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_get_gives_status_body_and_headers),
        cmocka_unit_test(call_post_sends_body_without_expect),
        cmocka_unit_test(call_post_with_large_body_arrives_whole),
        cmocka_unit_test(answers_of_one_server_reuse_the_connection),
        cmocka_unit_test(connection_closed_while_idle_is_replaced),
        cmocka_unit_test(calls_many_at_once_all_end_once),
        cmocka_unit_test(send_from_done_works),
        cmocka_unit_test(connection_refused_is_unavailable),
        cmocka_unit_test(name_with_a_dead_address_reaches_the_other),
        cmocka_unit_test(name_unknown_is_unavailable),
        cmocka_unit_test(url_bad_ends_in_invalid),
        cmocka_unit_test(server_silent_times_out),
        cmocka_unit_test(server_stopping_half_way_times_out),
        cmocka_unit_test(answers_broken_in_any_way_are_errors),
        cmocka_unit_test(answer_beyond_cap_is_too_large),
        cmocka_unit_test(allocation_failing_anywhere_ends_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
