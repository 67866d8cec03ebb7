/* The document is loaded whole (libyaml's nodes know their lines) and walked; each value goes
 * through the same parser as a setting. Tenants are sorted by name and looked up by bisection under
 * a mutex, which a reload holds for the exchange of two pointers only. */
#include "common/config/overrides.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/config/overrides_internal.h"

#define FILE_MAX_BYTES ((size_t)16 << 20)
#define DEPTH_MAX 4
#define KEY_MAX_BYTES 256

struct tenant {
    struct nx_view name;
    size_t line;
    struct nx_tenant_limits limits;
    struct nx_tenant_rules *rules; /* NULL: none; a reference */
};

struct nx_overrides_draft {
    struct nx_arena arena;
    struct tenant defaults;
    struct tenant *tenants; /* sorted by name once read */
    size_t count;
    size_t capacity;
};

struct nx_overrides {
    pthread_mutex_t lock;
    struct nx_overrides_draft *now; /* under lock; NULL: none */
};

struct reader {
    const char *origin;
    struct nx_fail *fail;
    yaml_document_t document;
    struct nx_override_place place;
    struct nx_config *config; /* of nx_override_rows */
    union nx_config_value *values;
    struct nx_overrides_draft *draft;
    size_t *seen; /* a row: the line that set it for the tenant at hand; 0: none */
};

enum nx_err nx_overrides_new(struct nx_overrides **out)
{
    struct nx_overrides *overrides = nx_calloc(1, sizeof *overrides);
    if (!overrides)
        return NX_ERR_NOMEM;
    pthread_mutex_init(&overrides->lock, NULL);
    *out = overrides;
    return NX_OK;
}

void nx_overrides_free(struct nx_overrides *overrides)
{
    if (!overrides)
        return;
    nx_overrides_draft_free(overrides->now);
    pthread_mutex_destroy(&overrides->lock);
    nx_free(overrides);
}

void nx_overrides_draft_free(struct nx_overrides_draft *draft)
{
    if (!draft)
        return;
    for (size_t i = 0; i < draft->count; i++)
        nx_tenant_rules_release(draft->tenants[i].rules);
    nx_tenant_rules_release(draft->defaults.rules);
    nx_arena_release(&draft->arena);
    nx_free(draft);
}

/* --- reading --- */

static enum nx_err no_memory(struct nx_fail *fail)
{
    return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
}

enum nx_err nx_override_refuse(const struct nx_override_place *place, const yaml_node_t *node,
                               const char *what)
{
    return nx_fail_set(place->fail, NX_ERR_CONFIG, "%s:%zu: %s", place->origin,
                       node->start_mark.line + 1, what);
}

static enum nx_err refuse(struct reader *r, const yaml_node_t *node, const char *what)
{
    return nx_override_refuse(&r->place, node, what);
}

static struct nx_view scalar(const yaml_node_t *node)
{
    return nx_override_scalar(node);
}

static bool is_nothing(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (node->data.scalar.length == 0 || nx_view_is(scalar(node), "~") ||
            nx_view_is(scalar(node), "null"));
}

static void store(const struct nx_setting *row, const union nx_config_value *value,
                  struct nx_tenant_limits *limits)
{
    if (row->type == NX_SETTING_BOOL)
        limits->accept_ha = value->boolean;
    else
        memcpy((char *)limits + row->offset, &value->integer, sizeof value->integer);
}

static enum nx_err read_value(struct reader *r, size_t i, const yaml_node_t *node,
                              struct tenant *tenant)
{
    const struct nx_setting *row = r->config->rows[i].setting;
    char where[256];
    size_t line = node->start_mark.line + 1;
    (void)snprintf(where, sizeof where, "%.160s:%zu: ", r->origin, line);
    if (r->seen[i] > 0)
        return nx_fail_set(r->fail, NX_ERR_CONFIG, "%s\"%s\" is set twice, first in line %zu",
                           where, row->key, r->seen[i]);
    r->seen[i] = line;
    if (is_nothing(node))
        return nx_fail_set(r->fail, NX_ERR_CONFIG, "%s\"%s\": expected a value", where, row->key);
    if (row->type == NX_SETTING_STRING)
        return nx_override_rule(&r->place, row->key, node, &tenant->rules);
    if (node->type != YAML_SCALAR_NODE)
        return nx_fail_set(r->fail, NX_ERR_CONFIG, "%s\"%s\": expected a single value", where,
                           row->key);
    struct nx_config_draft values = {.config = r->config, .values = r->values};
    enum nx_err err = nx_config_set(&values, i, scalar(node), where, r->fail);
    if (err == NX_OK)
        store(row, &r->values[i], &tenant->limits);
    return err;
}

