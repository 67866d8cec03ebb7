/* The document is loaded whole (libyaml's nodes know their lines) and walked; each value goes
 * through the same parser as a setting. Tenants are sorted by name and looked up by bisection under
 * a mutex, which a reload holds for the exchange of two pointers only. */
#include "common/config/overrides.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "common/base/alloc.h"
#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/config/config_internal.h"

#define FILE_MAX_BYTES ((size_t)16 << 20)
#define DEPTH_MAX 4
#define DAY_MS INT64_C(86400000)
#define FIELD(name) offsetof(struct nx_tenant_limits, name)

/* Only whole numbers, durations and sizes: -1 stands for what is not set. The defaults are never
 * used. */
static const struct nx_setting rows[] = {
    {.key = "storage.retention",
     .type = NX_SETTING_DURATION,
     .default_text = "1h",
     .offset = FIELD(retention_ms),
     .min = INT64_C(3600000),
     .max = 36525 * DAY_MS,
     .help = "Blocks of the tenant whose samples are all older than this are deleted."},
    {.key = "storage.retention-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "0",
     .offset = FIELD(retention_bytes),
     .min = 0,
     .max = INT64_MAX,
     .help = "Size of the tenant's blocks on one ingester beyond which the oldest are deleted; 0: "
             "no limit."},
};
#define ROWS (sizeof rows / sizeof rows[0])

static const struct nx_tenant_limits unset = {.retention_ms = -1, .retention_bytes = -1};

struct tenant {
    struct nx_view name;
    size_t line;
    struct nx_tenant_limits limits;
};

struct nx_overrides_draft {
    struct nx_arena arena;
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
    struct nx_config *config; /* of the table above */
    union nx_config_value *values;
    struct nx_overrides_draft *draft;
    size_t seen[ROWS]; /* the line that set it for the tenant at hand; 0: none */
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
    nx_arena_release(&draft->arena);
    nx_free(draft);
}

/* --- reading --- */

static enum nx_err no_memory(struct nx_fail *fail)
{
    return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
}

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

static void store(const struct nx_setting *row, const union nx_config_value *value,
                  struct nx_tenant_limits *limits)
{
    memcpy((char *)limits + row->offset, &value->integer, sizeof value->integer);
}

static enum nx_err read_value(struct reader *r, struct nx_view key, const yaml_node_t *node,
                              struct tenant *tenant)
{
    char where[256];
    size_t line = node->start_mark.line + 1;
    (void)snprintf(where, sizeof where, "%.160s:%zu: ", r->origin, line);
    size_t i = nx_config_find(r->config, key);
    if (i == SIZE_MAX)
        return nx_config_unknown(r->config, where, "key", key, false, r->fail);
    if (r->seen[i] > 0)
        return nx_fail_set(r->fail, NX_ERR_CONFIG, "%s\"%.*s\" is set twice, first in line %zu",
                           where, NX_VIEW_ARG(key), r->seen[i]);
    r->seen[i] = line;
    struct nx_config_draft values = {.config = r->config, .values = r->values};
    enum nx_err err = nx_config_set(&values, i, scalar(node), where, r->fail);
    if (err == NX_OK)
        store(r->config->rows[i].setting, &r->values[i], &tenant->limits);
    return err;
}

/* The settings of a tenant below `prefix` ("storage." or ""). */
static enum nx_err read_settings(struct reader *r, struct nx_view prefix, const yaml_node_t *node,
                                 struct tenant *tenant, size_t depth)
{
    char text[256];
    enum nx_err err = NX_OK;
    if (is_nothing(node))
        return NX_OK;
    if (node->type != YAML_MAPPING_NODE || depth > DEPTH_MAX)
        return refuse(r, node, "expected settings of the tenant (\"key: value\")");
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top && err == NX_OK; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&r->document, pair->value);
        if (key->type != YAML_SCALAR_NODE ||
            prefix.len + key->data.scalar.length + 1 >= sizeof text)
            return refuse(r, key, "expected the name of a setting");
        int len =
            snprintf(text, sizeof text, "%.*s%.*s", NX_VIEW_ARG(prefix), NX_VIEW_ARG(scalar(key)));
        struct nx_view name = nx_view_make(text, len > 0 ? (size_t)len : 0);
        if (value->type == YAML_SCALAR_NODE && !is_nothing(value)) {
            err = read_value(r, name, value, tenant);
        } else if (value->type == YAML_SCALAR_NODE) {
            err = refuse(r, value, "expected a value");
        } else {
            text[name.len] = '.';
            if (!nx_config_is_section(r->config, name)) {
                char where[256];
                (void)snprintf(where, sizeof where, "%.160s:%zu: ", r->origin,
                               key->start_mark.line + 1);
                return nx_config_unknown(r->config, where, "section", name, true, r->fail);
            }
            struct nx_view below =
                nx_arena_copy(&r->draft->arena, nx_view_make(text, name.len + 1));
            err =
                below.ptr ? read_settings(r, below, value, tenant, depth + 1) : no_memory(r->fail);
        }
    }
    return err;
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
    struct tenant tenant = {.name = nx_arena_copy(&draft->arena, scalar(key)),
                            .line = key->start_mark.line + 1,
                            .limits = unset};
    if (!tenant.name.ptr)
        return no_memory(r->fail);
    memset(r->seen, 0, sizeof r->seen);
    enum nx_err err = read_settings(r, NX_VIEW(""), value, &tenant, 0);
    if (err == NX_OK)
        draft->tenants[draft->count++] = tenant;
    return err;
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
    bool found = false;
    if (!root || is_nothing(root))
        return NX_OK;
    if (root->type != YAML_MAPPING_NODE)
        return refuse(r, root, "expected \"overrides:\"");
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top && err == NX_OK; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
        if (key->type != YAML_SCALAR_NODE || !nx_view_is(scalar(key), "overrides"))
            return refuse(r, key, "unknown key; expected \"overrides\"");
        if (found)
            return refuse(r, key, "\"overrides\" appears twice");
        found = true;
        err = read_tenants(r, yaml_document_get_node(&r->document, pair->value));
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
    struct nx_tenant_limits scratch;
    struct nx_setting_group group = {.settings = rows, .count = ROWS, .target = &scratch};
    struct reader r = {.origin = origin, .fail = fail};
    enum nx_err err = nx_config_new(&group, 1, &r.config);
    if (err != NX_OK)
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    r.draft = nx_calloc(1, sizeof *r.draft);
    r.values = nx_calloc(ROWS, sizeof *r.values);
    if (r.draft)
        nx_arena_init(&r.draft->arena, 0);
    err = r.draft && r.values ? load(&r, yaml) : no_memory(fail);
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

void nx_overrides_get(struct nx_overrides *overrides, struct nx_view tenant,
                      struct nx_tenant_limits *out)
{
    *out = unset;
    if (!overrides)
        return;
    struct tenant key = {.name = tenant};
    pthread_mutex_lock(&overrides->lock);
    const struct nx_overrides_draft *now = overrides->now;
    const struct tenant *found = NULL;
    if (now && now->count > 0)
        found = bsearch(&key, now->tenants, now->count, sizeof key, by_name);
    if (found)
        *out = found->limits;
    pthread_mutex_unlock(&overrides->lock);
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
    for (size_t i = 0; i < ROWS; i++) {
        nx_buf_printf(out, "%s\n    ", rows[i].key);
        nx_config_describe(&rows[i], out);
        nx_buf_printf(out, "\n    %s\n", rows[i].help);
    }
}
