/* An API request from its arrival to its answer.
 *
 * On the worker: the endpoint's `prepare` checks the parameters and says what to ask the ingesters;
 * the fan-out runs. On the lane: `evaluate` works on the answers, `render` writes the `data` of the
 * envelope, piece by piece while the client takes them. Between worker and lane an operation
 * changes hands through the lane's queue: at any time one thread has it, save the cancel flag.
 *
 * Any step may fail the operation (qry_job_fail), which then answers with Prometheus's error
 * envelope. */
#ifndef QRY_API_JOB_H
#define QRY_API_JOB_H

#include "common/net/http_params.h"
#include "querier/api/json.h"
#include "querier/promql/engine.h"
#include "querier/querier_internal.h"
#include "querier/select/fanout.h"
#include "querier/select/request.h"

/* X(name, text, HTTP status) */
#define QRY_API_ERROR_TABLE(X)         \
    X(BAD_DATA, "bad_data", 400)       \
    X(UNAUTHORIZED, "bad_data", 401)   \
    X(EXECUTION, "execution", 422)     \
    X(CANCELED, "canceled", 499)       \
    X(TIMEOUT, "timeout", 503)         \
    X(INTERNAL, "internal", 500)       \
    X(NOT_FOUND, "not_found", 404)     \
    X(UNAVAILABLE, "unavailable", 503) \
    X(DISABLED, "unavailable", 500)

enum qry_api_error {
#define X(name, text, http) QRY_API_##name,
    QRY_API_ERROR_TABLE(X)
#undef X
};

struct qry_endpoint {
    const char *path;  /* below /api/v1/, or from the root where it begins with a slash */
    const char *label; /* of the metrics */
    unsigned methods;
    /* answered on the worker, without fan-out and lane, from no tenant's data */
    bool immediate;
    /* Without the envelope: `render` writes the body itself into json->out, of op->content_type,
     * and a failure is a line of text. */
    bool raw;
    bool no_form;          /* the body of a POST is the endpoint's own */
    bool strict_form;      /* a malformed pair of a form is an error; else it is left out */
    bool uncompressed;     /* whatever the client accepts */
    size_t max_body_bytes; /* 0: that of a form */
    /* Instead of qry_job_handle, to which it may pass the request on; NULL: that. */
    void (*handle)(struct nx_http_request *req, void *route);
    bool (*prepare)(struct qry_job *op);
    bool (*evaluate)(struct qry_job *op);
    /* Writes on; true when `data` is complete. Returns after about QRY_PIECE_BYTES. */
    bool (*render)(struct qry_job *op, struct qry_json *json);
    void (*release)(struct qry_job *op);
};

#define QRY_PIECE_BYTES ((size_t)128 << 10)

struct qry_job {
    struct nx_job job;
    struct nx_task here; /* a piece to be written on the worker */
    struct querier *qry;
    struct qry_worker *home;
    struct qry_job *prev, *next;
    const struct qry_endpoint *endpoint;
    struct nx_http_request *req;
    struct nx_http_params params;
    struct nx_view tenant;
    struct nx_arena arena; /* for everything of this request; capped */
    void *state;           /* of the endpoint */

    struct qry_fanout_request *requests;
    size_t request_count, request_capacity;
    struct qry_fanout *fanout;
    bool partial;
    bool write; /* it changes something: wants a majority of the owners */
    atomic_bool cancel;
    bool counted; /* in qry->in_flight */

    uint64_t started_ns, deadline_ns, fetched_ns, running_ns;

    bool failed;
    enum qry_api_error error;
    char error_text[sizeof(struct nx_fail) + 256];

    struct nx_view *warnings; /* beside those of the evaluation, which come first */
    size_t warning_count, warning_capacity;
    const struct qry_result *annotated; /* may be NULL */

    bool no_content; /* 204 */
    const char *content_type;
    const char *content_encoding; /* of a success; NULL: the server's business */
    bool evaluated, begun, complete, streaming, waiting;
    struct qry_json json;
    struct nx_buf piece;
};

/* --- for the endpoints --- */
/* Always false, so that a step can end in `return qry_job_fail(...)`. */
bool qry_job_fail(struct qry_job *op, enum qry_api_error error, const char *format, ...)
    NX_PRINTF(3, 4);
/* The error that a failure of the program's own is for the client. */
bool qry_job_fail_err(struct qry_job *op, enum nx_err err, const struct nx_fail *fail);
/* `invalid parameter "name": cause`. */
bool qry_job_fail_param(struct qry_job *op, const char *name, const struct nx_fail *cause);
struct nx_view qry_job_param(const struct qry_job *op, const char *name);
/* Copies the bytes and releases the buffer; false (and failed) without memory. */
bool qry_job_ask(struct qry_job *op, const char *method, bool stream, struct nx_buf *body);
/* Copies it; once is enough. */
void qry_job_warn(struct qry_job *op, struct nx_view text);
bool qry_job_nomem(struct qry_job *op);

/* --- op.c --- */
/* The HTTP handler; `user` is a struct qry_route. */
struct qry_route {
    struct querier *qry;
    const struct qry_endpoint *endpoint;
    size_t metric_slot;
};
void qry_job_handle(struct nx_http_request *req, void *user);
/* On its worker: makes it end soon. */
void qry_job_cancel(struct qry_job *op);

/* --- respond.c --- */
void qry_respond_headers(struct querier *qry, struct nx_http_request *req);
const char *qry_api_error_text(enum qry_api_error error);
int qry_api_error_status(enum qry_api_error error);
void qry_envelope_begin(struct qry_job *op);
/* Warnings and infos, and the end. */
void qry_envelope_end(struct qry_job *op);
void qry_envelope_error(struct qry_job *op, struct nx_buf *out);

/* --- endpoints.c --- */
const struct qry_endpoint *qry_endpoint_at(size_t i); /* NULL past the last */
/* Names of the endpoints, for the metrics; NULL-terminated. */
const char *const *qry_endpoint_labels(void);
enum nx_err qry_add_routes(struct querier *qry) NX_WARN_UNUSED;

#endif
