/* What a block costs: bytes a sample by part, CPU time to write it from a head's chunks, and the
 * speed of reading its columns. Prints one line of JSON; tests/bench/blocks makes a table of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/chunk/column/column_chunk.h"
#include "ingester/block/block_reader.h"
#include "ingester/block/block_writer.h"
#include "tests/bench/blockbench_data.h"

enum { ROUNDS = 20, SCHEMES = 5 };
#define WINDOW_MS (INT64_C(2) * 3600 * 1000)

static const char *const scheme_names[SCHEMES] = {"constant", "bits", "xor", "sums", "decimal"};

struct tally {
    uint64_t columns, samples, bytes;
};

struct column {
    struct nx_view data;
    size_t samples;
    bool decimal;
};

struct columns {
    struct nx_arena arena;
    struct column *items;
    size_t count, capacity;
    struct tally schemes[SCHEMES];
};

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum nx_err write_block(const struct bench_data *data, const char *dir, double *seconds)
{
    struct ing_block_meta meta = {.tenant = NX_VIEW("anonymous"),
                                  .min_t = data->min_t / WINDOW_MS * WINDOW_MS,
                                  .max_t = (data->max_t / WINDOW_MS + 1) * WINDOW_MS};
    struct ing_block_writer *writer;
    double begin = cpu_seconds();
    enum nx_err err = ing_block_writer_new(nx_fs_posix(), dir, "block", &meta, &writer);
    if (err)
        return err;
    for (size_t i = 0; !err && i < data->count; i++) {
        const struct bench_series *series = &data->series[i];
        err =
            ing_block_writer_add(writer, series->id, series->labels, series->chunks, series->count);
    }
    if (!err)
        err = ing_block_writer_finish(writer);
    ing_block_writer_free(writer);
    *seconds = cpu_seconds() - begin;
    return err;
}

static enum nx_err take_column(struct columns *columns, const struct nx_chunk *chunk)
{
    if (chunk->encoding != NX_CHUNK_COLUMN)
        return NX_OK;
    enum nx_err err =
        nx_grow(&columns->items, &columns->capacity, columns->count + 1, sizeof *columns->items);
    struct nx_view copy = nx_arena_copy(&columns->arena, chunk->data);
    if (err || !copy.ptr)
        return NX_ERR_NOMEM;
    struct nx_cursor cur = nx_cursor_of(copy);
    (void)nx_cursor_take(&cur, 2);
    (void)nx_cursor_bytes(&cur);
    uint64_t bytes = nx_cursor_left(&cur);
    uint8_t scheme = nx_cursor_u8(&cur);
    bool decimal = scheme >= SCHEMES - 1;
    columns->items[columns->count++] =
        (struct column){.data = copy, .samples = chunk->count, .decimal = decimal};
    struct tally *tally = &columns->schemes[scheme < SCHEMES - 1 ? scheme : SCHEMES - 1];
    tally->columns++;
    tally->samples += chunk->count;
    tally->bytes += bytes;
    return NX_OK;
}

static enum nx_err read_block(struct ing_block *block, struct columns *columns)
{
    struct ing_block_iter *iter;
    struct ing_block_series series;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    enum nx_err err = ing_block_select(block, NULL, 0, all, &iter);
    if (err)
        return err;
    int rc = 1;
    while (!err && (rc = ing_block_iter_next(iter, &series)) == 1)
        for (size_t i = 0; !err && i < series.chunk_count; i++)
            err = take_column(columns, &series.chunks[i]);
    ing_block_iter_free(iter);
    return err ? err : (enum nx_err)rc;
}

static enum nx_err decode_column(struct nx_view data, double *checksum)
{
    int64_t times[NX_PACK_GROUP];
    double values[NX_PACK_GROUP];
    struct nx_column_reader reader;
    uint32_t count;
    size_t got = 1;
    enum nx_err err = nx_column_open(&reader, data, &count);
    while (!err && got > 0) {
        err = nx_column_next(&reader, times, values, &got);
        *checksum += got > 0 ? values[got - 1] : 0;
    }
    return err;
}

/* Samples a second of CPU time, times and values of all columns or of those whose values are
 * decimal numbers, the best of some rounds. */
static enum nx_err decode(const struct columns *columns, bool decimal, double *best,
                          double *checksum)
{
    for (int round = 0; round < ROUNDS; round++) {
        double begin = cpu_seconds();
        uint64_t samples = 0;
        for (size_t i = 0; i < columns->count; i++) {
            const struct column *column = &columns->items[i];
            if (decimal && !column->decimal)
                continue;
            enum nx_err err = decode_column(column->data, checksum);
            if (err)
                return err;
            samples += column->samples;
        }
        double rate = (double)samples / (cpu_seconds() - begin);
        *best = rate > *best ? rate : *best;
    }
    return NX_OK;
}

