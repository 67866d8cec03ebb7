/* Calls with one answer, and the life of who makes them; over HTTP and within the process. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "rpc_fixture.h"

/* --- unary -------------------------------------------------------------------------------------
 */

static void call_returns_the_message(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p, .method = "echo", .body_text = "hello"};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_OK);
    assert_string_equal(o.answer, "hello");
    assert_string_equal(o.text, "");
    struct outcome empty = {.p = &p, .worker = 1, .method = "echo"};
    call_and_wait(&empty);
    assert_int_equal(empty.err, NX_OK);
    assert_int_equal(empty.answer_bytes, 0);
    struct outcome big = {.p = &p, .worker = 2, .method = "echo", .body_bytes = 8 << 20};
    call_and_wait(&big);
    assert_int_equal(big.err, NX_OK);
    assert_int_equal(big.answer_bytes, 8 << 20);
    process_finish(&p);
}

BOTH(call_returns_the_message)

static void error_travels_with_code_and_text(bool local)
{
    struct process p;
    process_start(&p, local);
    for (int code = NX_ERR_NOMEM; code >= NX_ERR_CLUSTER; code--) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%d", code);
        struct outcome o = {.p = &p, .method = "fail", .body_text = number};
        call_and_wait(&o);
        assert_int_equal(o.err, code);
        assert_string_equal(o.text, "no more of this");
    }
    process_finish(&p);
}

BOTH(error_travels_with_code_and_text)

static void method_unknown_is_an_error(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p, .method = "nonsense"};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_ERR_METHOD);
    process_finish(&p);
}

BOTH(method_unknown_is_an_error)

static void body_beyond_limit_is_too_large(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p, .method = "small", .body_bytes = 1001};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_ERR_TOO_LARGE);
    struct outcome fits = {.p = &p, .method = "small", .body_bytes = 1000};
    call_and_wait(&fits);
    assert_int_equal(fits.err, NX_OK);
    process_finish(&p);
}

BOTH(body_beyond_limit_is_too_large)

static void budget_exceeded_is_overloaded_and_given_back(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome first = {.p = &p, .method = "budget", .body_bytes = 60000};
    call_begin(&first);
    await_count(&p.served, 1);
    assert_int_equal(atomic_load(&p.budget.used_bytes), 60000);
    struct outcome second = {.p = &p, .method = "budget", .body_bytes = 60000};
    call_and_wait(&second);
    assert_int_equal(second.err, NX_ERR_OVERLOADED);
    on_worker(&p, 0, cancel_call, &first);
    call_await(&first);
    await_count(&p.cancels, 1);
    for (int i = 0; i < 1000 && atomic_load(&p.budget.used_bytes) > 0; i++) {
        nap();
    }
    assert_int_equal(atomic_load(&p.budget.used_bytes), 0);
    process_finish(&p);
}

BOTH(budget_exceeded_is_overloaded_and_given_back)

static void timeout_ends_the_call_and_tells_the_callee(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p, .method = "hold", .timeout_ms = 50};
    call_and_wait(&o);
    assert_int_equal(o.err, NX_ERR_TIMEOUT);
    await_count(&p.cancels, 1);
    process_finish(&p);
    assert_int_equal(atomic_load(&o.times), 1);
}

BOTH(timeout_ends_the_call_and_tells_the_callee)

static void cancel_ends_the_call_and_tells_the_callee(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o = {.p = &p, .method = "hold"};
    call_begin(&o);
    await_count(&p.served, 1);
    on_worker(&p, 0, cancel_call, &o);
    call_await(&o);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    await_count(&p.cancels, 1);
    struct outcome at_once = {.p = &p, .method = "hold", .cancel_at_once = true};
    call_and_wait(&at_once);
    assert_int_equal(at_once.err, NX_ERR_CANCELED);
    process_finish(&p);
    assert_int_equal(atomic_load(&at_once.times), 1);
}

BOTH(cancel_ends_the_call_and_tells_the_callee)

/* --- life --------------------------------------------------------------------------------------
 */

static void close_cancels_every_call(bool local)
{
    struct process p;
    process_start(&p, local);
    struct outcome o[20];
    for (size_t i = 0; i < 20; i++) {
        o[i] = (struct outcome){.p = &p, .worker = i % WORKERS, .method = "hold"};
        if (i % 4 == 3) {
            o[i].method = "stream";
            o[i].body_text = "4000000000 8192 0";
            o[i].streamed = true;
        }
        call_begin(&o[i]);
    }
    close_clients(&p);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(atomic_load(&o[i].times), 1);
        assert_string_equal(o[i].text, nx_err_text(NX_ERR_CANCELED));
        assert_int_equal(o[i].err, NX_ERR_CANCELED);
    }
    process_finish(&p);
}

BOTH(close_cancels_every_call)

