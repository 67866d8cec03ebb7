/* A line is built in a buffer on the stack, so that logging needs no memory and no lock, and goes
 * out with one write(2). A value longer than VALUE_MAX is cut; fields for which the line has no
 * room are left out and the line says so. */
#include "common/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/quote.h"

enum { LINE_MAX_BYTES = 8192, LINE_TAIL_BYTES = 32, VALUE_MAX_BYTES = 2048 };

struct sink {
    const struct nx_clock *clock;
    enum nx_log_format format;
    int fd;
    atomic_int level;
    pthread_mutex_t lock; /* guards children */
    struct nx_log *children;
};

struct nx_log {
    struct sink *sink;
    struct nx_log *next; /* in sink->children; the root is not in it */
    char component[];    /* empty for the root */
};

static struct nx_log *log_new(struct sink *sink, const char *component)
{
    size_t size = strlen(component) + 1;
    struct nx_log *log = nx_alloc(sizeof *log + size);
    if (!log)
        return NULL;
    log->sink = sink;
    log->next = NULL;
    memcpy(log->component, component, size);
    return log;
}

enum nx_err nx_log_new(const struct nx_clock *clock, enum nx_log_level level,
                       enum nx_log_format format, int fd, struct nx_log **out)
{
    struct sink *sink = nx_calloc(1, sizeof *sink);
    if (!sink)
        return NX_ERR_NOMEM;
    struct nx_log *root = log_new(sink, "");
    if (!root) {
        nx_free(sink);
        return NX_ERR_NOMEM;
    }
    sink->clock = clock;
    sink->format = format;
    sink->fd = fd;
    atomic_init(&sink->level, (int)level);
    pthread_mutex_init(&sink->lock, NULL);
    *out = root;
    return NX_OK;
}

enum nx_err nx_log_child(struct nx_log *parent, const char *name, struct nx_log **out)
{
    struct sink *sink = parent->sink;
    struct nx_log *child = log_new(sink, name);
    if (!child)
        return NX_ERR_NOMEM;
    pthread_mutex_lock(&sink->lock);
    child->next = sink->children;
    sink->children = child;
    pthread_mutex_unlock(&sink->lock);
    *out = child;
    return NX_OK;
}

void nx_log_free(struct nx_log *root)
{
    if (!root)
        return;
    struct sink *sink = root->sink;
    while (sink->children) {
        struct nx_log *next = sink->children->next;
        nx_free(sink->children);
        sink->children = next;
    }
    pthread_mutex_destroy(&sink->lock);
    nx_free(sink);
    nx_free(root);
}

void nx_log_set_level(struct nx_log *log, enum nx_log_level level)
{
    if (log)
        atomic_store_explicit(&log->sink->level, (int)level, memory_order_relaxed);
}

static const char *level_text(enum nx_log_level level)
{
    switch (level) {
    case NX_LOG_DEBUG:
        return "debug";
    case NX_LOG_INFO:
        return "info";
    case NX_LOG_WARN:
        return "warn";
    case NX_LOG_ERROR:
        return "error";
    }
    return "error";
}

enum nx_err nx_log_level_parse(struct nx_view text, enum nx_log_level *out)
{
    for (enum nx_log_level level = NX_LOG_DEBUG; level <= NX_LOG_ERROR; level++) {
        if (nx_view_eq_nocase(text, nx_view_of(level_text(level)))) {
            *out = level;
            return NX_OK;
        }
    }
    return NX_ERR_INVALID;
}

/* --- values --- */

static struct nx_view cut_value(struct nx_view text, bool *was_cut)
{
    *was_cut = text.len > VALUE_MAX_BYTES;
    if (!*was_cut)
        return text;
    size_t len = VALUE_MAX_BYTES;
    while (len > VALUE_MAX_BYTES - 3 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len--;
    return (struct nx_view){.ptr = text.ptr, .len = len};
}

static void put_json_string(struct nx_buf *line, struct nx_view text)
{
    bool was_cut;
    text = cut_value(text, &was_cut);
    nx_buf_append_char(line, '"');
    for (size_t i = 0, len; i < text.len; i += len) {
        struct nx_view rest = {.ptr = text.ptr + i, .len = text.len - i};
        uint32_t rune = nx_rune_decode(rest, &len);
        if (rune == '"' || rune == '\\')
            nx_buf_printf(line, "\\%c", (char)rune);
        else if (rune == '\n')
            nx_buf_append_str(line, "\\n");
        else if (rune < 0x20)
            nx_buf_printf(line, "\\u%04x", (unsigned)rune);
        else if (rune == 0xFFFD)
            nx_buf_append_str(line, "\xEF\xBF\xBD");
        else
            nx_buf_append(line, rest.ptr, len);
    }
    nx_buf_append_str(line, was_cut ? "...\"" : "\"");
}

static bool needs_quotes(struct nx_view text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\')
            return true;
    }
    return text.len == 0;
}

