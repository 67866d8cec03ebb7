/* The value of a node: rows of cells in arenas of the matrix's own. A row that turns out empty
 * leaves its cells behind for the next one (`spare`), so that functions can fill a row before they
 * know whether it stays. */
#include "querier/promql/eval.h"

#include <stdlib.h>

#include "common/base/alloc.h"

enum nx_err qry_matrix_init(struct qry_matrix *matrix, struct qry_eval *ev, size_t steps)
{
    struct qry_pool *pool = qry_pool_new(ev);
    if (!pool)
        return qry_no_memory(ev);
    *matrix = (struct qry_matrix){.ev = ev, .pool = pool, .steps = steps};
    return NX_OK;
}

void qry_matrix_release(struct qry_matrix *matrix)
{
    if (!matrix->ev)
        return;
    qry_drop_samples(matrix->ev, matrix->samples);
    qry_pool_free(matrix->ev, matrix->pool);
    memset(matrix, 0, sizeof *matrix);
}

static enum nx_err grow_rows(struct qry_matrix *matrix)
{
    if (!nx_arena_grow(&matrix->pool->arena, &matrix->rows, matrix->count, &matrix->capacity,
                       matrix->count + 1, sizeof *matrix->rows))
        return qry_no_memory(matrix->ev);
    return NX_OK;
}

static void clear_cells(double *values, size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        values[i] = QRY_ABSENT;
}

enum nx_err qry_matrix_add(struct qry_matrix *matrix, struct nx_labels labels, bool drop_name,
                           struct qry_row **row)
{
    enum nx_err err = qry_work(matrix->ev, matrix->steps);
    if (err)
        return err;
    if ((err = grow_rows(matrix)))
        return err;
    double *values = matrix->spare;
    matrix->spare = NULL;
    if (!values)
        values = nx_arena_array(&matrix->pool->arena, matrix->steps, sizeof *values);
    if (!values)
        return qry_no_memory(matrix->ev);
    clear_cells(values, matrix->steps);
    *row = &matrix->rows[matrix->count++];
    **row = (struct qry_row){.labels = labels, .values = values, .drop_name = drop_name};
    return NX_OK;
}

void qry_matrix_drop_last_if_empty(struct qry_matrix *matrix)
{
    struct qry_row *row = &matrix->rows[matrix->count - 1];
    for (size_t i = 0; i < matrix->steps; i++) {
        if (qry_has_point(row, i))
            return;
    }
    matrix->spare = row->values;
    matrix->count--;
}

enum nx_err qry_matrix_share(struct qry_matrix *matrix, const struct qry_row *row)
{
    enum nx_err err = grow_rows(matrix);
    if (err)
        return err;
    matrix->rows[matrix->count++] = *row;
    return NX_OK;
}

enum nx_err qry_row_put_histogram(struct qry_matrix *matrix, struct qry_row *row, size_t i,
                                  const struct nx_histogram *histogram)
{
    if (!row->histograms) {
        row->histograms =
            nx_arena_calloc(&matrix->pool->arena, matrix->steps, sizeof *row->histograms);
        if (!row->histograms)
            return qry_no_memory(matrix->ev);
    }
    row->values[i] = QRY_ABSENT;
    row->histograms[i] = histogram;
    return NX_OK;
}

void qry_matrix_adopt(struct qry_matrix *matrix, struct qry_matrix *from)
{
    struct qry_pool *last = from->pool;
    while (last->adopted)
        last = last->adopted;
    last->adopted = matrix->pool->adopted;
    matrix->pool->adopted = from->pool;
    matrix->samples += from->samples;
    memset(from, 0, sizeof *from);
}

bool qry_matrix_has_histograms(const struct qry_matrix *matrix)
{
    for (size_t i = 0; i < matrix->count; i++) {
        if (matrix->rows[i].histograms)
            return true;
    }
    return false;
}

void qry_matrix_floats_only(struct qry_matrix *matrix)
{
    for (size_t i = 0; i < matrix->count; i++)
        matrix->rows[i].histograms = NULL;
}

