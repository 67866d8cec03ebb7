/* What only calls over a network meet: other clusters, absent processes, broken answers. */
#include <stdio.h>

#include "rpc_fixture.h"
#include "scripted_server.h"

/* --- what only a network does ------------------------------------------------------------------
 */

static void address_bad_is_refused_at_once(void **state)
{
    (void)state;
    struct process p;
    process_start(&p, false);
    const char *const addresses[] = {"",      "a b:1", "h:1/x",      "user@h:1",
                                     "h:1?x", "h:1#x", "h:1\r\nX: y"};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct outcome o = {.p = &p, .address = addresses[i], .method = "echo", .body_text = "x"};
        call_begin(&o);
        assert_int_equal(o.started, NX_ERR_INVALID);
    }
    struct outcome o = {.p = &p, .method = "echo?x", .body_text = "x"};
    call_begin(&o);
    assert_int_equal(o.started, NX_ERR_INVALID);
    process_finish(&p);
}

static void expect_refusal(struct process *p, const char *method, size_t body_bytes, bool streamed,
                           const char *text)
{
    struct outcome o = {.p = p, .method = method, .body_bytes = body_bytes, .streamed = streamed};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_ERR_CLUSTER);
    assert_string_equal(o.text, text);
}

static void call_from_another_cluster_is_refused_naming_both(void **state)
{
    (void)state;
    struct process p;
    static const char text[] = "belongs to narthex/512/3, not to other/512/3";
    process_start_in(&p, false, "narthex/512/3", "other/512/3");
    expect_refusal(&p, "echo", 5, false, text);
    expect_refusal(&p, "stream", 0, true, text);
    expect_refusal(&p, "budget", 50000, false, text);
    expect_refusal(&p, "echo", 8 << 20, false, text); /* its body is not read */
    assert_int_equal(atomic_load(&p.budget.used_bytes), 0);
    struct outcome open = {.p = &p, .method = "small", .body_text = "x"};
    call_and_wait(&open);
    assert_int_equal(open.err, NX_OK);
    assert_string_equal(open.answer, "x");
    process_finish(&p);
}

static void call_that_names_no_cluster_is_refused(void **state)
{
    (void)state;
    struct process p;
    process_start_in(&p, false, "narthex/512/3", NULL);
    expect_refusal(&p, "echo", 5, false, "belongs to narthex/512/3; the call names no cluster");
    struct outcome open = {.p = &p, .method = "small", .body_text = "x"};
    call_and_wait(&open);
    assert_int_equal(open.err, NX_OK);
    process_finish(&p);
}

static void call_from_the_same_cluster_is_served(bool local)
{
    struct process p;
    process_start_in(&p, local, "narthex/512/3", local ? NULL : "narthex/512/3");
    struct outcome o = {.p = &p, .method = "echo", .body_text = "x"};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_OK);
    assert_string_equal(o.answer, "x");
    process_finish(&p);
    process_start_in(&p, local, NULL, "narthex/512/3"); /* a callee that does not compare */
    struct outcome lax = {.p = &p, .method = "echo", .body_text = "x"};
    call_and_wait(&lax);
    assert_int_equal(lax.err, NX_OK);
    process_finish(&p);
}

BOTH(call_from_the_same_cluster_is_served)

static void cluster_that_no_header_can_carry_is_invalid(void **state)
{
    (void)state;
    struct process p;
    char name[202];
    memset(name, 'x', sizeof(name));
    name[201] = '\0';
    process_start_in(&p, false, NULL, NULL);
    const char *const bad[] = {"", "a b", "a\r\nX: y", "\xC3\xA9", "a\x7F", name};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(nx_rpc_server_set_cluster(p.rpc, bad[i]), NX_ERR_INVALID);
        assert_int_equal(nx_rpc_client_set_cluster(p.clients[0], bad[i]), NX_ERR_INVALID);
    }
    process_finish(&p);
    name[200] = '\0';
    process_start_in(&p, false, name, name);
    struct outcome o = {.p = &p, .method = "echo", .body_text = "x"};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_OK);
    process_finish(&p);
}

