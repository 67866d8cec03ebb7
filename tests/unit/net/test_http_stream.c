/* Streamed and compressed answers, clients that go away, and the graceful stop. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zlib.h>

#include "common/base/alloc.h"
#include "http_fixture.h"

#define HOST "Host: test\r\n"

/* A handler that streams numbered lines, stops when told to, and goes on when drained. */
struct streamer {
    struct nx_http_request *req;
    int next;
    int lines;
    size_t line_bytes;
    bool compress;
    bool abort;
    bool waiting;
    bool heeds_cancel;
    atomic_int stops;
    atomic_int drains;
    atomic_int cancels;
    atomic_int ends;
};

static void put_line(struct nx_buf *out, int number, size_t line_bytes)
{
    char dots[1000];
    if (line_bytes < 9 || line_bytes - 9 > sizeof(dots)) {
        abort();
    }
    memset(dots, '.', sizeof(dots));
    nx_buf_printf(out, "%08d", number);
    nx_buf_append(out, dots, line_bytes - 9);
    nx_buf_append_char(out, '\n');
}

static void stream_on(struct streamer *streamer)
{
    while (streamer->next < streamer->lines) {
        struct nx_buf piece;
        nx_buf_init(&piece, 1 << 24);
        put_line(&piece, streamer->next++, streamer->line_bytes);
        bool room = nx_http_stream_write(streamer->req, &piece);
        if (piece.data || piece.len) {
            abort();
        }
        if (!room) {
            atomic_fetch_add(&streamer->stops, 1);
            streamer->waiting = true;
            return;
        }
    }
    atomic_fetch_add(&streamer->ends, 1);
    if (streamer->abort) {
        nx_http_stream_abort(streamer->req);
    } else {
        nx_http_stream_end(streamer->req);
    }
}

static void on_drained(void *user)
{
    struct streamer *streamer = user;
    if (!streamer->waiting) {
        abort();
    }
    streamer->waiting = false;
    atomic_fetch_add(&streamer->drains, 1);
    stream_on(streamer);
}

static void on_cancel(void *user)
{
    struct streamer *streamer = user;
    atomic_fetch_add(&streamer->cancels, 1);
    if (streamer->heeds_cancel) {
        streamer->next = streamer->lines;
    }
}

static void stream(struct nx_http_request *req, void *user)
{
    struct streamer *streamer = user;
    streamer->req = req;
    streamer->next = 0;
    streamer->waiting = false;
    if (streamer->compress) {
        nx_http_response_compress(req);
    }
    nx_http_request_on_cancel(req, on_cancel, streamer);
    nx_http_response_header(req, "X-Stream", "yes\r\nX-Smuggled: no");
    nx_http_stream_begin(req, 200, "text/plain", on_drained, streamer);
    stream_on(streamer);
}

static void say_text(struct nx_http_request *req, void *user)
{
    nx_http_response_compress(req);
    nx_http_respond(req, 200, "text/plain", nx_view_of(user));
}

static void say_nothing(struct nx_http_request *req, void *user)
{
    (void)user;
    nx_http_response_compress(req);
    nx_http_respond(req, 204, NULL, NX_VIEW("not to be sent"));
}

static char long_text[100001];

static void start(struct fixture *fixture, struct streamer *streamer,
                  const struct nx_http_server_options *options)
{
    memset(long_text, 'l', sizeof(long_text) - 1);
    fixture_init(fixture, options, 1);
    fixture_route(fixture, NX_HTTP_GET, "/stream", stream, streamer);
    fixture_route(fixture, NX_HTTP_GET, "/text", say_text, long_text);
    fixture_route(fixture, NX_HTTP_GET, "/nothing", say_nothing, NULL);
    fixture_start(fixture);
}

static struct nx_buf expected_lines(const struct streamer *streamer)
{
    struct nx_buf expected;
    nx_buf_init(&expected, SIZE_MAX / 2);
    for (int i = 0; i < streamer->lines; i++) {
        put_line(&expected, i, streamer->line_bytes);
    }
    return expected;
}

