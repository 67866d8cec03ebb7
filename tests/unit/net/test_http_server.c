/* Requests and answers in the ordinary way: routes, methods, bodies, keep-alive, pipelining,
 * streams. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/base/alloc.h"
#include "http_fixture.h"

#define HOST "Host: test\r\n"

static void say_hello(struct nx_http_request *req, void *user)
{
    (void)user;
    nx_http_respond(req, 200, "text/plain", NX_VIEW("hello"));
}

/* Method, path, query, param, a header and the body, one a line. */
static void describe(struct nx_http_request *req, void *user)
{
    struct nx_view path = nx_http_request_path(req);
    struct nx_view query = nx_http_request_query(req);
    struct nx_view param = nx_http_request_param(req);
    struct nx_view header = nx_http_request_header(req, "X-TEST");
    if (!header.ptr) {
        header = NX_VIEW("none");
    }
    struct nx_view body = nx_http_request_body(req);
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    nx_buf_printf(&out, "%s|%d|%.*s|%.*s|%.*s|%.*s|", (const char *)user,
                  (int)nx_http_request_method(req), NX_VIEW_ARG(path), NX_VIEW_ARG(query),
                  (int)param.len, param.ptr ? param.ptr : "", NX_VIEW_ARG(header));
    nx_buf_append_view(&out, body);
    nx_http_respond_buf(req, 200, "text/plain", &out);
    nx_buf_release(&out);
}

static void echo(struct nx_http_request *req, void *user)
{
    (void)user;
    nx_http_respond(req, 200, "application/octet-stream", nx_http_request_body(req));
}

static void start_basic(struct fixture *fixture, const struct nx_http_server_options *options)
{
    fixture_init(fixture, options, 2);
    fixture_route(fixture, NX_HTTP_GET, "/hello", say_hello, NULL);
    fixture_route(fixture, NX_HTTP_GET | NX_HTTP_POST, "/describe", describe, "exact");
    fixture_route(fixture, NX_HTTP_GET, "/label/{name}/values", describe, "label");
    fixture_route(fixture, NX_HTTP_GET, "/static/*", describe, "static");
    fixture_route(fixture, NX_HTTP_POST | NX_HTTP_PUT, "/echo", echo, NULL);
    assert_int_equal(nx_http_server_alias(fixture->server, "/prometheus"), NX_OK);
    fixture_start(fixture);
}

