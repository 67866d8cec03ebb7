/* A querier over loopback with pretended ingesters, for tests of the API from the outside. */
#ifndef TESTS_QUERIER_CLUSTER_FIXTURE_H
#define TESTS_QUERIER_CLUSTER_FIXTURE_H

#include <stdatomic.h>

#include "querier/querier.h"

#define CLUSTER_MEMBERS 3

enum member_mood {
    MEMBER_ANSWERS,
    MEMBER_REFUSES, /* ERR_UNAVAILABLE */
    MEMBER_LIMITS,  /* ERR_LIMIT "too much asked" */
    MEMBER_BREAKS,  /* ends streams in the middle */
    MEMBER_LIES,    /* sends damaged bytes */
    MEMBER_HANGS,   /* answers when the caller has gone */
};

struct member {
    struct cluster *cluster;
    size_t index;
    struct nx_http_server *http;
    struct nx_rpc_server *rpc;
    atomic_int mood;
    atomic_int asked;
    atomic_int canceled;
};

struct cluster {
    struct nx_workers *workers;
    struct nx_http_server *http;
    struct nx_rpc_server *rpc;
    struct nx_rpc_client *clients[2];
    struct nx_ring *ring;
    struct nx_telemetry *telemetry;
    struct nx_config *config;
    struct qry_settings settings;
    struct querier *qry;
    struct member members[CLUSTER_MEMBERS];
    char members_text[256];
    atomic_int pending;
};

/* Settings are the defaults until changed between init and start. */
void cluster_init(struct cluster *c);
void cluster_start(struct cluster *c);
/* Ends the querier while requests may be running, then everything else. */
void cluster_stop(struct cluster *c);
void cluster_set_moods(struct cluster *c, enum member_mood a, enum member_mood b,
                       enum member_mood d);

/* One request on a connection of its own; the whole answer, NUL-terminated, freed by the caller.
 * `slow`: reads little by little. */
char *cluster_request(struct cluster *c, const char *request, bool slow);
/* GET /api/v1/<path>: the body. *status may be NULL. */
char *cluster_get(struct cluster *c, const char *path, int *status);
char *cluster_post_form(struct cluster *c, const char *path, const char *form, int *status);
/* A connected socket with the request sent. */
int cluster_open(struct cluster *c, const char *request);

#endif
