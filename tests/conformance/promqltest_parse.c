/* Splits a .test file into its commands (promqltest format, sections 1 and 2). Blocks end at an
 * empty line; a comment line counts as one. A block that cannot be read becomes a PT_BROKEN
 * command, so that one case fails and the rest of the file still runs. */
#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/base/time.h"
#include "tests/conformance/promqltest.h"

#define MAX_FILE_BYTES (16u << 20)

struct reader {
    struct pt_file *file;
    struct nx_view rest;
    size_t line; /* of the line last taken, from 1 */
};

/* The next line, trimmed; a comment reads as an empty one. */
static bool take_line(struct reader *r, struct nx_view *line)
{
    if (r->rest.len == 0)
        return false;
    size_t end = nx_view_find(r->rest, '\n');
    *line = nx_view_trim(nx_view_make(r->rest.ptr, end));
    size_t skip = end < r->rest.len ? end + 1 : end;
    r->rest = nx_view_make(r->rest.ptr + skip, r->rest.len - skip);
    r->line++;
    if (line->len > 0 && line->ptr[0] == '#')
        line->len = 0;
    return true;
}

static struct nx_view take_word(struct nx_view *text)
{
    *text = nx_view_trim(*text);
    size_t n = 0;
    while (n < text->len && text->ptr[n] != ' ' && text->ptr[n] != '\t')
        n++;
    struct nx_view word = nx_view_make(text->ptr, n);
    *text = nx_view_trim(nx_view_make(text->ptr + n, text->len - n));
    return word;
}

static enum nx_err take_keyword(struct nx_view *text, const char *word, struct nx_fail *fail)
{
    struct nx_view got = take_word(text);
    if (nx_view_is(got, word))
        return NX_OK;
    return nx_fail_set(fail, NX_ERR_INVALID, "expected \"%s\", got \"%.*s\"", word,
                       NX_VIEW_ARG(got));
}

static enum nx_err take_time(struct nx_view *text, int64_t *ms, struct nx_fail *fail)
{
    return nx_duration_parse(take_word(text), ms, fail);
}

static enum nx_err keyword_time(struct nx_view *text, const char *word, int64_t *ms,
                                struct nx_fail *fail)
{
    enum nx_err err = take_keyword(text, word, fail);
    return err ? err : take_time(text, ms, fail);
}

static enum nx_err put_pattern(struct nx_arena *arena, struct pt_patterns *patterns,
                               struct pt_pattern pattern)
{
    if (!nx_arena_grow(arena, &patterns->items, patterns->count, &patterns->capacity,
                       patterns->count + 1, sizeof pattern)) {
        nx_regex_free(pattern.regex);
        return NX_ERR_NOMEM;
    }
    patterns->items[patterns->count++] = pattern;
    return NX_OK;
}

/* --- eval --- */

static enum nx_err parse_eval_line(struct reader *r, struct pt_command *cmd, struct nx_fail *fail)
{
    struct nx_view text = cmd->text;
    struct nx_view word = take_word(&text);
    struct nx_arena *arena = &r->file->arena;
    struct pt_eval *eval = &cmd->eval;
    enum nx_err err = NX_OK;
    if (nx_view_is(word, "eval_fail"))
        eval->fail = true;
    else if (nx_view_is(word, "eval_warn"))
        err = put_pattern(arena, &eval->warnings, (struct pt_pattern){0});
    else if (nx_view_is(word, "eval_info"))
        err = put_pattern(arena, &eval->infos, (struct pt_pattern){0});
    else if (nx_view_is(word, "eval_ordered"))
        eval->ordered = true;
    else if (!nx_view_is(word, "eval"))
        return nx_fail_set(fail, NX_ERR_INVALID, "invalid command \"%.*s\"", NX_VIEW_ARG(word));
    if (err)
        return err;
    word = take_word(&text);
    eval->range = nx_view_is(word, "range");
    if (!eval->range && !nx_view_is(word, "instant"))
        return nx_fail_set(fail, NX_ERR_INVALID, "expected instant or range, got \"%.*s\"",
                           NX_VIEW_ARG(word));
    if (eval->range) {
        if ((err = keyword_time(&text, "from", &eval->start_ms, fail)) ||
            (err = keyword_time(&text, "to", &eval->end_ms, fail)) ||
            (err = keyword_time(&text, "step", &eval->step_ms, fail)))
            return err;
        if (eval->end_ms < eval->start_ms)
            return nx_fail_set(fail, NX_ERR_INVALID, "end time before start time");
    } else {
        if ((err = keyword_time(&text, "at", &eval->start_ms, fail)))
            return err;
        eval->end_ms = eval->start_ms;
    }
    if (text.len == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "no expression");
    eval->expr = text;
    return NX_OK;
}

