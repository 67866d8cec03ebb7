/* What bad, slow and greedy clients get. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <llhttp.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "http_fixture.h"

#define SMALL_REFUSED "request body too large (limit: 100 bytes, from the setting room.max-bytes)\n"
#define HOST "Host: test\r\n"

static void say_length(struct nx_http_request *req, void *user)
{
    (void)user;
    char text[32];
    (void)snprintf(text, sizeof(text), "%zu", nx_http_request_body(req).len);
    nx_http_respond(req, 200, NULL, nx_view_of(text));
}

static bool refuse_all(struct nx_http_request *req, void *user)
{
    (void)user;
    if (nx_http_request_header(req, "authorization").ptr) {
        return true;
    }
    nx_http_respond_text(req, 401, "who are you?");
    return false;
}

/* Keeps requests until the test lets them go, on their worker. */
struct keeper {
    pthread_mutex_t lock;
    struct nx_http_request *reqs[16];
    int count;
    atomic_int cancelled;
    struct nx_task release;
    struct nx_worker *worker;
};

static void keep(struct nx_http_request *req, void *user)
{
    struct keeper *keeper = user;
    pthread_mutex_lock(&keeper->lock);
    keeper->worker = nx_http_request_worker(req);
    keeper->reqs[keeper->count++] = req;
    pthread_mutex_unlock(&keeper->lock);
}

static void run_release(struct nx_task *task)
{
    void *start = (char *)task - offsetof(struct keeper, release);
    struct keeper *keeper = start;
    pthread_mutex_lock(&keeper->lock);
    for (int i = 0; i < keeper->count; i++) {
        nx_http_respond(keeper->reqs[i], 200, NULL, NX_VIEW("kept"));
    }
    keeper->count = 0;
    pthread_mutex_unlock(&keeper->lock);
}

static void keeper_await(struct keeper *keeper, int count)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&keeper->lock);
        int now = keeper->count;
        pthread_mutex_unlock(&keeper->lock);
        if (now == count) {
            return;
        }
        uv_sleep(5);
    }
    fail_msg("handler was not called");
}

static void keeper_release(struct keeper *keeper)
{
    keeper->release.run = run_release;
    nx_worker_reply(keeper->worker, &keeper->release);
}

static const struct nx_http_server_options hasty = {.header_timeout_ms = 150,
                                                    .body_timeout_ms = 150,
                                                    .idle_timeout_ms = 300,
                                                    .write_timeout_ms = 200};

struct setting {
    struct fixture fixture;
    struct keeper keeper;
    struct nx_http_budget budget;
};

static void start(struct setting *setting, const struct nx_http_server_options *options)
{
    setting->keeper = (struct keeper){.count = 0};
    pthread_mutex_init(&setting->keeper.lock, NULL);
    setting->budget = (struct nx_http_budget){.max_bytes = 1000, .retry_after_s = 7};
    fixture_init(&setting->fixture, options, 1);
    fixture_route(&setting->fixture, NX_HTTP_GET | NX_HTTP_POST, "/len", say_length, NULL);
    struct nx_http_route small = {.methods = NX_HTTP_POST,
                                  .path = "/small",
                                  .handle = say_length,
                                  .max_body_bytes = 100,
                                  .body_setting = "room.max-bytes"};
    struct nx_http_route budgeted = {.methods = NX_HTTP_POST,
                                     .path = "/budget",
                                     .handle = keep,
                                     .user = &setting->keeper,
                                     .budget = &setting->budget};
    struct nx_http_route checked = {
        .methods = NX_HTTP_POST, .path = "/checked", .handle = say_length, .check = refuse_all};
    struct nx_http_server *server = setting->fixture.server;
    assert_int_equal(nx_http_server_route(server, &small), NX_OK);
    assert_int_equal(nx_http_server_route(server, &budgeted), NX_OK);
    assert_int_equal(nx_http_server_route(server, &checked), NX_OK);
    fixture_start(&setting->fixture);
}

static void stop(struct setting *setting)
{
    fixture_stop(&setting->fixture, 1000);
    assert_int_equal(atomic_load(&setting->budget.used_bytes), 0);
}

static void expect_closing(struct client *client, int status, const char *body)
{
    struct answer answer;
    client_read(client, &answer, false);
    answer_expect(&answer, status, body);
    answer_expect_header(&answer, "Connection", "close");
    answer_release(&answer);
    client_expect_end(client);
    client_close(client);
}

