/* The pages of Prometheus's API about targets: /api/v1/targets, /api/v1/targets/metadata and
 * /api/v1/scrape_pools, of the targets that this distributor scrapes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/quote.h"
#include "common/cxx/number_shim.h"
#include "common/net/http_params.h"
#include "distributor/scrape/scrape_internal.h"

#define PAGE_BYTES_MAX ((size_t)1 << 30)
#define REQUEST_BYTES_MAX ((size_t)1 << 20)

/* --- JSON --- */

static void put_member(struct nx_buf *out, const char *name, struct nx_view text)
{
    nx_buf_printf(out, ",\"%s\":", name);
    nx_quote_json(out, text);
}

static void put_labels(struct nx_buf *out, struct nx_labels labels)
{
    nx_buf_append_char(out, '{');
    for (size_t i = 0; i < labels.count; i++) {
        if (i > 0)
            nx_buf_append_char(out, ',');
        nx_quote_json(out, labels.items[i].name);
        nx_buf_append_char(out, ':');
        nx_quote_json(out, labels.items[i].value);
    }
    nx_buf_append_char(out, '}');
}

/* --- targets --- */

/* The URL as others see it: with this host's name where the target is on loopback. */
static void put_global_url(struct nx_buf *out, const char *url)
{
    static const char *const local[] = {"localhost", "127.0.0.1", "[::1]"};
    char host[256] = "";
    struct nx_buf whole;
    const char *start = strstr(url, "://");
    nx_buf_init(&whole, PAGE_BYTES_MAX);
    start = start ? start + 3 : url;
    size_t len = strcspn(start, "/?");
    for (size_t i = 0; i < 3; i++) {
        size_t name_len = strlen(local[i]);
        bool is_local = name_len <= len && memcmp(start, local[i], name_len) == 0 &&
                        (name_len == len || start[name_len] == ':');
        if (!is_local || gethostname(host, sizeof host - 1) != 0 || !*host)
            continue;
        nx_buf_append(&whole, url, (size_t)(start - url));
        nx_buf_append_str(&whole, host);
        start += name_len;
        url = start;
        break;
    }
    nx_buf_append_str(&whole, url);
    put_member(out, "globalUrl", nx_buf_view(&whole));
    nx_buf_release(&whole);
}

static void put_status(struct nx_buf *out, struct scrape_status *status)
{
    char when[40] = "0001-01-01T00:00:00Z";
    char number[64];
    pthread_mutex_lock(&status->lock);
    if (status->scraped)
        nx_time_format_rfc3339(status->last_ms, when, sizeof when);
    size_t len = nx_float_format_api(status->last_seconds, number);
    put_member(out, "lastError", nx_view_of(status->last_error));
    put_member(out, "lastScrape", nx_view_of(when));
    nx_buf_printf(out, ",\"lastScrapeDuration\":%.*s", (int)len, number);
    put_member(out, "health",
               nx_view_of(!status->scraped ? "unknown"
                          : status->up     ? "up"
                                           : "down"));
    pthread_mutex_unlock(&status->lock);
}

static void put_duration(struct nx_buf *out, const char *name, int64_t ms)
{
    char text[NX_DURATION_MAX];
    nx_duration_format(ms, text, sizeof text);
    put_member(out, name, nx_view_of(text));
}

static void put_active(struct nx_buf *out, const struct scrape_target *target)
{
    nx_buf_append_str(out, "{\"discoveredLabels\":");
    put_labels(out, target->discovered);
    nx_buf_append_str(out, ",\"labels\":");
    put_labels(out, target->shown);
    put_member(out, "scrapePool", nx_view_of(target->job->name));
    put_member(out, "scrapeUrl", nx_view_of(target->url));
    put_global_url(out, target->url);
    put_status(out, target->status);
    put_duration(out, "scrapeInterval", target->interval_ms);
    put_duration(out, "scrapeTimeout", target->timeout_ms);
    nx_buf_append_char(out, '}');
}

static void put_dropped(struct nx_buf *out, const struct scrape_target *target)
{
    nx_buf_append_str(out, "{\"discoveredLabels\":");
    put_labels(out, target->discovered);
    put_member(out, "scrapePool", nx_view_of(target->job->name));
    nx_buf_append_char(out, '}');
}

static bool is_owned(const struct scrape_plan *plan, const struct scrape_target *target)
{
    size_t at = scrape_plan_find(plan, target->key);
    return at != SIZE_MAX && plan->owned[at];
}

struct wish {
    bool active, dropped;
    struct nx_view pool; /* empty: all */
};

