/* The Prometheus text format (version 0.0.4, with the quoted UTF-8 names of 1.0.0) and OpenMetrics
 * text 1.0: what targets expose and scripts push (docs/formats/text.md). */
#ifndef DIST_RECEIVE_EXPOSITION_H
#define DIST_RECEIVE_EXPOSITION_H

#include "distributor/receive/rw_points.h"

struct dist_exposition {
    bool open_metrics;           /* timestamps in seconds, exemplars, "# EOF" at the end */
    int64_t default_ms;          /* of samples without a timestamp */
    const struct nx_label *over; /* set on every series, whatever it says; the texts live with the
                                  * batch; an empty value takes the label away */
    size_t over_count;
    const struct dist_decode_limits *limits;
};

/* Decodes the text into the (cleared) batch, whose views may alias it: a series a line; TYPE, HELP
 * and UNIT become metadata. NX_ERR_INVALID names the line; then nothing of the text is to be used.
 */
enum nx_err dist_exposition_decode(const struct dist_exposition *options, struct nx_view text,
                                   struct dist_batch *batch, struct nx_fail *fail) NX_WARN_UNUSED;

#endif
