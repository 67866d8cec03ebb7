/* The table of settings and its life: defaults, loads, reload.
 *
 * Every load works on a draft, a copy of the values in force. Only when the whole source was good
 * is the draft committed: values to the targets, strings to the config's list. Strings are never
 * freed before the config, since a module may hold one of an earlier load; a reload costs their few
 * bytes.
 *
 * `values` repeats what the targets were given, so that a reload compares with what was loaded, not
 * with what a module made of it. */
#include "common/config/config_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/file.h"

#define MAX_FILE_BYTES ((size_t)1 << 20)

static int compare_rows(const void *a, const void *b)
{
    const struct nx_config_row *x = a;
    const struct nx_config_row *y = b;
    return strcmp(x->setting->key, y->setting->key);
}

size_t nx_config_find(const struct nx_config *config, struct nx_view key)
{
    size_t low = 0;
    size_t high = config->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = nx_view_cmp(nx_view_of(config->rows[middle].setting->key), key);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return SIZE_MAX;
}

bool nx_config_is_section(const struct nx_config *config, struct nx_view name)
{
    for (size_t i = 0; i < config->count; i++) {
        struct nx_view key = nx_view_of(config->rows[i].setting->key);
        if (key.len > name.len && key.ptr[name.len] == '.' && nx_view_has_prefix(key, name)) {
            return true;
        }
    }
    return false;
}

/* --- drafts ---------------------------------------------------------------------------------- */

static enum nx_err draft_init(struct nx_config_draft *draft, const struct nx_config *config)
{
    *draft = (struct nx_config_draft){.config = config};
    draft->values = nx_alloc_array(config->count + 1, sizeof(*draft->values));
    if (!draft->values) {
        return NX_ERR_NOMEM;
    }
    memcpy(draft->values, config->values, config->count * sizeof(*draft->values));
    return NX_OK;
}

static void free_strings(struct nx_config_string *strings)
{
    while (strings) {
        struct nx_config_string *next = strings->next;
        nx_free(strings);
        strings = next;
    }
}

static void draft_release(struct nx_config_draft *draft)
{
    free_strings(draft->strings);
    nx_free(draft->values);
}

static enum nx_err draft_defaults(struct nx_config_draft *draft, struct nx_fail *fail)
{
    const struct nx_config *config = draft->config;
    for (size_t i = 0; i < config->count; i++) {
        const char *text = config->rows[i].setting->default_text;
        enum nx_err err =
            nx_config_set(draft, i, nx_view_of(text ? text : ""), "default of ", fail);
        if (err != NX_OK) {
            return err;
        }
    }
    return NX_OK;
}

static void store(const struct nx_config_row *row, const union nx_config_value *value)
{
    void *field = row->target + row->setting->offset;
    switch (row->setting->type) {
    case NX_SETTING_BOOL:
        __atomic_store_n((bool *)field, value->boolean, __ATOMIC_RELAXED);
        break;
    case NX_SETTING_INT:
    case NX_SETTING_DURATION:
    case NX_SETTING_BYTES:
        __atomic_store_n((int64_t *)field, value->integer, __ATOMIC_RELAXED);
        break;
    case NX_SETTING_DOUBLE: {
        double number = value->number;
        __atomic_store((double *)field, &number, __ATOMIC_RELAXED);
        break;
    }
    case NX_SETTING_STRING:
        __atomic_store_n((const char **)field, value->text, __ATOMIC_RELEASE);
        break;
    case NX_SETTING_ENUM:
        __atomic_store_n((int *)field, value->choice, __ATOMIC_RELAXED);
        break;
    }
}

static bool same(const struct nx_setting *setting, const union nx_config_value *a,
                 const union nx_config_value *b)
{
    switch (setting->type) {
    case NX_SETTING_BOOL:
        return a->boolean == b->boolean;
    case NX_SETTING_INT:
    case NX_SETTING_DURATION:
    case NX_SETTING_BYTES:
        return a->integer == b->integer;
    case NX_SETTING_DOUBLE:
        return !(a->number < b->number) && !(a->number > b->number);
    case NX_SETTING_STRING:
        return strcmp(a->text, b->text) == 0;
    case NX_SETTING_ENUM:
        return a->choice == b->choice;
    }
    return false;
}

