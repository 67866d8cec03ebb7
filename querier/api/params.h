/* Values of request parameters, with Prometheus's syntax and error texts (web/api/v1; reference
 * http-api section 1.4). On failure `fail` holds the cause; the caller puts `invalid parameter "x":
 * ` in front. */
#ifndef QRY_API_PARAMS_H
#define QRY_API_PARAMS_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/view.h"

/* Unix seconds as a float, rounded to ms, or RFC 3339. */
enum nx_err qry_param_time(struct nx_view text, int64_t *ms, struct nx_fail *fail) NX_WARN_UNUSED;
/* The same for a parameter that may be absent (ptr NULL or empty: `absent_ms`). */
enum nx_err qry_param_optional_time(struct nx_view text, const char *name, int64_t absent_ms,
                                    int64_t *ms, struct nx_fail *fail) NX_WARN_UNUSED;
/* Float seconds or a Prometheus duration, in ns. */
enum nx_err qry_param_duration(struct nx_view text, int64_t *ns,
                               struct nx_fail *fail) NX_WARN_UNUSED;
/* 0 or absent: none. */
enum nx_err qry_param_limit(struct nx_view text, uint64_t *limit,
                            struct nx_fail *fail) NX_WARN_UNUSED;
/* Go's strconv.Atoi with its error texts. */
enum nx_err qry_param_integer(struct nx_view text, int64_t *out,
                              struct nx_fail *fail) NX_WARN_UNUSED;
/* A label name escaped as `U__...` back to what it stands for; other names unchanged. */
struct nx_arena;
enum nx_err qry_unescape_label_name(struct nx_arena *arena, struct nx_view name,
                                    struct nx_view *out) NX_WARN_UNUSED;

#endif