static enum nx_err parse_pattern(struct nx_view text, struct pt_pattern *out, struct nx_fail *fail)
{
    struct pt_pattern pattern = {0};
    text = nx_view_trim(text);
    if (nx_view_has_prefix(text, NX_VIEW("msg:"))) {
        pattern.kind = PT_MSG;
        pattern.text = nx_view_trim(nx_view_make(text.ptr + 4, text.len - 4));
    } else if (nx_view_has_prefix(text, NX_VIEW("regex:"))) {
        pattern.kind = PT_REGEX;
        pattern.text = nx_view_trim(nx_view_make(text.ptr + 6, text.len - 6));
        enum nx_err err = nx_regex_new(pattern.text, false, &pattern.regex, fail);
        if (err)
            return err;
    } else if (text.len > 0) {
        return nx_fail_set(fail, NX_ERR_INVALID, "bad expectation \"%.*s\"", NX_VIEW_ARG(text));
    }
    *out = pattern;
    return NX_OK;
}

/* A quoted string, as PromQL itself reads one. */
static enum nx_err unquote(struct nx_arena *arena, struct nx_view text, struct nx_view *out,
                           struct nx_fail *fail)
{
    const struct qry_features features = {0};
    struct qry_query *query = NULL;
    enum nx_err err = qry_parse(text, &features, &query, fail);
    if (err)
        return err;
    const struct qry_expr *expr = qry_query_expr(query);
    if (expr->kind != QRY_NODE_STRING)
        err = nx_fail_set(fail, NX_ERR_INVALID, "expected a quoted string");
    else
        *out = nx_arena_copy(arena, expr->string);
    qry_query_free(query);
    return err ? err : out->ptr ? NX_OK : NX_ERR_NOMEM;
}

/* `range vector from A to B step S`: the query is evaluated at B, point i expected at A + i*S. */
static enum nx_err parse_matrix_expectation(struct nx_view text, struct pt_eval *eval,
                                            struct nx_fail *fail)
{
    enum nx_err err = take_keyword(&text, "vector", fail);
    if (err || (err = keyword_time(&text, "from", &eval->start_ms, fail)) ||
        (err = keyword_time(&text, "to", &eval->end_ms, fail)) ||
        (err = keyword_time(&text, "step", &eval->step_ms, fail)))
        return err;
    eval->expect_matrix = true;
    return NX_OK;
}

static enum nx_err parse_expectation(struct nx_arena *arena, struct nx_view text,
                                     struct pt_eval *eval, struct nx_fail *fail)
{
    struct nx_view kind = take_word(&text);
    if (nx_view_is(kind, "string")) {
        eval->expect_string = true;
        return unquote(arena, text, &eval->string, fail);
    }
    if (nx_view_is(kind, "range"))
        return parse_matrix_expectation(text, eval, fail);
    struct pt_pattern pattern;
    enum nx_err err = parse_pattern(text, &pattern, fail);
    if (err)
        return err;
    if (nx_view_is(kind, "warn"))
        return put_pattern(arena, &eval->warnings, pattern);
    if (nx_view_is(kind, "info"))
        return put_pattern(arena, &eval->infos, pattern);
    if (nx_view_is(kind, "fail") && !eval->fail_line) {
        eval->fail = eval->fail_line = true;
        eval->fail_pattern = pattern;
        return NX_OK;
    }
    nx_regex_free(pattern.regex);
    if (nx_view_is(kind, "no_warn"))
        eval->no_warning = true;
    else if (nx_view_is(kind, "no_info"))
        eval->no_info = true;
    else if (nx_view_is(kind, "ordered"))
        eval->ordered = true;
    else
        return nx_fail_set(fail, NX_ERR_INVALID, "unknown expectation \"%.*s\"", NX_VIEW_ARG(kind));
    return NX_OK;
}

/* The older form: these lines end their block. */
static enum nx_err parse_legacy(struct nx_view line, struct pt_eval *eval, struct nx_fail *fail)
{
    struct nx_view kind = take_word(&line);
    struct pt_pattern pattern = {.kind = PT_MSG, .text = line};
    if (nx_view_is(kind, "expected_fail_regexp")) {
        pattern.kind = PT_REGEX;
        enum nx_err err = nx_regex_new(line, false, &pattern.regex, fail);
        if (err)
            return err;
    }
    nx_regex_free(eval->fail_pattern.regex);
    eval->fail_pattern = pattern;
    return NX_OK;
}