static void expect_on(struct client *client, int status, const char *body)
{
    struct answer answer;
    char value[32];
    client_read(client, &answer, false);
    answer_expect(&answer, status, body);
    assert_false(answer_header(&answer, "Connection", value, sizeof(value)));
    answer_release(&answer);
}

static void expect_alive(const struct setting *setting)
{
    struct answer answer;
    exchange(&setting->fixture, "GET /len HTTP/1.1\r\n" HOST "\r\n", &answer);
    answer_expect(&answer, 200, "0");
    answer_release(&answer);
}

static void header_beyond_its_limit_gets_431(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.max_header_bytes = 4096};
    struct setting setting;
    start(&setting, &options);
    struct nx_buf text;
    nx_buf_init(&text, 1 << 24);
    for (int kind = 0; kind < 3; kind++) {
        struct client client;
        nx_buf_clear(&text);
        nx_buf_append_str(&text, kind == 0 ? "GET /len?" : "GET /len HTTP/1.1\r\n" HOST "X-Test: ");
        for (int i = 0; i < 5000; i++) {
            nx_buf_append_str(&text, kind == 2 && i % 50 == 49 ? "\r\nX: a" : "x");
        }
        client_open(&client, &setting.fixture);
        client_send(&client, text.data, text.len);
        expect_closing(&client, 431, "request header too large\n");
    }
    nx_buf_release(&text);
    expect_alive(&setting);
    stop(&setting);
}

static void too_many_header_fields_get_431(void **state)
{
    (void)state;
    struct setting setting;
    start(&setting, NULL);
    struct nx_buf text;
    nx_buf_init(&text, 1 << 24);
    for (int count = 255; count <= 256; count++) {
        struct client client;
        nx_buf_clear(&text);
        nx_buf_append_str(&text, "GET /len HTTP/1.1\r\n" HOST);
        for (int i = 0; i < count; i++) {
            nx_buf_append_str(&text, "X: y\r\n");
        }
        nx_buf_append_str(&text, "\r\n");
        client_open(&client, &setting.fixture);
        client_send(&client, text.data, text.len);
        if (count == 255) {
            expect_on(&client, 200, "0");
            client_close(&client);
        } else {
            expect_closing(&client, 431, "too many request header fields\n");
        }
    }
    nx_buf_release(&text);
    stop(&setting);
}

static void body_too_large_is_refused_before_it_is_read(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, NULL);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /small HTTP/1.1\r\n" HOST "Content-Length: 99999999999999\r\n\r\n");
    expect_closing(&client, 413, SMALL_REFUSED);
    client_open(&client, &setting.fixture);
    client_text(&client,
                "POST /small HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551615\r\n\r\n");
    expect_closing(&client, 413, SMALL_REFUSED);
    client_open(&client, &setting.fixture);
    client_text(&client,
                "POST /small HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n");
    expect_closing(&client, 400, NULL);
    stop(&setting);
}

static void short_body_too_large_leaves_the_connection_usable(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    char body[102] = "";
    memset(body, 'b', 101);
    start(&setting, NULL);
    client_open(&client, &setting.fixture);
    for (int i = 0; i < 3; i++) {
        client_text(&client, "POST /small HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n");
        expect_on(&client, 413, SMALL_REFUSED);
        client_text(&client, body);
        client_text(&client, "POST /small HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n");
        client_send(&client, body, 100);
        expect_on(&client, 200, "100");
    }
    client_close(&client);
    stop(&setting);
}

static void chunked_body_too_large_is_refused_as_it_grows(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, NULL);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                         "32\r\n01234567890123456789012345678901234567890123456789\r\n"
                         "32\r\n01234567890123456789012345678901234567890123456789\r\n");
    assert_true(client_is_silent(&client, 30));
    client_text(&client, "1\r\nx\r\n");
    expect_closing(&client, 413, SMALL_REFUSED);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                         "fffffffffffffff\r\n");
    for (int i = 0; i < 10; i++) {
        client_text(&client, "some bytes of a chunk that will never end");
    }
    client_close(&client);
    expect_alive(&setting);
    stop(&setting);
}

