/* The whole way of a write request through a real HTTP server, ring and RPC on loopback, with an
 * ingester that the test plays: statuses, headers and texts, bad input, memory given back, drain.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/http_server.h"
#include "common/net/rpc.h"
#include "common/ring/ring.h"
#include "distributor/distributor_internal.h"
#include "distributor/metrics.h"
#include "distributor/push_message.h"
#include "tests/unit/distributor/dist_test.h"

enum { WORKERS = 2 };

enum mode { MODE_STORE, MODE_CONFLICT, MODE_LIMIT, MODE_FAIL, MODE_HOLD };

struct fixture {
    struct dist_settings settings;
    struct nx_limit_settings limits;
    struct nx_telemetry *telemetry;
    struct nx_workers *workers;
    struct nx_http_server *http;
    struct nx_rpc_server *rpc;
    struct nx_ring *ring;
    struct nx_rpc_client *clients[WORKERS];
    struct distributor *dist;
    uint16_t port;
    atomic_int mode;
    atomic_size_t stored; /* samples the ingester has been given */
    sem_t done;
};

/* --- the ingester --- */

static void reply(struct nx_rpc_request *req, const Narthex__PushResponse *response)
{
    struct nx_buf out;
    nx_buf_init(&out, SIZE_MAX);
    size_t len = narthex__push_response__get_packed_size(response);
    assert_int_equal(nx_buf_reserve(&out, len), NX_OK);
    out.len = narthex__push_response__pack(response, (uint8_t *)(void *)out.data);
    nx_rpc_reply(req, &out);
}

static void on_cancel(void *user)
{
    nx_rpc_reply_error(user, NX_ERR_CANCELED, "the caller went away");
}

static void on_push(struct nx_rpc_request *req, void *user)
{
    struct fixture *f = user;
    struct nx_view body = nx_rpc_request_body(req);
    Narthex__PushRequest *push =
        narthex__push_request__unpack(NULL, body.len, (const uint8_t *)(const void *)body.ptr);
    assert_non_null(push);
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    Narthex__Refusal refusal = NARTHEX__REFUSAL__INIT;
    Narthex__Refusal *refusals[] = {&refusal};
    int mode = atomic_load(&f->mode);
    response.incarnation = 1;
    refusal.count = 1;
    refusal.timestamp = 1000;
    if (mode == MODE_CONFLICT || mode == MODE_LIMIT) {
        refusal.code = mode == MODE_CONFLICT ? NX_ERR_CONFLICT : NX_ERR_RATE_LIMITED;
        response.n_refused = 1;
        response.refused = refusals;
    } else if (mode == MODE_STORE) {
        (void)atomic_fetch_add(&f->stored, push->n_timestamps);
    }
    narthex__push_request__free_unpacked(push, NULL);
    if (mode == MODE_FAIL)
        nx_rpc_reply_error(req, NX_ERR_NOSPACE, "disk full");
    else if (mode == MODE_HOLD)
        nx_rpc_request_on_cancel(req, on_cancel, req);
    else
        reply(req, &response);
}

/* --- set-up and shut-down --- */

static void signal_done(void *user)
{
    (void)sem_post(&((struct fixture *)user)->done);
}

struct step {
    struct nx_task task;
    struct fixture *f;
    void (*run)(struct fixture *f);
};

static void run_step(struct nx_task *task)
{
    struct step *step = (struct step *)(void *)task;
    step->run(step->f);
}

/* On worker 0, until it has called signal_done. */
static void on_worker(struct fixture *f, void (*run)(struct fixture *f))
{
    struct step step = {.task = {.run = run_step}, .f = f, .run = run};
    assert_int_equal(nx_worker_post(nx_workers_at(f->workers, 0), &step.task), NX_OK);
    (void)sem_wait(&f->done);
}

static void start_ring(struct fixture *f)
{
    assert_int_equal(nx_ring_start(f->ring, f->clients[0]), NX_OK);
    signal_done(f);
}

static void stop_ring(struct fixture *f)
{
    nx_ring_stop(f->ring, signal_done, f);
}

static void drain(struct fixture *f)
{
    dist_drain(f->dist, signal_done, f);
}

