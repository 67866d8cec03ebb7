/* The Accept header is the one that Prometheus 3 sends: each protocol with a weight, the first with
 * the greatest, and anything else with the least. A file that wants native histograms and does not
 * name protocols gets protobuf in front, the only one that has them. */
#include <math.h>
#include <string.h>

#include "common/cxx/number_shim.h"
#include "distributor/scrape/config_internal.h"

enum { ACCEPT_BYTES = 1024, MIN_SCHEMA = -4, MAX_SCHEMA = 8 };

static const struct {
    const char *name;
    const char *media;
} protocols[SCRAPE_PROTOCOLS] = {
    [SCRAPE_PROTOBUF] = {"PrometheusProto",
                         "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                         "encoding=delimited"},
    [SCRAPE_OPENMETRICS_1_0_0] =
        {"OpenMetricsText1.0.0", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"},
    [SCRAPE_OPENMETRICS_0_0_1] = {"OpenMetricsText0.0.1",
                                  "application/openmetrics-text;version=0.0.1"},
    [SCRAPE_TEXT_1_0_0] = {"PrometheusText1.0.0", "text/plain;version=1.0.0;escaping=allow-utf-8"},
    [SCRAPE_TEXT_0_0_4] = {"PrometheusText0.0.4", "text/plain;version=0.0.4"},
};

static enum nx_err add_protocol(struct scrape_yaml *yaml, const yaml_node_t *node, const char *name,
                                struct scrape_job *job)
{
    size_t p = 0;
    while (p < SCRAPE_PROTOCOLS && strcmp(protocols[p].name, name) != 0)
        p++;
    if (p == SCRAPE_PROTOCOLS)
        return scrape_yaml_refuse(yaml, node,
                                  "unknown scrape protocol %.60s, supported: [OpenMetricsText0.0.1 "
                                  "OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 "
                                  "PrometheusText1.0.0]",
                                  name);
    for (size_t i = 0; i < job->protocol_count; i++)
        if (job->protocols[i] == (enum scrape_protocol)p)
            return scrape_yaml_refuse(yaml, node, "duplicated protocol in scrape_protocols: %.60s",
                                      name);
    job->protocols[job->protocol_count++] = (enum scrape_protocol)p;
    return NX_OK;
}

enum nx_err scrape_read_protocols(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_job *job = at;
    const char **names = NULL;
    size_t count = 0;
    enum nx_err err = scrape_yaml_texts(yaml, node, &names, &count);
    if (!err && count == 0)
        return scrape_yaml_refuse(yaml, node, "scrape_protocols cannot be empty");
    job->protocol_count = 0;
    for (size_t i = 0; i < count && !err; i++)
        err = add_protocol(yaml, node, names[i], job);
    return err;
}

/* The finest schema whose buckets grow by at least the factor: 2^(2^-schema). */
enum nx_err scrape_read_bucket_factor(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_job *job = at;
    struct nx_view text = NX_VIEW("");
    double factor = 0;
    enum nx_err err = scrape_yaml_scalar(yaml, node, &text);
    if (err)
        return err;
    if (!nx_float_parse(text, &factor) || isnan(factor))
        return scrape_yaml_refuse(
            yaml, node, "native_histogram_min_bucket_factor: expected a number, got \"%.*s\"",
            (int)(text.len < 60 ? text.len : 60), text.ptr);
    job->histogram_max_schema = SCRAPE_SCHEMA_ANY;
    if (factor <= 1)
        return NX_OK;
    int32_t schema = MAX_SCHEMA;
    while (schema > MIN_SCHEMA && exp2(exp2((double)-schema)) < factor)
        schema--;
    job->histogram_max_schema = schema;
    return NX_OK;
}

static void set_default_protocols(struct scrape_job *job)
{
    size_t p = job->native_histograms ? SCRAPE_PROTOBUF : SCRAPE_OPENMETRICS_1_0_0;
    for (; p < SCRAPE_PROTOCOLS; p++)
        job->protocols[job->protocol_count++] = (enum scrape_protocol)p;
}

enum nx_err scrape_form_finish(struct scrape_reader *reader, struct scrape_job *job)
{
    struct nx_buf header;
    unsigned weight = SCRAPE_PROTOCOLS + 1;
    if (job->protocol_count == 0)
        set_default_protocols(job);
    nx_buf_init(&header, ACCEPT_BYTES);
    for (size_t i = 0; i < job->protocol_count; i++)
        nx_buf_printf(&header, "%s;q=0.%u,", protocols[job->protocols[i]].media, weight--);
    nx_buf_printf(&header, "*/*;q=0.%u", weight);
    enum nx_err err = nx_buf_err(&header);
    struct nx_view copy = {.ptr = NULL};
    if (!err)
        copy = nx_arena_copy(&reader->config->arena, nx_buf_view(&header));
    nx_buf_release(&header);
    job->accept = copy.ptr;
    return err ? err : copy.ptr ? NX_OK : NX_ERR_NOMEM;
}
