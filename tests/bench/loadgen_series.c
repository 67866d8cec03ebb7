/* A series is a slot of a block of 100; a block is one host. The label set of a slot is encoded
 * once, with room of fixed width for the number of the host and of the generation (churn); encoding
 * a request is a copy and a few patches a series. */
#include "tests/bench/loadgen_series.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"

enum { HOST_DIGITS = 8, GENERATION_DIGITS = 6, SAMPLE_BYTES = 18, TIMESTAMP_BYTES = 6 };
#define HOST_MARK "HHHHHHHH"
#define GENERATION_MARK "GGGGGG"

enum kind {
    KIND_BUCKET,
    KIND_COUNT,
    KIND_SUM,
    KIND_CPU,
    KIND_BYTES,
    KIND_MEMORY,
    KIND_NOISE,
    KIND_CONSTANT
};

struct slot_shape {
    const char *metric;
    enum kind kind;
    unsigned variant; /* which cpu, bucket, device ... */
};

static const char *const bounds[] = {"0.005", "0.01", "0.025", "0.05", "0.1",
                                     "0.25",  "0.5",  "1",     "2.5",  "+Inf"};
static const char *const handlers[] = {"/cart", "/checkout", "/search", "/product"};
static const char *const modes[] = {"idle",    "iowait", "irq",    "nice",
                                    "softirq", "steal",  "system", "user"};
static const char *const memory_metrics[] = {
    "node_memory_MemFree_bytes", "node_memory_Cached_bytes", "node_memory_Active_bytes"};

static struct slot_shape shape_of(unsigned slot)
{
    if (slot < 40)
        return (struct slot_shape){"http_request_duration_seconds_bucket", KIND_BUCKET, slot};
    if (slot < 44)
        return (struct slot_shape){"http_request_duration_seconds_count", KIND_COUNT, slot - 40};
    if (slot < 48)
        return (struct slot_shape){"http_request_duration_seconds_sum", KIND_SUM, slot - 44};
    if (slot < 64)
        return (struct slot_shape){"node_cpu_seconds_total", KIND_CPU, slot - 48};
    if (slot < 74)
        return (struct slot_shape){"node_network_receive_bytes_total", KIND_BYTES, slot - 64};
    if (slot < 83)
        return (struct slot_shape){memory_metrics[(slot - 74) % 3], KIND_MEMORY, slot - 74};
    if (slot < 93)
        return (struct slot_shape){"node_hwmon_temp_celsius", KIND_NOISE, slot - 83};
    return (struct slot_shape){"kube_pod_info", KIND_CONSTANT, slot - 93};
}

/* --- values --- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t draw(uint64_t series, uint64_t scrape)
{
    return mix(series * UINT64_C(0x9e3779b97f4a7c15) + mix(scrape + 1));
}

/* A counter that grows by about `step` a scrape, and never falls. */
static uint64_t counter(uint64_t series, uint64_t scrape, uint64_t step)
{
    return scrape * step + draw(series, scrape) % step;
}

/* Requests of one of the host's four handlers; its buckets, count and sum hang together. */
static uint64_t requests(uint64_t series, uint64_t handler, uint64_t scrape)
{
    return counter(series / LOAD_BLOCK * LOAD_BLOCK + handler, scrape, 40 + handler * 25);
}

double load_value(const struct load_options *options, uint64_t series, uint64_t scrape)
{
    static const uint64_t share[] = {5,  12, 30, 55, 75,
                                     88, 95, 98, 99, 100}; /* percent below each bound */
    struct slot_shape shape = shape_of((unsigned)(series % LOAD_BLOCK));
    switch (shape.kind) {
    case KIND_BUCKET:
        return (double)(requests(series, shape.variant / 10, scrape) * share[shape.variant % 10] /
                        100);
    case KIND_COUNT:
        return (double)requests(series, shape.variant, scrape);
    case KIND_SUM:
        return (double)(requests(series, shape.variant, scrape) * 61) / 1000.0;
    case KIND_CPU:
        return (double)counter(series, scrape, 100 + shape.variant * 70) / 100.0;
    case KIND_BYTES:
        return (double)counter(series, scrape, 100000 * (shape.variant + 1));
    case KIND_MEMORY:
        return (double)((1000000 + draw(series, scrape / 4) % 65536) * 4096);
    case KIND_NOISE:
        return 20.0 +
               (double)(draw(series, scrape) & ((UINT64_C(1) << options->noise_bits) - 1)) / 8.0;
    case KIND_CONSTANT:
        break;
    }
    return 1;
}

