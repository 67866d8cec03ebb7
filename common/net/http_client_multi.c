/* curl's multi-socket interface on a uv loop.
 *
 * - A poll handle lives from curl's first ADD of a descriptor to its REMOVE. curl 7.88 closes a
 * socket whose connection never came about without asking us, and may open the next one under the
 * same number before it sends REMOVE, or never send one because to its books nothing changed. So we
 * open sockets ourselves: a handle that still stands for the number belonged to a closed socket and
 * is replaced, watching what the old one watched. Descriptors in use are closed through us, after
 * their handle.
 * - Whatever follows from a callback of curl (adding, removing, resuming transfers) is put off to
 * the idle handle: curl functions are not re-entered.
 * - After every action and time-out all completion messages are taken. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/net/http_client_internal.h"

#define MAX_CACHED_CONNECTIONS 256L

struct nx_http_socket {
    uv_poll_t poll;
    struct nx_http_client *client;
    int fd;
    int events; /* UV_READABLE, UV_WRITABLE */
};

/* --- closing --------------------------------------------------------------------------------- */

static void handle_gone(struct nx_http_client *client)
{
    if (--client->open_handles > 0) {
        return;
    }
    void (*closed)(void *) = client->closed;
    void *user = client->closed_user;
    nx_free(client->sockets);
    nx_free(client);
    curl_global_cleanup();
    if (closed) {
        closed(user);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct nx_http_socket *sock = handle->data;
    struct nx_http_client *client = sock->client;
    nx_free(sock);
    handle_gone(client);
}

/* --- sockets --------------------------------------------------------------------------------- */

static struct nx_http_socket *find_socket(struct nx_http_client *client, int fd)
{
    return fd >= 0 && (size_t)fd < client->socket_capacity ? client->sockets[fd] : NULL;
}

static struct nx_http_socket *add_socket(struct nx_http_client *client, int fd)
{
    size_t before = client->socket_capacity;
    if (nx_grow(&client->sockets, &client->socket_capacity, (size_t)fd + 1,
                sizeof(*client->sockets)) != NX_OK) {
        return NULL;
    }
    for (size_t i = before; i < client->socket_capacity; i++) {
        client->sockets[i] = NULL;
    }
    struct nx_http_socket *sock = nx_calloc(1, sizeof(*sock));
    if (!sock) {
        return NULL;
    }
    if (uv_poll_init(nx_worker_loop(client->worker), &sock->poll, fd) != 0) {
        nx_free(sock);
        return NULL;
    }
    sock->poll.data = sock;
    sock->client = client;
    sock->fd = fd;
    client->open_handles++;
    client->sockets[fd] = sock;
    return sock;
}

static void drop_socket(struct nx_http_socket *sock)
{
    sock->client->sockets[sock->fd] = NULL;
    uv_close((uv_handle_t *)&sock->poll, on_socket_closed);
}

/* --- driving --------------------------------------------------------------------------------- */

static void take_completions(struct nx_http_client *client)
{
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode code = message->data.result; /* the message goes with the handle */
        struct nx_http_call *call = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        nx_http_call_finish(call, code);
    }
}

static void act(struct nx_http_client *client, curl_socket_t fd, int events)
{
    int running = 0;
    client->in_curl++;
    CURLMcode code = curl_multi_socket_action(client->multi, fd, events, &running);
    client->in_curl--;
    if (code != CURLM_OK) {
        nx_log(client->log, NX_LOG_ERROR, "http client cannot go on",
               NX_S("err", curl_multi_strerror(code)));
    }
    take_completions(client);
}