/* The samples a row holds, in Prometheus's measure; 0: no point. */
static uint64_t row_samples(const struct qry_matrix *matrix, const struct qry_row *row)
{
    uint64_t samples = 0;
    for (size_t i = 0; i < matrix->steps; i++)
        samples += qry_has_float(row, i);
    if (row->histograms) {
        for (size_t i = 0; i < matrix->steps; i++) {
            if (row->histograms[i])
                samples += qry_histogram_samples(row->histograms[i]);
        }
    }
    return samples;
}

enum nx_err qry_matrix_settle(struct qry_matrix *matrix)
{
    uint64_t samples = 0;
    size_t kept = 0;

    for (size_t i = 0; i < matrix->count; i++) {
        uint64_t held = row_samples(matrix, &matrix->rows[i]);
        if (held == 0)
            continue;
        samples += held;
        matrix->rows[kept++] = matrix->rows[i];
    }
    matrix->count = kept;
    qry_drop_samples(matrix->ev, matrix->samples);
    matrix->samples = samples;
    return qry_hold_samples(matrix->ev, samples);
}

enum nx_err qry_duplicate_error(struct qry_eval *ev)
{
    return qry_error(ev, "vector cannot contain metrics with the same labelset");
}

static bool row_eq(uint32_t ref, const void *key, const void *user)
{
    const struct qry_matrix *matrix = user;
    return nx_labels_eq(matrix->rows[ref].labels, *(const struct nx_labels *)key);
}

/* Moves the points of `from` into `into`; the error where both have one at a step. */
static enum nx_err merge_rows(struct qry_matrix *matrix, struct qry_row *into,
                              const struct qry_row *from)
{
    bool first_seen = false;

    for (size_t i = 0; i < matrix->steps; i++) {
        bool mine = qry_has_point(into, i);
        if (!qry_has_point(from, i)) {
            first_seen = first_seen || mine;
            continue;
        }
        if (mine)
            return qry_duplicate_error(matrix->ev);
        if (!first_seen)
            into->drop_name = from->drop_name;
        first_seen = true;
        const struct nx_histogram *h = qry_histogram_at(from, i);
        if (h) {
            enum nx_err err = qry_row_put_histogram(matrix, into, i, h);
            if (err)
                return err;
        } else {
            into->values[i] = from->values[i];
        }
    }
    return NX_OK;
}

static enum nx_err merge_equal(struct qry_matrix *matrix, bool allow)
{
    struct nx_index index;
    size_t kept = 0;
    enum nx_err err = NX_OK;

    if (matrix->count < 2)
        return NX_OK;
    nx_index_init(&index);
    for (size_t i = 0; i < matrix->count; i++) {
        struct qry_row *row = &matrix->rows[i];
        uint64_t hash = nx_labels_hash(row->labels);
        uint32_t at = nx_index_find(&index, hash, row_eq, &row->labels, matrix);
        if (at != NX_INDEX_NONE) {
            if ((err = allow ? merge_rows(matrix, &matrix->rows[at], row)
                             : qry_duplicate_error(matrix->ev)))
                goto done;
            continue;
        }
        matrix->rows[kept] = *row;
        if (nx_index_insert(&index, hash, (uint32_t)kept)) {
            err = qry_no_memory(matrix->ev);
            goto done;
        }
        kept++;
        if ((err = qry_work(matrix->ev, 4)))
            goto done;
    }
    matrix->count = kept;
done:
    nx_index_release(&index);
    return err;
}

enum nx_err qry_matrix_merge(struct qry_matrix *matrix)
{
    return merge_equal(matrix, true);
}

enum nx_err qry_matrix_check(const struct qry_scope *scope, struct qry_matrix *matrix)
{
    if (scope->start == scope->end && qry_delayed_names(scope->ev))
        return NX_OK;
    return qry_matrix_merge(matrix);
}

enum nx_err qry_matrix_require_unique(struct qry_matrix *matrix)
{
    return merge_equal(matrix, false);
}

static int compare_rows(const void *a, const void *b)
{
    return nx_labels_cmp(((const struct qry_row *)a)->labels, ((const struct qry_row *)b)->labels);
}

void qry_matrix_sort(struct qry_matrix *matrix)
{
    if (matrix->count > 1)
        qsort(matrix->rows, matrix->count, sizeof *matrix->rows, compare_rows);
}
