/* What the client's two files share: http_client.c has calls, http_client_multi.c binds curl to the
 * loop. */
#ifndef NX_NET_HTTP_CLIENT_INTERNAL_H
#define NX_NET_HTTP_CLIENT_INTERNAL_H

#include <curl/curl.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/net/http_client.h"

#define NX_HTTP_IDLE_EASIES 64

struct nx_http_call {
    TAILQ_ENTRY(nx_http_call) in_calls;
    TAILQ_ENTRY(nx_http_call) in_work;
    struct nx_http_client *client;
    struct nx_http_call_options options; /* its pointers, save user's, are not used after send */
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    struct nx_buf request;
    struct nx_buf body;
    int status;
    bool added;  /* in the multi handle */
    bool queued; /* in client->work */
    bool canceled;
    bool paused;           /* as the user wants it */
    bool stalled;          /* curl holds a piece back for us */
    enum nx_err abort_err; /* why a callback of ours broke the transfer off */
    char error[CURL_ERROR_SIZE];
};

TAILQ_HEAD(nx_http_calls, nx_http_call);

struct nx_http_client {
    struct nx_worker *worker;
    struct nx_log *log;
    CURLM *multi;
    int epoll_fd;     /* curl's sockets */
    uv_poll_t poll;   /* of epoll_fd */
    uv_timer_t timer; /* curl's next time-out */
    uv_idle_t kick;   /* runs `work` in the next round of the loop */
    size_t open_handles;
    unsigned in_curl; /* > 0: a curl function is on the stack, which must not be entered again */
    bool closing;
    struct nx_http_calls calls;
    struct nx_http_calls work; /* to be added, resumed or canceled */
    size_t call_count;
    uint32_t *watched; /* by descriptor: what curl waits for on it (EPOLLIN, EPOLLOUT) */
    size_t watched_capacity;
    CURL *idle[NX_HTTP_IDLE_EASIES];
    size_t idle_count;
    void (*closed)(void *user);
    void *closed_user;
};

/* --- http_client_multi.c --- */
enum nx_err nx_http_multi_init(struct nx_http_client *client) NX_WARN_UNUSED;
/* Ends curl and begins closing all handles; the last close callback frees the client. No call is
 * left. */
void nx_http_multi_close(struct nx_http_client *client);
/* Sets the callbacks that create and close sockets. */
CURLcode nx_http_multi_prepare(struct nx_http_client *client, CURL *easy);
/* Runs client->work in the next round of the loop. */
void nx_http_multi_kick(struct nx_http_client *client);

/* --- http_client.c --- */
/* A transfer has ended: takes it out of curl and calls `done`. Never from inside a curl function.
 */
void nx_http_call_finish(struct nx_http_call *call, CURLcode code);
/* What was put off while a curl function was on the stack. */
void nx_http_client_work(struct nx_http_client *client);

#endif
