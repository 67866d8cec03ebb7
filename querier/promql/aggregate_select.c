/* Aggregations that keep some of their samples as they are: topk, bottomk, limitk and limit_ratio.
 * They strike the other cells from the argument's rows; and count_values, which counts equal ones.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/cxx/number_shim.h"
#include "querier/promql/aggregate.h"

#define VALUE_TEXT_MAX (1 << 20)

/* --- topk, bottomk --- */

/* A binary heap with the sample to be replaced first at its root: the smallest for topk, NaN before
 * all. */
struct candidate {
    double value; /* negated for bottomk */
    uint32_t row;
};

static bool goes_first(const struct candidate *a, const struct candidate *b)
{
    return isnan(a->value) || a->value < b->value;
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate c = *a;
    *a = *b;
    *b = c;
}

static void sift_up(struct candidate *heap, size_t i)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!goes_first(&heap[i], &heap[parent]))
            break;
        swap(&heap[i], &heap[parent]);
        i = parent;
    }
}

static void sift_down(struct candidate *heap, size_t count)
{
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= count)
            break;
        if (child + 1 < count && goes_first(&heap[child + 1], &heap[child]))
            child++;
        if (!goes_first(&heap[child], &heap[i]))
            break;
        swap(&heap[i], &heap[child]);
        i = child;
    }
}

/* Offers a sample to a heap of at most `k` > 0; returns the new count. */
static size_t offer(struct candidate *heap, size_t count, size_t k, struct candidate c)
{
    assert(heap);
    if (count < k) {
        heap[count] = c;
        sift_up(heap, count);
        return count + 1;
    }
    if (heap[0].value < c.value || (isnan(heap[0].value) && !isnan(c.value))) {
        heap[0] = c;
        sift_down(heap, count);
    }
    return count;
}

struct selection {
    struct qry_aggregation *agg;
    enum qry_agg op;
    struct candidate *heap;
    double *offsets;         /* limit_ratio: of each row, in [0, 1] */
    struct qry_row *ordered; /* topk of an instant query: the rows in the order of the result */
    size_t ordered_count;
};

/* The k of a step; 0: nothing is kept. */
static size_t k_at(const struct qry_aggregation *agg, size_t step, size_t max)
{
    double k = agg->param[step];
    if (!(k >= 1))
        return 0;
    return k < (double)max ? (size_t)k : max;
}

static struct qry_row *member(const struct qry_aggregation *agg, uint32_t m)
{
    return &agg->input->rows[agg->members.rows[m]];
}

static void strike(struct qry_row *row, size_t step)
{
    row->values[step] = QRY_ABSENT;
    if (row->histograms)
        row->histograms[step] = NULL;
}

