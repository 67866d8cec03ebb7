/* HTTP client: libcurl's multi interface on a worker's loop. One client a worker; connections are
 * kept alive and reused. HTTP/1.1 only, no proxy, redirects where asked; http:// and https://.
 * Everything on the worker's thread. */
#ifndef NX_NET_HTTP_CLIENT_H
#define NX_NET_HTTP_CLIENT_H

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/net/worker.h"

struct nx_http_client;
struct nx_http_call;

struct nx_http_response {
    enum nx_err err; /* NX_OK when an HTTP answer came, whatever its status */
    int status;
    struct nx_view body;       /* empty where on_data took it; valid during the callback */
    const char *error;         /* curl's text where err is not NX_OK */
    struct nx_http_call *call; /* for nx_http_call_header */
};

/* What https asks of the peer and shows of itself; files in PEM. */
struct nx_http_tls {
    const char *ca_file;     /* NULL: the system's authorities */
    const char *cert_file;   /* NULL: none */
    const char *key_file;    /* of cert_file */
    const char *server_name; /* for SNI and the check of the certificate; NULL: the URL's host */
    bool insecure;           /* the certificate is not checked */
};

struct nx_http_call_options {
    const char *method; /* "GET", "POST", ... */
    const char *url;
    const char *const *headers;    /* "Name: value", NULL-terminated; copied */
    struct nx_buf *body;           /* its memory is taken over, also when send fails; NULL: none */
    struct nx_view shared_body;    /* instead of body: must live until done */
    uint64_t timeout_ms;           /* of the whole call, pauses included; 0: none */
    uint64_t connect_timeout_ms;   /* 0: 2 s */
    size_t max_body_bytes;         /* of the answer, decompressed; 0: 64 MiB */
    const char *user_password;     /* "user:password" for basic authentication; NULL: none */
    const struct nx_http_tls *tls; /* NULL: the defaults */
    bool compressed;               /* asks for gzip, and unpacks it */
    bool follow_redirects;         /* up to ten, with credentials for the first host only */
    /* Optional: pieces of a 2xx answer as they come; an error cancels with that code. */
    enum nx_err (*on_data)(void *user, struct nx_view piece);
    /* Exactly once, never from inside nx_http_client_send. */
    void (*done)(void *user, const struct nx_http_response *response);
    void *user;
};

enum nx_err nx_http_client_new(struct nx_worker *worker, struct nx_log *log,
                               struct nx_http_client **out) NX_WARN_UNUSED;
/* Cancels what is in flight (each `done` with NX_ERR_CANCELED), closes the handles, then calls
 * `closed`, after which the client is gone. */
void nx_http_client_close(struct nx_http_client *client, void (*closed)(void *user), void *user);
/* `out` (may be NULL) is valid until done. NX_ERR_CLOSED after close began, NX_ERR_OVERLOADED
 * beyond 65,536 calls, NX_ERR_INVALID for a URL that is none. May be called from on_data and done.
 */
enum nx_err nx_http_client_send(struct nx_http_client *client,
                                const struct nx_http_call_options *options,
                                struct nx_http_call **out) NX_WARN_UNUSED;
/* `done` follows with NX_ERR_CANCELED, later in the loop, and on_data is not called again. */
void nx_http_call_cancel(struct nx_http_call *call);
/* Stops and resumes on_data (flow control). */
void nx_http_call_pause(struct nx_http_call *call, bool paused);
/* A header of the answer (names are case-insensitive), or NULL; from within on_data and done, and
 * valid as long. */
const char *nx_http_call_header(struct nx_http_call *call, const char *name);

#endif
