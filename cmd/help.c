/* `narthex help`, `narthex help config`, `narthex help overrides`. */
#include <stdio.h>
#include <string.h>

#include "cmd/main.h"
#include "cmd/settings.h"

static const char usage[] =
    "Narthex: a sharded, replicated metrics cluster that speaks Prometheus.\n"
    "\n"
    "  narthex all          everything in one process, data under ./data\n"
    "  narthex distributor  takes writes and places every series on its replicas\n"
    "  narthex ingester     holds and persists the series\n"
    "  narthex querier      answers PromQL over the Prometheus HTTP API\n"
    "  narthex ctl          looks at a running cluster (`narthex ctl help`)\n"
    "  narthex tool         expressions, queries, blocks, import and export (`narthex tool help`)\n"
    "  narthex help config  every setting, with its default and meaning\n"
    "  narthex help overrides  what can be set for single tenants\n"
    "  narthex version\n"
    "\n"
    "Settings come from --config=FILE (YAML) and from flags, --section.key=value; the flag wins.\n";

static enum nx_err print_config(struct nx_buf *page)
{
    struct cmd_settings settings = {.listen = NULL};
    struct nx_config *config = NULL;
    enum nx_err err = cmd_settings_open(CMD_ALL, &settings, &config);
    if (!err)
        nx_config_print_help(config, page);
    nx_config_free(config);
    return err;
}

static enum nx_err print_overrides(struct nx_buf *page)
{
    nx_buf_append_str(page,
                      "For a tenant under `overrides`, for all others under `defaults`, in the "
                      "file tenants.overrides-file:\n\n");
    nx_overrides_print_help(page);
    return NX_OK;
}

static int print_page(enum nx_err (*print)(struct nx_buf *page))
{
    struct nx_buf page;
    nx_buf_init(&page, (size_t)1 << 20);
    enum nx_err err = print(&page);
    if (!err)
        err = nx_buf_err(&page);
    if (err)
        (void)fprintf(stderr, "narthex: %s\n", nx_err_text(err));
    else
        (void)fwrite(page.data, 1, page.len, stdout);
    nx_buf_release(&page);
    return err ? 1 : 0;
}

int cmd_help(int argc, char **argv)
{
    if (argc == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (strcmp(argv[0], "config") == 0)
        return print_page(print_config);
    if (strcmp(argv[0], "overrides") == 0)
        return print_page(print_overrides);
    (void)fprintf(stderr, "narthex help: \"%s\" is no topic; there are `config` and `overrides`\n",
                  argv[0]);
    return 2;
}
