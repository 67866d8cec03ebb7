#include "http_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"

enum { CLIENT_TIMEOUT_S = 20 };

static const uint64_t AWAIT_NS = UINT64_C(30) * 1000 * 1000 * 1000;

void fixture_init(struct fixture *fixture, const struct nx_http_server_options *options,
                  size_t workers)
{
    *fixture = (struct fixture){.port = 0};
    struct nx_workers_options workers_options = {.count = workers, .name = "http"};
    struct nx_http_server_options filled = {.port = 0};
    if (options) {
        filled = *options;
    }
    filled.host = "127.0.0.1";
    assert_int_equal(nx_telemetry_new(&fixture->telemetry), NX_OK);
    assert_int_equal(nx_workers_new(&workers_options, &fixture->workers), NX_OK);
    assert_int_equal(
        nx_http_server_new(&filled, fixture->workers, NULL, fixture->telemetry, &fixture->server),
        NX_OK);
}

void fixture_route(struct fixture *fixture, unsigned methods, const char *path,
                   nx_http_handler handle, void *user)
{
    struct nx_http_route route = {.methods = methods, .path = path, .handle = handle, .user = user};
    assert_int_equal(nx_http_server_route(fixture->server, &route), NX_OK);
}

void fixture_start(struct fixture *fixture)
{
    struct nx_fail fail = {.text = ""};
    if (nx_http_server_listen(fixture->server, &fail) != NX_OK) {
        fail_msg("%s", nx_fail_text(&fail));
    }
    fixture->port = nx_http_server_port(fixture->server);
    assert_int_not_equal(fixture->port, 0);
    assert_int_equal(nx_workers_start(fixture->workers), NX_OK);
}

static void on_stopped(void *user)
{
    struct fixture *fixture = user;
    assert_non_null(nx_worker_current());
    atomic_store(&fixture->stopped, true);
}

void fixture_stop(struct fixture *fixture, uint64_t grace_ms)
{
    nx_http_server_stop(fixture->server, grace_ms, on_stopped, fixture);
    nx_workers_stop(fixture->workers);
    assert_true(atomic_load(&fixture->stopped));
    assert_true(fixture_metric(fixture, "narthex_http_connections") == 0);
    assert_true(fixture_metric(fixture, "narthex_http_requests_in_flight") == 0);
    nx_http_server_free(fixture->server);
    nx_workers_free(fixture->workers);
    nx_telemetry_free(fixture->telemetry);
}

double fixture_metric(const struct fixture *fixture, const char *series)
{
    struct nx_buf out;
    nx_buf_init(&out, 1 << 24);
    nx_buf_append_char(&out, '\n');
    nx_telemetry_expose(fixture->telemetry, &out);
    nx_buf_append_char(&out, '\0');
    assert_int_equal(nx_buf_err(&out), NX_OK);
    char wanted[256];
    (void)snprintf(wanted, sizeof(wanted), "\n%s ", series);
    const char *at = strstr(out.data, wanted);
    double value = at ? strtod(at + strlen(wanted), NULL) : 0;
    nx_buf_release(&out);
    return value;
}

void fixture_await_metric(const struct fixture *fixture, const char *series, double value)
{
    uint64_t deadline = uv_hrtime() + AWAIT_NS;
    do {
        if (fixture_metric(fixture, series) == value) {
            return;
        }
        uv_sleep(5);
    } while (uv_hrtime() < deadline);
    fail_msg("%s is %g, expected %g", series, fixture_metric(fixture, series), value);
}

void client_open(struct client *client, const struct fixture *fixture)
{
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(client->fd >= 0);
    struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_S};
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(fixture->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

void client_close(struct client *client)
{
    close(client->fd);
    nx_free(client->buf);
    *client = (struct client){.fd = -1};
}

void client_send(struct client *client, const char *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t sent = send(client->fd, bytes + done, len - done, MSG_NOSIGNAL);
        if (sent <= 0) {
            fail_msg("send: %s", strerror(errno));
        }
        done += (size_t)sent;
    }
}

void client_text(struct client *client, const char *text)
{
    client_send(client, text, strlen(text));
}

/* Reads more into the buffer; false at the end of the connection. */
static bool fill(struct client *client)
{
    assert_int_equal(nx_grow(&client->buf, &client->capacity, client->len + 65536, 1), NX_OK);
    ssize_t got = recv(client->fd, client->buf + client->len, client->capacity - client->len, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        fail_msg("no answer in time");
    }
    if (got <= 0) {
        return false;
    }
    client->len += (size_t)got;
    return true;
}

static void consume(struct client *client, size_t len)
{
    memmove(client->buf, client->buf + len, client->len - len);
    client->len -= len;
}

