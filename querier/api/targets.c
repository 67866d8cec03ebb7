/* The distributors scrape, so they are asked (docs/formats/scrape-pages.md), all at once, and what
 * they say is put together. One that does not answer is left out; when none does, the request
 * fails. Everything is on the request's worker; the answers lie in an arena of the relay. */
#include "querier/api/targets.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/cursor.h"
#include "querier/api/params.h"
#include "querier/promql/ast.h"

#define METHOD "scrape-pages"
#define TIMEOUT_MS 5000
#define ANSWER_BYTES_MAX ((size_t)256 << 20)
#define PAGE_BYTES_MAX ((size_t)1 << 30)

enum { LABELS_MAX = 4096, ADDRESS_BYTES = 300, REQUEST_BYTES = 1 << 20 };

enum page { PAGE_TARGETS = 1, PAGE_METADATA, PAGE_POOLS };
enum record_kind { RECORD_ACTIVE = 1, RECORD_DROPPED, RECORD_POOL, RECORD_METADATA };

struct record {
    enum record_kind kind;
    struct nx_view name; /* of the pool; of metadata the target's labels, encoded */
    struct nx_view text; /* JSON */
    size_t order;        /* as it came */
    size_t answer;       /* of which distributor */
};

struct relay {
    struct querier *qry;
    struct nx_http_request *req;
    enum page page;
    struct nx_http_params params;
    struct qry_query *match; /* of match_target, or NULL */
    int64_t limit;           /* negative: none */
    size_t pending;
    size_t answers;
    struct nx_arena arena;
    struct record *records;
    size_t count, capacity;
    bool broken; /* no memory, or an answer that cannot be read */
};

static enum page page_of(const char *path)
{
    if (strcmp(path, "targets") == 0)
        return PAGE_TARGETS;
    return strcmp(path, "targets/metadata") == 0 ? PAGE_METADATA : PAGE_POOLS;
}

/* --- answering --- */

static void free_relay(struct relay *relay)
{
    qry_query_free(relay->match);
    nx_arena_release(&relay->arena);
    nx_free(relay);
}

static int compare_records(const void *a, const void *b)
{
    const struct record *left = a, *right = b;
    int order = left->kind == RECORD_METADATA ? 0 : nx_view_cmp(left->name, right->name);
    if (order != 0)
        return order;
    return left->order < right->order ? -1 : left->order > right->order;
}

/* Pools and dropped targets are known to all distributors: the first answer speaks for them. */
static void join(struct nx_buf *page, const struct relay *relay, enum record_kind kind)
{
    int64_t left = kind == RECORD_METADATA && relay->limit >= 0 ? relay->limit : INT64_MAX;
    bool first = true;
    for (size_t i = 0; i < relay->count && left > 0; i++) {
        const struct record *record = &relay->records[i];
        bool shared = kind == RECORD_DROPPED || kind == RECORD_POOL;
        if (record->kind != kind || (shared && record->answer != 0))
            continue;
        nx_buf_append_str(page, first ? "" : ",");
        nx_buf_append_view(page, record->text);
        first = false;
        left--;
    }
}

static void print_targets(struct nx_buf *page, const struct relay *relay)
{
    struct nx_view state = nx_http_params_get(&relay->params, "state");
    bool counted = state.len == 0 || nx_view_eq_nocase(state, NX_VIEW("any")) ||
                   nx_view_eq_nocase(state, NX_VIEW("dropped"));
    nx_buf_append_str(page, "{\"activeTargets\":[");
    join(page, relay, RECORD_ACTIVE);
    nx_buf_append_str(page, "],\"droppedTargets\":[");
    join(page, relay, RECORD_DROPPED);
    nx_buf_append_str(page, "],\"droppedTargetCounts\":");
    nx_buf_append_str(page, counted ? "{" : "null");
    join(page, relay, RECORD_POOL);
    nx_buf_append_str(page, counted ? "}" : "");
    nx_buf_append_char(page, '}');
}

static void print_page(struct nx_buf *page, const struct relay *relay)
{
    nx_buf_append_str(page, "{\"status\":\"success\",\"data\":");
    if (relay->page == PAGE_TARGETS) {
        print_targets(page, relay);
    } else if (relay->page == PAGE_METADATA) {
        nx_buf_append_char(page, '[');
        join(page, relay, RECORD_METADATA);
        nx_buf_append_char(page, ']');
    } else {
        nx_buf_append_str(page, "{\"scrapePools\":[");
        join(page, relay, RECORD_POOL);
        nx_buf_append_str(page, "]}");
    }
    nx_buf_append_char(page, '}');
}

static void respond(struct relay *relay)
{
    struct nx_buf page;
    nx_buf_init(&page, PAGE_BYTES_MAX);
    if (relay->count > 0)
        qsort(relay->records, relay->count, sizeof *relay->records, compare_records);
    if (relay->answers > 0 && !relay->broken)
        print_page(&page, relay);
    bool good = relay->answers > 0 && !relay->broken && nx_buf_err(&page) == NX_OK;
    if (good) {
        nx_http_response_compress(relay->req);
        nx_http_respond_buf(relay->req, 200, "application/json", &page);
    } else {
        nx_buf_release(&page);
        nx_http_respond(relay->req, 503, "application/json",
                        NX_VIEW("{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":"
                                "\"no distributor tells of its targets\"}"));
    }
    free_relay(relay);
}

/* --- asking --- */

