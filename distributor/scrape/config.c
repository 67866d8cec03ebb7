/* The file is loaded as a libyaml document and read by tables; `global` comes first, whatever the
 * order in the file, because it holds the defaults of the jobs. */
#include "distributor/scrape/config.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/config/relabel_yaml.h"
#include "distributor/scrape/config_internal.h"

enum { FOLDER_BYTES = 4096, IGNORED_BYTES = 4096 };
#define CONFIG_ARENA_BYTES ((size_t)256 << 20)
#define DEFAULT_INTERVAL_MS 60000
#define DEFAULT_TIMEOUT_MS 10000

struct scrape_config *scrape_config_take(struct scrape_config *config)
{
    nx_refcount_take(&config->refs);
    return config;
}

void scrape_config_drop(struct scrape_config *config)
{
    if (!config || !nx_refcount_drop(&config->refs))
        return;
    for (size_t i = 0; i < config->job_count; i++) {
        struct scrape_job *job = &config->jobs[i];
        nx_relabel_free(job->relabel);
        nx_relabel_free(job->metric_relabel);
        for (size_t k = 0; k < job->sd_count; k++)
            scrape_groups_drop(job->sds[k].groups);
    }
    nx_buf_release(&config->ignored);
    nx_arena_release(&config->arena);
    nx_free(config);
}

enum nx_err scrape_reader_path(struct scrape_reader *reader, const char *path, const char **out)
{
    char whole[FOLDER_BYTES * 2];
    if (*path == '/' || *path == '\0') {
        *out = path;
        return NX_OK;
    }
    int len = snprintf(whole, sizeof whole, "%s%s", reader->folder, path);
    if (len < 0 || (size_t)len >= sizeof whole)
        return nx_fail_set(reader->yaml.fail, NX_ERR_CONFIG, "%s: a path is too long",
                           reader->yaml.origin);
    struct nx_view copy = nx_arena_copy(&reader->config->arena, nx_view_of(whole));
    if (!copy.ptr)
        return NX_ERR_NOMEM;
    *out = copy.ptr;
    return NX_OK;
}

void scrape_fields_with_http(const struct scrape_field *own, size_t count, size_t http_offset,
                             struct scrape_field *out)
{
    memcpy(out, own, count * sizeof *own);
    for (size_t i = 0; i < SCRAPE_HTTP_FIELDS; i++) {
        out[count + i] = scrape_http_fields[i];
        out[count + i].offset += http_offset;
    }
}

/* --- jobs --- */

static int compare_params(const void *a, const void *b)
{
    const struct scrape_param *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static enum nx_err read_params(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_job *job = at;
    if (scrape_yaml_is_null(node))
        return NX_OK;
    if (node->type != YAML_MAPPING_NODE)
        return scrape_yaml_refuse(yaml, node, "params: expected a mapping (name: [value, ...])");
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    size_t count = (size_t)(node->data.mapping.pairs.top - pair);
    job->params = nx_arena_calloc(yaml->arena, count + 1, sizeof *job->params);
    if (!job->params)
        return NX_ERR_NOMEM;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        struct scrape_param *param = &job->params[job->param_count];
        enum nx_err err =
            scrape_yaml_text(yaml, yaml_document_get_node(yaml->document, pair->key), &param->name);
        if (!err)
            err = scrape_yaml_texts(yaml, yaml_document_get_node(yaml->document, pair->value),
                                    &param->values, &param->count);
        if (err)
            return err;
        job->param_count += param->count > 0;
    }
    qsort(job->params, job->param_count, sizeof *job->params, compare_params);
    return NX_OK;
}

static enum nx_err read_relabel(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_job *job = at;
    return nx_relabel_read_node(yaml->document, node, yaml->origin, &job->relabel, yaml->fail);
}

static enum nx_err read_metric_relabel(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_job *job = at;
    job->relabel_fingerprint = scrape_yaml_fingerprint(yaml->document, node, 1);
    return nx_relabel_read_node(yaml->document, node, yaml->origin, &job->metric_relabel,
                                yaml->fail);
}

