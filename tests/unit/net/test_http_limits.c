/* Limits on size, memory and connections, and what is answered beyond them. */
#include <string.h>
#include <sys/socket.h>

#include "common/base/alloc.h"
#include "http_limits_fixture.h"

static void header_beyond_its_limit_gets_431(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.max_header_bytes = 4096};
    struct setting setting;
    setting_start(&setting, &options);
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
    setting_stop(&setting);
}

static void too_many_header_fields_get_431(void **state)
{
    (void)state;
    struct setting setting;
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

static void body_too_large_is_refused_before_it_is_read(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

static void short_body_too_large_leaves_the_connection_usable(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    char body[102] = "";
    memset(body, 'b', 101);
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

static void chunked_body_too_large_is_refused_as_it_grows(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

static void endless_trailers_and_chunk_extensions_are_bounded(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.max_header_bytes = 4096};
    struct setting setting;
    setting_start(&setting, &options);
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
    setting_stop(&setting);
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
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

static void body_beyond_the_whole_budget_gets_413(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, NULL);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /budget HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n");
    expect_on(&client, 413, "request body too large (limit: 1000 bytes)\n");
    client_close(&client);
    setting_stop(&setting);
}

static void chunked_body_is_charged_as_it_grows(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

static void expect_100_continue_is_answered_when_the_request_is_welcome(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    struct answer answer;
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

static void expect_100_continue_is_refused_before_the_body(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, NULL);
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
    setting_stop(&setting);
}

static void refused_by_check_the_body_is_discarded(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, NULL);
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /checked HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody"
                         "POST /checked HTTP/1.1\r\n" HOST "Authorization: x\r\n"
                         "Content-Length: 3\r\n\r\nabc");
    expect_on(&client, 401, "who are you?\n");
    expect_on(&client, 200, "3");
    client_close(&client);
    setting_stop(&setting);
}

/* The client goes on sending a large body that was refused: it must still get the answer, not a
 * reset. */
static void refused_while_sending_the_answer_is_not_lost(void **state)
{
    (void)state;
    struct setting setting;
    struct client client;
    setting_start(&setting, NULL);
    char piece[65536];
    memset(piece, 'p', sizeof(piece));
    client_open(&client, &setting.fixture);
    client_text(&client, "POST /small HTTP/1.1\r\n" HOST "Content-Length: 16777216\r\n\r\n");
    for (int i = 0; i < 256; i++) {
        client_send(&client, piece, sizeof(piece));
    }
    expect_closing(&client, 413, SMALL_REFUSED);
    setting_stop(&setting);
}

static void connections_beyond_the_limit_get_503(void **state)
{
    (void)state;
    struct nx_http_server_options options = {.max_connections = 2};
    struct setting setting;
    struct client clients[2];
    setting_start(&setting, &options);
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
    setting_stop(&setting);
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
        setting_start(&setting, NULL);
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
        setting_stop(&setting);
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
        cmocka_unit_test(connections_beyond_the_limit_get_503),
        cmocka_unit_test(any_allocation_failing_costs_at_most_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
