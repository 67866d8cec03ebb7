/* sim: runs seeds, each a world in a child process of its own.
 *
 *     sim --seed N --count M --hours H [--jobs J] [--faults LIST] [--mutant NAME] [--twice]
 * [--trace] sim --mutants --seed N --count M --hours H [--jobs J] [--faults LIST]
 *
 * A seed that breaks a promise, or ends its process, is run again with its trace in sim-SEED.log.
 * With --mutant the program has a fault of its own (mutants.h); --mutants wants each of them found
 * within M seeds. SIGINT or SIGTERM end a long run early, with its totals. Exit 0 only where all
 * promises held, or all mutants were found. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/cluster.h"
#include "tests/sim/faults.h"

enum { JOBS_MAX = 64 };

struct plan {
    uint64_t first, count;
    double hours;
    size_t jobs;
    unsigned faults;
    enum sim_mutant mutant;
    bool twice, trace, storm, deletes;
    bool hunt; /* ends with the first broken promise; no trace */
};

struct child {
    pid_t pid; /* 0: free */
    int pipe;
    uint64_t seed;
};

struct totals {
    struct sim_outcome sum;
    uint64_t seeds, broken;
};

/* What libraries allocated for a process that was killed stays with nobody: the simulation knows
 * only nx_alloc. Orderly ends are tested for leaks elsewhere, too. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libroaring\nleak:nx_regex_new\nleak:libre2\nleak:libzstd\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

static struct sim_options options_of(const struct plan *plan, uint64_t seed)
{
    return (struct sim_options){.seed = seed,
                                .duration_ns = (uint64_t)(plan->hours * 3600) * SIM_S,
                                .faults = plan->faults,
                                .mutant = plan->mutant,
                                .storm = plan->storm,
                                .deletes = plan->deletes,
                                .trace = plan->trace};
}

static void run_seed(const struct plan *plan, uint64_t seed, struct sim_outcome *out)
{
    struct sim_options options = options_of(plan, seed);
    sim_cluster_run(&options, out);
    if (!plan->twice || out->problem[0])
        return;
    struct sim_outcome again;
    sim_cluster_run(&options, &again);
    if (again.hash != out->hash || again.events != out->events)
        (void)snprintf(out->problem, sizeof out->problem,
                       "not deterministic: hash %016" PRIx64 " after %" PRIu64
                       " events, then %016" PRIx64 " after %" PRIu64,
                       out->hash, out->events, again.hash, again.events);
}

/* SIGINT or SIGTERM: the seeds under way are the last ones, and the totals are printed. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void child_main(const struct plan *plan, uint64_t seed, int pipe)
{
    struct sim_outcome outcome;
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_DFL);
    run_seed(plan, seed, &outcome);
    ssize_t n = write(pipe, &outcome, sizeof outcome);
    exit(n == (ssize_t)sizeof outcome ? 0 : 1);
}

static void start_child(const struct plan *plan, uint64_t seed, struct child *child)
{
    int ends[2];
    sim_check(pipe(ends) == 0, "a pipe");
    (void)fflush(NULL);
    pid_t pid = fork();
    sim_check(pid >= 0, "a child process");
    if (pid == 0) {
        (void)close(ends[0]);
        child_main(plan, seed, ends[1]);
    }
    (void)close(ends[1]);
    *child = (struct child){.pid = pid, .pipe = ends[0], .seed = seed};
}

/* Replays the seed with its trace in a file. */
static void write_trace(const struct plan *plan, uint64_t seed)
{
    char path[64];
    (void)snprintf(path, sizeof path, "sim-%" PRIu64 ".log", seed);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct plan traced = *plan;
        struct sim_outcome outcome;
        traced.trace = true;
        if (!freopen(path, "w", stderr))
            _exit(1);
        (void)setvbuf(stderr, NULL, _IOLBF, 0);
        run_seed(&traced, seed, &outcome);
        _exit(0);
    }
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    printf("    trace: %s\n", path);
}

