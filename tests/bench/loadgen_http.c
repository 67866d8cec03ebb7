#include "tests/bench/loadgen_http.h"

#include <errno.h>
#include <llhttp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/alloc.h"

struct load_conn {
    const struct load_url *url;
    char head[1024]; /* all of it but the length */
    unsigned timeout_s;
    int fd;
    llhttp_t parser;
    llhttp_settings_t callbacks;
    struct load_answer *answer;
    bool complete, keep_alive, is_retry_after;
    size_t text_len;
    char number[32];
    size_t number_len;
};

bool load_url_parse(const char *text, struct load_url *out)
{
    int used = 0;
    *out = (struct load_url){.port = "80"};
    if (sscanf(text, "http://%127[^:/]%n", out->host, &used) != 1)
        return false;
    text += used;
    if (*text == ':') {
        if (sscanf(text, ":%7[0-9]%n", out->port, &used) != 1)
            return false;
        text += used;
    }
    if (*text && *text != '/')
        return false;
    const char *path = *text && strcmp(text, "/") != 0 ? text : "/api/v1/write";
    return snprintf(out->path, sizeof out->path, "%s", path) < (int)sizeof out->path;
}

/* --- the answer --- */

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    struct load_conn *conn = parser->data;
    static const char name[] = "retry-after";
    conn->is_retry_after = len == sizeof name - 1 && strncasecmp(at, name, len) == 0;
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct load_conn *conn = parser->data;
    if (conn->is_retry_after && conn->number_len + len < sizeof conn->number) {
        memcpy(conn->number + conn->number_len, at, len);
        conn->number_len += len;
    }
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct load_conn *conn = parser->data;
    size_t room = sizeof conn->answer->text - 1 - conn->text_len;
    size_t taken = len < room ? len : room;
    memcpy(conn->answer->text + conn->text_len, at, taken);
    conn->text_len += taken;
    return 0;
}

static int on_complete(llhttp_t *parser)
{
    struct load_conn *conn = parser->data;
    conn->complete = true;
    conn->keep_alive = llhttp_should_keep_alive(parser);
    return HPE_PAUSED;
}

static void read_answer(struct load_conn *conn, struct load_answer *answer)
{
    char bytes[8192];
    llhttp_init(&conn->parser, HTTP_RESPONSE, &conn->callbacks);
    conn->parser.data = conn;
    conn->answer = answer;
    conn->complete = conn->is_retry_after = false;
    conn->text_len = conn->number_len = 0;
    while (!conn->complete) {
        ssize_t got = recv(conn->fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0 && llhttp_finish(&conn->parser) == HPE_OK && conn->complete)
            break; /* a body that ends with the connection */
        if (got <= 0) {
            answer->status = 0;
            (void)snprintf(answer->text, sizeof answer->text, "%s",
                           got < 0 ? strerror(errno) : "connection closed");
            return;
        }
        llhttp_errno_t err = llhttp_execute(&conn->parser, bytes, (size_t)got);
        if (err != HPE_OK && err != HPE_PAUSED) {
            answer->status = 0;
            (void)snprintf(answer->text, sizeof answer->text, "answer is not HTTP");
            return;
        }
    }
    answer->status = conn->parser.status_code;
    answer->text[conn->text_len] = '\0';
    answer->text[strcspn(answer->text, "\r\n")] = '\0';
    conn->number[conn->number_len] = '\0';
    answer->retry_after_s = strtod(conn->number, NULL);
}

/* --- the connection --- */

static void disconnect(struct load_conn *conn)
{
    if (conn->fd >= 0)
        (void)close(conn->fd);
    conn->fd = -1;
}

static bool try_connect(struct load_conn *conn, const struct addrinfo *address)
{
    struct timeval timeout = {.tv_sec = conn->timeout_s};
    int on = 1;
    conn->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        return false;
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(conn->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    (void)setsockopt(conn->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (connect(conn->fd, address->ai_addr, address->ai_addrlen) == 0)
        return true;
    disconnect(conn);
    return false;
}

static bool connect_to(struct load_conn *conn, struct load_answer *answer)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses = NULL;
    int failed = getaddrinfo(conn->url->host, conn->url->port, &hints, &addresses);
    bool connected = false;
    for (struct addrinfo *a = addresses; !failed && a && !connected; a = a->ai_next)
        connected = try_connect(conn, a);
    if (!connected)
        (void)snprintf(answer->text, sizeof answer->text, "connect: %s",
                       failed ? gai_strerror(failed) : strerror(errno));
    if (addresses)
        freeaddrinfo(addresses);
    return connected;
}

static bool send_all(struct load_conn *conn, struct nx_view head, struct nx_view body)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)head.ptr, head.len},
                             {(void *)(uintptr_t)body.ptr, body.len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    while (message.msg_iovlen > 0) {
        ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false;
        size_t left = (size_t)sent;
        while (message.msg_iovlen > 0 && left >= message.msg_iov->iov_len) {
            left -= message.msg_iov->iov_len;
            message.msg_iov++;
            message.msg_iovlen--;
        }
        if (message.msg_iovlen > 0) {
            message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + left;
            message.msg_iov->iov_len -= left;
        }
    }
    return true;
}

static const char *version_headers(unsigned version)
{
    return version == 2
               ? "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"
                 "X-Prometheus-Remote-Write-Version: 2.0.0\r\n"
               : "Content-Type: application/x-protobuf\r\n"
                 "X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
}

enum nx_err load_conn_new(const struct load_url *url, const char *tenant, unsigned version,
                          unsigned timeout_s, struct load_conn **out)
{
    struct load_conn *conn = nx_calloc(1, sizeof *conn);
    if (!conn)
        return NX_ERR_NOMEM;
    conn->url = url;
    conn->timeout_s = timeout_s;
    conn->fd = -1;
    llhttp_settings_init(&conn->callbacks);
    conn->callbacks.on_header_field = on_field;
    conn->callbacks.on_header_value = on_value;
    conn->callbacks.on_body = on_body;
    conn->callbacks.on_message_complete = on_complete;
    int len = snprintf(conn->head, sizeof conn->head,
                       "POST %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: narthex-loadgen\r\n"
                       "Content-Encoding: snappy\r\n%s%s%s%s",
                       url->path, url->host, url->port, version_headers(version),
                       tenant ? "X-Scope-OrgID: " : "", tenant ? tenant : "", tenant ? "\r\n" : "");
    if (len < 0 || (size_t)len >= sizeof conn->head) {
        nx_free(conn);
        return NX_ERR_INVALID;
    }
    *out = conn;
    return NX_OK;
}

void load_conn_free(struct load_conn *conn)
{
    if (!conn)
        return;
    disconnect(conn);
    nx_free(conn);
}

void load_conn_post(struct load_conn *conn, struct nx_view body, struct load_answer *answer)
{
    char head[sizeof conn->head + 64];
    int len = snprintf(head, sizeof head, "%sContent-Length: %zu\r\n\r\n", conn->head, body.len);
    *answer = (struct load_answer){.status = 0};
    bool kept = conn->fd >= 0;
    for (;;) {
        if (conn->fd < 0 && !connect_to(conn, answer))
            return;
        bool sent = send_all(conn, nx_view_make(head, (size_t)len), body);
        if (!sent)
            (void)snprintf(answer->text, sizeof answer->text, "send: %s", strerror(errno));
        else
            read_answer(conn, answer);
        if (answer->status == 0 || !conn->keep_alive)
            disconnect(conn);
        if (answer->status != 0 || !kept)
            return;
        kept = false;
    }
}
