/* A writer sends batches of its series, one sample of each, as Prometheus does: until they are
 * taken or given up, one after the other. Now and then a batch is late, is sent again though it was
 * acknowledged, or the writer pauses. */
#include <inttypes.h>
#include <snappy-c.h>
#include <stdio.h>
#include <string.h>

#include "common/base/owner.h"
#include "common/net/http_server.h"
#include "tests/sim/http.h"
#include "tests/sim/load_internal.h"

/* As in process.c: 2026-01-01T00:00:00Z */
#define EPOCH_MS INT64_C(1767225600000)
#define CLIENT_TIMEOUT_NS (30 * SIM_S)
#define ATTEMPTS_MAX 12
#define REPEATS_MAX 3
#define PAUSE_NS (600 * SIM_S)

enum { LATE_ONE_IN = 8, REPEAT_ONE_IN = 12 };

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

static void put_double(struct nx_buf *buf, unsigned field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    nx_buf_put_uvarint(buf, (uint64_t)field << 3 | 1);
    nx_buf_put_u64(buf, bits);
}

static void put_uint(struct nx_buf *buf, unsigned field, uint64_t value)
{
    nx_buf_put_uvarint(buf, (uint64_t)field << 3);
    nx_buf_put_uvarint(buf, value);
}

/* A message Sample. */
static void put_sample(struct nx_buf *series, int64_t t, uint64_t value)
{
    struct nx_buf sample;
    nx_buf_init(&sample, SIZE_MAX);
    put_double(&sample, 1, (double)value);
    put_uint(&sample, 2, (uint64_t)t);
    put_bytes(series, 2, nx_buf_view(&sample));
    nx_buf_release(&sample);
}

/* A message Histogram: one observation in each of two buckets, whose sum is the value. */
static void put_histogram(struct nx_buf *series, int64_t t, uint64_t value)
{
    struct nx_buf histogram;
    nx_buf_init(&histogram, SIZE_MAX);
    put_uint(&histogram, 1, 2);
    put_double(&histogram, 3, (double)value);
    put_bytes(&histogram, 11, NX_VIEW("\x10\x02")); /* a span: two buckets from 0 on */
    put_bytes(&histogram, 12, NX_VIEW("\x02\x00")); /* counts 1, 1 */
    put_uint(&histogram, 15, (uint64_t)t);
    put_bytes(series, 4, nx_buf_view(&histogram));
    nx_buf_release(&histogram);
}

static void put_series(struct nx_buf *message, size_t number, bool histogram, int64_t t,
                       uint64_t value)
{
    struct nx_buf series;
    char text[24];
    (void)snprintf(text, sizeof text, "%zu", number);
    nx_buf_init(&series, SIZE_MAX);
    put_label(&series, "__name__", "sim");
    put_label(&series, "s", text);
    if (histogram)
        put_histogram(&series, t, value);
    else
        put_sample(&series, t, value);
    put_bytes(message, 1, nx_buf_view(&series));
    nx_buf_release(&series);
}

/* Now, or, of a batch that is late, a time that lies back as far as half the window that takes
 * such samples. */
static int64_t choose_time(struct sim_writer *writer)
{
    struct sim_load *load = writer->load;
    int64_t now = sim_load_now_ms();
    size_t first = writer->number * load->options.series_per_writer;
    if (writer->audit || nx_rand_below(&load->plan, LATE_ONE_IN) > 0)
        return now;
    int64_t t = now - (int64_t)nx_rand_below(&load->plan, (uint64_t)load->options.late_ms / 2);
    return t > EPOCH_MS && !sim_ledger_has(load->ledger, first, t) ? t : now;
}

static void compose(struct sim_writer *writer)
{
    struct sim_load *load = writer->load;
    size_t per_writer = load->options.series_per_writer;
    struct nx_buf message;
    nx_buf_init(&message, SIZE_MAX);
    writer->t = choose_time(writer);
    for (size_t i = 0; i < per_writer; i++) {
        size_t series = writer->number * per_writer + i;
        put_series(&message, series, load->options.histograms && series % 3 == 0, writer->t,
                   sim_ledger_send(load->ledger, series, writer->t));
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

static void send_write(struct sim_writer *writer, struct sim_node *to)
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

static void nothing(struct sim_event *event)
{
    (void)event;
}

static void later(struct sim_writer *writer, uint64_t delay_ns)
{
    sim_after(&writer->event, NULL, delay_ns);
}

static void write_run(struct sim_event *event)
{
    struct sim_writer *writer = NX_OWNER(struct sim_writer, event, event);
    struct sim_load *load = writer->load;
    if (load->stopped)
        return;
    if (writer->attempts == 0 && !writer->repeats)
        compose(writer);
    send_write(writer,
               sim_load_choose(load, load->options.distributors, load->options.distributor_count));
}

static void acknowledge(struct sim_writer *writer)
{
    struct sim_load *load = writer->load;
    size_t per_writer = load->options.series_per_writer;
    for (size_t i = 0; i < per_writer; i++)
        sim_ledger_ack(load->ledger, writer->number * per_writer + i, writer->t);
}

static void on_written(void *user, int status, struct nx_view body)
{
    struct sim_writer *writer = user;
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
    unsigned most = writer->repeats ? REPEATS_MAX : ATTEMPTS_MAX;
    bool again = !stored && writer->attempts < most && !load->stopped;
    bool repeats = stored && !writer->repeats && nx_rand_below(&load->plan, REPEAT_ONE_IN) == 0;
    if (!again)
        writer->attempts = 0;
    if (!again)
        writer->repeats = repeats;
    bool pauses = !again && !repeats && nx_rand_below(&load->plan, 150) == 0; /* they are idle */
    later(writer, sim_load_jitter(load, again || repeats ? SIM_S
                                        : pauses         ? PAUSE_NS
                                                         : load->options.write_interval_ns));
}

void sim_writer_init(struct sim_writer *writer, struct sim_load *load, size_t number)
{
    writer->load = load;
    writer->number = number;
    writer->event = (struct sim_event){.kind = SIM_LOAD, .run = write_run, .drop = nothing};
    nx_buf_init(&writer->body, SIZE_MAX);
}

void sim_writer_start(struct sim_writer *writer)
{
    later(writer, sim_load_jitter(writer->load, writer->load->options.write_interval_ns));
}

void sim_writer_audit(struct sim_writer *writer, struct sim_node *to)
{
    sim_check(!writer->waiting, "writers that have ended");
    writer->load->pending++;
    writer->audit = true;
    writer->repeats = false;
    compose(writer);
    send_write(writer, to);
}
