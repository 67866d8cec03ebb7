#include "cluster_fixture.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/chunk/chunk.h"
#include "common/labels/matcher.h"
#include "common/labels/series_id.h"
#include "proto/internal.pb-c.h"
#include "querier/select/wire.h"

/* --- what the members hold: up{job="a"|"b"} every 15 s from 0 to 600 s, and 300 series `big` --- */

#define BIG_SERIES 300

struct held_series {
    struct nx_label items[2];
    struct nx_labels labels;
    char value[24];
    double base;
};

static struct nx_labels name_series(struct held_series *s, size_t i)
{
    bool big = i >= 2;
    if (big)
        snprintf(s->value, sizeof s->value, "%03zu", i - 2);
    else
        snprintf(s->value, sizeof s->value, "%c", (char)('a' + i));
    s->base = big ? (double)i : (double)(i * 100);
    s->items[0] = (struct nx_label){NX_LABEL_METRIC_NAME, big ? NX_VIEW("big") : NX_VIEW("up")};
    s->items[1] = (struct nx_label){big ? NX_VIEW("i") : NX_VIEW("job"), nx_view_of(s->value)};
    return (struct nx_labels){s->items, 2};
}

static void put_chunk(struct nx_buf *series, const struct held_series *s)
{
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_XOR, &app), NX_OK);
    for (int64_t t = 0; t <= 600000; t += 15000) {
        struct nx_sample sample = {.t = t, .value = s->base + (double)(t / 15000)};
        assert_int_equal(nx_chunk_append(app, &sample), NX_OK);
    }
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    qry_wire_put_uint(&out, 1, (uint64_t)chunk.encoding);
    qry_wire_put_uint(&out, 2, chunk.count);
    qry_wire_put_sint(&out, 3, chunk.min_t);
    qry_wire_put_sint(&out, 4, chunk.max_t);
    qry_wire_put_bytes(&out, 5, chunk.data);
    qry_wire_put_element(series, 3, nx_buf_view(&out));
    nx_buf_release(&out);
    nx_chunk_appender_free(app);
}

static void put_series(struct nx_buf *frame, const struct held_series *s, bool labels_only)
{
    struct nx_buf series, part;
    nx_buf_init(&series, 1 << 20);
    nx_buf_init(&part, 1 << 20);
    nx_series_id_put(&part, nx_series_id_of(NX_VIEW("anonymous"), s->labels));
    qry_wire_put_element(&series, 1, nx_buf_view(&part));
    nx_buf_clear(&part);
    nx_labels_encode(&part, s->labels);
    qry_wire_put_element(&series, 2, nx_buf_view(&part));
    if (!labels_only)
        put_chunk(&series, s);
    qry_wire_put_element(frame, 1, nx_buf_view(&series));
    nx_buf_release(&part);
    nx_buf_release(&series);
}

static bool selected(Narthex__Matcher **rows, size_t count, struct nx_labels labels)
{
    bool all = true;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    for (size_t i = 0; i < count && all; i++) {
        struct nx_matcher m;
        struct nx_fail fail;
        assert_int_equal(nx_matcher_init(&m, &arena, (enum nx_match_type)rows[i]->type,
                                         nx_view_of(rows[i]->name), nx_view_of(rows[i]->value),
                                         &fail),
                         NX_OK);
        all = nx_matchers_match(&m, 1, labels);
        nx_matcher_release(&m);
    }
    nx_arena_release(&arena);
    return all;
}

/* --- moods --- */

struct hanging {
    struct member *member;
    struct nx_rpc_request *req;
};

static void on_caller_gone(void *user)
{
    struct hanging *h = user;
    atomic_fetch_add(&h->member->canceled, 1);
    nx_rpc_reply_error(h->req, NX_ERR_CANCELED, "gone");
    nx_free(h);
}

/* True when the mood has dealt with the request. */
static bool moody(struct member *m, struct nx_rpc_request *req)
{
    atomic_fetch_add(&m->asked, 1);
    switch (atomic_load(&m->mood)) {
    case MEMBER_REFUSES:
        nx_rpc_reply_error(req, NX_ERR_UNAVAILABLE, "not today");
        return true;
    case MEMBER_LIMITS:
        nx_rpc_reply_error(req, NX_ERR_LIMIT, "too much asked");
        return true;
    case MEMBER_HANGS: {
        struct hanging *h = nx_alloc(sizeof *h);
        *h = (struct hanging){m, req};
        nx_rpc_request_on_cancel(req, on_caller_gone, h);
        return true;
    }
    default:
        return false;
    }
}

