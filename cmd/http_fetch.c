#include "cmd/http_fetch.h"

#include <curl/curl.h>
#include <stdio.h>

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct nx_buf *buf = user;
    nx_buf_append(buf, bytes, size * count);
    return nx_buf_err(buf) ? 0 : size * count;
}

static void set_options(CURL *curl, const struct cmd_http_request *request, const char *url,
                        struct nx_buf *body, char *reason)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    if (request->form)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->form);
}

static long perform(CURL *curl, const struct cmd_http_request *request, const char *url,
                    struct nx_buf *body)
{
    char reason[CURL_ERROR_SIZE] = "", tenant[1024];
    struct curl_slist *headers = NULL;
    long status = -1;
    set_options(curl, request, url, body, reason);
    if (request->tenant) {
        (void)snprintf(tenant, sizeof tenant, "X-Scope-OrgID: %s", request->tenant);
        headers = curl_slist_append(NULL, tenant);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    }
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    else if (nx_buf_err(body))
        (void)fprintf(stderr, "%s: %s: the answer is %s\n", request->program, request->address,
                      nx_err_text(nx_buf_err(body)));
    else
        (void)fprintf(stderr, "%s: %s: %s\n", request->program, request->address,
                      *reason ? reason : curl_easy_strerror(code));
    curl_slist_free_all(headers);
    return status;
}

long cmd_http_fetch(const struct cmd_http_request *request, struct nx_buf *body)
{
    char url[512];
    if (snprintf(url, sizeof url, "http://%s%s", request->address, request->path) >=
        (int)sizeof url) {
        (void)fprintf(stderr, "%s: the address is too long\n", request->program);
        return -1;
    }
    CURL *curl = curl_easy_init();
    if (!curl) {
        (void)fprintf(stderr, "%s: %s\n", request->program, nx_err_text(NX_ERR_NOMEM));
        return -1;
    }
    long status = perform(curl, request, url, body);
    curl_easy_cleanup(curl);
    if (status < 0)
        return -1;
    nx_buf_append_char(body, '\0');
    if (nx_buf_err(body)) {
        (void)fprintf(stderr, "%s: %s\n", request->program, nx_err_text(nx_buf_err(body)));
        return -1;
    }
    body->len--;
    return status;
}

void cmd_form_put(struct nx_buf *form, const char *name, struct nx_view value)
{
    if (form->len > 0)
        nx_buf_append_char(form, '&');
    nx_buf_append_str(form, name);
    nx_buf_append_char(form, '=');
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.';
        if (plain)
            nx_buf_append_char(form, (char)c);
        else
            nx_buf_printf(form, "%%%02X", c);
    }
}
