/* A row with floats is a bucket of the classic histogram of its other labels; a row with histograms
 * is native; one series may be both over time. Rows and bounds are sorted out once, steps only
 * collect what is present. */
#include "querier/promql/histogram_input.h"

#include <stdlib.h>

#include "common/cxx/number_shim.h"

#define NONE UINT32_MAX

struct qry_histogram_unit {
    bool native;
    uint32_t index; /* row of a native, group of a classic one */
    uint32_t other; /* the unit that has the same labels and is of the other kind, or NONE */
};

struct qry_note_args qry_histogram_note_args(const struct qry_eval *ev, struct nx_labels labels)
{
    struct nx_view name = qry_metric_name(labels);
    return (struct qry_note_args){.named = qry_delayed_names(ev) && name.len > 0, .name = name};
}

static bool has_floats(const struct qry_row *row, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        if (qry_has_float(row, i))
            return true;
    }
    return false;
}

struct bucket_order {
    double bound;
    uint32_t row;
};

static int compare_bounds(const void *a, const void *b)
{
    const struct bucket_order *x = a;
    const struct bucket_order *y = b;
    if (x->bound < y->bound)
        return -1;
    if (x->bound > y->bound)
        return 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Reads the bounds; rows that are no buckets are put into `group` NONE. */
static enum nx_err read_bounds(struct qry_histogram_input *input, uint32_t *group)
{
    struct qry_eval *ev = input->scope->ev;

    for (size_t r = 0; r < input->vector.count; r++) {
        const struct qry_row *row = &input->vector.rows[r];
        group[r] = NONE;
        if (!has_floats(row, input->vector.steps))
            continue;
        struct nx_view le = nx_labels_get(row->labels, NX_LABEL_LE);
        if (!nx_float_parse(le, &input->bounds[r])) {
            struct qry_note_args args = qry_histogram_note_args(ev, row->labels);
            args.a = le;
            qry_annotations_add(&ev->notes, QRY_NOTE_BAD_BUCKET, input->pos, &args);
            continue;
        }
        enum nx_err err = qry_grouping_of(&input->grouping, row->labels, &group[r]);
        if (err || (err = qry_work(ev, 8)))
            return err;
    }
    return NX_OK;
}

/* Sorts the buckets of each group by bound. */
static enum nx_err sort_buckets(struct qry_histogram_input *input)
{
    struct nx_arena *arena = &input->pool->arena;
    size_t count = input->vector.count;
    struct bucket_order *order = nx_arena_array(arena, count + 1, sizeof *order);
    if (!order)
        return qry_no_memory(input->scope->ev);
    for (size_t g = 0; g < input->grouping.count; g++) {
        uint32_t *rows = input->members.rows + input->members.start[g];
        size_t n = input->members.start[g + 1] - input->members.start[g];
        for (size_t i = 0; i < n; i++)
            order[i] = (struct bucket_order){.bound = input->bounds[rows[i]], .row = rows[i]};
        if (n > 1)
            qsort(order, n, sizeof *order, compare_bounds);
        for (size_t i = 0; i < n; i++)
            rows[i] = order[i].row;
    }
    return NX_OK;
}

/* Groups rows; those of no group go to one more group behind the others. */
static enum nx_err group_buckets(struct qry_histogram_input *input)
{
    struct nx_arena *arena = &input->pool->arena;
    size_t count = input->vector.count;
    struct qry_eval *ev = input->scope->ev;

    input->members.group = nx_arena_array(arena, count + 1, sizeof *input->members.group);
    input->bounds = nx_arena_array(arena, count + 1, sizeof *input->bounds);
    input->buckets = nx_arena_array(arena, count + 1, sizeof *input->buckets);
    if (!input->members.group || !input->bounds || !input->buckets)
        return qry_no_memory(ev);
    enum nx_err err = read_bounds(input, input->members.group);
    if (err)
        return err;
    for (size_t r = 0; r < count; r++) {
        if (input->members.group[r] == NONE)
            input->members.group[r] = (uint32_t)input->grouping.count;
    }
    if ((err = qry_members_of(&input->members, ev, arena, count, input->grouping.count + 1)))
        return err;
    return sort_buckets(input);
}

static enum nx_err list_units(struct qry_histogram_input *input)
{
    size_t groups = input->grouping.count;
    size_t rows = input->vector.count;
    struct qry_histogram_unit *units =
        nx_arena_array(&input->pool->arena, groups + rows + 1, sizeof *units);
    if (!units)
        return qry_no_memory(input->scope->ev);
    for (size_t g = 0; g < groups; g++)
        units[g] = (struct qry_histogram_unit){.index = (uint32_t)g, .other = NONE};
    size_t count = groups;
    for (size_t r = 0; r < rows; r++) {
        if (!input->vector.rows[r].histograms)
            continue;
        uint32_t same = qry_grouping_find(&input->grouping, input->vector.rows[r].labels);
        units[count] =
            (struct qry_histogram_unit){.native = true, .index = (uint32_t)r, .other = same};
        if (same != NONE)
            units[same].other = (uint32_t)count;
        count++;
    }
    input->units = units;
    input->count = count;
    return NX_OK;
}

enum nx_err qry_histogram_input_init(struct qry_histogram_input *input,
                                     const struct qry_scope *scope, struct qry_expr *expr)
{
    struct qry_histogram_input in = {.scope = scope, .pos = expr->pos};
    enum nx_err err = qry_eval_expr(scope, expr, &in.vector);
    if (err)
        return err;
    if (!(in.pool = qry_pool_new(scope->ev)))
        err = qry_no_memory(scope->ev);
    if (err == NX_OK)
        err = qry_grouping_init_except(&in.grouping, scope->ev, NX_LABEL_LE);
    if (err == NX_OK)
        err = group_buckets(&in);
    if (err == NX_OK)
        err = list_units(&in);
    if (err) {
        qry_histogram_input_release(&in);
        return err;
    }
    *input = in;
    return NX_OK;
}

void qry_histogram_input_release(struct qry_histogram_input *input)
{
    if (!input->scope)
        return;
    qry_grouping_release(&input->grouping);
    qry_pool_free(input->scope->ev, input->pool);
    qry_matrix_release(&input->vector);
    memset(input, 0, sizeof *input);
}

static bool unit_present(const struct qry_histogram_input *input, uint32_t unit, size_t step)
{
    const struct qry_histogram_unit *u = &input->units[unit];
    if (u->native)
        return qry_histogram_at(&input->vector.rows[u->index], step) != NULL;
    for (uint32_t m = input->members.start[u->index]; m < input->members.start[u->index + 1]; m++) {
        if (qry_has_float(&input->vector.rows[input->members.rows[m]], step))
            return true;
    }
    return false;
}

static size_t collect_buckets(struct qry_histogram_input *input, uint32_t group, size_t step)
{
    size_t count = 0;
    for (uint32_t m = input->members.start[group]; m < input->members.start[group + 1]; m++) {
        uint32_t r = input->members.rows[m];
        if (qry_has_float(&input->vector.rows[r], step))
            input->buckets[count++] = (struct qry_classic_bucket){
                .le = input->bounds[r], .count = input->vector.rows[r].values[step]};
    }
    return count;
}

bool qry_histogram_input_at(struct qry_histogram_input *input, size_t unit, size_t step,
                            struct qry_histogram_view *out)
{
    const struct qry_histogram_unit *u = &input->units[unit];
    struct qry_eval *ev = input->scope->ev;

    if (!unit_present(input, (uint32_t)unit, step))
        return false;
    if (u->other != NONE && unit_present(input, u->other, step)) {
        struct qry_note_args args =
            qry_histogram_note_args(ev, qry_histogram_input_labels(input, unit));
        qry_annotations_add(&ev->notes, QRY_NOTE_MIXED_CLASSIC, input->pos, &args);
        return false;
    }
    *out = (struct qry_histogram_view){0};
    if (u->native) {
        out->native = qry_histogram_at(&input->vector.rows[u->index], step);
    } else {
        out->count = collect_buckets(input, u->index, step);
        out->buckets = input->buckets;
    }
    return true;
}

struct nx_labels qry_histogram_input_labels(const struct qry_histogram_input *input, size_t unit)
{
    const struct qry_histogram_unit *u = &input->units[unit];
    return u->native ? input->vector.rows[u->index].labels : input->grouping.groups[u->index];
}
