/* Texts are copied into the arena of the groups. JSON is read by jansson rather than as YAML, whose
 * parser knows no surrogate pairs. */
#include "distributor/scrape/groups.h"

#include <jansson.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "distributor/scrape/yaml.h"

#define ADDRESS_LABEL NX_VIEW("__address__")

enum { SHOWN_BYTES = 100 };

enum nx_err scrape_groups_new(struct scrape_groups **out)
{
    struct scrape_groups *groups = nx_calloc(1, sizeof *groups);
    if (!groups)
        return NX_ERR_NOMEM;
    nx_refcount_init(&groups->refs);
    nx_arena_init(&groups->arena, SCRAPE_GROUP_BYTES_MAX);
    *out = groups;
    return NX_OK;
}

struct scrape_groups *scrape_groups_take(struct scrape_groups *groups)
{
    nx_refcount_take(&groups->refs);
    return groups;
}

void scrape_groups_drop(struct scrape_groups *groups)
{
    if (!groups || !nx_refcount_drop(&groups->refs))
        return;
    nx_arena_release(&groups->arena);
    nx_free(groups);
}

static bool group_eq(const struct scrape_group *a, const struct scrape_group *b)
{
    if (a->target_count != b->target_count || !nx_view_eq(a->source, b->source) ||
        !nx_labels_eq(a->labels, b->labels))
        return false;
    for (size_t i = 0; i < a->target_count; i++)
        if (!nx_labels_eq(a->targets[i], b->targets[i]))
            return false;
    return true;
}

bool scrape_groups_eq(const struct scrape_groups *a, const struct scrape_groups *b)
{
    if (!a || !b || a->count != b->count)
        return a == b;
    for (size_t i = 0; i < a->count; i++)
        if (!group_eq(&a->groups[i], &b->groups[i]))
            return false;
    return true;
}

static enum nx_err copy_labels(struct nx_arena *arena, struct nx_labels labels,
                               struct nx_labels *out)
{
    *out = nx_labels_copy(arena, labels);
    return labels.count > 0 && !out->items ? NX_ERR_NOMEM : NX_OK;
}

enum nx_err scrape_groups_begin(struct scrape_groups *groups, struct nx_view source,
                                struct nx_labels labels, struct scrape_group **out)
{
    if (!nx_arena_grow(&groups->arena, &groups->groups, groups->count, &groups->capacity,
                       groups->count + 1, sizeof *groups->groups))
        return NX_ERR_NOMEM;
    struct scrape_group *group = &groups->groups[groups->count];
    *group = (struct scrape_group){.source = nx_arena_copy(&groups->arena, source)};
    enum nx_err err =
        group->source.ptr ? copy_labels(&groups->arena, labels, &group->labels) : NX_ERR_NOMEM;
    if (err)
        return err;
    groups->count++;
    *out = group;
    return NX_OK;
}

enum nx_err scrape_groups_add(struct scrape_groups *groups, struct nx_labels target)
{
    struct scrape_group *group = &groups->groups[groups->count - 1];
    if (groups->target_count == SCRAPE_TARGETS_MAX)
        return NX_ERR_LIMIT;
    /* doubled by hand: a group has no room for a capacity that only its making needs */
    size_t count = group->target_count;
    if ((count & (count - 1)) == 0) {
        size_t capacity = count == 0 ? 1 : count * 2;
        struct nx_labels *more = nx_arena_array(&groups->arena, capacity, sizeof *more);
        if (!more)
            return NX_ERR_NOMEM;
        if (count > 0)
            memcpy(more, group->targets, count * sizeof *more);
        group->targets = more;
    }
    enum nx_err err = copy_labels(&groups->arena, target, &group->targets[count]);
    if (err)
        return err;
    group->target_count++;
    groups->target_count++;
    return NX_OK;
}

static enum nx_err add_address(struct scrape_groups *groups, struct nx_view address)
{
    struct nx_label label = {.name = ADDRESS_LABEL, .value = address};
    return scrape_groups_add(groups, (struct nx_labels){.items = &label, .count = 1});
}

/* --- YAML --- */

struct yaml_group {
    struct nx_labels_builder labels;
    const yaml_node_t *targets;
};