static void on_drained(void *user)
{
    (void)user;
}

static void on_select(struct nx_rpc_request *req, void *user)
{
    struct member *m = user;
    if (moody(m, req))
        return;
    struct nx_view body = nx_rpc_request_body(req);
    Narthex__SelectRequest *select =
        narthex__select_request__unpack(NULL, body.len, (const uint8_t *)body.ptr);
    assert_non_null(select);
    nx_rpc_stream_begin(req, on_drained, NULL);
    uint64_t sent = 0;
    for (size_t i = 0; i < 2 + BIG_SERIES; i++) {
        struct held_series s;
        s.labels = name_series(&s, i);
        if (!selected(select->matchers, select->n_matchers, s.labels) ||
            (select->limit > 0 && sent >= select->limit))
            continue;
        struct nx_buf frame;
        nx_buf_init(&frame, 1 << 20);
        put_series(&frame, &s, select->labels_only);
        if (atomic_load(&m->mood) == MEMBER_LIES)
            frame.data[frame.len / 2] ^= 0x40, frame.len -= 3;
        (void)nx_rpc_stream_frame(req, &frame);
        sent++;
    }
    narthex__select_request__free_unpacked(select, NULL);
    if (atomic_load(&m->mood) == MEMBER_BREAKS)
        nx_rpc_stream_fail(req, NX_ERR_IO, "the disk is gone");
    else
        nx_rpc_stream_end(req);
}

/* Each member knows one value of its own. */
static void on_labels(struct nx_rpc_request *req, void *user)
{
    struct member *m = user;
    if (moody(m, req))
        return;
    struct nx_buf out;
    char own[8];
    nx_buf_init(&out, 10000);
    snprintf(own, sizeof own, "own-%zu", m->index);
    qry_wire_put_element(&out, 1, NX_VIEW("a<b"));
    qry_wire_put_element(&out, 1, nx_view_of(own));
    qry_wire_put_element(&out, 1, NX_VIEW("zz"));
    nx_rpc_reply(req, &out);
}

static void put_metadata(struct nx_buf *out, const char *metric, uint64_t type, const char *help)
{
    struct nx_buf row;
    nx_buf_init(&row, 1000);
    qry_wire_put_bytes(&row, 1, nx_view_of(metric));
    qry_wire_put_uint(&row, 2, type);
    qry_wire_put_bytes(&row, 3, nx_view_of(help));
    qry_wire_put_element(out, 1, nx_buf_view(&row));
    nx_buf_release(&row);
}

static void on_metadata(struct nx_rpc_request *req, void *user)
{
    struct member *m = user;
    if (moody(m, req))
        return;
    struct nx_buf out;
    nx_buf_init(&out, 10000);
    put_metadata(&out, "up", 2, "Whether it is up.");
    put_metadata(&out, "x_total", 1, m->index == 0 ? "Old text." : "New text.");
    nx_rpc_reply(req, &out);
}

static void on_exemplars(struct nx_rpc_request *req, void *user)
{
    struct member *m = user;
    if (moody(m, req))
        return;
    struct held_series s;
    struct nx_label trace = {NX_VIEW("trace_id"), NX_VIEW("<1>")};
    struct nx_buf out, series, row, labels;
    s.labels = name_series(&s, 0);
    nx_buf_init(&out, 10000);
    nx_buf_init(&series, 10000);
    nx_buf_init(&row, 10000);
    nx_buf_init(&labels, 10000);
    nx_labels_encode(&labels, s.labels);
    qry_wire_put_element(&series, 1, nx_buf_view(&labels));
    nx_buf_clear(&labels);
    nx_labels_encode(&labels, (struct nx_labels){&trace, 1});
    qry_wire_put_sint(&row, 2, 1500 + (int64_t)m->index * 1000);
    nx_buf_append_char(&row, 3 << 3 | 1);
    nx_buf_put_u64(&row, nx_double_bits(6.5));
    qry_wire_put_element(&row, 4, nx_buf_view(&labels));
    qry_wire_put_element(&series, 2, nx_buf_view(&row));
    qry_wire_put_element(&out, 1, nx_buf_view(&series));
    nx_buf_release(&labels);
    nx_buf_release(&row);
    nx_buf_release(&series);
    nx_rpc_reply(req, &out);
}

