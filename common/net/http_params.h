/* Parameters of a request: the query string, and a form body (application/x-www-form-urlencoded or
 * multipart/form-data) of a POST. Body values come before those of the URL. */
#ifndef NX_NET_HTTP_PARAMS_H
#define NX_NET_HTTP_PARAMS_H

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/view.h"

struct nx_http_param {
    struct nx_view name;
    struct nx_view value;
};

struct nx_http_params {
    struct nx_http_param *items;
    size_t count;
};

/* Percent- and plus-decoded into the arena. NX_ERR_INVALID on a malformed pair or form, as Go's
 * ParseForm: `fail` says what was first (`invalid URL escape "%zz"`), and `out` holds all that is
 * well-formed. At most 10,000 parameters: beyond, NX_ERR_TOO_LARGE. */
enum nx_err nx_http_params_parse(struct nx_arena *arena, struct nx_view query, struct nx_view content_type,
                                 struct nx_view body, struct nx_http_params *out, struct nx_fail *fail)
    NX_WARN_UNUSED;
/* The first value; ptr NULL where there is none. */
struct nx_view nx_http_params_get(const struct nx_http_params *params, const char *name);
/* The i-th value of a repeated parameter; ptr NULL past the last. */
struct nx_view nx_http_params_nth(const struct nx_http_params *params, const char *name, size_t i);
/* Percent-decoding of a path segment; plus stays plus. */
enum nx_err nx_percent_decode(struct nx_arena *arena, struct nx_view text, struct nx_view *out) NX_WARN_UNUSED;

#endif
