/* Remote-writes a known load as fast as the receiver takes it, or at a given rate.
 *
 * Work is a list of (scrape, batch) in that order, which the connections take from in turn; a batch
 * of one scrape waits until the same batch of the scrape before was acknowledged, so that every
 * series arrives in order, as from Prometheus. The requests are made and compressed before the
 * clock starts where they fit into --memory-mb, otherwise each just before it is sent. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "tests/bench/loadgen_http.h"
#include "tests/bench/loadgen_series.h"
#include "tests/bench/loadgen_v2.h"

enum { MAX_STATUS = 600, MAX_CONNECTIONS = 1024, BACKOFF_MIN_MS = 30, BACKOFF_MAX_MS = 5000 };

struct arguments {
    struct load_options load;
    struct load_url url;
    const char *tenant;
    uint64_t connections;
    uint64_t version; /* of remote write */
    uint64_t rate;    /* samples/s; 0: as fast as it goes */
    uint64_t memory_mb;
    uint64_t timeout_s;
    uint64_t retry_s;     /* give up a request after that long */
    const char *timeline; /* file for when each request was due and answered; NULL: none */
    bool verify, json;
};

struct timing {
    double due_ms; /* since the load began */
    double latency_ms;
};

struct body {
    char *bytes;
    size_t len;
};

struct run {
    const struct arguments *args;
    const struct load_template *template;
    uint64_t batches, items;
    struct body *bodies; /* an item; NULL: made when sent */
    uint64_t start_ns;
    int64_t started_ms; /* the same by the wall clock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t next_item;
    uint64_t *acknowledged; /* a batch: scrapes that are in */
    bool failed;            /* a request was given up: everything stops */
    double *latencies_ms;   /* an item */
    struct timing *timings; /* the same in the order of their answers, for the timeline */
    uint64_t latency_count;
    uint64_t samples, requests, retries, wire_bytes;
    uint64_t statuses[MAX_STATUS]; /* 0: no answer */
    char first_error[320];
};

struct connection {
    struct run *run;
    pthread_t thread;
    struct load_conn *conn;
    struct nx_buf raw, v2, packed;
};

static uint64_t now_ns(void)
{
    return nx_now_ns(nx_clock_system());
}

