/* /api/v1/cardinality/label_names and label_values: what labels cost, in Mimir's form. Every
 * ingester counts its own copies. Values of a label are united; counts of series add up and are
 * divided by the number of copies, and what is there at all counts one at least. */
#include <stdlib.h>

#include "querier/api/cardinality_params.h"
#include "querier/api/endpoints.h"
#include "querier/select/wire.h"

struct value {
    struct nx_view text; /* empty: only the hash is known */
    uint64_t hash;
    uint64_t series;
};

struct label {
    struct nx_view name;
    uint64_t series;
    struct value *values;
    size_t count, capacity;
};

struct cardinality {
    struct qry_cardinality_params params;
    bool by_value;
    uint64_t series; /* of the tenant */
    uint64_t value_count;
    struct label *labels;
    size_t count, capacity;
};

/* --- asking --- */

static bool prepare(struct qry_job *op, struct cardinality *c, const struct nx_view *names,
                    size_t count)
{
    struct nx_buf body;
    if (!qry_cardinality_selector(op, &c->params) || !qry_cardinality_limit(op, &c->params) ||
        !qry_cardinality_method(op, &c->params))
        return false;
    op->content_type = "application/json";
    op->partial = false; /* there is no place for a warning */
    nx_buf_init(&body, 16u << 20);
    qry_put_cardinality_request(
        &body, &(struct qry_cardinality_request){.tenant = op->tenant,
                                                 .matchers = c->params.matchers,
                                                 .names = names,
                                                 .name_count = count,
                                                 .active_since = c->params.active_since});
    return qry_job_ask(op, "cardinality", false, &body);
}

bool qry_label_names_cardinality_prepare(struct qry_job *op)
{
    struct cardinality *c = nx_arena_calloc(&op->arena, 1, sizeof *c);
    op->state = c;
    return c ? prepare(op, c, NULL, 0) : qry_job_nomem(op);
}

bool qry_label_values_cardinality_prepare(struct qry_job *op)
{
    struct cardinality *c = nx_arena_calloc(&op->arena, 1, sizeof *c);
    struct nx_view *names = nx_arena_array(&op->arena, op->params.count, sizeof *names);
    op->state = c;
    if (!c || !names)
        return qry_job_nomem(op);
    c->by_value = true;
    size_t count = 0;
    struct nx_view name;
    while ((name = nx_http_params_nth(&op->params, "label_names[]", count)).ptr) {
        if (name.len == 0 || !nx_view_is_utf8(name))
            return qry_job_fail(op, QRY_API_BAD_DATA, "invalid 'label_names' param '%.*s'",
                                (int)name.len, name.ptr);
        names[count++] = name;
    }
    if (count == 0)
        return qry_job_fail(op, QRY_API_BAD_DATA, "'label_names[]' param is required");
    return prepare(op, c, names, count);
}

/* --- taking the answers --- */

static enum nx_err add_value(struct qry_job *op, struct label *label, struct value value)
{
    if (!nx_arena_grow(&op->arena, &label->values, label->count, &label->capacity, label->count + 1,
                       sizeof value))
        return NX_ERR_NOMEM;
    label->values[label->count++] = value;
    return NX_OK;
}

static enum nx_err take_value(struct qry_job *op, struct label *label, struct nx_view bytes)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct value value = {.text = NX_VIEW("")};
    while (qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            value.text = field.bytes;
        else if (field.number == 2)
            value.series = field.integer;
    }
    return nx_cursor_ok(&cur) ? add_value(op, label, value) : NX_ERR_CORRUPT;
}

static enum nx_err take_hashes(struct qry_job *op, struct label *label, struct nx_view packed)
{
    struct nx_cursor cur = nx_cursor_of(packed);
    enum nx_err err = NX_OK;
    while (!err && nx_cursor_left(&cur) > 0)
        err = add_value(op, label, (struct value){.hash = nx_cursor_u64(&cur)});
    return err || nx_cursor_ok(&cur) ? err : NX_ERR_CORRUPT;
}

static enum nx_err take_label(struct qry_job *op, struct cardinality *c, struct nx_view bytes)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct label label = {.name = NX_VIEW("")};
    enum nx_err err = NX_OK;
    while (!err && qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            label.name = field.bytes;
        else if (field.number == 2)
            label.series = field.integer;
        else if (field.number == 3 && field.bytes.ptr)
            err = take_hashes(op, &label, field.bytes);
        else if (field.number == 3)
            err = add_value(op, &label, (struct value){.hash = field.integer});
        else if (field.number == 4 && field.bytes.ptr)
            err = take_value(op, &label, field.bytes);
    }
    if (err || !nx_cursor_ok(&cur))
        return err ? err : NX_ERR_CORRUPT;
    if (!nx_arena_grow(&op->arena, &c->labels, c->count, &c->capacity, c->count + 1, sizeof label))
        return NX_ERR_NOMEM;
    c->labels[c->count++] = label;
    return NX_OK;
}

static enum nx_err take_message(struct qry_job *op, struct cardinality *c, struct nx_view message)
{
    struct nx_cursor cur = nx_cursor_of(message);
    struct qry_wire_field field;
    enum nx_err err = NX_OK;
    while (!err && qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            c->series += field.integer;
        else if (field.number == 2 && field.bytes.ptr)
            err = take_label(op, c, field.bytes);
    }
    return err || nx_cursor_ok(&cur) ? err : NX_ERR_CORRUPT;
}

/* --- joining --- */