static void open_everything(struct fixture *f)
{
    struct nx_workers_options workers = {.count = WORKERS, .name = "test"};
    struct nx_http_server_options http = {.host = "127.0.0.1",
                                          .max_body_bytes = 1 << 20,
                                          .body_timeout_ms = 300,
                                          .header_timeout_ms = 300};
    char members[64];
    assert_int_equal(nx_telemetry_new(&f->telemetry), NX_OK);
    assert_int_equal(nx_workers_new(&workers, &f->workers), NX_OK);
    assert_int_equal(nx_http_server_new(&http, f->workers, NULL, f->telemetry, &f->http), NX_OK);
    assert_int_equal(nx_rpc_server_new(f->http, f->workers, NULL, &f->rpc), NX_OK);
    assert_int_equal(nx_rpc_server_method(f->rpc, "push", on_push, f, 0, NULL), NX_OK);
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_http_server_listen(f->http, &fail), NX_OK);
    f->port = nx_http_server_port(f->http);
    (void)snprintf(members, sizeof members, "self@127.0.0.1:%u", f->port);
    struct nx_ring_options ring = {.backend = "static",
                                   .members = members,
                                   .cluster = "test",
                                   .partitions = 8,
                                   .rf = 1,
                                   .heartbeat_interval_ms = 1000,
                                   .heartbeat_timeout_ms = 5000,
                                   .self = {.name = "self", .is_member = true, .incarnation = 1}};
    assert_int_equal(
        nx_ring_new(&ring, nx_clock_system(), f->rpc, NULL, f->telemetry, &f->ring, &fail), NX_OK);
    nx_ring_set_self_state(f->ring, NX_MEMBER_ACTIVE);
    nx_ring_set_self_serving(f->ring, true);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(
            nx_rpc_client_new(nx_workers_at(f->workers, i), NULL, NULL, NULL, &f->clients[i]),
            NX_OK);
    struct dist_deps deps = {.settings = &f->settings,
                             .limits = &f->limits,
                             .workers = f->workers,
                             .http = f->http,
                             .clients = f->clients,
                             .ring = f->ring,
                             .clock = nx_clock_system(),
                             .telemetry = f->telemetry,
                             .address = "self",
                             .cluster = "test"};
    assert_int_equal(dist_new(&deps, &f->dist, NULL), NX_OK);
    assert_int_equal(nx_workers_start(f->workers), NX_OK);
    on_worker(f, start_ring);
}

static int set_up(void **state)
{
    struct fixture *f = nx_calloc(1, sizeof *f);
    f->settings = test_settings();
    f->limits = (struct nx_limit_settings){.limits = test_limits().max,
                                           .ha_cluster_label = "cluster",
                                           .ha_replica_label = "__replica__"};
    f->settings.max_body_bytes = 1 << 20;
    f->settings.max_decoded_bytes = 1 << 20;
    f->settings.max_inflight_bytes = 8 << 20;
    f->settings.push_timeout_ms = 2000;
    (void)sem_init(&f->done, 0, 0);
    open_everything(f);
    *state = f;
    return 0;
}

struct closing {
    struct nx_task task;
    struct fixture *f;
    struct nx_rpc_client *client;
};

static void close_client(struct nx_task *task)
{
    struct closing *closing = (struct closing *)(void *)task;
    nx_rpc_client_close(closing->client, signal_done, closing->f);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    nx_http_server_stop(f->http, 1000, signal_done, f);
    (void)sem_wait(&f->done);
    on_worker(f, drain);
    assert_int_equal(atomic_load(&f->dist->budget.used_bytes), 0);
    assert_int_equal(atomic_load(&f->dist->pushes), 0);
    on_worker(f, stop_ring);
    for (size_t i = 0; i < WORKERS; i++) {
        struct closing closing = {.task = {.run = close_client}, .f = f, .client = f->clients[i]};
        assert_int_equal(nx_worker_post(nx_workers_at(f->workers, i), &closing.task), NX_OK);
        (void)sem_wait(&f->done);
    }
    nx_workers_stop(f->workers);
    dist_free(f->dist);
    nx_ring_free(f->ring);
    nx_rpc_server_free(f->rpc);
    nx_http_server_free(f->http);
    nx_workers_free(f->workers);
    nx_telemetry_free(f->telemetry);
    (void)sem_destroy(&f->done);
    nx_free(f);
    return 0;
}

