/* A server on loopback with routes that do what a test asks of them, and a blocking client that
 * reads answers byte-exactly. */
#ifndef TESTS_UNIT_NET_HTTP_FIXTURE_H
#define TESTS_UNIT_NET_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>

#include "common/net/http_server.h"

struct fixture {
    struct nx_workers *workers;
    struct nx_http_server *server;
    struct nx_telemetry *telemetry;
    uint16_t port;
    atomic_bool stopped;
};

/* Sets up workers and server, not yet listening. */
void fixture_init(struct fixture *fixture, const struct nx_http_server_options *options,
                  size_t workers);
void fixture_route(struct fixture *fixture, unsigned methods, const char *path,
                   nx_http_handler handle, void *user);
void fixture_start(struct fixture *fixture);
/* Stops gracefully, within the grace, then everything; asserts that nothing is left open. */
void fixture_stop(struct fixture *fixture, uint64_t grace_ms);
/* One series of the exposition ("name{labels}"), 0 where it does not occur. */
double fixture_metric(const struct fixture *fixture, const char *series);
/* Waits up to five seconds until the series has the value. */
void fixture_await_metric(const struct fixture *fixture, const char *series, double value);

struct client {
    int fd;
    char *buf;
    size_t len;
    size_t capacity;
};

struct answer {
    int status;
    char head[16384]; /* status line and header, each line ended by \r\n */
    char *body;
    size_t body_len;
    bool complete; /* false: the connection ended within it */
};

void client_open(struct client *client, const struct fixture *fixture);
void client_close(struct client *client);
void client_send(struct client *client, const char *bytes, size_t len);
void client_text(struct client *client, const char *text);
/* Reads one answer; `head_request`: it has no body. Fails the test where the connection ends before
 * the header. */
void client_read(struct client *client, struct answer *answer, bool head_request);
/* Reads to the end of the connection and asserts that nothing more comes; a reset counts as an end.
 */
void client_expect_end(struct client *client);
/* Whether nothing comes within the time. */
bool client_is_silent(struct client *client, int ms);
void answer_release(struct answer *answer);
/* The value of a header field into `out`; false where there is none. */
bool answer_header(const struct answer *answer, const char *name, char *out, size_t size);
void answer_expect(const struct answer *answer, int status, const char *body);
void answer_expect_header(const struct answer *answer, const char *name, const char *value);

/* Sends the text on a connection of its own and reads one answer. */
void exchange(const struct fixture *fixture, const char *text, struct answer *answer);

#endif
