/* label_replace and label_join: series by series, whatever the steps hold. */
#include "common/cxx/re2_shim.h"
#include "common/labels/expand.h"
#include "querier/promql/functions.h"

#define BYTES_OF_WORK 32 /* of a label value, as much work as a sample */
#define REPLACE_GROUPS_MAX 128
#define REPLACE_VALUE_MAX (1 << 20)

static enum nx_err value_too_long(struct qry_eval *ev)
{
    return nx_fail_set(ev->fail, NX_ERR_LIMIT, "label value is longer than %d bytes",
                       REPLACE_VALUE_MAX);
}

static enum nx_err set_label(struct qry_eval *ev, struct qry_row *row, struct nx_view name,
                             const struct nx_buf *value)
{
    struct nx_labels_builder builder;
    struct nx_view copy = {NULL, 0};
    enum nx_err err = nx_buf_err(value);

    if (err)
        return err == NX_ERR_TOO_LARGE ? value_too_long(ev) : qry_no_memory(ev);
    if (value->len > 0) {
        copy = nx_arena_copy(&ev->names->arena, nx_buf_view(value));
        if (!copy.ptr)
            return qry_no_memory(ev);
    }
    nx_labels_builder_init(&builder, &ev->names->arena, row->labels);
    nx_labels_builder_set(&builder, name, copy);
    return nx_labels_builder_take(&builder, &row->labels) ? qry_no_memory(ev) : NX_OK;
}

/* --- label_replace --- */

static enum nx_err replace_in_rows(struct qry_matrix *matrix, const struct nx_regex *regex,
                                   struct nx_view to, struct nx_view replacement,
                                   struct nx_view from)
{
    /* not on the stack: calls nest */
    struct nx_view *groups =
        nx_arena_array(&matrix->pool->arena, REPLACE_GROUPS_MAX, sizeof *groups);
    struct nx_buf value;
    enum nx_err err = NX_OK;

    if (!groups)
        return qry_no_memory(matrix->ev);
    nx_buf_init(&value, REPLACE_VALUE_MAX);
    for (size_t r = 0; r < matrix->count && err == NX_OK; r++) {
        struct qry_row *row = &matrix->rows[r];
        struct nx_view source = nx_labels_get(row->labels, from);
        if (!source.ptr)
            source = NX_VIEW("");
        size_t count = nx_regex_groups(regex, source, groups, REPLACE_GROUPS_MAX);
        if ((err = qry_work(matrix->ev, 16)) || count == 0)
            continue;
        nx_buf_clear(&value);
        nx_expand(&value, replacement, regex, groups,
                  count < REPLACE_GROUPS_MAX ? count : REPLACE_GROUPS_MAX);
        if ((err = set_label(matrix->ev, row, to, &value)) == NX_OK)
            err = qry_work(matrix->ev, value.len / BYTES_OF_WORK);
        if (nx_view_eq(to, NX_LABEL_METRIC_NAME))
            row->drop_name = false;
    }
    nx_buf_release(&value);
    return err;
}

static bool is_label_name(struct nx_view name)
{
    return name.len > 0 && nx_view_is_utf8(name);
}

/* Evaluates the vector, applies nothing else, and merges what became equal. */
static enum nx_err finish(struct qry_matrix *matrix, enum nx_err err, struct qry_matrix *out)
{
    if (err == NX_OK)
        err = qry_matrix_merge(matrix);
    if (err) {
        qry_matrix_release(matrix);
        return err;
    }
    *out = *matrix;
    return NX_OK;
}

enum nx_err qry_fn_label_replace(const struct qry_scope *scope, struct qry_expr *expr,
                                 struct qry_matrix *out)
{
    struct qry_expr **args = expr->call.args;
    struct nx_view to = qry_string_of(args[1]);
    struct nx_view pattern = qry_string_of(args[4]);
    struct nx_regex *regex;
    struct qry_matrix matrix;
    struct nx_fail reason;

    enum nx_err err = nx_regex_new(pattern, true, &regex, &reason);
    if (err == NX_ERR_NOMEM)
        return qry_no_memory(scope->ev);
    if (err)
        return qry_error(scope->ev, "invalid regular expression in label_replace(): %.*s",
                         NX_VIEW_ARG(pattern));
    scope->ev->regex_bytes += nx_regex_max_bytes(regex);
    if (!is_label_name(to)) {
        err = qry_error(scope->ev, "invalid destination label name in label_replace(): %.*s",
                        NX_VIEW_ARG(to));
        goto done;
    }
    if ((err = qry_check_budget(scope->ev)) || (err = qry_eval_expr(scope, args[0], &matrix)))
        goto done;
    err = replace_in_rows(&matrix, regex, to, qry_string_of(args[2]), qry_string_of(args[3]));
    err = finish(&matrix, err, out);
done:
    scope->ev->regex_bytes -= nx_regex_max_bytes(regex);
    nx_regex_free(regex);
    return err;
}

/* --- label_join --- */

static enum nx_err join_in_rows(struct qry_matrix *matrix, const struct qry_call *call,
                                struct nx_view to, struct nx_view separator)
{
    struct nx_buf value;
    enum nx_err err = NX_OK;

    nx_buf_init(&value, REPLACE_VALUE_MAX);
    for (size_t r = 0; r < matrix->count && err == NX_OK; r++) {
        struct qry_row *row = &matrix->rows[r];
        nx_buf_clear(&value);
        for (size_t i = 3; i < call->arg_count; i++) {
            if (i > 3)
                nx_buf_append_view(&value, separator);
            nx_buf_append_view(&value, nx_labels_get(row->labels, qry_string_of(call->args[i])));
        }
        err = set_label(matrix->ev, row, to, &value);
        if (nx_view_eq(to, NX_LABEL_METRIC_NAME))
            row->drop_name = false;
        if (err == NX_OK)
            err = qry_work(matrix->ev, 16 + value.len / BYTES_OF_WORK);
    }
    nx_buf_release(&value);
    return err;
}

enum nx_err qry_fn_label_join(const struct qry_scope *scope, struct qry_expr *expr,
                              struct qry_matrix *out)
{
    const struct qry_call *call = &expr->call;
    struct nx_view to = qry_string_of(call->args[1]);
    struct qry_matrix matrix;

    for (size_t i = 3; i < call->arg_count; i++) {
        struct nx_view name = qry_string_of(call->args[i]);
        if (!is_label_name(name))
            return qry_error(scope->ev, "invalid source label name in label_join(): %.*s",
                             NX_VIEW_ARG(name));
    }
    if (!is_label_name(to))
        return qry_error(scope->ev, "invalid destination label name in label_join(): %.*s",
                         NX_VIEW_ARG(to));
    enum nx_err err = qry_eval_expr(scope, call->args[0], &matrix);
    if (err)
        return err;
    err = join_in_rows(&matrix, call, to, qry_string_of(call->args[2]));
    return finish(&matrix, err, out);
}
