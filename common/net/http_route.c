/* Paths are matched byte by byte as they are decoded, so that an escaped slash is never a
 * separator: the value of a label may hold one. */
#include <stdio.h>
#include <string.h>

#include "common/net/http_params.h"
#include "common/net/http_server_internal.h"

/* One decoded byte of a path. */
struct unit {
    char byte;
    bool escaped;
    size_t len;
};

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The escapes have been checked before. */
static struct unit unit_at(struct nx_view raw, size_t at)
{
    if (raw.ptr[at] != '%') {
        return (struct unit){.byte = raw.ptr[at], .len = 1};
    }
    int byte = hex(raw.ptr[at + 1]) * 16 + hex(raw.ptr[at + 2]);
    return (struct unit){.byte = (char)byte, .escaped = true, .len = 3};
}

/* Whether the raw path is the pattern's; `param` is what the variable part stands for, still raw.
 */
static bool matches(const char *pattern, struct nx_view raw, struct nx_view *param)
{
    size_t at = 0;
    for (; *pattern; pattern++) {
        if (*pattern == '*' && pattern[1] == '\0') {
            *param = nx_view_make(raw.ptr + at, raw.len - at);
            return true;
        }
        if (*pattern == '{') {
            size_t begin = at;
            while (at < raw.len && raw.ptr[at] != '/') {
                at++;
            }
            *param = nx_view_make(raw.ptr + begin, at - begin);
            if (param->len == 0) {
                return false;
            }
            pattern = strchr(pattern, '}');
            continue;
        }
        if (at == raw.len) {
            return false;
        }
        struct unit unit = unit_at(raw, at);
        if (unit.byte != *pattern || (unit.escaped && unit.byte == '/')) {
            return false;
        }
        at += unit.len;
    }
    return at == raw.len;
}

/* The target's path and query: of the origin form "/path?query", or of the absolute form that
 * proxies send. */
static bool split_target(struct nx_view target, struct nx_view *path, struct nx_view *query)
{
    if (target.len > 0 && target.ptr[0] != '/') {
        size_t colon = nx_view_find(target, ':');
        if (colon + 3 > target.len || memcmp(target.ptr + colon, "://", 3) != 0) {
            return false;
        }
        target = nx_view_make(target.ptr + colon + 3, target.len - colon - 3);
        size_t slash = nx_view_find(target, '/');
        target = nx_view_make(target.ptr + slash, target.len - slash);
    }
    size_t fragment = nx_view_find(target, '#');
    target.len = fragment;
    size_t mark = nx_view_find(target, '?');
    *path = nx_view_make(target.ptr, mark);
    *query = mark < target.len ? nx_view_make(target.ptr + mark + 1, target.len - mark - 1)
                               : (struct nx_view){.ptr = ""};
    return path->len > 0;
}

static struct nx_view strip_alias(const struct nx_http_server *server, struct nx_view raw)
{
    for (size_t i = 0; i < server->alias_count; i++) {
        struct nx_view prefix = nx_view_of(server->aliases[i]);
        if (!nx_view_has_prefix(raw, prefix)) {
            continue;
        }
        if (raw.len == prefix.len) {
            return NX_VIEW("/");
        }
        if (raw.ptr[prefix.len] == '/') {
            return nx_view_make(raw.ptr + prefix.len, raw.len - prefix.len);
        }
    }
    return raw;
}

static unsigned with_head(const struct nx_http_route *route)
{
    bool head = (route->methods & NX_HTTP_GET) && !route->no_head;
    return head ? route->methods | NX_HTTP_HEAD : route->methods;
}

static void set_allow(struct nx_http_request *req, unsigned methods)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{NX_HTTP_DELETE, "DELETE"},   {NX_HTTP_GET, "GET"},   {NX_HTTP_HEAD, "HEAD"},
                 {NX_HTTP_OPTIONS, "OPTIONS"}, {NX_HTTP_POST, "POST"}, {NX_HTTP_PUT, "PUT"}};
    char text[64] = "";
    size_t len = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (methods & names[i].bit) {
            int wrote =
                snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "", names[i].name);
            len += (size_t)wrote;
        }
    }
    nx_http_response_header(req, "Allow", text);
}

int nx_http_route_find(struct nx_http_request *req)
{
    const struct nx_http_server *server = req->conn->shard->server;
    struct nx_view raw;
    if (!split_target(nx_http_request_span(req, req->target), &raw, &req->query)) {
        return 400;
    }
    raw = strip_alias(server, raw);
    if (nx_percent_decode(&req->arena, raw, &req->path) != NX_OK) {
        return 400;
    }
    unsigned allowed = 0;
    for (size_t i = 0; i < server->route_count; i++) {
        const struct nx_http_route_entry *entry = &server->routes[i];
        struct nx_view param = {.ptr = NULL};
        if (!matches(entry->path, raw, &param)) {
            continue;
        }
        unsigned methods = with_head(&entry->route);
        if (methods & (unsigned)req->method) {
            req->route = entry;
            return !param.ptr || nx_percent_decode(&req->arena, param, &req->param) == NX_OK ? 0
                                                                                             : 503;
        }
        if (methods != NX_HTTP_OPTIONS) {
            allowed |= methods;
        }
    }
    if (allowed == 0) {
        return 404;
    }
    set_allow(req, allowed);
    return 405;
}
