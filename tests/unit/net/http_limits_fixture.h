/* A server with tight limits, and what is expected of its connections. */
#ifndef TESTS_UNIT_NET_HTTP_LIMITS_FIXTURE_H
#define TESTS_UNIT_NET_HTTP_LIMITS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <llhttp.h>
#include <pthread.h>

#include "http_fixture.h"

#define SMALL_REFUSED "request body too large (limit: 100 bytes, from the setting room.max-bytes)\n"

#define HOST "Host: test\r\n"

/* Keeps requests until the test lets them go, on their worker. */
struct keeper {
    pthread_mutex_t lock;
    struct nx_http_request *reqs[16];
    int count;
    atomic_int cancelled;
    struct nx_task release;
    struct nx_worker *worker;
};

void keep(struct nx_http_request *req, void *user);
void keeper_await(struct keeper *keeper, int count);
void keeper_release(struct keeper *keeper);

/* Options with short time-outs. */
extern const struct nx_http_server_options hasty;

struct setting {
    struct fixture fixture;
    struct keeper keeper;
    struct nx_http_budget budget;
};

void setting_start(struct setting *setting, const struct nx_http_server_options *options);
void setting_stop(struct setting *setting);
void expect_closing(struct client *client, int status, const char *body);
void expect_on(struct client *client, int status, const char *body);
void expect_alive(const struct setting *setting);

#endif
