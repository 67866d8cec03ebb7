/* Set-up, and the graceful stop: the listener closes on worker 0, which then tells every shard to
 * drain; what the listener handed over before reaches a shard ahead of that, because tasks of one
 * sender keep their order. */
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/net/http_server_internal.h"

enum { TICK_MAX_MS = 250, TICK_MIN_MS = 10, TICKS_A_TIMEOUT = 8 };

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value ? value : fallback;
}

static void fill_options(struct nx_http_server_options *options)
{
    options->max_connections = or_default(options->max_connections, 10000);
    options->max_header_bytes = or_default(options->max_header_bytes, 64 * 1024);
    options->max_body_bytes = or_default(options->max_body_bytes, 64 * 1024 * 1024);
    options->header_timeout_ms = or_default(options->header_timeout_ms, 10 * 1000);
    options->body_timeout_ms = or_default(options->body_timeout_ms, 30 * 1000);
    options->idle_timeout_ms = or_default(options->idle_timeout_ms, 5 * 60 * 1000);
    options->write_timeout_ms = or_default(options->write_timeout_ms, 30 * 1000);
    options->write_high_water_bytes = or_default(options->write_high_water_bytes, 1024 * 1024);
}

/* Often enough that no time-out is late by more than an eighth of itself. */
static uint64_t tick_of(const struct nx_http_server_options *options)
{
    const uint64_t timeouts[] = {options->header_timeout_ms, options->body_timeout_ms,
                                 options->idle_timeout_ms, options->write_timeout_ms};
    uint64_t tick = TICK_MAX_MS;
    for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
        uint64_t wanted = timeouts[i] / TICKS_A_TIMEOUT;
        tick = wanted < tick ? wanted : tick;
    }
    return tick < TICK_MIN_MS ? TICK_MIN_MS : tick;
}

static void run_drain(struct nx_task *task);

static enum nx_err make_shards(struct nx_http_server *server)
{
    size_t count = nx_workers_count(server->workers);
    server->shards = nx_calloc(count, sizeof(*server->shards));
    if (!server->shards) {
        return NX_ERR_NOMEM;
    }
    server->shard_count = count;
    for (size_t i = 0; i < count; i++) {
        struct nx_http_shard *shard = &server->shards[i];
        shard->server = server;
        shard->worker = nx_workers_at(server->workers, i);
        shard->tick.data = shard;
        shard->drain.run = run_drain;
        atomic_init(&shard->load, 0);
    }
    return NX_OK;
}

enum nx_err nx_http_server_new(const struct nx_http_server_options *options,
                               struct nx_workers *workers, struct nx_log *log,
                               struct nx_telemetry *telemetry, struct nx_http_server **out)
{
    struct nx_http_server *server = nx_calloc(1, sizeof(*server));
    if (!server) {
        return NX_ERR_NOMEM;
    }
    server->options = *options;
    fill_options(&server->options);
    server->tick_ms = tick_of(&server->options);
    server->workers = workers;
    server->log = log;
    server->telemetry = telemetry;
    server->listen_fd = -1;
    nx_http_parse_settings(&server->parser_settings);
    enum nx_err err = NX_ERR_NOMEM;
    server->host = nx_strdup(options->host ? options->host : "");
    if (server->host) {
        err = make_shards(server);
    }
    if (err == NX_OK) {
        err = nx_http_metrics_register(server);
    }
    if (err != NX_OK) {
        nx_http_server_free(server);
        return err;
    }
    *out = server;
    return NX_OK;
}

/* A variable segment and a trailing star are all there is, and not both. */
static void assert_pattern(const char *path)
{
    const char *open = strchr(path, '{');
    const char *star = strchr(path, '*');
    assert(path[0] == '/');
    assert(!open || (open[-1] == '/' && strchr(open, '}') && !strchr(open + 1, '{')));
    assert(!star || (star[1] == '\0' && star[-1] == '/' && !open));
    (void)open;
    (void)star;
}

enum nx_err nx_http_server_route(struct nx_http_server *server, const struct nx_http_route *route)
{
    assert(route->handle && route->methods);
    assert_pattern(route->path);
    for (size_t i = 0; i < server->route_count; i++) {
        const struct nx_http_route *other = &server->routes[i].route;
        assert(!(other->methods & route->methods) || strcmp(other->path, route->path) != 0);
    }
    enum nx_err err = nx_grow(&server->routes, &server->route_capacity, server->route_count + 1,
                              sizeof(*server->routes));
    if (err != NX_OK) {
        return err;
    }
    struct nx_http_route_entry entry = {.route = *route, .path = nx_strdup(route->path)};
    if (!entry.path) {
        return NX_ERR_NOMEM;
    }
    entry.route.path = entry.path;
    err = nx_http_metrics_route(server, entry.path, &entry.metrics);
    if (err != NX_OK) {
        nx_free(entry.path);
        return err;
    }
    server->routes[server->route_count++] = entry;
    return NX_OK;
}

