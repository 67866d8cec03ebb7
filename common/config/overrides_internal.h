/* What the files that read overrides share. */
#ifndef NX_CONFIG_OVERRIDES_INTERNAL_H
#define NX_CONFIG_OVERRIDES_INTERNAL_H

#include <yaml.h>

#include "common/base/arena.h"
#include "common/config/config_internal.h"
#include "common/config/overrides.h"

/* Offsets are into struct nx_limit_settings. Rows of type NX_SETTING_STRING are rules
 * (overrides_rules.c) in the file. Those of `limits` but for the last three are settings of the
 * process too. */
extern const struct nx_setting nx_override_rows[];
extern const size_t nx_override_row_count;
/* Every limit -1. */
extern const struct nx_tenant_limits nx_override_unset;

/* Where a failure is told. */
struct nx_override_place {
    yaml_document_t *document;
    const char *origin;
    struct nx_fail *fail;
    uint64_t fingerprint;
};

static inline struct nx_view nx_override_scalar(const yaml_node_t *node)
{
    return nx_view_make(node->data.scalar.value, node->data.scalar.length);
}
enum nx_err nx_override_refuse(const struct nx_override_place *place, const yaml_node_t *node,
                               const char *what);
/* Reads the value of a rule; makes *rules where there are none yet. */
enum nx_err nx_override_rule(const struct nx_override_place *place, const char *key,
                             const yaml_node_t *node,
                             struct nx_tenant_rules **rules) NX_WARN_UNUSED;

#endif