static bool is_wanted(struct relay *relay, const struct record *record)
{
    struct nx_cursor cur = nx_cursor_of(record->name);
    struct nx_labels labels;
    if (record->kind != RECORD_METADATA || !relay->match)
        return true;
    if (nx_labels_decode(&cur, &relay->arena, LABELS_MAX, &labels) != NX_OK)
        return false;
    const struct qry_selector *selector = &qry_query_expr(relay->match)->selector;
    return nx_matchers_match(selector->matchers, selector->matcher_count, labels);
}

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

static bool take_answer(struct relay *relay, struct nx_view body)
{
    struct nx_view copy = nx_arena_copy(&relay->arena, body);
    struct nx_cursor cur = nx_cursor_of(copy);
    if (!copy.ptr)
        return false;
    while (nx_cursor_left(&cur) > 0) {
        struct record record = {.kind = (enum record_kind)nx_cursor_u8(&cur)};
        record.name = take_bytes(&cur);
        record.text = take_bytes(&cur);
        record.order = relay->count;
        record.answer = relay->answers;
        if (!nx_cursor_ok(&cur))
            return false;
        if (!is_wanted(relay, &record))
            continue;
        if (!nx_arena_grow(&relay->arena, &relay->records, relay->count, &relay->capacity,
                           relay->count + 1, sizeof record))
            return false;
        relay->records[relay->count++] = record;
    }
    return true;
}

static void finish_one(struct relay *relay)
{
    if (--relay->pending == 0)
        respond(relay);
}

static void on_answer(void *user, const struct nx_rpc_result *result)
{
    struct relay *relay = user;
    if (result->err == NX_OK) {
        relay->broken |= !take_answer(relay, result->body);
        relay->answers++;
    }
    finish_one(relay);
}

static void ask(struct relay *relay, struct nx_rpc_client *client, const char *address)
{
    struct nx_buf body;
    nx_buf_init(&body, REQUEST_BYTES);
    nx_buf_put_u8(&body, (uint8_t)relay->page);
    nx_buf_put_bytes(&body, nx_http_params_get(&relay->params, "state"));
    nx_buf_put_bytes(&body, nx_http_params_get(&relay->params, "scrapePool"));
    nx_buf_put_bytes(&body, nx_http_params_get(&relay->params, "metric"));
    struct nx_rpc_call_options options = {.address = address,
                                          .method = METHOD,
                                          .body = &body,
                                          .timeout_ms = TIMEOUT_MS,
                                          .max_frame_bytes = ANSWER_BYTES_MAX,
                                          .done = on_answer,
                                          .user = relay};
    enum nx_err err = nx_buf_err(&body);
    if (err)
        nx_buf_release(&body);
    relay->pending++;
    if (err || nx_rpc_call(client, &options, NULL) != NX_OK)
        relay->pending--;
}

static void ask_all(struct relay *relay)
{
    size_t worker = nx_worker_index(nx_http_request_worker(relay->req));
    struct nx_rpc_client *client = relay->qry->deps.clients[worker];
    struct nx_view rest = nx_view_of(relay->qry->deps.settings->distributors);
    relay->pending = 1; /* until all are asked */
    while (rest.len > 0) {
        char address[ADDRESS_BYTES];
        size_t at = nx_view_find(rest, ',');
        struct nx_view text = nx_view_trim(nx_view_make(rest.ptr, at));
        size_t next = at < rest.len ? at + 1 : at;
        rest = nx_view_make(rest.ptr + next, rest.len - next);
        if (text.len == 0 || text.len >= sizeof address)
            continue;
        memcpy(address, text.ptr, text.len);
        address[text.len] = '\0';
        ask(relay, client, address);
    }
    finish_one(relay);
}

/* --- the request --- */

/* False for what qry_job_handle will refuse with the right words. */
static bool read_request(struct relay *relay)
{
    enum nx_err err =
        nx_http_params_parse(nx_http_request_arena(relay->req), nx_http_request_query(relay->req),
                             NX_VIEW(""), NX_VIEW(""), &relay->params, NULL);
    if (err)
        return false;
    struct nx_view limit = nx_http_params_get(&relay->params, "limit");
    struct nx_view match = nx_http_params_get(&relay->params, "match_target");
    relay->limit = -1;
    if (relay->page != PAGE_METADATA)
        return true;
    if (limit.len > 0 && qry_param_integer(limit, &relay->limit, NULL) != NX_OK)
        return false;
    return match.len == 0 || qry_parse_selector(match, &relay->match, NULL) == NX_OK;
}

void qry_targets_handle(struct nx_http_request *req, void *user)
{
    const struct qry_route *route = user;
    struct querier *qry = route->qry;
    struct relay *relay = NULL;
    const char *distributors = qry->deps.settings->distributors;
    if (distributors && *distributors && nx_http_request_method(req) == NX_HTTP_GET)
        relay = nx_calloc(1, sizeof *relay);
    if (!relay) {
        qry_job_handle(req, user);
        return;
    }
    nx_arena_init(&relay->arena, PAGE_BYTES_MAX);
    relay->qry = qry;
    relay->req = req;
    relay->page = page_of(route->endpoint->path);
    if (!read_request(relay)) {
        free_relay(relay);
        qry_job_handle(req, user);
        return;
    }
    qry_respond_headers(qry, req);
    nx_metric_add(qry->metrics, QRY_METRIC_REQUESTS, route->metric_slot, 1);
    ask_all(relay);
}
