/* Names of OTLP as names of Prometheus: its translation "UnderscoreEscapingWithSuffixes", the
 * default of Prometheus 3 (github.com/prometheus/otlptranslator). Results alias their source or lie
 * in the arena. Pure, any thread. NX_ERR_NOMEM; NX_ERR_INVALID: nothing of the name is left. */
#ifndef DIST_RECEIVE_OTLP_NAMES_H
#define DIST_RECEIVE_OTLP_NAMES_H

#include "common/base/arena.h"
#include "common/base/err.h"

enum dist_otlp_suffix {
    DIST_OTLP_PLAIN,
    DIST_OTLP_GAUGE, /* _ratio where the unit is "1" */
    DIST_OTLP_TOTAL, /* a counter: _total */
};

/* Letters, digits and ':' stay, runs of anything else join them with '_'; then the unit in words
 * ("By/s": bytes_per_second) and the suffix, unless the name has them already. */
enum nx_err dist_otlp_metric_name(struct nx_arena *arena, struct nx_view name, struct nx_view unit,
                                  enum dist_otlp_suffix suffix, struct nx_view *out) NX_WARN_UNUSED;

/* Each character that is not a letter, a digit or '_' becomes '_'. "key_" comes before a digit, and
 * "key" before a single '_' at the start. */
enum nx_err dist_otlp_label_name(struct nx_arena *arena, struct nx_view key,
                                 struct nx_view *out) NX_WARN_UNUSED;

#endif
