/* Requests that are none, cut or changed anywhere. */
#include <string.h>
#include <sys/socket.h>

#include "common/base/rand.h"
#include "http_limits_fixture.h"

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
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

/* The same however the bytes are cut. */
static void folded_header_is_refused_at_every_cut(void **state)
{
    (void)state;
    static const char request[] = "GET /len HTTP/1.1\r\n" HOST "X: a\r\n  b\r\n\r\n";
    struct setting setting;
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

static void header_value_is_the_same_at_every_cut(void **state)
{
    (void)state;
    static const char request[] = "POST /checked HTTP/1.1\r\n" HOST "Authorization: a b  c\r\n"
                                  "Content-Length: 2\r\n\r\nxy";
    struct setting setting;
    struct client client;
    setting_start(&setting, NULL);
    client_open(&client, &setting.fixture);
    for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
        client_send(&client, request, cut);
        uv_sleep(1);
        client_send(&client, request + cut, sizeof(request) - 1 - cut);
        expect_on(&client, 200, "2");
    }
    client_close(&client);
    setting_stop(&setting);
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
    setting_start(&setting, &hasty);
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
    setting_stop(&setting);
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
    setting_start(&setting, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct client client;
        client_open(&client, &setting.fixture);
        client_send(&client, requests[i].bytes, requests[i].len);
        expect_closing(&client, 400, NULL);
    }
    setting_stop(&setting);
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
    setting_start(&setting, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct answer answer;
        exchange(&setting.fixture, cases[i].request, &answer);
        if (answer.status != cases[i].status) {
            fail_msg("%d for:\n%s", answer.status, cases[i].request);
        }
        answer_release(&answer);
    }
    expect_alive(&setting);
    setting_stop(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_requests_get_400_and_the_end),
        cmocka_unit_test(folded_header_is_refused_at_every_cut),
        cmocka_unit_test(header_value_is_the_same_at_every_cut),
        cmocka_unit_test(mutated_requests_do_no_harm),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(other_protocols_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
