/* Status codes of the whole program, and the carrier of a failure's explanation.
 *
 * A fallible function returns `enum nx_err`: NX_OK (0) or a negative code, and leaves its
 * out-parameters untouched on failure. Where the reader of the error needs more than the code
 * (which label, which byte, which key), the function also takes a `struct nx_fail *`, which it
 * fills on failure only. The HTTP status in the table is what a public endpoint answers for the
 * code unless it has a reason to answer something else. */
#ifndef NX_BASE_ERR_H
#define NX_BASE_ERR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NX_WARN_UNUSED __attribute__((warn_unused_result))
#define NX_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* X(name, value, text, HTTP status) */
#define NX_ERR_TABLE(X)                                               \
    X(OK, 0, "ok", 200)                                               \
    X(ERR_NOMEM, -1, "out of memory", 503)                            \
    X(ERR_INVALID, -2, "invalid input", 400)                          \
    X(ERR_CORRUPT, -3, "damaged data", 500)                           \
    X(ERR_TOO_LARGE, -4, "too large", 413)                            \
    X(ERR_UNSUPPORTED, -5, "unsupported media type or encoding", 415) \
    X(ERR_NOT_FOUND, -6, "not found", 404)                            \
    X(ERR_EXISTS, -7, "already exists", 409)                          \
    X(ERR_UNAVAILABLE, -8, "unavailable", 503)                        \
    X(ERR_OVERLOADED, -9, "overloaded", 503)                          \
    X(ERR_RATE_LIMITED, -10, "rate limited", 429)                     \
    X(ERR_LIMIT, -11, "limit exceeded", 422)                          \
    X(ERR_TIMEOUT, -12, "timed out", 503)                             \
    X(ERR_CANCELED, -13, "canceled", 499)                             \
    X(ERR_IO, -14, "input/output error", 500)                         \
    X(ERR_NOSPACE, -15, "no space left on device", 503)               \
    X(ERR_CONFIG, -16, "invalid configuration", 400)                  \
    X(ERR_UNAUTHORIZED, -17, "unauthorized", 401)                     \
    X(ERR_FORBIDDEN, -18, "forbidden", 403)                           \
    X(ERR_METHOD, -19, "method not allowed", 405)                     \
    X(ERR_EXECUTION, -20, "execution failed", 422)                    \
    X(ERR_OUT_OF_ORDER, -21, "out of order sample", 400)              \
    X(ERR_TOO_OLD, -22, "too old sample", 400)                        \
    X(ERR_CONFLICT, -23, "duplicate sample for timestamp", 400)       \
    X(ERR_OUT_OF_BOUNDS, -24, "out of bounds", 400)                   \
    X(ERR_UNKNOWN_SERIES, -25, "unknown series", 404)                 \
    X(ERR_CLOSED, -26, "closed", 503)                                 \
    X(ERR_INTERNAL, -27, "internal error", 500)                       \
    X(ERR_CLUSTER, -28, "node of another cluster", 409)

enum nx_err {
#define X(name, value, text, http) NX_##name = (value),
    NX_ERR_TABLE(X)
#undef X
};

/* The symbolic name ("ERR_NOMEM"), the text ("out of memory") and the HTTP status of a code. Static
 * strings; any thread. An unknown code reads as ERR_INTERNAL. */
const char *nx_err_name(enum nx_err err);
const char *nx_err_text(enum nx_err err);
int nx_err_http(enum nx_err err);

/* The code for a negative libuv status or a positive errno. */
enum nx_err nx_err_from_uv(int status);
enum nx_err nx_err_from_errno(int error_number);

/* A failure with its explanation; lives on the caller's stack or inside a request. The text has
 * room for the label sets of two series: errors of vector matching name them. */
struct nx_fail {
    enum nx_err code;
    char text[4096];
};

/* Records a failure (the text is cut at the buffer's end, on a UTF-8 boundary) and returns `code`,
 * so that a function can end in `return nx_fail_set(fail, NX_ERR_INVALID, "...")`. `fail` may be
 * NULL. */
enum nx_err nx_fail_set(struct nx_fail *fail, enum nx_err code, const char *format, ...)
    NX_PRINTF(3, 4);
#ifdef __clang_analyzer__
/* The static analyzer sees one source file at a time: this tells it what is returned. */
#define nx_fail_set(fail, code, ...) ((nx_fail_set)(fail, code, __VA_ARGS__), (code))
#endif

/* fail->text, or the code's own text where none was recorded. */
const char *nx_fail_text(const struct nx_fail *fail);

#ifdef __cplusplus
}
#endif

#endif
