/* Arithmetic and comparison between vectors (reference section 4). One side is the "many" side and
 * lends the result its labels (one-to-one: the left), the other is the "one" side, of which a group
 * may have one sample a step. Keys are computed once a series; then the series of the many side are
 * taken one after the other, with all their steps, each step finding its partner through the column
 * of its group. A match that is not unique is remembered with its step: of several the error is
 * that of the first step, and at one step two samples on the one side come before all else. */
#include "querier/promql/binary.h"
#include "querier/promql/grouping.h"

#include <stdlib.h>

#define NONE UINT32_MAX

/* The one side of a group. */
struct one_side {
    uint32_t single;  /* its only row; NONE: see column */
    uint32_t *column; /* the row at each step, or NONE; NULL: single, or no row at all */
    uint8_t *matched; /* steps that found a partner; NULL: not needed */
};

/* Two rows of the one side with a sample at the same step; NONE: the many side is at fault. */
struct duplicate {
    uint32_t group, first, second;
};

struct match {
    const struct qry_scope *scope;
    const struct qry_expr *expr;
    const struct qry_matching *matching;
    struct qry_eval *ev;
    enum qry_op op;
    bool return_bool;
    bool swapped; /* group_right: many is the right side */
    bool one_to_one;
    struct qry_matrix *many, *one;
    struct qry_grouping grouping;
    struct qry_members many_members, one_members;
    struct qry_pool *pool;
    uint8_t *active; /* steps at which there is anything to do */
    size_t limit;    /* the first step whose match is not unique; all steps if there is none */
    struct duplicate duplicate;
    struct one_side *sides;
    struct qry_matrix out;
    struct nx_index rows; /* of `out`, by group and labels */
    uint32_t *row_group;
    uint8_t **row_used; /* many-to-one: steps with a result, kept or not; NULL: not needed */
    size_t row_capacity;
    struct qry_step_notes notes;
};

/* --- preparation --- */

static void mark_points(const struct qry_matrix *matrix, uint8_t *steps, uint8_t bit)
{
    for (size_t r = 0; r < matrix->count; r++) {
        for (size_t i = 0; i < matrix->steps; i++) {
            if (qry_has_point(&matrix->rows[r], i))
                steps[i] |= bit;
        }
    }
}

static enum nx_err find_active(struct match *m)
{
    bool fill = m->matching->has_fill_lhs || m->matching->has_fill_rhs;
    size_t steps = m->scope->steps;

    m->active = nx_arena_calloc(&m->pool->arena, steps, 1);
    if (!m->active)
        return qry_no_memory(m->ev);
    mark_points(m->many, m->active, 1);
    mark_points(m->one, m->active, 2);
    for (size_t i = 0; i < steps; i++)
        m->active[i] = fill ? m->active[i] != 0 : m->active[i] == 3;
    return NX_OK;
}

static enum nx_err duplicate_series(const struct match *m)
{
    struct nx_labels a = m->one->rows[m->duplicate.first].labels;
    struct nx_labels b = m->one->rows[m->duplicate.second].labels;
    struct nx_buf key, first, second;

    nx_buf_init(&key, 65536);
    nx_buf_init(&first, 65536);
    nx_buf_init(&second, 65536);
    qry_print_label_set(&key, m->grouping.groups[m->duplicate.group]);
    qry_print_label_set(&first, a);
    qry_print_label_set(&second, b);
    bool in_order = nx_view_cmp(nx_buf_view(&first), nx_buf_view(&second)) <= 0;
    const struct nx_buf *x = in_order ? &first : &second;
    const struct nx_buf *y = in_order ? &second : &first;
    enum nx_err err = qry_error(
        m->ev,
        "found duplicate series for the match group %.*s on the %s hand-side of the operation: "
        "[%.*s, %.*s];many-to-many matching not allowed: matching labels must be unique on one "
        "side",
        (int)key.len, key.data ? key.data : "", m->swapped ? "left" : "right", (int)x->len,
        x->data ? x->data : "", (int)y->len, y->data ? y->data : "");
    nx_buf_release(&key);
    nx_buf_release(&first);
    nx_buf_release(&second);
    return err;
}

static void note_duplicate(struct match *m, size_t step, struct duplicate found)
{
    if (step < m->limit || found.second < m->duplicate.second)
        m->duplicate = found;
    m->limit = step;
}

static enum nx_err fill_column(struct match *m, uint32_t group, uint32_t *column)
{
    const struct qry_members *members = &m->one_members;