/* Moves the draft's strings to the config and stores the values that differ, or all. */
static void draft_commit(struct nx_config_draft *draft, struct nx_config *config, bool all)
{
    for (size_t i = 0; i < config->count; i++) {
        if (all || !same(config->rows[i].setting, &config->values[i], &draft->values[i])) {
            config->values[i] = draft->values[i];
            store(&config->rows[i], &config->values[i]);
        }
    }
    struct nx_config_string **last = &draft->strings;
    while (*last) {
        last = &(*last)->next;
    }
    *last = config->strings;
    config->strings = draft->strings;
    draft->strings = NULL;
}

/* --- life ------------------------------------------------------------------------------------ */

static enum nx_err check_keys(const struct nx_config *config)
{
    for (size_t i = 0; i < config->count; i++) {
        struct nx_view key = nx_view_of(config->rows[i].setting->key);
        if (i > 0 && nx_view_is(key, config->rows[i - 1].setting->key)) {
            return NX_ERR_EXISTS;
        }
        if (nx_config_is_section(config, key)) {
            return NX_ERR_EXISTS;
        }
    }
    return NX_OK;
}

static enum nx_err collect_rows(struct nx_config *config, const struct nx_setting_group *groups,
                                size_t count)
{
    size_t total = 0;
    for (size_t g = 0; g < count; g++) {
        total += groups[g].count;
    }
    config->rows = nx_alloc_array(total + 1, sizeof(*config->rows));
    config->settings = nx_alloc_array(total + 1, sizeof(*config->settings));
    config->values = nx_calloc(total + 1, sizeof(*config->values));
    if (!config->rows || !config->settings || !config->values) {
        return NX_ERR_NOMEM;
    }
    for (size_t g = 0; g < count; g++) {
        for (size_t i = 0; i < groups[g].count; i++) {
            struct nx_setting *setting = &config->settings[config->count];
            *setting = groups[g].settings[i];
            config->rows[config->count++] =
                (struct nx_config_row){.setting = setting, .target = groups[g].target};
        }
    }
    qsort(config->rows, config->count, sizeof(*config->rows), compare_rows);
    return check_keys(config);
}

enum nx_err nx_config_new(const struct nx_setting_group *groups, size_t count,
                          struct nx_config **out)
{
    struct nx_config_draft draft = {0};
    struct nx_config *config = nx_calloc(1, sizeof(*config));
    if (!config) {
        return NX_ERR_NOMEM;
    }
    enum nx_err err = collect_rows(config, groups, count);
    if (err != NX_OK) {
        goto fail;
    }
    err = draft_init(&draft, config);
    if (err != NX_OK) {
        goto fail;
    }
    err = draft_defaults(&draft, NULL);
    if (err != NX_OK) {
        goto fail;
    }
    draft_commit(&draft, config, true);
    draft_release(&draft);
    *out = config;
    return NX_OK;
fail:
    draft_release(&draft);
    nx_config_free(config);
    return err;
}

static void free_flags(char **flags, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        nx_free(flags[i]);
    }
    nx_free(flags);
}

void nx_config_free(struct nx_config *config)
{
    if (!config) {
        return;
    }
    free_flags(config->flags, config->flag_count);
    free_strings(config->strings);
    nx_free(config->values);
    nx_free(config->settings);
    nx_free(config->rows);
    nx_free(config);
}

/* --- loads ----------------------------------------------------------------------------------- */

static enum nx_err no_memory(struct nx_fail *fail)
{
    return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
}

enum nx_err nx_config_load_text(struct nx_config *config, const char *origin, struct nx_view yaml,
                                struct nx_fail *fail)
{
    if (yaml.len > MAX_FILE_BYTES) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "%s: larger than 1 MiB", origin);
    }
    struct nx_config_draft draft;
    if (draft_init(&draft, config) != NX_OK) {
        return no_memory(fail);
    }
    enum nx_err err = nx_config_draft_yaml(&draft, origin, yaml, fail);
    if (err == NX_OK) {
        draft_commit(&draft, config, false);
    }
    draft_release(&draft);
    return err;
}

static enum nx_err read_file(const char *path, char **bytes, size_t *len, struct nx_fail *fail)
{
    enum nx_err err = nx_file_read_all(path, MAX_FILE_BYTES, bytes, len);
    if (err == NX_ERR_NOMEM) {
        return no_memory(fail);
    }
    if (err == NX_ERR_TOO_LARGE) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "%s: larger than 1 MiB", path);
    }
    if (err != NX_OK) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "%s: cannot be read: %s", path, nx_err_text(err));
    }
    return NX_OK;
}