static void endless_trailers_and_chunk_extensions_are_bounded(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.max_header_bytes = 4096};
    struct setting setting;
    start(&setting, &options);
    static const char *const begins[] = {"0\r\nX-Trailer: ", "5;name="};
    char junk[5001];
    memset(junk, 'j', 5000);
    junk[5000] = '\0';
    for (size_t i = 0; i < 2; i++) {
        struct client client;
        client_open(&client, &setting.fixture);
        client_text(&client, "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
        client_text(&client, begins[i]);
        client_text(&client, junk);
        expect_closing(&client, 431, "request trailer too large\n");
    }
    stop(&setting);
}

static void budget_exhausted_gets_503_with_retry_after(void **state)
{
    (void)state;
    struct setting setting;
    struct client first;
    struct client second;
    struct answer answer;
    char body[801] = "";
    memset(body, 'b', 800);
    start(&setting, NULL);
    client_open(&first, &setting.fixture);
    client_open(&second, &setting.fixture);
    client_text(&first, "POST /budget HTTP/1.1\r\n" HOST "Content-Length: 800\r\n\r\n");
    client_text(&first, body);
    keeper_await(&setting.keeper, 1);
    assert_int_equal(atomic_load(&setting.budget.used_bytes), 800);
    for (int i = 0; i < 2; i++) {
        client_text(&second, "POST /budget HTTP/1.1\r\n" HOST "Content-Length: 800\r\n\r\n");
        client_text(&second, body);
        client_read(&second, &answer, false);
        answer_expect(&answer, 503, "overloaded: too many request bytes in flight\n");
        answer_expect_header(&answer, "Retry-After", "7");
        answer_release(&answer);
    }
    assert_int_equal(atomic_load(&setting.budget.used_bytes), 800);
    keeper_release(&setting.keeper);
    expect_on(&first, 200, "kept");
    client_text(&second, "POST /budget HTTP/1.1\r\n" HOST "Content-Length: 800\r\n\r\n");
    client_text(&second, body);
    keeper_await(&setting.keeper, 1);
    keeper_release(&setting.keeper);
    expect_on(&second, 200, "kept");
    client_close(&first);
    client_close(&second);
    stop(&setting);
}

static void body_beyond_the_whole_budget_gets_413(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, NULL);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /budget HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n");
    expect_on(&client, 413, "request body too large (limit: 1000 bytes)\n");
    client_close(&client);
    stop(&setting);
}

static void chunked_body_is_charged_as_it_grows(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, NULL);
    setting.budget.max_bytes = 40000;
    client_open(&client, &setting.fixture);
    char chunk[10001];
    memset(chunk, 'c', 10000);
    client_text(&client, "POST /budget HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        client_text(&client, "2710\r\n");
        client_send(&client, chunk, 10000);
        client_text(&client, "\r\n");
    }
    struct answer answer;
    client_read(&client, &answer, false);
    answer_expect(&answer, 503, "overloaded: too many request bytes in flight\n");
    answer_expect_header(&answer, "Retry-After", "7");
    answer_release(&answer);
    client_expect_end(&client);
    client_close(&client);
    stop(&setting);
}

static void expect_100_continue_is_answered_when_the_request_is_welcome(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    struct answer answer;
    start(&setting, NULL);
    client_open(&client, &setting.fixture);
    for (int i = 0; i < 2; i++) {
        client_text(&client, "POST /len HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n"
                             "Content-Length: 4\r\n\r\n");
        client_read(&client, &answer, false);
        assert_int_equal(answer.status, 100);
        assert_string_equal(answer.head, "HTTP/1.1 100 Continue\r\n");
        answer_release(&answer);
        assert_true(client_is_silent(&client, 20));
        client_text(&client, "body");
        expect_on(&client, 200, "4");
    }
    client_close(&client);
    stop(&setting);
}

static void expect_100_continue_is_refused_before_the_body(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, NULL);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /checked HTTP/1.1\r\n" HOST
                         "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    expect_closing(&client, 401, "who are you?\n");
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /nothing HTTP/1.1\r\n" HOST
                         "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    expect_closing(&client, 404, "404 page not found\n");
    client_open(&client, &setting.fixture);
    client_text(&client,
                "POST /len HTTP/1.1\r\n" HOST "Expect: miracles\r\nContent-Length: 4\r\n\r\n");
    expect_on(&client, 417, "Expectation Failed\n");
    client_close(&client);
    stop(&setting);
}

static void refused_by_check_the_body_is_discarded(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, NULL);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /checked HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody"
                         "POST /checked HTTP/1.1\r\n" HOST "Authorization: x\r\n"
                         "Content-Length: 3\r\n\r\nabc");
    expect_on(&client, 401, "who are you?\n");
    expect_on(&client, 200, "3");
    client_close(&client);
    stop(&setting);
}