/* --- a client --- */

static int open_socket(const struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(f->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_bytes(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server may answer and close before it has read all */
        bytes += sent;
        len -= (size_t)sent;
    }
}

struct reply {
    int status;
    char bytes[4096];
};

static void read_reply(int fd, struct reply *reply)
{
    size_t len = 0;
    for (;;) {
        ssize_t got = recv(fd, reply->bytes + len, sizeof reply->bytes - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    reply->bytes[len] = '\0';
    reply->status =
        strncmp(reply->bytes, "HTTP/1.1 ", 9) == 0 ? (int)strtol(reply->bytes + 9, NULL, 10) : 0;
}

static void post(const struct fixture *f, const char *headers, struct nx_view body,
                 struct reply *reply)
{
    char head[512];
    int len =
        snprintf(head, sizeof head,
                 "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: "
                 "%zu\r\n\r\n",
                 headers, body.len);
    int fd = open_socket(f);
    send_bytes(fd, head, (size_t)len);
    send_bytes(fd, body.ptr, body.len);
    read_reply(fd, reply);
    (void)close(fd);
}

static const char good_headers[] =
    "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";

static void post_message(const struct fixture *f, struct nx_buf *message, struct reply *reply)
{
    struct nx_buf body = test_snappy(nx_buf_view(message));
    post(f, good_headers, nx_buf_view(&body), reply);
    nx_buf_release(&body);
    nx_buf_release(message);
}

static void expect(const struct reply *reply, int status, const char *text)
{
    if (reply->status != status || !strstr(reply->bytes, text))
        fail_msg("expected %d with \"%s\", got:\n%s", status, text, reply->bytes);
}

static struct nx_buf one_series(const char *name, int64_t timestamp)
{
    struct nx_buf message, series;
    nx_buf_init(&message, SIZE_MAX);
    nx_buf_init(&series, SIZE_MAX);
    test_put_label(&series, "__name__", name);
    test_put_label(&series, "job", "test");
    test_put_sample(&series, timestamp, 1);
    test_put_message(&message, 1, &series);
    return message;
}

/* --- cases --- */

static void write_valid_request_is_stored(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    struct nx_buf message = one_series("up", nx_now_ms(nx_clock_system()));
    post_message(f, &message, &reply);
    expect(&reply, 204, "X-Prometheus-Remote-Write-Samples-Written: 0\r\n");
    expect(&reply, 204, "X-Prometheus-Remote-Write-Histograms-Written: 0\r\n");
    expect(&reply, 204, "X-Prometheus-Remote-Write-Exemplars-Written: 0\r\n");
    assert_int_equal(atomic_load(&f->stored), 1);
    assert_int_equal((int)nx_metric_value(f->dist->metrics, DIST_METRIC_REQUESTS, 0), 1);
    assert_int_equal((int)nx_metric_value(f->dist->metrics, DIST_METRIC_ACCEPTED, DIST_KIND_FLOAT),
                     1);
}

static void write_empty_message_is_stored(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    post(f, good_headers, nx_view_make("\0", 1), &reply);
    assert_int_equal(reply.status, 204);
}

static void write_headers_are_checked_before_the_body(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    post(f, "Content-Type: application/json\r\nContent-Encoding: snappy\r\n", NX_VIEW("garbage"),
         &reply);
    expect(&reply, 415, "expected application/x-protobuf");
    post(f, "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n",
         NX_VIEW("garbage"), &reply);
    expect(&reply, 415, "expected snappy");
    post(f, "Content-Type: application/x-protobuf;proto=io.prometheus.write.v3.Request\r\n",
         NX_VIEW("garbage"), &reply);
    expect(&reply, 415, "io.prometheus.write.v3.Request");
    expect(&reply, 415, "X-Prometheus-Remote-Write-Samples-Written: 0\r\n");
    /* A 415 does not wait for a body that never comes. */
    int fd = open_socket(f);
    static const char head[] =
        "POST /api/v1/push HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: "
        "image/png\r\nContent-Length: 1000\r\n\r\n";
    send_bytes(fd, head, sizeof head - 1);
    (void)shutdown(fd, SHUT_WR);
    read_reply(fd, &reply);
    (void)close(fd);
    expect(&reply, 415, "image/png");
}

static void write_other_method_is_not_allowed(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    int fd = open_socket(f);
    static const char head[] = "GET /api/v1/write HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    send_bytes(fd, head, sizeof head - 1);
    read_reply(fd, &reply);
    (void)close(fd);
    expect(&reply, 405, "Allow: POST");
}

static void write_bad_input_gets_a_clear_answer(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    post(f, good_headers, NX_VIEW(""), &reply);
    expect(&reply, 400, "snappy: the body is empty");
    post(f, good_headers, NX_VIEW("\xff\xff\xff\xff\xff\xff\xff garbage"), &reply);
    expect(&reply, 400, "snappy:");
    post(f, good_headers, NX_VIEW("\xff\xff\xff\xff\x0f garbage"), &reply); /* 4 GB */
    expect(&reply, 413, "distributor.max-decoded-bytes");
    post(f, good_headers, NX_VIEW("\xff\xff\x3f garbage"), &reply); /* under the limit, but a lie */
    expect(&reply, 400, "cannot hold");
    struct nx_buf body = test_snappy(NX_VIEW("this is no protobuf, but it is snappy"));
    post(f, good_headers, nx_buf_view(&body), &reply);
    expect(&reply, 400, "invalid protobuf");
    nx_buf_release(&body);

    struct nx_buf message = one_series("up", 5);
    body = test_snappy(nx_buf_view(&message));
    post(f, good_headers, nx_view_make(body.data, body.len - 3), &reply);
    expect(&reply, 400, "snappy: damaged block");
    nx_buf_release(&body);
    message.len -= 3;
    post_message(f, &message, &reply);
    expect(&reply, 400, "invalid protobuf");

    char *zeros = nx_calloc((2 << 20), 1);
    post(f, good_headers, nx_view_make(zeros, 2 << 20), &reply);
    assert_int_equal(reply.status, 413);
    nx_free(zeros);
    assert_int_equal(atomic_load(&f->stored), 0);
}

static void write_half_a_request_times_out_and_harms_nobody(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    int fd = open_socket(f);
    static const char head[] = "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: "
                               "application/x-protobuf\r\nContent-Length: 100000\r\n\r\nhalf of it";
    send_bytes(fd, head, sizeof head - 1);
    struct nx_buf message = one_series("up", 5);
    post_message(f, &message, &reply);
    assert_int_equal(reply.status, 204);
    read_reply(fd, &reply);
    (void)close(fd);
    expect(&reply, 408, "");
}

static void write_partly_invalid_request_stores_the_rest(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    struct nx_buf message = one_series("good", 5);
    struct nx_buf bad = one_series("bad", INT64_MAX);
    nx_buf_append_view(&message, nx_buf_view(&bad));
    nx_buf_release(&bad);
    bad = one_series("\xff\xfe", 5);
    nx_buf_append_view(&message, nx_buf_view(&bad));
    nx_buf_release(&bad);
    post_message(f, &message, &reply);
    expect(&reply, 400,
           "out of bounds: the timestamp 9223372036854775807 ms is too far in the future");
    expect(&reply, 400, "series: bad{job=\"test\"}");
    expect(&reply, 400, "(refused: 2 of 3 samples; the others are stored)\n");
    assert_int_equal(atomic_load(&f->stored), 1);
}

static void write_ten_thousand_labels_is_refused(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    struct nx_buf message, series;
    nx_buf_init(&message, SIZE_MAX);
    nx_buf_init(&series, SIZE_MAX);
    for (size_t i = 0; i < 10000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "l%zu", i);
        test_put_label(&series, name, "v");
    }
    test_put_sample(&series, 5, 1);
    test_put_message(&message, 1, &series);
    post_message(f, &message, &reply);
    expect(&reply, 400, "(actual: 10000, limit: 64); raise limits.max-label-names-per-series");
}

static void write_refusals_of_the_ingester_are_answered(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    atomic_store(&f->mode, MODE_CONFLICT);
    struct nx_buf message = one_series("up", 5);
    post_message(f, &message, &reply);
    expect(&reply, 400, "duplicate sample for timestamp, timestamp 1000, series: up{job=\"test\"}");
    atomic_store(&f->mode, MODE_LIMIT);
    message = one_series("up", 5);
    post_message(f, &message, &reply);
    expect(&reply, 429, "Retry-After: ");
    expect(&reply, 429, "rate limited");
}

static void write_without_majority_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    atomic_store(&f->mode, MODE_FAIL);
    struct nx_buf message = one_series("up", 5);
    post_message(f, &message, &reply);
    expect(&reply, 503, "Retry-After: ");
    expect(&reply, 503, "no majority: 1 of 1 series could not be stored on 1 of 1 owners");
    expect(&reply, 503, "disk full");
}

static void write_deadline_answers_unavailable(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    f->settings.push_timeout_ms = 200;
    atomic_store(&f->mode, MODE_HOLD);
    struct nx_buf message = one_series("up", 5);
    post_message(f, &message, &reply);
    expect(&reply, 503, "Retry-After: ");
}

static void write_over_the_inflight_limit_is_overloaded(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    (void)atomic_fetch_add(&f->dist->budget.used_bytes, (8 << 20) - 40);
    struct nx_buf message = one_series("up", 5);
    post_message(f, &message, &reply);
    (void)atomic_fetch_sub(&f->dist->budget.used_bytes, (8 << 20) - 40);
    expect(&reply, 503, "Retry-After: ");
    message = one_series("up", 5);
    post_message(f, &message, &reply);
    assert_int_equal(reply.status, 204);
}

static void write_tenant_is_required_with_multitenancy(void **state)
{
    struct fixture *f = *state;
    struct reply reply;
    f->settings.multitenancy = true;
    struct nx_buf message = one_series("up", 5);
    struct nx_buf body = test_snappy(nx_buf_view(&message));
    post(f, good_headers, nx_buf_view(&body), &reply);
    expect(&reply, 401, "X-Scope-OrgID");
    post(f, "X-Scope-OrgID: a/b\r\n", nx_buf_view(&body), &reply);
    expect(&reply, 400, "tenant ID");
    post(f, "X-Scope-OrgID: team-a\r\n", nx_buf_view(&body), &reply);
    assert_int_equal(reply.status, 204);
    nx_buf_release(&body);
    nx_buf_release(&message);
}

/* Random bodies on many connections at once: every answer has a status, and everything is given
 * back (tear_down). */
struct hammer {
    const struct fixture *f;
    uint64_t seed;
    pthread_t thread;
};

static void *run_hammer(void *user)
{
    struct hammer *hammer = user;
    struct nx_rand rand;
    nx_rand_seeded(&rand, hammer->seed);
    for (size_t i = 0; i < 40; i++) {
        struct nx_buf message;
        struct reply reply;
        nx_buf_init(&message, SIZE_MAX);
        test_random_request(&rand, &message);
        if (nx_rand_below(&rand, 3) == 0 && message.len > 0)
            message.len = nx_rand_below(&rand, message.len);
        struct nx_buf good = one_series("good", 5);
        if (nx_rand_below(&rand, 2))
            nx_buf_append_view(&message, nx_buf_view(&good));
        nx_buf_release(&good);
        post_message(hammer->f, &message, &reply);
        assert_true(reply.status == 204 || reply.status == 400);
    }
    return NULL;
}

static void write_random_requests_side_by_side_are_all_answered(void **state)
{
    struct fixture *f = *state;
    struct hammer hammers[4];
    for (size_t i = 0; i < 4; i++) {
        hammers[i] = (struct hammer){.f = f, .seed = i + 1};
        assert_int_equal(pthread_create(&hammers[i].thread, NULL, run_hammer, &hammers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(hammers[i].thread, NULL), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(write_valid_request_is_stored),
        CASE(write_empty_message_is_stored),
        CASE(write_headers_are_checked_before_the_body),
        CASE(write_other_method_is_not_allowed),
        CASE(write_bad_input_gets_a_clear_answer),
        CASE(write_half_a_request_times_out_and_harms_nobody),
        CASE(write_partly_invalid_request_stores_the_rest),
        CASE(write_ten_thousand_labels_is_refused),
        CASE(write_refusals_of_the_ingester_are_answered),
        CASE(write_without_majority_is_unavailable),
        CASE(write_deadline_answers_unavailable),
        CASE(write_over_the_inflight_limit_is_overloaded),
        CASE(write_tenant_is_required_with_multitenancy),
        CASE(write_random_requests_side_by_side_are_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