/* A key as the table has it: Mimir writes underscores, and no section. */
struct key {
    char text[KEY_MAX_BYTES];
    size_t len;
};

static struct nx_view key_view(const struct key *key)
{
    return nx_view_make(key->text, key->len);
}

static bool key_make(struct key *key, struct nx_view prefix, struct nx_view name)
{
    int len =
        snprintf(key->text, sizeof key->text, "%.*s%.*s", NX_VIEW_ARG(prefix), NX_VIEW_ARG(name));
    if (len < 0 || (size_t)len + 1 >= sizeof key->text)
        return false;
    key->len = (size_t)len;
    for (size_t i = 0; i < key->len; i++)
        if (key->text[i] == '_')
            key->text[i] = '-';
    return true;
}

static size_t find_row(struct reader *r, struct key *key, struct nx_view prefix,
                       struct nx_view name)
{
    size_t i = nx_config_find(r->config, key_view(key));
    struct key other;
    if (i != SIZE_MAX || prefix.len > 0 || !key_make(&other, NX_VIEW("limits."), name))
        return i;
    i = nx_config_find(r->config, key_view(&other));
    if (i != SIZE_MAX)
        *key = other;
    return i;
}

static enum nx_err read_settings(struct reader *r, struct nx_view prefix, const yaml_node_t *node,
                                 struct tenant *tenant, size_t depth);

static enum nx_err read_entry(struct reader *r, struct nx_view prefix, const yaml_node_t *name,
                              const yaml_node_t *value, struct tenant *tenant, size_t depth)
{
    struct key key;
    char where[256];
    if (name->type != YAML_SCALAR_NODE || !key_make(&key, prefix, scalar(name)))
        return refuse(r, name, "expected the name of a setting");
    size_t i = find_row(r, &key, prefix, scalar(name));
    if (i != SIZE_MAX)
        return read_value(r, i, value, tenant);
    bool section = value->type == YAML_MAPPING_NODE;
    if (!nx_config_is_section(r->config, key_view(&key))) {
        (void)snprintf(where, sizeof where, "%.160s:%zu: ", r->origin, name->start_mark.line + 1);
        return nx_config_unknown(r->config, where, section ? "section" : "key", key_view(&key),
                                 section, r->fail);
    }
    if (!section)
        return is_nothing(value) ? NX_OK : refuse(r, value, "expected settings (\"key: value\")");
    key.text[key.len++] = '.';
    return read_settings(r, key_view(&key), value, tenant, depth + 1);
}

/* The settings of a tenant below `prefix` ("storage." or ""). */
static enum nx_err read_settings(struct reader *r, struct nx_view prefix, const yaml_node_t *node,
                                 struct tenant *tenant, size_t depth)
{
    enum nx_err err = NX_OK;
    if (is_nothing(node))
        return NX_OK;
    if (node->type != YAML_MAPPING_NODE || depth > DEPTH_MAX)
        return refuse(r, node, "expected settings of the tenant (\"key: value\")");
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top && err == NX_OK; pair++)
        err = read_entry(r, prefix, yaml_document_get_node(&r->document, pair->key),
                         yaml_document_get_node(&r->document, pair->value), tenant, depth);
    return err;
}

/* All that one tenant, or `defaults`, sets. */
static enum nx_err read_limits(struct reader *r, const yaml_node_t *node, struct tenant *tenant)
{
    memset(r->seen, 0, nx_override_row_count * sizeof *r->seen);
    tenant->limits = nx_override_unset;
    return read_settings(r, NX_VIEW(""), node, tenant, 0);
}

static enum nx_err read_tenant(struct reader *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct nx_overrides_draft *draft = r->draft;
    if (key->type != YAML_SCALAR_NODE || key->data.scalar.length == 0)
        return refuse(r, key, "expected the name of a tenant");
    if (draft->count >= NX_OVERRIDES_MAX)
        return refuse(r, key, "too many tenants");
    if (!nx_arena_grow(&draft->arena, &draft->tenants, draft->count, &draft->capacity,
                       draft->count + 1, sizeof *draft->tenants))
        return no_memory(r->fail);
    struct tenant *tenant = &draft->tenants[draft->count];
    *tenant = (struct tenant){.name = nx_arena_copy(&draft->arena, scalar(key)),
                              .line = key->start_mark.line + 1};
    if (!tenant->name.ptr)
        return no_memory(r->fail);
    draft->count++;
    return read_limits(r, value, tenant);
}

static enum nx_err read_tenants(struct reader *r, const yaml_node_t *node)
{
    enum nx_err err = NX_OK;
    if (is_nothing(node))
        return NX_OK;
    if (node->type != YAML_MAPPING_NODE)
        return refuse(r, node, "expected tenants (\"name: {key: value}\")");
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top && err == NX_OK; pair++)
        err = read_tenant(r, yaml_document_get_node(&r->document, pair->key),
                          yaml_document_get_node(&r->document, pair->value));
    return err;
}

