#include "common/ring/etcd_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"

#define ANSWER_MAX_BYTES ((size_t)16 << 20)
#define CALL_TIMEOUT_MS 5000L
#define CONNECT_TIMEOUT_MS 2000L
#define MAX_ENDPOINTS 16

struct nx_etcd {
    CURL *curl;
    struct curl_slist *headers;
    const struct nx_etcd_access *access;
    bool has_token; /* among the headers */
    const atomic_bool *stop;
    char *text; /* the endpoints, cut at their commas */
    const char *endpoints[MAX_ENDPOINTS];
    size_t count;
    size_t current;
};

/* What comes back. */
struct reply {
    struct nx_buf body;
    bool watch; /* a stream, which the first event ends */
    bool event;
};

/* --- base64 ---------------------------------------------------------------------------------- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

json_t *nx_etcd_text(const char *text)
{
    size_t len = strlen(text);
    char *out = nx_alloc((len + 2) / 3 * 4 + 1);
    if (!out) {
        return NULL;
    }
    size_t at = 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (i + k < len ? (uint8_t)text[i + k] : 0u);
        }
        for (size_t k = 0; k < 4; k++) {
            bool pad = i + k > len;
            out[at++] = pad ? '=' : alphabet[bits >> (18 - 6 * k) & 63];
        }
    }
    out[at] = '\0';
    json_t *json = json_string(out);
    nx_free(out);
    return json;
}

char *nx_etcd_read(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = text ? strlen(text) : 0;
    char *out = text && len % 4 == 0 ? nx_alloc(len / 4 * 3 + 1) : NULL;
    size_t at = 0;
    uint32_t bits = 0;
    for (size_t i = 0; out && i < len; i++) {
        const char *found = memchr(alphabet, text[i], sizeof(alphabet) - 1);
        bool pad = text[i] == '=' && i + 2 >= len;
        if (!found && !pad) {
            nx_free(out);
            return NULL;
        }
        bits = bits << 6 | (found ? (uint32_t)(found - alphabet) : 0u);
        if (i % 4 == 3) {
            for (int shift = 16; shift >= 0; shift -= 8) {
                out[at++] = (char)(bits >> shift & 0xFF);
            }
        }
    }
    if (out) {
        at -= len > 0 && text[len - 1] == '=' ? 1 : 0;
        at -= len > 1 && text[len - 2] == '=' ? 1 : 0;
        out[at] = '\0';
    }
    return out;
}

int64_t nx_etcd_number(const json_t *value)
{
    const char *text = json_string_value(value);
    return text ? strtoll(text, NULL, 10) : (int64_t)json_integer_value(value);
}

/* --- life ------------------------------------------------------------------------------------ */

static enum nx_err split(struct nx_etcd *etcd, struct nx_fail *fail)
{
    char *rest = etcd->text;
    for (char *one = strsep(&rest, ","); one; one = strsep(&rest, ",")) {
        size_t len = strlen(one);
        bool http = strncmp(one, "http://", 7) == 0 || strncmp(one, "https://", 8) == 0;
        while (len > 0 && one[len - 1] == '/') {
            one[--len] = '\0';
        }
        if (!http || etcd->count == MAX_ENDPOINTS) {
            return nx_fail_set(fail, NX_ERR_CONFIG,
                               "ring.etcd-endpoints: \"%.100s\": expected http://host:port,... and "
                               "at most %d of them",
                               one, MAX_ENDPOINTS);
        }
        etcd->endpoints[etcd->count++] = one;
    }
    return NX_OK;
}

static bool is_set(const char *text)
{
    return text && *text;
}

enum nx_err nx_etcd_new(const struct nx_etcd_access *access, const atomic_bool *stop,
                        struct nx_etcd **out, struct nx_fail *fail)
{
    struct nx_etcd *etcd = nx_calloc(1, sizeof(*etcd));
    enum nx_err err = NX_ERR_NOMEM;
    if (!etcd) {
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    }
    etcd->stop = stop;
    etcd->access = access;
    etcd->text = nx_strdup(is_set(access->endpoints) ? access->endpoints : "");
    etcd->curl = curl_easy_init();
    etcd->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!etcd->text || !etcd->curl || !etcd->headers) {
        nx_fail_set(fail, err, "%s", nx_err_text(err));
    } else {
        err = split(etcd, fail);
    }
    if (err != NX_OK) {
        nx_etcd_free(etcd);
        return err;
    }
    *out = etcd;
    return NX_OK;
}

