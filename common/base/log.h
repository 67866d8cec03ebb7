/* Structured log lines on standard error, logfmt or JSON: time, level, component, message, then
 * key=value pairs. A line is written with one write(2). Any thread.
 *
 *     nx_log(log, NX_LOG_WARN, "segment cut", NX_S("path", path), NX_I("offset", off));
 */
#ifndef NX_BASE_LOG_H
#define NX_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/time.h"
#include "common/base/view.h"

enum nx_log_level { NX_LOG_DEBUG, NX_LOG_INFO, NX_LOG_WARN, NX_LOG_ERROR };
enum nx_log_format { NX_LOG_LOGFMT, NX_LOG_JSON };

struct nx_log_field {
    const char *key;
    enum { NX_FIELD_VIEW, NX_FIELD_INT, NX_FIELD_DOUBLE } kind;
    struct nx_view view;
    int64_t integer;
    double number;
};

#define NX_S(k, text) \
    ((struct nx_log_field){.key = (k), .kind = NX_FIELD_VIEW, .view = nx_view_of(text)})
#define NX_V(k, v) ((struct nx_log_field){.key = (k), .kind = NX_FIELD_VIEW, .view = (v)})
#define NX_I(k, i) \
    ((struct nx_log_field){.key = (k), .kind = NX_FIELD_INT, .integer = (int64_t)(i)})
#define NX_D(k, d) ((struct nx_log_field){.key = (k), .kind = NX_FIELD_DOUBLE, .number = (d)})
#define NX_E(err) NX_S("err", nx_err_text(err))

struct nx_log; /* a component's logger; cheap, shares its parent's sink */

enum nx_err nx_log_new(const struct nx_clock *clock, enum nx_log_level level,
                       enum nx_log_format format, int fd, struct nx_log **out) NX_WARN_UNUSED;
/* A logger whose lines carry component=`name`; freed with the root. */
enum nx_err nx_log_child(struct nx_log *parent, const char *name,
                         struct nx_log **out) NX_WARN_UNUSED;
void nx_log_free(struct nx_log *root);
/* For the root and all its children; any thread (a reload). */
void nx_log_set_level(struct nx_log *log, enum nx_log_level level);
enum nx_err nx_log_level_parse(struct nx_view text, enum nx_log_level *out) NX_WARN_UNUSED;

/* `log` may be NULL: nothing is written. */
void nx_log_write(struct nx_log *log, enum nx_log_level level, const char *message, size_t count,
                  const struct nx_log_field *fields);

#define nx_log(log, level, message, ...)                                         \
    nx_log_write((log), (level), (message),                                      \
                 sizeof((struct nx_log_field[]){{.key = NULL}, ##__VA_ARGS__}) / \
                         sizeof(struct nx_log_field) -                           \
                     1,                                                          \
                 (struct nx_log_field[]){{.key = NULL}, ##__VA_ARGS__} + 1)

#endif