static enum nx_err put_series(struct nx_arena *arena, struct pt_series_list *list,
                              struct pt_series series)
{
    if (!nx_arena_grow(arena, &list->items, list->count, &list->capacity, list->count + 1,
                       sizeof series))
        return NX_ERR_NOMEM;
    list->items[list->count++] = series;
    return NX_OK;
}

/* One line of an eval block; *last when it ends the block. */
static enum nx_err parse_eval_item(struct reader *r, struct pt_command *cmd, struct nx_view line,
                                   bool *last, struct nx_fail *fail)
{
    struct nx_view rest = line;
    if (nx_view_has_prefix(line, NX_VIEW("expect")) && nx_view_is(take_word(&rest), "expect"))
        return parse_expectation(&r->file->arena, rest, &cmd->eval, fail);
    if (nx_view_has_prefix(line, NX_VIEW("expected_fail_"))) {
        *last = true;
        return parse_legacy(line, &cmd->eval, fail);
    }
    double number;
    if (pt_parse_number(line, &number)) {
        *last = true;
        cmd->eval.expect_scalar = true;
        cmd->eval.scalar = number;
        return NX_OK;
    }
    struct pt_series series;
    enum nx_err err = pt_parse_series(line, &r->file->arena, &series, fail);
    if (err)
        return err;
    series.line = r->line;
    return put_series(&r->file->arena, &cmd->series, series);
}

static enum nx_err parse_eval(struct reader *r, struct pt_command *cmd, struct nx_fail *fail)
{
    struct nx_view line;
    cmd->kind = PT_EVAL;
    enum nx_err err = parse_eval_line(r, cmd, fail);
    bool last = false;
    while (!err && !last && take_line(r, &line) && line.len > 0)
        err = parse_eval_item(r, cmd, line, &last, fail);
    if (!err && cmd->eval.no_warning && cmd->eval.warnings.count > 0)
        err = nx_fail_set(fail, NX_ERR_INVALID, "both warn and no_warn are expected");
    if (!err && cmd->eval.no_info && cmd->eval.infos.count > 0)
        err = nx_fail_set(fail, NX_ERR_INVALID, "both info and no_info are expected");
    return err;
}

/* --- load --- */

struct starts {
    struct nx_labels labels;
    int64_t *offsets;
    size_t count;
    bool pending; /* the samples that they belong to come next */
};

/* What the @st lines of a block have said. */
struct start_lines {
    struct starts own, shared;
};

static enum nx_err parse_start_line(struct reader *r, struct nx_view line,
                                    struct start_lines *lines, struct nx_fail *fail)
{
    struct starts starts = {.pending = true};
    if (lines->own.pending)
        return nx_fail_set(fail, NX_ERR_INVALID, "start timestamps without samples");
    enum nx_err err = pt_parse_starts(line, &r->file->arena, &starts.labels, &starts.offsets,
                                      &starts.count, fail);
    if (err)
        return err;
    *(starts.labels.count == 0 ? &lines->shared : &lines->own) = starts;
    return NX_OK;
}

static enum nx_err set_starts(struct reader *r, struct start_lines *lines, struct pt_series *series,
                              struct nx_fail *fail)
{
    if (lines->own.pending) {
        if (!nx_labels_eq(series->labels, lines->own.labels) || series->count != lines->own.count)
            return nx_fail_set(fail, NX_ERR_INVALID,
                               "start timestamps do not fit the samples below");
        series->start_offsets = lines->own.offsets;
        lines->own.pending = false;
    } else if (lines->shared.count > 0 && series->count > 0) {
        int64_t *offsets = nx_arena_alloc(&r->file->arena, series->count * sizeof *offsets);
        if (!offsets)
            return NX_ERR_NOMEM;
        for (size_t i = 0; i < series->count; i++)
            offsets[i] = lines->shared.offsets[i % lines->shared.count];
        series->start_offsets = offsets;
    }
    return NX_OK;
}