/* The client goes on sending a large body that was refused: it must still get the answer, not a
 * reset. */
static void refused_while_sending_the_answer_is_not_lost(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, NULL);
    char piece[65536];
    memset(piece, 'p', sizeof(piece));
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /small HTTP/1.1\r\n" HOST "Content-Length: 16777216\r\n\r\n");
    for (int i = 0; i < 256; i++) {
        client_send(&client, piece, sizeof(piece));
    }
    expect_closing(&client, 413, SMALL_REFUSED);
    stop(&setting);
}

static const char *const malformed[] = {
    "\x16\x03\x01\x02garbage\r\n\r\n",
    "GET\r\n\r\n",
    "GET /len HTTP/1.1\r\nHost test\r\n\r\n",
    "GET /len HTTP/1.1\r\n" HOST ": y\r\n\r\n",
    "GET /len HTTP/1.1\r\n: y\r\n" HOST "\r\n",
    "GET /len HTTP/1.1\r\n" HOST "X: folded\r\n value\r\n\r\n",
    "GET /len HTTP/x.1\r\n" HOST "\r\n",
    "G\x01T /len HTTP/1.1\r\n" HOST "\r\n",
    "get /len HTTP/1.1\r\n" HOST "\r\n",
    "BREW /len HTTP/1.1\r\n" HOST "\r\n",
    "GET /len HTTP/1.1\r\n\r\n",                      /* no Host */
    "GET /len HTTP/1.1\r\n" HOST HOST "\r\n",         /* two */
    "GET /len HTTP/1.1\r\n" HOST "X-\x7f: 1\r\n\r\n", /* not a token */
    "GET /len HTTP/1.1\r\n" HOST "X : 1\r\n\r\n",     /* blank before the colon */
    "POST /len HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n",
    "POST /len HTTP/1.1\r\n" HOST "Content-Length: 1x\r\n\r\na",
    "POST /len HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc",
    "POST /len HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\nabc",
    "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "POST /len HTTP/1.1\r\n" HOST
    "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc", /* overflow */
    /* request smuggling */
    "POST /len HTTP/1.1\r\n" HOST
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /len HTTP/1.1\r\n" HOST
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST /len HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "POST /len HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding:\x0b"
    "chunked\r\n\r\n0\r\n\r\n",
    "POST /len HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
#if LLHTTP_STRICT_MODE
    "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    "GET /len HTTP/1.1\r\n" HOST "X: 1\rContent-Length: 5\r\n\r\nhello",
#endif
};

static void malformed_requests_get_400_and_the_end(void **state)
{
    (void)state;
    struct setting setting;
    start(&setting, NULL);
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        struct client client;
        struct answer answer;
        client_open(&client, &setting.fixture);
        client_text(&client, malformed[i]);
        client_read(&client, &answer, false);
        if (answer.status != 400) {
            fail_msg("%d for:\n%s", answer.status, malformed[i]);
        }
        answer_expect_header(&answer, "Connection", "close");
        assert_true(answer.body_len > 5);
        answer_release(&answer);
        client_expect_end(&client);
        client_close(&client);
    }
    expect_alive(&setting);
    stop(&setting);
}

/* The same however the bytes are cut. */
static void folded_header_is_refused_at_every_cut(void **state)
{
    (void)state;
    static const char request[] = "GET /len HTTP/1.1\r\n" HOST "X: a\r\n  b\r\n\r\n";
    struct setting setting;
    start(&setting, NULL);
    for (size_t cut = 30; cut < sizeof(request) - 1; cut++) {
        struct client client;
        client_open(&client, &setting.fixture);
        client_send(&client, request, cut);
        fixture_await_metric(&setting.fixture, "narthex_http_connections", 1);
        uv_sleep(2);
        client_send(&client, request + cut, sizeof(request) - 1 - cut);
        expect_closing(&client, 400, "malformed request: folded header field\n");
        fixture_await_metric(&setting.fixture, "narthex_http_connections", 0);
    }
    stop(&setting);
}

static void header_value_is_the_same_at_every_cut(void **state)
{
    (void)state;
    static const char request[] = "POST /checked HTTP/1.1\r\n" HOST "Authorization: a b  c\r\n"
                                  "Content-Length: 2\r\n\r\nxy";
    struct setting setting;
    struct client client;
    start(&setting, NULL);
    client_open(&client, &setting.fixture);
    for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
        client_send(&client, request, cut);
        uv_sleep(1);
        client_send(&client, request + cut, sizeof(request) - 1 - cut);
        expect_on(&client, 200, "2");
    }
    client_close(&client);
    stop(&setting);
}