static void get_of_a_route_is_answered(void **state)
{
    (void)state;
    struct fixture fixture;
    struct answer answer;
    start_basic(&fixture, NULL);
    exchange(&fixture, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer);
    answer_expect(&answer, 200, "hello");
    answer_expect_header(&answer, "Content-Type", "text/plain");
    answer_expect_header(&answer, "Content-Length", "5");
    char date[64];
    assert_true(answer_header(&answer, "Date", date, sizeof(date)));
    assert_non_null(strstr(date, " GMT"));
    assert_int_equal(strlen(date), strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
    answer_release(&answer);
    fixture_stop(&fixture, 1000);
}

static void expect_exchange(const struct fixture *fixture, const char *request, int status,
                            const char *body)
{
    struct answer answer;
    exchange(fixture, request, &answer);
    answer_expect(&answer, status, body);
    answer_release(&answer);
}

static void requests_reach_their_handler_with_all_their_parts(void **state)
{
    (void)state;
    struct fixture fixture;
    start_basic(&fixture, NULL);
    expect_exchange(&fixture, "GET /describe?a=b%20c&d HTTP/1.1\r\n" HOST "x-test:  v w \r\n\r\n",
                    200, "exact|1|/describe|a=b%20c&d||v w|");
    expect_exchange(&fixture,
                    "POST /describe HTTP/1.1\r\n" HOST "X-Test:\r\nContent-Length: 3\r\n\r\nabc",
                    200, "exact|2|/describe||||abc");
    expect_exchange(&fixture, "GET /%64escribe HTTP/1.1\r\n" HOST "\r\n", 200,
                    "exact|1|/describe|||none|");
    expect_exchange(&fixture, "GET http://other:9/describe?q HTTP/1.1\r\n" HOST "\r\n", 200,
                    "exact|1|/describe|q||none|");
    fixture_stop(&fixture, 1000);
}

static void variable_segment_and_star_give_their_part_decoded(void **state)
{
    (void)state;
    struct fixture fixture;
    start_basic(&fixture, NULL);
    expect_exchange(&fixture, "GET /label/a%2Fb+c/values HTTP/1.1\r\n" HOST "\r\n", 200,
                    "label|1|/label/a/b+c/values||a/b+c|none|");
    expect_exchange(&fixture, "GET /static/x/y%20z HTTP/1.1\r\n" HOST "\r\n", 200,
                    "static|1|/static/x/y z||x/y z|none|");
    expect_exchange(&fixture, "GET /static/ HTTP/1.1\r\n" HOST "\r\n", 200,
                    "static|1|/static/|||none|");
    expect_exchange(&fixture, "GET /label//values HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    expect_exchange(&fixture, "GET /label/a/b/values HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    expect_exchange(&fixture, "GET /label/a HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    expect_exchange(&fixture, "GET /static HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    expect_exchange(&fixture, "GET %2Fhello HTTP/1.1\r\n" HOST "\r\n", 400, NULL);
    expect_exchange(&fixture, "GET /hello%2 HTTP/1.1\r\n" HOST "\r\n", 400, NULL);
    expect_exchange(&fixture, "GET /static%2Fx HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    fixture_stop(&fixture, 1000);
}

static void alias_prefix_serves_the_same_routes(void **state)
{
    (void)state;
    struct fixture fixture;
    start_basic(&fixture, NULL);
    expect_exchange(&fixture, "GET /prometheus/describe HTTP/1.1\r\n" HOST "\r\n", 200,
                    "exact|1|/describe|||none|");
    expect_exchange(&fixture, "GET /prometheusx/describe HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    expect_exchange(&fixture, "GET /prometheus HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    fixture_stop(&fixture, 1000);
}

static void unknown_path_and_wrong_method_are_told_apart(void **state)
{
    (void)state;
    struct fixture fixture;
    struct answer answer;
    start_basic(&fixture, NULL);
    exchange(&fixture, "GET /nothing HTTP/1.1\r\n" HOST "\r\n", &answer);
    answer_expect(&answer, 404, "404 page not found\n");
    answer_expect_header(&answer, "Content-Type", "text/plain; charset=utf-8");
    answer_release(&answer);
    exchange(&fixture, "DELETE /describe HTTP/1.1\r\n" HOST "\r\n", &answer);
    answer_expect(&answer, 405, "Method Not Allowed\n");
    answer_expect_header(&answer, "Allow", "GET, HEAD, POST");
    answer_release(&answer);
    exchange(&fixture, "PATCH /echo HTTP/1.1\r\n" HOST "\r\n", &answer);
    answer_expect(&answer, 405, "Method Not Allowed\n");
    answer_expect_header(&answer, "Allow", "POST, PUT");
    answer_release(&answer);
    fixture_stop(&fixture, 1000);
}

static void preflight_route_makes_no_path_known(void **state)
{
    (void)state;
    struct fixture fixture;
    struct answer answer;
    struct nx_http_route exact = {
        .methods = NX_HTTP_GET, .path = "/api/exact", .handle = say_hello, .no_head = true};
    fixture_init(&fixture, &(struct nx_http_server_options){0}, 1);
    fixture_route(&fixture, NX_HTTP_OPTIONS, "/api/*", say_hello, NULL);
    assert_int_equal(nx_http_server_route(fixture.server, &exact), NX_OK);
    fixture_start(&fixture);
    expect_exchange(&fixture, "OPTIONS /api/any HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    expect_exchange(&fixture, "GET /api/any HTTP/1.1\r\n" HOST "\r\n", 404, "404 page not found\n");
    exchange(&fixture, "PUT /api/exact HTTP/1.1\r\n" HOST "\r\n", &answer);
    answer_expect(&answer, 405, "Method Not Allowed\n");
    answer_expect_header(&answer, "Allow", "GET");
    answer_release(&answer);
    fixture_stop(&fixture, 1000);
}

static void head_is_served_by_get_without_a_body(void **state)
{
    (void)state;
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start_basic(&fixture, NULL);
    client_open(&client, &fixture);
    client_text(&client, "HEAD /hello HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &answer, true);
    assert_int_equal(answer.status, 200);
    answer_expect_header(&answer, "Content-Length", "5");
    answer_release(&answer);
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, "hello");
    answer_release(&answer);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void connection_is_kept_for_further_requests(void **state)
{
    (void)state;
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start_basic(&fixture, NULL);
    client_open(&client, &fixture);
    for (int i = 0; i < 200; i++) {
        client_text(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        client_read(&client, &answer, false);
        answer_expect(&answer, 200, "hello");
        char value[32];
        assert_false(answer_header(&answer, "Connection", value, sizeof(value)));
        answer_release(&answer);
    }
    assert_true(fixture_metric(&fixture, "narthex_http_connections_accepted_total") == 1);
    fixture_await_metric(&fixture, "narthex_http_requests_total{route=\"/hello\",code=\"2xx\"}",
                         200);
    client_close(&client);
    fixture_await_metric(&fixture, "narthex_http_connections", 0);
    fixture_stop(&fixture, 1000);
}

static void connection_close_and_http_1_0_end_the_connection(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.0\r\n\r\n",
    };
    struct fixture fixture;
    start_basic(&fixture, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct client client;
        struct answer answer;
        client_open(&client, &fixture);
        client_text(&client, requests[i]);
        client_read(&client, &answer, false);
        answer_expect(&answer, 200, "hello");
        answer_expect_header(&answer, "Connection", "close");
        answer_release(&answer);
        client_expect_end(&client);
        client_close(&client);
    }
    struct client client;
    struct answer answer;
    client_open(&client, &fixture);
    for (int i = 0; i < 2; i++) {
        client_text(&client, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        client_read(&client, &answer, false);
        answer_expect(&answer, 200, "hello");
        answer_expect_header(&answer, "Connection", "keep-alive");
        answer_release(&answer);
    }
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void bodies_of_all_sizes_come_through_unchanged(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 1000003, 8 << 20};
    struct fixture fixture;
    start_basic(&fixture, NULL);
    struct client client;
    client_open(&client, &fixture);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *bytes = nx_alloc(sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            bytes[k] = (char)(k * 2654435761U >> 13);
        }
        char head[128];
        (void)snprintf(head, sizeof(head),
                       "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", sizes[i]);
        client_text(&client, head);
        client_send(&client, bytes, sizes[i]);
        struct answer answer;
        client_read(&client, &answer, false);
        answer_expect(&answer, 200, NULL);
        assert_int_equal(answer.body_len, sizes[i]);
        assert_memory_equal(answer.body, bytes, sizes[i]);
        answer_release(&answer);
        nx_free(bytes);
    }
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void chunked_body_is_joined(void **state)
{
    (void)state;
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start_basic(&fixture, NULL);
    client_open(&client, &fixture);
    client_text(&client,
                "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                "5\r\nhello\r\n1;ext=1\r\n \r\nA\r\n0123456789\r\n0\r\nX-Trailer: v\r\n\r\n"
                "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nok");
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, "hello 0123456789");
    answer_release(&answer);
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, "ok");
    answer_release(&answer);
    client_text(&client, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    struct nx_buf expected;
    nx_buf_init(&expected, 1 << 22);
    for (unsigned i = 0; i < 300; i++) {
        char chunk[4096];
        size_t len = 1 + (i * 7919) % 4000;
        memset(chunk, (int)('a' + i % 26), len);
        char line[16];
        (void)snprintf(line, sizeof(line), "%zx\r\n", len);
        client_text(&client, line);
        client_send(&client, chunk, len);
        client_text(&client, "\r\n");
        nx_buf_append(&expected, chunk, len);
    }
    client_text(&client, "0\r\n\r\n");
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, NULL);
    assert_int_equal(answer.body_len, expected.len);
    assert_memory_equal(answer.body, expected.data, expected.len);
    answer_release(&answer);
    nx_buf_release(&expected);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void request_sent_byte_by_byte_is_understood(void **state)
{
    (void)state;
    static const char request[] =
        "POST /describe?q=1 HTTP/1.1\r\n" HOST "X-Test: some value\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start_basic(&fixture, NULL);
    client_open(&client, &fixture);
    int on = 1;
    setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    for (size_t i = 0; i + 1 < sizeof(request); i++) {
        client_send(&client, request + i, 1);
        if (i % 8 == 0) {
            uv_sleep(1);
        }
    }
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, "exact|2|/describe|q=1||some value|abcde");
    answer_release(&answer);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

/* --- pipelining ---------------------------------------------------------------------------------
 */

/* Handlers that wait until the test lets them answer, in whatever order, from another thread. */
enum { LATE_MAX = 100 };
struct late_request {
    struct nx_task task;
    struct nx_http_request *req;
    struct nx_worker *worker;
    int number;
};
struct late {
    pthread_mutex_t lock;
    struct late_request items[LATE_MAX];
    int count;
};

static void late_handler(struct nx_http_request *req, void *user)
{
    struct late *late = user;
    pthread_mutex_lock(&late->lock);
    struct late_request *item = &late->items[late->count++];
    item->req = req;
    item->worker = nx_http_request_worker(req);
    struct nx_view query = nx_http_request_query(req);
    item->number = query.len > 0 ? (int)strtol(query.ptr, NULL, 10) : 0;
    pthread_mutex_unlock(&late->lock);
}

static void late_answer(struct nx_task *task)
{
    struct late_request *item = (struct late_request *)task;
    char text[32];
    (void)snprintf(text, sizeof(text), "late %d", item->number);
    nx_http_respond(item->req, 200, NULL, nx_view_of(text));
}

static int late_count(struct late *late)
{
    pthread_mutex_lock(&late->lock);
    int count = late->count;
    pthread_mutex_unlock(&late->lock);
    return count;
}

static void late_await(struct late *late, int count)
{
    for (int i = 0; i < 2000 && late_count(late) < count; i++) {
        uv_sleep(5);
    }
    assert_int_equal(late_count(late), count);
}

static void late_release(struct late *late, int i)
{
    late->items[i].task.run = late_answer;
    nx_worker_reply(late->items[i].worker, &late->items[i].task);
}

static void expect_late(struct client *client, int number)
{
    struct answer answer;
    char text[32];
    client_read(client, &answer, false);
    (void)snprintf(text, sizeof(text), "late %d", number);
    answer_expect(&answer, 200, text);
    answer_release(&answer);
}

static void start_late(struct fixture *fixture, struct late *late)
{
    *late = (struct late){.count = 0};
    pthread_mutex_init(&late->lock, NULL);
    fixture_init(fixture, NULL, 2);
    fixture_route(fixture, NX_HTTP_GET | NX_HTTP_POST, "/late", late_handler, late);
    fixture_route(fixture, NX_HTTP_GET, "/hello", say_hello, NULL);
    fixture_start(fixture);
}

static void pipelined_answers_keep_order_whatever_order_handlers_answer_in(void **state)
{
    (void)state;
    struct fixture fixture;
    struct late late;
    struct client client;
    start_late(&fixture, &late);
    client_open(&client, &fixture);
    for (int i = 0; i < 20; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "GET /late?%d HTTP/1.1\r\n" HOST "\r\n", i);
        client_text(&client, text);
    }
    late_await(&late, 20);
    for (int i = 19; i > 0; i--) {
        late_release(&late, i);
    }
    assert_true(client_is_silent(&client, 50));
    late_release(&late, 0);
    for (int i = 0; i < 20; i++) {
        expect_late(&client, i);
    }
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void pipelined_answer_behind_a_late_one_waits(void **state)
{
    (void)state;
    struct fixture fixture;
    struct late late;
    struct client client;
    struct answer answer;
    start_late(&fixture, &late);
    client_open(&client, &fixture);
    client_text(&client, "GET /late?1 HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST
                         "\r\nGET /nothing HTTP/1.1\r\n" HOST "\r\n");
    late_await(&late, 1);
    assert_true(client_is_silent(&client, 50));
    late_release(&late, 0);
    expect_late(&client, 1);
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, "hello");
    answer_release(&answer);
    client_read(&client, &answer, false);
    answer_expect(&answer, 404, NULL);
    answer_release(&answer);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void pipelined_unsafe_requests_run_one_after_the_other(void **state)
{
    (void)state;
    struct fixture fixture;
    struct late late;
    struct client client;
    start_late(&fixture, &late);
    client_open(&client, &fixture);
    for (int i = 0; i < 5; i++) {
        char text[96];
        (void)snprintf(text, sizeof(text),
                       "%s /late?%d HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
                       i == 3 ? "GET" : "POST", i);
        client_text(&client, text);
    }
    for (int i = 0; i < 5; i++) {
        late_await(&late, i + 1);
        uv_sleep(10);
        assert_int_equal(late_count(&late), i + 1);
        late_release(&late, i);
        expect_late(&client, i);
    }
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void pipeline_longer_than_the_cap_is_served_in_turns(void **state)
{
    (void)state;
    struct fixture fixture;
    struct late late;
    struct client client;
    start_late(&fixture, &late);
    client_open(&client, &fixture);
    for (int i = 0; i < LATE_MAX; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "GET /late?%d HTTP/1.1\r\n" HOST "\r\n", i);
        client_text(&client, text);
    }
    late_await(&late, 64);
    uv_sleep(50);
    assert_int_equal(late_count(&late), 64);
    for (int i = 0; i < LATE_MAX; i++) {
        late_await(&late, i + 64 < LATE_MAX ? i + 64 : LATE_MAX);
        late_release(&late, i);
        expect_late(&client, i);
    }
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void many_pipelined_requests_are_all_answered(void **state)
{
    (void)state;
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start_basic(&fixture, NULL);
    client_open(&client, &fixture);
    struct nx_buf text;
    nx_buf_init(&text, 1 << 22);
    enum { COUNT = 3000 };
    for (int i = 0; i < COUNT; i++) {
        nx_buf_printf(&text, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n%05d", i);
    }
    client_send(&client, text.data, text.len);
    for (int i = 0; i < COUNT; i++) {
        char body[16];
        (void)snprintf(body, sizeof(body), "%05d", i);
        client_read(&client, &answer, false);
        answer_expect(&answer, 200, body);
        answer_release(&answer);
    }
    nx_buf_release(&text);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

/* --- workers ------------------------------------------------------------------------------------
 */

static void tell_worker(struct nx_http_request *req, void *user)
{
    (void)user;
    char text[16];
    (void)snprintf(text, sizeof(text), "%zu", nx_worker_index(nx_http_request_worker(req)));
    if (nx_worker_current() != nx_http_request_worker(req)) {
        abort();
    }
    nx_http_respond(req, 200, NULL, nx_view_of(text));
}

static void connections_are_spread_over_the_workers(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 3);
    fixture_route(&fixture, NX_HTTP_GET, "/worker", tell_worker, NULL);
    fixture_start(&fixture);
    struct client clients[9];
    int seen[3] = {0};
    for (int i = 0; i < 9; i++) {
        struct answer answer;
        client_open(&clients[i], &fixture);
        client_text(&clients[i], "GET /worker HTTP/1.1\r\n" HOST "\r\n");
        client_read(&clients[i], &answer, false);
        answer_expect(&answer, 200, NULL);
        seen[answer.body[0] - '0']++;
        answer_release(&answer);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(seen[i], 3);
    }
    for (int i = 0; i < 9; i++) {
        client_close(&clients[i]);
    }
    fixture_stop(&fixture, 1000);
}

static void listen_on_a_taken_port_names_the_address(void **state)
{
    (void)state;
    struct fixture fixture;
    start_basic(&fixture, NULL);
    struct nx_http_server_options options = {.host = "127.0.0.1", .port = fixture.port};
    struct nx_workers_options workers_options = {.count = 1};
    struct nx_workers *workers = NULL;
    struct nx_http_server *server = NULL;
    assert_int_equal(nx_workers_new(&workers_options, &workers), NX_OK);
    assert_int_equal(nx_http_server_new(&options, workers, NULL, NULL, &server), NX_OK);
    struct nx_fail fail;
    assert_int_not_equal(nx_http_server_listen(server, &fail), NX_OK);
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", fixture.port);
    assert_non_null(strstr(fail.text, address));
    nx_http_server_free(server);
    nx_workers_free(workers);
    fixture_stop(&fixture, 1000);
}

static void server_that_listened_but_never_ran_stops_clean(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 2);
    fixture_route(&fixture, NX_HTTP_GET, "/hello", say_hello, NULL);
    assert_int_equal(nx_http_server_listen(fixture.server, NULL), NX_OK);
    fixture_stop(&fixture, 1000);
}

static void clients_wait_while_descriptors_are_out(void **state)
{
    (void)state;
    struct fixture fixture;
    struct client client;
    struct answer answer;
    start_basic(&fixture, NULL);
    client_open(&client, &fixture);
    client_text(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &answer, false);
    answer_release(&answer);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit tight = before;
    tight.rlim_cur = 3; /* no descriptor is below it */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(fixture.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int status = connect(fd, (struct sockaddr *)&address, sizeof(address));
    struct client second = {.fd = fd};
    client_text(&second, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    bool silent = client_is_silent(&second, 250);
    client_text(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &answer, false);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, 0);
    assert_true(silent);
    answer_expect(&answer, 200, "hello");
    answer_release(&answer);
    client_read(&second, &answer, false);
    answer_expect(&answer, 200, "hello");
    answer_release(&answer);
    client_close(&client);
    client_close(&second);
    fixture_stop(&fixture, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_of_a_route_is_answered),
        cmocka_unit_test(requests_reach_their_handler_with_all_their_parts),
        cmocka_unit_test(variable_segment_and_star_give_their_part_decoded),
        cmocka_unit_test(alias_prefix_serves_the_same_routes),
        cmocka_unit_test(unknown_path_and_wrong_method_are_told_apart),
        cmocka_unit_test(preflight_route_makes_no_path_known),
        cmocka_unit_test(head_is_served_by_get_without_a_body),
        cmocka_unit_test(connection_is_kept_for_further_requests),
        cmocka_unit_test(connection_close_and_http_1_0_end_the_connection),
        cmocka_unit_test(bodies_of_all_sizes_come_through_unchanged),
        cmocka_unit_test(chunked_body_is_joined),
        cmocka_unit_test(request_sent_byte_by_byte_is_understood),
        cmocka_unit_test(pipelined_answers_keep_order_whatever_order_handlers_answer_in),
        cmocka_unit_test(pipelined_answer_behind_a_late_one_waits),
        cmocka_unit_test(pipelined_unsafe_requests_run_one_after_the_other),
        cmocka_unit_test(pipeline_longer_than_the_cap_is_served_in_turns),
        cmocka_unit_test(many_pipelined_requests_are_all_answered),
        cmocka_unit_test(connections_are_spread_over_the_workers),
        cmocka_unit_test(listen_on_a_taken_port_names_the_address),
        cmocka_unit_test(server_that_listened_but_never_ran_stops_clean),
        cmocka_unit_test(clients_wait_while_descriptors_are_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