static void process_absent_is_unavailable(void **state)
{
    (void)state;
    struct process p;
    process_start(&p, false);
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", scripted_free_port());
    struct outcome o = {.p = &p, .address = address, .method = "echo"};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_ERR_UNAVAILABLE);
    process_finish(&p);
}

static void say(int fd, int nth, void *user)
{
    char request[8192];
    const struct nx_view *answer = user;
    (void)nth;
    if (scripted_read_request(fd, request, sizeof(request))) {
        scripted_send_bytes(fd, answer->ptr, answer->len);
    }
}

#define STREAM_HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-narthex-frames\r\nConnection: close\r\n\r\n"

#define MESSAGE_HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nConnection: close\r\n\r\n"

static void answers_cut_or_strange_are_errors(void **state)
{
    (void)state;
    static const struct {
        struct nx_view answer;
        bool streamed;
        enum nx_err err;
    } cases[] = {
        {NX_VIEW(STREAM_HEAD "\x08\0\0\0\0\0\0\0four"), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW(STREAM_HEAD "\x08\0\0\0\0\0\0"), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW(STREAM_HEAD "\x08\0"), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW(STREAM_HEAD), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW(STREAM_HEAD "\x08\0\0\0\0\0\0\0four\0\0\0\0"), true, NX_OK},
        {NX_VIEW(STREAM_HEAD "\0\0\0\0rest"), true, NX_ERR_CORRUPT},
        {NX_VIEW(STREAM_HEAD "\0\0\0\x70rest"), true, NX_ERR_TOO_LARGE},
        {NX_VIEW(STREAM_HEAD "\x0E\0\0\x80"
                             "ERR_LIMIT full"),
         true, NX_ERR_LIMIT},
        {NX_VIEW(MESSAGE_HEAD "x"), true, NX_ERR_CORRUPT},
        {NX_VIEW(STREAM_HEAD "\0\0\0\0"), false, NX_ERR_CORRUPT},
        {NX_VIEW("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), false, NX_ERR_CORRUPT},
        {NX_VIEW(""), false, NX_ERR_UNAVAILABLE},
        {NX_VIEW("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"), false,
         NX_ERR_OVERLOADED},
        {NX_VIEW("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), true, NX_ERR_METHOD},
        {NX_VIEW(
             "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
         false, NX_ERR_UNAVAILABLE},
        {NX_VIEW("HTTP/1.1 422 X\r\nX-Narthex-Error: ERR_LIMIT\r\nContent-Length: 4\r\n\r\nfull"),
         false, NX_ERR_LIMIT},
        {NX_VIEW("HTTP/1.1 422 X\r\nX-Narthex-Error: ERR_FUTURE\r\nContent-Length: 4\r\n\r\nfull"),
         false, NX_ERR_INTERNAL},
    };
    struct process p;
    process_start(&p, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_view answer = cases[i].answer;
        struct scripted_server *server = scripted_server_start(say, &answer);
        char address[32];
        (void)snprintf(address, sizeof(address), "127.0.0.1:%u", scripted_server_port(server));
        struct outcome o = {
            .p = &p, .address = address, .method = "echo", .streamed = cases[i].streamed};
        call_and_wait(&o);
        if (o.err != cases[i].err) {
            print_message("case %zu: %s\n", i, o.text);
        }
        assert_int_equal(o.err, cases[i].err);
        scripted_server_stop(server);
    }
    process_finish(&p);
}

int main(void)
{
#define PAIR(name) cmocka_unit_test(name##_over_http), cmocka_unit_test(name##_within_process)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_bad_is_refused_at_once),
        cmocka_unit_test(call_from_another_cluster_is_refused_naming_both),
        cmocka_unit_test(call_that_names_no_cluster_is_refused),
        PAIR(call_from_the_same_cluster_is_served),
        cmocka_unit_test(cluster_that_no_header_can_carry_is_invalid),
        cmocka_unit_test(process_absent_is_unavailable),
        cmocka_unit_test(answers_cut_or_strange_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
