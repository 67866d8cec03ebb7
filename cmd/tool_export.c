/* `narthex tool export`: what a Narthex holds, as blocks of Prometheus of two hours each. */
#include "cmd/tool_export.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/tool.h"
#include "common/base/rand.h"
#include "common/base/time.h"
#include "ingester/tsdb/writer.h"
#include "querier/promql/ast.h"

#define BLOCK_MS INT64_C(7200000) /* as Prometheus cuts them */
#define SPAN_MS_MIN INT64_C(60000)
#define TIME_MIN (-(INT64_C(1) << 60))
#define TIME_MAX (INT64_C(1) << 60)

struct export
{
    const char *target_dir;
    const char *data_dir, *address, *tenant, *match, *start, *end, *timeout;
    bool json, quiet;
    int64_t timeout_ms;
    struct cmd_export_range range;
    struct cmd_export_source *source;
    struct nx_rand rand;
    struct ing_tsdb_writer *writer; /* of the block being written */
    enum nx_err write_err;
    uint64_t blocks, floats, histograms;
};

static int misuse(const char *what, const char *word)
{
    (void)fprintf(stderr,
                  "narthex tool export: %s%s\n"
                  "usage: narthex tool export DIR --storage.data-dir=DIR | --address=HOST:PORT "
                  "--start=TIME [--end=TIME] [--match=SELECTOR] [--tenant=NAME] "
                  "[--timeout=DURATION] [--json] [--quiet]\n",
                  what, word);
    return 2;
}

static int complain(const struct nx_fail *fail)
{
    (void)fprintf(stderr, "narthex tool export: %s\n", nx_fail_text(fail));
    return 1;
}

/* --- the work --- */

static enum nx_err take_series(void *user, struct nx_labels labels, struct nx_sample_iter *samples)
{
    struct export *export = user;
    export->write_err = ing_tsdb_writer_add(export->writer, labels, samples);
    return export->write_err;
}

static void print_block(const struct export *export, const struct ing_tsdb_meta *meta)
{
    char from[32], to[32];
    nx_time_format_rfc3339(meta->min_t, from, sizeof from);
    nx_time_format_rfc3339(meta->max_t, to, sizeof to);
    if (!export->quiet)
        (void)fprintf(stderr, "%s: %s to %s, %" PRIu64 " series, %" PRIu64 " samples\n", meta->ulid,
                      from, to, meta->series, meta->samples);
}

/* One block of [range]. */
static enum nx_err write_block(struct export *export, struct cmd_export_range range,
                               struct nx_fail *fail)
{
    char ulid[ING_TSDB_ULID_CHARS + 1];
    struct ing_tsdb_meta meta = {.series = 0};
    ing_tsdb_ulid(nx_now_ms(nx_clock_system()), (uint16_t)nx_rand_u64(&export->rand),
                  nx_rand_u64(&export->rand), ulid);
    struct ing_tsdb_writer_options options = {.fs = nx_fs_posix(),
                                              .dir = export->target_dir,
                                              .ulid = ulid,
                                              .min_t = range.min_t,
                                              .max_t = range.max_t + 1};
    export->write_err = ing_tsdb_writer_new(&options, &export->writer);
    if (export->write_err != NX_OK)
        return nx_fail_set(fail, NX_ERR_IO, "%s: %s", export->target_dir,
                           nx_err_text(export->write_err));
    enum nx_err err = export->source->ops->read(export->source, range, take_series, export, fail);
    if (err == NX_OK)
        export->write_err = err = ing_tsdb_writer_finish(export->writer, &meta);
    ing_tsdb_writer_free(export->writer);
    /* of the writer, not of the source: no smaller range helps */
    if (export->write_err != NX_OK)
        return nx_fail_set(fail, NX_ERR_IO, "%s: %s", export->target_dir,
                           nx_err_text(export->write_err));
    if (err != NX_OK || meta.series == 0)
        return err;
    export->blocks++;
    export->floats += meta.float_samples;
    export->histograms += meta.histogram_samples;
    print_block(export, &meta);
    return NX_OK;
}

/* Halves a range of which the source has too much at a time. */
static enum nx_err write_range(struct export *export, struct cmd_export_range range,
                               struct nx_fail *fail)
{
    struct nx_fail why = {.code = NX_OK};
    enum nx_err err = write_block(export, range, &why);
    if (err == NX_ERR_LIMIT && range.max_t - range.min_t >= SPAN_MS_MIN) {
        int64_t middle = range.min_t + (range.max_t - range.min_t) / 2;
        struct cmd_export_range first = {range.min_t, middle};
        struct cmd_export_range second = {middle + 1, range.max_t};
        err = write_range(export, first, fail);
        return err == NX_OK ? write_range(export, second, fail) : err;
    }
    return err == NX_OK ? err : nx_fail_set(fail, err, "%s", nx_fail_text(&why));
}

