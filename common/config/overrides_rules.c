/* The rows of a tenant that are lists and names. They live in one block of memory a tenant,
 * counted, because requests use them while a reload puts others in their place. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/config/overrides_internal.h"
#include "common/config/relabel_yaml.h"

#define DROP_LABELS_MAX 1000

struct owned_rules {
    struct nx_tenant_rules rules;
    struct nx_arena arena;
};

void nx_tenant_rules_release(struct nx_tenant_rules *rules)
{
    if (!rules || !nx_refcount_drop(&rules->refs))
        return;
    struct owned_rules *owned = NX_OWNER(struct owned_rules, rules, rules);
    nx_relabel_free(rules->relabel);
    nx_arena_release(&owned->arena);
    nx_free(owned);
}

static enum nx_err no_memory(const struct nx_override_place *place)
{
    return nx_fail_set(place->fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
}

static bool make(const struct nx_override_place *place, struct nx_tenant_rules **rules)
{
    if (*rules)
        return true;
    struct owned_rules *owned = nx_calloc(1, sizeof *owned);
    if (!owned)
        return false;
    nx_refcount_init(&owned->rules.refs);
    owned->rules.fingerprint = place->fingerprint;
    nx_arena_init(&owned->arena, 0);
    *rules = &owned->rules;
    return true;
}

static enum nx_err read_name(const struct nx_override_place *place, struct nx_arena *arena,
                             const yaml_node_t *node, struct nx_view *out)
{
    if (node->type != YAML_SCALAR_NODE)
        return nx_override_refuse(place, node, "expected a label name");
    struct nx_view name = nx_override_scalar(node);
    if (name.len == 0 || !nx_view_is_utf8(name))
        return nx_override_refuse(place, node, "expected a label name");
    struct nx_view copy = nx_arena_copy(arena, name);
    if (!copy.ptr)
        return no_memory(place);
    *out = copy;
    return NX_OK;
}

static int by_text(const void *a, const void *b)
{
    return nx_view_cmp(*(const struct nx_view *)a, *(const struct nx_view *)b);
}

static enum nx_err read_names(const struct nx_override_place *place, struct owned_rules *owned,
                              const yaml_node_t *node)
{
    enum nx_err err = NX_OK;
    if (node->type != YAML_SEQUENCE_NODE)
        return nx_override_refuse(place, node, "expected a list of label names");
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - items);
    if (count > DROP_LABELS_MAX)
        return nx_override_refuse(place, node, "too many labels to drop");
    struct nx_view *names = nx_arena_array(&owned->arena, count + 1, sizeof *names);
    if (!names)
        return no_memory(place);
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        const yaml_node_t *item = yaml_document_get_node(place->document, items[i]);
        err = read_name(place, &owned->arena, item, &names[i]);
        if (err == NX_OK && nx_view_is(names[i], "__name__"))
            err = nx_override_refuse(place, item, "the metric's name cannot be dropped");
    }
    if (err != NX_OK)
        return err;
    if (count > 1)
        qsort(names, count, sizeof *names, by_text);
    owned->rules.drop_labels = names;
    owned->rules.drop_count = count;
    return NX_OK;
}

enum nx_err nx_override_rule(const struct nx_override_place *place, const char *key,
                             const yaml_node_t *node, struct nx_tenant_rules **rules)
{
    struct nx_view name = nx_view_of(key);
    if (!make(place, rules))
        return no_memory(place);
    struct owned_rules *owned = NX_OWNER(struct owned_rules, rules, *rules);
    if (nx_view_is(name, "limits.drop-labels"))
        return read_names(place, owned, node);
    if (nx_view_is(name, "limits.ha-cluster-label"))
        return read_name(place, &owned->arena, node, &owned->rules.ha_cluster_label);
    if (nx_view_is(name, "limits.ha-replica-label"))
        return read_name(place, &owned->arena, node, &owned->rules.ha_replica_label);
    return nx_relabel_read_node(place->document, node, place->origin, &owned->rules.relabel,
                                place->fail);
}