/* The length of the header with its blank line. */
static size_t await_header(struct client *client)
{
    for (;;) {
        const char *end = client->len > 0 ? memmem(client->buf, client->len, "\r\n\r\n", 4) : NULL;
        if (end) {
            return (size_t)(end - client->buf) + 4;
        }
        if (!fill(client)) {
            fail_msg("connection ended within the header");
        }
    }
}

static bool await(struct client *client, size_t len)
{
    while (client->len < len) {
        if (!fill(client)) {
            return false;
        }
    }
    return true;
}

static void read_chunks(struct client *client, struct answer *answer)
{
    struct nx_buf body;
    nx_buf_init(&body, SIZE_MAX / 2);
    for (;;) {
        const char *line_end;
        while (client->len == 0 ||
               (line_end = memmem(client->buf, client->len, "\r\n", 2)) == NULL) {
            if (!fill(client)) {
                answer->body = nx_buf_take(&body, &answer->body_len);
                return;
            }
        }
        size_t size = strtoul(client->buf, NULL, 16);
        consume(client, (size_t)(line_end - client->buf) + 2);
        if (!await(client, size + 2)) {
            answer->body = nx_buf_take(&body, &answer->body_len);
            return;
        }
        nx_buf_append(&body, client->buf, size);
        assert_memory_equal(client->buf + size, "\r\n", 2);
        consume(client, size + 2);
        if (size == 0) {
            answer->complete = true;
            answer->body = nx_buf_take(&body, &answer->body_len);
            return;
        }
    }
}

static void take_body(struct client *client, struct answer *answer, size_t len)
{
    answer->body = nx_alloc(len);
    assert_non_null(answer->body);
    if (len > 0) {
        memcpy(answer->body, client->buf, len);
    }
    answer->body_len = len;
    consume(client, len);
}

void client_read(struct client *client, struct answer *answer, bool head_request)
{
    *answer = (struct answer){.status = 0};
    size_t header = await_header(client);
    assert_true(header - 2 < sizeof(answer->head));
    memcpy(answer->head, client->buf, header - 2);
    answer->head[header - 2] = '\0';
    consume(client, header);
    assert_int_equal(sscanf(answer->head, "HTTP/1.1 %d ", &answer->status), 1);
    char value[64];
    if (head_request || answer->status == 204 || answer->status == 304 || answer->status < 200) {
        answer->complete = true;
    } else if (answer_header(answer, "Transfer-Encoding", value, sizeof(value))) {
        assert_string_equal(value, "chunked");
        read_chunks(client, answer);
    } else if (answer_header(answer, "Content-Length", value, sizeof(value))) {
        size_t len = strtoul(value, NULL, 10);
        answer->complete = await(client, len);
        take_body(client, answer, answer->complete ? len : client->len);
    } else {
        while (fill(client)) {
        }
        answer->complete = true;
        take_body(client, answer, client->len);
    }
}

void client_expect_end(struct client *client)
{
    while (fill(client)) {
    }
    if (client->len > 0) {
        fail_msg("unexpected bytes: %.*s", (int)client->len, client->buf);
    }
}

bool client_is_silent(struct client *client, int ms)
{
    struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
    return client->len == 0 && poll(&poll_fd, 1, ms) == 0;
}

void answer_release(struct answer *answer)
{
    nx_free(answer->body);
    answer->body = NULL;
}

bool answer_header(const struct answer *answer, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    const char *line = strstr(answer->head, "\r\n");
    while (line && line[2]) {
        line += 2;
        const char *end = strstr(line, "\r\n");
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            const char *value = line + len + 1;
            value += strspn(value, " ");
            (void)snprintf(out, size, "%.*s", (int)(end - value), value);
            return true;
        }
        line = end;
    }
    return false;
}

void answer_expect(const struct answer *answer, int status, const char *body)
{
    if (answer->status != status) {
        fail_msg("status %d, expected %d; %.*s", answer->status, status, (int)answer->body_len,
                 answer->body ? answer->body : "");
    }
    assert_true(answer->complete);
    if (body) {
        assert_int_equal(answer->body_len, strlen(body));
        assert_memory_equal(answer->body ? answer->body : "", body, strlen(body));
    }
}

void answer_expect_header(const struct answer *answer, const char *name, const char *value)
{
    char got[256];
    if (!answer_header(answer, name, got, sizeof(got))) {
        fail_msg("no header %s in:\n%s", name, answer->head);
    }
    assert_string_equal(got, value);
}

void exchange(const struct fixture *fixture, const char *text, struct answer *answer)
{
    struct client client;
    client_open(&client, fixture);
    client_text(&client, text);
    client_read(&client, answer, strncmp(text, "HEAD ", 5) == 0);
    client_close(&client);
}