static void on_status(struct nx_rpc_request *req, void *user)
{
    struct member *m = user;
    if (moody(m, req))
        return;
    struct nx_buf out, entry;
    nx_buf_init(&out, 10000);
    nx_buf_init(&entry, 1000);
    qry_wire_put_uint(&out, 1, 100);
    qry_wire_put_uint(&out, 2, 200);
    qry_wire_put_uint(&out, 3, 300);
    qry_wire_put_sint(&out, 4, 1000 * (int64_t)m->index);
    qry_wire_put_sint(&out, 5, 9000);
    qry_wire_put_bytes(&entry, 1, NX_VIEW("up"));
    qry_wire_put_uint(&entry, 2, 40);
    qry_wire_put_element(&out, 6, nx_buf_view(&entry));
    nx_buf_release(&entry);
    nx_rpc_reply(req, &out);
}

/* --- set-up --- */

static void member_open(struct cluster *c, size_t i)
{
    struct member *m = &c->members[i];
    struct nx_http_server_options http = {.host = "127.0.0.1"};
    struct nx_fail fail;
    *m = (struct member){.cluster = c, .index = i};
    assert_int_equal(nx_http_server_new(&http, c->workers, NULL, NULL, &m->http), NX_OK);
    assert_int_equal(nx_rpc_server_new(m->http, c->workers, NULL, &m->rpc), NX_OK);
    static const struct {
        const char *name;
        nx_rpc_handler handle;
    } methods[] = {{"select", on_select},
                   {"labels", on_labels},
                   {"metadata", on_metadata},
                   {"exemplars", on_exemplars},
                   {"status", on_status}};
    for (size_t j = 0; j < sizeof methods / sizeof *methods; j++)
        assert_int_equal(
            nx_rpc_server_method(m->rpc, methods[j].name, methods[j].handle, m, 0, NULL), NX_OK);
    assert_int_equal(nx_http_server_listen(m->http, &fail), NX_OK);
    size_t len = strlen(c->members_text);
    snprintf(c->members_text + len, sizeof c->members_text - len, "%sm%zu@127.0.0.1:%u",
             len > 0 ? "," : "", i, nx_http_server_port(m->http));
}

void cluster_init(struct cluster *c)
{
    *c = (struct cluster){.workers = NULL};
    struct nx_setting_group group = qry_setting_group(&c->settings);
    assert_int_equal(nx_config_new(&group, 1, &c->config), NX_OK);
}

void cluster_start(struct cluster *c)
{
    struct nx_workers_options workers = {.count = 2, .name = "q"};
    struct nx_http_server_options http = {.host = "127.0.0.1"};
    struct nx_fail fail = {0};
    const struct nx_clock *clock = nx_clock_system();
    assert_int_equal(nx_workers_new(&workers, &c->workers), NX_OK);
    assert_int_equal(nx_telemetry_new(&c->telemetry), NX_OK);
    assert_int_equal(nx_http_server_new(&http, c->workers, NULL, NULL, &c->http), NX_OK);
    assert_int_equal(nx_rpc_server_new(c->http, c->workers, NULL, &c->rpc), NX_OK);
    for (size_t i = 0; i < CLUSTER_MEMBERS; i++)
        member_open(c, i);
    struct nx_ring_options ring = {.backend = "static",
                                   .members = c->members_text,
                                   .cluster = "test",
                                   .partitions = 64,
                                   .rf = 3,
                                   .heartbeat_interval_ms = 1000,
                                   .heartbeat_timeout_ms = 600000,
                                   .self = {.name = "querier"}};
    assert_int_equal(nx_ring_new(&ring, clock, c->rpc, NULL, NULL, &c->ring, &fail), NX_OK);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            nx_rpc_client_new(nx_workers_at(c->workers, i), NULL, NULL, NULL, &c->clients[i]),
            NX_OK);
    struct qry_deps deps = {.settings = &c->settings,
                            .config = c->config,
                            .workers = c->workers,
                            .http = c->http,
                            .clients = c->clients,
                            .ring = c->ring,
                            .clock = clock,
                            .telemetry = c->telemetry};
    assert_int_equal(qry_new(&deps, &c->qry, &fail), NX_OK);
    assert_int_equal(nx_http_server_alias(c->http, "/prometheus"), NX_OK);
    assert_int_equal(nx_http_server_listen(c->http, &fail), NX_OK);
    assert_int_equal(nx_workers_start(c->workers), NX_OK);
}

/* --- tear-down --- */