static void add(struct sim_outcome *sum, const struct sim_outcome *one)
{
    sum->events += one->events;
    sum->samples += one->samples;
    sum->acked += one->acked;
    sum->checked += one->checked;
    sum->deleted += one->deleted;
    sum->writes += one->writes;
    sum->writes_failed += one->writes_failed;
    sum->reads += one->reads;
    sum->reads_failed += one->reads_failed;
    sum->reads_partial += one->reads_partial;
    sum->hash ^= one->hash * (one->events | 1);
}

static void take_child(const struct plan *plan, struct child *child, struct totals *totals)
{
    struct sim_outcome outcome;
    int status = 0;
    ssize_t n = read(child->pipe, &outcome, sizeof outcome);
    (void)close(child->pipe);
    (void)waitpid(child->pid, &status, 0);
    child->pid = 0;
    totals->seeds++;
    bool ended = n == (ssize_t)sizeof outcome && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (ended)
        add(&totals->sum, &outcome);
    if (ended && !outcome.problem[0])
        return;
    if (plan->hunt && !ended) /* an assertion of the program found it: not the checker */
        return;
    totals->broken++;
    if (plan->hunt && totals->broken == 1)
        printf("mutant %s: found with seed %" PRIu64 ": %s\n", sim_mutants[plan->mutant].name,
               child->seed, outcome.problem);
    if (plan->hunt)
        return;
    if (ended)
        printf("seed %" PRIu64 ": %s\n", child->seed, outcome.problem);
    else
        printf("seed %" PRIu64 ": the process ended with status %d\n", child->seed, status);
    printf("    replay: sim --seed %" PRIu64 " --hours %g --faults 0x%x%s%s --mutant %s --trace\n",
           child->seed, plan->hours, plan->faults, plan->storm ? " --storm" : "",
           plan->deletes ? " --deletes" : "", sim_mutants[plan->mutant].name);
    if (!plan->trace)
        write_trace(plan, child->seed);
}

static void print_totals(const struct plan *plan, const struct totals *totals, double seconds)
{
    const struct sim_outcome *sum = &totals->sum;
    printf("%" PRIu64 " seeds of %g h, %" PRIu64 " broken; %" PRIu64 " events, %" PRIu64
           " samples sent, %" PRIu64 " acknowledged, %" PRIu64 " checked, %" PRIu64
           " deleted; writes %" PRIu64 " (%" PRIu64 " failed), reads %" PRIu64 " (%" PRIu64
           " failed, %" PRIu64 " partial); %.1f s, hash %016" PRIx64 "\n",
           totals->seeds, plan->hours, totals->broken, sum->events, sum->samples, sum->acked,
           sum->checked, sum->deleted, sum->writes, sum->writes_failed, sum->reads,
           sum->reads_failed, sum->reads_partial, seconds, sum->hash);
}

/* In the order of the seeds: with jobs of like length little is lost by it. */
static void run_seeds(const struct plan *plan, struct totals *totals)
{
    struct child children[JOBS_MAX] = {{.pid = 0}};
    for (uint64_t i = 0; i < plan->count && !interrupted; i++) {
        if (plan->hunt && totals->broken > 0)
            break;
        struct child *child = &children[i % plan->jobs];
        if (child->pid)
            take_child(plan, child, totals);
        start_child(plan, plan->first + i, child);
    }
    for (size_t i = 0; i < plan->jobs; i++)
        if (children[i].pid)
            take_child(plan, &children[i], totals);
}

static int run_plan(const struct plan *plan)
{
    struct totals totals = {.seeds = 0};
    struct timespec began, ended;
    (void)clock_gettime(CLOCK_MONOTONIC, &began);
    run_seeds(plan, &totals);
    (void)clock_gettime(CLOCK_MONOTONIC, &ended);
    print_totals(plan, &totals,
                 (double)(ended.tv_sec - began.tv_sec) +
                     (double)(ended.tv_nsec - began.tv_nsec) / 1e9);
    return totals.broken > 0 ? 1 : 0;
}

