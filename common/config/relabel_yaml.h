/* Relabeling rules as Prometheus's files write them:
 *
 *     - source_labels: [__name__, job]
 *       regex: 'go_.*;api'
 *       action: drop
 *
 * Fields: source_labels, separator, regex, modulus, target_label, replacement, action. */
#ifndef NX_CONFIG_RELABEL_YAML_H
#define NX_CONFIG_RELABEL_YAML_H

#include <yaml.h>

#include "common/labels/relabel.h"

/* Reads the list at `node` of the document (a null node or an empty scalar: no rules).
 * NX_ERR_CONFIG with "ORIGIN:LINE: ..." in `fail`. *out is the caller's to free. */
enum nx_err nx_relabel_read_node(yaml_document_t *document, const yaml_node_t *node,
                                 const char *origin, struct nx_relabel **out,
                                 struct nx_fail *fail) NX_WARN_UNUSED;
/* The same from a text that is the list alone. */
enum nx_err nx_relabel_read_text(const char *origin, struct nx_view yaml, struct nx_relabel **out,
                                 struct nx_fail *fail) NX_WARN_UNUSED;

#endif