static void put_logfmt_string(struct nx_buf *line, struct nx_view text)
{
    bool was_cut;
    text = cut_value(text, &was_cut);
    if (needs_quotes(text))
        nx_quote(line, text);
    else
        nx_buf_append_view(line, text);
    if (was_cut)
        nx_buf_append_str(line, "...");
}

static void put_double(struct nx_buf *line, enum nx_log_format format, double v)
{
    char text[40];
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, v);
        if (!(strtod(text, NULL) < v) && !(strtod(text, NULL) > v))
            break; /* NaN too */
    }
    if (format == NX_LOG_JSON && !isfinite(v))
        put_json_string(line, nx_view_make(text, (size_t)n));
    else
        nx_buf_append(line, text, (size_t)n);
}

/* --- lines --- */

static void put_key(struct nx_buf *line, enum nx_log_format format, const char *key)
{
    if (format == NX_LOG_JSON) {
        nx_buf_append_char(line, line->len ? ',' : '{');
        put_json_string(line, nx_view_of(key));
        nx_buf_append_char(line, ':');
    } else {
        if (line->len)
            nx_buf_append_char(line, ' ');
        nx_buf_append_str(line, key);
        nx_buf_append_char(line, '=');
    }
}

static void put_text(struct nx_buf *line, enum nx_log_format format, const char *key,
                     struct nx_view text)
{
    put_key(line, format, key);
    if (format == NX_LOG_JSON)
        put_json_string(line, text);
    else
        put_logfmt_string(line, text);
}

static void put_field(struct nx_buf *line, enum nx_log_format format,
                      const struct nx_log_field *field)
{
    switch (field->kind) {
    case NX_FIELD_VIEW:
        put_text(line, format, field->key, field->view);
        break;
    case NX_FIELD_INT:
        put_key(line, format, field->key);
        nx_buf_printf(line, "%" PRId64, field->integer);
        break;
    case NX_FIELD_DOUBLE:
        put_key(line, format, field->key);
        put_double(line, format, field->number);
        break;
    }
}

static void write_line(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody to tell */
        bytes += n;
        len -= (size_t)n;
    }
}

void nx_log_write(struct nx_log *log, enum nx_log_level level, const char *message, size_t count,
                  const struct nx_log_field *fields)
{
    if (!log || (int)level < atomic_load_explicit(&log->sink->level, memory_order_relaxed))
        return;
    int saved_errno = errno;
    enum nx_log_format format = log->sink->format;
    char bytes[LINE_MAX_BYTES];
    struct nx_buf line = {.data = bytes,
                          .capacity = sizeof bytes - LINE_TAIL_BYTES,
                          .max = sizeof bytes - LINE_TAIL_BYTES};
    char now[32];
    nx_time_format_rfc3339(nx_now_ms(log->sink->clock), now, sizeof now);
    put_text(&line, format, "time", nx_view_of(now));
    put_text(&line, format, "level", nx_view_of(level_text(level)));
    if (log->component[0])
        put_text(&line, format, "component", nx_view_of(log->component));
    put_text(&line, format, "msg", nx_view_of(message));
    bool full = false;
    for (size_t i = 0; i < count && !full; i++) {
        size_t before = line.len;
        put_field(&line, format, &fields[i]);
        full = line.err != NX_OK;
        if (full)
            line.len = before;
    }
    line.max = line.capacity = sizeof bytes;
    line.err = NX_OK;
    if (full)
        put_text(&line, format, "cut", NX_VIEW("true"));
    nx_buf_append_str(&line, format == NX_LOG_JSON ? "}\n" : "\n");
    write_line(log->sink->fd, line.data, line.len);
    errno = saved_errno;
}
