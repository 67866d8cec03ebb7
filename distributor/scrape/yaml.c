/* libyaml resolves aliases into one node that several places name; a document is read by recursion
 * over types that the tables fix, so a cycle of aliases meets a type that does not fit, save in the
 * fingerprint, which bounds its depth. */
#include "distributor/scrape/yaml.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/time.h"

enum { DEPTH_MAX = 32 };

enum nx_err(scrape_yaml_refuse)(struct scrape_yaml *yaml, const yaml_node_t *node, const char *what,
                                ...)
{
    char text[1024];
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof text, what, args);
    va_end(args);
    return nx_fail_set(yaml->fail, NX_ERR_CONFIG, "%s:%zu: %s", yaml->origin,
                       node->start_mark.line + 1, text);
}

enum nx_err scrape_yaml_load(const char *origin, struct nx_view text, yaml_document_t *document,
                             struct nx_fail *fail)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return NX_ERR_NOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    enum nx_err err = NX_OK;
    if (!yaml_parser_load(&parser, document)) {
        err = parser.error == YAML_MEMORY_ERROR
                  ? nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM))
                  : nx_fail_set(fail, NX_ERR_CONFIG, "%s:%zu: not valid YAML: %s", origin,
                                parser.problem_mark.line + 1,
                                parser.problem ? parser.problem : "unreadable");
    }
    yaml_parser_delete(&parser);
    return err;
}

bool scrape_yaml_is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    struct nx_view text = nx_view_make(node->data.scalar.value, node->data.scalar.length);
    return text.len == 0 || nx_view_is(text, "~") || nx_view_is(text, "null");
}

enum nx_err scrape_yaml_scalar(struct scrape_yaml *yaml, const yaml_node_t *node,
                               struct nx_view *out)
{
    if (node->type != YAML_SCALAR_NODE)
        return scrape_yaml_refuse(yaml, node, "expected a single value");
    struct nx_view text = nx_view_make(node->data.scalar.value, node->data.scalar.length);
    if (memchr(text.ptr, '\0', text.len))
        return scrape_yaml_refuse(yaml, node, "the value holds a zero byte");
    *out = scrape_yaml_is_null(node) ? NX_VIEW("") : text;
    return NX_OK;
}

enum nx_err scrape_yaml_text(struct scrape_yaml *yaml, const yaml_node_t *node, const char **out)
{
    struct nx_view text = NX_VIEW("");
    enum nx_err err = scrape_yaml_scalar(yaml, node, &text);
    if (err)
        return err;
    struct nx_view copy = nx_arena_copy(yaml->arena, text);
    if (!copy.ptr)
        return NX_ERR_NOMEM;
    *out = copy.ptr;
    return NX_OK;
}

enum nx_err scrape_yaml_list(struct scrape_yaml *yaml, const yaml_node_t *node,
                             const yaml_node_item_t **items, size_t *count)
{
    *items = NULL;
    *count = 0;
    if (scrape_yaml_is_null(node))
        return NX_OK;
    if (node->type != YAML_SEQUENCE_NODE)
        return scrape_yaml_refuse(yaml, node, "expected a list");
    *items = node->data.sequence.items.start;
    *count = (size_t)(node->data.sequence.items.top - *items);
    return NX_OK;
}

enum nx_err scrape_yaml_texts(struct scrape_yaml *yaml, const yaml_node_t *node, const char ***out,
                              size_t *count)
{
    const yaml_node_item_t *items = NULL;
    size_t n = 0;
    enum nx_err err = scrape_yaml_list(yaml, node, &items, &n);
    if (err)
        return err;
    const char **texts = nx_arena_array(yaml->arena, n + 1, sizeof *texts);
    if (!texts)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < n && !err; i++)
        err = scrape_yaml_text(yaml, yaml_document_get_node(yaml->document, items[i]), &texts[i]);
    if (err)
        return err;
    *out = texts;
    *count = n;
    return NX_OK;
}

/* --- values --- */

static enum nx_err parse_count(struct nx_view text, uint64_t *out)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 18)
        return NX_ERR_INVALID;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return NX_ERR_INVALID;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = value;
    return NX_OK;
}

/* Prometheus's sizes: whole numbers with a unit of powers of 1024, "1KB" as "1KiB". */
static enum nx_err parse_bytes(struct nx_view text, uint64_t *out)
{
    static const char letters[] = "KMGTPE";
    size_t digits = 0;
    unsigned shift = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    struct nx_view unit = nx_view_make(text.ptr + digits, text.len - digits);
    if (unit.len > 0 && unit.ptr[unit.len - 1] == 'B')
        unit.len--;
    if (unit.len == 2 && unit.ptr[1] == 'i')
        unit.len--;
    if (unit.len == 1) {
        const char *letter = strchr(letters, unit.ptr[0]);
        if (!letter || !*letter)
            return NX_ERR_INVALID;
        shift = 10 * (unsigned)(letter - letters + 1);
    } else if (unit.len > 1) {
        return NX_ERR_INVALID;
    }
    uint64_t value = 0;
    if (parse_count(nx_view_make(text.ptr, digits), &value) != NX_OK ||
        value > (uint64_t)INT64_MAX >> shift)
        return NX_ERR_INVALID;
    *out = value << shift;
    return NX_OK;
}

