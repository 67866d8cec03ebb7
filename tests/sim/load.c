#include "tests/sim/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/owner.h"
#include "common/net/http_server.h"
#include "tests/sim/http.h"
#include "tests/sim/load_internal.h"

/* As in process.c: 2026-01-01T00:00:00Z */
#define EPOCH_MS INT64_C(1767225600000)

struct read {
    struct sim_load *load;
    struct sim_question question;
    bool audit;
};

int64_t sim_load_now_ms(void)
{
    return EPOCH_MS + (int64_t)(sim_now() / SIM_MS);
}

uint64_t sim_load_jitter(struct sim_load *load, uint64_t ns)
{
    return ns / 2 + nx_rand_below(&load->plan, ns + 1);
}

struct sim_node *sim_load_choose(struct sim_load *load, struct sim_node *const *nodes, size_t count)
{
    return nodes[nx_rand_below(&load->plan, count)];
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
    struct sim_reader *reader = NX_OWNER(struct sim_reader, event, event);
    struct sim_load *load = reader->load;
    if (load->stopped)
        return;
    bool all = nx_rand_below(&load->plan, 4) == 0;
    int64_t back = (int64_t)nx_rand_below(&load->plan, 1200) * 1000;
    int64_t range = 1 + (int64_t)nx_rand_below(&load->plan, 600000);
    if (nx_rand_below(&load->plan, 2))
        back = 0;
    if (nx_rand_below(&load->plan, 8) == 0)
        range = 2 * 3600 * 1000;
    int64_t to_t = sim_load_now_ms() - back;
    struct sim_question question = {
        .first_series = all ? 0 : nx_rand_below(&load->plan, load->ledger->series_count),
        .series_count = all ? load->ledger->series_count : 1,
        .after_t = to_t - range,
        .to_t = to_t};
    ask(load, sim_load_choose(load, load->options.queriers, load->options.querier_count), question,
        false);
    sim_after(&reader->event, NULL, sim_load_jitter(load, load->options.read_interval_ns));
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
    for (size_t i = 0; i < options->writers; i++)
        sim_writer_init(&load->writers[i], load, i);
    sim_deleter_init(&load->deleter, load);
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
        sim_writer_start(&load->writers[i]);
    if (load->options.delete_interval_ns > 0)
        sim_deleter_start(&load->deleter);
    sim_after(&load->reader.event, NULL, sim_load_jitter(load, load->options.read_interval_ns));
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
    return !load->deleter.waiting;
}

void sim_load_audit(struct sim_load *load)
{
    const struct sim_load_options *options = &load->options;
    int64_t to_t = sim_load_now_ms();
    struct sim_question all = {
        .series_count = load->ledger->series_count, .after_t = EPOCH_MS - 1, .to_t = to_t};
    for (size_t i = 0; i < options->querier_count; i++) {
        load->pending++;
        ask(load, options->queriers[i], all, true);
    }
    for (size_t i = 0; i < options->writers; i++)
        sim_writer_audit(&load->writers[i], options->distributors[i % options->distributor_count]);
}

size_t sim_load_pending(const struct sim_load *load)
{
    return load->pending;
}
