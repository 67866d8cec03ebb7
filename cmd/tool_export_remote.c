/* What a querier streams as an answer to remote read: the replicas of its cluster, merged. */
#include <curl/curl.h>
#include <snappy-c.h>
#include <stdio.h>

#include "cmd/chunked_read.h"
#include "common/base/alloc.h"
#include "proto/remote.pb-c.h"

#define REQUEST_BYTES_MAX ((size_t)32 << 20)
#define ERROR_BYTES_MAX 2000

struct remote_source {
    struct cmd_export_source base;
    struct cmd_export_options options;
    const char *address;
};

static enum nx_err remote_range(struct cmd_export_source *base, struct cmd_export_range *out,
                                struct nx_fail *fail)
{
    (void)base;
    (void)out;
    return nx_fail_set(
        fail, NX_ERR_NOT_FOUND,
        "say from when on: --start (a cluster does not tell how far it reaches back)");
}

/* --- the request --- */

static enum nx_err put_request(const struct remote_source *source, struct cmd_export_range range,
                               struct nx_buf *out)
{
    Prometheus__ReadRequest request = PROMETHEUS__READ_REQUEST__INIT;
    Prometheus__Query query = PROMETHEUS__QUERY__INIT;
    Prometheus__ReadRequest__ResponseType type =
        PROMETHEUS__READ_REQUEST__RESPONSE_TYPE__STREAMED_XOR_CHUNKS;
    size_t count = source->options.matcher_count;
    Prometheus__LabelMatcher *rows = nx_calloc(count, sizeof *rows);
    query.matchers = nx_calloc(count, sizeof(Prometheus__LabelMatcher *));
    enum nx_err err = rows && query.matchers ? NX_OK : NX_ERR_NOMEM;
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        const struct nx_matcher *matcher = &source->options.matchers[i];
        rows[i] = (Prometheus__LabelMatcher)PROMETHEUS__LABEL_MATCHER__INIT;
        rows[i].type = (Prometheus__LabelMatcher__Type)matcher->type;
        rows[i].name = (char *)(uintptr_t)matcher->name.ptr; /* in an arena: ends in NUL */
        rows[i].value = (char *)(uintptr_t)matcher->value.ptr;
        query.matchers[query.n_matchers++] = &rows[i];
    }
    query.start_timestamp_ms = range.min_t;
    query.end_timestamp_ms = range.max_t;
    request.n_queries = 1;
    request.queries = (Prometheus__Query *[]){&query};
    request.n_accepted_response_types = 1;
    request.accepted_response_types = &type;
    if (err == NX_OK)
        err = nx_buf_reserve(out, prometheus__read_request__get_packed_size(&request));
    if (err == NX_OK)
        out->len += prometheus__read_request__pack(&request, (uint8_t *)out->data);
    nx_free(rows);
    nx_free(query.matchers);
    return err;
}

static enum nx_err compress(const struct nx_buf *plain, struct nx_buf *out)
{
    size_t len = snappy_max_compressed_length(plain->len);
    enum nx_err err = nx_buf_reserve(out, len);
    if (err != NX_OK)
        return err;
    if (snappy_compress(plain->data, plain->len, out->data, &len) != SNAPPY_OK)
        return NX_ERR_INTERNAL;
    out->len = len;
    return NX_OK;
}

/* --- the answer --- */

struct answer {
    CURL *curl;
    struct cmd_chunked_read *read;
    struct nx_buf text; /* of an error */
    enum nx_err err;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct answer *answer = user;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(answer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        size_t room = ERROR_BYTES_MAX - answer->text.len;
        nx_buf_append(&answer->text, bytes, len < room ? len : room);
        return len;
    }
    answer->err = cmd_chunked_read_feed(answer->read, nx_view_make(bytes, len));
    return answer->err == NX_OK ? len : 0;
}

static enum nx_err judge(const struct remote_source *source, struct answer *answer, CURLcode code,
                         const char *reason, struct nx_fail *fail)
{
    long status = 0;
    curl_easy_getinfo(answer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (answer->err != NX_OK)
        return nx_fail_set(fail, answer->err, "%s: %s", source->address, nx_err_text(answer->err));
    if (code != CURLE_OK)
        return nx_fail_set(fail, NX_ERR_UNAVAILABLE, "%s: %s", source->address,
                           *reason ? reason : curl_easy_strerror(code));
    struct nx_view text = nx_view_trim(nx_buf_view(&answer->text));
    if (status != 200)
        return nx_fail_set(fail, status == 422 ? NX_ERR_LIMIT : NX_ERR_UNAVAILABLE,
                           "%s answered %ld: %.*s", source->address, status, NX_VIEW_ARG(text));
    enum nx_err err = cmd_chunked_read_finish(answer->read);
    return err == NX_OK ? err : nx_fail_set(fail, err, "%s: %s", source->address, nx_err_text(err));
}

static enum nx_err perform(const struct remote_source *source, const struct nx_buf *body,
                           struct answer *answer, struct nx_fail *fail)
{
    char url[512], tenant[1024], reason[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    CURL *curl = answer->curl;
    (void)snprintf(url, sizeof url, "http://%s/api/v1/read", source->address);
    (void)snprintf(tenant, sizeof tenant, "X-Scope-OrgID: %s", source->options.tenant.ptr);
    headers = curl_slist_append(headers, "Content-Type: application/x-protobuf");
    headers = curl_slist_append(headers, "Content-Encoding: snappy");
    headers = curl_slist_append(headers, "X-Prometheus-Remote-Read-Version: 0.1.0");
    headers = curl_slist_append(headers, tenant);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body->len);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)source->options.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    CURLcode code = curl_easy_perform(curl);
    enum nx_err err = judge(source, answer, code, reason, fail);
    curl_slist_free_all(headers);
    return err;
}

static enum nx_err remote_read(struct cmd_export_source *base, struct cmd_export_range range,
                               cmd_export_take take, void *user, struct nx_fail *fail)
{
    struct remote_source *source = (struct remote_source *)base;
    struct nx_buf plain, body;
    struct answer answer = {.curl = curl_easy_init()};
    nx_buf_init(&plain, REQUEST_BYTES_MAX);
    nx_buf_init(&body, 2 * REQUEST_BYTES_MAX);
    nx_buf_init(&answer.text, ERROR_BYTES_MAX);
    enum nx_err err = answer.curl ? put_request(source, range, &plain) : NX_ERR_NOMEM;
    if (err == NX_OK)
        err = compress(&plain, &body);
    if (err == NX_OK)
        err = cmd_chunked_read_new(range, take, user, &answer.read);
    if (err != NX_OK)
        nx_fail_set(fail, err, "%s", nx_err_text(err));
    else
        err = perform(source, &body, &answer, fail);
    cmd_chunked_read_free(answer.read);
    curl_easy_cleanup(answer.curl);
    nx_buf_release(&answer.text);
    nx_buf_release(&body);
    nx_buf_release(&plain);
    return err;
}

static void remote_close(struct cmd_export_source *base)
{
    nx_free(base);
}

enum nx_err cmd_export_remote_open(const char *address, const struct cmd_export_options *options,
                                   struct cmd_export_source **out, struct nx_fail *fail)
{
    static const struct cmd_export_source_ops ops = {
        .range = remote_range, .read = remote_read, .close = remote_close};
    struct remote_source *source = nx_calloc(1, sizeof *source);
    if (!source)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    source->base.ops = &ops;
    source->options = *options;
    source->address = address;
    *out = &source->base;
    return NX_OK;
}