/* Requests with bytes flipped, cut, doubled and dropped, in pieces: nobody may care but the sender.
 */
static void mutated_requests_do_no_harm(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        "POST /len?a=b HTTP/1.1\r\n" HOST "X: y z\r\nContent-Length: 5\r\n\r\nhello",
        "POST /len HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;a=b\r\nhello\r\n0\r\nT: t\r\n\r\n",
        "GET /len HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        "HEAD /len HTTP/1.1\r\n" HOST "\r\nDELETE /x%20y HTTP/1.0\r\n\r\n",
    };
    static const char spice[] = "\r\n \t:;,%0aZ\x00\xff\x7f?";
    struct setting setting;
    start(&setting, &hasty);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 42);
    for (int i = 0; i < 600; i++) {
        char text[512];
        const char *seed = seeds[nx_rand_below(&rand, 3)];
        size_t len = strlen(seed);
        memcpy(text, seed, len);
        for (uint64_t k = nx_rand_below(&rand, 4) + 1; k > 0; k--) {
            size_t at = nx_rand_below(&rand, len);
            switch (nx_rand_below(&rand, 4)) {
            case 0:
                text[at] = spice[nx_rand_below(&rand, sizeof(spice) - 1)];
                break;
            case 1:
                memmove(text + at, text + at + 1, len - at - 1);
                len--;
                break;
            case 2:
                memmove(text + at + 1, text + at, len - at);
                len++;
                break;
            default:
                text[at] = (char)nx_rand_below(&rand, 256);
                break;
            }
        }
        struct client client;
        client_open(&client, &setting.fixture);
        size_t cut = nx_rand_below(&rand, len);
        (void)send(client.fd, text, cut, MSG_NOSIGNAL);
        (void)send(client.fd, text + cut, len - cut, MSG_NOSIGNAL);
        if (i % 4 == 0) {
            char reply[4096];
            shutdown(client.fd, SHUT_WR);
            while (recv(client.fd, reply, sizeof(reply), 0) > 0) {
            }
        }
        client_close(&client);
    }
    expect_alive(&setting);
    stop(&setting);
}

static void nul_bytes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } requests[] = {
        {"GET /l\0en HTTP/1.1\r\n" HOST "\r\n", sizeof("GET /l\0en HTTP/1.1\r\n" HOST "\r\n") - 1},
        {"GET /len HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n",
         sizeof("GET /len HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n") - 1},
        {"\0\0\0\0", 4},
    };
    struct setting setting;
    start(&setting, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct client client;
        client_open(&client, &setting.fixture);
        client_send(&client, requests[i].bytes, requests[i].len);
        expect_closing(&client, 400, NULL);
    }
    stop(&setting);
}

static void other_protocols_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"GET /len HTTP/2.0\r\n" HOST "\r\n", 505},
        {"GET /len\r\n\r\n", 505},
        {"GET /len HTTP/0.9\r\n" HOST "\r\n", 505},
        {"CONNECT example.org:443 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501},
        {"POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {"GET /len HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
         200},
    };
    struct setting setting;
    start(&setting, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct answer answer;
        exchange(&setting.fixture, cases[i].request, &answer);
        if (answer.status != cases[i].status) {
            fail_msg("%d for:\n%s", answer.status, cases[i].request);
        }
        answer_release(&answer);
    }
    expect_alive(&setting);
    stop(&setting);
}

/* --- time-outs ----------------------------------------------------------------------------------
 */

static void header_not_finished_in_time_gets_408(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, &hasty);
    client_open(&client, &setting.fixture);
    client_text(&client, "GET /len HTTP/1.1\r\nHost: te");
    expect_closing(&client, 408, "request header not received in time\n");
    /* bytes that keep dripping do not help */
    client_open(&client, &setting.fixture);
    client_text(&client, "GET /len HTTP/1.1\r\nX: ");
    for (int i = 0; i < 100 && client_is_silent(&client, 10); i++) {
        client_text(&client, "x");
    }
    expect_closing(&client, 408, "request header not received in time\n");
    assert_true(fixture_metric(&setting.fixture, "narthex_http_timeouts_total{kind=\"header\"}") ==
                2);
    stop(&setting);
}