static enum nx_err write_all(struct export *export, struct nx_fail *fail)
{
    enum nx_err err = NX_OK;
    struct cmd_export_range known = export->range;
    if (!export->start || export->data_dir) {
        err = export->source->ops->range(export->source, &known, fail);
        if (err != NX_OK)
            return err;
    }
    int64_t min_t = known.min_t > export->range.min_t ? known.min_t : export->range.min_t;
    int64_t max_t = known.max_t < export->range.max_t ? known.max_t : export->range.max_t;
    while (min_t <= max_t && err == NX_OK) {
        int64_t rest = min_t % BLOCK_MS;
        int64_t end = min_t - (rest < 0 ? rest + BLOCK_MS : rest) + BLOCK_MS - 1;
        struct cmd_export_range range = {min_t, end < max_t ? end : max_t};
        err = write_range(export, range, fail);
        min_t = end + 1;
    }
    return err;
}

static void print_summary(const struct export *export)
{
    if (export->json)
        (void)printf("{\"blocks\":%" PRIu64 ",\"floatSamples\":%" PRIu64
                     ",\"histogramSamples\":%" PRIu64 "}\n",
                     export->blocks, export->floats, export->histograms);
    else
        (void)printf("%" PRIu64 " blocks written: %" PRIu64 " floats, %" PRIu64 " histograms\n",
                     export->blocks, export->floats, export->histograms);
}

static enum nx_err export_to_dir(struct export *export, const struct cmd_export_options *options,
                                 struct nx_fail *fail)
{
    const struct nx_fs *fs = nx_fs_posix();
    enum nx_err err = export->data_dir
                          ? cmd_export_dir_open(export->data_dir, options, &export->source, fail)
                          : cmd_export_remote_open(export->address, options, &export->source, fail);
    if (err != NX_OK)
        return err;
    err = fs->mkdir(fs, export->target_dir);
    if (err != NX_OK)
        nx_fail_set(fail, err, "%s: %s", export->target_dir, nx_err_text(err));
    else
        err = write_all(export, fail);
    export->source->ops->close(export->source);
    return err;
}

static int run(struct export *export)
{
    struct nx_fail fail = {.code = NX_OK};
    struct qry_query *query = NULL;
    struct cmd_export_options options = {.tenant = nx_view_of(export->tenant),
                                         .timeout_ms = (uint64_t) export->timeout_ms};
    if (export->match) {
        if (qry_parse_selector(nx_view_of(export->match), &query, &fail) != NX_OK)
            return misuse("--match: ", nx_fail_text(&fail));
        options.matchers = qry_query_expr(query)->selector.matchers;
        options.matcher_count = qry_query_expr(query)->selector.matcher_count;
    }
    nx_rand_system(&export->rand);
    enum nx_err err = export_to_dir(export, &options, &fail);
    if (query)
        qry_query_free(query);
    if (err != NX_OK)
        return complain(&fail);
    print_summary(export);
    return 0;
}

/* --- the arguments --- */

static bool read_option(struct export *export, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        const char **field;
    } options[] = {{"--storage.data-dir", &export->data_dir},
                   {"--address", &export->address},
                   {"--tenant", &export->tenant},
                   {"--match", &export->match},
                   {"--start", &export->start},
                   {"--end", &export->end},
                   {"--timeout", &export->timeout}};
    for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
        const char *value = cmd_tool_option(argc, argv, i, options[k].name);
        if (value) {
            *options[k].field = value;
            return true;
        }
    }
    bool json = strcmp(argv[*i], "--json") == 0, quiet = strcmp(argv[*i], "--quiet") == 0;
    export->json = export->json || json;
    export->quiet = export->quiet || quiet;
    return json || quiet;
}

static int read_values(struct export *export)
{
    int64_t now = nx_now_ms(nx_clock_system());
    export->timeout_ms = 600000;
    export->range = (struct cmd_export_range){TIME_MIN, export->address ? now : TIME_MAX};
    if (!export->target_dir)
        return misuse("no directory to write to", "");
    if (!export->data_dir == !export->address)
        return misuse("say where from: --storage.data-dir or --address", "");
    if (!*export->tenant)
        return misuse("the tenant has no name", "");
    if (export->timeout && !cmd_tool_step(export->timeout, &export->timeout_ms))
        return misuse("--timeout is no duration: ", export->timeout);
    if (export->start && !cmd_tool_time(export->start, now, &export->range.min_t))
        return misuse("--start is no time: ", export->start);
    if (export->end && !cmd_tool_time(export->end, now, &export->range.max_t))
        return misuse("--end is no time: ", export->end);
    return 0;
}

int cmd_tool_export(int argc, char **argv)
{
    struct export export = {.tenant = "anonymous"};
    for (int i = 0; i < argc; i++) {
        if (cmd_tool_is_option(argv[i])) {
            if (!read_option(&export, argc, argv, &i))
                return misuse("not known, or without a value: ", argv[i]);
        } else if (export.target_dir) {
            return misuse("one directory at a time: ", argv[i]);
        } else {
            export.target_dir = argv[i];
        }
    }
    int status = read_values(&export);
    return status ? status : run(&export);
}
