/* The same load as remote write 2.0: what load_encode has made, with the labels as references into
 * a table of symbols, in the order in which they first come, as Prometheus writes it. */
#ifndef TESTS_BENCH_LOADGEN_V2_H
#define TESTS_BENCH_LOADGEN_V2_H

#include "common/base/buf.h"

/* Appends the io.prometheus.write.v2.Request of a WriteRequest. NX_ERR_INVALID where that is not as
 * load_encode writes it. */
enum nx_err load_encode_v2(struct nx_view write_request, struct nx_buf *out) NX_WARN_UNUSED;

#endif
