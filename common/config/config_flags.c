/* Flags: `--section.key=value`, `--section.key value`, `--section.bool`. */
#include "common/config/config_internal.h"

static enum nx_err missing_value(const struct nx_setting *setting, struct nx_fail *fail)
{
    struct nx_buf expected;
    nx_buf_init(&expected, 256);
    nx_config_describe(setting, &expected);
    enum nx_err err =
        nx_fail_set(fail, NX_ERR_CONFIG, "--%s: expected %.*s, got no value", setting->key,
                    (int)expected.len, expected.data ? expected.data : "");
    nx_buf_release(&expected);
    return err;
}

static bool is_bool_word(const char *text)
{
    return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
}

/* One flag at flags[*at], which moves past what was read. */
static enum nx_err apply(struct nx_config_draft *draft, size_t count, char *const *flags,
                         size_t *at, struct nx_fail *fail)
{
    const struct nx_config *config = draft->config;
    struct nx_view flag = nx_view_of(flags[(*at)++]);
    if (!nx_view_has_prefix(flag, NX_VIEW("--")) || flag.len == 2) {
        struct nx_view shown =
            nx_view_is_utf8(flag) ? nx_config_excerpt(flag) : NX_VIEW("<not UTF-8>");
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "unexpected argument \"%.*s\", expected --section.key=value",
                           NX_VIEW_ARG(shown));
    }
    flag = nx_view_make(flag.ptr + 2, flag.len - 2);
    size_t equals = nx_view_find(flag, '=');
    struct nx_view key = nx_view_make(flag.ptr, equals);
    size_t i = nx_config_find(config, key);
    if (i == SIZE_MAX) {
        return nx_config_unknown(config, "", "flag", key, false, fail);
    }
    const struct nx_setting *setting = config->rows[i].setting;
    if (equals < flag.len) {
        struct nx_view value = nx_view_make(flag.ptr + equals + 1, flag.len - equals - 1);
        return nx_config_set(draft, i, value, "--", fail);
    }
    bool more = *at < count;
    if (setting->type == NX_SETTING_BOOL && !(more && is_bool_word(flags[*at]))) {
        return nx_config_set(draft, i, NX_VIEW("true"), "--", fail);
    }
    if (!more || strncmp(flags[*at], "--", 2) == 0) {
        return missing_value(setting, fail);
    }
    return nx_config_set(draft, i, nx_view_of(flags[(*at)++]), "--", fail);
}

enum nx_err nx_config_draft_flags(struct nx_config_draft *draft, size_t count, char *const *flags,
                                  struct nx_fail *fail)
{
    size_t at = 0;
    while (at < count) {
        enum nx_err err = apply(draft, count, flags, &at, fail);
        if (err != NX_OK) {
            return err;
        }
    }
    return NX_OK;
}