static struct wish wish_of(struct nx_view state, struct nx_view pool)
{
    bool any = state.len == 0 || nx_view_eq_nocase(state, NX_VIEW("any"));
    return (struct wish){.active = any || nx_view_eq_nocase(state, NX_VIEW("active")),
                         .dropped = any || nx_view_eq_nocase(state, NX_VIEW("dropped")),
                         .pool = pool};
}

static void put_pool(struct nx_buf *active, struct nx_buf *dropped, const struct scrape_plan *plan,
                     const struct scrape_pool *pool, const struct wish *wish)
{
    for (size_t i = 0; wish->active && i < pool->active_count; i++) {
        if (!is_owned(plan, pool->active[i]))
            continue;
        nx_buf_append_str(active, active->len > 0 ? "," : "");
        put_active(active, pool->active[i]);
    }
    for (size_t i = 0; wish->dropped && i < pool->dropped_count; i++) {
        nx_buf_append_str(dropped, dropped->len > 0 ? "," : "");
        put_dropped(dropped, pool->dropped[i]);
    }
}

static void put_counts(struct nx_buf *out, const struct scrape_plan *plan)
{
    nx_buf_append_char(out, '{');
    for (size_t i = 0; plan && i < plan->pool_count; i++) {
        nx_buf_append_str(out, i > 0 ? "," : "");
        nx_quote_json(out, nx_view_of(plan->pools[i].job->name));
        nx_buf_printf(out, ":%zu", plan->pools[i].dropped_total);
    }
    nx_buf_append_char(out, '}');
}

static void print_targets(struct nx_buf *out, const struct scrape_plan *plan,
                          const struct wish *wish)
{
    struct nx_buf active, dropped;
    nx_buf_init(&active, PAGE_BYTES_MAX);
    nx_buf_init(&dropped, PAGE_BYTES_MAX);
    for (size_t i = 0; plan && i < plan->pool_count; i++)
        if (wish->pool.len == 0 || nx_view_is(wish->pool, plan->pools[i].job->name))
            put_pool(&active, &dropped, plan, &plan->pools[i], wish);
    nx_buf_append_str(out, "{\"activeTargets\":[");
    nx_buf_append_view(out, nx_buf_view(&active));
    nx_buf_append_str(out, "],\"droppedTargets\":[");
    nx_buf_append_view(out, nx_buf_view(&dropped));
    nx_buf_append_str(out, "],\"droppedTargetCounts\":");
    if (wish->dropped)
        put_counts(out, plan);
    else
        nx_buf_append_str(out, "null");
    nx_buf_append_char(out, '}');
    if (nx_buf_err(&active) || nx_buf_err(&dropped))
        out->err = NX_ERR_NOMEM;
    nx_buf_release(&active);
    nx_buf_release(&dropped);
}

/* --- metadata --- */

static const char *const type_names[] = {"unknown",        "counter", "gauge", "histogram",
                                         "gaugehistogram", "summary", "info",  "stateset"};

static void put_family(struct nx_buf *out, const struct scrape_target *target,
                       const struct scrape_family *family, bool named)
{
    size_t types = sizeof type_names / sizeof type_names[0];
    nx_buf_append_str(out, "{\"target\":");
    put_labels(out, target->shown);
    if (named)
        put_member(out, "metric", nx_view_of(family->metric));
    put_member(out, "type", nx_view_of(type_names[family->type < types ? family->type : 0]));
    put_member(out, "help", nx_view_of(family->help));
    put_member(out, "unit", nx_view_of(family->unit));
    nx_buf_append_char(out, '}');
}

static void put_families(struct nx_buf *out, const struct scrape_target *target,
                         struct nx_view metric, int64_t limit, int64_t *count)
{
    struct scrape_status *status = target->status;
    pthread_mutex_lock(&status->lock);
    for (size_t i = 0; i < status->family_count && (limit < 0 || *count < limit); i++) {
        const struct scrape_family *family = &status->families[i];
        if (metric.len > 0 && !nx_view_is(metric, family->metric))
            continue;
        nx_buf_append_str(out, *count > 0 ? "," : "");
        put_family(out, target, family, metric.len == 0);
        ++*count;
    }
    pthread_mutex_unlock(&status->lock);
}

static void print_metadata(struct nx_buf *out, const struct scrape_plan *plan,
                           struct nx_view metric, int64_t limit)
{
    int64_t count = 0;
    nx_buf_append_char(out, '[');
    for (size_t i = 0; plan && i < plan->target_count; i++)
        if (plan->owned[i])
            put_families(out, plan->by_key[i], metric, limit, &count);
    nx_buf_append_char(out, ']');
}

