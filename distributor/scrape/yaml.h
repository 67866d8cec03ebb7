/* Reading YAML mappings by tables of fields: what is unknown, given twice or of another type is an
 * error that names the file, the line and the key. */
#ifndef DIST_SCRAPE_YAML_H
#define DIST_SCRAPE_YAML_H

#include <stdarg.h>
#include <stdint.h>
#include <yaml.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/view.h"

struct scrape_yaml {
    yaml_document_t *document;
    const char *origin;
    struct nx_arena *arena; /* texts are copied into it */
    struct nx_fail *fail;
};

enum scrape_field_kind {
    SCRAPE_FIELD_TEXT,     /* const char * */
    SCRAPE_FIELD_BOOL,     /* bool */
    SCRAPE_FIELD_DURATION, /* int64_t ms, above 0 */
    SCRAPE_FIELD_COUNT,    /* int64_t, not negative */
    SCRAPE_FIELD_BYTES,    /* int64_t; "10MB" with binary units as Prometheus reads them */
    SCRAPE_FIELD_READ,     /* by `read`, which gets what lies at the offset */
    SCRAPE_FIELD_IGNORED,
};

struct scrape_field {
    const char *key;
    enum scrape_field_kind kind;
    size_t offset;
    enum nx_err (*read)(struct scrape_yaml *yaml, const yaml_node_t *node, void *at);
};

#define SCRAPE_FIELDS_MAX 64

/* Loads one document; the caller deletes it. NX_ERR_CONFIG with "ORIGIN:LINE: ...". An empty text
 * has no root node. */
enum nx_err scrape_yaml_load(const char *origin, struct nx_view text, yaml_document_t *document,
                             struct nx_fail *fail) NX_WARN_UNUSED;

/* Fills `target` from a mapping; null counts as an empty one. `unknown` (may be NULL) is called
 * with a key that is not in the table, which is an error without it. */
enum nx_err scrape_yaml_mapping(struct scrape_yaml *yaml, const yaml_node_t *node,
                                const struct scrape_field *fields, size_t count, void *target,
                                enum nx_err (*unknown)(void *user, struct nx_view key),
                                void *user) NX_WARN_UNUSED;

/* "ORIGIN:LINE: what". */
enum nx_err scrape_yaml_refuse(struct scrape_yaml *yaml, const yaml_node_t *node, const char *what,
                               ...) NX_PRINTF(3, 4);
#ifdef __clang_analyzer__
#define scrape_yaml_refuse(yaml, node, ...) \
    ((scrape_yaml_refuse)(yaml, node, __VA_ARGS__), NX_ERR_CONFIG)
#endif
bool scrape_yaml_is_null(const yaml_node_t *node);
/* NX_ERR_CONFIG for what is no scalar; an empty text for null. The view ends with a NUL and lives
 * as long as the document. */
enum nx_err scrape_yaml_scalar(struct scrape_yaml *yaml, const yaml_node_t *node,
                               struct nx_view *out) NX_WARN_UNUSED;
enum nx_err scrape_yaml_text(struct scrape_yaml *yaml, const yaml_node_t *node,
                             const char **out) NX_WARN_UNUSED;
/* A list of texts. */
enum nx_err scrape_yaml_texts(struct scrape_yaml *yaml, const yaml_node_t *node, const char ***out,
                              size_t *count) NX_WARN_UNUSED;
/* A list's nodes; null is an empty one. */
enum nx_err scrape_yaml_list(struct scrape_yaml *yaml, const yaml_node_t *node,
                             const yaml_node_item_t **items, size_t *count) NX_WARN_UNUSED;
/* A hash of a node and all below it. */
uint64_t scrape_yaml_fingerprint(yaml_document_t *document, const yaml_node_t *node, uint64_t seed);

#endif
