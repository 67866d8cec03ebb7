/* Sets are short (10 labels or so), so lookups walk them. Hashing concatenates the set in a buffer
 * on the stack, which beats a streaming hash for all but monstrous sets. */
#include "common/labels/labels.h"

#include "common/base/quote.h"

enum { DECODE_MIN_LABEL_BYTES = 4 };

struct nx_view nx_labels_get(struct nx_labels labels, struct nx_view name)
{
    for (size_t i = 0; i < labels.count; i++)
        if (nx_view_eq(labels.items[i].name, name))
            return labels.items[i].value;
    return NX_VIEW("");
}

bool nx_labels_has(struct nx_labels labels, struct nx_view name)
{
    return nx_labels_get(labels, name).len > 0;
}

bool nx_labels_eq(struct nx_labels a, struct nx_labels b)
{
    if (a.count != b.count)
        return false;
    for (size_t i = 0; i < a.count; i++)
        if (!nx_view_eq(a.items[i].value, b.items[i].value) ||
            !nx_view_eq(a.items[i].name, b.items[i].name))
            return false;
    return true;
}

int nx_labels_cmp(struct nx_labels a, struct nx_labels b)
{
    size_t common = a.count < b.count ? a.count : b.count;
    for (size_t i = 0; i < common; i++) {
        int order = nx_view_cmp(a.items[i].name, b.items[i].name);
        if (order == 0)
            order = nx_view_cmp(a.items[i].value, b.items[i].value);
        if (order != 0)
            return order;
    }
    return (a.count > b.count) - (a.count < b.count);
}

struct nx_labels nx_labels_copy(struct nx_arena *arena, struct nx_labels labels)
{
    struct nx_labels none = {.items = NULL, .count = labels.count};
    size_t bytes = 0;
    for (size_t i = 0; i < labels.count; i++)
        bytes += labels.items[i].name.len + labels.items[i].value.len;
    struct nx_label *items = nx_arena_array(arena, labels.count, sizeof *items);
    char *text = items ? nx_arena_alloc(arena, bytes) : NULL;
    if (!text)
        return none;
    for (size_t i = 0; i < labels.count; i++) {
        struct nx_label from = labels.items[i];
        items[i].name = nx_view_make(text, from.name.len);
        items[i].value = nx_view_make(text + from.name.len, from.value.len);
        memcpy(text, from.name.ptr, from.name.len);
        memcpy(text + from.name.len, from.value.ptr, from.value.len);
        text += from.name.len + from.value.len;
    }
    return (struct nx_labels){.items = items, .count = labels.count};
}

/* --- names and text --- */

static bool is_legacy(struct nx_view name, bool colon)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0;
}

bool nx_label_name_is_legacy(struct nx_view name)
{
    return is_legacy(name, false);
}

bool nx_metric_name_is_legacy(struct nx_view name)
{
    return is_legacy(name, true);
}

void nx_print_quoted(struct nx_buf *buf, struct nx_view text)
{
    nx_quote(buf, text);
}

static void print_pair(struct nx_buf *buf, struct nx_label label, size_t *printed)
{
    if ((*printed)++ > 0)
        nx_buf_append_str(buf, ", ");
    if (nx_label_name_is_legacy(label.name))
        nx_buf_append_view(buf, label.name);
    else
        nx_quote(buf, label.name);
    nx_buf_append_char(buf, '=');
    nx_quote(buf, label.value);
}

void nx_labels_print_plain(struct nx_buf *buf, struct nx_labels labels)
{
    size_t printed = 0;
    nx_buf_append_char(buf, '{');
    for (size_t i = 0; i < labels.count; i++)
        print_pair(buf, labels.items[i], &printed);
    nx_buf_append_char(buf, '}');
}

void nx_labels_print(struct nx_buf *buf, struct nx_labels labels)
{
    struct nx_view metric = nx_labels_get(labels, NX_LABEL_METRIC_NAME);
    bool in_front = nx_metric_name_is_legacy(metric);
    if (in_front)
        nx_buf_append_view(buf, metric);
    if (in_front && labels.count == 1)
        return;
    size_t printed = 0;
    nx_buf_append_char(buf, '{');
    if (metric.len > 0 && !in_front) {
        nx_quote(buf, metric);
        printed++;
    }
    for (size_t i = 0; i < labels.count; i++)
        if (!nx_view_eq(labels.items[i].name, NX_LABEL_METRIC_NAME))
            print_pair(buf, labels.items[i], &printed);
    nx_buf_append_char(buf, '}');
}

/* --- binary form --- */

void nx_labels_encode(struct nx_buf *buf, struct nx_labels labels)
{
    nx_buf_put_uvarint(buf, labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        nx_buf_put_bytes(buf, labels.items[i].name);
        nx_buf_put_bytes(buf, labels.items[i].value);
    }
}

enum nx_err nx_labels_decode(struct nx_cursor *cur, struct nx_arena *arena, size_t max_labels,
                             struct nx_labels *out)
{
    uint64_t count = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || count > nx_cursor_left(cur) / DECODE_MIN_LABEL_BYTES)
        return NX_ERR_CORRUPT;
    if (count > max_labels)
        return NX_ERR_LIMIT;
    struct nx_label *items = nx_arena_array(arena, (size_t)count, sizeof *items);
    if (!items)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        items[i].name = nx_cursor_bytes(cur);
        items[i].value = nx_cursor_bytes(cur);
        if (!nx_cursor_ok(cur) || items[i].name.len == 0 || items[i].value.len == 0)
            return NX_ERR_CORRUPT;
        if (i > 0 && nx_view_cmp(items[i - 1].name, items[i].name) >= 0)
            return NX_ERR_CORRUPT;
    }
    *out = (struct nx_labels){.items = items, .count = (size_t)count};
    return NX_OK;
}