static void body_without_progress_gets_408(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, &hasty);
    static const char *const begins[] = {
        "POST /len HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nsome",
        "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n64\r\nsome",
        "POST /len HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
    };
    for (size_t i = 0; i < 3; i++) {
        client_open(&client, &setting.fixture);
        client_text(&client, begins[i]);
        expect_closing(&client, 408, "request body not received in time\n");
    }
    /* slow but steady is well */
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /len HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        uv_sleep(50);
        client_text(&client, "x");
    }
    expect_on(&client, 200, "10");
    client_close(&client);
    stop(&setting);
}

static void idle_connections_are_closed_silently(void **state)
{
    (void)state;
    struct setting setting;
    struct client fresh;
    struct client used;
    start(&setting, &hasty);
    client_open(&fresh, &setting.fixture);
    client_open(&used, &setting.fixture);
    client_text(&used, "GET /len HTTP/1.1\r\n" HOST "\r\n");
    expect_on(&used, 200, "0");
    client_expect_end(&fresh);
    client_expect_end(&used);
    client_close(&fresh);
    client_close(&used);
    assert_true(fixture_metric(&setting.fixture, "narthex_http_timeouts_total{kind=\"idle\"}") ==
                2);
    stop(&setting);
}

static void working_handler_is_not_an_idle_connection(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    start(&setting, &hasty);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /budget HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx");
    keeper_await(&setting.keeper, 1);
    assert_true(client_is_silent(&client, 600));
    keeper_release(&setting.keeper);
    expect_on(&client, 200, "kept");
    client_close(&client);
    stop(&setting);
}

static void say_much(struct nx_http_request *req, void *user)
{
    (void)user;
    size_t len = 32 << 20;
    struct nx_buf body;
    nx_buf_init(&body, len);
    if (nx_buf_reserve(&body, len) != NX_OK) {
        abort();
    }
    memset(body.data, 'm', len);
    body.len = len;
    nx_http_respond_buf(req, 200, "text/plain", &body);
}

static void client_that_never_reads_is_closed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct client client;
    fixture_init(&fixture, &hasty, 1);
    fixture_route(&fixture, NX_HTTP_GET, "/much", say_much, NULL);
    fixture_start(&fixture);
    client_open(&client, &fixture);
    client_text(&client, "GET /much HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_metric(&fixture, "narthex_http_timeouts_total{kind=\"write\"}", 1);
    fixture_await_metric(&fixture, "narthex_http_connections", 0);
    client_close(&client);
    /* a slow reader that makes progress gets everything */
    struct answer answer;
    client_open(&client, &fixture);
    client_text(&client, "GET /much HTTP/1.1\r\n" HOST "\r\n");
    char *scratch = nx_alloc(1 << 20);
    size_t got = 0;
    while (got < (6U << 20)) {
        ssize_t n = recv(client.fd, scratch, 1 << 20, 0);
        assert_true(n > 0);
        got += (size_t)n;
        uv_sleep(20);
    }
    nx_free(scratch);
    client_close(&client);
    client_open(&client, &fixture);
    client_text(&client, "GET /much HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &answer, false);
    answer_expect(&answer, 200, NULL);
    assert_int_equal(answer.body_len, 32 << 20);
    answer_release(&answer);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void pipelining_client_that_never_reads_stops_being_read(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.write_high_water_bytes = 100000,
                                             .write_timeout_ms = 500};
    struct fixture fixture;
    struct client client;
    fixture_init(&fixture, &options, 1);
    fixture_route(&fixture, NX_HTTP_GET, "/much", say_much, NULL);
    fixture_start(&fixture);
    client_open(&client, &fixture);
    for (int i = 0; i < 20; i++) {
        client_text(&client, "GET /much HTTP/1.1\r\n" HOST "\r\n");
    }
    fixture_await_metric(&fixture, "narthex_http_timeouts_total{kind=\"write\"}", 1);
    assert_true(
        fixture_metric(&fixture, "narthex_http_requests_total{route=\"/much\",code=\"2xx\"}") <= 2);
    client_close(&client);
    fixture_stop(&fixture, 1000);
}

static void connections_beyond_the_limit_get_503(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.max_connections = 2};
    struct setting setting;
    struct client clients[2];
    start(&setting, &options);
    for (int i = 0; i < 2; i++) {
        client_open(&clients[i], &setting.fixture);
        client_text(&clients[i], "GET /len HTTP/1.1\r\n" HOST "\r\n");
        expect_on(&clients[i], 200, "0");
    }
    for (int i = 0; i < 3; i++) {
        struct client third;
        client_open(&third, &setting.fixture);
        client_text(&third, "GET /len HTTP/1.1\r\n" HOST "\r\n");
        struct answer answer;
        client_read(&third, &answer, false);
        answer_expect(&answer, 503, "too many connections\n");
        answer_expect_header(&answer, "Connection", "close");
        answer_expect_header(&answer, "Retry-After", "1");
        answer_release(&answer);
        client_expect_end(&third);
        client_close(&third);
    }
    client_close(&clients[0]);
    fixture_await_metric(&setting.fixture, "narthex_http_connections", 1);
    expect_alive(&setting);
    assert_true(fixture_metric(&setting.fixture, "narthex_http_connections_refused_total") == 3);
    client_close(&clients[1]);
    stop(&setting);
}

