/* A keep-alive HTTP/1.1 connection that posts bodies and reads the answers; blocking, one thread.
 */
#ifndef TESTS_BENCH_LOADGEN_HTTP_H
#define TESTS_BENCH_LOADGEN_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "common/base/view.h"

struct load_url {
    char host[128];
    char port[8];
    char path[256];
};
/* "http://host:port[/path]"; without a path /api/v1/write. False where it is anything else. */
bool load_url_parse(const char *text, struct load_url *out);

struct load_answer {
    int status;           /* 0: no answer */
    double retry_after_s; /* 0: none */
    char text[256];       /* the beginning of the body, or why there is no answer */
};

struct load_conn;
/* `version`: of remote write, 1 or 2. */
enum nx_err load_conn_new(const struct load_url *url, const char *tenant, unsigned version,
                          unsigned timeout_s, struct load_conn **out) NX_WARN_UNUSED;
void load_conn_free(struct load_conn *conn);
/* Connects where it has to; a kept connection that turns out to be closed is replaced once. */
void load_conn_post(struct load_conn *conn, struct nx_view body, struct load_answer *answer);

#endif