static int label_by_name(const void *a, const void *b)
{
    return nx_view_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static int value_by_identity(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return nx_view_cmp(x->text, y->text);
}

static int value_by_series(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? 1 : -1;
    return nx_view_cmp(x->text, y->text);
}

static int label_by_series(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? 1 : -1;
    return nx_view_cmp(x->name, y->name);
}

static int label_by_values(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return nx_view_cmp(x->name, y->name);
}

static uint64_t per_copy(uint64_t sum, uint32_t copies)
{
    uint64_t count = copies > 1 ? (sum + copies / 2) / copies : sum;
    return sum > 0 && count == 0 ? 1 : count;
}

static void join_values(struct label *label, uint32_t copies)
{
    size_t n = 0;
    if (label->count > 1)
        qsort(label->values, label->count, sizeof *label->values, value_by_identity);
    for (size_t i = 0; i < label->count; i++) {
        if (n > 0 && value_by_identity(&label->values[n - 1], &label->values[i]) == 0)
            label->values[n - 1].series += label->values[i].series;
        else
            label->values[n++] = label->values[i];
    }
    label->count = n;
    for (size_t i = 0; i < n; i++)
        label->values[i].series = per_copy(label->values[i].series, copies);
    if (n > 1)
        qsort(label->values, n, sizeof *label->values, value_by_series);
}

static enum nx_err join(struct qry_job *op, struct cardinality *c, uint32_t copies)
{
    size_t n = 0;
    enum nx_err err = NX_OK;
    if (c->count > 1)
        qsort(c->labels, c->count, sizeof *c->labels, label_by_name);
    for (size_t i = 0; i < c->count; i++) {
        struct label *last = n > 0 ? &c->labels[n - 1] : NULL;
        const struct label *label = &c->labels[i];
        if (!last || !nx_view_eq(last->name, label->name)) {
            c->labels[n++] = *label;
            continue;
        }
        last->series += label->series;
        for (size_t j = 0; j < label->count && !err; j++)
            err = add_value(op, last, label->values[j]);
    }
    c->count = n;
    c->series = per_copy(c->series, copies);
    for (size_t i = 0; i < n && !err; i++) {
        join_values(&c->labels[i], copies);
        c->labels[i].series = per_copy(c->labels[i].series, copies);
        c->value_count += c->labels[i].count;
    }
    if (n > 1)
        qsort(c->labels, n, sizeof *c->labels, c->by_value ? label_by_series : label_by_values);
    return err;
}

bool qry_cardinality_evaluate(struct qry_job *op)
{
    struct cardinality *c = op->state;
    const struct qry_answer *answer;
    enum nx_err err = NX_OK;
    for (size_t i = 0; qry_fanout_answers(op->fanout, 0, i, &answer); i++)
        for (; answer && !err; answer = answer->next)
            err = take_message(op, c, nx_view_make(answer->bytes, answer->len));
    if (!err)
        err = join(op, c, qry_fanout_copies(op->fanout));
    if (err == NX_ERR_CORRUPT)
        return qry_job_fail(op, QRY_API_INTERNAL, "an ingester sent damaged data");
    return err ? qry_job_fail_err(op, err, NULL) : true;
}

/* --- writing --- */

static void put_count(struct qry_json *json, const char *key, uint64_t count)
{
    qry_json_key(json, key);
    qry_json_uint(json, count);
}

static size_t within(const struct cardinality *c, size_t count)
{
    return count < c->params.limit ? count : (size_t)c->params.limit;
}

bool qry_label_names_cardinality_render(struct qry_job *op, struct qry_json *json)
{
    const struct cardinality *c = op->state;
    qry_json_object(json);
    put_count(json, "label_values_count_total", c->value_count);
    put_count(json, "label_names_count", c->count);
    qry_json_key(json, "cardinality");
    qry_json_array(json);
    for (size_t i = 0; i < within(c, c->count); i++) {
        qry_json_object(json);
        qry_json_key(json, "label_name");
        qry_json_string(json, c->labels[i].name);
        put_count(json, "label_values_count", c->labels[i].count);
        qry_json_object_end(json);
    }
    qry_json_array_end(json);
    qry_json_object_end(json);
    return true;
}

static void put_label(const struct cardinality *c, const struct label *label, struct qry_json *json)
{
    qry_json_object(json);
    qry_json_key(json, "label_name");
    qry_json_string(json, label->name);
    put_count(json, "label_values_count", label->count);
    put_count(json, "series_count", label->series);
    qry_json_key(json, "cardinality");
    qry_json_array(json);
    for (size_t i = 0; i < within(c, label->count); i++) {
        qry_json_object(json);
        qry_json_key(json, "label_value");
        qry_json_string(json, label->values[i].text);
        put_count(json, "series_count", label->values[i].series);
        qry_json_object_end(json);
    }
    qry_json_array_end(json);
    qry_json_object_end(json);
}

bool qry_label_values_cardinality_render(struct qry_job *op, struct qry_json *json)
{
    const struct cardinality *c = op->state;
    qry_json_object(json);
    put_count(json, "series_count_total", c->series);
    qry_json_key(json, "labels");
    qry_json_array(json);
    for (size_t i = 0; i < c->count; i++)
        put_label(c, &c->labels[i], json);
    qry_json_array_end(json);
    qry_json_object_end(json);
    return true;
}

void qry_cardinality_release(struct qry_job *op)
{
    struct cardinality *c = op->state;
    if (c)
        qry_cardinality_params_release(&c->params);
}
