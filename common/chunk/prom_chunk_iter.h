/* Reads Prometheus's chunks (tsdb/chunkenc): XOR, HISTOGRAM and FLOAT_HISTOGRAM, and the newer XOR2
 * and the two kinds of histogram chunks that carry start timestamps.
 *
 * Of a counter's histograms the first in a chunk has the hint of the chunk's header, all later ones
 * NX_HINT_NOT_RESET; a stale marker is a histogram with nothing but its sum. Counts beyond 2^53
 * lose what a double cannot hold. */
#ifndef NX_CHUNK_PROM_CHUNK_ITER_H
#define NX_CHUNK_PROM_CHUNK_ITER_H

#include "common/chunk/sample.h"

/* Numbers in blocks; nx_prom_encoding has those that we write. */
enum nx_prom_chunk_kind {
    NX_PROM_KIND_XOR = 1,
    NX_PROM_KIND_HISTOGRAM = 2,
    NX_PROM_KIND_FLOAT_HISTOGRAM = 3,
    NX_PROM_KIND_XOR2 = 4,
    NX_PROM_KIND_HISTOGRAM_ST = 5,
    NX_PROM_KIND_FLOAT_HISTOGRAM_ST = 6,
};

/* Over encoded bytes, which must outlive the iterator. NX_ERR_UNSUPPORTED for a kind that is none
 * of the above or a schema of histograms that Narthex does not keep; damaged bytes end in
 * NX_ERR_CORRUPT, never in a read outside the view. */
enum nx_err nx_prom_chunk_iter_new(unsigned kind, struct nx_view data,
                                   struct nx_sample_iter **out) NX_WARN_UNUSED;

#endif