static enum nx_err read_number(struct scrape_yaml *yaml, const yaml_node_t *node,
                               const struct scrape_field *field, int64_t *out)
{
    struct nx_view text = NX_VIEW("");
    enum nx_err err = scrape_yaml_scalar(yaml, node, &text);
    uint64_t value = 0;
    if (err)
        return err;
    if (field->kind == SCRAPE_FIELD_DURATION) {
        int64_t ms = 0;
        if (nx_duration_parse(text, &ms, NULL) != NX_OK || ms <= 0)
            return scrape_yaml_refuse(yaml, node,
                                      "%s: expected a duration above 0 such as 15s, got \"%.100s\"",
                                      field->key, text.ptr);
        *out = ms;
        return NX_OK;
    }
    err = field->kind == SCRAPE_FIELD_COUNT ? parse_count(text, &value) : parse_bytes(text, &value);
    if (err)
        return scrape_yaml_refuse(
            yaml, node, "%s: expected %s, got \"%.100s\"", field->key,
            field->kind == SCRAPE_FIELD_COUNT ? "a whole number" : "a size such as 10MB", text.ptr);
    *out = (int64_t)value;
    return NX_OK;
}

static enum nx_err read_bool(struct scrape_yaml *yaml, const yaml_node_t *node,
                             const struct scrape_field *field, bool *out)
{
    struct nx_view text = NX_VIEW("");
    enum nx_err err = scrape_yaml_scalar(yaml, node, &text);
    if (err)
        return err;
    if (nx_view_eq_nocase(text, NX_VIEW("true")))
        *out = true;
    else if (nx_view_eq_nocase(text, NX_VIEW("false")))
        *out = false;
    else
        return scrape_yaml_refuse(yaml, node, "%s: expected true or false, got \"%.100s\"",
                                  field->key, text.ptr);
    return NX_OK;
}

static enum nx_err read_field(struct scrape_yaml *yaml, const yaml_node_t *node,
                              const struct scrape_field *field, void *target)
{
    char *at = (char *)target + field->offset;
    switch (field->kind) {
    case SCRAPE_FIELD_TEXT:
        return scrape_yaml_text(yaml, node, (const char **)(void *)at);
    case SCRAPE_FIELD_BOOL:
        return read_bool(yaml, node, field, (bool *)at);
    case SCRAPE_FIELD_DURATION:
    case SCRAPE_FIELD_COUNT:
    case SCRAPE_FIELD_BYTES:
        return read_number(yaml, node, field, (int64_t *)(void *)at);
    case SCRAPE_FIELD_READ:
        return field->read(yaml, node, at);
    case SCRAPE_FIELD_IGNORED:
        break;
    }
    return NX_OK;
}

/* --- mappings --- */

static size_t find_field(const struct scrape_field *fields, size_t count, struct nx_view key)
{
    for (size_t i = 0; i < count; i++)
        if (nx_view_is(key, fields[i].key))
            return i;
    return count;
}

enum nx_err scrape_yaml_mapping(struct scrape_yaml *yaml, const yaml_node_t *node,
                                const struct scrape_field *fields, size_t count, void *target,
                                enum nx_err (*unknown)(void *user, struct nx_view key), void *user)
{
    bool seen[SCRAPE_FIELDS_MAX] = {false};
    if (scrape_yaml_is_null(node))
        return NX_OK;
    if (node->type != YAML_MAPPING_NODE)
        return scrape_yaml_refuse(yaml, node, "expected a mapping (key: value)");
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(yaml->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(yaml->document, pair->value);
        struct nx_view key = NX_VIEW("");
        enum nx_err err = scrape_yaml_scalar(yaml, name, &key);
        if (err)
            return err;
        size_t at = find_field(fields, count, key);
        if (at == count && !unknown)
            return scrape_yaml_refuse(yaml, name, "unknown key \"%.100s\"", key.ptr);
        if (at < count && seen[at])
            return scrape_yaml_refuse(yaml, name, "key \"%.100s\" given twice", key.ptr);
        if (at < count) {
            seen[at] = true;
            err = read_field(yaml, value, &fields[at], target);
        } else {
            err = unknown(user, key);
        }
        if (err)
            return err;
    }
    return NX_OK;
}

/* --- fingerprints --- */

/* NOLINTNEXTLINE(misc-no-recursion) */
static uint64_t hash_node(yaml_document_t *document, const yaml_node_t *node, uint64_t seed,
                          unsigned depth)
{
    uint64_t parts[2] = {seed, (uint64_t)node->type};
    uint64_t hash = nx_hash64(parts, sizeof parts);
    if (depth == 0)
        return hash;
    if (node->type == YAML_SCALAR_NODE)
        return nx_hash64_seeded(node->data.scalar.value, node->data.scalar.length, hash);
    if (node->type == YAML_SEQUENCE_NODE) {
        const yaml_node_item_t *item = node->data.sequence.items.start;
        for (; item < node->data.sequence.items.top; item++)
            hash = hash_node(document, yaml_document_get_node(document, *item), hash, depth - 1);
    } else if (node->type == YAML_MAPPING_NODE) {
        const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
        for (; pair < node->data.mapping.pairs.top; pair++) {
            hash =
                hash_node(document, yaml_document_get_node(document, pair->key), hash, depth - 1);
            hash =
                hash_node(document, yaml_document_get_node(document, pair->value), hash, depth - 1);
        }
    }
    return hash;
}

uint64_t scrape_yaml_fingerprint(yaml_document_t *document, const yaml_node_t *node, uint64_t seed)
{
    return hash_node(document, node, seed, DEPTH_MAX);
}
