/* Attribute values of OTLP as text, as Prometheus writes them: texts as they are, numbers shortest,
 * bytes in base64, lists and maps as JSON with the keys in order. */
#ifndef DIST_RECEIVE_OTLP_VALUE_H
#define DIST_RECEIVE_OTLP_VALUE_H

#include "common/base/arena.h"
#include "common/base/err.h"
#include "proto/otlp_metrics.pb-c.h"

#define DIST_OTLP_MAX_DEPTH 32 /* of lists and maps within each other */

static inline struct nx_view dist_otlp_view(ProtobufCBinaryData bytes)
{
    return nx_view_make(bytes.data, bytes.len);
}

/* `value` NULL: empty. The text aliases the value or lies in the arena. NX_ERR_INVALID: a list or
 * map that is malformed or too deep; NX_ERR_NOMEM. */
enum nx_err dist_otlp_text(struct nx_arena *arena, const Narthex__Otlp__AnyValue *value,
                           struct nx_view *out) NX_WARN_UNUSED;

#endif