static int compare_rank(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    if (isnan(x->value) != isnan(y->value))
        return isnan(x->value) ? 1 : -1;
    if (x->value != y->value && !isnan(x->value))
        return x->value > y->value ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void top_at(struct selection *s, uint32_t first, uint32_t last, size_t step)
{
    bool bottom = s->op == QRY_AGG_BOTTOMK;
    size_t k = k_at(s->agg, step, last - first);
    size_t count = 0;

    for (uint32_t m = first; m < last; m++) {
        struct qry_row *row = member(s->agg, m);
        if (qry_histogram_at(row, step) && k > 0)
            qry_aggregate_note_ignored(s->agg);
        if (qry_has_float(row, step) && k > 0) {
            double v = row->values[step];
            count =
                offer(s->heap, count, k,
                      (struct candidate){.value = bottom ? -v : v, .row = s->agg->members.rows[m]});
        }
        strike(row, step);
    }
    for (size_t i = 0; i < count; i++) {
        double v = s->heap[i].value;
        s->agg->input->rows[s->heap[i].row].values[step] = bottom ? -v : v;
    }
    if (s->ordered && count > 0) {
        qsort(s->heap, count, sizeof *s->heap, compare_rank);
        for (size_t i = 0; i < count; i++)
            s->ordered[s->ordered_count++] = s->agg->input->rows[s->heap[i].row];
    }
}

/* --- limitk, limit_ratio --- */

static void limit_at(struct selection *s, uint32_t first, uint32_t last, size_t step)
{
    size_t left = k_at(s->agg, step, last - first);

    for (uint32_t m = first; m < last; m++) {
        struct qry_row *row = member(s->agg, m);
        if (!qry_has_point(row, step))
            continue;
        if (left > 0)
            left--;
        else
            strike(row, step);
    }
}

static void ratio_at(struct selection *s, uint32_t first, uint32_t last, size_t step)
{
    double r = fmax(-1, fmin(1, s->agg->param[step]));

    for (uint32_t m = first; m < last; m++) {
        double offset = s->offsets[s->agg->members.rows[m]];
        bool keep = r != 0 && ((r > 0 && offset < r) || (r < 0 && offset >= 1.0 + r));
        if (!keep)
            strike(member(s->agg, m), step);
    }
}

static void put_length(struct nx_buf *buf, size_t len)
{
    if (len < 255) {
        nx_buf_put_u8(buf, (uint8_t)len);
        return;
    }
    nx_buf_put_u8(buf, 0xff);
    nx_buf_put_u8(buf, (uint8_t)len);
    nx_buf_put_u8(buf, (uint8_t)(len >> 8));
    nx_buf_put_u8(buf, (uint8_t)(len >> 16));
}

/* Where in [0, 1] a label set falls: XXH64 of Prometheus's encoding of it. */
static enum nx_err hash_rows(struct selection *s)
{
    const struct qry_matrix *input = s->agg->input;
    struct nx_buf buf;
    enum nx_err err = NX_OK;

    s->offsets = nx_arena_array(s->agg->scratch, input->count, sizeof *s->offsets);
    if (!s->offsets)
        return input->count > 0 ? qry_no_memory(s->agg->scope->ev) : NX_OK;
    nx_buf_init(&buf, SIZE_MAX / 2);
    for (size_t r = 0; r < input->count; r++) {
        struct nx_labels labels = input->rows[r].labels;
        nx_buf_clear(&buf);
        for (size_t i = 0; i < labels.count; i++) {
            put_length(&buf, labels.items[i].name.len);
            nx_buf_append_view(&buf, labels.items[i].name);
            put_length(&buf, labels.items[i].value.len);
            nx_buf_append_view(&buf, labels.items[i].value);
        }
        if (nx_buf_err(&buf)) {
            err = qry_no_memory(s->agg->scope->ev);
            break;
        }
        s->offsets[r] = (double)nx_xxh64(buf.data, buf.len) / 18446744073709551615.0;
    }
    nx_buf_release(&buf);
    return err;
}

static enum nx_err select_in_groups(struct selection *s)
{
    struct qry_aggregation *agg = s->agg;
    enum nx_err err = NX_OK;

    for (size_t g = 0; g < agg->grouping->count && err == NX_OK; g++) {
        uint32_t first = agg->members.start[g];
        uint32_t last = agg->members.start[g + 1];
        for (size_t i = 0; i < agg->scope->steps && err == NX_OK; i++) {
            if (s->op == QRY_AGG_LIMITK)
                limit_at(s, first, last, i);
            else if (s->op == QRY_AGG_LIMIT_RATIO)
                ratio_at(s, first, last, i);
            else
                top_at(s, first, last, i);
            err = qry_work(agg->scope->ev, last - first);
        }
    }
    return err;
}

enum nx_err qry_aggregate_select(struct qry_aggregation *agg)
{
    struct selection s = {.agg = agg, .op = agg->expr->aggregate.agg};
    struct qry_eval *ev = agg->scope->ev;
    bool top = s.op == QRY_AGG_TOPK || s.op == QRY_AGG_BOTTOMK;
    enum nx_err err = NX_OK;

    if (s.op == QRY_AGG_LIMIT_RATIO && (err = hash_rows(&s)))
        return err;
    if (top) {
        s.heap = nx_arena_array(agg->scratch, agg->input->count + 1, sizeof *s.heap);
        if (!s.heap)
            return qry_no_memory(ev);
    }
    if (top && agg->scope->steps == 1) {
        s.ordered =
            nx_arena_array(&agg->input->pool->arena, agg->input->count + 1, sizeof *s.ordered);
        if (!s.ordered)
            return qry_no_memory(ev);
    }
    if ((err = select_in_groups(&s)))
        return err;
    if (s.ordered) {
        agg->input->rows = s.ordered;
        agg->input->count = s.ordered_count;
        agg->input->capacity = s.ordered_count;
    }
    return NX_OK;
}

/* --- count_values --- */

struct value_count {
    struct qry_aggregation *agg;
    struct nx_view label;
    bool keep_label;
    struct qry_matrix out;
    struct nx_index index; /* rows of `out` by labels */
    struct qry_pool *probe;
    struct nx_buf text;
};

static bool row_eq(uint32_t ref, const void *key, const void *user)
{
    return nx_labels_eq(((const struct qry_matrix *)user)->rows[ref].labels,
                        *(const struct nx_labels *)key);
}

/* The labels of the result for the text in c->text; they live until the next call. */
static enum nx_err probe_labels(struct value_count *c, uint32_t group, struct nx_labels *out)
{
    struct nx_labels_builder builder;

    *out = c->agg->grouping->groups[group];
    if (!c->keep_label)
        return NX_OK;
    nx_arena_clear(&c->probe->arena);
    nx_labels_builder_init(&builder, &c->probe->arena, *out);
    nx_labels_builder_set(&builder, c->label, nx_buf_view(&c->text));
    return nx_labels_builder_take(&builder, out) ? qry_no_memory(c->agg->scope->ev) : NX_OK;
}

/* The result row of the text in c->text in a group. */
static enum nx_err find_row(struct value_count *c, uint32_t group, uint32_t *at)
{
    struct qry_eval *ev = c->agg->scope->ev;
    struct nx_labels labels, copy;
    struct qry_row *row;
    enum nx_err err;

    if (nx_buf_err(&c->text))
        return qry_no_memory(ev);
    if ((err = probe_labels(c, group, &labels)))
        return err;
    uint64_t hash = nx_labels_hash(labels);
    *at = nx_index_find(&c->index, hash, row_eq, &labels, &c->out);
    if (*at != NX_INDEX_NONE)
        return NX_OK;
    copy = nx_labels_copy(&ev->names->arena, labels);
    if (labels.count > 0 && !copy.items)
        return qry_no_memory(ev);
    *at = (uint32_t)c->out.count;
    if ((err = qry_matrix_add(&c->out, copy, false, &row)))
        return err;
    return nx_index_insert(&c->index, hash, *at) ? qry_no_memory(ev) : NX_OK;
}

static enum nx_err count_row(struct value_count *c, size_t r)
{
    const struct qry_row *row = &c->agg->input->rows[r];
    char number[NX_FLOAT_MAX];
    uint32_t at = NX_INDEX_NONE;
    double last = 0;
    enum nx_err err = NX_OK;

    for (size_t i = 0; i < c->agg->scope->steps; i++) {
        const struct nx_histogram *h = qry_histogram_at(row, i);
        if (!qry_has_point(row, i))
            continue;
        bool same =
            !h && at != NX_INDEX_NONE && nx_double_bits(last) == nx_double_bits(row->values[i]);
        if (!same) {
            nx_buf_clear(&c->text);
            if (h)
                qry_histogram_print(&c->text, h);
            else
                nx_buf_append(&c->text, number, nx_float_format_f(row->values[i], number));
            if ((err = find_row(c, c->agg->members.group[r], &at)))
                return err;
            last = row->values[i];
        }
        struct qry_row *out = &c->out.rows[at];
        out->drop_name = out->drop_name || row->drop_name;
        out->values[i] = qry_has_float(out, i) ? out->values[i] + 1 : 1;
        if (h)
            at = NX_INDEX_NONE;
    }
    return qry_work(c->agg->scope->ev, c->agg->scope->steps * 2);
}

enum nx_err qry_aggregate_count_values(struct qry_aggregation *agg, struct nx_view label,
                                       struct qry_matrix *out)
{
    const struct qry_aggregate *node = &agg->expr->aggregate;
    struct value_count c = {.agg = agg, .label = label, .keep_label = true};

    if (node->without) {
        c.keep_label = !nx_view_eq(label, NX_LABEL_METRIC_NAME);
        for (size_t i = 0; i < node->grouping_count; i++)
            c.keep_label = c.keep_label && !nx_view_eq(label, node->grouping[i]);
    }
    enum nx_err err = qry_matrix_init(&c.out, agg->scope->ev, agg->scope->steps);
    if (err)
        return err;
    nx_index_init(&c.index);
    nx_buf_init(&c.text, VALUE_TEXT_MAX);
    if (!(c.probe = qry_pool_new(agg->scope->ev)))
        err = qry_no_memory(agg->scope->ev);
    for (size_t r = 0; r < agg->input->count && err == NX_OK; r++)
        err = count_row(&c, r);
    nx_buf_release(&c.text);
    nx_index_release(&c.index);
    qry_pool_free(agg->scope->ev, c.probe);
    if (err) {
        qry_matrix_release(&c.out);
        return err;
    }
    /* the order of rows depends on when each value came first */
    qry_matrix_sort(&c.out);
    *out = c.out;
    return NX_OK;
}
