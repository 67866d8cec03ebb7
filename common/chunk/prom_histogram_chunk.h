/* Prometheus's chunks of native histograms, HISTOGRAM and FLOAT_HISTOGRAM (tsdb/chunkenc of
 * Prometheus: histogram.go, float_histogram.go, histogram_meta.go, varbit.go), as streamed remote
 * read and blocks carry them.
 *
 * A builder takes the samples of one series in ascending time and says when one does not belong
 * into the chunk that is open: another kind (integer counts or floats, gauge or counter), schema,
 * zero threshold or custom bounds, a counter reset, the first after a stale marker, or the chunk is
 * full. Buckets that appear or vanish stay in one chunk, whose layout is the union of its samples'.
 * The chunk's header says what its first sample is to the one before: Prometheus reads every later
 * sample of a counter as no reset. */
#ifndef NX_CHUNK_PROM_HISTOGRAM_CHUNK_H
#define NX_CHUNK_PROM_HISTOGRAM_CHUNK_H

#include "common/base/buf.h"
#include "common/chunk/histogram.h"

/* Prometheus's numbers. */
enum nx_prom_encoding { NX_PROM_XOR = 1, NX_PROM_HISTOGRAM = 2, NX_PROM_FLOAT_HISTOGRAM = 3 };

#define NX_PROM_CHUNK_SAMPLES 120

struct nx_prom_chunk {
    enum nx_prom_encoding encoding;
    uint32_t count;
    int64_t min_t;
    int64_t max_t; /* inclusive */
    struct nx_view data;
};

/* Whether it goes out as one of integer counts: it is marked so, and they are. */
bool nx_prom_histogram_has_integers(const struct nx_histogram *h);

struct nx_prom_histogram_builder;

enum nx_err nx_prom_histogram_builder_new(struct nx_prom_histogram_builder **out) NX_WARN_UNUSED;
void nx_prom_histogram_builder_free(struct nx_prom_histogram_builder *builder);
/* From now on a chunk holds histograms of one layout of buckets only, so that they are read back as
 * they were, bucket by bucket; it costs more chunks where buckets come and go. */
void nx_prom_histogram_builder_keep_layouts(struct nx_prom_histogram_builder *builder);
/* Copies the histogram, which must be sound. *taken false: it begins the next chunk; finish this
 * one, then add it again. Into an empty chunk every histogram is taken. */
enum nx_err nx_prom_histogram_builder_add(struct nx_prom_histogram_builder *builder, int64_t t,
                                          const struct nx_histogram *h, bool *taken) NX_WARN_UNUSED;
/* Encodes the chunk, which holds at least one sample, and begins the next. The bytes are the
 * builder's, valid until the next finish or free. */
enum nx_err nx_prom_histogram_builder_finish(struct nx_prom_histogram_builder *builder,
                                             struct nx_prom_chunk *out) NX_WARN_UNUSED;

#endif