static void report(const struct bench_data *data, struct ing_block *block,
                   const struct ing_block_sizes *sizes, const struct columns *columns,
                   double write_seconds, double read_seconds, const double rates[2])
{
    double n = (double)data->samples;
    printf("{\"series\": %zu, \"samples\": %" PRIu64 ", \"histograms\": %" PRIu64
           ", \"bytes\": %" PRIu64 ", \"bytes_per_sample\": %.4f",
           data->count, data->samples, data->histograms, ing_block_size(block),
           (double)ing_block_size(block) / n);
    printf(", \"parts\": {\"values\": %.4f, \"times\": %.4f, \"series\": %.4f, \"labels\": %.4f, "
           "\"lists\": %.4f, \"tables\": %.4f}",
           (double)sizes->values / n, (double)sizes->times / n, (double)sizes->series / n,
           (double)sizes->labels / n, (double)sizes->lists / n, (double)sizes->tables / n);
    printf(", \"head_chunk_bytes_per_sample\": %.4f", (double)data->chunk_bytes / n);
    printf(", \"time_columns\": %" PRIu64 ", \"bundles\": %" PRIu64 ", \"label_pairs\": %" PRIu64,
           sizes->time_columns, sizes->bundles, sizes->label_pairs);
    printf(", \"schemes\": {");
    for (size_t i = 0; i < SCHEMES; i++)
        printf("%s\"%s\": {\"columns\": %" PRIu64 ", \"samples\": %" PRIu64 ", \"bytes\": %" PRIu64
               "}",
               i ? ", " : "", scheme_names[i], columns->schemes[i].columns,
               columns->schemes[i].samples, columns->schemes[i].bytes);
    printf("}, \"write_ns_per_sample\": %.2f, \"select_ns_per_sample\": %.2f, "
           "\"decode_samples_per_second\": %.4g, \"decode_decimal_samples_per_second\": %.4g}\n",
           write_seconds * 1e9 / n, read_seconds * 1e9 / n, rates[0], rates[1]);
}

static enum nx_err run(const struct bench_data *data, const char *dir)
{
    struct columns columns = {.count = 0};
    struct ing_block_sizes sizes;
    struct ing_block *block = NULL;
    double write_seconds = 0, rates[2] = {0}, checksum = 0;
    char *path = nx_path_join(dir, "block");
    nx_arena_init(&columns.arena, 0);
    enum nx_err err = path ? write_block(data, dir, &write_seconds) : NX_ERR_NOMEM;
    if (!err)
        err = ing_block_open(path, &block, NULL);
    double begin = cpu_seconds();
    if (!err)
        err = read_block(block, &columns);
    double read_seconds = cpu_seconds() - begin;
    for (int decimal = 0; !err && decimal < 2; decimal++)
        err = decode(&columns, decimal, &rates[decimal], &checksum);
    if (!err)
        err = ing_block_sizes(block, &sizes);
    if (!err)
        report(data, block, &sizes, &columns, write_seconds, read_seconds, rates);
    if (path)
        (void)nx_fs_posix()->rmdir(nx_fs_posix(), path);
    ing_block_drop(block);
    nx_free(path);
    nx_free(columns.items);
    nx_arena_release(&columns.arena);
    return err;
}

static enum nx_err load(struct bench_data *data, int argc, char **argv)
{
    if (argc == 3)
        return bench_data_read(data, argv[2]);
    struct load_options options = {.series = strtoull(argv[2], NULL, 10),
                                   .scrapes = strtoull(argv[3], NULL, 10),
                                   .start_ms = INT64_C(1700006400000),
                                   .interval_ms = 15000,
                                   .batch = 4000,
                                   .noise_bits = (unsigned)strtoull(argv[4], NULL, 10)};
    return bench_data_make(data, &options);
}

int main(int argc, char **argv)
{
    struct bench_data data;
    if (argc != 3 && argc != 5) {
        (void)fprintf(stderr, "usage: blockbench DIR STREAM.zst | DIR SERIES SCRAPES NOISE-BITS\n");
        return 2;
    }
    bench_data_init(&data);
    enum nx_err err = load(&data, argc, argv);
    if (!err)
        err = run(&data, argv[1]);
    if (err)
        (void)fprintf(stderr, "blockbench: %s\n", nx_err_text(err));
    bench_data_release(&data);
    return err ? 1 : 0;
}
