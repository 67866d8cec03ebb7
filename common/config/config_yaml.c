/* YAML into a draft, from libyaml's events: mappings are sections, scalars values, lists of scalars
 * the value of a string setting. The document is walked with a stack of section names; libyaml
 * itself limits nesting, and no name that is not a known section is ever entered, so the stack's
 * depth is that of the table's keys. */
#include <limits.h>
#include <stdio.h>
#include <yaml.h>

#include "common/base/alloc.h"
#include "common/config/config_internal.h"

#define MAX_DEPTH 8
#define WHERE_BYTES 192

/* A section that was opened, to find it opened twice. */
struct section {
    char *name;
    size_t line;
};

struct reader {
    struct nx_config_draft *draft;
    const char *origin;
    struct nx_fail *fail;
    yaml_parser_t parser;
    char where[WHERE_BYTES]; /* "FILE:LINE: " of the event at hand */
    size_t *seen;            /* a row each: the line that set it, 0 = none */
    struct section *sections;
    size_t section_count;
    size_t section_capacity;
    struct nx_buf path;      /* "a.b." of the open sections */
    size_t marks[MAX_DEPTH]; /* path.len before each open section */
    size_t depth;
};

static enum nx_err no_memory(struct reader *r)
{
    return nx_fail_set(r->fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
}

static void set_where(struct reader *r, size_t line)
{
    (void)snprintf(r->where, sizeof(r->where), "%.*s:%zu: ", WHERE_BYTES - 32, r->origin, line);
}

static size_t line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static enum nx_err refuse_event(struct reader *r, const char *what)
{
    return nx_fail_set(r->fail, NX_ERR_CONFIG, "%s%s", r->where, what);
}

static enum nx_err next(struct reader *r, yaml_event_t *event)
{
    if (!yaml_parser_parse(&r->parser, event)) {
        if (r->parser.error == YAML_MEMORY_ERROR) {
            return no_memory(r);
        }
        set_where(r, r->parser.problem_mark.line + 1);
        return nx_fail_set(r->fail, NX_ERR_CONFIG, "%snot valid YAML: %s%s%s", r->where,
                           r->parser.problem ? r->parser.problem : "unreadable",
                           r->parser.context ? ", " : "",
                           r->parser.context ? r->parser.context : "");
    }
    set_where(r, line_of(event));
    if (event->type == YAML_ALIAS_EVENT) {
        yaml_event_delete(event);
        return refuse_event(r, "YAML aliases are not supported");
    }
    return NX_OK;
}

static struct nx_view scalar(const yaml_event_t *event)
{
    return nx_view_make(event->data.scalar.value, event->data.scalar.length);
}

/* A value that YAML reads as null: nothing, "~" or "null" without quotes. */
static bool is_null(const yaml_event_t *event)
{
    struct nx_view text = scalar(event);
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.len == 0 || nx_view_is(text, "~") || nx_view_is(text, "null"));
}

/* --- values ---------------------------------------------------------------------------------- */

static enum nx_err mark_seen(struct reader *r, size_t i, size_t line)
{
    if (r->seen[i] != 0) {
        return nx_fail_set(r->fail, NX_ERR_CONFIG, "%s\"%s\" is set twice, first in line %zu",
                           r->where, r->draft->config->rows[i].setting->key, r->seen[i]);
    }
    r->seen[i] = line;
    return NX_OK;
}

static enum nx_err wrong_kind(struct reader *r, size_t i, const char *got)
{
    const struct nx_setting *setting = r->draft->config->rows[i].setting;
    struct nx_buf expected;
    nx_buf_init(&expected, 256);
    nx_config_describe(setting, &expected);
    enum nx_err err =
        nx_fail_set(r->fail, NX_ERR_CONFIG, "%s%s: expected %.*s, got %s", r->where, setting->key,
                    (int)expected.len, expected.data ? expected.data : "", got);
    nx_buf_release(&expected);
    return err;
}

