/* Now and then what is old of a series, or of all, is deleted. An answer that comes later than the
 * successful one must not have it, as far as it had surely arrived everywhere it ever will. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/owner.h"
#include "common/net/http_server.h"
#include "tests/sim/http.h"
#include "tests/sim/load_internal.h"

#define ATTEMPTS_MAX 3
#define CLIENT_TIMEOUT_NS (60 * SIM_S)

static void later(struct sim_deleter *deleter, uint64_t ns)
{
    sim_after(&deleter->event, NULL, sim_load_jitter(deleter->load, ns));
}

static void choose(struct sim_deleter *deleter)
{
    struct sim_load *load = deleter->load;
    bool all = nx_rand_below(&load->plan, 4) == 0;
    int64_t min_t = sim_load_now_ms() - (int64_t)nx_rand_below(&load->plan, 3600000);
    deleter->deletion = (struct sim_deletion){
        .first_series = all ? 0 : nx_rand_below(&load->plan, load->ledger->series_count),
        .series_count = all ? load->ledger->series_count : 1,
        .min_t = min_t,
        .max_t = min_t + (int64_t)nx_rand_below(&load->plan, 1200000)};
}

static void on_deleted(void *user, int status, struct nx_view body)
{
    struct sim_deleter *deleter = user;
    struct sim_load *load = deleter->load;
    deleter->waiting = false;
    sim_trace("deletion: %d %.*s", status, (int)(body.len < 200 ? body.len : 200), body.ptr);
    sim_ledger_deleted(load->ledger, deleter->number, status == 204);
    if (status >= 400 && status < 500 && status != 429)
        sim_ledger_fail(load->ledger, "a deletion was refused with %d: %.*s", status, (int)body.len,
                        body.ptr);
    bool again = status != 204 && deleter->attempts < ATTEMPTS_MAX && !load->stopped;
    if (!again)
        deleter->attempts = 0;
    later(deleter, again ? SIM_S : load->options.delete_interval_ns);
}

static void ask(struct sim_deleter *deleter)
{
    struct sim_load *load = deleter->load;
    const struct sim_deletion *deletion = &deleter->deletion;
    char query[192];
    int len = deletion->series_count == 1
                  ? snprintf(query, sizeof query, "match%%5B%%5D=sim%%7Bs%%3D%%22%zu%%22%%7D",
                             deletion->first_series)
                  : snprintf(query, sizeof query, "match%%5B%%5D=sim");
    (void)snprintf(query + len, sizeof query - (size_t)len,
                   "&start=%" PRId64 ".%03d&end=%" PRId64 ".%03d", deletion->min_t / 1000,
                   (int)(deletion->min_t % 1000), deletion->max_t / 1000,
                   (int)(deletion->max_t % 1000));
    sim_trace("deletion: %s", query);
    deleter->attempts++;
    deleter->waiting = true;
    deleter->number = sim_ledger_delete(load->ledger, deletion);
    struct sim_http_request request = {.method = NX_HTTP_POST,
                                       .path = "/api/v1/admin/tsdb/delete_series",
                                       .query = query,
                                       .timeout_ns = CLIENT_TIMEOUT_NS,
                                       .done = on_deleted,
                                       .user = deleter};
    sim_http_send(
        &sim_load_choose(load, load->options.queriers, load->options.querier_count)->process,
        &request);
}

static void delete_run(struct sim_event *event)
{
    struct sim_deleter *deleter = NX_OWNER(struct sim_deleter, event, event);
    if (deleter->load->stopped)
        return;
    if (deleter->attempts == 0)
        choose(deleter);
    ask(deleter);
}

static void nothing(struct sim_event *event)
{
    (void)event;
}

void sim_deleter_init(struct sim_deleter *deleter, struct sim_load *load)
{
    deleter->load = load;
    deleter->event = (struct sim_event){.kind = SIM_LOAD, .run = delete_run, .drop = nothing};
}

void sim_deleter_start(struct sim_deleter *deleter)
{
    later(deleter, deleter->load->options.delete_interval_ns);
}
