/* The listening socket is polled on worker 0 and accepted from directly, so that the plain
 * descriptor can go to another worker's loop before any handle is made of it. */
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/net/http_server_internal.h"

enum { BACKLOG = 4096, ACCEPTS_A_WAKE = 64, RETRY_ACCEPT_MS = 100, REFUSING_MAX = 256 };

static int open_socket(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    address->ai_protocol);
    if (fd < 0) {
        return -errno;
    }
    int on = 1;
    int off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int status = -errno;
        close(fd);
        return status;
    }
    return fd;
}

/* Named hosts prefer IPv4, as Go's listeners; the wildcard prefers IPv6, which takes both. */
static int open_first(const struct addrinfo *found, bool wildcard)
{
    int preferred = wildcard ? AF_INET6 : AF_INET;
    int status = -EADDRNOTAVAIL;
    for (int pass = 0; pass < 2; pass++) {
        for (const struct addrinfo *at = found; at; at = at->ai_next) {
            if ((at->ai_family == preferred) != (pass == 0)) {
                continue;
            }
            int fd = open_socket(at);
            if (fd >= 0) {
                return fd;
            }
            status = fd;
        }
    }
    return status;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return 0;
    }
    uint16_t port;
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &address, sizeof(in6));
        port = in6.sin6_port;
    } else {
        struct sockaddr_in in;
        memcpy(&in, &address, sizeof(in));
        port = in.sin_port;
    }
    return ntohs(port);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void start_polling(struct nx_http_server *server)
{
    int status = uv_poll_start(&server->listen_poll, UV_READABLE, on_readable);
    assert(status == 0);
    (void)status;
}

static void on_retry(uv_timer_t *timer)
{
    start_polling(timer->data);
}

enum nx_err nx_http_listener_open(struct nx_http_server *server, struct nx_fail *fail)
{
    const char *host = server->host;
    unsigned port = server->options.port;
    bool wildcard = host[0] == '\0';
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", port);
    struct addrinfo *found = NULL;
    int status = getaddrinfo(wildcard ? NULL : host, service, &hints, &found);
    if (status != 0) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "cannot listen on %s:%u: %s", host, port,
                           gai_strerror(status));
    }
    int fd = open_first(found, wildcard);
    freeaddrinfo(found);
    if (fd < 0) {
        return nx_fail_set(fail, nx_err_from_errno(-fd), "cannot listen on %s:%u: %s", host, port,
                           uv_strerror(fd));
    }
    status = uv_poll_init(nx_worker_loop(server->shards[0].worker), &server->listen_poll, fd);
    if (status != 0) {
        close(fd);
        return nx_fail_set(fail, nx_err_from_uv(status), "cannot listen on %s:%u: %s", host, port,
                           uv_strerror(status));
    }
    uv_timer_init(server->listen_poll.loop, &server->listen_retry);
    server->listen_retry.data = server;
    server->listen_poll.data = server;
    server->listen_fd = fd;
    server->port = bound_port(fd);
    start_polling(server);
    return NX_OK;
}

static void on_retry_closed(uv_handle_t *handle)
{
    struct nx_http_server *server = handle->data;
    server->listener_closed(server);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct nx_http_server *server = handle->data;
    close(server->listen_fd);
    server->listen_fd = -1;
    uv_close((uv_handle_t *)&server->listen_retry, on_retry_closed);
}

void nx_http_listener_close(struct nx_http_server *server,
                            void (*closed)(struct nx_http_server *server))
{
    server->listener_closed = closed;
    uv_close((uv_handle_t *)&server->listen_poll, on_poll_closed);
}

static void run_adopt(struct nx_task *task)
{
    nx_http_conn_adopt(NX_OWNER(struct nx_http_conn, adopt, task));
}

static size_t total_load(const struct nx_http_server *server)
{
    size_t total = 0;
    for (size_t i = 0; i < server->shard_count; i++) {
        total += atomic_load_explicit(&server->shards[i].load, memory_order_relaxed);
    }
    return total;
}

/* Equals take turns. */
static struct nx_http_shard *least_loaded(struct nx_http_server *server)
{
    struct nx_http_shard *best = NULL;
    size_t least = SIZE_MAX;
    size_t first = server->next_shard++;
    for (size_t i = 0; i < server->shard_count; i++) {
        struct nx_http_shard *shard = &server->shards[(first + i) % server->shard_count];
        size_t load = atomic_load_explicit(&shard->load, memory_order_relaxed);
        if (load < least) {
            least = load;
            best = shard;
        }
    }
    return best;
}

static void hand_over(struct nx_http_server *server, int fd)
{
    bool refuse =
        total_load(server) >= server->options.max_connections + atomic_load(&server->refusing);
    if (refuse) {
        nx_metric_inc(server->metrics, NX_HTTP_REFUSED);
    }
    struct nx_http_conn *conn = NULL;
    if (!refuse || atomic_load(&server->refusing) < REFUSING_MAX) {
        conn = nx_calloc(1, sizeof(*conn));
    }
    if (!conn) {
        close(fd);
        return;
    }
    nx_metric_inc(server->metrics, NX_HTTP_ACCEPTED);
    nx_metric_add(server->metrics, NX_HTTP_CONNECTIONS, 0, 1);
    conn->fd = fd;
    conn->refuse = refuse;
    conn->adopt.run = run_adopt;
    conn->shard = least_loaded(server);
    atomic_fetch_add(&server->refusing, refuse ? 1 : 0);
    atomic_fetch_add(&conn->shard->load, 1);
    if (nx_worker_is_current(conn->shard->worker)) {
        nx_http_conn_adopt(conn);
    } else {
        nx_worker_reply(conn->shard->worker, &conn->adopt);
    }
}

/* Out of descriptors or memory: waits a little, rather than spin on a socket that stays readable.
 */
static void pause_accepting(struct nx_http_server *server, int error)
{
    nx_log(server->log, NX_LOG_WARN, "cannot accept connections, waiting",
           NX_S("err", uv_strerror(-error)));
    uv_poll_stop(&server->listen_poll);
    uv_timer_start(&server->listen_retry, on_retry, RETRY_ACCEPT_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct nx_http_server *server = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_WAKE; i++) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            hand_over(server, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(server, errno);
        } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            nx_log(server->log, NX_LOG_WARN, "accept failed", NX_S("err", uv_strerror(-errno)));
        }
        return;
    }
}