#define FIELD(name) offsetof(struct scrape_job, name)
#define LIMIT_FIELDS                                                                             \
    {.key = "body_size_limit", .kind = SCRAPE_FIELD_BYTES, .offset = FIELD(body_size_limit)},    \
        {.key = "sample_limit", .kind = SCRAPE_FIELD_COUNT, .offset = FIELD(sample_limit)},      \
        {.key = "target_limit", .kind = SCRAPE_FIELD_COUNT, .offset = FIELD(target_limit)},      \
        {.key = "label_limit", .kind = SCRAPE_FIELD_COUNT, .offset = FIELD(label_limit)},        \
        {.key = "label_name_length_limit",                                                       \
         .kind = SCRAPE_FIELD_COUNT,                                                             \
         .offset = FIELD(label_name_length_limit)},                                              \
        {.key = "label_value_length_limit",                                                      \
         .kind = SCRAPE_FIELD_COUNT,                                                             \
         .offset = FIELD(label_value_length_limit)},                                             \
        {.key = "keep_dropped_targets",                                                          \
         .kind = SCRAPE_FIELD_COUNT,                                                             \
         .offset = FIELD(keep_dropped_targets)},                                                 \
    {                                                                                            \
        .key = "extra_scrape_metrics", .kind = SCRAPE_FIELD_BOOL, .offset = FIELD(extra_metrics) \
    }

static const struct scrape_field job_fields[] = {
    {.key = "job_name", .kind = SCRAPE_FIELD_TEXT, .offset = FIELD(name)},
    {.key = "scrape_interval", .kind = SCRAPE_FIELD_DURATION, .offset = FIELD(interval_ms)},
    {.key = "scrape_timeout", .kind = SCRAPE_FIELD_DURATION, .offset = FIELD(timeout_ms)},
    {.key = "metrics_path", .kind = SCRAPE_FIELD_TEXT, .offset = FIELD(metrics_path)},
    {.key = "scheme", .kind = SCRAPE_FIELD_TEXT, .offset = FIELD(scheme)},
    {.key = "params", .kind = SCRAPE_FIELD_READ, .read = read_params},
    {.key = "honor_labels", .kind = SCRAPE_FIELD_BOOL, .offset = FIELD(honor_labels)},
    {.key = "honor_timestamps", .kind = SCRAPE_FIELD_BOOL, .offset = FIELD(honor_timestamps)},
    {.key = "track_timestamps_staleness",
     .kind = SCRAPE_FIELD_BOOL,
     .offset = FIELD(track_timestamps_staleness)},
    LIMIT_FIELDS,
    {.key = "relabel_configs", .kind = SCRAPE_FIELD_READ, .read = read_relabel},
    {.key = "metric_relabel_configs", .kind = SCRAPE_FIELD_READ, .read = read_metric_relabel},
    {.key = "static_configs", .kind = SCRAPE_FIELD_READ, .read = scrape_read_static},
    {.key = "file_sd_configs", .kind = SCRAPE_FIELD_READ, .read = scrape_read_file_sd},
    {.key = "http_sd_configs", .kind = SCRAPE_FIELD_READ, .read = scrape_read_http_sd},
    {.key = "dns_sd_configs", .kind = SCRAPE_FIELD_READ, .read = scrape_read_dns_sd},
    SCRAPE_FORM_FIELDS,
    /* Said by every other form of exposition's own header. */
    {.key = "fallback_scrape_protocol", .kind = SCRAPE_FIELD_IGNORED},
    {.key = "metric_name_validation_scheme", .kind = SCRAPE_FIELD_IGNORED},
    {.key = "metric_name_escaping_scheme", .kind = SCRAPE_FIELD_IGNORED},
    {.key = "enable_compression", .kind = SCRAPE_FIELD_IGNORED},
};
enum { JOB_FIELDS = sizeof job_fields / sizeof job_fields[0] };

static enum nx_err check_job(struct scrape_reader *reader, const yaml_node_t *node,
                             struct scrape_job *job)
{
    struct scrape_yaml *yaml = &reader->yaml;
    if (!job->name || !*job->name)
        return scrape_yaml_refuse(yaml, node, "job_name is empty");
    for (size_t i = 0; i + 1 < reader->config->job_count; i++)
        if (strcmp(reader->config->jobs[i].name, job->name) == 0)
            return scrape_yaml_refuse(
                yaml, node, "found multiple scrape configs with job name \"%.200s\"", job->name);
    if (job->timeout_ms > job->interval_ms)
        return scrape_yaml_refuse(yaml, node,
                                  "scrape timeout greater than scrape interval for scrape config "
                                  "with job name \"%.200s\"",
                                  job->name);
    if (strcmp(job->scheme, "http") != 0 && strcmp(job->scheme, "https") != 0)
        return scrape_yaml_refuse(yaml, node, "scheme: expected http or https, got \"%.50s\"",
                                  job->scheme);
    enum nx_err err = scrape_form_finish(reader, job);
    return err ? err : scrape_http_finish(reader, node, &job->http);
}

