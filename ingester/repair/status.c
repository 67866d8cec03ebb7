/* The endpoints answer on worker 0, which the state belongs to. */
#include <inttypes.h>

#include "common/base/alloc.h"
#include "ingester/repair/repair_internal.h"

#define PAGE_MAX_BYTES ((size_t)1 << 20)

static const struct nx_metric_desc metric_table[] = {
    [ING_R_CYCLES] = {.kind = NX_COUNTER,
                      .name = "narthex_repair_cycles_total",
                      .help = "Times this node has compared what it holds with the other owners."},
    [ING_R_FAILURES] = {.kind = NX_COUNTER,
                        .name = "narthex_repair_failed_cycles_total",
                        .help = "Of these, those in which some owner could not be compared with."},
    [ING_R_DIFFERING] =
        {.kind = NX_GAUGE,
         .name = "narthex_repair_differing_windows",
         .help = "Windows of five minutes of a partition that differed from another owner's at "
                 "the last comparison and were not pulled before."},
    [ING_R_NOT_WHOLE] = {.kind = NX_GAUGE,
                         .name = "narthex_repair_partitions_not_whole",
                         .help = "Partitions that this node is to hold and does not hold all "
                                 "data of."},
    [ING_R_PARTITIONS] = {.kind = NX_GAUGE,
                          .name = "narthex_repair_partitions",
                          .help = "Partitions that this node is to hold."},
    [ING_R_PULLED_BYTES] = {.kind = NX_COUNTER,
                            .name = "narthex_repair_pulled_bytes_total",
                            .help = "Bytes pulled from other owners."},
    [ING_R_PULLED_SAMPLES] = {.kind = NX_COUNTER,
                              .name = "narthex_repair_pulled_samples_total",
                              .help = "Samples pulled from other owners and written to blocks."},
    [ING_R_BLOCKS] = {.kind = NX_COUNTER,
                      .name = "narthex_repair_blocks_written_total",
                      .help = "Blocks written of what was pulled."},
    [ING_R_RUNNING] = {.kind = NX_GAUGE,
                       .name = "narthex_repair_catching_up",
                       .help = "1 while the node may lack what was written while it was away."},
    [ING_R_LAST] = {.kind = NX_GAUGE,
                    .name = "narthex_repair_last_cycle_timestamp_seconds",
                    .help = "When the last comparison ended."},
};

void ing_repair_measure(struct ing_repair *repair)
{
    struct nx_metrics *metrics = repair->metrics;
    nx_metric_inc(metrics, ING_R_CYCLES);
    nx_metric_add(metrics, ING_R_FAILURES, 0, repair->any_failed ? 1 : 0);
    nx_metric_set(metrics, ING_R_DIFFERING, 0, (double)repair->differing_last);
    nx_metric_set(metrics, ING_R_NOT_WHOLE, 0, repair->not_whole);
    nx_metric_set(metrics, ING_R_PARTITIONS, 0, repair->mine_count);
    nx_metric_set(metrics, ING_R_RUNNING, 0, repair->event_ms != 0 ? 1 : 0);
    nx_metric_set(metrics, ING_R_LAST, 0, (double)repair->finished_ms / 1000);
}

/* --- the page --- */

struct page {
    struct nx_task task;
    struct ing_repair *repair;
    struct nx_http_request *req;
    struct nx_worker *home;
    bool now;
    struct nx_buf body;
};

static void print_peers(const struct ing_repair *repair, struct nx_buf *out)
{
    for (size_t i = 0; i < repair->seen_count; i++) {
        const struct ing_repair_peer *peer = &repair->seen[i];
        nx_buf_printf(out,
                      "%s{\"name\":\"%s\",\"comparedMs\":%" PRId64 ",\"untilMs\":%" PRId64
                      ",\"differingWindows\":%" PRIu64 ",\"error\":\"%s\"}",
                      i > 0 ? "," : "", peer->name, peer->compared_ms, peer->until, peer->windows,
                      peer->err == NX_OK ? "" : nx_err_text(peer->err));
    }
}

