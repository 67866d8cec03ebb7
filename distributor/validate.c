#include "distributor/validate.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/alloc.h"

enum { SHOWN_BYTES = 96, LAST_METADATA_TYPE = 7 };

struct nx_view dist_cut_utf8(struct nx_view text, size_t max_bytes)
{
    if (text.len <= max_bytes)
        return text;
    size_t len = max_bytes;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    return nx_view_make(text.ptr, len);
}

void dist_print_series(struct nx_buf *out, struct nx_labels labels, size_t max_bytes)
{
    struct nx_buf text;
    nx_buf_init(&text, max_bytes + SHOWN_BYTES);
    nx_labels_print(&text, labels);
    struct nx_view shown = dist_cut_utf8(nx_buf_view(&text), max_bytes);
    nx_buf_append_view(out, shown);
    if (shown.len < text.len || nx_buf_err(&text))
        nx_buf_append_str(out, "...");
    nx_buf_release(&text);
}

static int by_name(const void *a, const void *b)
{
    const struct nx_label *left = a, *right = b;
    return nx_view_cmp(left->name, right->name);
}

static void sort_labels(struct nx_label *labels, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (nx_view_cmp(labels[i - 1].name, labels[i].name) > 0) {
            qsort(labels, count, sizeof *labels, by_name);
            return;
        }
    }
}

static size_t drop_empty(struct nx_label *labels, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (labels[i].value.len > 0)
            labels[kept++] = labels[i];
    }
    return kept;
}

/* Go-quoted, so that bytes which are no UTF-8 can be read, and cut. */
static enum nx_err refuse(struct nx_fail *fail, enum dist_reason *reason, enum dist_reason why,
                          struct nx_view shown, const char *text)
{
    struct nx_buf quoted;
    nx_buf_init(&quoted, (size_t)SHOWN_BYTES * 4 + 8);
    nx_print_quoted(&quoted,
                    shown.len > SHOWN_BYTES ? nx_view_make(shown.ptr, SHOWN_BYTES) : shown);
    if (shown.len > SHOWN_BYTES)
        nx_buf_append_str(&quoted, "...");
    *reason = why;
    enum nx_err err = nx_fail_set(fail, NX_ERR_INVALID, "%s: %.*s", text, (int)quoted.len,
                                  quoted.data ? quoted.data : "");
    nx_buf_release(&quoted);
    return err;
}

static enum nx_err refuse_length(struct nx_fail *fail, enum dist_reason *reason,
                                 enum dist_reason why, const char *what, struct nx_view name,
                                 size_t actual, int64_t limit, const char *setting)
{
    struct nx_view shown = dist_cut_utf8(name, SHOWN_BYTES);
    *reason = why;
    return nx_fail_set(
        fail, NX_ERR_INVALID,
        "%s is longer than the limit (label: '%.*s%s', actual: %zu bytes, limit: %" PRId64
        "); raise %s",
        what, NX_VIEW_ARG(shown), shown.len < name.len ? "..." : "", actual, limit, setting);
}

enum nx_err dist_validate_label_count(const struct nx_tenant_limits *limits, size_t count,
                                      enum dist_reason *reason, struct nx_fail *fail)
{
    if (count <= (uint64_t)limits->max_label_names)
        return NX_OK;
    *reason = DIST_REASON_TOO_MANY_LABELS;
    return nx_fail_set(fail, NX_ERR_INVALID,
                       "the series has more labels than the limit (actual: %zu, limit: %" PRId64
                       "); raise limits.max-label-names-per-series",
                       count, limits->max_label_names);
}

static enum nx_err check_label(const struct nx_tenant_limits *limits, const struct nx_label *label,
                               enum dist_reason *reason, struct nx_fail *fail)
{
    if (label->name.len == 0)
        return refuse(fail, reason, DIST_REASON_LABEL_INVALID, label->value,
                      "the series has a label with an empty name and the value");
    if (!nx_view_is_utf8(label->name))
        return refuse(fail, reason, DIST_REASON_LABEL_INVALID, label->name,
                      "the series has a label name that is not valid UTF-8");
    if (label->name.len > (uint64_t)limits->max_label_name_bytes)
        return refuse_length(fail, reason, DIST_REASON_LABEL_NAME_TOO_LONG, "a label name",
                             label->name, label->name.len, limits->max_label_name_bytes,
                             "limits.max-label-name-length");
    bool is_name = nx_view_eq(label->name, NX_LABEL_METRIC_NAME);
    if (!nx_view_is_utf8(label->value) && is_name)
        return refuse(fail, reason, DIST_REASON_INVALID_METRIC_NAME, label->value,
                      "the metric name is not valid UTF-8");
    if (!nx_view_is_utf8(label->value))
        return refuse(fail, reason, DIST_REASON_LABEL_VALUE_INVALID, label->name,
                      "the value of this label is not valid UTF-8");
    if (label->value.len > (uint64_t)limits->max_label_value_bytes)
        return refuse_length(fail, reason, DIST_REASON_LABEL_VALUE_TOO_LONG, "the value of a label",
                             label->name, label->value.len, limits->max_label_value_bytes,
                             "limits.max-label-value-length");
    return NX_OK;
}