static void sleep_ns(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

/* --- bodies --- */

static enum nx_err make_body(const struct run *run, uint64_t item, struct nx_buf *raw,
                             struct nx_buf *v2, struct nx_buf *packed)
{
    nx_buf_clear(raw);
    nx_buf_clear(v2);
    nx_buf_clear(packed);
    load_encode(run->template, &run->args->load, item % run->batches, item / run->batches, raw);
    enum nx_err err = nx_buf_err(raw);
    if (!err && run->args->version == 2) {
        err = load_encode_v2(nx_buf_view(raw), v2);
        raw = v2;
    }
    size_t len = snappy_max_compressed_length(raw->len);
    if (!err)
        err = nx_buf_reserve(packed, len);
    if (!err && snappy_compress(raw->data, raw->len, packed->data, &len) != SNAPPY_OK)
        err = NX_ERR_INTERNAL;
    if (!err)
        packed->len = len;
    return err;
}

static void free_bodies(struct run *run)
{
    for (uint64_t i = 0; run->bodies && i < run->items; i++)
        nx_free(run->bodies[i].bytes);
    nx_free(run->bodies);
    run->bodies = NULL;
}

/* Without room for all of them none is kept. */
static enum nx_err make_bodies(struct run *run)
{
    struct nx_buf raw, v2, packed;
    uint64_t left = run->args->memory_mb << 20;
    enum nx_err err = NX_OK;
    nx_buf_init(&raw, SIZE_MAX);
    nx_buf_init(&v2, SIZE_MAX);
    nx_buf_init(&packed, SIZE_MAX);
    run->bodies = nx_calloc(run->items, sizeof *run->bodies);
    bool fits = run->bodies != NULL;
    for (uint64_t i = 0; i < run->items && fits && !err; i++) {
        err = make_body(run, i, &raw, &v2, &packed);
        fits = packed.len <= left;
        /* The first one tells whether it is worth going on. */
        if (err || !fits || (i == 0 && packed.len * run->items > left)) {
            fits = false;
            break;
        }
        run->bodies[i].bytes = nx_strndup(packed.data, packed.len);
        run->bodies[i].len = packed.len;
        fits = run->bodies[i].bytes != NULL;
        left -= packed.len;
    }
    if (!fits)
        free_bodies(run);
    nx_buf_release(&raw);
    nx_buf_release(&v2);
    nx_buf_release(&packed);
    return err;
}

/* --- sending --- */

/* The next item whose predecessor is in; false at the end. */
static bool take_item(struct run *run, uint64_t *item)
{
    pthread_mutex_lock(&run->lock);
    bool got = run->next_item < run->items && !run->failed;
    if (got) {
        *item = run->next_item++;
        while (run->acknowledged[*item % run->batches] < *item / run->batches && !run->failed)
            pthread_cond_wait(&run->changed, &run->lock);
        got = !run->failed;
    }
    pthread_mutex_unlock(&run->lock);
    return got;
}

/* When the item was to be sent: with a rate, a late one counts as having waited. */
static uint64_t wait_for_turn(const struct run *run, uint64_t item)
{
    const struct arguments *args = run->args;
    if (args->rate == 0)
        return now_ns();
    double due_s = (double)item * (double)args->load.batch / (double)args->rate;
    uint64_t due_ns = run->start_ns + (uint64_t)(due_s * 1e9), now = now_ns();
    if (now < due_ns)
        sleep_ns(due_ns - now);
    return due_ns;
}

static bool is_retryable(const struct load_answer *answer)
{
    return answer->status == 0 || answer->status == 429 || answer->status >= 500;
}

static void count_answer(struct run *run, const struct load_answer *answer, bool again)
{
    pthread_mutex_lock(&run->lock);
    run->requests++;
    run->retries += again;
    run->statuses[answer->status < MAX_STATUS ? answer->status : MAX_STATUS - 1]++;
    if ((answer->status < 200 || answer->status > 299) && !run->first_error[0])
        (void)snprintf(run->first_error, sizeof run->first_error, "%d %s", answer->status,
                       answer->text);
    pthread_mutex_unlock(&run->lock);
}

static void count_item(struct run *run, uint64_t item, bool stored, size_t bytes, uint64_t due_ns)
{
    double latency_ms = (double)(now_ns() - due_ns) * 1e-6;
    pthread_mutex_lock(&run->lock);
    if (stored) {
        run->samples += load_batch_series(&run->args->load, item % run->batches);
        run->wire_bytes += bytes;
        run->acknowledged[item % run->batches]++;
        run->timings[run->latency_count] =
            (struct timing){.due_ms = (double)due_ns * 1e-6 - (double)run->start_ns * 1e-6,
                            .latency_ms = latency_ms};
        run->latencies_ms[run->latency_count++] = latency_ms;
    } else {
        run->failed = true;
    }
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
}

static void send_item(struct connection *c, uint64_t item, uint64_t due_ns, struct nx_view body)
{
    struct run *run = c->run;
    uint64_t give_up_ns = now_ns() + run->args->retry_s * UINT64_C(1000000000);
    uint64_t backoff_ms = BACKOFF_MIN_MS;
    for (bool again = false;; again = true) {
        struct load_answer answer;
        load_conn_post(c->conn, body, &answer);
        bool stored = answer.status >= 200 && answer.status <= 299;
        count_answer(run, &answer, again);
        if (stored || !is_retryable(&answer) || now_ns() > give_up_ns) {
            count_item(run, item, stored, body.len, due_ns);
            return;
        }
        sleep_ns(answer.retry_after_s > 0 ? (uint64_t)(answer.retry_after_s * 1e9)
                                          : backoff_ms * 1000000);
        backoff_ms = backoff_ms * 2 < BACKOFF_MAX_MS ? backoff_ms * 2 : BACKOFF_MAX_MS;
    }
}

static void *run_connection(void *user)
{
    struct connection *c = user;
    struct run *run = c->run;
    uint64_t item;
    while (take_item(run, &item)) {
        struct nx_view body;
        if (run->bodies) {
            body = nx_view_make(run->bodies[item].bytes, run->bodies[item].len);
        } else if (make_body(run, item, &c->raw, &c->v2, &c->packed)) {
            count_item(run, item, false, 0, now_ns());
            break;
        } else {
            body = nx_buf_view(&c->packed);
        }
        uint64_t due_ns = wait_for_turn(run, item);
        send_item(c, item, due_ns, body);
    }
    return NULL;
}

static enum nx_err run_all(struct run *run)
{
    uint64_t count = run->args->connections, started = 0;
    struct connection *connections = nx_calloc(count, sizeof *connections);
    enum nx_err err = connections ? NX_OK : NX_ERR_NOMEM;
    for (uint64_t i = 0; i < count && !err; i++) {
        struct connection *c = &connections[i];
        c->run = run;
        nx_buf_init(&c->raw, SIZE_MAX);
        nx_buf_init(&c->v2, SIZE_MAX);
        nx_buf_init(&c->packed, SIZE_MAX);
        err = load_conn_new(&run->args->url, run->args->tenant, (unsigned)run->args->version,
                            (unsigned)run->args->timeout_s, &c->conn);
    }
    run->start_ns = now_ns();
    run->started_ms = nx_now_ms(nx_clock_system());
    for (; started < count && !err; started++) {
        if (pthread_create(&connections[started].thread, NULL, run_connection,
                           &connections[started]) != 0)
            err = NX_ERR_NOMEM;
    }
    for (uint64_t i = 0; i < started; i++)
        pthread_join(connections[i].thread, NULL);
    for (uint64_t i = 0; i < count && connections; i++) {
        load_conn_free(connections[i].conn);
        nx_buf_release(&connections[i].raw);
        nx_buf_release(&connections[i].v2);
        nx_buf_release(&connections[i].packed);
    }
    nx_free(connections);
    return err;
}

/* --- reports --- */

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double percentile(const struct run *run, double p)
{
    if (run->latency_count == 0)
        return 0;
    return run->latencies_ms[(uint64_t)(p * (double)(run->latency_count - 1))];
}

static bool write_timeline(const struct run *run)
{
    FILE *file = run->args->timeline ? fopen(run->args->timeline, "w") : NULL;
    bool good = file != NULL;
    for (uint64_t i = 0; i < run->latency_count && good; i++)
        good = fprintf(file, "%.3f %.3f\n", run->timings[i].due_ms, run->timings[i].latency_ms) > 0;
    if (file && fclose(file) != 0)
        good = false;
    return good || !run->args->timeline;
}

static void report(struct run *run, double elapsed_s)
{
    bool json = run->args->json;
    uint64_t all = run->args->load.series * run->args->load.scrapes;
    qsort(run->latencies_ms, run->latency_count, sizeof *run->latencies_ms, by_value);
    (void)printf(json ? "{\"samples_acknowledged\": %" PRIu64 ", \"samples_failed\": %" PRIu64
                        ", \"elapsed_s\": %.6f, \"samples_per_s\": %.0f"
                      : "samples acknowledged  %" PRIu64 "\nsamples failed        %" PRIu64
                        "\nelapsed               %.3f s\nsamples/s             %.0f\n",
                 run->samples, all - run->samples, elapsed_s, (double)run->samples / elapsed_s);
    (void)printf(json ? ", \"requests\": %" PRIu64 ", \"retries\": %" PRIu64
                        ", \"wire_bytes\": %" PRIu64
                      : "requests              %" PRIu64 "\nretries               %" PRIu64
                        "\nbytes on the wire     %" PRIu64 "\n",
                 run->requests, run->retries, run->wire_bytes);
    (void)printf(
        json ? ", \"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f"
             : "latency               p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, max %.3f ms\n",
        percentile(run, 0.5), percentile(run, 0.9), percentile(run, 0.99), percentile(run, 1));
    if (json)
        (void)printf(", \"started_ms\": %" PRId64, run->started_ms);
    (void)printf(json ? ", \"statuses\": {" : "statuses             ");
    const char *separator = "";
    for (unsigned status = 0; status < MAX_STATUS; status++) {
        if (run->statuses[status] == 0)
            continue;
        (void)printf(json ? "%s\"%u\": %" PRIu64 : "%s %u: %" PRIu64, separator, status,
                     run->statuses[status]);
        separator = json ? ", " : ",";
    }
    (void)printf(json ? "}}\n" : "\n");
    if (run->first_error[0])
        (void)fprintf(stderr, "loadgen: first answer that was not 2xx: %s\n", run->first_error);
}

static void print_expected(const struct load_options *load)
{
    struct load_expected expected[LOAD_MAX_METRICS];
    size_t count = load_expect(load, expected);
    (void)printf("{\"start_ms\": %" PRId64 ", \"end_ms\": %" PRId64 ", \"interval_ms\": %" PRId64
                 ", \"series\": %" PRIu64 ", \"scrapes\": %" PRIu64 ", \"samples\": %" PRIu64
                 ", \"metrics\": [",
                 load->start_ms, load->start_ms + (int64_t)(load->scrapes - 1) * load->interval_ms,
                 load->interval_ms, load->series, load->scrapes, load->series * load->scrapes);
    for (size_t i = 0; i < count; i++)
        (void)printf("%s\n  {\"metric\": \"%s\", \"series\": %" PRIu64 ", \"samples\": %" PRIu64
                     ", \"sum\": %.17g, \"last_sum\": %.17g}",
                     i ? "," : "", expected[i].metric, expected[i].series, expected[i].samples,
                     expected[i].sum, expected[i].last_sum);
    (void)printf("\n]}\n");
}

/* --- arguments --- */

static const char usage[] =
    "usage: loadgen --url=URL [options]\n"
    "  --url=http://HOST:PORT[/PATH]  where to write to; PATH is /api/v1/write unless given\n"
    "  --series=N        series at a time (1000)\n"
    "  --scrapes=N       samples a series (10)\n"
    "  --first-scrape=N  number of the first: values go on where those of another run ended (0)\n"
    "  --interval-ms=N   between two scrapes, in the data (15000)\n"
    "  --batch=N         series a request (1000)\n"
    "  --connections=N   requests in flight (4)\n"
    "  --version=N       of remote write: 1 or 2 (1)\n"
    "  --start-ms=N      time of the first scrape; default: so that the last one is now\n"
    "  --noise-bits=N    random bits of the noisy gauges (4)\n"
    "  --churn=SHARE     share of the series replaced by new ones a scrape (0)\n"
    "  --rate=N          samples/s; 0: as fast as it goes (0). Latency counts from when a\n"
    "                    request was due, so that one that was held up counts in full\n"
    "  --timeline=FILE   a line a request: when it was due since the first, and latency, ms\n"
    "  --tenant=NAME     sent as X-Scope-OrgID\n"
    "  --timeout-s=N     for one answer (60)\n"
    "  --retry-s=N       how long a request is retried after 429, 5xx or no answer (120)\n"
    "  --memory-mb=N     for requests made in advance (1024)\n"
    "  --json            the report as JSON\n"
    "  --verify          send nothing; print what must be stored afterwards, a metric, as JSON\n";

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || !*text || *text == '-' || *end || n < min || n > max)
        return false;
    *out = n;
    return true;
}