static enum nx_err read_labels(struct scrape_yaml *yaml, const yaml_node_t *node, void *target)
{
    struct yaml_group *group = target;
    if (scrape_yaml_is_null(node))
        return NX_OK;
    if (node->type != YAML_MAPPING_NODE)
        return scrape_yaml_refuse(yaml, node, "labels: expected a mapping (name: value)");
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name_node = yaml_document_get_node(yaml->document, pair->key);
        struct nx_view name = NX_VIEW(""), value = NX_VIEW("");
        enum nx_err err = scrape_yaml_scalar(yaml, name_node, &name);
        if (!err)
            err = scrape_yaml_scalar(yaml, yaml_document_get_node(yaml->document, pair->value),
                                     &value);
        if (err)
            return err;
        if (name.len == 0)
            return scrape_yaml_refuse(yaml, name_node, "a label without a name");
        nx_labels_builder_set(&group->labels, name, value);
    }
    return NX_OK;
}

static enum nx_err read_targets(struct scrape_yaml *yaml, const yaml_node_t *node, void *target)
{
    (void)yaml;
    ((struct yaml_group *)target)->targets = node;
    return NX_OK;
}

static const struct scrape_field group_fields[] = {
    {.key = "targets", .kind = SCRAPE_FIELD_READ, .read = read_targets},
    {.key = "labels", .kind = SCRAPE_FIELD_READ, .read = read_labels},
};

static enum nx_err add_addresses(struct scrape_yaml *yaml, struct scrape_groups *groups,
                                 const yaml_node_t *node)
{
    const yaml_node_item_t *items = NULL;
    size_t count = 0;
    enum nx_err err = scrape_yaml_list(yaml, node, &items, &count);
    for (size_t i = 0; i < count && !err; i++) {
        const yaml_node_t *item = yaml_document_get_node(yaml->document, items[i]);
        struct nx_view address = NX_VIEW("");
        err = scrape_yaml_scalar(yaml, item, &address);
        if (!err && memchr(address.ptr, '/', address.len))
            return scrape_yaml_refuse(yaml, item, "\"%.100s\" is not a valid hostname",
                                      address.ptr);
        if (!err)
            err = add_address(groups, address);
    }
    return err;
}

static enum nx_err read_group(struct scrape_yaml *yaml, struct scrape_groups *groups,
                              const yaml_node_t *node, size_t number, struct nx_labels extra)
{
    struct yaml_group read = {.targets = NULL};
    struct scrape_group *group = NULL;
    struct nx_labels labels = {.count = 0};
    char source[512];
    nx_labels_builder_init(&read.labels, &groups->arena, extra);
    enum nx_err err = scrape_yaml_mapping(yaml, node, group_fields, 2, &read, NULL, NULL);
    for (size_t i = 0; i < extra.count; i++)
        nx_labels_builder_set(&read.labels, extra.items[i].name, extra.items[i].value);
    if (!err)
        err = nx_labels_builder_take(&read.labels, &labels);
    (void)snprintf(source, sizeof source, "%.480s:%zu", yaml->origin, number);
    if (!err)
        err = scrape_groups_begin(groups, nx_view_of(source), labels, &group);
    return err || !read.targets ? err : add_addresses(yaml, groups, read.targets);
}

static enum nx_err over_limit(enum nx_err err, const char *origin, struct nx_fail *fail)
{
    if (err == NX_ERR_LIMIT)
        return nx_fail_set(fail, NX_ERR_CONFIG, "%s: more than %d targets", origin,
                           SCRAPE_TARGETS_MAX);
    return err;
}

enum nx_err scrape_groups_read_node(struct scrape_groups *groups, yaml_document_t *document,
                                    const yaml_node_t *node, const char *origin,
                                    struct nx_labels extra, struct nx_fail *fail)
{
    struct scrape_yaml yaml = {
        .document = document, .origin = origin, .arena = &groups->arena, .fail = fail};
    const yaml_node_item_t *items = NULL;
    size_t count = 0;
    enum nx_err err = scrape_yaml_list(&yaml, node, &items, &count);
    for (size_t i = 0; i < count && !err; i++)
        err = read_group(&yaml, groups, yaml_document_get_node(document, items[i]), i, extra);
    return over_limit(err, origin, fail);
}