    for (size_t i = 0; i < m->scope->steps; i++)
        column[i] = NONE;
    for (uint32_t n = members->start[group]; n < members->start[group + 1]; n++) {
        uint32_t r = members->rows[n];
        for (size_t i = 0; i < m->scope->steps && i <= m->limit; i++) {
            if (!m->active[i] || !qry_has_point(&m->one->rows[r], i))
                continue;
            if (column[i] == NONE)
                column[i] = r;
            else
                note_duplicate(m, i, (struct duplicate){group, column[i], r});
        }
    }
    return qry_work(m->ev, m->scope->steps);
}

static enum nx_err prepare_side(struct match *m, uint32_t group)
{
    struct nx_arena *arena = &m->pool->arena;
    struct one_side *side = &m->sides[group];
    uint32_t ones = m->one_members.start[group + 1] - m->one_members.start[group];
    uint32_t manys = m->many_members.start[group + 1] - m->many_members.start[group];
    size_t steps = m->scope->steps;

    *side = (struct one_side){.single = NONE};
    if ((m->one_to_one && manys > 1) || m->matching->has_fill_lhs) {
        side->matched = nx_arena_calloc(arena, steps, 1);
        if (!side->matched)
            return qry_no_memory(m->ev);
    }
    if (ones == 1)
        side->single = m->one_members.rows[m->one_members.start[group]];
    if (ones < 2)
        return NX_OK;
    side->column = nx_arena_array(arena, steps, sizeof *side->column);
    if (!side->column)
        return qry_no_memory(m->ev);
    return fill_column(m, group, side->column);
}

static enum nx_err prepare(struct match *m)
{
    struct nx_arena *arena;
    enum nx_err err = qry_grouping_init(&m->grouping, m->ev, m->matching->on, m->matching->labels,
                                        m->matching->label_count, (struct nx_view){NULL, 0});
    if (err)
        return err;
    if (!(m->pool = qry_pool_new(m->ev)))
        return qry_no_memory(m->ev);
    arena = &m->pool->arena;
    m->notes.arena = arena;
    if ((err = find_active(m)) ||
        (err = qry_group_rows(&m->grouping, m->many, arena, &m->many_members)) ||
        (err = qry_group_rows(&m->grouping, m->one, arena, &m->one_members)) ||
        (err = qry_members_of(&m->many_members, m->ev, arena, m->many->count, m->grouping.count)) ||
        (err = qry_members_of(&m->one_members, m->ev, arena, m->one->count, m->grouping.count)))
        return err;
    m->sides = nx_arena_array(arena, m->grouping.count + 1, sizeof *m->sides);
    if (!m->sides)
        return qry_no_memory(m->ev);
    for (uint32_t g = 0; g < m->grouping.count && err == NX_OK; g++)
        err = prepare_side(m, g);
    return err;
}

/* --- result rows --- */

static enum nx_err result_labels(const struct match *m, struct nx_labels many, struct nx_labels one,
                                 struct nx_labels *out)
{
    struct nx_labels_builder builder;
    struct nx_labels labels = many;
    enum nx_err err;

    if (qry_op_changes_metric(m->op) && (err = qry_labels_without_metadata(m->ev, many, &labels)))
        return err;
    nx_labels_builder_init(&builder, &m->ev->names->arena, labels);
    for (size_t i = 0; m->one_to_one && i < labels.count; i++) {
        bool listed = false;
        for (size_t j = 0; j < m->matching->label_count && !listed; j++)
            listed = nx_view_eq(m->matching->labels[j], labels.items[i].name);
        if (listed != m->matching->on)
            nx_labels_builder_del(&builder, labels.items[i].name);
    }
    for (size_t j = 0; j < m->matching->include_count; j++) {
        struct nx_view name = m->matching->include[j];
        nx_labels_builder_set(&builder, name, nx_labels_get(one, name));
    }
    if (nx_labels_builder_take(&builder, out))
        return qry_no_memory(m->ev);
    if (m->return_bool && !qry_delayed_names(m->ev))
        return qry_labels_without_metadata(m->ev, *out, out);
    return NX_OK;
}

struct row_key {
    struct nx_labels labels;
    uint32_t group;
};

static bool row_eq(uint32_t ref, const void *key, const void *user)
{
    const struct match *m = user;
    const struct row_key *want = key;
    return m->row_group[ref] == want->group && nx_labels_eq(m->out.rows[ref].labels, want->labels);
}