static enum nx_err read_root(struct reader *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    enum nx_err err = NX_OK;
    bool overrides = false, defaults = false;
    if (!root || is_nothing(root))
        return NX_OK;
    if (root->type != YAML_MAPPING_NODE)
        return refuse(r, root, "expected \"overrides:\"");
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top && err == NX_OK; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&r->document, pair->value);
        if (key->type == YAML_SCALAR_NODE && nx_view_is(scalar(key), "overrides")) {
            err =
                overrides ? refuse(r, key, "\"overrides\" appears twice") : read_tenants(r, value);
            overrides = true;
        } else if (key->type == YAML_SCALAR_NODE && nx_view_is(scalar(key), "defaults")) {
            err = defaults ? refuse(r, key, "\"defaults\" appears twice")
                           : read_limits(r, value, &r->draft->defaults);
            defaults = true;
        } else {
            return refuse(r, key, "unknown key; expected \"overrides\" or \"defaults\"");
        }
    }
    return err;
}

static int by_name(const void *a, const void *b)
{
    return nx_view_cmp(((const struct tenant *)a)->name, ((const struct tenant *)b)->name);
}

static enum nx_err sort_tenants(struct reader *r)
{
    struct nx_overrides_draft *draft = r->draft;
    if (draft->count > 1)
        qsort(draft->tenants, draft->count, sizeof *draft->tenants, by_name);
    for (size_t i = 1; i < draft->count; i++) {
        const struct tenant *a = &draft->tenants[i - 1], *b = &draft->tenants[i];
        if (nx_view_eq(a->name, b->name))
            return nx_fail_set(r->fail, NX_ERR_CONFIG,
                               "%s:%zu: tenant \"%.*s\" appears twice, first in line %zu",
                               r->origin, a->line > b->line ? a->line : b->line,
                               NX_VIEW_ARG(a->name), a->line < b->line ? a->line : b->line);
    }
    return NX_OK;
}

/* The whole of the text must be one document. */
static enum nx_err load(struct reader *r, struct nx_view yaml)
{
    yaml_parser_t parser;
    yaml_document_t more;
    if (!yaml_parser_initialize(&parser))
        return no_memory(r->fail);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(yaml.ptr ? yaml.ptr : ""),
                                 yaml.len);
    enum nx_err err = NX_OK;
    if (!yaml_parser_load(&parser, &r->document)) {
        err = parser.error == YAML_MEMORY_ERROR
                  ? no_memory(r->fail)
                  : nx_fail_set(r->fail, NX_ERR_CONFIG, "%s:%zu: not valid YAML: %s", r->origin,
                                parser.problem_mark.line + 1,
                                parser.problem ? parser.problem : "unreadable");
        yaml_parser_delete(&parser);
        return err;
    }
    err = read_root(r);
    if (err == NX_OK && yaml_document_get_root_node(&r->document)) {
        if (!yaml_parser_load(&parser, &more)) {
            err = nx_fail_set(r->fail, NX_ERR_CONFIG, "%s:%zu: not valid YAML: %s", r->origin,
                              parser.problem_mark.line + 1,
                              parser.problem ? parser.problem : "unreadable");
        } else {
            if (yaml_document_get_root_node(&more))
                err = nx_fail_set(r->fail, NX_ERR_CONFIG, "%s: expected a single YAML document",
                                  r->origin);
            yaml_document_delete(&more);
        }
    }
    yaml_document_delete(&r->document);
    yaml_parser_delete(&parser);
    return err == NX_OK ? sort_tenants(r) : err;
}

enum nx_err nx_overrides_read_text(const char *origin, struct nx_view yaml,
                                   struct nx_overrides_draft **out, struct nx_fail *fail)
{
    struct nx_limit_settings scratch;
    struct nx_setting_group group = {
        .settings = nx_override_rows, .count = nx_override_row_count, .target = &scratch};
    struct reader r = {.origin = origin, .fail = fail};
    enum nx_err err = nx_config_new(&group, 1, &r.config);
    if (err != NX_OK)
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    r.place =
        (struct nx_override_place){.document = &r.document,
                                   .origin = origin,
                                   .fail = fail,
                                   .fingerprint = nx_hash64(yaml.ptr ? yaml.ptr : "", yaml.len)};
    r.draft = nx_calloc(1, sizeof *r.draft);
    r.values = nx_calloc(nx_override_row_count, sizeof *r.values);
    r.seen = nx_calloc(nx_override_row_count, sizeof *r.seen);
    if (r.draft) {
        nx_arena_init(&r.draft->arena, 0);
        r.draft->defaults.limits = nx_override_unset;
    }
    err = r.draft && r.values && r.seen ? load(&r, yaml) : no_memory(fail);
    nx_free(r.seen);
    nx_free(r.values);
    nx_config_free(r.config);
    if (err != NX_OK) {
        nx_overrides_draft_free(r.draft);
        return err;
    }
    *out = r.draft;
    return NX_OK;
}

