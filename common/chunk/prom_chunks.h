/* Cuts the samples of a series into Prometheus's chunks of at most NX_PROM_CHUNK_SAMPLES: XOR for
 * floats, HISTOGRAM and FLOAT_HISTOGRAM for native histograms; one begins where the kind of the
 * samples changes. For streamed remote read and for blocks. */
#ifndef NX_CHUNK_PROM_CHUNKS_H
#define NX_CHUNK_PROM_CHUNKS_H

#include "common/chunk/prom_histogram_chunk.h"
#include "common/chunk/sample.h"

struct nx_prom_chunks;

/* Takes ownership of the iterator (also on failure). */
enum nx_err nx_prom_chunks_new(struct nx_sample_iter *iter,
                               struct nx_prom_chunks **out) NX_WARN_UNUSED;
/* Before the first chunk: a histogram whose layout of buckets differs from the one before begins a
 * chunk (prom_histogram_chunk.h). */
void nx_prom_chunks_keep_layouts(struct nx_prom_chunks *chunks);
void nx_prom_chunks_free(struct nx_prom_chunks *chunks);
/* 1: *out is the next chunk, valid until the next call; 0: the end; negative: an enum nx_err. */
int nx_prom_chunks_next(struct nx_prom_chunks *chunks, struct nx_prom_chunk *out);

#endif
