#include "http_limits_fixture.h"

#include <stdio.h>

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

void keep(struct nx_http_request *req, void *user)
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

void keeper_await(struct keeper *keeper, int count)
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

void keeper_release(struct keeper *keeper)
{
    keeper->release.run = run_release;
    nx_worker_reply(keeper->worker, &keeper->release);
}

const struct nx_http_server_options hasty = {.header_timeout_ms = 150,
                                             .body_timeout_ms = 150,
                                             .idle_timeout_ms = 300,
                                             .write_timeout_ms = 200};

void setting_start(struct setting *setting, const struct nx_http_server_options *options)
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

void setting_stop(struct setting *setting)
{
    fixture_stop(&setting->fixture, 1000);
    assert_int_equal(atomic_load(&setting->budget.used_bytes), 0);
}

void expect_closing(struct client *client, int status, const char *body)
{
    struct answer answer;
    client_read(client, &answer, false);
    answer_expect(&answer, status, body);
    answer_expect_header(&answer, "Connection", "close");
    answer_release(&answer);
    client_expect_end(client);
    client_close(client);
}

void expect_on(struct client *client, int status, const char *body)
{
    struct answer answer;
    char value[32];
    client_read(client, &answer, false);
    answer_expect(&answer, status, body);
    assert_false(answer_header(&answer, "Connection", value, sizeof(value)));
    answer_release(&answer);
}

void expect_alive(const struct setting *setting)
{
    struct answer answer;
    exchange(&setting->fixture, "GET /len HTTP/1.1\r\n" HOST "\r\n", &answer);
    answer_expect(&answer, 200, "0");
    answer_release(&answer);
}
