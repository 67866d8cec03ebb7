/* Dropping labels from result rows. Most sets have the metric name in front, so what remains is a
 * slice of the same array and costs nothing. */
#include "querier/promql/eval.h"

static bool is_metadata(struct nx_view name)
{
    return nx_view_is(name, "__name__") || nx_view_is(name, "__type__") ||
           nx_view_is(name, "__unit__");
}

typedef bool (*drop_label)(struct nx_view name, const void *user);

static enum nx_err labels_filter(struct qry_eval *ev, struct nx_labels labels, drop_label drop,
                                 const void *user, struct nx_labels *out)
{
    size_t first = 0;
    size_t last = labels.count;
    size_t dropped = 0;

    for (size_t i = 0; i < labels.count; i++)
        dropped += drop(labels.items[i].name, user);
    if (dropped == 0) {
        *out = labels;
        return NX_OK;
    }
    while (first < last && drop(labels.items[first].name, user))
        first++;
    while (last > first && drop(labels.items[last - 1].name, user))
        last--;
    if (last - first == labels.count - dropped) {
        *out = (struct nx_labels){.items = labels.items + first, .count = last - first};
        return NX_OK;
    }
    struct nx_label *items =
        nx_arena_array(&ev->names->arena, labels.count - dropped, sizeof *items);
    if (!items)
        return qry_no_memory(ev);
    size_t count = 0;
    for (size_t i = first; i < last; i++) {
        if (!drop(labels.items[i].name, user))
            items[count++] = labels.items[i];
    }
    *out = (struct nx_labels){.items = items, .count = count};
    return NX_OK;
}

static bool drop_metadata(struct nx_view name, const void *user)
{
    (void)user;
    return is_metadata(name);
}

static bool drop_one(struct nx_view name, const void *user)
{
    return nx_view_eq(name, *(const struct nx_view *)user);
}

enum nx_err qry_labels_without_metadata(struct qry_eval *ev, struct nx_labels labels,
                                        struct nx_labels *out)
{
    return labels_filter(ev, labels, drop_metadata, NULL, out);
}

enum nx_err qry_labels_without(struct qry_eval *ev, struct nx_labels labels, struct nx_view name,
                               struct nx_labels *out)
{
    return labels_filter(ev, labels, drop_one, &name, out);
}

enum nx_err qry_row_drop_name(struct qry_eval *ev, struct qry_row *row)
{
    if (qry_delayed_names(ev)) {
        row->drop_name = true;
        return NX_OK;
    }
    return qry_labels_without_metadata(ev, row->labels, &row->labels);
}

enum nx_err qry_rows_drop_name(struct qry_matrix *matrix)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < matrix->count && err == NX_OK; i++)
        err = qry_row_drop_name(matrix->ev, &matrix->rows[i]);
    return err;
}

void qry_print_label_set(struct nx_buf *buf, struct nx_labels labels)
{
    nx_buf_append_char(buf, '{');
    for (size_t i = 0; i < labels.count; i++) {
        if (i > 0)
            nx_buf_append_str(buf, ", ");
        if (nx_label_name_is_legacy(labels.items[i].name))
            nx_buf_append_view(buf, labels.items[i].name);
        else
            nx_print_quoted(buf, labels.items[i].name);
        nx_buf_append_char(buf, '=');
        nx_print_quoted(buf, labels.items[i].value);
    }
    nx_buf_append_char(buf, '}');
}