enum nx_err scrape_groups_read_yaml(struct scrape_groups *groups, const char *origin,
                                    struct nx_view text, struct nx_labels extra,
                                    struct nx_fail *fail)
{
    yaml_document_t document;
    enum nx_err err = scrape_yaml_load(origin, text, &document, fail);
    if (err)
        return err;
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    if (root)
        err = scrape_groups_read_node(groups, &document, root, origin, extra, fail);
    yaml_document_delete(&document);
    return err;
}

/* --- JSON --- */

static enum nx_err bad_json(struct nx_fail *fail, const char *origin, size_t number,
                            const char *what)
{
    return nx_fail_set(fail, NX_ERR_CONFIG, "%s: group %zu: %s", origin, number, what);
}

static struct nx_view json_view(const json_t *value)
{
    return nx_view_make(json_string_value(value), json_string_length(value));
}

static enum nx_err json_labels(struct nx_labels_builder *builder, json_t *object)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(object, name, value)
    {
        if (!json_is_string(value) || !*name)
            return NX_ERR_INVALID;
        nx_labels_builder_set(builder, nx_view_of(name), json_view(value));
    }
    return NX_OK;
}

static enum nx_err json_targets(struct scrape_groups *groups, const json_t *list,
                                const char *origin, size_t number, struct nx_fail *fail)
{
    size_t count = json_array_size(list);
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < count && !err; i++) {
        const json_t *target = json_array_get(list, i);
        struct nx_view address = json_is_string(target) ? json_view(target) : NX_VIEW("/");
        if (memchr(address.ptr, '/', address.len))
            return bad_json(fail, origin, number, "a target is not a host with a port");
        err = add_address(groups, address);
    }
    return err;
}

static enum nx_err json_group(struct scrape_groups *groups, json_t *object, const char *origin,
                              size_t number, struct nx_labels extra, struct nx_fail *fail)
{
    json_t *targets = json_object_get(object, "targets");
    json_t *label_object = json_object_get(object, "labels");
    struct nx_labels_builder builder;
    struct nx_labels labels = {.count = 0};
    struct scrape_group *group = NULL;
    char source[512];
    if (!json_is_object(object))
        return bad_json(fail, origin, number, "expected an object");
    if (targets && !json_is_array(targets) && !json_is_null(targets))
        return bad_json(fail, origin, number, "\"targets\" is not a list");
    if (label_object && !json_is_object(label_object) && !json_is_null(label_object))
        return bad_json(fail, origin, number, "\"labels\" is not an object");
    nx_labels_builder_init(&builder, &groups->arena, (struct nx_labels){.count = 0});
    if (json_labels(&builder, label_object) != NX_OK)
        return bad_json(fail, origin, number, "a label is not a text");
    for (size_t i = 0; i < extra.count; i++)
        nx_labels_builder_set(&builder, extra.items[i].name, extra.items[i].value);
    (void)snprintf(source, sizeof source, "%.480s:%zu", origin, number);
    enum nx_err err = nx_labels_builder_take(&builder, &labels);
    if (!err)
        err = scrape_groups_begin(groups, nx_view_of(source), labels, &group);
    return err ? err : json_targets(groups, targets, origin, number, fail);
}

enum nx_err scrape_groups_read_json(struct scrape_groups *groups, const char *origin,
                                    struct nx_view text, struct nx_labels extra,
                                    struct nx_fail *fail)
{
    json_error_t problem;
    json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        return nx_fail_set(fail, NX_ERR_CONFIG, "%s:%d: not valid JSON: %.*s", origin, problem.line,
                           SHOWN_BYTES, problem.text);
    enum nx_err err = NX_OK;
    if (!json_is_array(root))
        err = nx_fail_set(fail, NX_ERR_CONFIG, "%s: expected a list of target groups", origin);
    for (size_t i = 0; i < json_array_size(root) && !err; i++)
        err = json_group(groups, json_array_get(root, i), origin, i, extra, fail);
    json_decref(root);
    return over_limit(err, origin, fail);
}
