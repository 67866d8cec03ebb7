/* A description of the API in OpenAPI: the paths and methods are those of the table of endpoints,
 * what they are for and which parameters they take stands here. Version 3.1, or 3.2 where it is
 * asked for, which has a way to describe a stream. */
#include <assert.h>
#include <string.h>

#include "querier/api/endpoints.h"

/* `parameters`: their names, separated by blanks; one with an exclamation mark must be given, one
 * that ends in brackets may be given more than once. */
struct description {
    const char *path;
    const char *tag;
    const char *summary;
    const char *parameters;
};

static const struct description descriptions[] = {
    {"query", "query", "Evaluates an expression at one moment.",
     "query! time timeout limit lookback_delta stats partial_response"},
    {"query_range", "query", "Evaluates an expression over a range of time.",
     "query! start! end! step! timeout limit lookback_delta stats partial_response"},
    {"query_exemplars", "query", "Exemplars of the series that an expression selects.",
     "query! start end partial_response"},
    {"format_query", "query", "Prints an expression in its canonical form.", "query!"},
    {"parse_query", "query", "The tree of an expression.", "query!"},
    {"series", "metadata", "Label sets of the series that match.",
     "match[]! start end limit partial_response"},
    {"labels", "metadata", "Label names.", "match[] start end limit partial_response"},
    {"label/{name}/values", "metadata", "Values of a label.",
     "match[] start end limit partial_response"},
    {"metadata", "metadata", "Type, help and unit of metrics.", "metric limit limit_per_metric"},
    {"read", "remote", "Remote read.", ""},
    {"/federate", "remote", "The newest sample of the series that match, as text or protobuf.",
     "match[]"},
    {"status/tsdb", "status", "Counts of series, labels and values in memory.", "limit"},
    {"status/tsdb/blocks", "status", "Blocks; they are the ingesters'.", ""},
    {"cardinality/label_names", "cardinality", "The label names with the most values.",
     "selector count_method limit"},
    {"cardinality/label_values", "cardinality", "The label values with the most series.",
     "label_names[]! selector count_method limit"},
    {"cardinality/active_series", "cardinality", "Label sets of the active series.", "selector!"},
    {"admin/tsdb/delete_series", "admin", "Deletes what the selectors have.", "match[]! start end"},
    {"admin/tsdb/clean_tombstones", "admin", "Takes what is deleted out of the blocks.", ""},
    {"admin/tsdb/flush", "admin", "Writes what is in memory to blocks.", ""},
    {"admin/tsdb/snapshot", "admin", "Links all blocks into a directory.", "skip_head"},
    {"status/config", "status", "The settings in force.", ""},
    {"status/flags", "status", "The settings, under the names of Prometheus's flags.", ""},
    {"status/runtimeinfo", "status", "What the process runs on, and since when.", ""},
    {"status/buildinfo", "status", "Versions.", ""},
    {"status/walreplay", "status", "How far the replay of the log is.", ""},
    {"status/self_metrics", "status", "The metrics of the process itself.", "metric_name_pattern"},
    {"/version", "status", "Versions.", ""},
    {"features", "status", "Features, and whether they are switched on.", ""},
    {"rules", "rules", "Groups of rules.",
     "type rule_name[] rule_group[] file[] match[] exclude_alerts group_limit group_next_token"},
    {"alerts", "rules", "Active alerts.", ""},
    {"alertmanagers", "rules", "Alertmanagers.", ""},
    {"targets", "targets", "Targets of the scrapes.", "state scrapePool"},
    {"targets/metadata", "targets", "Metadata that targets expose.", "match_target metric limit"},
    {"scrape_pools", "targets", "Names of the scrape pools.", ""},
    {"scrape_pools/config", "targets", "Configuration of a scrape pool.", "scrapePool!"},
    {"targets/relabel_steps", "targets", "What relabeling does to a target, step by step.",
     "scrapePool! labels!"},
    {"notifications", "notifications", "What the operator should know now.", ""},
    {"notifications/live", "notifications", "The same, and each change, as server-sent events.",
     ""},
    {"openapi.yaml", "status", "This description.", "openapi_version"},
};