static const char *value_of(const char *argument, const char *name)
{
    size_t len = strlen(name);
    return strncmp(argument, name, len) == 0 && argument[len] == '=' ? argument + len + 1 : NULL;
}

static bool parse_number_option(const char *argument, struct arguments *args, bool *known)
{
    uint64_t interval = (uint64_t)args->load.interval_ms, start = (uint64_t)args->load.start_ms;
    uint64_t noise = args->load.noise_bits;
    const struct {
        const char *name;
        uint64_t min, max, *out;
    } options[] = {
        {"--series", 1, 1000000000, &args->load.series},
        {"--scrapes", 1, 100000000, &args->load.scrapes},
        {"--first-scrape", 0, 100000000, &args->load.first_scrape},
        {"--interval-ms", 1, 86400000, &interval},
        {"--batch", 1, 1000000, &args->load.batch},
        {"--version", 1, 2, &args->version},
        {"--connections", 1, MAX_CONNECTIONS, &args->connections},
        {"--start-ms", (uint64_t)LOAD_MIN_MS, (uint64_t)LOAD_MAX_MS, &start},
        {"--noise-bits", 0, 48, &noise},
        {"--rate", 0, UINT64_C(1) << 40, &args->rate},
        {"--memory-mb", 0, 1 << 20, &args->memory_mb},
        {"--timeout-s", 1, 3600, &args->timeout_s},
        {"--retry-s", 0, 86400, &args->retry_s},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const char *value = value_of(argument, options[i].name);
        if (!value)
            continue;
        *known = true;
        if (!parse_number(value, options[i].min, options[i].max, options[i].out)) {
            (void)fprintf(stderr,
                          "loadgen: %s: expected a number from %" PRIu64 " to %" PRIu64 "\n",
                          argument, options[i].min, options[i].max);
            return false;
        }
        args->load.interval_ms = (int64_t)interval;
        args->load.start_ms = (int64_t)start;
        args->load.noise_bits = (unsigned)noise;
    }
    return true;
}

