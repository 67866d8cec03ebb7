/* `narthex tool query`: asks a node over the HTTP API and prints what it answers. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cmd/http_fetch.h"
#include "cmd/tool.h"
#include "cmd/tool_result.h"
#include "common/base/time.h"

#define MAX_ANSWER_BYTES ((size_t)1 << 30)
#define MAX_FORM_BYTES ((size_t)64 << 20)
#define HOUR_MS INT64_C(3600000)

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV };

struct query {
    const char *address, *tenant, *expr;
    const char *time, *start, *end, *step, *timeout;
    bool range;
    enum output output;
};

static int misuse(const char *what, const char *word)
{
    (void)fprintf(stderr,
                  "narthex tool query: %s%s\n"
                  "usage: narthex tool query instant|range EXPR [--address=HOST:PORT] "
                  "[--time=TIME | --start=TIME --end=TIME --step=DURATION] [--json | --csv] "
                  "[--tenant=NAME]\n",
                  what, word);
    return 2;
}

/* --- the request --- */

static void put_seconds(struct nx_buf *form, const char *name, int64_t ms)
{
    char text[48];
    uint64_t size = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    int len = snprintf(text, sizeof text, "%s%llu.%03llu", ms < 0 ? "-" : "",
                       (unsigned long long)(size / 1000), (unsigned long long)(size % 1000));
    cmd_form_put(form, name, nx_view_make(text, (size_t)len));
}

/* An absent time is `absent_ms`. */
static bool read_time(const char *name, const char *text, int64_t now_ms, int64_t absent_ms,
                      int64_t *out_ms)
{
    *out_ms = absent_ms;
    if (!text || cmd_tool_time(text, now_ms, out_ms))
        return true;
    (void)fprintf(stderr,
                  "narthex tool query: --%s: \"%s\" is no time; there are Unix seconds, RFC 3339, "
                  "now, -1h\n",
                  name, text);
    return false;
}

static bool put_range(const struct query *query, int64_t now, struct nx_buf *form)
{
    int64_t start, end, step;
    if (!read_time("end", query->end, now, now, &end) ||
        !read_time("start", query->start, now, end - HOUR_MS, &start))
        return false;
    if (start > end) {
        (void)fprintf(stderr, "narthex tool query: the start is after the end\n");
        return false;
    }
    step = cmd_tool_default_step(end - start);
    if (query->step && !cmd_tool_step(query->step, &step)) {
        (void)fprintf(stderr, "narthex tool query: --step: \"%s\" is no duration\n", query->step);
        return false;
    }
    put_seconds(form, "start", start);
    put_seconds(form, "end", end);
    put_seconds(form, "step", step);
    return true;
}

static bool make_form(const struct query *query, int64_t timeout_ms, struct nx_buf *form)
{
    int64_t now = nx_now_ms(nx_clock_system()), at;
    cmd_form_put(form, "query", nx_view_of(query->expr));
    put_seconds(form, "timeout", timeout_ms);
    if (query->range) {
        if (!put_range(query, now, form))
            return false;
    } else {
        if (!read_time("time", query->time, now, now, &at))
            return false;
        put_seconds(form, "time", at);
    }
    nx_buf_append_char(form, '\0');
    if (nx_buf_err(form) == NX_OK)
        return true;
    (void)fprintf(stderr, "narthex tool query: the expression is %s\n",
                  nx_err_text(nx_buf_err(form)));
    return false;
}

/* --- the answer --- */

static void print_notes(const json_t *answer, const char *key, const char *kind)
{
    size_t i;
    json_t *note;
    json_array_foreach(json_object_get(answer, key), i, note)(void)
        fprintf(stderr, "%s: %s\n", kind, json_string_value(note));
}

static int print_result(const struct query *query, const json_t *answer)
{
    struct nx_buf out;
    nx_buf_init(&out, SIZE_MAX);
    if (query->output == OUTPUT_CSV)
        cmd_result_csv(json_object_get(answer, "data"), &out);
    else
        cmd_result_table(json_object_get(answer, "data"), &out);
    enum nx_err err = nx_buf_err(&out);
    if (err)
        (void)fprintf(stderr, "narthex tool query: %s\n", nx_err_text(err));
    else
        (void)fwrite(out.data, 1, out.len, stdout);
    nx_buf_release(&out);
    return err ? 1 : 0;
}