static const struct {
    const char *name;
    const char *text;
} texts[] = {
    {"query", "A PromQL expression."},
    {"time", "The moment of the evaluation, as RFC 3339 or Unix seconds; now."},
    {"start", "Beginning, as RFC 3339 or Unix seconds; inclusive."},
    {"end", "End, as RFC 3339 or Unix seconds; inclusive."},
    {"step", "Time between two evaluations: a duration, or seconds."},
    {"timeout", "Time after which the evaluation is given up; at most the server's."},
    {"limit", "At most so many; 0 for all."},
    {"lookback_delta", "How far back a sample may lie, instead of the server's."},
    {"stats", "true or all: figures of the evaluation."},
    {"partial_response", "true: what there is, with a warning, where ingesters do not answer."},
    {"match[]", "A series selector."},
    {"selector", "A series selector."},
    {"count_method", "inmemory, or active: series with a sample of the last 20 minutes."},
    {"label_names[]", "A label name."},
    {"metric", "Name of a metric; all."},
    {"limit_per_metric", "At most so many of a metric."},
    {"metric_name_pattern", "Names of metrics, as an anchored regular expression."},
    {"skip_head", "true: without what is in memory."},
    {"type", "alert or record."},
    {"rule_name[]", "Name of a rule."},
    {"rule_group[]", "Name of a group of rules."},
    {"file[]", "File of a group of rules."},
    {"exclude_alerts", "true: rules without their alerts."},
    {"group_limit", "Groups a page."},
    {"group_next_token", "Which page."},
    {"state", "active, dropped or any."},
    {"scrapePool", "Name of a scrape pool."},
    {"match_target", "A selector of targets."},
    {"labels", "Labels of a target, as a JSON object."},
    {"openapi_version", "3.1 or 3.2."},
    {"name", "Name of a label."},
};

struct parameter {
    struct nx_view name;
    const char *text;
    bool required;
    bool repeated;
};

static const char *text_of(struct nx_view name)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (nx_view_eq(nx_view_of(texts[i].name), name))
            return texts[i].text;
    return "";
}

/* The next of a list of parameters; false at its end. */
static bool next_parameter(struct nx_view *list, struct parameter *out)
{
    if (!list->ptr || list->len == 0)
        return false;
    size_t len = nx_view_find(*list, ' ');
    size_t next = len < list->len ? len + 1 : len;
    struct nx_view word = nx_view_make(list->ptr, len);
    *list = nx_view_make(list->ptr + next, list->len - next);
    assert(word.len > 0);
    out->required = word.ptr[word.len - 1] == '!';
    word.len -= out->required ? 1 : 0;
    out->repeated = word.ptr[word.len - 1] == ']';
    out->name = word;
    out->text = text_of(word);
    return true;
}

static const struct description *description_of(const struct qry_endpoint *endpoint)
{
    for (size_t i = 0; i < sizeof descriptions / sizeof *descriptions; i++)
        if (strcmp(descriptions[i].path, endpoint->path) == 0)
            return &descriptions[i];
    return NULL;
}

static void put_schema(struct nx_buf *out, const struct parameter *parameter)
{
    nx_buf_append_str(out, parameter->repeated ? "{type: array, items: {type: string}}\n"
                                               : "{type: string}\n");
}

static void put_parameter(struct nx_buf *out, const char *place, const struct parameter *parameter)
{
    nx_buf_printf(out, "        - name: \"%.*s\"\n          in: %s\n", NX_VIEW_ARG(parameter->name),
                  place);
    nx_buf_printf(out, "          description: \"%s\"\n", parameter->text);
    nx_buf_printf(out, "          required: %s\n", parameter->required ? "true" : "false");
    nx_buf_append_str(out, "          schema: ");
    put_schema(out, parameter);
}

static void put_parameters(struct nx_buf *out, const struct description *description)
{
    struct nx_view list = nx_view_of(description->parameters);
    bool has_name = strstr(description->path, "{name}") != NULL;
    struct parameter parameter = {.name = NX_VIEW("name"), .required = true};
    if (!has_name && list.len == 0)
        return;
    nx_buf_append_str(out, "      parameters:\n");
    parameter.text = text_of(parameter.name);
    if (has_name)
        put_parameter(out, "path", &parameter);
    while (next_parameter(&list, &parameter))
        put_parameter(out, "query", &parameter);
}

static void put_form(struct nx_buf *out, const struct description *description)
{
    struct nx_view list = nx_view_of(description->parameters);
    struct parameter parameter;
    nx_buf_append_str(out, "      requestBody:\n"
                           "        content:\n"
                           "          application/x-www-form-urlencoded:\n"
                           "            schema:\n"
                           "              type: object\n"
                           "              properties:\n");
    while (next_parameter(&list, &parameter)) {
        nx_buf_printf(out, "                \"%.*s\": ", NX_VIEW_ARG(parameter.name));
        put_schema(out, &parameter);
    }
}

