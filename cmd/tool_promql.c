/* `narthex tool promql`: expressions, without a server. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/tool.h"
#include "common/base/buf.h"
#include "common/config/config.h"
#include "querier/features.h"
#include "querier/promql/print.h"
#include "querier/querier.h"

#define MAX_INPUT_BYTES ((size_t)16 << 20)
#define MAX_OUTPUT_BYTES ((size_t)256 << 20)

enum action { ACTION_FMT, ACTION_CHECK, ACTION_PARSE };

struct promql {
    enum action action;
    struct qry_features features;
    const char *place; /* the file, in front of what is wrong; NULL for an argument */
    bool lines;
};

static void complain(const struct promql *tool, size_t line, const char *text)
{
    if (tool->place && line > 0)
        (void)fprintf(stderr, "%s:%zu: ", tool->place, line);
    else if (tool->place)
        (void)fprintf(stderr, "%s: ", tool->place);
    (void)fprintf(stderr, "%s\n", text);
}

static bool print_tree(const struct promql *tool, const struct qry_expr *expr)
{
    struct nx_buf out;
    nx_buf_init(&out, MAX_OUTPUT_BYTES);
    if (tool->action == ACTION_FMT)
        qry_print_pretty(&out, expr);
    else if (tool->action == ACTION_PARSE)
        qry_print_json(&out, expr);
    enum nx_err err = nx_buf_err(&out);
    if (err)
        (void)fprintf(stderr, "narthex tool promql: %s\n", nx_err_text(err));
    else if (tool->action != ACTION_CHECK)
        (void)printf("%.*s\n", NX_VIEW_ARG(nx_buf_view(&out)));
    nx_buf_release(&out);
    return err == NX_OK;
}

/* `line` 0: the text is the whole of its source. */
static bool work_on(const struct promql *tool, struct nx_view text, size_t line)
{
    struct nx_fail fail = {0};
    struct qry_query *query = NULL;
    if (qry_parse(text, &tool->features, &query, &fail) != NX_OK) {
        complain(tool, line, nx_fail_text(&fail));
        return false;
    }
    bool ok = print_tree(tool, qry_query_expr(query));
    qry_query_free(query);
    return ok;
}

static bool parses(const struct promql *tool, struct nx_view text)
{
    struct qry_query *query = NULL;
    if (qry_parse(text, &tool->features, &query, NULL) != NX_OK)
        return false;
    qry_query_free(query);
    return true;
}

/* The next line that holds more than blanks and a comment; *number counts all of them. */
static bool next_line(struct nx_view *rest, size_t *number, struct nx_view *line)
{
    while (rest->len > 0) {
        size_t end = nx_view_find(*rest, '\n');
        *line = nx_view_trim(nx_view_make(rest->ptr, end));
        size_t skip = end < rest->len ? end + 1 : end;
        *rest = nx_view_make(rest->ptr + skip, rest->len - skip);
        ++*number;
        if (line->len > 0 && line->ptr[0] != '#')
            return true;
    }
    return false;
}

static int work_on_lines(const struct promql *tool, struct nx_view text)
{
    struct nx_view line;
    size_t number = 0;
    bool ok = true;
    while (next_line(&text, &number, &line))
        ok = work_on(tool, line, number) && ok;
    return ok ? 0 : 1;
}

/* A file is one expression if it parses as one; it is a list if its first line stands alone and
 * another follows. */
static int work_on_file(const struct promql *tool, struct nx_view text)
{
    struct nx_view rest = text, first, second;
    size_t number = 0;
    bool list = tool->lines;
    if (!list && !parses(tool, text))
        list = next_line(&rest, &number, &first) && next_line(&rest, &number, &second) &&
               parses(tool, first);
    if (list)
        return work_on_lines(tool, text);
    return work_on(tool, text, 0) ? 0 : 1;
}

static bool read_all(FILE *file, const char *name, struct nx_buf *out)
{
    char piece[8192];
    size_t len;
    while ((len = fread(piece, 1, sizeof piece, file)) > 0)
        nx_buf_append(out, piece, len);
    if (ferror(file))
        (void)fprintf(stderr, "narthex tool promql: %s: cannot be read\n", name);
    else if (nx_buf_err(out))
        (void)fprintf(stderr, "narthex tool promql: %s: %s\n", name, nx_err_text(nx_buf_err(out)));
    return !ferror(file) && nx_buf_err(out) == NX_OK;
}

static int run_file(struct promql *tool, const char *path)
{
    struct nx_buf text;
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    int status = 1;
    tool->place = standard ? "<stdin>" : path;
    if (!file) {
        perror(path);
        return 1;
    }
    nx_buf_init(&text, MAX_INPUT_BYTES);
    if (read_all(file, tool->place, &text))
        status = work_on_file(tool, nx_view_make(text.data ? text.data : "", text.len));
    nx_buf_release(&text);
    if (!standard)
        (void)fclose(file);
    return status;
}

static bool read_features(const char *list, struct qry_features *out)
{
    struct qry_settings settings;
    struct nx_setting_group group = qry_setting_group(&settings);
    struct nx_config *config = NULL;
    struct nx_fail fail = {0};
    enum nx_err err = nx_config_new(&group, 1, &config); /* for the default */
    if (!err)
        err = qry_features_parse(list ? list : settings.features, out, &fail);
    if (err)
        (void)fprintf(stderr, "narthex tool promql: %s\n",
                      fail.text[0] ? fail.text : nx_err_text(err));
    nx_config_free(config);
    return err == NX_OK;
}

static bool read_action(const char *word, enum action *out)
{
    static const char *const names[] = {"fmt", "check", "parse"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(word, names[i]) == 0) {
            *out = (enum action)i;
            return true;
        }
    return false;
}

static int misuse(const char *what)
{
    (void)fprintf(stderr,
                  "narthex tool promql: %s\n"
                  "usage: narthex tool promql fmt|check|parse [EXPR | --file=FILE | -]\n",
                  what);
    return 2;
}

static int unknown_option(const char *option)
{
    char text[200];
    (void)snprintf(text, sizeof text, "\"%s\" is not expected here", option);
    return misuse(text);
}

int cmd_tool_promql(int argc, char **argv)
{
    struct promql tool = {.place = NULL};
    const char *expr = NULL, *file = NULL, *features = NULL, *value;
    if (argc == 0 || !read_action(argv[0], &tool.action))
        return misuse("say fmt, check or parse");
    for (int i = 1; i < argc; i++) {
        if ((value = cmd_tool_option(argc, argv, &i, "--file")))
            file = value;
        else if ((value = cmd_tool_option(argc, argv, &i, "--features")))
            features = value;
        else if (strcmp(argv[i], "--lines") == 0)
            tool.lines = true;
        else if (cmd_tool_is_option(argv[i]))
            return unknown_option(argv[i]);
        else if (expr)
            return misuse("one expression at a time; quote it");
        else
            expr = argv[i];
    }
    if (expr && file)
        return misuse("an expression or a file, not both");
    if (!expr && !file && isatty(STDIN_FILENO))
        return misuse("no expression");
    if (!read_features(features, &tool.features))
        return 2;
    if (expr && strcmp(expr, "-") != 0)
        return work_on(&tool, nx_view_of(expr), 0) ? 0 : 1;
    return run_file(&tool, file ? file : "-");
}
