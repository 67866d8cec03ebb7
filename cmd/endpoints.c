/* The endpoints that every role serves. */
#include "cmd/process_internal.h"
#include "common/base/alloc.h"
#include "common/base/quote.h"

#define PAGE_MAX_BYTES ((size_t)64 << 20)

static void serve_metrics(struct nx_http_request *req, void *user)
{
    struct cmd_process *process = user;
    struct nx_buf page;
    nx_buf_init(&page, PAGE_MAX_BYTES);
    nx_telemetry_expose(process->telemetry, &page);
    if (nx_buf_err(&page)) {
        nx_http_respond_text(req, 500, "the metrics page does not fit into memory");
        nx_buf_release(&page);
        return;
    }
    nx_http_response_compress(req);
    nx_http_respond_buf(req, 200, "text/plain; version=0.0.4; charset=utf-8", &page);
}

static void serve_healthy(struct nx_http_request *req, void *user)
{
    (void)user;
    nx_http_respond(req, 200, "text/plain; charset=utf-8", NX_VIEW("Narthex is Healthy.\n"));
}

static void refuse_ready(struct nx_http_request *req, const struct cmd_process *process)
{
    struct nx_buf text;
    nx_buf_init(&text, 1024);
    nx_buf_append_str(&text, "Narthex is starting");
    if (process->ing) {
        nx_buf_append_str(&text, ": ");
        ing_print_progress(process->ing, &text);
    }
    nx_buf_append_str(&text, ".\n");
    nx_http_respond_buf(req, 503, "text/plain; charset=utf-8", &text);
}

static void serve_ready(struct nx_http_request *req, void *user)
{
    struct cmd_process *process = user;
    if (atomic_load(&process->draining))
        nx_http_respond_text(req, 503, "Narthex is shutting down.");
    else if (atomic_load(&process->ready))
        nx_http_respond(req, 200, "text/plain; charset=utf-8", NX_VIEW("Narthex is Ready.\n"));
    else
        refuse_ready(req, process);
}

static void serve_cluster(struct nx_http_request *req, void *user)
{
    struct cmd_process *process = user;
    struct nx_buf page;
    nx_buf_init(&page, PAGE_MAX_BYTES);
    struct nx_ring_view *view = nx_ring_acquire(process->ring);
    nx_ring_view_print_json(view, &page);
    nx_ring_release(view);
    if (nx_buf_err(&page)) {
        nx_http_respond_text(req, 500, nx_err_text(page.err));
        nx_buf_release(&page);
        return;
    }
    nx_http_respond_buf(req, 200, "application/json", &page);
}

static void serve_config(struct nx_http_request *req, void *user)
{
    struct cmd_process *process = user;
    struct nx_buf yaml, page;
    nx_buf_init(&yaml, PAGE_MAX_BYTES);
    nx_buf_init(&page, PAGE_MAX_BYTES);
    nx_config_print_yaml(process->config, &yaml);
    nx_buf_append_str(&page, "{\"status\":\"success\",\"data\":{\"yaml\":");
    nx_quote_json(&page, nx_buf_view(&yaml));
    nx_buf_append_str(&page, "}}");
    if (nx_buf_err(&yaml) || nx_buf_err(&page)) {
        nx_http_respond_text(req, 500, nx_err_text(NX_ERR_NOMEM));
        nx_buf_release(&page);
    } else {
        nx_http_respond_buf(req, 200, "application/json", &page);
    }
    nx_buf_release(&yaml);
}

/* --- reload: the settings belong to worker 0, the request to its own worker --- */

struct reload_request {
    struct nx_task task;
    struct cmd_process *process;
    struct nx_http_request *req;
    struct nx_worker *home;
    enum nx_err err;
    struct nx_fail fail;
    struct nx_buf ignored;
};

static void answer_reload(struct nx_task *task)
{
    struct reload_request *reload = (struct reload_request *)task;
    if (reload->err) {
        nx_http_respond_text(reload->req, 500, nx_fail_text(&reload->fail));
    } else {
        struct nx_buf text;
        nx_buf_init(&text, PAGE_MAX_BYTES);
        nx_buf_append_str(&text, "reloaded\n");
        if (reload->ignored.len)
            nx_buf_printf(&text, "changed, but only at the next start: %.*s\n",
                          NX_VIEW_ARG(nx_buf_view(&reload->ignored)));
        nx_http_respond_buf(reload->req, 200, "text/plain; charset=utf-8", &text);
    }
    nx_buf_release(&reload->ignored);
    nx_free(reload);
}

static void do_reload(struct nx_task *task)
{
    struct reload_request *reload = (struct reload_request *)task;
    reload->err = cmd_process_reload(reload->process, &reload->fail, &reload->ignored);
    reload->task.run = answer_reload;
    nx_worker_reply(reload->home, &reload->task);
}

static void serve_reload(struct nx_http_request *req, void *user)
{
    struct cmd_process *process = user;
    if (!(nx_http_request_method(req) & (NX_HTTP_POST | NX_HTTP_PUT))) {
        nx_http_response_header(req, "Allow", "POST, PUT");
        nx_http_respond_text(req, 405, "Only POST or PUT requests allowed");
        return;
    }
    struct reload_request *reload = nx_calloc(1, sizeof *reload);
    if (!reload) {
        nx_http_respond_text(req, 503, nx_err_text(NX_ERR_NOMEM));
        return;
    }
    reload->task.run = do_reload;
    reload->process = process;
    reload->req = req;
    reload->home = nx_http_request_worker(req);
    nx_buf_init(&reload->ignored, PAGE_MAX_BYTES);
    nx_worker_reply(nx_workers_at(process->workers, 0), &reload->task);
}

enum nx_err cmd_endpoints_add(struct cmd_process *process, struct nx_http_server *http)
{
    const unsigned any = NX_HTTP_GET | NX_HTTP_POST | NX_HTTP_PUT | NX_HTTP_DELETE;
    const struct nx_http_route routes[] = {
        {.methods = NX_HTTP_GET, .path = "/metrics", .handle = serve_metrics, .user = process},
        {.methods = NX_HTTP_GET, .path = "/-/healthy", .handle = serve_healthy, .user = process},
        {.methods = NX_HTTP_GET, .path = "/-/ready", .handle = serve_ready, .user = process},
        {.methods = any, .path = "/-/reload", .handle = serve_reload, .user = process},
        {.methods = NX_HTTP_GET,
         .path = "/api/v1/cluster",
         .handle = serve_cluster,
         .user = process},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        enum nx_err err = nx_http_server_route(http, &routes[i]);
        if (err)
            return err;
    }
    /* A querier answers this one itself, as the rest of its API: to browsers of any origin. */
    const struct nx_http_route config = {.methods = NX_HTTP_GET,
                                         .path = "/api/v1/status/config",
                                         .handle = serve_config,
                                         .user = process};
    return process->roles & CMD_QUERIER ? NX_OK : nx_http_server_route(http, &config);
}
