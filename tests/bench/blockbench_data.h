/* The samples of a recorded stream, or of the load that loadgen makes, gathered by series as a head
 * holds them: chunks of 120 samples. */
#ifndef TESTS_BENCH_BLOCKBENCH_DATA_H
#define TESTS_BENCH_BLOCKBENCH_DATA_H

#include "common/base/index.h"
#include "common/chunk/chunk.h"
#include "common/labels/series_id.h"
#include "tests/bench/loadgen_series.h"

struct bench_series {
    struct nx_series_id id;
    struct nx_labels labels;
    struct nx_chunk *chunks;
    size_t count, capacity;
    struct nx_chunk_appender *open;
};

struct bench_data {
    struct nx_arena arena;
    struct nx_index index;
    struct bench_series *series;
    size_t count, capacity;
    uint64_t samples;
    uint64_t histograms; /* of the samples */
    uint64_t chunk_bytes;
    int64_t min_t, max_t;
};

void bench_data_init(struct bench_data *data);
void bench_data_release(struct bench_data *data);
/* Repeated [u32 length][snappy WriteRequest], compressed with zstd. */
enum nx_err bench_data_read(struct bench_data *data, const char *path) NX_WARN_UNUSED;
enum nx_err bench_data_make(struct bench_data *data,
                            const struct load_options *options) NX_WARN_UNUSED;

#endif