enum nx_err nx_overrides_read(const char *path, struct nx_overrides_draft **out,
                              struct nx_fail *fail)
{
    char *bytes;
    size_t len;
    if (!*path)
        return nx_overrides_read_text("", NX_VIEW(""), out, fail);
    enum nx_err err = nx_file_read_all(path, FILE_MAX_BYTES, &bytes, &len);
    if (err != NX_OK)
        return nx_fail_set(fail, err == NX_ERR_NOMEM ? err : NX_ERR_CONFIG,
                           "tenants.overrides-file: %s: %s", path, nx_err_text(err));
    err = nx_overrides_read_text(path, nx_view_make(bytes, len), out, fail);
    nx_free(bytes);
    return err;
}

/* --- in force --- */

void nx_overrides_take(struct nx_overrides *overrides, struct nx_overrides_draft *draft)
{
    pthread_mutex_lock(&overrides->lock);
    struct nx_overrides_draft *before = overrides->now;
    overrides->now = draft;
    pthread_mutex_unlock(&overrides->lock);
    nx_overrides_draft_free(before);
}

/* Under the lock; NULL: the tenant has nothing of its own. */
static const struct tenant *find(const struct nx_overrides_draft *now, struct nx_view tenant)
{
    struct tenant key = {.name = tenant};
    if (now->count == 0)
        return NULL;
    return bsearch(&key, now->tenants, now->count, sizeof key, by_name);
}

/* Every limit is an int64_t. */
static void fill_unset(struct nx_tenant_limits *limits, const struct nx_tenant_limits *from)
{
    int64_t own[sizeof *limits / sizeof(int64_t)];
    int64_t other[sizeof *limits / sizeof(int64_t)];
    memcpy(own, limits, sizeof own);
    memcpy(other, from, sizeof other);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        own[i] = own[i] < 0 ? other[i] : own[i];
    memcpy(limits, own, sizeof own);
}

void nx_overrides_get(struct nx_overrides *overrides, struct nx_view tenant,
                      struct nx_tenant_limits *out)
{
    *out = nx_override_unset;
    if (!overrides)
        return;
    pthread_mutex_lock(&overrides->lock);
    const struct nx_overrides_draft *now = overrides->now;
    const struct tenant *found = now ? find(now, tenant) : NULL;
    if (found)
        *out = found->limits;
    if (now)
        fill_unset(out, &now->defaults.limits);
    pthread_mutex_unlock(&overrides->lock);
}

void nx_limits_of(const struct nx_limit_settings *settings, struct nx_overrides *overrides,
                  struct nx_view tenant, struct nx_tenant_limits *out)
{
    struct nx_tenant_limits own = settings->limits;
    own.accept_ha = settings->accept_ha;
    own.retention_ms = own.retention_bytes = own.out_of_order_ms = -1;
    nx_overrides_get(overrides, tenant, out);
    fill_unset(out, &own);
    if (out->ingestion_rate < 0)
        out->ingestion_rate = settings->multitenancy ? NX_DEFAULT_INGESTION_RATE : 0;
    if (out->max_series < 0)
        out->max_series = settings->multitenancy ? NX_DEFAULT_MAX_SERIES : 0;
}

struct nx_tenant_rules *nx_overrides_rules(struct nx_overrides *overrides, struct nx_view tenant)
{
    struct nx_tenant_rules *rules = NULL;
    if (!overrides)
        return NULL;
    pthread_mutex_lock(&overrides->lock);
    if (overrides->now) {
        const struct tenant *found = find(overrides->now, tenant);
        rules = found && found->rules ? found->rules : overrides->now->defaults.rules;
    }
    if (rules)
        nx_refcount_take(&rules->refs);
    pthread_mutex_unlock(&overrides->lock);
    return rules;
}

size_t nx_overrides_count(struct nx_overrides *overrides)
{
    pthread_mutex_lock(&overrides->lock);
    size_t count = overrides->now ? overrides->now->count : 0;
    pthread_mutex_unlock(&overrides->lock);
    return count;
}

void nx_overrides_print_help(struct nx_buf *out)
{
    for (size_t i = 0; i < nx_override_row_count; i++) {
        const struct nx_setting *row = &nx_override_rows[i];
        nx_buf_printf(out, "%s\n    ", row->key);
        nx_config_describe(row, out);
        nx_buf_printf(out, "\n    %s\n", row->help);
    }
}
