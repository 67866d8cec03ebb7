/* Secrets in files are read anew for each request, so that they can be rotated. The files are small
 * and in the page cache, so this is done on the loop. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "distributor/scrape/scrape_internal.h"

enum { SECRET_BYTES = 65536, HEADER_BYTES = SECRET_BYTES + 256 };

/* Appends the text or the trimmed content of the file. */
static enum nx_err put_secret(struct nx_buf *out, const char *text, const char *file,
                              struct nx_fail *fail)
{
    char *bytes = NULL;
    size_t len = 0;
    if (!file) {
        nx_buf_append_str(out, text ? text : "");
        return nx_buf_err(out);
    }
    enum nx_err err = nx_file_read_all(file, SECRET_BYTES, &bytes, &len);
    if (err)
        return nx_fail_set(fail, NX_ERR_CONFIG, "unable to read file %.300s: %s", file,
                           nx_err_text(err));
    nx_buf_append_view(out, nx_view_trim(nx_view_make(bytes, len)));
    nx_free(bytes);
    return nx_buf_err(out);
}

static enum nx_err put_user(struct nx_buf *out, const struct scrape_http *http,
                            struct nx_fail *fail)
{
    enum nx_err err = put_secret(out, http->username, http->username_file, fail);
    nx_buf_append_char(out, ':');
    if (!err)
        err = put_secret(out, http->password, http->password_file, fail);
    nx_buf_append_char(out, '\0');
    return err ? err : nx_buf_err(out);
}

static enum nx_err put_authorization(struct nx_buf *out, const struct scrape_http *http,
                                     struct nx_fail *fail)
{
    nx_buf_printf(out, "Authorization: %s ", http->auth_type);
    enum nx_err err = put_secret(out, http->credentials, http->credentials_file, fail);
    nx_buf_append_char(out, '\0');
    return err ? err : nx_buf_err(out);
}

enum nx_err scrape_call_send(struct nx_http_client *client, const struct scrape_call *call,
                             struct nx_http_call **out, struct nx_fail *fail)
{
    const struct scrape_http *http = call->http;
    struct nx_http_tls tls = {.ca_file = http->ca_file,
                              .cert_file = http->cert_file,
                              .key_file = http->key_file,
                              .server_name = http->server_name,
                              .insecure = http->insecure_skip_verify};
    const char *headers[4] = {NULL};
    size_t count = 0;
    char accept[1100], timeout[80];
    struct nx_buf secret;
    enum nx_err err = NX_OK;
    nx_buf_init(&secret, HEADER_BYTES);
    (void)snprintf(accept, sizeof accept, "Accept: %s", call->accept);
    headers[count++] = accept;
    (void)snprintf(timeout, sizeof timeout, "X-Prometheus-Scrape-Timeout-Seconds: %.15g",
                   (double)call->timeout_ms / 1000);
    if (call->tell_timeout)
        headers[count++] = timeout;
    bool basic = http->username || http->username_file;
    if (basic) {
        err = put_user(&secret, http, fail);
    } else if (http->credentials || http->credentials_file) {
        err = put_authorization(&secret, http, fail);
        headers[count++] = secret.data;
    }
    if (!err) {
        struct nx_http_call_options options = {
            .method = "GET",
            .url = call->url,
            .headers = headers,
            .timeout_ms = (uint64_t)call->timeout_ms,
            .connect_timeout_ms = (uint64_t)call->timeout_ms,
            .max_body_bytes = call->max_body_bytes,
            .user_password = basic ? secret.data : NULL,
            .tls = &tls,
            .compressed = true,
            .follow_redirects = http->follow_redirects,
            .done = call->done,
            .user = call->user,
        };
        err = nx_http_client_send(client, &options, out);
    }
    nx_buf_release(&secret);
    return err;
}