/* The items after a sequence's start, joined with commas. */
static enum nx_err read_list(struct reader *r, size_t i)
{
    if (r->draft->config->rows[i].setting->type != NX_SETTING_STRING) {
        return wrong_kind(r, i, "a list");
    }
    char where[WHERE_BYTES];
    memcpy(where, r->where, sizeof(where));
    struct nx_buf joined;
    nx_buf_init(&joined, (size_t)1 << 20);
    enum nx_err err = NX_OK;
    for (bool more = true; more && err == NX_OK;) {
        yaml_event_t event;
        err = next(r, &event);
        if (err != NX_OK) {
            break;
        }
        if (event.type == YAML_SCALAR_EVENT) {
            nx_buf_append_str(&joined, joined.len > 0 ? "," : "");
            nx_buf_append_view(&joined, scalar(&event));
        } else if (event.type == YAML_SEQUENCE_END_EVENT) {
            more = false;
        } else {
            err = wrong_kind(r, i, "a list of something else than texts");
        }
        yaml_event_delete(&event);
    }
    if (err == NX_OK && nx_buf_err(&joined) != NX_OK) {
        err = no_memory(r);
    }
    if (err == NX_OK) {
        err = nx_config_set(r->draft, i, nx_buf_view(&joined), where, r->fail);
    }
    nx_buf_release(&joined);
    return err;
}

static enum nx_err read_value(struct reader *r, size_t i, const yaml_event_t *event)
{
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        return read_list(r, i);
    }
    if (event->type != YAML_SCALAR_EVENT) {
        return wrong_kind(r, i, "a section");
    }
    struct nx_view text = scalar(event);
    if (is_null(event)) {
        if (r->draft->config->rows[i].setting->type != NX_SETTING_STRING) {
            return wrong_kind(r, i, "nothing");
        }
        text = NX_VIEW("");
    }
    return nx_config_set(r->draft, i, text, r->where, r->fail);
}

/* --- sections -------------------------------------------------------------------------------- */

static enum nx_err open_section(struct reader *r, struct nx_view name, size_t line)
{
    for (size_t i = 0; i < r->section_count; i++) {
        if (nx_view_is(name, r->sections[i].name)) {
            return nx_fail_set(r->fail, NX_ERR_CONFIG,
                               "%ssection \"%.*s\" appears twice, first in line %zu", r->where,
                               NX_VIEW_ARG(name), r->sections[i].line);
        }
    }
    if (r->depth == MAX_DEPTH) {
        return refuse_event(r, "sections are nested too deeply");
    }
    if (nx_grow(&r->sections, &r->section_capacity, r->section_count + 1, sizeof(*r->sections)) !=
        NX_OK) {
        return no_memory(r);
    }
    char *copy = nx_strndup(name.ptr, name.len);
    if (!copy) {
        return no_memory(r);
    }
    r->sections[r->section_count++] = (struct section){.name = copy, .line = line};
    return NX_OK;
}

/* The event after a known section's name: its mapping, or nothing. `key` is in r->path from `mark`.
 */
static enum nx_err enter_section(struct reader *r, size_t mark, const yaml_event_t *event)
{
    struct nx_view name = nx_buf_view(&r->path);
    if (event->type == YAML_SCALAR_EVENT && is_null(event)) {
        r->path.len = mark;
        return NX_OK;
    }
    if (event->type != YAML_MAPPING_START_EVENT) {
        return nx_fail_set(r->fail, NX_ERR_CONFIG,
                           "%s\"%.*s\" is a section: expected settings below it", r->where,
                           NX_VIEW_ARG(name));
    }
    enum nx_err err = open_section(r, name, line_of(event));
    if (err != NX_OK) {
        return err;
    }
    r->marks[r->depth++] = mark;
    nx_buf_append_char(&r->path, '.');
    return nx_buf_err(&r->path) == NX_OK ? NX_OK : no_memory(r);
}