static enum nx_err read_job(struct scrape_reader *reader, const yaml_node_t *node)
{
    struct scrape_field fields[JOB_FIELDS + SCRAPE_HTTP_FIELDS];
    struct scrape_job *job = &reader->config->jobs[reader->config->job_count++];
    *job = reader->defaults;
    job->timeout_ms = 0;
    job->interval_ms = 0;
    scrape_fields_with_http(job_fields, JOB_FIELDS, FIELD(http), fields);
    enum nx_err err = scrape_yaml_mapping(&reader->yaml, node, fields,
                                          JOB_FIELDS + SCRAPE_HTTP_FIELDS, job, NULL, NULL);
    if (job->interval_ms == 0)
        job->interval_ms = reader->defaults.interval_ms;
    if (job->timeout_ms == 0)
        job->timeout_ms = reader->defaults.timeout_ms < job->interval_ms
                              ? reader->defaults.timeout_ms
                              : job->interval_ms;
    if (!err)
        err = check_job(reader, node, job);
    uint64_t parts[2] = {job->relabel_fingerprint, job->honor_labels};
    job->relabel_fingerprint = nx_hash64(parts, sizeof parts);
    return err;
}

static int compare_jobs(const void *a, const void *b)
{
    const struct scrape_job *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static enum nx_err read_jobs(struct scrape_reader *reader, const yaml_node_t *node)
{
    struct scrape_config *config = reader->config;
    const yaml_node_item_t *items = NULL;
    size_t count = 0;
    enum nx_err err = scrape_yaml_list(&reader->yaml, node, &items, &count);
    if (err)
        return err;
    if (count > SCRAPE_JOBS_MAX)
        return scrape_yaml_refuse(&reader->yaml, node, "more than %d jobs", SCRAPE_JOBS_MAX);
    config->jobs = nx_arena_calloc(&config->arena, count + 1, sizeof *config->jobs);
    if (!config->jobs)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count && !err; i++)
        err = read_job(reader, yaml_document_get_node(reader->yaml.document, items[i]));
    if (!err)
        qsort(config->jobs, config->job_count, sizeof *config->jobs, compare_jobs);
    return err;
}

/* --- global --- */

static enum nx_err read_external_labels(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_reader *reader = (struct scrape_reader *)yaml;
    struct nx_labels_builder builder;
    (void)at;
    if (scrape_yaml_is_null(node))
        return NX_OK;
    if (node->type != YAML_MAPPING_NODE)
        return scrape_yaml_refuse(yaml, node, "external_labels: expected a mapping");
    nx_labels_builder_init(&builder, yaml->arena, (struct nx_labels){.count = 0});
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const char *name = NULL, *value = NULL;
        enum nx_err err =
            scrape_yaml_text(yaml, yaml_document_get_node(yaml->document, pair->key), &name);
        if (!err)
            err =
                scrape_yaml_text(yaml, yaml_document_get_node(yaml->document, pair->value), &value);
        if (err)
            return err;
        if (!nx_label_name_is_legacy(nx_view_of(name)))
            return scrape_yaml_refuse(yaml, node, "\"%.200s\" is not a valid label name", name);
        nx_labels_builder_set(&builder, nx_view_of(name), nx_view_of(value));
    }
    return nx_labels_builder_take(&builder, &reader->config->external_labels);
}

static const struct scrape_field global_fields[] = {
    SCRAPE_FORM_FIELDS,
    {.key = "scrape_interval", .kind = SCRAPE_FIELD_DURATION, .offset = FIELD(interval_ms)},
    {.key = "scrape_timeout", .kind = SCRAPE_FIELD_DURATION, .offset = FIELD(timeout_ms)},
    {.key = "external_labels", .kind = SCRAPE_FIELD_READ, .read = read_external_labels},
    LIMIT_FIELDS,
};
enum { GLOBAL_FIELDS = sizeof global_fields / sizeof global_fields[0] };

struct ignoring {
    struct nx_buf *out;
    const char *prefix;
};

static enum nx_err note_ignored(void *user, struct nx_view key)
{
    struct ignoring *ignoring = user;
    nx_buf_printf(ignoring->out, "%s%s%.*s", ignoring->out->len > 0 ? ", " : "", ignoring->prefix,
                  (int)(key.len < 100 ? key.len : 100), key.ptr);
    return NX_OK;
}