void nx_etcd_free(struct nx_etcd *etcd)
{
    if (!etcd) {
        return;
    }
    curl_slist_free_all(etcd->headers);
    curl_easy_cleanup(etcd->curl);
    nx_free(etcd->text);
    nx_free(etcd);
}

/* --- calls ----------------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct reply *reply = user;
    nx_buf_append_view(&reply->body, nx_view_make(bytes, size * count));
    if (nx_buf_err(&reply->body) != NX_OK) {
        return 0;
    }
    /* The first frame of a watch says that it was created; what follows are events, or its end. */
    bool more = reply->watch && memchr(reply->body.data, '\n', reply->body.len) &&
                reply->body.data[reply->body.len - 1] == '\n' &&
                (memmem(reply->body.data, reply->body.len, "\"events\"", 8) ||
                 memmem(reply->body.data, reply->body.len, "\"canceled\"", 10));
    reply->event = reply->event || more;
    return more ? 0 : size * count;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct nx_etcd *etcd = user;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return etcd->stop && atomic_load(etcd->stop) ? 1 : 0;
}

static void use_tls(struct nx_etcd *etcd)
{
    const struct nx_etcd_access *access = etcd->access;
    if (is_set(access->ca_file)) {
        curl_easy_setopt(etcd->curl, CURLOPT_CAINFO, access->ca_file);
    }
    if (is_set(access->cert_file)) {
        curl_easy_setopt(etcd->curl, CURLOPT_SSLCERT, access->cert_file);
        curl_easy_setopt(etcd->curl, CURLOPT_SSLKEY, access->key_file);
    }
}

