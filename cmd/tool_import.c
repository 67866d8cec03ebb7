/* `narthex tool import`: the blocks of a Prometheus into a Narthex, piece by piece. */
#include "cmd/tool_import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/tool.h"
#include "common/base/time.h"
#include "ingester/tsdb/source.h"

/* Far enough from the ends of the type for arithmetic. */
#define TIME_MIN (-(INT64_C(1) << 60))
#define TIME_MAX (INT64_C(1) << 60)

struct import {
    const char *source_path;
    const char *data_dir, *address, *tenant, *window, *start, *end, *work_dir;
    bool json, quiet;
    int64_t window_ms, min_t, max_t; /* [min_t, max_t) */
    struct cmd_import_target *target;
    struct ing_tsdb_stats stats;
    uint64_t written; /* blocks of ours */
    uint64_t present; /* that were there already */
    uint64_t sources;
};

static int misuse(const char *what, const char *word)
{
    (void)fprintf(stderr,
                  "narthex tool import: %s%s\n"
                  "usage: narthex tool import DIR --storage.data-dir=DIR | --address=HOST:PORT "
                  "[--tenant=NAME] [--window=2h] [--start=TIME] [--end=TIME] [--work-dir=DIR] "
                  "[--json] [--quiet]\n",
                  what, word);
    return 2;
}

static int complain(const struct nx_fail *fail)
{
    (void)fprintf(stderr, "narthex tool import: %s\n", nx_fail_text(fail));
    return 1;
}

/* --- the work --- */

static enum nx_err import_piece(struct import *import, struct ing_tsdb_block *block,
                                const struct ing_tsdb_piece *piece, struct nx_fail *fail)
{
    const struct cmd_import_target_ops *ops = import->target->ops;
    struct nx_view tenant = nx_view_of(import->tenant);
    char name[ING_TSDB_PIECE_NAME_MAX];
    bool wanted;
    ing_tsdb_piece_name(ing_tsdb_block_meta(block), piece, tenant, ops->place(import->target),
                        name);
    enum nx_err err = ops->begin(import->target, piece, name, &wanted, fail);
    if (err != NX_OK)
        return err;
    if (!wanted) {
        import->present++;
        return NX_OK;
    }
    uint64_t before = import->stats.series;
    err =
        ing_tsdb_piece_read(block, piece, tenant, ops->take, import->target, &import->stats, fail);
    if (err == NX_OK)
        err = ops->finish(import->target, fail);
    if (err == NX_OK && import->stats.series > before)
        import->written++;
    return err;
}

static enum nx_err import_block(struct import *import, const struct ing_tsdb_source_block *source,
                                struct nx_fail *fail)
{
    struct ing_tsdb_block *block;
    struct ing_tsdb_piece piece;
    struct ing_tsdb_stats before = import->stats;
    uint64_t present = import->present;
    struct nx_fail why = {.code = NX_OK};
    enum nx_err err = ing_tsdb_block_open(source->dir, &block, &why);
    if (err == NX_OK) {
        struct ing_tsdb_pieces pieces =
            ing_tsdb_pieces_of(block, import->window_ms, import->min_t, import->max_t);
        while (err == NX_OK && ing_tsdb_pieces_next(&pieces, &piece))
            err = import_piece(import, block, &piece, &why);
        ing_tsdb_block_close(block);
    }
    if (err != NX_OK)
        return nx_fail_set(fail, err, "%s: %s", source->dir, nx_fail_text(&why));
    import->sources++;
    if (!import->quiet)
        (void)fprintf(stderr, "%s: %" PRIu64 " samples%s\n", source->dir,
                      import->stats.floats - before.floats + import->stats.histograms -
                          before.histograms,
                      import->present > present ? "; some of it had been imported before" : "");
    return NX_OK;
}

