/* and, or, unless: an element stays or goes by whether its match key occurs on the other side at
 * the step. The rows are filtered where they are. */
#include "querier/promql/binary.h"
#include "querier/promql/grouping.h"

struct sets {
    struct qry_eval *ev;
    size_t steps;
    struct qry_grouping grouping;
    struct qry_pool *pool;
    struct qry_members lhs, rhs;
    uint8_t *present; /* of the group being worked on, by step */
};

/* Marks the steps at which a row of the group has a point. */
static void mark_present(struct sets *s, const struct qry_matrix *matrix,
                         const struct qry_members *members, size_t group)
{
    memset(s->present, 0, s->steps);
    for (uint32_t m = members->start[group]; m < members->start[group + 1]; m++) {
        const struct qry_row *row = &matrix->rows[members->rows[m]];
        for (size_t i = 0; i < s->steps; i++)
            s->present[i] |= qry_has_point(row, i);
    }
}

/* Strikes the group's cells at steps where the other side's presence is not `wanted`. */
static void filter_group(const struct sets *s, struct qry_matrix *matrix,
                         const struct qry_members *members, size_t group, bool wanted)
{
    for (uint32_t m = members->start[group]; m < members->start[group + 1]; m++) {
        struct qry_row *row = &matrix->rows[members->rows[m]];
        for (size_t i = 0; i < s->steps; i++) {
            if ((s->present[i] != 0) == wanted)
                continue;
            row->values[i] = QRY_ABSENT;
            if (row->histograms)
                row->histograms[i] = NULL;
        }
    }
}

static enum nx_err prepare(struct sets *s, const struct qry_matching *matching,
                           const struct qry_matrix *lhs, const struct qry_matrix *rhs)
{
    enum nx_err err = qry_grouping_init(&s->grouping, s->ev, matching->on, matching->labels,
                                        matching->label_count, (struct nx_view){NULL, 0});
    if (err)
        return err;
    if (!(s->pool = qry_pool_new(s->ev)))
        return qry_no_memory(s->ev);
    struct nx_arena *arena = &s->pool->arena;
    s->present = nx_arena_array(arena, s->steps, 1);
    if (!s->present)
        return qry_no_memory(s->ev);
    if ((err = qry_group_rows(&s->grouping, lhs, arena, &s->lhs)) ||
        (err = qry_group_rows(&s->grouping, rhs, arena, &s->rhs)) ||
        (err = qry_members_of(&s->lhs, s->ev, arena, lhs->count, s->grouping.count)))
        return err;
    return qry_members_of(&s->rhs, s->ev, arena, rhs->count, s->grouping.count);
}

static enum nx_err filter(struct sets *s, enum qry_op op, struct qry_matrix *lhs,
                          struct qry_matrix *rhs)
{
    enum nx_err err = NX_OK;
    for (size_t g = 0; g < s->grouping.count && err == NX_OK; g++) {
        if (op == QRY_OP_OR) {
            mark_present(s, lhs, &s->lhs, g);
            filter_group(s, rhs, &s->rhs, g, false);
        } else {
            mark_present(s, rhs, &s->rhs, g);
            filter_group(s, lhs, &s->lhs, g, op == QRY_OP_AND);
        }
        err = qry_work(s->ev, s->steps);
    }
    return err;
}

static enum nx_err append_rows(const struct qry_scope *scope, struct qry_matrix *lhs,
                               struct qry_matrix *rhs)
{
    for (size_t r = 0; r < rhs->count; r++) {
        enum nx_err err = qry_matrix_share(lhs, &rhs->rows[r]);
        if (err)
            return err;
    }
    qry_matrix_adopt(lhs, rhs);
    return qry_matrix_check(scope, lhs);
}

enum nx_err qry_combine_sets(const struct qry_scope *scope, const struct qry_expr *expr,
                             struct qry_matrix *lhs, struct qry_matrix *rhs, struct qry_matrix *out)
{
    struct sets s = {.ev = scope->ev, .steps = scope->steps};
    enum nx_err err = prepare(&s, expr->binary.matching, lhs, rhs);
    if (err == NX_OK)
        err = filter(&s, expr->binary.op, lhs, rhs);
    if (err == NX_OK && expr->binary.op == QRY_OP_OR) {
        if ((err = qry_matrix_settle(rhs)) == NX_OK)
            err = append_rows(scope, lhs, rhs);
    }
    qry_grouping_release(&s.grouping);
    qry_pool_free(s.ev, s.pool);
    if (err)
        return err;
    *out = *lhs;
    memset(lhs, 0, sizeof *lhs);
    return NX_OK;
}
