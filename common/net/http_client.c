/* Calls: one curl easy handle each, out of a small pool, from send to done.
 *
 * A call is in client->calls until its `done`. It is taken out of curl and finished in one place,
 * nx_http_call_finish, which is reached from the completion messages or, when canceled, from the
 * work list. */
#include "common/net/http_client.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/net/http_client_internal.h"

#define MAX_CALLS 65536
#define DEFAULT_CONNECT_TIMEOUT_MS 2000
#define DEFAULT_MAX_BODY_BYTES ((size_t)64 << 20)
#define READ_BUFFER_BYTES (64L << 10)
#define NAME_BYTES 600

enum nx_err nx_http_client_new(struct nx_worker *worker, struct nx_log *log,
                               struct nx_http_client **out)
{
    struct nx_http_client *client = nx_calloc(1, sizeof(*client));
    if (!client) {
        return NX_ERR_NOMEM;
    }
    client->worker = worker;
    client->log = log;
    TAILQ_INIT(&client->calls);
    TAILQ_INIT(&client->work);
    enum nx_err err = nx_http_multi_init(client);
    if (err != NX_OK) {
        nx_free(client);
        return err;
    }
    *out = client;
    return NX_OK;
}

static void queue_work(struct nx_http_call *call)
{
    if (!call->queued) {
        call->queued = true;
        TAILQ_INSERT_TAIL(&call->client->work, call, in_work);
    }
    nx_http_multi_kick(call->client);
}

void nx_http_client_close(struct nx_http_client *client, void (*closed)(void *user), void *user)
{
    assert(nx_worker_is_current(client->worker) && !client->closing);
    client->closing = true;
    client->closed = closed;
    client->closed_user = user;
    struct nx_http_call *call;
    TAILQ_FOREACH(call, &client->calls, in_calls)
    {
        nx_http_call_cancel(call);
    }
    nx_http_multi_kick(client);
}

/* --- ending ---------------------------------------------------------------------------------- */

static enum nx_err err_of(CURLcode code)
{
    switch ((int)code) {
    case CURLE_OK:
        return NX_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return NX_ERR_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return NX_ERR_NOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return NX_ERR_INVALID;
    case CURLE_WEIRD_SERVER_REPLY:
        return NX_ERR_CORRUPT;
    default:
        return NX_ERR_UNAVAILABLE;
    }
}

static void release_easy(struct nx_http_client *client, CURL *easy)
{
    if (client->closing || client->idle_count == NX_HTTP_IDLE_EASIES) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    client->idle[client->idle_count++] = easy;
}

static void free_call(struct nx_http_call *call)
{
    if (call->easy) {
        release_easy(call->client, call->easy);
    }
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->connect_to);
    nx_buf_release(&call->request);
    nx_buf_release(&call->body);
    nx_free(call);
}

static void leave_curl(struct nx_http_call *call)
{
    if (call->added) {
        call->added = false;
        call->client->in_curl++;
        curl_multi_remove_handle(call->client->multi, call->easy);
        call->client->in_curl--;
    }
}

void nx_http_call_finish(struct nx_http_call *call, CURLcode code)
{
    struct nx_http_client *client = call->client;
    leave_curl(call);
    if (call->queued) {
        TAILQ_REMOVE(&client->work, call, in_work);
        call->queued = false;
    }
    TAILQ_REMOVE(&client->calls, call, in_calls);
    client->call_count--;

    struct nx_http_response response = {.call = call};
    response.err = call->canceled    ? NX_ERR_CANCELED
                   : call->abort_err ? call->abort_err
                                     : err_of(code);
    if (response.err == NX_OK) {
        long status = 0;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        response.status = (int)status;
        response.body = nx_buf_view(&call->body);
    } else if (call->canceled || call->abort_err) {
        response.error = nx_err_text(response.err);
    } else {
        response.error = call->error[0] ? call->error : curl_easy_strerror(code);
    }
    call->options.done(call->options.user, &response);
    free_call(call);
    if (client->closing) {
        nx_http_multi_kick(client);
    }
}

/* --- curl's callbacks ------------------------------------------------------------------------ */

