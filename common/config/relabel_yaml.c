/* A rule is filled field by field from libyaml's nodes, whose texts live as long as the document;
 * nx_relabel_add copies what it keeps. Errors carry the line of the field, or of the rule where no
 * single field is at fault. */
#include "common/config/relabel_yaml.h"

#include "common/base/arena.h"

struct reader {
    yaml_document_t *document;
    const char *origin;
    struct nx_arena arena; /* of one rule */
    struct nx_relabel *relabel;
    struct nx_fail *fail;
};

static enum nx_err refuse(struct reader *r, const yaml_node_t *node, const char *what)
{
    return nx_fail_set(r->fail, NX_ERR_CONFIG, "%s:%zu: %s", r->origin, node->start_mark.line + 1,
                       what);
}

static struct nx_view scalar(const yaml_node_t *node)
{
    return nx_view_make(node->data.scalar.value, node->data.scalar.length);
}

static bool is_nothing(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (node->data.scalar.length == 0 || nx_view_is(scalar(node), "~") ||
            nx_view_is(scalar(node), "null"));
}

static enum nx_err read_names(struct reader *r, const yaml_node_t *node,
                              struct nx_relabel_rule *rule)
{
    if (is_nothing(node))
        return NX_OK;
    if (node->type != YAML_SEQUENCE_NODE)
        return refuse(r, node, "expected a list of label names");
    const yaml_node_item_t *item = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - item);
    struct nx_view *names = nx_arena_array(&r->arena, count + 1, sizeof *names);
    if (!names)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *name = yaml_document_get_node(r->document, item[i]);
        if (name->type != YAML_SCALAR_NODE)
            return refuse(r, name, "expected a label name");
        names[i] = scalar(name);
    }
    rule->source_labels = names;
    rule->source_count = count;
    return NX_OK;
}

static enum nx_err read_modulus(struct reader *r, const yaml_node_t *node,
                                struct nx_relabel_rule *rule)
{
    struct nx_view text = scalar(node);
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t)(text.ptr[i] - '0');
        if (text.ptr[i] < '0' || text.ptr[i] > '9' ||
            __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return refuse(r, node, "\"modulus\": expected a whole number");
    }
    rule->modulus = value;
    return NX_OK;
}

static enum nx_err read_action(struct reader *r, const yaml_node_t *node,
                               struct nx_relabel_rule *rule)
{
    struct nx_view text = scalar(node);
    if (nx_relabel_action_of(text, &rule->action))
        return NX_OK;
    return nx_fail_set(r->fail, NX_ERR_CONFIG, "%s:%zu: unknown relabel action \"%.*s\"", r->origin,
                       node->start_mark.line + 1, NX_VIEW_ARG(text));
}

static enum nx_err read_field(struct reader *r, const yaml_node_t *key, const yaml_node_t *value,
                              struct nx_relabel_rule *rule)
{
    struct nx_view name = key->type == YAML_SCALAR_NODE ? scalar(key) : NX_VIEW("");
    if (nx_view_is(name, "source_labels"))
        return read_names(r, value, rule);
    struct nx_view *text = nx_view_is(name, "separator")      ? &rule->separator
                           : nx_view_is(name, "regex")        ? &rule->regex
                           : nx_view_is(name, "target_label") ? &rule->target_label
                           : nx_view_is(name, "replacement")  ? &rule->replacement
                                                              : NULL;
    bool modulus = nx_view_is(name, "modulus");
    if (!text && !modulus && !nx_view_is(name, "action"))
        return refuse(r, key,
                      "unknown field of a relabeling rule; expected source_labels, separator, "
                      "regex, modulus, target_label, replacement or action");
    if (value->type != YAML_SCALAR_NODE)
        return refuse(r, value, "expected a single value");
    if (is_nothing(value))
        return NX_OK;
    if (text) {
        *text = scalar(value);
        return NX_OK;
    }
    return modulus ? read_modulus(r, value, rule) : read_action(r, value, rule);
}

static bool field_repeats(struct reader *r, const yaml_node_t *node, const yaml_node_pair_t *at)
{
    const yaml_node_t *key = yaml_document_get_node(r->document, at->key);
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < at; pair++) {
        const yaml_node_t *other = yaml_document_get_node(r->document, pair->key);
        if (key->type == YAML_SCALAR_NODE && other->type == YAML_SCALAR_NODE &&
            nx_view_eq(scalar(key), scalar(other)))
            return true;
    }
    return false;
}

static enum nx_err read_rule(struct reader *r, const yaml_node_t *node)
{
    struct nx_relabel_rule rule = nx_relabel_rule_default();
    struct nx_fail why = {.code = NX_OK};
    enum nx_err err = NX_OK;
    if (node->type != YAML_MAPPING_NODE)
        return refuse(r, node, "expected a relabeling rule (\"action: ...\")");
    nx_arena_clear(&r->arena);
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top && err == NX_OK; pair++) {
        const yaml_node_t *key = yaml_document_get_node(r->document, pair->key);
        if (field_repeats(r, node, pair))
            err = refuse(r, key, "a field of a relabeling rule appears twice");
        else
            err = read_field(r, key, yaml_document_get_node(r->document, pair->value), &rule);
    }
    if (err != NX_OK)
        return err;
    err = nx_relabel_add(r->relabel, &rule, &why);
    if (err == NX_OK || err == NX_ERR_NOMEM)
        return err;
    return refuse(r, node, nx_fail_text(&why));
}

enum nx_err nx_relabel_read_node(yaml_document_t *document, const yaml_node_t *node,
                                 const char *origin, struct nx_relabel **out, struct nx_fail *fail)
{
    struct reader r = {.document = document, .origin = origin, .fail = fail};
    bool empty = !node || is_nothing(node);
    if (!empty && node->type != YAML_SEQUENCE_NODE)
        return refuse(&r, node, "expected a list of relabeling rules");
    enum nx_err err = nx_relabel_new(&r.relabel);
    nx_arena_init(&r.arena, 0);
    if (err == NX_OK && !empty) {
        for (yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top && err == NX_OK; item++)
            err = read_rule(&r, yaml_document_get_node(document, *item));
    }
    nx_arena_release(&r.arena);
    if (err == NX_OK) {
        *out = r.relabel;
        return NX_OK;
    }
    nx_relabel_free(r.relabel);
    return err == NX_ERR_NOMEM ? nx_fail_set(fail, err, "%s", nx_err_text(err)) : err;
}

enum nx_err nx_relabel_read_text(const char *origin, struct nx_view yaml, struct nx_relabel **out,
                                 struct nx_fail *fail)
{
    yaml_parser_t parser;
    yaml_document_t document;
    enum nx_err err;
    if (!yaml_parser_initialize(&parser))
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(yaml.ptr ? yaml.ptr : ""),
                                 yaml.len);
    if (yaml_parser_load(&parser, &document)) {
        err = nx_relabel_read_node(&document, yaml_document_get_root_node(&document), origin, out,
                                   fail);
        yaml_document_delete(&document);
    } else {
        err = nx_fail_set(fail, NX_ERR_CONFIG, "%s:%zu: not valid YAML: %s", origin,
                          parser.problem_mark.line + 1,
                          parser.problem ? parser.problem : "unreadable");
    }
    yaml_parser_delete(&parser);
    return err;
}