/* An error of the socket is told together with readiness: given the bare error, curl would fail the
 * call without looking at the socket, and a kept connection that its server closed meanwhile would
 * not be retried on a new one. uv has stopped the handle then; if curl still reads, it goes on. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct nx_http_socket *sock = poll->data;
    struct nx_http_client *client = sock->client;
    int fd = sock->fd;
    int bits = 0;
    if (status < 0) {
        bits = CURL_CSELECT_ERR | CURL_CSELECT_IN | CURL_CSELECT_OUT;
    } else {
        bits |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
        bits |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    }
    act(client, fd, bits);
    if (status < 0 && find_socket(client, fd) == sock && !uv_is_active((uv_handle_t *)poll)) {
        uv_poll_start(&sock->poll, sock->events, on_poll);
    }
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_kick(uv_idle_t *kick)
{
    struct nx_http_client *client = kick->data;
    uv_idle_stop(kick);
    nx_http_client_work(client);
    if (client->closing && TAILQ_EMPTY(&client->calls)) {
        nx_http_multi_close(client);
    }
}

void nx_http_multi_kick(struct nx_http_client *client)
{
    uv_idle_start(&client->kick, on_kick);
}

/* --- curl's callbacks ------------------------------------------------------------------------ */

static void watch(struct nx_http_client *client, int fd, int events)
{
    struct nx_http_socket *sock = find_socket(client, fd);
    sock = sock ? sock : add_socket(client, fd);
    /* Without memory for the handle the call ends by its time-out: an error told to curl would end
     * all calls. */
    if (sock) {
        sock->events = events;
        uv_poll_start(&sock->poll, events, on_poll);
    }
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct nx_http_client *client = user;
    (void)easy;
    (void)socket_user;
    if (what == CURL_POLL_REMOVE) {
        struct nx_http_socket *sock = find_socket(client, fd);
        if (sock) {
            drop_socket(sock);
        }
    } else {
        int events = what == CURL_POLL_IN    ? UV_READABLE
                     : what == CURL_POLL_OUT ? UV_WRITABLE
                                             : UV_READABLE | UV_WRITABLE;
        watch(client, fd, events);
    }
    return 0;
}

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct nx_http_client *client = user;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    struct nx_http_socket *stale = find_socket(client, fd);
    if (stale) {
        int events = stale->events;
        drop_socket(stale);
        watch(client, fd, events);
    }
    return fd;
}

static int close_socket(void *user, curl_socket_t fd)
{
    struct nx_http_client *client = user;
    struct nx_http_socket *sock = find_socket(client, fd);
    if (sock) {
        drop_socket(sock);
    }
    return close(fd);
}

CURLcode nx_http_multi_prepare(struct nx_http_client *client, CURL *easy)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    return code ? code : curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
}

static int set_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct nx_http_client *client = user;
    (void)multi;
    if (timeout_ms < 0) {
        uv_timer_stop(&client->timer);
    } else {
        uv_timer_start(&client->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static CURLMcode set_options(struct nx_http_client *client)
{
    CURLM *multi = client->multi;
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    code = code ? code : curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
    code = code ? code : curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
    code = code ? code : curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
    code = code ? code : curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return code ? code : curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, MAX_CACHED_CONNECTIONS);
}

enum nx_err nx_http_multi_init(struct nx_http_client *client)
{
    uv_loop_t *loop = nx_worker_loop(client->worker);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return NX_ERR_INTERNAL;
    }
    client->multi = curl_multi_init();
    if (!client->multi || set_options(client) != CURLM_OK) {
        curl_multi_cleanup(client->multi);
        curl_global_cleanup();
        return NX_ERR_NOMEM;
    }
    uv_timer_init(loop, &client->timer);
    uv_idle_init(loop, &client->kick);
    client->timer.data = client;
    client->kick.data = client;
    client->open_handles = 2;
    return NX_OK;
}

void nx_http_multi_close(struct nx_http_client *client)
{
    for (size_t i = 0; i < client->idle_count; i++) {
        curl_easy_cleanup(client->idle[i]);
    }
    client->idle_count = 0;
    curl_multi_cleanup(client->multi);
    client->multi = NULL;
    for (size_t fd = 0; fd < client->socket_capacity; fd++) {
        if (client->sockets[fd]) {
            drop_socket(client->sockets[fd]);
        }
    }
    uv_close((uv_handle_t *)&client->timer, on_handle_closed);
    uv_close((uv_handle_t *)&client->kick, on_handle_closed);
}
