/* What the files that read the configuration share. */
#ifndef DIST_SCRAPE_CONFIG_INTERNAL_H
#define DIST_SCRAPE_CONFIG_INTERNAL_H

#include <stddef.h>

#include "distributor/scrape/config.h"
#include "distributor/scrape/yaml.h"

struct scrape_reader {
    struct scrape_yaml yaml; /* first: field readers get a pointer to it */
    struct scrape_config *config;
    const char *folder; /* of the file, ends in '/', or "" */
    struct scrape_job defaults;
};

/* --- config_http.c: rows for a struct scrape_http --- */
#define SCRAPE_HTTP_FIELDS 7
extern const struct scrape_field scrape_http_fields[SCRAPE_HTTP_FIELDS];
/* Checks what was read and makes paths absolute. */
enum nx_err scrape_http_finish(struct scrape_reader *reader, const yaml_node_t *node,
                               struct scrape_http *http) NX_WARN_UNUSED;

/* --- config_form.c: what targets are asked for, in a job or for all of them --- */
#define SCRAPE_JOB_FIELD(name) offsetof(struct scrape_job, name)
#define SCRAPE_FORM_FIELDS                                                                 \
    {.key = "scrape_protocols", .kind = SCRAPE_FIELD_READ, .read = scrape_read_protocols}, \
        {.key = "scrape_native_histograms",                                                \
         .kind = SCRAPE_FIELD_BOOL,                                                        \
         .offset = SCRAPE_JOB_FIELD(native_histograms)},                                   \
        {.key = "always_scrape_classic_histograms",                                        \
         .kind = SCRAPE_FIELD_BOOL,                                                        \
         .offset = SCRAPE_JOB_FIELD(classic_histograms_too)},                              \
        {.key = "scrape_classic_histograms",                                               \
         .kind = SCRAPE_FIELD_BOOL,                                                        \
         .offset = SCRAPE_JOB_FIELD(classic_histograms_too)},                              \
        {.key = "native_histogram_bucket_limit",                                           \
         .kind = SCRAPE_FIELD_COUNT,                                                       \
         .offset = SCRAPE_JOB_FIELD(histogram_bucket_limit)},                              \
    {                                                                                      \
        .key = "native_histogram_min_bucket_factor", .kind = SCRAPE_FIELD_READ,            \
        .read = scrape_read_bucket_factor                                                  \
    }
enum nx_err scrape_read_protocols(struct scrape_yaml *yaml, const yaml_node_t *node, void *job);
enum nx_err scrape_read_bucket_factor(struct scrape_yaml *yaml, const yaml_node_t *node, void *job);
/* Sets the protocols where the file does not say, and makes the header. */
enum nx_err scrape_form_finish(struct scrape_reader *reader, struct scrape_job *job) NX_WARN_UNUSED;

/* --- config_sd.c --- */
/* Appends the entries of a *_sd_configs list, or static_configs, to the job. */
enum nx_err scrape_read_static(struct scrape_yaml *yaml, const yaml_node_t *node, void *job);
enum nx_err scrape_read_file_sd(struct scrape_yaml *yaml, const yaml_node_t *node, void *job);
enum nx_err scrape_read_http_sd(struct scrape_yaml *yaml, const yaml_node_t *node, void *job);
enum nx_err scrape_read_dns_sd(struct scrape_yaml *yaml, const yaml_node_t *node, void *job);

/* --- config.c --- */
/* The table `own` with the rows of scrape_http_fields behind it, at `http_offset`. `out` has room
 * for count + SCRAPE_HTTP_FIELDS. */
void scrape_fields_with_http(const struct scrape_field *own, size_t count, size_t http_offset,
                             struct scrape_field *out);
/* A path of the file as seen from here, in the configuration's arena. */
enum nx_err scrape_reader_path(struct scrape_reader *reader, const char *path,
                               const char **out) NX_WARN_UNUSED;

#endif
