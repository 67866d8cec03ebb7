/* metadata: what the scraped targets said of their metrics. */
#include <stdlib.h>

#include "querier/api/endpoints.h"
#include "querier/api/params.h"
#include "querier/select/wire.h"

struct row {
    struct nx_view metric, help, unit;
    uint64_t type;
};

struct metadata {
    int64_t limit, limit_per_metric; /* negative: none */
    struct row *rows;
    size_t count, capacity;
};

static bool read_number(struct qry_job *op, const char *name, int64_t *out)
{
    struct nx_view text = qry_job_param(op, name);
    *out = -1;
    if (text.len > 0 && qry_param_integer(text, out, NULL) != NX_OK)
        return qry_job_fail(op, QRY_API_BAD_DATA, "%s must be a number", name);
    return true;
}

bool qry_metadata_prepare(struct qry_job *op)
{
    struct metadata *m = nx_arena_calloc(&op->arena, 1, sizeof *m);
    struct nx_buf body;
    if (!m)
        return qry_job_nomem(op);
    op->state = m;
    if (!read_number(op, "limit", &m->limit) ||
        !read_number(op, "limit_per_metric", &m->limit_per_metric))
        return false;
    nx_buf_init(&body, 1u << 20);
    qry_put_metadata_request(&body, op->tenant, qry_job_param(op, "metric"));
    return qry_job_ask(op, "metadata", false, &body);
}

static bool take_row(struct qry_job *op, struct metadata *m, struct nx_view bytes)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct row row = {.help = NX_VIEW(""), .unit = NX_VIEW("")};
    while (qry_wire_next(&cur, &field)) {
        switch (field.number) {
        case 1:
            row.metric = field.bytes;
            break;
        case 2:
            row.type = field.integer;
            break;
        case 3:
            row.help = field.bytes;
            break;
        case 4:
            row.unit = field.bytes;
            break;
        default:
            break;
        }
    }
    if (!nx_cursor_ok(&cur))
        return qry_job_fail(op, QRY_API_INTERNAL, "an ingester sent damaged data");
    if (!nx_arena_grow(&op->arena, &m->rows, m->count, &m->capacity, m->count + 1, sizeof row))
        return qry_job_nomem(op);
    m->rows[m->count++] = row;
    return true;
}

static bool take_message(struct qry_job *op, struct metadata *m, struct nx_view message)
{
    struct nx_cursor cur = nx_cursor_of(message);
    struct qry_wire_field field;
    while (qry_wire_next(&cur, &field))
        if (field.number == 1 && field.bytes.ptr && !take_row(op, m, field.bytes))
            return false;
    return nx_cursor_ok(&cur) ||
           qry_job_fail(op, QRY_API_INTERNAL, "an ingester sent damaged data");
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = nx_view_cmp(x->metric, y->metric);
    if (order == 0)
        order = (x->type > y->type) - (x->type < y->type);
    if (order == 0)
        order = nx_view_cmp(x->unit, y->unit);
    return order ? order : nx_view_cmp(x->help, y->help);
}

bool qry_metadata_evaluate(struct qry_job *op)
{
    struct metadata *m = op->state;
    const struct qry_answer *answer;
    for (size_t i = 0; qry_fanout_answers(op->fanout, 0, i, &answer); i++)
        for (; answer; answer = answer->next)
            if (!take_message(op, m, nx_view_make(answer->bytes, answer->len)))
                return false;
    if (m->count > 1)
        qsort(m->rows, m->count, sizeof *m->rows, compare_rows);
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++)
        if (n == 0 || compare_rows(&m->rows[i], &m->rows[n - 1]) != 0)
            m->rows[n++] = m->rows[i];
    m->count = n;
    return true;
}

/* MetricMetadata.MetricType of the remote-write protocol. */
static const char *type_text(uint64_t type)
{
    static const char *const names[] = {"unknown",        "counter", "gauge", "histogram",
                                        "gaugehistogram", "summary", "info",  "stateset"};
    return type < sizeof names / sizeof *names ? names[type] : names[0];
}

bool qry_metadata_render(struct qry_job *op, struct qry_json *json)
{
    const struct metadata *m = op->state;
    int64_t metrics = 0;
    qry_json_object(json);
    for (size_t i = 0; i < m->count && (m->limit < 0 || metrics < m->limit); metrics++) {
        struct nx_view metric = m->rows[i].metric;
        qry_json_key_view(json, metric);
        qry_json_array(json);
        int64_t rows = 0;
        for (; i < m->count && nx_view_eq(m->rows[i].metric, metric); i++, rows++) {
            if (m->limit_per_metric > 0 && rows >= m->limit_per_metric)
                continue;
            qry_json_object(json);
            qry_json_key(json, "type");
            qry_json_text(json, type_text(m->rows[i].type));
            qry_json_key(json, "unit");
            qry_json_string(json, m->rows[i].unit);
            qry_json_key(json, "help");
            qry_json_string(json, m->rows[i].help);
            qry_json_object_end(json);
        }
        qry_json_array_end(json);
    }
    qry_json_object_end(json);
    return true;
}
