/* curl's multi-socket interface on a uv loop.
 *
 * - curl's sockets are in an epoll set of their own, of which the loop watches the one descriptor.
 *   curl 7.88 closes a socket whose connection never came about without asking us, and sends REMOVE
 *   only then, when its number may already be another thread's; or it opens the next socket under
 *   the same number and sends nothing, because to its books nothing changed. A handle of the loop
 *   would not survive that (uv aborts when a descriptor it watches is gone, and would forget
 *   one that somebody else now has under that number); in a set of our own the kernel drops
 *   closed sockets and a late removal finds nothing. For the second case we open the sockets
 *   ourselves: a number that is still watched is added again.
 * - Whatever follows from a callback of curl (adding, removing, resuming transfers) is put off to
 *   the idle handle: curl functions are not re-entered.
 * - After every action and time-out all completion messages are taken. */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/net/http_client_internal.h"

#define MAX_CACHED_CONNECTIONS 256L
#define EVENTS_A_ROUND 64

/* --- sockets --------------------------------------------------------------------------------- */

/* Not through the C library: ThreadSanitizer would report the late removal described above. */
static bool set_control(struct nx_http_client *client, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return syscall(SYS_epoll_ctl, client->epoll_fd, operation, fd, &event) == 0;
}

static uint32_t watched_events(const struct nx_http_client *client, int fd)
{
    return fd >= 0 && (size_t)fd < client->watched_capacity ? client->watched[fd] : 0;
}

static bool remember(struct nx_http_client *client, int fd, uint32_t events)
{
    size_t before = client->watched_capacity;
    if (nx_grow(&client->watched, &client->watched_capacity, (size_t)fd + 1,
                sizeof(*client->watched)) != NX_OK) {
        return false;
    }
    for (size_t i = before; i < client->watched_capacity; i++) {
        client->watched[i] = 0;
    }
    client->watched[fd] = events;
    return true;
}

/* Without memory the call ends by its time-out: an error told to curl would end all calls. */
static void watch(struct nx_http_client *client, int fd, uint32_t events)
{
    if (remember(client, fd, events) && !set_control(client, EPOLL_CTL_MOD, fd, events)) {
        (void)set_control(client, EPOLL_CTL_ADD, fd, events);
    }
}

static void unwatch(struct nx_http_client *client, int fd)
{
    if (watched_events(client, fd) != 0) {
        client->watched[fd] = 0;
        (void)set_control(client, EPOLL_CTL_DEL, fd, 0);
    }
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct nx_http_client *client = user;
    (void)easy;
    (void)socket_user;
    if (what == CURL_POLL_REMOVE) {
        unwatch(client, fd);
    } else {
        watch(client, fd,
              what == CURL_POLL_IN    ? EPOLLIN
              : what == CURL_POLL_OUT ? EPOLLOUT
                                      : EPOLLIN | EPOLLOUT);
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
    if (watched_events(client, fd) != 0) {
        watch(client, fd, watched_events(client, fd));
    }
    return fd;
}

CURLcode nx_http_multi_prepare(struct nx_http_client *client, CURL *easy)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    return code ? code : curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
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
 * not be retried on a new one. */
static int curl_bits(uint32_t events)
{
    if (events & EPOLLERR) {
        return CURL_CSELECT_ERR | CURL_CSELECT_IN | CURL_CSELECT_OUT;
    }
    return (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
           (events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct nx_http_client *client = poll->data;
    struct epoll_event ready[EVENTS_A_ROUND];
    (void)events;
    if (status < 0) {
        nx_log(client->log, NX_LOG_ERROR, "http client cannot watch its sockets",
               NX_E(nx_err_from_uv(status)));
        return;
    }
    int count = epoll_wait(client->epoll_fd, ready, EVENTS_A_ROUND, 0);
    for (int i = 0; i < count; i++) {
        /* An earlier one of this round may have ended the socket. */
        if (watched_events(client, ready[i].data.fd) != 0) {
            act(client, ready[i].data.fd, curl_bits(ready[i].events));
        }
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

/* --- life ------------------------------------------------------------------------------------ */

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

static enum nx_err open_poll(struct nx_http_client *client)
{
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (client->epoll_fd < 0) {
        return NX_ERR_UNAVAILABLE;
    }
    uv_loop_t *loop = nx_worker_loop(client->worker);
    if (uv_poll_init(loop, &client->poll, client->epoll_fd) != 0) {
        close(client->epoll_fd);
        return NX_ERR_UNAVAILABLE;
    }
    uv_poll_start(&client->poll, UV_READABLE, on_poll);
    uv_timer_init(loop, &client->timer);
    uv_idle_init(loop, &client->kick);
    client->poll.data = client;
    client->timer.data = client;
    client->kick.data = client;
    client->open_handles = 3;
    return NX_OK;
}

enum nx_err nx_http_multi_init(struct nx_http_client *client)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return NX_ERR_INTERNAL;
    }
    enum nx_err err = NX_ERR_NOMEM;
    client->multi = curl_multi_init();
    if (client->multi && set_options(client) == CURLM_OK) {
        err = open_poll(client);
    }
    if (err != NX_OK) {
        curl_multi_cleanup(client->multi);
        curl_global_cleanup();
    }
    return err;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct nx_http_client *client = handle->data;
    if (--client->open_handles > 0) {
        return;
    }
    void (*closed)(void *) = client->closed;
    void *user = client->closed_user;
    nx_free(client->watched);
    nx_free(client);
    curl_global_cleanup();
    if (closed) {
        closed(user);
    }
}

void nx_http_multi_close(struct nx_http_client *client)
{
    for (size_t i = 0; i < client->idle_count; i++) {
        curl_easy_cleanup(client->idle[i]);
    }
    client->idle_count = 0;
    curl_multi_cleanup(client->multi);
    client->multi = NULL;
    uv_close((uv_handle_t *)&client->poll, on_handle_closed);
    uv_close((uv_handle_t *)&client->timer, on_handle_closed);
    uv_close((uv_handle_t *)&client->kick, on_handle_closed);
    close(client->epoll_fd);
}