static size_t break_off(struct nx_http_call *call, enum nx_err err)
{
    call->abort_err = err;
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct nx_http_call *call = user;
    size_t len = size * count;
    if (call->canceled) {
        return 0;
    }
    if (call->status == 0) {
        long status = 0;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        call->status = (int)status;
    }
    if (!call->options.on_data || call->status / 100 != 2) {
        nx_buf_append(&call->body, bytes, len);
        enum nx_err err = nx_buf_err(&call->body);
        return err == NX_OK ? len : break_off(call, err);
    }
    if (call->paused) {
        call->stalled = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    enum nx_err err = call->options.on_data(call->options.user, nx_view_make(bytes, len));
    return err == NX_OK ? len : break_off(call, err);
}

/* --- sending --------------------------------------------------------------------------------- */

static CURLcode add_header(struct nx_http_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    if (!longer) {
        return CURLE_OUT_OF_MEMORY;
    }
    call->headers = longer;
    return CURLE_OK;
}

static bool is_content_type(const char *header)
{
    struct nx_view name = NX_VIEW("Content-Type:");
    return strlen(header) > name.len && nx_view_eq_nocase(nx_view_make(header, name.len), name);
}

static CURLcode set_headers(struct nx_http_call *call, bool has_body)
{
    CURLcode code = add_header(call, "Expect:");
    bool typed = false;
    for (const char *const *h = call->options.headers; h && *h && !code; h++) {
        typed |= is_content_type(*h);
        code = add_header(call, *h);
    }
    if (has_body && !typed && !code) {
        code = add_header(call, "Content-Type:");
    }
    return code ? code : curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static CURLcode set_method(struct nx_http_call *call)
{
    const char *method = call->options.method;
    struct nx_view body =
        call->options.body ? nx_buf_view(&call->request) : call->options.shared_body;
    bool has_body = call->options.body || body.ptr || strcmp(method, "POST") == 0;
    CURL *easy = call->easy;
    CURLcode code = CURLE_OK;
    if (has_body) {
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        code =
            code ? code : curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.len > 0 ? body.ptr : "");
    } else if (strcmp(method, "HEAD") == 0) {
        code = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (!code && strcmp(method, has_body ? "POST" : "GET") != 0 && strcmp(method, "HEAD") != 0) {
        code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    }
    return code ? code : set_headers(call, has_body);
}

static long clamp_ms(uint64_t ms)
{
    return ms > LONG_MAX ? LONG_MAX : (long)ms;
}

static CURLcode set_limits(struct nx_http_call *call)
{
    CURL *easy = call->easy;
    uint64_t connect_ms = call->options.connect_timeout_ms;
    connect_ms = connect_ms ? connect_ms : DEFAULT_CONNECT_TIMEOUT_MS;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, clamp_ms(call->options.timeout_ms));
    code = code ? code : curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, clamp_ms(connect_ms));
    code = code ? code : curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    code = code ? code : curl_easy_setopt(easy, CURLOPT_PROXY, "");
    code = code ? code : curl_easy_setopt(easy, CURLOPT_USERAGENT, "narthex/" NARTHEX_VERSION);
    return code ? code : curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_BUFFER_BYTES);
}

/* The server's name in TLS and the address that is connected to are two things to curl: the name
 * stands in the URL and CONNECT_TO leads to the address, so that a call with a name of its own
 * carries the Host header of the URL it was given. */
static CURLcode set_server_name(struct nx_http_call *call, const char *name)
{
    CURLU *url = curl_url();
    char *host = NULL, *port = NULL, *renamed = NULL;
    char to[NAME_BYTES], host_line[NAME_BYTES];
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (!url || curl_url_set(url, CURLUPART_URL, call->options.url, 0) ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
        curl_url_set(url, CURLUPART_HOST, name, 0) || curl_url_get(url, CURLUPART_URL, &renamed, 0))
        goto done;
    (void)snprintf(to, sizeof to, "::%s:%s", host, port);
    (void)snprintf(host_line, sizeof host_line, "Host: %s:%s", host, port);
    call->connect_to = curl_slist_append(NULL, to);
    if (!call->connect_to)
        goto done;
    code = add_header(call, host_line);
    code = code ? code : curl_easy_setopt(call->easy, CURLOPT_URL, renamed);
    code = code ? code : curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
done:
    curl_free(host);
    curl_free(port);
    curl_free(renamed);
    curl_url_cleanup(url);
    return code;
}

static CURLcode set_tls(struct nx_http_call *call)
{
    const struct nx_http_tls *tls = call->options.tls;
    CURL *easy = call->easy;
    CURLcode code = CURLE_OK;
    if (!tls)
        return code;
    if (tls->ca_file)
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file);
    if (!code && tls->cert_file)
        code = curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->cert_file);
    if (!code && tls->key_file)
        code = curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->key_file);
    if (!code && tls->insecure) {
        code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return code || !tls->server_name ? code : set_server_name(call, tls->server_name);
}

static CURLcode set_extras(struct nx_http_call *call)
{
    CURL *easy = call->easy;
    CURLcode code = CURLE_OK;
    if (call->options.user_password) {
        code = curl_easy_setopt(easy, CURLOPT_USERPWD, call->options.user_password);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    }
    if (!code && call->options.compressed)
        code = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    if (!code && call->options.follow_redirects) {
        code = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    }
    return code ? code : set_tls(call);
}