static void stream_is_sent_in_chunks(void **state)
{
    (void)state;
    struct streamer streamer = {.lines = 100, .line_bytes = 50};
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start(&fixture, &streamer, NULL);
    struct nx_buf expected = expected_lines(&streamer);
    client_open(&client, &fixture);
    for (int i = 0; i < 3; i++) {
        client_text(&client, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
        client_read(&client, &answer, false);
        answer_expect(&answer, 200, NULL);
        answer_expect_header(&answer, "Transfer-Encoding", "chunked");
        answer_expect_header(&answer, "X-Stream", "yes  X-Smuggled: no");
        char value[16];
        assert_false(answer_header(&answer, "Content-Length", value, sizeof(value)));
        assert_int_equal(answer.body_len, expected.len);
        assert_memory_equal(answer.body, expected.data, expected.len);
        answer_release(&answer);
    }
    client_text(&client,
                "HEAD /stream HTTP/1.1\r\n" HOST "\r\nGET /nothing HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &answer, true);
    answer_expect(&answer, 200, NULL);
    answer_release(&answer);
    client_read(&client, &answer, false);
    assert_int_equal(answer.status, 204);
    char value[16];
    assert_false(answer_header(&answer, "Content-Length", value, sizeof(value)));
    assert_false(answer_header(&answer, "Transfer-Encoding", value, sizeof(value)));
    answer_release(&answer);
    streamer.lines = 0;
    client_text(&client, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, "");
    answer_release(&answer);
    nx_buf_release(&expected);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void stream_to_http_1_0_ends_with_the_connection(void **state)
{
    (void)state;
    struct streamer streamer = {.lines = 10, .line_bytes = 50};
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start(&fixture, &streamer, NULL);
    struct nx_buf expected = expected_lines(&streamer);
    client_open(&client, &fixture);
    client_text(&client, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, NULL);
    answer_expect_header(&answer, "Connection", "close");
    assert_int_equal(answer.body_len, expected.len);
    assert_memory_equal(answer.body, expected.data, expected.len);
    answer_release(&answer);
    nx_buf_release(&expected);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void stream_stops_at_high_water_until_drained(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.write_high_water_bytes = 200000};
    struct streamer streamer = {.lines = 20000, .line_bytes = 1000};
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start(&fixture, &streamer, &options);
    struct nx_buf expected = expected_lines(&streamer);
    client_open(&client, &fixture);
    client_text(&client, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    /* until the sockets' buffers are full and nothing moves any more */
    int drains = -1;
    for (int i = 0; i < 50 && atomic_load(&streamer.drains) != drains; i++) {
        drains = atomic_load(&streamer.drains);
        uv_sleep(200);
    }
    assert_int_equal(atomic_load(&streamer.stops), atomic_load(&streamer.drains) + 1);
    assert_int_equal(atomic_load(&streamer.ends), 0);
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, NULL);
    assert_int_equal(answer.body_len, expected.len);
    assert_memory_equal(answer.body, expected.data, expected.len);
    assert_int_equal(atomic_load(&streamer.stops), atomic_load(&streamer.drains));
    assert_int_equal(atomic_load(&streamer.ends), 1);
    assert_int_equal(atomic_load(&streamer.cancels), 0);
    answer_release(&answer);
    nx_buf_release(&expected);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void *read_on(void *arg)
{
    const struct client *client = arg;
    char *bytes = nx_alloc(1 << 20);
    while (recv(client->fd, bytes, 1 << 20, 0) > 0) {
    }
    nx_free(bytes);
    return NULL;
}

/* A client that takes everything at once never fills the socket: the stream must pause all the
 * same, or its worker would do nothing else and its memory would grow. */
static void stream_to_a_fast_client_leaves_the_worker_to_others(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.write_high_water_bytes = 100000};
    struct streamer streamer = {.lines = 100000000, .line_bytes = 1000, .heeds_cancel = true};
    struct fixture fixture;
    struct client fast;
    struct answer answer;
    pthread_t reader;
    start(&fixture, &streamer, &options);
    client_open(&fast, &fixture);
    client_text(&fast, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(pthread_create(&reader, NULL, read_on, &fast), 0);
    for (int i = 0; i < 20; i++) {
        exchange(&fixture, "GET /text HTTP/1.1\r\n" HOST "\r\n", &answer);
        answer_expect(&answer, 200, long_text);
        answer_release(&answer);
    }
    assert_true(atomic_load(&streamer.stops) > 0);
    shutdown(fast.fd, SHUT_RDWR);
    pthread_join(reader, NULL);
    client_close(&fast);
    fixture_await_metric(&fixture, "narthex_http_connections", 0);
    fixture_stop(&fixture, 1000);
}

/* The stream is second in line: what it writes waits in the server, within the same bound. */
static void stream_behind_another_answer_is_bounded_too(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.write_high_water_bytes = 200000};
    struct streamer first = {.lines = 5000, .line_bytes = 1000};
    struct streamer second = {.lines = 5000, .line_bytes = 1000};
    struct fixture fixture;
    struct client client;
    struct answer answer;
    fixture_init(&fixture, &options, 1);
    fixture_route(&fixture, NX_HTTP_GET, "/first", stream, &first);
    fixture_route(&fixture, NX_HTTP_GET, "/second", stream, &second);
    fixture_start(&fixture);
    struct nx_buf expected = expected_lines(&first);
    client_open(&client, &fixture);
    client_text(&client, "GET /first HTTP/1.1\r\n" HOST "\r\nGET /second HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 2; i++) {
        client_read(&client, &answer, false);
        answer_expect(&answer, 200, NULL);
        assert_int_equal(answer.body_len, expected.len);
        assert_memory_equal(answer.body, expected.data, expected.len);
        answer_release(&answer);
    }
    nx_buf_release(&expected);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void aborted_stream_is_seen_as_broken(void **state)
{
    (void)state;
    struct streamer streamer = {.lines = 10, .line_bytes = 50, .abort = true};
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start(&fixture, &streamer, NULL);
    client_open(&client, &fixture);
    client_text(&client, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &answer, false);
    assert_int_equal(answer.status, 200);
    assert_false(answer.complete);
    assert_int_equal(answer.body_len, 500);
    answer_release(&answer);
    client_close(&client);
    fixture_await_metric(&fixture, "narthex_http_connections", 0);
    fixture_stop(&fixture, 1000);
}

static void client_that_leaves_a_stream_cancels_it(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.write_high_water_bytes = 100000};
    /* More than the buffers of both sockets hold. */
    struct streamer streamer = {.lines = 40000, .line_bytes = 1000};
    struct fixture fixture;
    struct client client;
    start(&fixture, &streamer, &options);
    for (int i = 0; i < 3; i++) {
        client_open(&client, &fixture);
        client_text(&client, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
        char bytes[1000];
        assert_true(recv(client.fd, bytes, sizeof(bytes), 0) > 0);
        client_close(&client);
        fixture_await_metric(&fixture, "narthex_http_connections", 0);
        assert_int_equal(atomic_load(&streamer.cancels), i + 1);
        assert_int_equal(atomic_load(&streamer.ends), i + 1);
    }
    fixture_stop(&fixture, 1000);
}

/* --- compression --------------------------------------------------------------------------------
 */

static char *inflate_all(const char *bytes, size_t len, int window, size_t *out_len)
{
    size_t capacity = 64 << 20;
    char *out = nx_alloc(capacity);
    assert_non_null(out);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes,
                       .avail_in = (uInt)len,
                       .next_out = (Bytef *)out,
                       .avail_out = (uInt)capacity};
    assert_int_equal(inflateInit2(&stream, window), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    *out_len = capacity - stream.avail_out;
    inflateEnd(&stream);
    return out;
}

static void expect_packed(const struct answer *answer, int window, const char *body, size_t len)
{
    size_t got = 0;
    char *text = inflate_all(answer->body, answer->body_len, window, &got);
    assert_int_equal(got, len);
    assert_memory_equal(text, body, len);
    nx_free(text);
}

static void whole_answers_are_compressed_as_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        const char *encoding;
        int window;
    } cases[] = {
        {"gzip", "gzip", 31},
        {"deflate", "deflate", 15},
        {"br, gzip", "gzip", 31},
        {"deflate,gzip", "deflate", 15},
        {"gzip;q=1.0, identity", "", 0},
        {"br", "", 0},
    };
    struct streamer streamer = {.lines = 0};
    struct fixture fixture;
    start(&fixture, &streamer, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char request[256];
        char value[64];
        struct answer answer;
        (void)snprintf(request, sizeof(request),
                       "GET /text HTTP/1.1\r\n" HOST "Accept-Encoding: %s\r\n\r\n",
                       cases[i].accept);
        exchange(&fixture, request, &answer);
        answer_expect(&answer, 200, NULL);
        answer_expect_header(&answer, "Vary", "Accept-Encoding");
        if (cases[i].window == 0) {
            assert_false(answer_header(&answer, "Content-Encoding", value, sizeof(value)));
            answer_expect(&answer, 200, long_text);
        } else {
            answer_expect_header(&answer, "Content-Encoding", cases[i].encoding);
            assert_true(answer.body_len < 1000);
            expect_packed(&answer, cases[i].window, long_text, strlen(long_text));
        }
        answer_release(&answer);
    }
    fixture_stop(&fixture, 1000);
}

static void streams_are_compressed_as_accepted(void **state)
{
    (void)state;
    struct streamer streamer = {.lines = 5000, .line_bytes = 100, .compress = true};
    struct fixture fixture;
    struct answer answer;
    start(&fixture, &streamer, NULL);
    struct nx_buf expected = expected_lines(&streamer);
    exchange(&fixture, "GET /stream HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\n", &answer);
    answer_expect(&answer, 200, NULL);
    answer_expect_header(&answer, "Content-Encoding", "gzip");
    answer_expect_header(&answer, "Transfer-Encoding", "chunked");
    assert_true(answer.body_len < expected.len / 5);
    expect_packed(&answer, 31, expected.data, expected.len);
    answer_release(&answer);
    nx_buf_release(&expected);
    fixture_stop(&fixture, 1000);
}

/* --- going away, and the stop -------------------------------------------------------------------
 */

struct waiter {
    struct nx_task answer;
    struct nx_http_request *req;
    struct nx_worker *worker;
    atomic_int started;
    atomic_int cancels;
    bool answer_on_cancel;
};

static void waiter_cancelled(void *user)
{
    struct waiter *waiter = user;
    atomic_fetch_add(&waiter->cancels, 1);
    if (waiter->answer_on_cancel) {
        nx_http_respond_text(waiter->req, 499, "cancelled");
    }
}

static void wait_for_answer(struct nx_http_request *req, void *user)
{
    struct waiter *waiter = user;
    waiter->req = req;
    waiter->worker = nx_http_request_worker(req);
    nx_http_request_on_cancel(req, waiter_cancelled, waiter);
    atomic_fetch_add(&waiter->started, 1);
}

static void run_answer(struct nx_task *task)
{
    struct waiter *waiter = (struct waiter *)task;
    nx_http_respond(waiter->req, 200, NULL, NX_VIEW("waited"));
}

static void waiter_answer(struct waiter *waiter)
{
    waiter->answer.run = run_answer;
    nx_worker_reply(waiter->worker, &waiter->answer);
}

static void await_int(atomic_int *value, int wanted)
{
    for (int i = 0; i < 2000 && atomic_load(value) < wanted; i++) {
        uv_sleep(5);
    }
    assert_int_equal(atomic_load(value), wanted);
}

static void start_waiter(struct fixture *fixture, struct waiter *waiter)
{
    fixture_init(fixture, NULL, 2);
    fixture_route(fixture, NX_HTTP_GET, "/wait", wait_for_answer, waiter);
    fixture_route(fixture, NX_HTTP_GET, "/nothing", say_nothing, NULL);
    fixture_start(fixture);
}

static void client_that_goes_away_cancels_and_the_answer_frees(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct waiter waiter = {.answer_on_cancel = kind % 2 == 1};
        struct fixture fixture;
        struct client client;
        start_waiter(&fixture, &waiter);
        client_open(&client, &fixture);
        client_text(&client, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
        await_int(&waiter.started, 1);
        if (kind >= 2) {
            struct linger reset = {.l_onoff = 1, .l_linger = 0};
            setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        client_close(&client);
        await_int(&waiter.cancels, 1);
        if (!waiter.answer_on_cancel) {
            waiter_answer(&waiter);
        }
        fixture_await_metric(&fixture, "narthex_http_connections", 0);
        fixture_await_metric(&fixture, "narthex_http_requests_in_flight", 0);
        assert_int_equal(atomic_load(&waiter.cancels), 1);
        fixture_stop(&fixture, 1000);
    }
}

static void client_that_only_ends_sending_still_gets_its_answer(void **state)
{
    (void)state;
    struct waiter waiter = {.answer_on_cancel = false};
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start_waiter(&fixture, &waiter);
    client_open(&client, &fixture);
    client_text(&client, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    shutdown(client.fd, SHUT_WR);
    await_int(&waiter.cancels, 1);
    waiter_answer(&waiter);
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, "waited");
    answer_release(&answer);
    client_expect_end(&client);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void stop_lets_requests_in_flight_finish(void **state)
{
    (void)state;
    struct waiter waiter = {.answer_on_cancel = false};
    struct fixture fixture;
    struct client idle;
    struct client busy;
    struct answer answer;
    start_waiter(&fixture, &waiter);
    client_open(&idle, &fixture);
    client_text(&idle, "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
    client_read(&idle, &answer, false);
    answer_release(&answer);
    client_open(&busy, &fixture);
    client_text(&busy, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    await_int(&waiter.started, 1);
    nx_http_server_stop(fixture.server, 20000, NULL, NULL);
    client_expect_end(&idle); /* at once */
    client_close(&idle);
    assert_true(client_is_silent(&busy, 50));
    waiter_answer(&waiter);
    client_read(&busy, &answer, false);
    answer_expect(&answer, 200, "waited");
    answer_expect_header(&answer, "Connection", "close");
    answer_release(&answer);
    client_expect_end(&busy);
    client_close(&busy);
    nx_workers_stop(fixture.workers);
    assert_int_equal(atomic_load(&waiter.cancels), 0);
    nx_http_server_free(fixture.server);
    nx_workers_free(fixture.workers);
    nx_telemetry_free(fixture.telemetry);
}

static void stop_out_of_grace_cancels_what_is_left(void **state)
{
    (void)state;
    struct waiter waiter = {.answer_on_cancel = true};
    struct fixture fixture;
    struct client busy;
    struct client half;
    start_waiter(&fixture, &waiter);
    client_open(&busy, &fixture);
    client_text(&busy, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    client_open(&half, &fixture);
    client_text(&half, "GET /wait HT");
    await_int(&waiter.started, 1);
    fixture_await_metric(&fixture, "narthex_http_connections", 2);
    fixture_stop(&fixture, 100);
    assert_int_equal(atomic_load(&waiter.cancels), 1);
    client_expect_end(&busy);
    client_expect_end(&half);
    client_close(&busy);
    client_close(&half);
}

static void stop_waits_for_owed_answers_of_closed_connections(void **state)
{
    (void)state;
    struct waiter waiter = {.answer_on_cancel = false};
    struct fixture fixture;
    struct client client;
    start_waiter(&fixture, &waiter);
    client_open(&client, &fixture);
    client_text(&client, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    await_int(&waiter.started, 1);
    nx_http_server_stop(fixture.server, 0, NULL, NULL);
    await_int(&waiter.cancels, 1);
    waiter_answer(&waiter);
    nx_workers_stop(fixture.workers);
    nx_http_server_free(fixture.server);
    nx_workers_free(fixture.workers);
    nx_telemetry_free(fixture.telemetry);
    client_expect_end(&client);
    client_close(&client);
}

static void take_body(struct nx_http_request *req, void *user)
{
    char **taken = user;
    size_t len = 0;
    struct nx_view view = nx_http_request_body(req);
    *taken = nx_http_request_take_body(req, &len);
    nx_http_respond(req, view.ptr == *taken && len == view.len ? 200 : 500, NULL, NX_VIEW("ok"));
}

static void taken_body_outlives_the_request(void **state)
{
    (void)state;
    struct fixture fixture;
    struct answer answer;
    char *taken = NULL;
    fixture_init(&fixture, NULL, 1);
    fixture_route(&fixture, NX_HTTP_POST, "/take", take_body, &taken);
    fixture_start(&fixture);
    exchange(&fixture, "POST /take HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", &answer);
    answer_expect(&answer, 200, "ok");
    answer_release(&answer);
    fixture_stop(&fixture, 1000);
    assert_memory_equal(taken, "hello", 5);
    nx_free(taken);
}

/* --- many at once -------------------------------------------------------------------------------
 */

struct crowd_member {
    const struct fixture *fixture;
    int seed;
    int wrong;
};

static void *crowd_main(void *arg)
{
    struct crowd_member *member = arg;
    for (int i = 0; i < 30; i++) {
        struct client client;
        client_open(&client, member->fixture);
        for (int k = 0; k <= (i + member->seed) % 5; k++) {
            struct answer answer;
            client_text(&client, "GET /text HTTP/1.1\r\n" HOST "\r\n");
            client_read(&client, &answer, false);
            member->wrong += answer.status != 200 || answer.body_len != strlen(long_text);
            answer_release(&answer);
        }
        client_close(&client);
    }
    return NULL;
}

static void crowds_of_clients_on_many_workers_are_served(void **state)
{
    (void)state;
    struct fixture fixture;
    struct crowd_member members[4];
    pthread_t threads[4];
    memset(long_text, 'l', sizeof(long_text) - 1);
    fixture_init(&fixture, NULL, 3);
    fixture_route(&fixture, NX_HTTP_GET, "/text", say_text, long_text);
    fixture_start(&fixture);
    for (int i = 0; i < 4; i++) {
        members[i] = (struct crowd_member){.fixture = &fixture, .seed = i};
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_main, &members[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(members[i].wrong, 0);
    }
    fixture_stop(&fixture, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_is_sent_in_chunks),
        cmocka_unit_test(stream_to_http_1_0_ends_with_the_connection),
        cmocka_unit_test(stream_stops_at_high_water_until_drained),
        cmocka_unit_test(stream_to_a_fast_client_leaves_the_worker_to_others),
        cmocka_unit_test(stream_behind_another_answer_is_bounded_too),
        cmocka_unit_test(aborted_stream_is_seen_as_broken),
        cmocka_unit_test(client_that_leaves_a_stream_cancels_it),
        cmocka_unit_test(whole_answers_are_compressed_as_accepted),
        cmocka_unit_test(streams_are_compressed_as_accepted),
        cmocka_unit_test(client_that_goes_away_cancels_and_the_answer_frees),
        cmocka_unit_test(client_that_only_ends_sending_still_gets_its_answer),
        cmocka_unit_test(stop_lets_requests_in_flight_finish),
        cmocka_unit_test(stop_out_of_grace_cancels_what_is_left),
        cmocka_unit_test(stop_waits_for_owed_answers_of_closed_connections),
        cmocka_unit_test(taken_body_outlives_the_request),
        cmocka_unit_test(crowds_of_clients_on_many_workers_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