enum nx_err nx_http_server_alias(struct nx_http_server *server, const char *prefix)
{
    assert(prefix[0] == '/' && prefix[strlen(prefix) - 1] != '/');
    enum nx_err err = nx_grow(&server->aliases, &server->alias_capacity, server->alias_count + 1,
                              sizeof(*server->aliases));
    if (err != NX_OK) {
        return err;
    }
    char *copy = nx_strdup(prefix);
    if (!copy) {
        return NX_ERR_NOMEM;
    }
    server->aliases[server->alias_count++] = copy;
    return NX_OK;
}

enum nx_err nx_http_server_listen(struct nx_http_server *server, struct nx_fail *fail)
{
    enum nx_err err = nx_http_listener_open(server, fail);
    if (err != NX_OK) {
        return err;
    }
    for (size_t i = 0; i < server->shard_count; i++) {
        uv_timer_init(nx_worker_loop(server->shards[i].worker), &server->shards[i].tick);
    }
    return NX_OK;
}

uint16_t nx_http_server_port(const struct nx_http_server *server)
{
    return server->port;
}

void nx_http_shard_tick(uv_timer_t *timer)
{
    struct nx_http_shard *shard = timer->data;
    uint64_t now = uv_now(timer->loop);
    bool out_of_grace = shard->draining && now >= shard->drain_deadline_ms;
    struct nx_http_conn *conn = shard->conns;
    while (conn) {
        struct nx_http_conn *next = conn->next;
        if (out_of_grace) {
            nx_http_conn_abort(conn);
        } else {
            nx_http_conn_tick(conn, now);
        }
        conn = next;
    }
}

static void on_tick_closed(uv_handle_t *handle)
{
    struct nx_http_shard *shard = handle->data;
    struct nx_http_server *server = shard->server;
    nx_http_request_free_spares(shard);
    if (atomic_fetch_sub(&server->shards_left, 1) == 1 && server->stopped) {
        server->stopped(server->stopped_user);
    }
}

void nx_http_shard_check_drained(struct nx_http_shard *shard)
{
    if (shard->draining && !shard->ended && shard->conn_count == 0) {
        shard->ended = true;
        uv_close((uv_handle_t *)&shard->tick, on_tick_closed);
    }
}

static void run_drain(struct nx_task *task)
{
    struct nx_http_shard *shard = NX_OWNER(struct nx_http_shard, drain, task);
    uv_loop_t *loop = nx_worker_loop(shard->worker);
    uv_update_time(loop);
    shard->draining = true;
    shard->drain_deadline_ms = uv_now(loop) + shard->server->grace_ms;
    struct nx_http_conn *conn = shard->conns;
    while (conn) {
        struct nx_http_conn *next = conn->next;
        nx_http_conn_drain(conn);
        conn = next;
    }
    nx_http_shard_check_drained(shard);
}

static void drain_shards(struct nx_http_server *server)
{
    for (size_t i = 0; i < server->shard_count; i++) {
        nx_worker_reply(server->shards[i].worker, &server->shards[i].drain);
    }
}

static void run_stop(struct nx_task *task)
{
    struct nx_http_server *server = NX_OWNER(struct nx_http_server, stop, task);
    if (server->listen_fd >= 0) {
        nx_http_listener_close(server, drain_shards);
    } else if (server->stopped) {
        server->stopped(server->stopped_user);
    }
}

void nx_http_server_stop(struct nx_http_server *server, uint64_t grace_ms, void (*done)(void *user),
                         void *user)
{
    assert(!server->stop.run);
    server->grace_ms = grace_ms;
    server->stopped = done;
    server->stopped_user = user;
    atomic_store(&server->shards_left, server->shard_count);
    server->stop.run = run_stop;
    nx_worker_reply(nx_workers_at(server->workers, 0), &server->stop);
}

void nx_http_server_free(struct nx_http_server *server)
{
    if (!server) {
        return;
    }
    for (size_t i = 0; i < server->shard_count; i++) {
        assert(server->shards[i].conn_count == 0);
        nx_http_request_free_spares(&server->shards[i]);
        for (size_t k = 0; k < NX_ENCODING_COUNT; k++) {
            nx_deflater_free(server->shards[i].deflaters[k]);
        }
    }
    for (size_t i = 0; i < server->route_count; i++) {
        nx_free(server->routes[i].path);
    }
    for (size_t i = 0; i < server->alias_count; i++) {
        nx_free(server->aliases[i]);
    }
    nx_free(server->routes);
    nx_free(server->aliases);
    nx_free(server->shards);
    nx_free(server->host);
    nx_free(server);
}