/* --- memory -------------------------------------------------------------------------------------
 */

static atomic_int fail_after = -1;

static bool fail_on_workers(size_t size_bytes, void *user)
{
    (void)size_bytes;
    (void)user;
    if (!nx_worker_current() || atomic_load(&fail_after) < 0) {
        return true;
    }
    return atomic_fetch_sub(&fail_after, 1) != 0;
}

static void any_allocation_failing_costs_at_most_the_connection(void **state)
{
    (void)state;
    static const char request[] = "POST /len?a=b HTTP/1.1\r\n" HOST "X: y\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    nx_alloc_set_hook(fail_on_workers, NULL);
    bool all_well = false;
    for (int n = 0; n < 40 && !all_well; n++) {
        struct setting setting;
        struct client client;
        start(&setting, NULL);
        atomic_store(&fail_after, n);
        client_open(&client, &setting.fixture);
        (void)send(client.fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
        char reply[1024];
        ssize_t got = recv(client.fd, reply, sizeof(reply) - 1, 0);
        all_well = atomic_load(&fail_after) >= 0;
        atomic_store(&fail_after, -1);
        client_close(&client);
        if (got > 0) {
            reply[got] = '\0';
            assert_true(strstr(reply, "HTTP/1.1 200 OK") == reply ||
                        strstr(reply, "HTTP/1.1 503 ") == reply);
        }
        assert_true(!all_well || (n > 5 && got > 0));
        expect_alive(&setting);
        stop(&setting);
    }
    assert_true(all_well);
    nx_alloc_set_hook(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_beyond_its_limit_gets_431),
        cmocka_unit_test(too_many_header_fields_get_431),
        cmocka_unit_test(body_too_large_is_refused_before_it_is_read),
        cmocka_unit_test(short_body_too_large_leaves_the_connection_usable),
        cmocka_unit_test(chunked_body_too_large_is_refused_as_it_grows),
        cmocka_unit_test(endless_trailers_and_chunk_extensions_are_bounded),
        cmocka_unit_test(budget_exhausted_gets_503_with_retry_after),
        cmocka_unit_test(body_beyond_the_whole_budget_gets_413),
        cmocka_unit_test(chunked_body_is_charged_as_it_grows),
        cmocka_unit_test(expect_100_continue_is_answered_when_the_request_is_welcome),
        cmocka_unit_test(expect_100_continue_is_refused_before_the_body),
        cmocka_unit_test(refused_by_check_the_body_is_discarded),
        cmocka_unit_test(refused_while_sending_the_answer_is_not_lost),
        cmocka_unit_test(malformed_requests_get_400_and_the_end),
        cmocka_unit_test(folded_header_is_refused_at_every_cut),
        cmocka_unit_test(header_value_is_the_same_at_every_cut),
        cmocka_unit_test(mutated_requests_do_no_harm),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(other_protocols_are_refused),
        cmocka_unit_test(header_not_finished_in_time_gets_408),
        cmocka_unit_test(body_without_progress_gets_408),
        cmocka_unit_test(idle_connections_are_closed_silently),
        cmocka_unit_test(working_handler_is_not_an_idle_connection),
        cmocka_unit_test(client_that_never_reads_is_closed),
        cmocka_unit_test(pipelining_client_that_never_reads_stops_being_read),
        cmocka_unit_test(connections_beyond_the_limit_get_503),
        cmocka_unit_test(any_allocation_failing_costs_at_most_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
