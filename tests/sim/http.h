/* Clients of the simulated processes' HTTP servers: a request goes to the handler of its route, its
 * answer comes back. Clients are in another world: their way is never cut, but a process that dies
 * or hangs leaves them without an answer. */
#ifndef SIM_HTTP_H
#define SIM_HTTP_H

#include "common/base/view.h"
#include "tests/sim/process.h"

struct sim_http_header {
    const char *name, *value;
};

struct sim_http_request {
    unsigned method; /* enum nx_http_method */
    const char *path;
    const char *query;
    const struct sim_http_header *headers; /* `name` NULL ends them */
    struct nx_view body;
    uint64_t timeout_ns;
    /* Once; status 0: no answer, nobody knows what happened. The body is valid during the call. */
    void (*done)(void *user, int status, struct nx_view body);
    void *user;
};

/* Copies what it needs. */
void sim_http_send(struct sim_process *to, const struct sim_http_request *request);

#endif