/* --- churn --- */

/* Each series starts somewhere between two replacements, so that they spread over the scrapes. */
static uint64_t generation(const struct load_options *options, uint64_t series, uint64_t scrape)
{
    double phase = (double)(mix(series) % 1000) / 1000.0;
    return (uint64_t)floor((double)scrape * options->churn + phase);
}

/* --- label sets --- */

struct slot_template {
    char *bytes; /* the TimeSeries with its head, up to the Sample */
    size_t len;
    size_t hosts[2]; /* where the digits go; 0: nowhere */
    size_t generation;
};

struct load_template {
    struct slot_template slots[LOAD_BLOCK];
};

static void put_label(struct nx_buf *out, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    nx_buf_put_u8(out, 0x0a);
    nx_buf_put_u8(out, (uint8_t)(name_len + value_len + 4));
    nx_buf_put_u8(out, 0x0a);
    nx_buf_put_bytes(out, nx_view_make(name, name_len));
    nx_buf_put_u8(out, 0x12);
    nx_buf_put_bytes(out, nx_view_make(value, value_len));
}

static void put_host_labels(struct nx_buf *out, const struct slot_shape *shape)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%u", shape->variant);
    put_label(out, "__name__", shape->metric);
    put_label(out, "cluster", "bench-eu-1");
    if (shape->kind == KIND_CPU) {
        (void)snprintf(text, sizeof text, "%u", shape->variant / 8);
        put_label(out, "cpu", text);
    } else {
        put_label(out, "device", text);
    }
    put_label(out, "env", "production");
    put_label(out, "instance", "host-" HOST_MARK ":9100");
    put_label(out, "job", "node");
    if (shape->kind == KIND_CPU)
        put_label(out, "mode", modes[shape->variant % 8]);
    put_label(out, "pod", "node-" HOST_MARK "-" GENERATION_MARK);
    put_label(out, "zone", "eu-1a");
}

static void put_request_labels(struct nx_buf *out, const struct slot_shape *shape)
{
    unsigned handler = shape->kind == KIND_BUCKET ? shape->variant / 10 : shape->variant;
    put_label(out, "__name__", shape->metric);
    put_label(out, "cluster", "bench-eu-1");
    put_label(out, "handler", handlers[handler]);
    put_label(out, "instance", "host-" HOST_MARK ":8080");
    put_label(out, "job", "shop");
    if (shape->kind == KIND_BUCKET)
        put_label(out, "le", bounds[shape->variant % 10]);
    put_label(out, "method", handler == 1 ? "POST" : "GET");
    put_label(out, "pod", "shop-" HOST_MARK "-" GENERATION_MARK);
    put_label(out, "status", "200");
}

static void find_marks(struct slot_template *slot)
{
    size_t hosts = 0;
    for (size_t i = 0; i + HOST_DIGITS <= slot->len; i++) {
        if (hosts < 2 && memcmp(slot->bytes + i, HOST_MARK, HOST_DIGITS) == 0)
            slot->hosts[hosts++] = i;
        if (memcmp(slot->bytes + i, GENERATION_MARK, GENERATION_DIGITS) == 0)
            slot->generation = i;
    }
}

static enum nx_err make_slot(struct slot_template *slot, unsigned number)
{
    struct slot_shape shape = shape_of(number);
    struct nx_buf labels, out;
    nx_buf_init(&labels, SIZE_MAX);
    nx_buf_init(&out, SIZE_MAX);
    if (shape.kind <= KIND_SUM)
        put_request_labels(&labels, &shape);
    else
        put_host_labels(&labels, &shape);
    nx_buf_put_u8(&out, 0x0a);
    nx_buf_put_uvarint(&out, labels.len + SAMPLE_BYTES);
    nx_buf_append(&out, labels.data, labels.len);
    enum nx_err err = nx_buf_err(&labels) ? nx_buf_err(&labels) : nx_buf_err(&out);
    if (!err) {
        slot->bytes = nx_buf_take(&out, &slot->len);
        find_marks(slot);
    }
    nx_buf_release(&labels);
    nx_buf_release(&out);
    return err;
}