static void put_responses(struct nx_buf *out, const struct qry_endpoint *endpoint)
{
    nx_buf_append_str(out, "      responses:\n");
    if (endpoint->handle == qry_notifications_live) {
        nx_buf_append_str(
            out, "        \"200\":\n"
                 "          description: A stream of events.\n"
                 "          content: {text/event-stream: {itemSchema: {type: object}}}\n"
                 "        \"204\": {description: As many clients listen as are let in.}\n");
        return;
    }
    if (endpoint->raw)
        nx_buf_append_str(out, "        \"200\": {description: Success.}\n");
    else if (!endpoint->render)
        nx_buf_append_str(out, "        \"204\": {description: It is done.}\n");
    else
        nx_buf_append_str(out, "        \"200\": {$ref: \"#/components/responses/Success\"}\n");
    nx_buf_append_str(out, endpoint->raw
                               ? "        default: {description: A line of text that says why.}\n"
                               : "        default: {$ref: \"#/components/responses/Error\"}\n");
}

static void put_operation(struct nx_buf *out, const struct qry_endpoint *endpoint,
                          const struct description *description, const char *method)
{
    bool has_form = strcmp(method, "get") != 0 && *description->parameters;
    nx_buf_printf(out, "    %s:\n      operationId: \"%s %s\"\n", method, method,
                  description->path);
    nx_buf_printf(out, "      summary: \"%s\"\n", description->summary);
    nx_buf_printf(out, "      tags: [%s]\n", description->tag);
    put_parameters(out, description);
    if (has_form)
        put_form(out, description);
    put_responses(out, endpoint);
}

static void put_path(struct nx_buf *out, const struct qry_endpoint *endpoint)
{
    static const struct {
        unsigned method;
        const char *name;
    } methods[] = {{NX_HTTP_GET, "get"}, {NX_HTTP_POST, "post"}, {NX_HTTP_PUT, "put"}};
    const struct description *description = description_of(endpoint);
    bool from_root = endpoint->path[0] == '/';
    if (!description)
        return;
    nx_buf_printf(out, "  \"%s%s\":\n", from_root ? "" : "/", endpoint->path);
    if (from_root)
        nx_buf_append_str(out, "    servers: [{url: /}]\n");
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (endpoint->methods & methods[i].method)
            put_operation(out, endpoint, description, methods[i].name);
}

static const char components[] = "components:\n"
                                 "  responses:\n"
                                 "    Success:\n"
                                 "      description: Success.\n"
                                 "      content:\n"
                                 "        application/json:\n"
                                 "          schema:\n"
                                 "            type: object\n"
                                 "            required: [status]\n"
                                 "            properties:\n"
                                 "              status: {type: string, enum: [success]}\n"
                                 "              data: {}\n"
                                 "              warnings: {type: array, items: {type: string}}\n"
                                 "              infos: {type: array, items: {type: string}}\n"
                                 "    Error:\n"
                                 "      description: Failure.\n"
                                 "      content:\n"
                                 "        application/json:\n"
                                 "          schema:\n"
                                 "            type: object\n"
                                 "            required: [status, errorType, error]\n"
                                 "            properties:\n"
                                 "              status: {type: string, enum: [error]}\n"
                                 "              errorType: {type: string}\n"
                                 "              error: {type: string}\n";

bool qry_openapi_prepare(struct qry_job *op)
{
    op->content_type = "application/yaml; charset=utf-8";
    nx_http_response_header(op->req, "Cache-Control", "no-cache, no-store, must-revalidate");
    return true;
}

bool qry_openapi_render(struct qry_job *op, struct qry_json *json)
{
    struct nx_view version = qry_job_param(op, "openapi_version");
    bool streams = nx_view_is(version, "3.2") || nx_view_is(version, "3.2.0");
    struct nx_buf *out = json->out;
    nx_buf_printf(out, "openapi: %s\n", streams ? "3.2.0" : "3.1.0");
    nx_buf_append_str(out, "info:\n"
                           "  title: Narthex API\n"
                           "  description: The HTTP API of Prometheus, and what Narthex adds.\n"
                           "  version: \"" NARTHEX_VERSION "\"\n"
                           "servers: [{url: /api/v1}]\n"
                           "paths:\n");
    const struct qry_endpoint *endpoint;
    for (size_t i = 0; (endpoint = qry_endpoint_at(i)); i++)
        if (streams || endpoint->handle != qry_notifications_live)
            put_path(out, endpoint);
    nx_buf_append_str(out, components);
    return true;
}
