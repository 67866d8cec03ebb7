/* promqltest [options] FILE|DIRECTORY...: runs Prometheus .test files against the engine.
 *
 * Prints each failing case with file and line, what was expected and what came, then a table of the
 * files and, on a line alone, `N passed, N failed, N skipped`. A case is one eval; a load or a
 * block that cannot be read counts as a case only when it fails. Exit status 1 on any unexpected
 * failure, 77 when the corpus is absent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "tests/conformance/promqltest.h"
#include "tests/conformance/promqltest_expected.h"

#define EXIT_SKIPPED 77
#define MAX_REPORT_BYTES (4u << 20)

struct totals {
    size_t passed, failed, skipped;
};

struct runner {
    struct pt_options options;
    struct pt_expected expected;
    bool has_expected;
    bool print_failures; /* as lines for the list, instead of reports */
    struct totals totals;
};

static const char usage[] =
    "usage: promqltest [options] FILE|DIRECTORY...\n"
    "Runs Prometheus .test files against the PromQL engine.\n"
    "  --corpus                 the corpus: $NARTHEX_PROMQLTEST_DIR, else " PROMQLTEST_DEFAULT_DIR
    "\n"
    "  --expect-failures=FILE   cases known to fail, as file.test:line; they count as skipped\n"
    "  --no-reruns              each instant case once, not also pinned by @ and as a range query\n"
    "  --list-failures          print only file.test:line of each failing case\n";

static struct nx_view base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return nx_view_of(slash ? slash + 1 : path);
}

static void report(const struct runner *runner, const struct pt_command *cmd, struct nx_view file,
                   const struct nx_buf *why)
{
    if (runner->print_failures) {
        printf("%.*s:%zu\n", NX_VIEW_ARG(file), cmd->line);
        return;
    }
    printf("FAIL %.*s:%zu: %.*s\n", NX_VIEW_ARG(file), cmd->line, NX_VIEW_ARG(cmd->text));
    if (why->len > 0)
        fwrite(why->data, 1, why->len, stdout);
}

static void account(struct runner *runner, const struct pt_command *cmd, struct nx_view file,
                    bool ok, const struct nx_buf *why, struct totals *totals)
{
    struct pt_expected_entry *known =
        runner->has_expected ? pt_expected_find(&runner->expected, file, cmd->line) : NULL;
    if (known && ok) {
        printf("FAIL %.*s:%zu: passes now: remove it from the list of expected failures\n",
               NX_VIEW_ARG(file), cmd->line);
        totals->failed++;
    } else if (known) {
        totals->skipped++;
    } else if (!ok) {
        report(runner, cmd, file, why);
        totals->failed++;
    } else if (cmd->kind == PT_EVAL) {
        totals->passed++;
    }
}

static void check_unseen(struct runner *runner, struct nx_view file, struct totals *totals)
{
    if (!runner->has_expected)
        return;
    for (size_t i = 0; i < runner->expected.count; i++) {
        const struct pt_expected_entry *entry = &runner->expected.items[i];
        if (entry->seen || !nx_view_eq(entry->file, file))
            continue;
        printf("FAIL %.*s:%zu: no such case: remove it from the list of expected failures\n",
               NX_VIEW_ARG(file), entry->line);
        totals->failed++;
    }
}

static void run_file(struct runner *runner, const char *path)
{
    struct pt_file file;
    struct nx_fail fail = {0};
    struct memory_source *memory = NULL;
    struct nx_view name = base_name(path);
    struct totals totals = {0};
    enum nx_err err = pt_file_read(path, &file, &fail);
    if (!err)
        err = memory_source_new(&memory);
    if (err) {
        fail.code = err;
        printf("FAIL %s: %s\n", path, nx_fail_text(&fail));
        totals.failed++;
    }
    for (size_t i = 0; i < file.count && !err; i++) {
        struct nx_buf why;
        nx_buf_init(&why, MAX_REPORT_BYTES);
        bool ok = pt_run_command(memory, &file.commands[i], &runner->options, &why);
        account(runner, &file.commands[i], name, ok, &why, &totals);
        nx_buf_release(&why);
    }
    check_unseen(runner, name, &totals);
    memory_source_free(memory);
    pt_file_release(&file);
    if (!runner->print_failures)
        printf("%-32.*s %5zu passed %5zu failed %5zu skipped\n", NX_VIEW_ARG(name), totals.passed,
               totals.failed, totals.skipped);
    runner->totals.passed += totals.passed;
    runner->totals.failed += totals.failed;
    runner->totals.skipped += totals.skipped;
}

/* A file, or every *.test below a directory; false where it does not exist. */
static bool run_path(struct runner *runner, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    if (!S_ISDIR(st.st_mode)) {
        run_file(runner, path);
        return true;
    }
    char **names;
    size_t count;
    if (nx_dir_list(path, &names, &count) != NX_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!nx_view_has_suffix(nx_view_of(names[i]), NX_VIEW(".test")))
            continue;
        char *file = nx_path_join(path, names[i]);
        if (file)
            run_file(runner, file);
        nx_free(file);
    }
    nx_dir_free(names, count);
    return true;
}

static const char *corpus_dir(void)
{
    const char *dir = getenv("NARTHEX_PROMQLTEST_DIR");
    return dir && *dir ? dir : PROMQLTEST_DEFAULT_DIR;
}

/* Reads an option; false for a usage error. */
static bool take_option(struct runner *runner, const char *arg, bool *corpus)
{
    static const char expect[] = "--expect-failures=";
    if (strcmp(arg, "--corpus") == 0) {
        *corpus = true;
    } else if (strcmp(arg, "--no-reruns") == 0) {
        runner->options.reruns = false;
    } else if (strcmp(arg, "--list-failures") == 0) {
        runner->print_failures = true;
    } else if (strncmp(arg, expect, sizeof expect - 1) == 0 && !runner->has_expected) {
        struct nx_fail fail;
        runner->has_expected = true;
        if (pt_expected_read(arg + sizeof expect - 1, &runner->expected, &fail) != NX_OK) {
            fprintf(stderr, "promqltest: %s\n", nx_fail_text(&fail));
            return false;
        }
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct runner runner = {.options = {.reruns = true}};
    bool corpus = false, any = false;
    int status = 0;
    int first = 1;
    for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
        const char *arg = argv[first];
        char joined[4096];
        if (strcmp(arg, "--expect-failures") == 0 && first + 1 < argc) {
            snprintf(joined, sizeof joined, "%s=%s", arg, argv[++first]);
            arg = joined;
        }
        if (!take_option(&runner, arg, &corpus)) {
            fputs(usage, stderr);
            status = 2;
            goto done;
        }
    }
    if (first == argc && !corpus) {
        fputs(usage, stderr);
        status = 2;
        goto done;
    }
    if (corpus && !(any = run_path(&runner, corpus_dir()))) {
        printf("promqltest: the corpus is not at %s (NARTHEX_PROMQLTEST_DIR): skipped\n",
               corpus_dir());
        status = EXIT_SKIPPED;
    }
    for (int i = first; i < argc; i++) {
        if (run_path(&runner, argv[i])) {
            any = true;
            continue;
        }
        printf("FAIL %s: no such file\n", argv[i]);
        runner.totals.failed++;
    }
    if (!runner.print_failures)
        printf("%zu passed, %zu failed, %zu skipped\n", runner.totals.passed, runner.totals.failed,
               runner.totals.skipped);
    if (any)
        status = 0;
    if (runner.totals.failed > 0)
        status = 1;
done:
    if (runner.has_expected)
        pt_expected_release(&runner.expected);
    return status;
}