static void one_done(void *user)
{
    struct cluster *c = user;
    atomic_fetch_sub(&c->pending, 1);
}

static void wait_done(struct cluster *c)
{
    while (atomic_load(&c->pending) > 0)
        usleep(500);
}

struct errand {
    struct nx_task task;
    struct cluster *c;
    size_t i;
};

static void close_client(struct nx_task *task)
{
    struct errand *e = (struct errand *)task;
    nx_rpc_client_close(e->c->clients[e->i], one_done, e->c);
}

static void stop_querier(struct nx_task *task)
{
    struct errand *e = (struct errand *)task;
    qry_stop(e->c->qry, one_done, e->c);
}

void cluster_stop(struct cluster *c)
{
    struct errand errands[3];
    atomic_store(&c->pending, 1);
    nx_http_server_stop(c->http, 10, one_done, c);
    wait_done(c);
    atomic_store(&c->pending, 1);
    errands[2] = (struct errand){.task.run = stop_querier, .c = c};
    nx_worker_reply(nx_workers_at(c->workers, 0), &errands[2].task);
    wait_done(c);
    atomic_store(&c->pending, 2);
    for (size_t i = 0; i < 2; i++) {
        errands[i] = (struct errand){.task.run = close_client, .c = c, .i = i};
        nx_worker_reply(nx_workers_at(c->workers, i), &errands[i].task);
    }
    wait_done(c);
    atomic_store(&c->pending, CLUSTER_MEMBERS);
    for (size_t i = 0; i < CLUSTER_MEMBERS; i++)
        nx_http_server_stop(c->members[i].http, 10, one_done, c);
    wait_done(c);
    nx_workers_stop(c->workers);
    qry_free(c->qry);
    nx_ring_free(c->ring);
    for (size_t i = 0; i < CLUSTER_MEMBERS; i++) {
        nx_rpc_server_free(c->members[i].rpc);
        nx_http_server_free(c->members[i].http);
    }
    nx_rpc_server_free(c->rpc);
    nx_http_server_free(c->http);
    nx_workers_free(c->workers);
    nx_telemetry_free(c->telemetry);
    nx_config_free(c->config);
}

void cluster_set_moods(struct cluster *c, enum member_mood a, enum member_mood b,
                       enum member_mood d)
{
    atomic_store(&c->members[0].mood, (int)a);
    atomic_store(&c->members[1].mood, (int)b);
    atomic_store(&c->members[2].mood, (int)d);
}

/* --- requests --- */

int cluster_open(struct cluster *c, const char *request)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(nx_http_server_port(c->http))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    size_t len = strlen(request);
    assert_int_equal(send(fd, request, len, MSG_NOSIGNAL), len);
    return fd;
}

char *cluster_request(struct cluster *c, const char *request, bool slow)
{
    int fd = cluster_open(c, request);
    size_t len = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    if (slow) {
        int small = 128 << 10;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    for (;;) {
        if (capacity - len < 8192)
            text = realloc(text, capacity *= 2);
        ssize_t n = recv(fd, text + len, 8191, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        if (slow && len < 300000)
            usleep(300);
    }
    close(fd);
    text[len] = '\0';
    return text;
}

/* Joins the chunks of a chunked body, in place. */
static void join_chunks(char *body)
{
    char *in = body, *out = body;
    for (;;) {
        size_t size = strtoul(in, &in, 16);
        in = strstr(in, "\r\n");
        if (size == 0 || !in)
            break;
        memmove(out, in + 2, size);
        out += size;
        in += 2 + size + 2;
    }
    *out = '\0';
}

static char *body_of(char *answer, int *status)
{
    char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    *body = '\0';
    body += 4;
    if (status)
        *status = (int)strtol(answer + strlen("HTTP/1.1 "), NULL, 10);
    if (strstr(answer, "chunked"))
        join_chunks(body);
    char *copy = strdup(body);
    free(answer);
    return copy;
}

char *cluster_get(struct cluster *c, const char *path, int *status)
{
    char request[8192];
    snprintf(request, sizeof request,
             "GET /api/v1/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    return body_of(cluster_request(c, request, false), status);
}

char *cluster_post_form(struct cluster *c, const char *path, const char *form, int *status)
{
    char request[8192];
    snprintf(request, sizeof request,
             "POST /prometheus/api/v1/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
             "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n%s",
             path, strlen(form), form);
    return body_of(cluster_request(c, request, false), status);
}
