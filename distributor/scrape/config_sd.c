/* The lists of discovery mechanisms of a job. */
#include <stdio.h>

#include "distributor/scrape/config_internal.h"

enum { DNS_PORT_MAX = 65535 };
#define FILE_REFRESH_MS 300000
#define HTTP_REFRESH_MS 60000
#define DNS_REFRESH_MS 30000

static enum nx_err add_sd(struct scrape_yaml *yaml, struct scrape_job *job,
                          enum scrape_sd_kind kind, int64_t refresh_ms, const yaml_node_t *node,
                          struct scrape_sd **out)
{
    size_t capacity = job->sd_count;
    if (!nx_arena_grow(yaml->arena, &job->sds, job->sd_count, &capacity, job->sd_count + 1,
                       sizeof *job->sds))
        return NX_ERR_NOMEM;
    struct scrape_sd *sd = &job->sds[job->sd_count++];
    *sd = (struct scrape_sd){
        .kind = kind, .refresh_ms = refresh_ms, .http = {.follow_redirects = true}};
    sd->fingerprint = scrape_yaml_fingerprint(yaml->document, node, (uint64_t)kind);
    *out = sd;
    return NX_OK;
}

enum nx_err scrape_read_static(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_job *job = at;
    struct scrape_sd *sd = NULL;
    char origin[512];
    (void)snprintf(origin, sizeof origin, "%.480s", yaml->origin);
    enum nx_err err = add_sd(yaml, job, SCRAPE_SD_STATIC, 0, node, &sd);
    if (!err)
        err = scrape_groups_new(&sd->groups);
    if (!err)
        err = scrape_groups_read_node(sd->groups, yaml->document, node, origin,
                                      (struct nx_labels){.count = 0}, yaml->fail);
    return err;
}

typedef enum nx_err (*read_entry)(struct scrape_yaml *yaml, const yaml_node_t *node,
                                  struct scrape_job *job);

static enum nx_err read_entries(struct scrape_yaml *yaml, const yaml_node_t *node, void *job,
                                read_entry read)
{
    const yaml_node_item_t *items = NULL;
    size_t count = 0;
    enum nx_err err = scrape_yaml_list(yaml, node, &items, &count);
    for (size_t i = 0; i < count && !err; i++)
        err = read(yaml, yaml_document_get_node(yaml->document, items[i]), job);
    return err;
}

/* --- file_sd --- */

static enum nx_err read_texts(struct scrape_yaml *yaml, const yaml_node_t *node, void *at)
{
    struct scrape_sd *sd = at;
    return scrape_yaml_texts(yaml, node, &sd->texts, &sd->text_count);
}

static bool is_file_pattern(struct nx_view path)
{
    static const char *const ends[] = {".json", ".yml", ".yaml"};
    struct nx_view name = path;
    size_t stars = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '/' && stars > 0)
            return false; /* as in Prometheus, a star stands in the last part of a path */
        stars += path.ptr[i] == '*';
    }
    for (size_t i = 0; i < 3; i++)
        if (nx_view_has_suffix(name, nx_view_of(ends[i])))
            return stars <= 1;
    return false;
}

static enum nx_err read_file_entry(struct scrape_yaml *yaml, const yaml_node_t *node,
                                   struct scrape_job *job)
{
    static const struct scrape_field fields[] = {
        {.key = "files", .kind = SCRAPE_FIELD_READ, .read = read_texts},
        {.key = "refresh_interval",
         .kind = SCRAPE_FIELD_DURATION,
         .offset = offsetof(struct scrape_sd, refresh_ms)},
    };
    struct scrape_reader *reader = (struct scrape_reader *)yaml;
    struct scrape_sd *sd = NULL;
    enum nx_err err = add_sd(yaml, job, SCRAPE_SD_FILE, FILE_REFRESH_MS, node, &sd);
    if (!err)
        err = scrape_yaml_mapping(yaml, node, fields, 2, sd, NULL, NULL);
    if (!err && sd->text_count == 0)
        return scrape_yaml_refuse(yaml, node, "file_sd_configs: files: expected at least one path");
    for (size_t i = 0; !err && i < sd->text_count; i++) {
        if (!is_file_pattern(nx_view_of(sd->texts[i])))
            return scrape_yaml_refuse(yaml, node,
                                      "files: path name \"%.200s\" is not valid for file "
                                      "discovery: expected *.json, *.yml or *.yaml, with a star "
                                      "in the file's name only",
                                      sd->texts[i]);
        err = scrape_reader_path(reader, sd->texts[i], &sd->texts[i]);
    }
    return err;
}

enum nx_err scrape_read_file_sd(struct scrape_yaml *yaml, const yaml_node_t *node, void *job)
{
    return read_entries(yaml, node, job, read_file_entry);
}

/* --- http_sd --- */