enum nx_err nx_config_load_file(struct nx_config *config, const char *path, struct nx_fail *fail)
{
    char *bytes = NULL;
    size_t len = 0;
    enum nx_err err = read_file(path, &bytes, &len, fail);
    if (err != NX_OK) {
        return err;
    }
    err = nx_config_load_text(config, path, nx_view_make(bytes, len), fail);
    nx_free(bytes);
    return err;
}

static enum nx_err copy_flags(int argc, char **argv, char ***out)
{
    size_t count = argc > 0 ? (size_t)argc : 0;
    char **flags = nx_calloc(count + 1, sizeof(*flags));
    if (!flags) {
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        flags[i] = nx_strdup(argv[i]);
        if (!flags[i]) {
            free_flags(flags, i);
            return NX_ERR_NOMEM;
        }
    }
    *out = flags;
    return NX_OK;
}

enum nx_err nx_config_load_flags(struct nx_config *config, int argc, char **argv,
                                 struct nx_fail *fail)
{
    size_t count = argc > 0 ? (size_t)argc : 0;
    char **flags = NULL;
    if (copy_flags(argc, argv, &flags) != NX_OK) {
        return no_memory(fail);
    }
    struct nx_config_draft draft;
    if (draft_init(&draft, config) != NX_OK) {
        free_flags(flags, count);
        return no_memory(fail);
    }
    enum nx_err err = nx_config_draft_flags(&draft, count, flags, fail);
    if (err == NX_OK) {
        draft_commit(&draft, config, false);
        free_flags(config->flags, config->flag_count);
        config->flags = flags;
        config->flag_count = count;
    } else {
        free_flags(flags, count);
    }
    draft_release(&draft);
    return err;
}

/* --- reload ---------------------------------------------------------------------------------- */

static enum nx_err draft_reload(struct nx_config_draft *draft, const char *path,
                                struct nx_fail *fail)
{
    const struct nx_config *config = draft->config;
    enum nx_err err = draft_defaults(draft, fail);
    if (err == NX_OK && path) {
        char *bytes = NULL;
        size_t len = 0;
        err = read_file(path, &bytes, &len, fail);
        if (err == NX_OK) {
            err = nx_config_draft_yaml(draft, path, nx_view_make(bytes, len), fail);
        }
        nx_free(bytes);
    }
    if (err == NX_OK) {
        err = nx_config_draft_flags(draft, config->flag_count, config->flags, fail);
    }
    return err;
}

/* Names the rows that only a restart changes, and puts their values in force back into the draft.
 */
static void draft_keep_fixed(struct nx_config_draft *draft, struct nx_buf *ignored)
{
    const struct nx_config *config = draft->config;
    for (size_t i = 0; i < config->count; i++) {
        const struct nx_setting *setting = config->rows[i].setting;
        if (setting->reloadable || same(setting, &config->values[i], &draft->values[i])) {
            continue;
        }
        draft->values[i] = config->values[i];
        if (ignored) {
            nx_buf_append_str(ignored, ignored->len > 0 ? ", " : "");
            nx_buf_append_str(ignored, setting->key);
        }
    }
}

void nx_config_on_reload(struct nx_config *config, nx_config_check check, void *user)
{
    config->check = check;
    config->check_user = user;
}

const char *nx_config_draft_text(const struct nx_config_draft *draft, const char *key)
{
    size_t i = nx_config_find(draft->config, nx_view_of(key));
    assert(i < draft->config->count && draft->config->rows[i].setting->type == NX_SETTING_STRING);
    return draft->values[i].text;
}

enum nx_err nx_config_reload(struct nx_config *config, const char *path, struct nx_buf *ignored,
                             struct nx_fail *fail)
{
    struct nx_config_draft draft;
    if (draft_init(&draft, config) != NX_OK) {
        return no_memory(fail);
    }
    enum nx_err err = draft_reload(&draft, path, fail);
    if (err == NX_OK) {
        draft_keep_fixed(&draft, ignored);
        err = config->check ? config->check(config->check_user, &draft, fail) : NX_OK;
    }
    if (err == NX_OK) {
        draft_commit(&draft, config, false);
    }
    draft_release(&draft);
    return err;
}