static void print(const struct ing_repair *repair, struct nx_buf *out)
{
    const char *state =
        repair->ring ? nx_member_state_text(nx_ring_self_state(repair->ring)) : "JOINING";
    nx_buf_printf(out,
                  "{\"name\":\"%s\",\"state\":\"%s\",\"running\":%s,\"catchingUp\":%s,"
                  "\"partitions\":%" PRIu32 ",\"partitionsNotWhole\":%" PRIu32
                  ",\"differingWindows\":%" PRIu64 ",\"pulledBytes\":%" PRIu64
                  ",\"pulledSamples\":%" PRIu64 ",\"cycles\":%" PRIu64 ",\"lastMs\":%" PRId64
                  ",\"nextMs\":%" PRId64 ",\"peers\":[",
                  repair->ing->deps.node_name, state,
                  repair->running && repair->peers.view ? "true" : "false",
                  repair->event_ms != 0 ? "true" : "false", repair->mine_count, repair->not_whole,
                  repair->differing_last, repair->pulled_bytes, repair->pulled_samples,
                  repair->cycles, repair->finished_ms, repair->due_ms);
    print_peers(repair, out);
    nx_buf_append_str(out, "]}\n");
}

static void send_page(struct nx_task *task)
{
    struct page *page = (struct page *)task;
    struct ingester *ing = page->repair->ing;
    if (nx_buf_err(&page->body) == NX_OK)
        nx_http_respond_buf(page->req, 200, "application/json", &page->body);
    else
        nx_http_respond_text(page->req, 500, nx_err_text(nx_buf_err(&page->body)));
    nx_buf_release(&page->body);
    nx_free(page);
    ing_leave(ing);
}

static void look(struct nx_task *task)
{
    struct page *page = (struct page *)task;
    struct ing_repair *repair = page->repair;
    if (page->now && repair->ring) {
        repair->event_ms = nx_now_ms(repair->ing->deps.clock);
        repair->due_ms = 0;
    }
    print(repair, &page->body);
    page->task.run = send_page;
    nx_worker_reply(page->home, &page->task);
}

static void serve(struct nx_http_request *req, struct ing_repair *repair, bool now)
{
    if (!ing_enter(repair->ing)) {
        nx_http_respond_text(req, 503, "The ingester is starting or stopping.");
        return;
    }
    struct page *page = nx_calloc(1, sizeof *page);
    if (!page) {
        nx_http_respond_text(req, 503, nx_err_text(NX_ERR_NOMEM));
        ing_leave(repair->ing);
        return;
    }
    *page = (struct page){.repair = repair, .req = req, .home = nx_worker_current(), .now = now};
    nx_buf_init(&page->body, PAGE_MAX_BYTES);
    page->task.run = look;
    nx_worker_reply(nx_workers_at(repair->ing->deps.workers, 0), &page->task);
}

static void serve_status(struct nx_http_request *req, void *user)
{
    serve(req, user, false);
}

static void serve_now(struct nx_http_request *req, void *user)
{
    serve(req, user, true);
}

enum nx_err ing_repair_register(struct ing_repair *repair)
{
    const struct ing_deps *deps = &repair->ing->deps;
    const struct nx_http_route status = {
        .path = "/api/v1/repair", .methods = NX_HTTP_GET, .handle = serve_status, .user = repair};
    const struct nx_http_route now = {
        .path = "/api/v1/repair/now", .methods = NX_HTTP_POST, .handle = serve_now, .user = repair};
    enum nx_err err = NX_OK;
    if (deps->telemetry)
        err = nx_telemetry_register(deps->telemetry, metric_table, ING_R_METRICS, NULL, NULL,
                                    &repair->metrics);
    if (err == NX_OK && !deps->http) /* a tool that opened the directory: nobody asks it */
        return NX_OK;
    if (err == NX_OK)
        err = nx_http_server_route(deps->http, &status);
    return err == NX_OK ? nx_http_server_route(deps->http, &now) : err;
}