static bool parse_option(const char *argument, struct arguments *args, bool *has_url)
{
    const char *value;
    bool known = false;
    if ((value = value_of(argument, "--url"))) {
        *has_url = load_url_parse(value, &args->url);
        if (!*has_url)
            (void)fprintf(stderr, "loadgen: %s: expected http://HOST:PORT[/PATH]\n", argument);
        return *has_url;
    }
    if ((value = value_of(argument, "--tenant"))) {
        args->tenant = value;
        return true;
    }
    if ((value = value_of(argument, "--timeline"))) {
        args->timeline = value;
        return true;
    }
    if ((value = value_of(argument, "--churn"))) {
        char *end = NULL;
        args->load.churn = strtod(value, &end);
        if (*value && !*end && args->load.churn >= 0 && args->load.churn <= 1)
            return true;
        (void)fprintf(stderr, "loadgen: %s: expected a share from 0 to 1\n", argument);
        return false;
    }
    if (strcmp(argument, "--json") == 0)
        return args->json = true;
    if (strcmp(argument, "--verify") == 0)
        return args->verify = true;
    if (!parse_number_option(argument, args, &known))
        return false;
    if (!known)
        (void)fprintf(stderr, "loadgen: unknown option %s\n%s", argument, usage);
    return known;
}

static bool parse_arguments(int argc, char **argv, struct arguments *args)
{
    bool has_url = false;
    *args = (struct arguments){
        .connections = 4, .version = 1, .memory_mb = 1024, .timeout_s = 60, .retry_s = 120};
    args->load = (struct load_options){
        .series = 1000, .scrapes = 10, .interval_ms = 15000, .batch = 1000, .noise_bits = 4};
    for (int i = 1; i < argc; i++) {
        if (!parse_option(argv[i], args, &has_url))
            return false;
    }
    if (!has_url && !args->verify) {
        (void)fprintf(stderr, "loadgen: --url is missing\n%s", usage);
        return false;
    }
    int64_t span = (int64_t)(args->load.scrapes - 1) * args->load.interval_ms;
    if (args->load.start_ms == 0)
        args->load.start_ms = nx_now_ms(nx_clock_system()) - span;
    if (args->load.start_ms < LOAD_MIN_MS || args->load.start_ms + span > LOAD_MAX_MS) {
        (void)fprintf(stderr,
                      "loadgen: the scrapes do not lie between %" PRId64 " and %" PRId64 " ms\n",
                      LOAD_MIN_MS, LOAD_MAX_MS);
        return false;
    }
    return true;
}