static void calls_of_all_kinds_at_once_end_once_each(bool local)
{
    struct process p;
    process_start(&p, local);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 42);
    static struct outcome o[600];
    static const char *const methods[] = {"echo", "fail", "stream", "hold", "stream", "echo"};
    for (size_t i = 0; i < 600; i++) {
        uint64_t kind = nx_rand_below(&rand, 6);
        o[i] = (struct outcome){.p = &p, .worker = i % WORKERS, .method = methods[kind]};
        o[i].body_text = kind == 1   ? "-11"
                         : kind == 2 ? "200 2000 0"
                         : kind == 4 ? "90 9000 60"
                                     : "x";
        o[i].streamed = kind == 2 || kind == 4;
        o[i].timeout_ms = kind == 3 ? 1 + nx_rand_below(&rand, 30) : 0;
        o[i].cancel_at = nx_rand_below(&rand, 4) == 0 ? (unsigned)nx_rand_below(&rand, 50) : 0;
        o[i].cancel_at_once = nx_rand_below(&rand, 10) == 0;
        call_begin(&o[i]);
        assert_int_equal(o[i].started, NX_OK);
    }
    for (size_t i = 0; i < 600; i++) {
        call_await(&o[i]);
    }
    process_finish(&p);
    for (size_t i = 0; i < 600; i++) {
        assert_int_equal(atomic_load(&o[i].times), 1);
        assert_false(o[i].out_of_order);
    }
}

BOTH(calls_of_all_kinds_at_once_end_once_each)

/* --- memory ---------------------------------------------------------------------------------- */

static bool fail_countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    long *left = user;
    return (*left)-- != 0;
}

/* One loop on the test's own thread, so that the n-th allocation is the same one each time. */
static long call_with_failure(const char *method, const char *body, bool streamed, long fail_at)
{
    struct process p = {.clients_closed = false};
    struct nx_workers_options options = {.count = 1, .name = "rpc"};
    assert_int_equal(nx_workers_new(&options, &p.workers), NX_OK);
    assert_int_equal(nx_rpc_server_new(NULL, p.workers, NULL, &p.rpc), NX_OK);
    process_add_methods(&p);
    struct nx_worker *worker = nx_workers_at(p.workers, 0);
    assert_int_equal(nx_rpc_client_new(worker, NULL, p.rpc, "self:1", &p.clients[0]), NX_OK);
    struct nx_buf request;
    nx_buf_init(&request, 1000);
    nx_buf_append_str(&request, body);
    struct outcome o = {.p = &p};
    struct nx_rpc_call_options call_options = {
        .address = "self:1",
        .method = method,
        .body = &request,
        .timeout_ms = 5000,
        .on_frame = streamed ? on_frame : NULL,
        .done = on_done,
        .user = &o,
    };
    nx_alloc_set_hook(fail_countdown, &fail_at);
    enum nx_err err = nx_rpc_call(p.clients[0], &call_options, &o.call);
    while (err == NX_OK && atomic_load(&o.times) == 0) {
        uv_run(nx_worker_loop(worker), UV_RUN_NOWAIT);
    }
    nx_alloc_set_hook(NULL, NULL);
    err = err == NX_OK ? o.err : err;
    assert_true(err == NX_ERR_NOMEM || (err == NX_OK && fail_at >= 0) ||
                (err == NX_OK && streamed)); /* a turn of the loop may be saved */
    atomic_int open = 1;
    nx_rpc_client_close(p.clients[0], on_client_closed, &open);
    nx_workers_stop(p.workers);
    assert_int_equal(open, 0);
    nx_rpc_server_free(p.rpc);
    nx_workers_free(p.workers);
    return fail_at;
}

static void allocation_failing_anywhere_ends_the_call(void **state)
{
    (void)state;
    long n = 0;
    for (; call_with_failure("echo", "hello", false, n) < 0; n++) {
    }
    assert_true(n >= 3);
    n = 0;
    for (; call_with_failure("stream", "30 100000 0", true, n) < 0; n++) {
    }
    assert_true(n > 30);
}

int main(void)
{
#define PAIR(name) cmocka_unit_test(name##_over_http), cmocka_unit_test(name##_within_process)
    const struct CMUnitTest tests[] = {
        PAIR(call_returns_the_message),
        PAIR(error_travels_with_code_and_text),
        PAIR(method_unknown_is_an_error),
        PAIR(body_beyond_limit_is_too_large),
        PAIR(budget_exceeded_is_overloaded_and_given_back),
        PAIR(timeout_ends_the_call_and_tells_the_callee),
        PAIR(cancel_ends_the_call_and_tells_the_callee),
        PAIR(close_cancels_every_call),
        PAIR(calls_of_all_kinds_at_once_end_once_each),
        cmocka_unit_test(allocation_failing_anywhere_ends_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
