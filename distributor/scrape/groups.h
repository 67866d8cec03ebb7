/* Target groups, what every discovery mechanism yields: targets as label sets, with labels that
 * they share. As static_configs, files of file_sd and answers of http_sd write them:
 * [{"targets": ["host:port", ...], "labels": {...}}, ...]. Immutable, shared by reference
 * counting. */
#ifndef DIST_SCRAPE_GROUPS_H
#define DIST_SCRAPE_GROUPS_H

#include <yaml.h>

#include "common/base/refcount.h"
#include "common/labels/labels.h"

struct scrape_group {
    struct nx_view source; /* for messages: "FILE:3" */
    struct nx_labels labels;
    struct nx_labels *targets;
    size_t target_count;
};

struct scrape_groups {
    struct nx_refcount refs;
    struct nx_arena arena;
    struct scrape_group *groups;
    size_t count, capacity;
    size_t target_count; /* of all groups */
};

#define SCRAPE_GROUP_BYTES_MAX ((size_t)256 << 20)
#define SCRAPE_TARGETS_MAX 1000000

enum nx_err scrape_groups_new(struct scrape_groups **out) NX_WARN_UNUSED;
struct scrape_groups *scrape_groups_take(struct scrape_groups *groups);
void scrape_groups_drop(struct scrape_groups *groups); /* NULL: nothing */
bool scrape_groups_eq(const struct scrape_groups *a, const struct scrape_groups *b);

/* Adds a group without targets. Texts are copied. */
enum nx_err scrape_groups_begin(struct scrape_groups *groups, struct nx_view source,
                                struct nx_labels labels, struct scrape_group **out) NX_WARN_UNUSED;
/* A target of the last group: a label set, copied. NX_ERR_LIMIT beyond SCRAPE_TARGETS_MAX. */
enum nx_err scrape_groups_add(struct scrape_groups *groups, struct nx_labels target) NX_WARN_UNUSED;

/* The list at a node of a YAML document. NX_ERR_CONFIG with "ORIGIN:LINE: ...". `extra` is set on
 * each group. Groups are named ORIGIN:i. */
enum nx_err scrape_groups_read_node(struct scrape_groups *groups, yaml_document_t *document,
                                    const yaml_node_t *node, const char *origin,
                                    struct nx_labels extra, struct nx_fail *fail) NX_WARN_UNUSED;
/* A whole text, as JSON or as YAML. NX_ERR_CONFIG. */
enum nx_err scrape_groups_read_json(struct scrape_groups *groups, const char *origin,
                                    struct nx_view text, struct nx_labels extra,
                                    struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err scrape_groups_read_yaml(struct scrape_groups *groups, const char *origin,
                                    struct nx_view text, struct nx_labels extra,
                                    struct nx_fail *fail) NX_WARN_UNUSED;

#endif