static int complain(const struct query *query, long status, const json_t *answer,
                    const struct nx_buf *body)
{
    const char *type = json_string_value(json_object_get(answer, "errorType"));
    const char *text = json_string_value(json_object_get(answer, "error"));
    if (text)
        (void)fprintf(stderr, "narthex tool query: %s answered %ld: %s: %s\n", query->address,
                      status, type ? type : "error", text);
    else
        (void)fprintf(stderr, "narthex tool query: %s answered %ld: %.400s\n", query->address,
                      status, body->data);
    return 1;
}

static int take_answer(const struct query *query, long status, const struct nx_buf *body)
{
    json_error_t error;
    json_t *answer = json_loadb(body->data, body->len, JSON_ALLOW_NUL, &error);
    const char *outcome = json_string_value(json_object_get(answer, "status"));
    int exit_status = 0;
    if (status != 200 || !outcome || strcmp(outcome, "success") != 0) {
        exit_status = complain(query, status, answer, body);
    } else {
        print_notes(answer, "warnings", "warning");
        print_notes(answer, "infos", "info");
        if (query->output == OUTPUT_JSON)
            (void)printf("%s\n", body->data);
        else
            exit_status = print_result(query, answer);
    }
    json_decref(answer);
    return exit_status;
}

static int run(const struct query *query)
{
    struct nx_buf form, body;
    int64_t timeout_ms = 120000;
    int exit_status = 2;
    if (query->timeout && !cmd_tool_step(query->timeout, &timeout_ms))
        return misuse("--timeout is no duration: ", query->timeout);
    nx_buf_init(&form, MAX_FORM_BYTES);
    nx_buf_init(&body, MAX_ANSWER_BYTES);
    if (make_form(query, timeout_ms, &form)) {
        /* The server says that it gives up; a little later, curl does. */
        struct cmd_http_request request = {.program = "narthex tool query",
                                           .address = query->address,
                                           .path = query->range ? "/api/v1/query_range"
                                                                : "/api/v1/query",
                                           .form = form.data,
                                           .tenant = query->tenant,
                                           .timeout_ms = (long)timeout_ms + 5000};
        long status = cmd_http_fetch(&request, &body);
        exit_status = status < 0 ? 1 : take_answer(query, status, &body);
    }
    nx_buf_release(&form);
    nx_buf_release(&body);
    return exit_status;
}

/* --- the arguments --- */

static bool read_option(struct query *query, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        const char **field;
    } options[] = {{"--address", &query->address}, {"--tenant", &query->tenant},
                   {"--time", &query->time},       {"--start", &query->start},
                   {"--end", &query->end},         {"--step", &query->step},
                   {"--timeout", &query->timeout}};
    for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
        const char *value = cmd_tool_option(argc, argv, i, options[k].name);
        if (value) {
            *options[k].field = value;
            return true;
        }
    }
    bool json = strcmp(argv[*i], "--json") == 0, csv = strcmp(argv[*i], "--csv") == 0;
    if (json || csv)
        query->output = json ? OUTPUT_JSON : OUTPUT_CSV;
    return json || csv;
}

int cmd_tool_query(int argc, char **argv)
{
    struct query query = {.address = "127.0.0.1:9900"};
    if (argc == 0 || (strcmp(argv[0], "instant") != 0 && strcmp(argv[0], "range") != 0))
        return misuse("say instant or range", "");
    query.range = strcmp(argv[0], "range") == 0;
    for (int i = 1; i < argc; i++) {
        if (cmd_tool_is_option(argv[i])) {
            if (!read_option(&query, argc, argv, &i))
                return misuse("not known, or without a value: ", argv[i]);
        } else if (query.expr) {
            return misuse("one expression at a time; quote it: ", argv[i]);
        } else {
            query.expr = argv[i];
        }
    }
    if (!query.expr)
        return misuse("no expression", "");
    if (query.range ? query.time != NULL : query.start || query.end || query.step)
        return misuse(query.range ? "--time is of an instant query"
                                  : "--start, --end and --step are of a range query",
                      "");
    return run(&query);
}