static int drive(const struct arguments *args)
{
    struct load_template *template = NULL;
    struct run run = {.args = args, .batches = load_batches(&args->load)};
    run.items = run.batches * args->load.scrapes;
    run.acknowledged = nx_calloc(run.batches, sizeof *run.acknowledged);
    run.latencies_ms = nx_calloc(run.items, sizeof *run.latencies_ms);
    run.timings = nx_calloc(run.items, sizeof *run.timings);
    enum nx_err err = run.acknowledged && run.latencies_ms && run.timings
                          ? load_template_new(&template)
                          : NX_ERR_NOMEM;
    pthread_mutex_init(&run.lock, NULL);
    pthread_cond_init(&run.changed, NULL);
    run.template = template;
    if (!err)
        err = make_bodies(&run);
    if (!err)
        err = run_all(&run);
    double elapsed_s = (double)(now_ns() - run.start_ns) * 1e-9;
    if (!err && !write_timeline(&run))
        err = NX_ERR_IO;
    if (err)
        (void)fprintf(stderr, "loadgen: %s\n", nx_err_text(err));
    else
        report(&run, elapsed_s);
    free_bodies(&run);
    load_template_free(template);
    nx_free(run.acknowledged);
    nx_free(run.latencies_ms);
    nx_free(run.timings);
    pthread_cond_destroy(&run.changed);
    pthread_mutex_destroy(&run.lock);
    return err || run.failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct arguments args;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (!parse_arguments(argc, argv, &args))
        return 2;
    if (args.verify) {
        print_expected(&args.load);
        return 0;
    }
    return drive(&args);
}