static void print_pools(struct nx_buf *out, const struct scrape_plan *plan)
{
    nx_buf_append_str(out, "{\"scrapePools\":[");
    for (size_t i = 0; plan && i < plan->pool_count; i++) {
        nx_buf_append_str(out, i > 0 ? "," : "");
        nx_quote_json(out, nx_view_of(plan->pools[i].job->name));
    }
    nx_buf_append_str(out, "]}");
}

/* --- HTTP --- */

static bool read_params(struct nx_http_request *req, struct nx_http_params *params)
{
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = nx_http_params_parse(nx_http_request_arena(req), nx_http_request_query(req),
                                           NX_VIEW(""), NX_VIEW(""), params, &fail);
    if (err)
        nx_http_respond_text(req, nx_err_http(err), nx_fail_text(&fail));
    return err == NX_OK;
}

static void respond(struct nx_http_request *req, struct nx_buf *data)
{
    if (nx_buf_err(data)) {
        nx_buf_release(data);
        nx_http_respond_text(req, 503, "the answer does not fit into memory");
        return;
    }
    nx_buf_append_char(data, '}');
    nx_http_response_compress(req);
    nx_http_respond_buf(req, 200, "application/json", data);
}

static void begin_page(struct nx_buf *page)
{
    nx_buf_init(page, PAGE_BYTES_MAX);
    nx_buf_append_str(page, "{\"status\":\"success\",\"data\":");
}

static void serve_targets(struct nx_http_request *req, void *user)
{
    struct nx_http_params params;
    struct nx_buf page;
    if (!read_params(req, &params))
        return;
    struct wish wish =
        wish_of(nx_http_params_get(&params, "state"), nx_http_params_get(&params, "scrapePool"));
    struct scrape_plan *plan = scrape_current_plan(user);
    begin_page(&page);
    print_targets(&page, plan, &wish);
    scrape_plan_drop(plan);
    respond(req, &page);
}

static bool parse_limit(struct nx_view text, int64_t *out)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    int64_t value = 0;
    if (text.len == (size_t)negative || text.len > 18)
        return false;
    for (size_t i = negative; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = negative ? -value : value;
    return true;
}

static void serve_metadata(struct nx_http_request *req, void *user)
{
    struct nx_http_params params;
    struct nx_buf data, page;
    int64_t limit = -1;
    if (!read_params(req, &params))
        return;
    struct nx_view text = nx_http_params_get(&params, "limit");
    if (text.len > 0 && !parse_limit(text, &limit)) {
        nx_http_respond(req, 400, "application/json",
                        NX_VIEW("{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":"
                                "\"limit must be a number\"}"));
        return;
    }
    struct scrape_plan *plan = scrape_current_plan(user);
    nx_buf_init(&data, PAGE_BYTES_MAX);
    print_metadata(&data, plan, nx_http_params_get(&params, "metric"), limit);
    scrape_plan_drop(plan);
    begin_page(&page);
    nx_buf_append_view(&page, nx_buf_view(&data));
    if (nx_buf_err(&data))
        page.err = NX_ERR_NOMEM;
    nx_buf_release(&data);
    respond(req, &page);
}

static void serve_pools(struct nx_http_request *req, void *user)
{
    struct nx_buf page;
    struct scrape_plan *plan = scrape_current_plan(user);
    begin_page(&page);
    print_pools(&page, plan);
    scrape_plan_drop(plan);
    respond(req, &page);
}

/* --- RPC: the same as records, for queriers (docs/formats/scrape-pages.md) --- */

enum page { PAGE_TARGETS = 1, PAGE_METADATA, PAGE_POOLS };
enum record_kind { RECORD_ACTIVE = 1, RECORD_DROPPED, RECORD_POOL, RECORD_METADATA };

struct pages_request {
    uint8_t page;
    struct wish wish;
    struct nx_view metric;
};

static struct nx_view take_bytes(struct nx_cursor *cur)
{
    uint64_t len = nx_cursor_uvarint(cur);
    if (len > nx_cursor_left(cur)) {
        nx_cursor_fail(cur);
        return NX_VIEW("");
    }
    struct nx_view bytes = nx_view_make(cur->ptr, (size_t)len);
    cur->ptr += len;
    return bytes;
}

static bool read_pages_request(struct nx_view body, struct pages_request *out)
{
    struct nx_cursor cur = nx_cursor_of(body);
    out->page = nx_cursor_u8(&cur);
    out->wish = wish_of(take_bytes(&cur), NX_VIEW(""));
    out->wish.pool = take_bytes(&cur);
    out->metric = take_bytes(&cur);
    return nx_cursor_ok(&cur) && out->page >= PAGE_TARGETS && out->page <= PAGE_POOLS;
}

