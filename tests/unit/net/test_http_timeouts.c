/* Clients that are slow, silent, or do not read. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/alloc.h"
#include "http_limits_fixture.h"

/* --- time-outs ----------------------------------------------------------------------------------
 */

static void header_not_finished_in_time_gets_408(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, &hasty);
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
    setting_stop(&setting);
}

static void body_without_progress_gets_408(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, &hasty);
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
    setting_stop(&setting);
}

static void idle_connections_are_closed_silently(void **state)
{
    (void)state;
    struct setting setting;
    struct client fresh;
    struct client used;
    setting_start(&setting, &hasty);
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
    setting_stop(&setting);
}

static void working_handler_is_not_an_idle_connection(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, &hasty);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /budget HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx");
    keeper_await(&setting.keeper, 1);
    assert_true(client_is_silent(&client, 600));
    keeper_release(&setting.keeper);
    expect_on(&client, 200, "kept");
    client_close(&client);
    setting_stop(&setting);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_not_finished_in_time_gets_408),
        cmocka_unit_test(body_without_progress_gets_408),
        cmocka_unit_test(idle_connections_are_closed_silently),
        cmocka_unit_test(working_handler_is_not_an_idle_connection),
        cmocka_unit_test(client_that_never_reads_is_closed),
        cmocka_unit_test(pipelining_client_that_never_reads_stops_being_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
