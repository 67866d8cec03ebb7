/* `narthex tool`: the subcommands that work without a role. */
#include "cmd/tool.h"

#include <stdio.h>
#include <string.h>

#include "cmd/main.h"

static const char usage[] =
    "narthex tool promql fmt|check|parse [EXPR | --file=FILE | -]\n"
    "  fmt    prints the expression as format_query does\n"
    "  check  says what is wrong with it, and where; exit 1 if anything is\n"
    "  parse  prints its tree as JSON\n"
    "  --file=FILE      a file, `-` is standard input; one expression, or one in each line\n"
    "  --lines          one expression in each line, even where the whole could be one\n"
    "  --features=LIST  as the setting query.features\n"
    "\n"
    "narthex tool query instant|range EXPR\n"
    "  --address=HOST:PORT  a node that answers queries (default 127.0.0.1:9900)\n"
    "  --time=TIME          of an instant query (default now)\n"
    "  --start=TIME, --end=TIME, --step=DURATION  of a range query (default the last hour)\n"
    "  --timeout=DURATION   gives up after it (default 2m)\n"
    "  --tenant=NAME        asks for this tenant\n"
    "  --json, --csv        for programs\n"
    "\n"
    "narthex tool block inspect|verify|dump PATH\n"
    "  inspect  what a block holds, how many bytes it takes, and its labels\n"
    "  verify   reads and checks all of it; exit 1 if anything is wrong\n"
    "  dump     its samples, a line each: {labels} value time\n"
    "  PATH is a block, or a directory with blocks below it\n"
    "  --json                           inspect, for programs\n"
    "  --match=SELECTOR                 dump these series only\n"
    "  --min-time=TIME, --max-time=TIME  dump this time only\n"
    "\n"
    "narthex tool import DIR\n"
    "  DIR is a TSDB block of Prometheus, or a directory with such blocks\n"
    "  --storage.data-dir=DIR  into the data directory of a node that is stopped, or\n"
    "  --address=HOST:PORT     into the cluster that this node belongs to\n"
    "  --tenant=NAME           for this tenant (default anonymous)\n"
    "  --window=DURATION       storage.block-window of the nodes (default 2h)\n"
    "  --start=TIME, --end=TIME  this time only, the end not included\n"
    "  --work-dir=DIR          where blocks lie before they are sent (default: of the system)\n"
    "  --json, --quiet\n"
    "\n"
    "narthex tool export DIR\n"
    "  writes TSDB blocks of Prometheus, of two hours each, to DIR\n"
    "  --storage.data-dir=DIR  from the data directory of a node that is stopped, or\n"
    "  --address=HOST:PORT     from the cluster that this querier asks\n"
    "  --start=TIME, --end=TIME  this time only, the end included (with --address a start is due)\n"
    "  --match=SELECTOR        these series only\n"
    "  --tenant=NAME           of this tenant (default anonymous)\n"
    "  --timeout=DURATION      of each request (default 10m)\n"
    "  --json, --quiet\n"
    "\n"
    "Times are Unix seconds, RFC 3339, `now` or relative to it: -1h, now-30m\n";

const char *cmd_tool_option(int argc, char **argv, int *i, const char *name)
{
    size_t len = strlen(name);
    const char *word = argv[*i];
    if (strncmp(word, name, len) != 0)
        return NULL;
    if (word[len] == '=')
        return word + len + 1;
    return word[len] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

bool cmd_tool_is_option(const char *word)
{
    return strncmp(word, "--", 2) == 0 || strcmp(word, "-h") == 0;
}

/* What could not be written is no success. */
static int flushed(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("narthex tool: standard output");
    return status ? status : 1;
}

int cmd_tool(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } tools[] = {{"promql", cmd_tool_promql},
                 {"query", cmd_tool_query},
                 {"block", cmd_tool_block},
                 {"import", cmd_tool_import},
                 {"export", cmd_tool_export}};
    bool help = argc > 0 && (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 ||
                             strcmp(argv[0], "-h") == 0);
    for (int i = 0; i < argc; i++)
        help = help || strcmp(argv[i], "--help") == 0;
    if (help || argc == 0) {
        (void)fputs(usage, help ? stdout : stderr);
        return help ? 0 : 2;
    }
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
        if (strcmp(argv[0], tools[i].name) == 0)
            return flushed(tools[i].run(argc - 1, argv + 1));
    (void)fprintf(stderr, "narthex tool: there is no \"%s\"\n%s", argv[0], usage);
    return 2;
}