static CURLcode set_up(struct nx_http_call *call)
{
    CURL *easy = call->easy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, call->options.url);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    code = code ? code : nx_http_multi_prepare(call->client, easy);
    code = code ? code : set_limits(call);
    code = code ? code : set_extras(call);
    return code ? code : set_method(call);
}

static enum nx_err enter_curl(struct nx_http_call *call)
{
    struct nx_http_client *client = call->client;
    client->in_curl++;
    CURLMcode code = curl_multi_add_handle(client->multi, call->easy);
    client->in_curl--;
    call->added = code == CURLM_OK;
    return code == CURLM_OK ? NX_OK : NX_ERR_NOMEM;
}

static enum nx_err prepare(struct nx_http_call *call)
{
    struct nx_http_client *client = call->client;
    call->easy = client->idle_count > 0 ? client->idle[--client->idle_count] : curl_easy_init();
    if (!call->easy) {
        return NX_ERR_NOMEM;
    }
    CURLcode code = set_up(call);
    if (code != CURLE_OK) {
        return code == CURLE_OUT_OF_MEMORY ? NX_ERR_NOMEM : NX_ERR_INVALID;
    }
    return client->in_curl > 0 ? NX_OK : enter_curl(call);
}

static struct nx_http_call *new_call(struct nx_http_client *client,
                                     const struct nx_http_call_options *options)
{
    struct nx_http_call *call = nx_calloc(1, sizeof(*call));
    if (!call) {
        return NULL;
    }
    size_t max_body = options->max_body_bytes ? options->max_body_bytes : DEFAULT_MAX_BODY_BYTES;
    call->client = client;
    call->options = *options;
    nx_buf_init(&call->body, max_body);
    nx_buf_init(&call->request, SIZE_MAX);
    if (options->body) {
        call->request = *options->body;
        nx_buf_init(options->body, options->body->max);
    }
    return call;
}

enum nx_err nx_http_client_send(struct nx_http_client *client,
                                const struct nx_http_call_options *options,
                                struct nx_http_call **out)
{
    assert(nx_worker_is_current(client->worker));
    assert(options->method && options->url && options->done);
    enum nx_err err = client->closing                   ? NX_ERR_CLOSED
                      : client->call_count >= MAX_CALLS ? NX_ERR_OVERLOADED
                                                        : NX_OK;
    struct nx_http_call *call = err == NX_OK ? new_call(client, options) : NULL;
    if (!call) {
        if (options->body) {
            nx_buf_release(options->body);
        }
        return err == NX_OK ? NX_ERR_NOMEM : err;
    }
    err = prepare(call);
    if (err != NX_OK) {
        free_call(call);
        return err;
    }
    TAILQ_INSERT_TAIL(&client->calls, call, in_calls);
    client->call_count++;
    if (!call->added) {
        queue_work(call);
    }
    if (out) {
        *out = call;
    }
    return NX_OK;
}

/* --- control --------------------------------------------------------------------------------- */

void nx_http_call_cancel(struct nx_http_call *call)
{
    assert(nx_worker_is_current(call->client->worker));
    if (!call->canceled) {
        call->canceled = true;
        queue_work(call);
    }
}

void nx_http_call_pause(struct nx_http_call *call, bool paused)
{
    assert(nx_worker_is_current(call->client->worker));
    call->paused = paused;
    if (!paused && call->stalled) {
        queue_work(call);
    }
}

const char *nx_http_call_header(struct nx_http_call *call, const char *name)
{
    struct curl_header *header = NULL;
    if (curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
        return NULL;
    }
    return header->value;
}

/* Hands the piece that was held back to on_body, from inside curl_easy_pause. */
static void resume(struct nx_http_call *call)
{
    call->stalled = false;
    call->client->in_curl++;
    CURLcode code = curl_easy_pause(call->easy, CURLPAUSE_CONT);
    call->client->in_curl--;
    if (code != CURLE_OK) {
        nx_http_call_finish(call, code);
    }
}

static void work_on(struct nx_http_call *call)
{
    if (call->canceled) {
        nx_http_call_finish(call, CURLE_OK);
        return;
    }
    if (!call->added && enter_curl(call) != NX_OK) {
        nx_http_call_finish(call, CURLE_OUT_OF_MEMORY);
        return;
    }
    if (call->stalled && !call->paused) {
        resume(call);
    }
}

void nx_http_client_work(struct nx_http_client *client)
{
    /* What is queued meanwhile waits for the next round. */
    struct nx_http_calls now = TAILQ_HEAD_INITIALIZER(now);
    TAILQ_CONCAT(&now, &client->work, in_work);
    struct nx_http_call *call;
    while ((call = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, call, in_work);
        call->queued = false;
        work_on(call);
    }
}