static CURLcode post(struct nx_etcd *etcd, const char *path, const char *body, long timeout_ms,
                     struct reply *reply, long *status)
{
    char url[512];
    (void)snprintf(url, sizeof(url), "%s%s", etcd->endpoints[etcd->current], path);
    curl_easy_reset(etcd->curl);
    nx_buf_init(&reply->body, ANSWER_MAX_BYTES);
    curl_easy_setopt(etcd->curl, CURLOPT_URL, url);
    curl_easy_setopt(etcd->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(etcd->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(etcd->curl, CURLOPT_HTTPHEADER, etcd->headers);
    curl_easy_setopt(etcd->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(etcd->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(etcd->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(etcd->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(etcd->curl, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(etcd->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(etcd->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(etcd->curl, CURLOPT_XFERINFODATA, etcd);
    use_tls(etcd);
    CURLcode code = curl_easy_perform(etcd->curl);
    *status = 0;
    curl_easy_getinfo(etcd->curl, CURLINFO_RESPONSE_CODE, status);
    return code;
}

/* The answer of one endpoint. *status: its HTTP status, 0 where none came. */
static enum nx_err ask_once(struct nx_etcd *etcd, const char *path, const char *body,
                            json_t **answer, long *http_status, struct nx_fail *fail)
{
    struct reply reply = {.watch = false};
    long status = 0;
    CURLcode code = post(etcd, path, body, CALL_TIMEOUT_MS, &reply, &status);
    *http_status = status;
    const char *endpoint = etcd->endpoints[etcd->current];
    enum nx_err err = NX_OK;
    json_t *json = NULL;
    if (code != CURLE_OK) {
        bool by_settings = code == CURLE_PEER_FAILED_VERIFICATION ||
                           code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM;
        err = nx_fail_set(fail, by_settings ? NX_ERR_CONFIG : NX_ERR_UNAVAILABLE, "etcd %.100s: %s",
                          endpoint, curl_easy_strerror(code));
    } else if (status != 200) {
        err = nx_fail_set(fail, NX_ERR_UNAVAILABLE, "etcd %.100s answered %ld: %.*s", endpoint,
                          status, (int)(reply.body.len > 200 ? 200 : reply.body.len),
                          reply.body.len ? reply.body.data : "");
    } else {
        json = json_loadb(reply.body.len ? reply.body.data : "", reply.body.len, 0, NULL);
        err = json ? NX_OK
                   : nx_fail_set(fail, NX_ERR_UNAVAILABLE, "etcd %.100s: the answer is no JSON",
                                 endpoint);
    }
    nx_buf_release(&reply.body);
    *answer = json;
    return err;
}

/* --- the token ------------------------------------------------------------------------------- */

/* NULL takes it away. */
static enum nx_err set_token(struct nx_etcd *etcd, const char *token)
{
    char header[1024];
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (headers && token) {
        int len = snprintf(header, sizeof(header), "Authorization: %s", token);
        struct curl_slist *more =
            len > 0 && (size_t)len < sizeof(header) ? curl_slist_append(headers, header) : NULL;
        if (!more) {
            curl_slist_free_all(headers);
        }
        headers = more;
    }
    if (!headers) {
        return NX_ERR_NOMEM;
    }
    curl_slist_free_all(etcd->headers);
    etcd->headers = headers;
    etcd->has_token = token != NULL;
    return NX_OK;
}

static enum nx_err authenticate(struct nx_etcd *etcd, struct nx_fail *fail)
{
    const struct nx_etcd_access *access = etcd->access;
    json_t *request = json_pack("{s:s,s:s}", "name", access->user, "password",
                                access->password ? access->password : "");
    char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_t *answer = NULL;
    long status = 0;
    json_decref(request);
    if (!body) {
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    }
    enum nx_err err = set_token(etcd, NULL);
    if (err == NX_OK) {
        err = ask_once(etcd, "/v3/auth/authenticate", body, &answer, &status, fail);
    }
    free(body);
    if (err != NX_OK) {
        /* refused: asking again does not help */
        return status >= 400 && status < 500 ? NX_ERR_CONFIG : err;
    }
    const char *token = json_string_value(json_object_get(answer, "token"));
    err = token ? set_token(etcd, token) : NX_ERR_UNAVAILABLE;
    json_decref(answer);
    return err == NX_OK ? NX_OK : nx_fail_set(fail, err, "etcd gave no token");
}

/* With a token where a user is set, and with another one where etcd takes it no longer. */
static enum nx_err ask(struct nx_etcd *etcd, const char *path, const char *body, json_t **answer,
                       struct nx_fail *fail)
{
    bool wants_token = is_set(etcd->access->user);
    enum nx_err err = wants_token && !etcd->has_token ? authenticate(etcd, fail) : NX_OK;
    long status = 0;
    if (err == NX_OK) {
        err = ask_once(etcd, path, body, answer, &status, fail);
    }
    if (err != NX_OK && wants_token && status == 401) {
        err = authenticate(etcd, fail);
        err = err == NX_OK ? ask_once(etcd, path, body, answer, &status, fail) : err;
    }
    return err;
}

enum nx_err nx_etcd_call(struct nx_etcd *etcd, const char *path, json_t *request, json_t **answer,
                         struct nx_fail *fail)
{
    char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    enum nx_err err = NX_ERR_NOMEM;
    if (!body) {
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    }
    for (size_t i = 0; i < etcd->count; i++) {
        err = ask(etcd, path, body, answer, fail);
        if (err == NX_OK || (etcd->stop && atomic_load(etcd->stop))) {
            break;
        }
        etcd->current = (etcd->current + 1) % etcd->count;
    }
    free(body);
    return err;
}

bool nx_etcd_watch(struct nx_etcd *etcd, const char *key, const char *range_end, int64_t revision,
                   uint64_t wait_ms, enum nx_err *err)
{
    int64_t next = revision + 1;
    json_t *request =
        json_pack("{s:{s:o,s:o,s:I}}", "create_request", "key", nx_etcd_text(key), "range_end",
                  nx_etcd_text(range_end), "start_revision", (json_int_t)next);
    char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    *err = NX_ERR_NOMEM;
    if (!body) {
        return false;
    }
    struct reply reply = {.watch = true};
    long status = 0;
    CURLcode code = post(etcd, "/v3/watch", body, (long)wait_ms, &reply, &status);
    nx_buf_release(&reply.body);
    free(body);
    *err = reply.event || code == CURLE_OPERATION_TIMEDOUT ? NX_OK : NX_ERR_UNAVAILABLE;
    if (*err != NX_OK) {
        etcd->current = (etcd->current + 1) % etcd->count;
    }
    return reply.event;
}
