/* `narthex tool block`: looks into blocks, one or all below a directory. Reads only. */
#include "cmd/tool_block.h"

#include <stdio.h>
#include <string.h>

#include "cmd/tool.h"
#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/base/time.h"
#include "querier/promql/ast.h"

/* A data directory has its blocks three levels down. */
#define LEVELS_MAX 4

struct command {
    const char *name;
    enum nx_err (*run)(struct ing_block *block, const struct cmd_block_options *options,
                       struct nx_fail *fail);
};

struct visit {
    const struct command *command;
    struct cmd_block_options options;
    size_t failed;
};

static int misuse(const char *what, const char *word)
{
    (void)fprintf(stderr,
                  "narthex tool block: %s%s\n"
                  "usage: narthex tool block inspect|verify|dump PATH [--json] [--match=SELECTOR] "
                  "[--min-time=TIME] [--max-time=TIME]\n",
                  what, word);
    return 2;
}

static void complain(struct visit *visit, const char *path, enum nx_err err,
                     const struct nx_fail *fail)
{
    visit->failed++;
    (void)fprintf(stderr, "narthex tool block: %s: %s\n", path,
                  fail->code != NX_OK ? nx_fail_text(fail) : nx_err_text(err));
}

static void visit_path(struct visit *visit, const char *path, unsigned level);

static void visit_entries(struct visit *visit, const char *path, unsigned level)
{
    char **names;
    size_t count;
    if (nx_dir_list(path, &names, &count) != NX_OK)
        return; /* no directory */
    for (size_t i = 0; i < count; i++) {
        struct nx_view name = nx_view_of(names[i]);
        char *below = nx_path_join(path, names[i]);
        bool unfinished =
            nx_view_has_suffix(name, NX_VIEW(".tmp")) || nx_view_has_suffix(name, NX_VIEW(".gone"));
        if (below && !unfinished)
            visit_path(visit, below, level + 1);
        nx_free(below);
    }
    nx_dir_free(names, count);
}

static void visit_path(struct visit *visit, const char *path, unsigned level)
{
    struct ing_block *block;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = ing_block_open(path, &block, &fail);
    if (err == NX_OK) {
        err = visit->command->run(block, &visit->options, &fail);
        visit->options.seen++;
        if (err != NX_OK)
            complain(visit, path, err, &fail);
        ing_block_drop(block);
        return;
    }
    /* what holds no block may hold some below */
    if (err == NX_ERR_CORRUPT || err == NX_ERR_UNSUPPORTED || err == NX_ERR_NOMEM)
        complain(visit, path, err, &fail);
    else if (level < LEVELS_MAX)
        visit_entries(visit, path, level);
}

static int run(struct visit *visit, const char *path)
{
    visit_path(visit, path, 0);
    if (visit->options.seen == 0 && visit->failed == 0) {
        (void)fprintf(stderr, "narthex tool block: %s: no block here\n", path);
        return 1;
    }
    if (visit->options.json && visit->command->run == cmd_block_inspect)
        (void)printf("%s]\n", visit->options.seen ? "" : "[");
    return visit->failed ? 1 : 0;
}

/* --- the arguments --- */

struct arguments {
    const char *path, *match, *min_time, *max_time;
};

static bool read_option(struct arguments *arguments, struct visit *visit, int argc, char **argv,
                        int *i)
{
    const struct {
        const char *name;
        const char **field;
    } options[] = {{"--match", &arguments->match},
                   {"--min-time", &arguments->min_time},
                   {"--max-time", &arguments->max_time}};
    for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
        const char *value = cmd_tool_option(argc, argv, i, options[k].name);
        if (value) {
            *options[k].field = value;
            return true;
        }
    }
    visit->options.json = visit->options.json || strcmp(argv[*i], "--json") == 0;
    return strcmp(argv[*i], "--json") == 0;
}

static int read_arguments(struct arguments *arguments, struct visit *visit, int argc, char **argv)
{
    int64_t now = nx_now_ms(nx_clock_system());
    for (int i = 0; i < argc; i++) {
        if (cmd_tool_is_option(argv[i])) {
            if (!read_option(arguments, visit, argc, argv, &i))
                return misuse("not known, or without a value: ", argv[i]);
        } else if (arguments->path) {
            return misuse("one path at a time: ", argv[i]);
        } else {
            arguments->path = argv[i];
        }
    }
    if (!arguments->path)
        return misuse("no path", "");
    if (arguments->min_time &&
        !cmd_tool_time(arguments->min_time, now, &visit->options.range.min_t))
        return misuse("--min-time is no time: ", arguments->min_time);
    if (arguments->max_time &&
        !cmd_tool_time(arguments->max_time, now, &visit->options.range.max_t))
        return misuse("--max-time is no time: ", arguments->max_time);
    return 0;
}

int cmd_tool_block(int argc, char **argv)
{
    static const struct command commands[] = {
        {"inspect", cmd_block_inspect}, {"verify", cmd_block_verify}, {"dump", cmd_block_dump}};
    struct visit visit = {.options.range = {.min_t = INT64_MIN, .max_t = INT64_MAX}};
    struct arguments arguments = {NULL, NULL, NULL, NULL};
    for (size_t i = 0; argc > 0 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[0], commands[i].name) == 0)
            visit.command = &commands[i];
    if (!visit.command)
        return misuse("say inspect, verify or dump", "");
    int status = read_arguments(&arguments, &visit, argc - 1, argv + 1);
    if (status)
        return status;
    if (!arguments.match)
        return run(&visit, arguments.path);
    struct qry_query *query;
    struct nx_fail fail = {.code = NX_OK};
    if (qry_parse_selector(nx_view_of(arguments.match), &query, &fail) != NX_OK)
        return misuse("--match: ", nx_fail_text(&fail));
    visit.options.matchers = qry_query_expr(query)->selector.matchers;
    visit.options.matcher_count = qry_query_expr(query)->selector.matcher_count;
    status = run(&visit, arguments.path);
    qry_query_free(query);
    return status;
}
