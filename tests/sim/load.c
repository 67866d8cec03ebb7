#include "tests/sim/load.h"

#include <inttypes.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/owner.h"
#include "common/net/http_server.h"
#include "tests/sim/http.h"

/* As in process.c: 2026-01-01T00:00:00Z */
#define EPOCH_MS INT64_C(1767225600000)
#define CLIENT_TIMEOUT_NS (30 * SIM_S)
#define ATTEMPTS_MAX 12
#define PAUSE_NS (600 * SIM_S)

struct writer {
    struct sim_event event;
    struct sim_load *load;
    size_t number;
    int64_t t;
    unsigned attempts;
    bool waiting; /* for an answer */
    bool audit;
    struct nx_buf body;
};

struct reader {
    struct sim_event event;
    struct sim_load *load;
};

struct read {
    struct sim_load *load;
    struct sim_question question;
    bool audit;
};

struct sim_load {
    struct sim_load_options options;
    struct sim_ledger *ledger;
    struct nx_rand plan;
    struct writer *writers;
    struct reader reader;
    bool stopped;
    size_t pending;
};

static int64_t now_ms(void)
{
    return EPOCH_MS + (int64_t)(sim_now() / SIM_MS);
}

static uint64_t jitter(struct sim_load *load, uint64_t ns)
{
    return ns / 2 + nx_rand_below(&load->plan, ns + 1);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_bytes(struct nx_buf *buf, unsigned field, struct nx_view bytes)
{
    nx_buf_put_uvarint(buf, (uint64_t)field << 3 | 2);
    nx_buf_put_bytes(buf, bytes);
}

static void put_label(struct nx_buf *series, const char *name, const char *value)
{
    struct nx_buf label;
    nx_buf_init(&label, SIZE_MAX);
    put_bytes(&label, 1, nx_view_of(name));
    put_bytes(&label, 2, nx_view_of(value));
    put_bytes(series, 1, nx_buf_view(&label));
    nx_buf_release(&label);
}

static void put_series(struct nx_buf *message, size_t number, int64_t t, uint64_t value)
{
    struct nx_buf series, sample;
    char text[24];
    double real = (double)value;
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    (void)snprintf(text, sizeof text, "%zu", number);
    nx_buf_init(&series, SIZE_MAX);
    nx_buf_init(&sample, SIZE_MAX);
    put_label(&series, "__name__", "sim");
    put_label(&series, "s", text);
    nx_buf_put_uvarint(&sample, 1 << 3 | 1);
    nx_buf_put_u64(&sample, bits);
    nx_buf_put_uvarint(&sample, 2 << 3);
    nx_buf_put_uvarint(&sample, (uint64_t)t);
    put_bytes(&series, 2, nx_buf_view(&sample));
    put_bytes(message, 1, nx_buf_view(&series));
    nx_buf_release(&sample);
    nx_buf_release(&series);
}

static void compose(struct writer *writer)
{
    struct sim_load *load = writer->load;
    size_t per_writer = load->options.series_per_writer;
    struct nx_buf message;
    nx_buf_init(&message, SIZE_MAX);
    writer->t = now_ms();
    for (size_t i = 0; i < per_writer; i++) {
        size_t series = writer->number * per_writer + i;
        put_series(&message, series, writer->t, sim_ledger_send(load->ledger, series, writer->t));
    }
    size_t len = snappy_max_compressed_length(message.len);
    nx_buf_clear(&writer->body);
    sim_check(nx_buf_reserve(&writer->body, len) == NX_OK, "memory for a body");
    snappy_status status = snappy_compress(message.data, message.len, writer->body.data, &len);
    sim_check(status == SNAPPY_OK, "a compressed body");
    writer->body.len = len;
    nx_buf_release(&message);
}

static void on_written(void *user, int status, struct nx_view body);

static void send_write(struct writer *writer, struct sim_node *to)
{
    static const struct sim_http_header headers[] = {
        {"Content-Encoding", "snappy"}, {"Content-Type", "application/x-protobuf"}, {NULL, NULL}};
    struct sim_http_request request = {.method = NX_HTTP_POST,
                                       .path = "/api/v1/write",
                                       .headers = headers,
                                       .body = nx_buf_view(&writer->body),
                                       .timeout_ns = CLIENT_TIMEOUT_NS,
                                       .done = on_written,
                                       .user = writer};
    writer->attempts++;
    writer->waiting = true;
    writer->load->ledger->writes++;
    sim_http_send(&to->process, &request);
}

static struct sim_node *choose(struct sim_load *load, struct sim_node *const *nodes, size_t count)
{
    return nodes[nx_rand_below(&load->plan, count)];
}

static void later(struct writer *writer, uint64_t delay_ns)
{
    sim_after(&writer->event, NULL, delay_ns);
}

static void write_run(struct sim_event *event)
{
    struct writer *writer = NX_OWNER(struct writer, event, event);
    struct sim_load *load = writer->load;
    if (load->stopped)
        return;
    if (writer->attempts == 0)
        compose(writer);
    send_write(writer, choose(load, load->options.distributors, load->options.distributor_count));
}

static void acknowledge(struct writer *writer)
{
    struct sim_load *load = writer->load;
    size_t per_writer = load->options.series_per_writer;
    for (size_t i = 0; i < per_writer; i++)
        sim_ledger_ack(load->ledger, writer->number * per_writer + i, writer->t);
}

static void on_written(void *user, int status, struct nx_view body)
{
    struct writer *writer = user;
    struct sim_load *load = writer->load;
    bool stored = status == 200 || status == 204;
    writer->waiting = false;
    sim_trace("write %zu at %" PRId64 ": %d %.*s", writer->number, writer->t, status,
              (int)(body.len < 200 ? body.len : 200), body.ptr);
    if (stored)
        acknowledge(writer);
    else
        load->ledger->writes_failed++;
    if (status >= 400 && status < 500 && status != 429)
        sim_ledger_fail(load->ledger, "a write was refused with %d: %.*s", status, (int)body.len,
                        body.ptr);
    if (writer->audit) {
        writer->audit = false;
        load->pending--;
        if (!stored)
            sim_ledger_fail(load->ledger, "a write to the whole cluster failed with %d: %.*s",
                            status, (int)body.len, body.ptr);
        return;
    }
    bool again = !stored && writer->attempts < ATTEMPTS_MAX && !load->stopped;
    if (!again)
        writer->attempts = 0;
    bool pauses = !again && nx_rand_below(&load->plan, 150) == 0; /* its series become idle */
    later(writer, jitter(load, again    ? SIM_S
                               : pauses ? PAUSE_NS
                                        : load->options.write_interval_ns));
}

/* --- reading ---------------------------------------------------------------------------------- */

static void on_read(void *user, int status, struct nx_view body)
{
    struct read *read = user;
    struct sim_load *load = read->load;
    sim_trace("read of %zu series from %zu: %d %.*s", read->question.series_count,
              read->question.first_series, status,
              status == 200 ? 0 : (int)(body.len < 300 ? body.len : 300), body.ptr);
    if (status == 200)
        sim_ledger_check(load->ledger, &read->question, body);
    else
        load->ledger->reads_failed++;
    if (read->audit) {
        load->pending--;
        if (status != 200)
            sim_ledger_fail(load->ledger, "a question to the whole cluster failed with %d: %.*s",
                            status, (int)body.len, body.ptr);
    }
    free(read);
}

static void ask(struct sim_load *load, struct sim_node *to, struct sim_question question,
                bool audit)
{
    char query[160];
    int64_t range = question.to_t - question.after_t;
    int len = question.series_count == 1
                  ? snprintf(query, sizeof query, "query=sim%%7Bs%%3D%%22%zu%%22%%7D",
                             question.first_series)
                  : snprintf(query, sizeof query, "query=sim");
    (void)snprintf(query + len, sizeof query - (size_t)len,
                   "%%5B%" PRId64 "ms%%5D&time=%" PRId64 ".%03d", range, question.to_t / 1000,
                   (int)(question.to_t % 1000));
    struct read *read = sim_calloc(1, sizeof *read);
    question.asked_ns = sim_now();
    *read = (struct read){.load = load, .question = question, .audit = audit};
    struct sim_http_request request = {.method = NX_HTTP_GET,
                                       .path = "/api/v1/query",
                                       .query = query,
                                       .timeout_ns = 180 * SIM_S,
                                       .done = on_read,
                                       .user = read};
    load->ledger->reads++;
    sim_http_send(&to->process, &request);
}

static void read_run(struct sim_event *event)
{
    struct reader *reader = NX_OWNER(struct reader, event, event);
    struct sim_load *load = reader->load;
    if (load->stopped)
        return;
    bool all = nx_rand_below(&load->plan, 4) == 0;
    int64_t back = (int64_t)nx_rand_below(&load->plan, 1200) * 1000;
    int64_t range = 1 + (int64_t)nx_rand_below(&load->plan, 600000);
    if (nx_rand_below(&load->plan, 2))
        back = 0;
    int64_t to_t = now_ms() - back;
    struct sim_question question = {
        .first_series = all ? 0 : nx_rand_below(&load->plan, load->ledger->series_count),
        .series_count = all ? load->ledger->series_count : 1,
        .after_t = to_t - range,
        .to_t = to_t};
    ask(load, choose(load, load->options.queriers, load->options.querier_count), question, false);
    sim_after(&reader->event, NULL, jitter(load, load->options.read_interval_ns));
}

/* --- life ------------------------------------------------------------------------------------- */

static void nothing(struct sim_event *event)
{
    (void)event;
}

struct sim_load *sim_load_new(const struct sim_load_options *options, struct sim_ledger *ledger)
{
    struct sim_load *load = sim_calloc(1, sizeof *load);
    load->options = *options;
    load->ledger = ledger;
    nx_rand_seeded(&load->plan, nx_rand_u64(sim_rand()));
    load->writers = sim_calloc(options->writers, sizeof *load->writers);
    for (size_t i = 0; i < options->writers; i++) {
        struct writer *writer = &load->writers[i];
        writer->load = load;
        writer->number = i;
        writer->event = (struct sim_event){.kind = SIM_LOAD, .run = write_run, .drop = nothing};
        nx_buf_init(&writer->body, SIZE_MAX);
    }
    load->reader.load = load;
    load->reader.event = (struct sim_event){.kind = SIM_LOAD, .run = read_run, .drop = nothing};
    return load;
}

void sim_load_free(struct sim_load *load)
{
    for (size_t i = 0; i < load->options.writers; i++)
        nx_buf_release(&load->writers[i].body);
    free(load->writers);
    free(load);
}

void sim_load_start(struct sim_load *load)
{
    for (size_t i = 0; i < load->options.writers; i++)
        later(&load->writers[i], jitter(load, load->options.write_interval_ns));
    sim_after(&load->reader.event, NULL, jitter(load, load->options.read_interval_ns));
}

void sim_load_stop(struct sim_load *load)
{
    load->stopped = true;
}

bool sim_load_idle(const struct sim_load *load)
{
    for (size_t i = 0; i < load->options.writers; i++)
        if (load->writers[i].waiting)
            return false;
    return true;
}

void sim_load_audit(struct sim_load *load)
{
    const struct sim_load_options *options = &load->options;
    int64_t to_t = now_ms();
    struct sim_question all = {
        .series_count = load->ledger->series_count, .after_t = EPOCH_MS - 1, .to_t = to_t};
    for (size_t i = 0; i < options->querier_count; i++) {
        load->pending++;
        ask(load, options->queriers[i], all, true);
    }
    for (size_t i = 0; i < options->writers; i++) {
        struct writer *writer = &load->writers[i];
        sim_check(!writer->waiting, "writers that have ended");
        load->pending++;
        writer->audit = true;
        compose(writer);
        send_write(writer, options->distributors[i % options->distributor_count]);
    }
}

size_t sim_load_pending(const struct sim_load *load)
{
    return load->pending;
}