/* A key has been read: its value, or its section's begin. */
static enum nx_err read_entry(struct reader *r, const yaml_event_t *key_event)
{
    size_t mark = r->path.len;
    size_t line = line_of(key_event);
    nx_buf_append_view(&r->path, scalar(key_event));
    if (nx_buf_err(&r->path) == NX_ERR_NOMEM) {
        return no_memory(r);
    }
    if (nx_buf_err(&r->path) != NX_OK) {
        return refuse_event(r, "a key is too long");
    }
    struct nx_view key = nx_buf_view(&r->path);
    size_t i = nx_config_find(r->draft->config, key);
    bool section = i == SIZE_MAX && nx_config_is_section(r->draft->config, key);
    char where[WHERE_BYTES];
    memcpy(where, r->where, sizeof(where));
    yaml_event_t event;
    enum nx_err err = NX_OK;
    if (i != SIZE_MAX) {
        err = mark_seen(r, i, line);
        if (err != NX_OK) {
            return err;
        }
    }
    err = next(r, &event);
    if (err != NX_OK) {
        return err;
    }
    if (i != SIZE_MAX) {
        err = read_value(r, i, &event);
        r->path.len = mark;
    } else if (section) {
        err = enter_section(r, mark, &event);
    } else {
        bool mapping = event.type == YAML_MAPPING_START_EVENT;
        err = nx_config_unknown(r->draft->config, where, mapping ? "section" : "key", key, mapping,
                                r->fail);
    }
    yaml_event_delete(&event);
    return err;
}

/* --- the document ---------------------------------------------------------------------------- */

/* One event inside the root mapping; *done at its end. */
static enum nx_err read_inside(struct reader *r, bool *done)
{
    yaml_event_t event;
    enum nx_err err = next(r, &event);
    if (err != NX_OK) {
        return err;
    }
    if (event.type == YAML_SCALAR_EVENT) {
        err = read_entry(r, &event);
    } else if (event.type == YAML_MAPPING_END_EVENT) {
        *done = r->depth == 0;
        if (r->depth > 0) {
            r->path.len = r->marks[--r->depth];
        }
    } else {
        err = refuse_event(r, "expected the name of a setting or section");
    }
    yaml_event_delete(&event);
    return err;
}

static enum nx_err read_root(struct reader *r, const yaml_event_t *root)
{
    if (root->type == YAML_SCALAR_EVENT && is_null(root)) {
        return NX_OK;
    }
    if (root->type != YAML_MAPPING_START_EVENT) {
        return refuse_event(r, "expected sections and settings (\"section:\" or \"key: value\")");
    }
    enum nx_err err = NX_OK;
    for (bool done = false; !done && err == NX_OK;) {
        err = read_inside(r, &done);
    }
    return err;
}

static enum nx_err read_stream(struct reader *r)
{
    bool document = false;
    for (;;) {
        yaml_event_t event;
        enum nx_err err = next(r, &event);
        if (err != NX_OK) {
            return err;
        }
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT) {
            err = document ? refuse_event(r, "expected a single YAML document") : NX_OK;
            document = true;
        } else if (type == YAML_SCALAR_EVENT || type == YAML_MAPPING_START_EVENT ||
                   type == YAML_SEQUENCE_START_EVENT) {
            err = read_root(r, &event);
        }
        yaml_event_delete(&event);
        if (err != NX_OK || type == YAML_STREAM_END_EVENT) {
            return err;
        }
    }
}

enum nx_err nx_config_draft_yaml(struct nx_config_draft *draft, const char *origin,
                                 struct nx_view yaml, struct nx_fail *fail)
{
    struct reader r = {.draft = draft, .origin = origin, .fail = fail};
    enum nx_err err = NX_ERR_NOMEM;
    nx_buf_init(&r.path, 1024);
    r.seen = nx_calloc(draft->config->count + 1, sizeof(*r.seen));
    if (!r.seen || !yaml_parser_initialize(&r.parser)) {
        nx_free(r.seen);
        return no_memory(&r);
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(yaml.ptr ? yaml.ptr : ""),
                                 yaml.len);
    err = read_stream(&r);
    yaml_parser_delete(&r.parser);
    for (size_t i = 0; i < r.section_count; i++) {
        nx_free(r.sections[i].name);
    }
    nx_free(r.sections);
    nx_free(r.seen);
    nx_buf_release(&r.path);
    return err;
}