size_t dist_sort_labels(struct nx_label *labels, size_t count)
{
    count = drop_empty(labels, count);
    sort_labels(labels, count);
    return count;
}

enum nx_err dist_validate_labels(const struct nx_tenant_limits *limits, struct nx_label *labels,
                                 size_t count, struct nx_labels *out, enum dist_reason *reason,
                                 struct nx_fail *fail)
{
    count = drop_empty(labels, count);
    enum nx_err err = dist_validate_label_count(limits, count, reason, fail);
    if (err)
        return err;
    sort_labels(labels, count);
    bool named = false;
    for (size_t i = 0; i < count; i++) {
        err = check_label(limits, &labels[i], reason, fail);
        if (err)
            return err;
        if (i > 0 && nx_view_eq(labels[i - 1].name, labels[i].name))
            return refuse(fail, reason, DIST_REASON_LABEL_DUPLICATE, labels[i].name,
                          "the series has a duplicate label name");
        named = named || nx_view_eq(labels[i].name, NX_LABEL_METRIC_NAME);
    }
    if (!named) {
        *reason = DIST_REASON_MISSING_METRIC_NAME;
        return nx_fail_set(fail, NX_ERR_INVALID, "the series has no metric name (label __name__)");
    }
    *out = (struct nx_labels){.items = labels, .count = count};
    return NX_OK;
}

enum nx_err dist_validate_timestamp(const struct nx_tenant_limits *limits, int64_t now_ms,
                                    int64_t timestamp, enum dist_reason *reason,
                                    struct nx_fail *fail)
{
    if (timestamp < DIST_MIN_TIMESTAMP_MS) {
        *reason = DIST_REASON_TIMESTAMP_INVALID;
        return nx_fail_set(fail, NX_ERR_OUT_OF_BOUNDS,
                           "out of bounds: the timestamp %" PRId64 " ms is before year 1",
                           timestamp);
    }
    if (timestamp > now_ms + limits->creation_grace_ms) {
        *reason = DIST_REASON_TOO_FAR_IN_FUTURE;
        return nx_fail_set(fail, NX_ERR_OUT_OF_BOUNDS,
                           "out of bounds: the timestamp %" PRId64
                           " ms is too far in the future (now: %" PRId64 " ms, allowed: %" PRId64
                           " ms ahead); raise limits.creation-grace-period",
                           timestamp, now_ms, limits->creation_grace_ms);
    }
    return NX_OK;
}

static size_t characters(struct nx_view text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

enum nx_err dist_validate_exemplar_labels(struct nx_label *labels, size_t count,
                                          struct nx_labels *out)
{
    count = drop_empty(labels, count);
    sort_labels(labels, count);
    size_t chars = 0;
    for (size_t i = 0; i < count; i++) {
        if (labels[i].name.len == 0 || !nx_view_is_utf8(labels[i].name) ||
            !nx_view_is_utf8(labels[i].value))
            return NX_ERR_INVALID;
        if (i > 0 && nx_view_eq(labels[i - 1].name, labels[i].name))
            return NX_ERR_INVALID;
        chars += characters(labels[i].name) + characters(labels[i].value);
    }
    if (chars > DIST_MAX_EXEMPLAR_LABEL_CHARS)
        return NX_ERR_INVALID;
    *out = (struct nx_labels){.items = labels, .count = count};
    return NX_OK;
}

enum nx_err dist_validate_metadata(const struct nx_tenant_limits *limits,
                                   struct dist_metadata *metadata, enum dist_reason *reason,
                                   struct nx_fail *fail)
{
    enum dist_reason why = DIST_REASON_METADATA_INVALID;
    if (metadata->metric.len == 0) {
        *reason = why;
        return nx_fail_set(fail, NX_ERR_INVALID, "a metadata entry has no metric name");
    }
    if (!nx_view_is_utf8(metadata->metric))
        return refuse(fail, reason, why, metadata->metric,
                      "the metric name of a metadata entry is not valid UTF-8");
    if (metadata->metric.len > (uint64_t)limits->max_label_value_bytes)
        return refuse_length(fail, reason, why, "the metric name of a metadata entry",
                             metadata->metric, metadata->metric.len, limits->max_label_value_bytes,
                             "limits.max-label-value-length");
    if (!nx_view_is_utf8(metadata->help) || !nx_view_is_utf8(metadata->unit))
        return refuse(fail, reason, why, metadata->metric,
                      "help or unit of this metric is not valid UTF-8");
    if (metadata->unit.len > (uint64_t)limits->max_label_value_bytes)
        return refuse_length(fail, reason, why, "the unit of a metric", metadata->metric,
                             metadata->unit.len, limits->max_label_value_bytes,
                             "limits.max-label-value-length");
    metadata->help = dist_cut_utf8(metadata->help, DIST_MAX_HELP_BYTES);
    if (metadata->type > LAST_METADATA_TYPE)
        metadata->type = 0;
    return NX_OK;
}
