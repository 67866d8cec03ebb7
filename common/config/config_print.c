/* Printing: the settings in force as YAML, and the table for people. Rows are in key order, so the
 * keys of one section stand together; top-level keys come first. */
#include "common/config/config_internal.h"

static void load(const struct nx_config_row *row, union nx_config_value *value)
{
    const void *field = row->target + row->setting->offset;
    switch (row->setting->type) {
    case NX_SETTING_BOOL:
        value->boolean = *(const bool *)field;
        break;
    case NX_SETTING_INT:
    case NX_SETTING_DURATION:
    case NX_SETTING_BYTES:
        value->integer = *(const int64_t *)field;
        break;
    case NX_SETTING_DOUBLE:
        value->number = *(const double *)field;
        break;
    case NX_SETTING_STRING:
        value->text = *(const char *const *)field;
        value->text = value->text ? value->text : "";
        break;
    case NX_SETTING_ENUM:
        value->choice = *(const int *)field;
        break;
    }
}

/* Whether YAML readers refuse or fold this character when it stands unescaped. */
static bool needs_escape(unsigned code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
           code == 0xFEFF || code == 0xFFFE || code == 0xFFFF;
}

/* The character at `p` of valid UTF-8 where it has at most three bytes, else 0x10000; its length in
 * *len. */
static unsigned character_at(const unsigned char *p, size_t *len)
{
    if (p[0] < 0x80) {
        *len = 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *len = 2;
        return ((p[0] & 0x1FU) << 6) | (p[1] & 0x3FU);
    }
    if (p[0] < 0xF0) {
        *len = 3;
        return ((p[0] & 0x0FU) << 12) | ((p[1] & 0x3FU) << 6) | (p[2] & 0x3FU);
    }
    *len = 4;
    return 0x10000;
}

static void quote(const char *text, struct nx_buf *out)
{
    if (!nx_view_is_utf8(nx_view_of(text))) {
        text = "<not UTF-8>";
    }
    nx_buf_append_char(out, '"');
    size_t len = 0;
    for (const char *p = text; *p; p += len) {
        unsigned code = character_at((const unsigned char *)p, &len);
        if (needs_escape(code)) {
            nx_buf_printf(out, "\\u%04x", code);
            continue;
        }
        if (code == '"' || code == '\\') {
            nx_buf_append_char(out, '\\');
        }
        nx_buf_append(out, p, len);
    }
    nx_buf_append_char(out, '"');
}

static void print_value(const struct nx_config_row *row, struct nx_buf *out)
{
    union nx_config_value value = {0};
    load(row, &value);
    if (row->setting->secret) {
        quote(row->setting->type == NX_SETTING_STRING && !*value.text ? "" : "<secret>", out);
    } else if (row->setting->type == NX_SETTING_STRING) {
        quote(value.text, out);
    } else {
        nx_config_format(row->setting, &value, out);
    }
}

static bool is_top_level(const struct nx_config_row *row)
{
    return strchr(row->setting->key, '.') == NULL;
}

/* How many leading bytes of `key`, whole sections with their dots, it shares with `before`. */
static size_t shared_sections(const char *key, const char *before)
{
    size_t shared = 0;
    for (size_t i = 0; before && key[i] && key[i] == before[i]; i++) {
        if (key[i] == '.') {
            shared = i + 1;
        }
    }
    return shared;
}

static void print_row(const struct nx_config_row *row, const char *before, struct nx_buf *out)
{
    const char *part = row->setting->key;
    size_t shared = shared_sections(part, before);
    int depth = 0;
    for (const char *dot = strchr(part, '.'); dot; dot = strchr(part, '.')) {
        if ((size_t)(dot - row->setting->key) >= shared) {
            nx_buf_printf(out, "%*s%.*s:\n", depth * 2, "", (int)(dot - part), part);
        }
        part = dot + 1;
        depth++;
    }
    nx_buf_printf(out, "%*s%s: ", depth * 2, "", part);
    print_value(row, out);
    nx_buf_append_char(out, '\n');
}

void nx_config_print_yaml(const struct nx_config *config, struct nx_buf *out)
{
    for (size_t i = 0; i < config->count; i++) {
        if (is_top_level(&config->rows[i])) {
            print_row(&config->rows[i], NULL, out);
        }
    }
    const char *before = NULL;
    for (size_t i = 0; i < config->count; i++) {
        if (!is_top_level(&config->rows[i])) {
            print_row(&config->rows[i], before, out);
            before = config->rows[i].setting->key;
        }
    }
}

static const char *placeholder(enum nx_setting_type type)
{
    switch (type) {
    case NX_SETTING_BOOL:
        return "BOOL";
    case NX_SETTING_INT:
        return "INTEGER";
    case NX_SETTING_DOUBLE:
        return "NUMBER";
    case NX_SETTING_DURATION:
        return "DURATION";
    case NX_SETTING_BYTES:
        return "SIZE";
    case NX_SETTING_STRING:
        return "TEXT";
    case NX_SETTING_ENUM:
        return "CHOICE";
    }
    return "";
}

static void print_help(const struct nx_setting *setting, struct nx_buf *out)
{
    nx_buf_printf(out, "--%s=%s\n", setting->key, placeholder(setting->type));
    nx_buf_printf(out, "      %s\n      ", setting->help ? setting->help : "");
    if (setting->type != NX_SETTING_STRING) {
        nx_buf_append_str(out, "Value: ");
        nx_config_describe(setting, out);
        nx_buf_append_str(out, ". ");
    }
    bool empty = !setting->default_text || !setting->default_text[0];
    nx_buf_printf(out, "Default: %s.%s\n", empty ? "none" : setting->default_text,
                  setting->reloadable ? " Reloadable." : "");
}

void nx_config_print_help(const struct nx_config *config, struct nx_buf *out)
{
    for (size_t i = 0; i < config->count; i++) {
        if (is_top_level(&config->rows[i])) {
            print_help(config->rows[i].setting, out);
        }
    }
    const char *before = NULL;
    for (size_t i = 0; i < config->count; i++) {
        const char *key = config->rows[i].setting->key;
        if (is_top_level(&config->rows[i])) {
            continue;
        }
        size_t section = (size_t)(strchr(key, '.') - key);
        if (!before || strncmp(key, before, section + 1) != 0) {
            nx_buf_printf(out, "\n%.*s\n", (int)section, key);
        }
        print_help(config->rows[i].setting, out);
        before = key;
    }
}