static enum nx_err read_http_entry(struct scrape_yaml *yaml, const yaml_node_t *node,
                                   struct scrape_job *job)
{
    static const struct scrape_field own[] = {
        {.key = "url", .kind = SCRAPE_FIELD_TEXT, .offset = offsetof(struct scrape_sd, url)},
        {.key = "refresh_interval",
         .kind = SCRAPE_FIELD_DURATION,
         .offset = offsetof(struct scrape_sd, refresh_ms)},
    };
    struct scrape_field fields[2 + SCRAPE_HTTP_FIELDS];
    struct scrape_reader *reader = (struct scrape_reader *)yaml;
    struct scrape_sd *sd = NULL;
    scrape_fields_with_http(own, 2, offsetof(struct scrape_sd, http), fields);
    enum nx_err err = add_sd(yaml, job, SCRAPE_SD_HTTP, HTTP_REFRESH_MS, node, &sd);
    if (!err)
        err = scrape_yaml_mapping(yaml, node, fields, 2 + SCRAPE_HTTP_FIELDS, sd, NULL, NULL);
    if (!err)
        err = scrape_http_finish(reader, node, &sd->http);
    if (err)
        return err;
    struct nx_view url = nx_view_of(sd->url);
    if (!nx_view_has_prefix(url, NX_VIEW("http://")) &&
        !nx_view_has_prefix(url, NX_VIEW("https://")))
        return scrape_yaml_refuse(yaml, node, "http_sd_configs: url: expected http(s)://...");
    return NX_OK;
}

enum nx_err scrape_read_http_sd(struct scrape_yaml *yaml, const yaml_node_t *node, void *job)
{
    return read_entries(yaml, node, job, read_http_entry);
}

/* --- dns_sd --- */

struct dns_entry {
    struct scrape_sd sd;
    const char *type;
    int64_t port;
};

static enum nx_err set_dns_type(struct scrape_yaml *yaml, const yaml_node_t *node,
                                struct dns_entry *entry)
{
    struct nx_view type = nx_view_of(entry->type);
    if (nx_view_eq_nocase(type, NX_VIEW("SRV")))
        entry->sd.dns_type = SCRAPE_DNS_SRV;
    else if (nx_view_eq_nocase(type, NX_VIEW("A")))
        entry->sd.dns_type = SCRAPE_DNS_A;
    else if (nx_view_eq_nocase(type, NX_VIEW("AAAA")))
        entry->sd.dns_type = SCRAPE_DNS_AAAA;
    else
        return scrape_yaml_refuse(yaml, node,
                                  "dns_sd_configs: type: expected SRV, A or AAAA, got \"%.50s\"",
                                  entry->type);
    if (entry->sd.dns_type != SCRAPE_DNS_SRV && entry->port == 0)
        return scrape_yaml_refuse(yaml, node,
                                  "a port is required in DNS-SD configs for all record types "
                                  "except SRV");
    if (entry->port > DNS_PORT_MAX)
        return scrape_yaml_refuse(yaml, node, "dns_sd_configs: port: expected at most %d",
                                  DNS_PORT_MAX);
    return NX_OK;
}

static enum nx_err read_dns_entry(struct scrape_yaml *yaml, const yaml_node_t *node,
                                  struct scrape_job *job)
{
    static const struct scrape_field fields[] = {
        {.key = "names",
         .kind = SCRAPE_FIELD_READ,
         .read = read_texts,
         .offset = offsetof(struct dns_entry, sd)},
        {.key = "refresh_interval",
         .kind = SCRAPE_FIELD_DURATION,
         .offset = offsetof(struct dns_entry, sd.refresh_ms)},
        {.key = "type", .kind = SCRAPE_FIELD_TEXT, .offset = offsetof(struct dns_entry, type)},
        {.key = "port", .kind = SCRAPE_FIELD_COUNT, .offset = offsetof(struct dns_entry, port)},
    };
    struct scrape_sd *sd = NULL;
    enum nx_err err = add_sd(yaml, job, SCRAPE_SD_DNS, DNS_REFRESH_MS, node, &sd);
    if (err)
        return err;
    struct dns_entry entry = {.sd = *sd, .type = "SRV"};
    err = scrape_yaml_mapping(yaml, node, fields, 4, &entry, NULL, NULL);
    if (!err && entry.sd.text_count == 0)
        return scrape_yaml_refuse(yaml, node,
                                  "DNS-SD config must contain at least one SRV record name");
    if (!err)
        err = set_dns_type(yaml, node, &entry);
    entry.sd.dns_port = (uint16_t)entry.port;
    *sd = entry.sd;
    return err;
}

enum nx_err scrape_read_dns_sd(struct scrape_yaml *yaml, const yaml_node_t *node, void *job)
{
    return read_entries(yaml, node, job, read_dns_entry);
}
