/* narthex SUBCOMMAND [flags] */
#include "cmd/main.h"

#include <stdio.h>
#include <string.h>

#include "cmd/process.h"

/* Asked for by jemalloc, where it is linked: what a thread has freed goes back to the system
 * although the thread sleeps, as a lane does between two compactions. */
extern const char *const malloc_conf;
const char *const malloc_conf = "background_thread:true";

struct subcommand {
    const char *name;
    unsigned roles; /* a serving process, or ... */
    int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    {"all", CMD_ALL, NULL},
    {"distributor", CMD_DISTRIBUTOR, NULL},
    {"ingester", CMD_INGESTER, NULL},
    {"querier", CMD_QUERIER, NULL},
    {"ctl", 0, cmd_ctl},
    {"tool", 0, cmd_tool},
    {"help", 0, cmd_help},
    {"--help", 0, cmd_help},
    {"-h", 0, cmd_help},
};

static int print_version(void)
{
    (void)printf("narthex %s\n", NARTHEX_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return cmd_help(0, NULL);
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0)
        return print_version();
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        const struct subcommand *command = &subcommands[i];
        if (strcmp(argv[1], command->name) != 0)
            continue;
        if (command->run)
            return command->run(argc - 2, argv + 2);
        if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
            return cmd_help(1, (char *[]){"config"});
        return cmd_process_run(command->roles, argc - 2, argv + 2);
    }
    (void)fprintf(stderr, "narthex: there is no subcommand \"%s\"; `narthex help` lists them\n",
                  argv[1]);
    return 2;
}