static enum nx_err grow_row_data(struct match *m)
{
    struct nx_arena *arena = &m->pool->arena;
    size_t capacity = m->row_capacity;
    if (!nx_arena_grow(arena, &m->row_group, m->out.count, &capacity, m->out.count + 1,
                       sizeof *m->row_group))
        return qry_no_memory(m->ev);
    if (!nx_arena_grow(arena, &m->row_used, m->out.count, &m->row_capacity, m->out.count + 1,
                       sizeof *m->row_used))
        return qry_no_memory(m->ev);
    return NX_OK;
}

/* The result row for a pair of label sets; made where there is none. */
static enum nx_err result_row(struct match *m, uint32_t group, struct nx_labels many,
                              struct nx_labels one, uint32_t *at)
{
    struct row_key key = {.group = group};
    struct qry_row *row;
    enum nx_err err = result_labels(m, many, one, &key.labels);
    if (err)
        return err;
    uint64_t hash = nx_labels_hash(key.labels) ^ (group * UINT64_C(0x9e3779b97f4a7c15));
    *at = nx_index_find(&m->rows, hash, row_eq, &key, m);
    if (*at != NX_INDEX_NONE)
        return NX_OK;
    if ((err = grow_row_data(m)))
        return err;
    *at = (uint32_t)m->out.count;
    if ((err = qry_matrix_add(&m->out, key.labels, m->return_bool, &row)))
        return err;
    m->row_group[*at] = group;
    m->row_used[*at] = NULL;
    bool several = m->many_members.start[group + 1] - m->many_members.start[group] > 1 ||
                   m->matching->has_fill_lhs;
    if (!m->one_to_one && several) {
        m->row_used[*at] = nx_arena_calloc(&m->pool->arena, m->scope->steps, 1);
        if (!m->row_used[*at])
            return qry_no_memory(m->ev);
    }
    return nx_index_insert(&m->rows, hash, *at) ? qry_no_memory(m->ev) : NX_OK;
}

/* --- pairs --- */

/* One partner of a pair. */
struct party {
    struct nx_labels labels;
    struct qry_element element;
    uint32_t row; /* NONE: made up to fill in */
};

/* The result row of the pair before, which most pairs share. */
struct row_cache {
    uint32_t one;
    uint32_t row;
    bool set;
};

/* Whether the step is free; where it is not, the match is not unique there. */
static bool claim_step(struct match *m, uint32_t group, uint32_t row, size_t step)
{
    uint8_t *matched = m->sides[group].matched;
    uint8_t *used = m->row_used[row];

    if (m->one_to_one ? matched && matched[step] : used && used[step]) {
        m->limit = step;
        m->duplicate.first = NONE;
        return false;
    }
    if (!m->one_to_one && used)
        used[step] = 1;
    if (matched)
        matched[step] = 1;
    return true;
}

static enum nx_err not_unique(const struct match *m)
{
    if (m->duplicate.first != NONE)
        return duplicate_series(m);
    if (m->one_to_one)
        return qry_error(m->ev, "multiple matches for labels: many-to-one matching must be "
                                "explicit (group_left/group_right)");
    return qry_error(m->ev, "multiple matches for labels: grouping labels must ensure unique "
                            "matches");
}

static enum nx_err put_element(struct match *m, uint32_t row, size_t step,
                               const struct qry_outcome *outcome)
{
    if (m->return_bool)
        m->out.rows[row].values[step] = outcome->keep ? 1 : 0;
    else if (outcome->element.histogram)
        return qry_row_put_histogram(&m->out, &m->out.rows[row], step, outcome->element.histogram);
    else
        m->out.rows[row].values[step] = outcome->element.value;
    return NX_OK;
}

static enum nx_err do_pair(struct match *m, uint32_t group, size_t step, const struct party *many,
                           const struct party *one, struct row_cache *cache)
{
    struct qry_outcome outcome;
    enum nx_err err = qry_apply_elements(m->ev, &m->out.pool->arena, m->op,
                                         m->swapped ? one->element : many->element,
                                         m->swapped ? many->element : one->element, &outcome);
    if (err || (err = qry_step_note(&m->notes, step, &outcome)))
        return err;
    if (outcome.dropped)
        return NX_OK;
    if (outcome.element.histogram && (err = qry_work(m->ev, QRY_HISTOGRAM_WORK)))
        return err;
    bool same = cache->set && (m->matching->include_count == 0 || cache->one == one->row);
    if (!same) {
        if ((err = result_row(m, group, many->labels, one->labels, &cache->row)))
            return err;
        cache->one = one->row;
        cache->set = true;
    }
    if (!claim_step(m, group, cache->row, step) || (!outcome.keep && !m->return_bool))
        return NX_OK;
    return put_element(m, cache->row, step, &outcome);
}