static enum nx_err read_global(struct scrape_reader *reader, const yaml_node_t *node)
{
    struct ignoring ignoring = {.out = &reader->config->ignored, .prefix = "global."};
    struct scrape_job *defaults = &reader->defaults;
    enum nx_err err = scrape_yaml_mapping(&reader->yaml, node, global_fields, GLOBAL_FIELDS,
                                          defaults, note_ignored, &ignoring);
    if (err)
        return err;
    if (defaults->timeout_ms > defaults->interval_ms)
        return scrape_yaml_refuse(&reader->yaml, node,
                                  "global scrape timeout greater than scrape interval");
    if (defaults->timeout_ms == 0)
        defaults->timeout_ms =
            defaults->interval_ms < DEFAULT_TIMEOUT_MS ? defaults->interval_ms : DEFAULT_TIMEOUT_MS;
    return NX_OK;
}

/* --- the file --- */

struct top {
    const yaml_node_t *global;
    const yaml_node_t *jobs;
};

static enum nx_err note_node(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    (void)yaml;
    *(const yaml_node_t **)at = node;
    return NX_OK;
}

static const struct scrape_field top_fields[] = {
    {.key = "global",
     .kind = SCRAPE_FIELD_READ,
     .read = note_node,
     .offset = offsetof(struct top, global)},
    {.key = "scrape_configs",
     .kind = SCRAPE_FIELD_READ,
     .read = note_node,
     .offset = offsetof(struct top, jobs)},
};

static enum nx_err read_root(struct scrape_reader *reader, const yaml_node_t *root)
{
    struct top top = {.global = NULL};
    struct ignoring ignoring = {.out = &reader->config->ignored, .prefix = ""};
    reader->defaults = (struct scrape_job){
        .interval_ms = DEFAULT_INTERVAL_MS,
        .metrics_path = "/metrics",
        .scheme = "http",
        .honor_timestamps = true,
        .histogram_max_schema = SCRAPE_SCHEMA_ANY,
        .http = {.follow_redirects = true},
    };
    enum nx_err err =
        scrape_yaml_mapping(&reader->yaml, root, top_fields, 2, &top, note_ignored, &ignoring);
    if (!err && top.global)
        err = read_global(reader, top.global);
    if (reader->defaults.timeout_ms == 0)
        reader->defaults.timeout_ms = DEFAULT_TIMEOUT_MS;
    return err || !top.jobs ? err : read_jobs(reader, top.jobs);
}

static enum nx_err new_config(struct scrape_config **out)
{
    struct scrape_config *config = nx_calloc(1, sizeof *config);
    if (!config)
        return NX_ERR_NOMEM;
    nx_refcount_init(&config->refs);
    nx_arena_init(&config->arena, CONFIG_ARENA_BYTES);
    nx_buf_init(&config->ignored, IGNORED_BYTES);
    *out = config;
    return NX_OK;
}

enum nx_err scrape_config_read_text(const char *origin, struct nx_view yaml,
                                    struct scrape_config **out, struct nx_fail *fail)
{
    char folder[FOLDER_BYTES];
    const char *slash = strrchr(origin, '/');
    yaml_document_t document;
    struct scrape_config *config = NULL;
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash + 1 - origin) : 0, origin);
    enum nx_err err = new_config(&config);
    if (!err)
        err = scrape_yaml_load(origin, yaml, &document, fail);
    if (err) {
        scrape_config_drop(config);
        return err;
    }
    struct scrape_reader reader = {
        .yaml = {.document = &document, .origin = origin, .arena = &config->arena, .fail = fail},
        .config = config,
        .folder = folder};
    config->fingerprint = nx_hash_view(yaml);
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    if (root)
        err = read_root(&reader, root);
    yaml_document_delete(&document);
    if (err) {
        scrape_config_drop(config);
        return err;
    }
    *out = config;
    return NX_OK;
}

enum nx_err scrape_config_read(const char *path, struct scrape_config **out, struct nx_fail *fail)
{
    char *text = NULL;
    size_t len = 0;
    if (!*path)
        return new_config(out);
    enum nx_err err = nx_file_read_all(path, SCRAPE_CONFIG_MAX_BYTES, &text, &len);
    if (err)
        return nx_fail_set(fail, NX_ERR_CONFIG, "scrape.config-file: %s: %s", path,
                           nx_err_text(err));
    err = scrape_config_read_text(path, nx_view_make(text, len), out, fail);
    nx_free(text);
    return err;
}