/* Takes `text`, which is left empty. */
static void put_record(struct nx_buf *out, enum record_kind kind, struct nx_view name,
                       struct nx_buf *text)
{
    nx_buf_put_u8(out, (uint8_t)kind);
    nx_buf_put_bytes(out, name);
    nx_buf_put_bytes(out, nx_buf_view(text));
    if (nx_buf_err(text))
        out->err = NX_ERR_NOMEM;
    nx_buf_clear(text);
}

static void put_pool_records(struct nx_buf *out, struct nx_buf *text,
                             const struct scrape_plan *plan, const struct scrape_pool *pool,
                             const struct pages_request *request)
{
    struct nx_view name = nx_view_of(pool->job->name);
    nx_quote_json(text, name);
    if (request->page == PAGE_TARGETS)
        nx_buf_printf(text, ":%zu", pool->dropped_total);
    if (request->page == PAGE_POOLS || request->wish.dropped)
        put_record(out, RECORD_POOL, name, text);
    nx_buf_clear(text);
    if (request->page == PAGE_POOLS ||
        (request->wish.pool.len > 0 && !nx_view_eq(request->wish.pool, name)))
        return;
    for (size_t i = 0; request->wish.active && i < pool->active_count; i++) {
        if (!is_owned(plan, pool->active[i]))
            continue;
        put_active(text, pool->active[i]);
        put_record(out, RECORD_ACTIVE, name, text);
    }
    for (size_t i = 0; request->wish.dropped && i < pool->dropped_count; i++) {
        put_dropped(text, pool->dropped[i]);
        put_record(out, RECORD_DROPPED, name, text);
    }
}

static void put_metadata_records(struct nx_buf *out, struct nx_buf *text,
                                 const struct scrape_target *target, struct nx_view metric)
{
    struct scrape_status *status = target->status;
    struct nx_buf labels;
    nx_buf_init(&labels, PAGE_BYTES_MAX);
    nx_labels_encode(&labels, target->shown);
    if (nx_buf_err(&labels))
        out->err = NX_ERR_NOMEM;
    pthread_mutex_lock(&status->lock);
    for (size_t i = 0; i < status->family_count; i++) {
        if (metric.len > 0 && !nx_view_is(metric, status->families[i].metric))
            continue;
        put_family(text, target, &status->families[i], metric.len == 0);
        put_record(out, RECORD_METADATA, nx_buf_view(&labels), text);
    }
    pthread_mutex_unlock(&status->lock);
    nx_buf_release(&labels);
}

static void serve_pages(struct nx_rpc_request *req, void *user)
{
    struct pages_request request;
    struct nx_buf out, text;
    if (!read_pages_request(nx_rpc_request_body(req), &request)) {
        nx_rpc_reply_error(req, NX_ERR_INVALID, "malformed request for pages of targets");
        return;
    }
    struct scrape_plan *plan = scrape_current_plan(user);
    nx_buf_init(&out, PAGE_BYTES_MAX);
    nx_buf_init(&text, PAGE_BYTES_MAX);
    for (size_t i = 0; plan && request.page != PAGE_METADATA && i < plan->pool_count; i++)
        put_pool_records(&out, &text, plan, &plan->pools[i], &request);
    for (size_t i = 0; plan && request.page == PAGE_METADATA && i < plan->target_count; i++)
        if (plan->owned[i])
            put_metadata_records(&out, &text, plan->by_key[i], request.metric);
    scrape_plan_drop(plan);
    nx_buf_release(&text);
    if (nx_buf_err(&out)) {
        nx_buf_release(&out);
        nx_rpc_reply_error(req, NX_ERR_NOMEM, "the pages of targets do not fit into memory");
        return;
    }
    nx_rpc_reply(req, &out);
}

enum nx_err scrape_api_add(struct dist_scrape *scrape)
{
    const struct nx_http_route routes[] = {
        {.path = "/api/v1/targets", .handle = serve_targets},
        {.path = "/api/v1/targets/metadata", .handle = serve_metadata},
        {.path = "/api/v1/scrape_pools", .handle = serve_pools},
    };
    enum nx_err err = NX_OK;
    for (size_t i = 0; scrape->deps.http && i < 3 && !err; i++) {
        struct nx_http_route route = routes[i];
        route.methods = NX_HTTP_GET;
        route.user = scrape;
        err = nx_http_server_route(scrape->deps.http, &route);
    }
    if (!err && scrape->deps.rpc)
        err = nx_rpc_server_method(scrape->deps.rpc, "scrape-pages", serve_pages, scrape,
                                   REQUEST_BYTES_MAX, NULL);
    return err;
}