static enum nx_err parse_load_line(struct reader *r, struct pt_command *cmd, struct nx_view line,
                                   struct start_lines *starts, struct nx_fail *fail)
{
    struct nx_arena *arena = &r->file->arena;
    if (pt_is_start_line(line))
        return parse_start_line(r, line, starts, fail);
    struct pt_series series;
    enum nx_err err = pt_parse_series(line, arena, &series, fail);
    if (err)
        return err;
    series.line = r->line;
    if ((err = set_starts(r, starts, &series, fail)))
        return err;
    for (size_t i = 0; i < cmd->series.count; i++)
        if (nx_labels_eq(cmd->series.items[i].labels, series.labels)) {
            cmd->series.items[i] = series;
            return NX_OK;
        }
    return put_series(arena, &cmd->series, series);
}

static enum nx_err parse_load(struct reader *r, struct pt_command *cmd, struct nx_fail *fail)
{
    struct nx_view text = cmd->text, line;
    struct start_lines starts = {0};
    cmd->kind = PT_LOAD;
    struct nx_view word = take_word(&text);
    cmd->load.nhcb = nx_view_is(word, "load_with_nhcb");
    if (!cmd->load.nhcb && !nx_view_is(word, "load"))
        return nx_fail_set(fail, NX_ERR_INVALID, "invalid command \"%.*s\"", NX_VIEW_ARG(word));
    enum nx_err err = take_time(&text, &cmd->load.step_ms, fail);
    while (!err && take_line(r, &line) && line.len > 0)
        err = parse_load_line(r, cmd, line, &starts, fail);
    if (!err && starts.own.pending)
        err = nx_fail_set(fail, NX_ERR_INVALID, "start timestamps without samples");
    return err;
}

/* --- the file --- */

static void skip_block(struct reader *r)
{
    struct nx_view line;
    while (take_line(r, &line) && line.len > 0)
        ;
}

static enum nx_err parse_command(struct reader *r, struct nx_view line, struct pt_command *cmd)
{
    struct nx_fail fail = {0};
    *cmd = (struct pt_command){.line = r->line, .text = line};
    struct nx_view rest = line;
    struct nx_view word = take_word(&rest);
    enum nx_err err;
    if (nx_view_eq_nocase(word, NX_VIEW("clear"))) {
        cmd->kind = PT_CLEAR;
        err = NX_OK;
    } else if (nx_view_has_prefix(word, NX_VIEW("load"))) {
        err = parse_load(r, cmd, &fail);
    } else if (nx_view_has_prefix(word, NX_VIEW("eval"))) {
        err = parse_eval(r, cmd, &fail);
    } else {
        err = nx_fail_set(&fail, NX_ERR_INVALID, "invalid command \"%.*s\"", NX_VIEW_ARG(line));
    }
    if (err == NX_OK || err == NX_ERR_NOMEM)
        return err;
    fail.code = err;
    cmd->kind = PT_BROKEN;
    cmd->problem = nx_arena_copy(&r->file->arena, nx_view_of(nx_fail_text(&fail)));
    skip_block(r);
    return cmd->problem.ptr ? NX_OK : NX_ERR_NOMEM;
}

enum nx_err pt_file_parse(struct pt_file *file, struct nx_fail *fail)
{
    struct reader r = {.file = file, .rest = nx_view_make(file->bytes, file->len)};
    struct nx_view line;
    while (take_line(&r, &line)) {
        if (line.len == 0)
            continue;
        if (!nx_arena_grow(&file->arena, &file->commands, file->count, &file->capacity,
                           file->count + 1, sizeof *file->commands))
            return nx_fail_set(fail, NX_ERR_NOMEM, "out of memory");
        enum nx_err err = parse_command(&r, line, &file->commands[file->count]);
        if (err)
            return nx_fail_set(fail, err, "%s", nx_err_text(err));
        file->count++;
    }
    return NX_OK;
}

enum nx_err pt_file_read(const char *path, struct pt_file *out, struct nx_fail *fail)
{
    *out = (struct pt_file){0};
    nx_arena_init(&out->arena, 0);
    enum nx_err err = nx_file_read_all(path, MAX_FILE_BYTES, &out->bytes, &out->len);
    if (err)
        return nx_fail_set(fail, err, "%s: %s", path, nx_err_text(err));
    return pt_file_parse(out, fail);
}

static void release_patterns(struct pt_patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++)
        nx_regex_free(patterns->items[i].regex);
}

void pt_file_release(struct pt_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        struct pt_eval *eval = &file->commands[i].eval;
        nx_regex_free(eval->fail_pattern.regex);
        release_patterns(&eval->warnings);
        release_patterns(&eval->infos);
    }
    nx_arena_release(&file->arena);
    nx_free(file->bytes);
}