static struct party party_of(const struct qry_matrix *matrix, uint32_t row, size_t step)
{
    const struct qry_row *r = &matrix->rows[row];
    return (struct party){
        .labels = r->labels,
        .element = {.value = r->values[step], .histogram = qry_histogram_at(r, step)},
        .row = row,
    };
}

static struct party filler(const struct match *m, uint32_t group, double value)
{
    return (struct party){
        .labels = m->grouping.groups[group], .element = {.value = value}, .row = NONE};
}

static uint32_t partner(const struct match *m, uint32_t group, size_t step)
{
    const struct one_side *side = &m->sides[group];
    if (side->column)
        return side->column[step];
    if (side->single == NONE || !qry_has_point(&m->one->rows[side->single], step))
        return NONE;
    return side->single;
}

static enum nx_err match_row(struct match *m, uint32_t row)
{
    uint32_t group = m->many_members.group[row];
    struct row_cache cache = {0};
    enum nx_err err = qry_work(m->ev, m->scope->steps);

    for (size_t i = 0; i < m->limit && err == NX_OK; i++) {
        if (!m->active[i] || !qry_has_point(&m->many->rows[row], i))
            continue;
        struct party many = party_of(m->many, row, i);
        uint32_t at = partner(m, group, i);
        if (at == NONE && !m->matching->has_fill_rhs)
            continue;
        struct party one =
            at == NONE ? filler(m, group, m->matching->fill_rhs) : party_of(m->one, at, i);
        err = do_pair(m, group, i, &many, &one, &cache);
    }
    return err;
}

/* Samples of the one side that found no partner get one. */
static enum nx_err fill_unmatched(struct match *m, uint32_t row)
{
    uint32_t group = m->one_members.group[row];
    struct row_cache cache = {0};
    struct party many = filler(m, group, m->matching->fill_lhs);
    enum nx_err err = qry_work(m->ev, m->scope->steps);

    for (size_t i = 0; i < m->limit && err == NX_OK; i++) {
        if (!m->active[i] || m->sides[group].matched[i] || !qry_has_point(&m->one->rows[row], i))
            continue;
        struct party one = party_of(m->one, row, i);
        err = do_pair(m, group, i, &many, &one, &cache);
    }
    return err;
}

static enum nx_err match_all(struct match *m)
{
    enum nx_err err = prepare(m);
    if (err || (err = qry_matrix_init(&m->out, m->ev, m->scope->steps)))
        return err;
    for (uint32_t r = 0; r < m->many->count && err == NX_OK; r++)
        err = match_row(m, r);
    for (uint32_t r = 0; m->matching->has_fill_lhs && r < m->one->count && err == NX_OK; r++)
        err = fill_unmatched(m, r);
    if (err == NX_OK && m->limit < m->scope->steps)
        err = not_unique(m);
    if (err)
        return err;
    /* the order of filled in rows depends on when each began */
    if (m->matching->has_fill_lhs)
        qry_matrix_sort(&m->out);
    qry_step_notes_record(&m->notes);
    return qry_matrix_check(m->scope, &m->out);
}

enum nx_err qry_match_vectors(const struct qry_scope *scope, const struct qry_expr *expr,
                              struct qry_matrix *lhs, struct qry_matrix *rhs,
                              struct qry_matrix *out)
{
    const struct qry_binary *node = &expr->binary;
    bool swapped = node->matching->card == QRY_CARD_ONE_TO_MANY;
    struct match m = {
        .scope = scope,
        .expr = expr,
        .matching = node->matching,
        .ev = scope->ev,
        .op = node->op,
        .return_bool = node->return_bool,
        .swapped = swapped,
        .one_to_one = node->matching->card == QRY_CARD_ONE_TO_ONE,
        .many = swapped ? rhs : lhs,
        .one = swapped ? lhs : rhs,
        .limit = scope->steps,
        .notes = {.ev = scope->ev, .pos = expr->pos, .steps = scope->steps},
    };
    nx_index_init(&m.rows);
    enum nx_err err = match_all(&m);
    nx_index_release(&m.rows);
    qry_grouping_release(&m.grouping);
    qry_pool_free(m.ev, m.pool);
    if (err) {
        qry_matrix_release(&m.out);
        return err;
    }
    if (qry_matrix_has_histograms(&m.out)) {
        qry_matrix_adopt(&m.out, lhs);
        qry_matrix_adopt(&m.out, rhs);
    }
    *out = m.out;
    return NX_OK;
}