/* Whether the checker can fail. */
static int hunt(const struct plan *plan)
{
    int missed = 0;
    for (int i = 1; i < SIM_MUTANT_COUNT; i++) {
        struct plan one = *plan;
        struct totals totals = {.seeds = 0};
        one.mutant = (enum sim_mutant)i;
        one.faults = sim_mutants[i].faults;
        one.storm = sim_mutants[i].storm;
        one.deletes = i == SIM_MUTANT_FORGET_DELETE;
        run_seeds(&one, &totals);
        if (totals.broken > 0)
            continue;
        missed++;
        printf("mutant %s: not found in %" PRIu64 " seeds\n", sim_mutants[i].name, totals.seeds);
    }
    return missed > 0 ? 1 : 0;
}

static bool parse_mutant(const char *text, enum sim_mutant *out)
{
    int i = 0;
    while (i < SIM_MUTANT_COUNT && strcmp(sim_mutants[i].name, text) != 0)
        i++;
    *out = (enum sim_mutant)i;
    return i < SIM_MUTANT_COUNT;
}

/* Names with commas between them, a number, "all" or "none". */
static bool parse_faults(const char *text, unsigned *out)
{
    char *end;
    unsigned long number = strtoul(text, &end, 0);
    *out = (unsigned)number;
    if (*text && !*end)
        return true;
    *out = strcmp(text, "all") == 0 ? SIM_FAULTS_ALL : 0;
    if (*out || strcmp(text, "none") == 0)
        return true;
    while (*text) {
        size_t len = strcspn(text, ",");
        unsigned kind = 0;
        while (kind < SIM_FAULT_COUNT && (strlen(sim_fault_names[kind]) != len ||
                                          strncmp(sim_fault_names[kind], text, len) != 0))
            kind++;
        if (kind == SIM_FAULT_COUNT)
            return false;
        *out |= 1u << kind;
        text += len + (text[len] == ',');
    }
    return true;
}

static int usage(void)
{
    (void)fprintf(
        stderr,
        "usage: sim [--seed N] [--count M] [--hours H] [--jobs J] "
        "[--faults all|none|NAME,...] [--storm] [--deletes] [--mutant NAME | --mutants] [--twice] "
        "[--trace]\nfaults:");
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
        (void)fprintf(stderr, " %s", sim_fault_names[i]);
    (void)fputs("\nmutants:", stderr);
    for (unsigned i = 1; i < SIM_MUTANT_COUNT; i++)
        (void)fprintf(stderr, " %s", sim_mutants[i].name);
    (void)fputc('\n', stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},   {"count", required_argument, NULL, 'c'},
        {"hours", required_argument, NULL, 'h'},  {"jobs", required_argument, NULL, 'j'},
        {"faults", required_argument, NULL, 'f'}, {"twice", no_argument, NULL, '2'},
        {"trace", no_argument, NULL, 't'},        {"mutant", required_argument, NULL, 'm'},
        {"storm", no_argument, NULL, 'S'},        {"deletes", no_argument, NULL, 'D'},
        {"mutants", no_argument, NULL, 'M'},      {NULL, 0, NULL, 0}};
    struct plan plan = {.first = 1, .count = 1, .hours = 1, .jobs = 1};
    (void)parse_faults("all", &plan.faults);
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            plan.first = strtoull(optarg, NULL, 10);
        else if (option == 'c')
            plan.count = strtoull(optarg, NULL, 10);
        else if (option == 'h')
            plan.hours = strtod(optarg, NULL);
        else if (option == 'j')
            plan.jobs = (size_t)strtoul(optarg, NULL, 10);
        else if (option == '2')
            plan.twice = true;
        else if (option == 't')
            plan.trace = true;
        else if (option == 'D')
            plan.deletes = true;
        else if (option == 'S')
            plan.storm = true;
        else if (option == 'M')
            plan.hunt = true;
        else if (option == 'm' && parse_mutant(optarg, &plan.mutant))
            continue;
        else if (option != 'f' || !parse_faults(optarg, &plan.faults))
            return usage();
    }
    if (optind != argc || plan.jobs == 0 || plan.jobs > JOBS_MAX || !(plan.hours > 0))
        return usage();
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    return plan.hunt ? hunt(&plan) : run_plan(&plan);
}