static void print_summary(const struct import *import)
{
    const struct ing_tsdb_stats *stats = &import->stats;
    if (import->json)
        (void)printf(
            "{\"sourceBlocks\":%" PRIu64 ",\"blocksWritten\":%" PRIu64 ",\"blocksPresent\":%" PRIu64
            ",\"floatSamples\":%" PRIu64 ",\"histogramSamples\":%" PRIu64 "}\n",
            import->sources, import->written, import->present, stats->floats, stats->histograms);
    else
        (void)printf("%" PRIu64 " blocks read, %" PRIu64 " written (%" PRIu64
                     " were there already): %" PRIu64 " floats, %" PRIu64 " histograms\n",
                     import->sources, import->written, import->present, stats->floats,
                     stats->histograms);
}

static enum nx_err import_all(struct import *import, const struct ing_tsdb_source *source,
                              struct nx_fail *fail)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < source->count && err == NX_OK; i++)
        err = import_block(import, &source->blocks[i], fail);
    const char *warning = import->target->ops->warning(import->target);
    if (*warning)
        (void)fprintf(stderr, "narthex tool import: %s\n", warning);
    return err;
}

static enum nx_err open_target(struct import *import, struct nx_fail *fail)
{
    struct nx_view tenant = nx_view_of(import->tenant);
    if (import->data_dir)
        return cmd_import_dir_open(import->data_dir, tenant, &import->target, fail);
    return cmd_import_cluster_open(import->address, tenant, import->work_dir, &import->target,
                                   fail);
}

static int run(struct import *import)
{
    struct nx_fail fail = {.code = NX_OK};
    struct ing_tsdb_source source;
    enum nx_err err = ing_tsdb_source_find(import->source_path, &source, &fail);
    if (err != NX_OK)
        return complain(&fail);
    if (source.has_head && !import->quiet)
        (void)fprintf(stderr,
                      "narthex tool import: %s holds a head and a log too, which are not read; a "
                      "snapshot (/api/v1/admin/tsdb/snapshot) has them as blocks\n",
                      import->source_path);
    err = open_target(import, &fail);
    if (err == NX_OK) {
        err = import_all(import, &source, &fail);
        import->target->ops->close(import->target);
    }
    ing_tsdb_source_release(&source);
    if (err != NX_OK)
        return complain(&fail);
    print_summary(import);
    return 0;
}

/* --- the arguments --- */

static bool read_option(struct import *import, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        const char **field;
    } options[] = {
        {"--storage.data-dir", &import->data_dir},
        {"--address", &import->address},
        {"--tenant", &import->tenant},
        {"--window", &import->window},
        {"--start", &import->start},
        {"--end", &import->end},
        {"--work-dir", &import->work_dir},
    };
    for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
        const char *value = cmd_tool_option(argc, argv, i, options[k].name);
        if (value) {
            *options[k].field = value;
            return true;
        }
    }
    bool json = strcmp(argv[*i], "--json") == 0, quiet = strcmp(argv[*i], "--quiet") == 0;
    import->json = import->json || json;
    import->quiet = import->quiet || quiet;
    return json || quiet;
}

static int read_values(struct import *import)
{
    int64_t now = nx_now_ms(nx_clock_system());
    import->window_ms = INT64_C(7200000);
    import->min_t = TIME_MIN;
    import->max_t = TIME_MAX;
    if (!import->source_path)
        return misuse("no directory to read", "");
    if (!import->data_dir == !import->address)
        return misuse("say where to: --storage.data-dir or --address", "");
    if (!*import->tenant)
        return misuse("the tenant has no name", "");
    if (import->window && !cmd_tool_step(import->window, &import->window_ms))
        return misuse("--window is no duration: ", import->window);
    if (import->start && !cmd_tool_time(import->start, now, &import->min_t))
        return misuse("--start is no time: ", import->start);
    if (import->end && !cmd_tool_time(import->end, now, &import->max_t))
        return misuse("--end is no time: ", import->end);
    return 0;
}

int cmd_tool_import(int argc, char **argv)
{
    struct import import = {.tenant = "anonymous"};
    for (int i = 0; i < argc; i++) {
        if (cmd_tool_is_option(argv[i])) {
            if (!read_option(&import, argc, argv, &i))
                return misuse("not known, or without a value: ", argv[i]);
        } else if (import.source_path) {
            return misuse("one directory at a time: ", argv[i]);
        } else {
            import.source_path = argv[i];
        }
    }
    int status = read_values(&import);
    return status ? status : run(&import);
}
