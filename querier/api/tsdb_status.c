/* status/tsdb: cardinality of the cluster. Every ingester counts its own copies; what is asked for
 * are series, so the sums are divided by the number of copies. */
#include <stdlib.h>

#include "querier/api/endpoints.h"
#include "querier/api/params.h"
#include "querier/select/wire.h"

#define DEFAULT_LIMIT 10
#define MAX_LIMIT 10000

enum list { BY_METRIC, VALUES_BY_LABEL, MEMORY_BY_LABEL, BY_PAIR, LIST_COUNT };

struct entry {
    struct nx_view name;
    uint64_t value;
};

struct entries {
    struct entry *items;
    size_t count, capacity;
};

struct tsdb_status {
    uint64_t limit;
    uint64_t series, label_pairs, chunks;
    int64_t min_t, max_t;
    struct entries lists[LIST_COUNT];
};

bool qry_status_tsdb_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    int64_t limit = DEFAULT_LIMIT;
    struct nx_view text = qry_job_param(op, "limit");
    struct tsdb_status *s = nx_arena_calloc(&op->arena, 1, sizeof *s);
    if (!s)
        return qry_job_nomem(op);
    op->state = s;
    if (text.len > 0 && (qry_param_integer(text, &limit, &fail) != NX_OK || limit < 1))
        return qry_job_fail(op, QRY_API_BAD_DATA, "limit must be a positive number");
    if (limit > MAX_LIMIT)
        return qry_job_fail(op, QRY_API_BAD_DATA, "limit must not exceed %d", MAX_LIMIT);
    s->limit = (uint64_t)limit;
    s->min_t = INT64_MAX; /* what an empty head says, as in Prometheus */
    s->max_t = INT64_MIN;
    struct nx_buf body;
    nx_buf_init(&body, 4096);
    qry_put_status_request(&body, op->tenant, (uint32_t)limit);
    return qry_job_ask(op, "status", false, &body);
}

static enum nx_err take_entry(struct qry_job *op, struct entries *list, struct nx_view bytes)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct entry entry = {.name = NX_VIEW("")};
    while (qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            entry.name = field.bytes;
        else if (field.number == 2)
            entry.value = field.integer;
    }
    if (!nx_cursor_ok(&cur))
        return NX_ERR_CORRUPT;
    if (!nx_arena_grow(&op->arena, &list->items, list->count, &list->capacity, list->count + 1,
                       sizeof entry))
        return NX_ERR_NOMEM;
    list->items[list->count++] = entry;
    return NX_OK;
}

static enum nx_err take_message(struct qry_job *op, struct tsdb_status *s, struct nx_view message)
{
    struct nx_cursor cur = nx_cursor_of(message);
    struct qry_wire_field field;
    int64_t min_t = 0, max_t = 0;
    uint64_t series = 0;
    enum nx_err err = NX_OK;
    while (!err && qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            series = field.integer;
        else if (field.number == 2)
            s->label_pairs += field.integer;
        else if (field.number == 3)
            s->chunks += field.integer;
        else if (field.number == 4)
            min_t = qry_wire_zigzag(field.integer);
        else if (field.number == 5)
            max_t = qry_wire_zigzag(field.integer);
        else if (field.number >= 6 && field.number < 6 + LIST_COUNT && field.bytes.ptr)
            err = take_entry(op, &s->lists[field.number - 6], field.bytes);
    }
    s->series += series;
    if (series > 0) {
        s->min_t = min_t < s->min_t ? min_t : s->min_t;
        s->max_t = max_t > s->max_t ? max_t : s->max_t;
    }
    return err || nx_cursor_ok(&cur) ? err : NX_ERR_CORRUPT;
}

static int by_name(const void *a, const void *b)
{
    return nx_view_cmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int by_value(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return nx_view_cmp(x->name, y->name);
}

static uint64_t per_copy(uint64_t sum, uint32_t copies)
{
    return copies > 1 ? (sum + copies / 2) / copies : sum;
}

/* Equal names are joined: counts of series add up over the ingesters and are divided by the copies;
 * the number of a label's values is at least that of the ingester that has most. */
static void join(struct entries *list, enum list kind, uint32_t copies, uint64_t limit)
{
    size_t n = 0;
    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, by_name);
    for (size_t i = 0; i < list->count; i++) {
        struct entry *item = &list->items[i];
        struct entry *last = n > 0 ? &list->items[n - 1] : NULL;
        if (!last || !nx_view_eq(last->name, item->name))
            list->items[n++] = *item;
        else if (kind == VALUES_BY_LABEL)
            last->value = item->value > last->value ? item->value : last->value;
        else
            last->value += item->value;
    }
    for (size_t i = 0; i < n && kind != VALUES_BY_LABEL; i++)
        list->items[i].value = per_copy(list->items[i].value, copies);
    if (n > 1)
        qsort(list->items, n, sizeof *list->items, by_value);
    list->count = n < limit ? n : (size_t)limit;
}

bool qry_status_tsdb_evaluate(struct qry_job *op)
{
    struct tsdb_status *s = op->state;
    const struct qry_answer *answer;
    enum nx_err err = NX_OK;
    for (size_t i = 0; qry_fanout_answers(op->fanout, 0, i, &answer); i++)
        for (; answer && !err; answer = answer->next)
            err = take_message(op, s, nx_view_make(answer->bytes, answer->len));
    if (err == NX_ERR_NOMEM)
        return qry_job_nomem(op);
    if (err)
        return qry_job_fail(op, QRY_API_INTERNAL, "an ingester sent damaged data");
    uint32_t copies = qry_fanout_copies(op->fanout);
    for (size_t i = 0; i < LIST_COUNT; i++)
        join(&s->lists[i], (enum list)i, copies, s->limit);
    s->series = per_copy(s->series, copies);
    s->label_pairs = per_copy(s->label_pairs, copies);
    s->chunks = per_copy(s->chunks, copies);
    return true;
}

bool qry_status_tsdb_render(struct qry_job *op, struct qry_json *json)
{
    static const char *const names[LIST_COUNT] = {
        [BY_METRIC] = "seriesCountByMetricName",
        [VALUES_BY_LABEL] = "labelValueCountByLabelName",
        [MEMORY_BY_LABEL] = "memoryInBytesByLabelName",
        [BY_PAIR] = "seriesCountByLabelValuePair",
    };
    const struct tsdb_status *s = op->state;
    qry_json_object(json);
    qry_json_key(json, "headStats");
    qry_json_object(json);
    qry_json_key(json, "numSeries");
    qry_json_uint(json, s->series);
    qry_json_key(json, "numLabelPairs");
    qry_json_uint(json, s->label_pairs);
    qry_json_key(json, "chunkCount");
    qry_json_uint(json, s->chunks);
    qry_json_key(json, "minTime");
    qry_json_int(json, s->min_t);
    qry_json_key(json, "maxTime");
    qry_json_int(json, s->max_t);
    qry_json_object_end(json);
    for (size_t i = 0; i < LIST_COUNT; i++) {
        qry_json_key(json, names[i]);
        qry_json_array(json);
        for (size_t j = 0; j < s->lists[i].count; j++) {
            qry_json_object(json);
            qry_json_key(json, "name");
            qry_json_string(json, s->lists[i].items[j].name);
            qry_json_key(json, "value");
            qry_json_uint(json, s->lists[i].items[j].value);
            qry_json_object_end(json);
        }
        qry_json_array_end(json);
    }
    qry_json_object_end(json);
    return true;
}