enum nx_err load_template_new(struct load_template **out)
{
    struct load_template *template = nx_calloc(1, sizeof *template);
    if (!template)
        return NX_ERR_NOMEM;
    for (unsigned slot = 0; slot < LOAD_BLOCK; slot++) {
        enum nx_err err = make_slot(&template->slots[slot], slot);
        if (err) {
            load_template_free(template);
            return err;
        }
    }
    *out = template;
    return NX_OK;
}

void load_template_free(struct load_template *template)
{
    for (unsigned slot = 0; template && slot < LOAD_BLOCK; slot++)
        nx_free(template->slots[slot].bytes);
    nx_free(template);
}

/* --- requests --- */

uint64_t load_batches(const struct load_options *options)
{
    return (options->series + options->batch - 1) / options->batch;
}

uint64_t load_batch_series(const struct load_options *options, uint64_t batch)
{
    uint64_t first = batch * options->batch;
    uint64_t left = options->series - first;
    return left < options->batch ? left : options->batch;
}

static void put_digits(char *at, unsigned digits, uint64_t number)
{
    while (digits > 0) {
        at[--digits] = (char)('0' + number % 10);
        number /= 10;
    }
}

static void put_sample(char *at, int64_t timestamp, double value)
{
    uint64_t bits, t = (uint64_t)timestamp;
    memcpy(&bits, &value, sizeof bits);
    at[0] = 0x12;
    at[1] = SAMPLE_BYTES - 2;
    at[2] = 0x09;
    for (unsigned i = 0; i < 8; i++)
        at[3 + i] = (char)(bits >> (8 * i));
    at[11] = 0x10;
    for (unsigned i = 0; i < TIMESTAMP_BYTES; i++)
        at[12 + i] = (char)(((t >> (7 * i)) & 0x7f) | (i + 1 < TIMESTAMP_BYTES ? 0x80 : 0));
}

void load_encode(const struct load_template *template, const struct load_options *options,
                 uint64_t batch, uint64_t scrape, struct nx_buf *out)
{
    uint64_t first = batch * options->batch;
    uint64_t count = load_batch_series(options, batch);
    int64_t timestamp = options->start_ms + (int64_t)scrape * options->interval_ms;
    scrape += options->first_scrape;
    for (uint64_t series = first; series < first + count; series++) {
        const struct slot_template *slot = &template->slots[series % LOAD_BLOCK];
        if (nx_buf_reserve(out, slot->len + SAMPLE_BYTES))
            return;
        char *at = out->data + out->len;
        memcpy(at, slot->bytes, slot->len);
        for (size_t i = 0; i < 2; i++)
            put_digits(at + slot->hosts[i], HOST_DIGITS, series / LOAD_BLOCK);
        put_digits(at + slot->generation, GENERATION_DIGITS, generation(options, series, scrape));
        put_sample(at + slot->len, timestamp, load_value(options, series, scrape));
        out->len += slot->len + SAMPLE_BYTES;
    }
}

/* --- what must be there --- */

struct total { /* Neumaier's sum */
    double sum, correction;
};

static void add(struct total *total, double v)
{
    double sum = total->sum + v;
    total->correction +=
        fabs(total->sum) >= fabs(v) ? (total->sum - sum) + v : (v - sum) + total->sum;
    total->sum = sum;
}

static size_t metric_of(struct load_expected *out, size_t *count, const char *metric)
{
    size_t i = 0;
    while (i < *count && strcmp(out[i].metric, metric) != 0)
        i++;
    if (i == *count) {
        out[i] = (struct load_expected){.metric = metric};
        (*count)++;
    }
    return i;
}

size_t load_expect(const struct load_options *options, struct load_expected *out)
{
    struct total sums[LOAD_MAX_METRICS] = {{0, 0}}, last[LOAD_MAX_METRICS] = {{0, 0}};
    size_t count = 0;
    uint64_t from = options->first_scrape, to = from + options->scrapes;
    for (uint64_t series = 0; series < options->series; series++) {
        size_t m = metric_of(out, &count, shape_of((unsigned)(series % LOAD_BLOCK)).metric);
        out[m].series +=
            1 + generation(options, series, to - 1) - generation(options, series, from);
        out[m].samples += options->scrapes;
        for (uint64_t scrape = from; scrape < to; scrape++)
            add(&sums[m], load_value(options, series, scrape));
        add(&last[m], load_value(options, series, to - 1));
    }
    for (size_t m = 0; m < count; m++) {
        out[m].sum = sums[m].sum + sums[m].correction;
        out[m].last_sum = last[m].sum + last[m].correction;
    }
    return count;
}
