/* info(): series get the labels of the info series that describe the same instance and job
 * (reference section 15). Info series are grouped by name and target; each group has at each step
 * one series that counts, the one with the newest sample. A base series then walks its steps and
 * begins a new result row whenever the series that count change. */
#include <math.h>

#include "querier/promql/functions.h"
#include "querier/promql/grouping.h"

#define NONE UINT32_MAX

struct info_call {
    const struct qry_scope *scope;
    struct qry_eval *ev;
    struct qry_pool *pool;
    struct qry_expr selector;
    size_t name_matchers; /* of the selector's, in front */
    struct qry_matrix base, info;
    struct qry_grouping targets; /* by instance and job */
    struct qry_grouping metrics; /* by name, instance and job */
    struct qry_members info_targets, info_metrics;
    uint32_t *base_target; /* group of each base series; NONE: passes through */
    uint32_t *
        *newest; /* of each metric group: the row that counts at each step; NULL: it has one row */
    uint32_t *chosen, *previous; /* of the metric groups of a target, room for all */
    struct qry_matrix out;
};

static const struct nx_matcher *data_matchers(const struct info_call *c, size_t *count)
{
    *count = c->selector.selector.matcher_count - c->name_matchers;
    return c->selector.selector.matchers + c->name_matchers;
}

/* --- which series take part --- */

static bool is_info_series(const struct info_call *c, struct nx_labels labels)
{
    struct nx_view name = qry_metric_name(labels);
    for (size_t i = 0; i < c->name_matchers; i++) {
        if (!nx_matcher_matches(&c->selector.selector.matchers[i], name))
            return false;
    }
    return true;
}

static enum nx_err group_base(struct info_call *c, bool seen[2])
{
    static const struct nx_view names[2] = {{"instance", 8}, {"job", 3}};

    c->base_target = nx_arena_array(&c->pool->arena, c->base.count + 1, sizeof *c->base_target);
    if (!c->base_target)
        return qry_no_memory(c->ev);
    for (size_t r = 0; r < c->base.count; r++) {
        struct nx_labels labels = c->base.rows[r].labels;
        c->base_target[r] = NONE;
        if (is_info_series(c, labels))
            continue;
        for (size_t i = 0; i < 2; i++)
            seen[i] = seen[i] || nx_labels_has(labels, names[i]);
        enum nx_err err = qry_grouping_of(&c->targets, labels, &c->base_target[r]);
        if (err)
            return err;
    }
    return NX_OK;
}

/* Leaves out info series that cannot be those of any base series. */
static void filter_info(struct info_call *c, const bool seen[2])
{
    size_t kept = 0;
    for (size_t r = 0; r < c->info.count; r++) {
        struct nx_labels labels = c->info.rows[r].labels;
        bool instance = nx_labels_has(labels, NX_VIEW("instance"));
        bool job = nx_labels_has(labels, NX_VIEW("job"));
        if ((!seen[0] && !seen[1]) || (seen[0] && !instance) || (seen[1] && !job))
            continue;
        c->info.rows[kept++] = c->info.rows[r];
    }
    c->info.count = kept;
}

/* --- the info series that counts --- */

static int64_t sample_time(const struct qry_row *row, size_t step)
{
    return (int64_t)llround(row->values[step] * 1000);
}

static enum nx_err same_time(struct info_call *c, uint32_t existing, uint32_t added, int64_t t)
{
    struct nx_buf a, b;
    nx_buf_init(&a, 65536);
    nx_buf_init(&b, 65536);
    qry_print_label_set(&a, c->info.rows[existing].labels);
    qry_print_label_set(&b, c->info.rows[added].labels);
    enum nx_err err = qry_error(
        c->ev, "found duplicate series for info metric: existing %.*s @ %lld, new %.*s @ %lld",
        (int)a.len, a.data ? a.data : "", (long long)t, (int)b.len, b.data ? b.data : "",
        (long long)t);
    nx_buf_release(&a);
    nx_buf_release(&b);
    return err;
}

static enum nx_err find_newest(struct info_call *c, size_t group)
{
    const struct qry_members *members = &c->info_metrics;
    uint32_t first = members->start[group];
    uint32_t last = members->start[group + 1];
    uint32_t *column;

    c->newest[group] = NULL;
    if (last - first < 2)
        return NX_OK;
    column = nx_arena_array(&c->pool->arena, c->scope->steps, sizeof *column);
    if (!column)
        return qry_no_memory(c->ev);
    for (size_t i = 0; i < c->scope->steps; i++)
        column[i] = NONE;
    for (uint32_t m = first; m < last; m++) {
        uint32_t r = members->rows[m];
        for (size_t i = 0; i < c->scope->steps; i++) {
            if (!qry_has_float(&c->info.rows[r], i))
                continue;
            int64_t t = sample_time(&c->info.rows[r], i);
            int64_t other = column[i] == NONE ? t - 1 : sample_time(&c->info.rows[column[i]], i);
            if (other == t)
                return same_time(c, column[i], r, t);
            if (other < t)
                column[i] = r;
        }
    }
    c->newest[group] = column;
    return qry_work(c->ev, c->scope->steps);
}

static uint32_t newest_at(const struct info_call *c, uint32_t group, size_t step)
{
    if (c->newest[group])
        return c->newest[group][step];
    uint32_t row = c->info_metrics.rows[c->info_metrics.start[group]];
    return qry_has_float(&c->info.rows[row], step) ? row : NONE;
}

static enum nx_err group_info(struct info_call *c)
{
    struct nx_arena *arena = &c->pool->arena;
    enum nx_err err;

    if ((err = qry_group_rows(&c->targets, &c->info, arena, &c->info_targets)) ||
        (err = qry_group_rows(&c->metrics, &c->info, arena, &c->info_metrics)) ||
        (err = qry_members_of(&c->info_targets, c->ev, arena, c->info.count, c->targets.count)) ||
        (err = qry_members_of(&c->info_metrics, c->ev, arena, c->info.count, c->metrics.count)))
        return err;
    c->newest = nx_arena_array(arena, c->metrics.count + 1, sizeof *c->newest);
    c->chosen = nx_arena_array(arena, c->info.count + 1, sizeof *c->chosen);
    c->previous = nx_arena_array(arena, c->info.count + 1, sizeof *c->previous);
    if (!c->newest || !c->chosen || !c->previous)
        return qry_no_memory(c->ev);
    for (size_t g = 0; g < c->metrics.count && err == NX_OK; g++)
        err = find_newest(c, g);
    return err;
}

/* --- result rows --- */

/* The series of the target that count at a step, into c->chosen; returns their number. */
static size_t choose(struct info_call *c, uint32_t target, size_t step)
{
    size_t count = 0;
    for (uint32_t m = c->info_targets.start[target]; m < c->info_targets.start[target + 1]; m++) {
        uint32_t row = c->info_targets.rows[m];
        if (newest_at(c, c->info_metrics.group[row], step) == row)
            c->chosen[count++] = row;
    }
    return count;
}

static bool wanted_label(const struct info_call *c, struct nx_view name)
{
    size_t count;
    const struct nx_matcher *matchers = data_matchers(c, &count);

    if (nx_view_eq(name, NX_LABEL_METRIC_NAME))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (nx_view_eq(matchers[i].name, name))
            return true;
    }
    return count == 0;
}

static enum nx_err add_labels(struct info_call *c, struct nx_labels_builder *builder,
                              struct nx_labels base, size_t chosen)
{
    for (size_t n = 0; n < chosen; n++) {
        struct nx_labels labels = c->info.rows[c->chosen[n]].labels;
        for (size_t i = 0; i < labels.count; i++) {
            const struct nx_label *label = &labels.items[i];
            if (!wanted_label(c, label->name) || nx_labels_has(base, label->name))
                continue;
            for (size_t j = 0; j < n; j++) {
                struct nx_view other =
                    nx_labels_get(c->info.rows[c->chosen[j]].labels, label->name);
                if (other.len > 0 && !nx_view_eq(other, label->value))
                    return qry_error(c->ev, "conflicting label: %.*s", NX_VIEW_ARG(label->name));
            }
            nx_labels_builder_set(builder, label->name, label->value);
        }
    }
    return NX_OK;
}

/* Whether a series without info stays: no matcher asks for a label that it then lacks. */
static bool stays_without_info(const struct info_call *c)
{
    size_t count;
    const struct nx_matcher *matchers = data_matchers(c, &count);
    for (size_t i = 0; i < count; i++) {
        if (!nx_matcher_matches_empty(&matchers[i]))
            return false;
    }
    return true;
}

static enum nx_err begin_row(struct info_call *c, const struct qry_row *base, size_t chosen,
                             size_t *at)
{
    struct nx_labels_builder builder;
    struct nx_labels labels;
    struct qry_row *row;

    nx_labels_builder_init(&builder, &c->ev->names->arena, base->labels);
    enum nx_err err = add_labels(c, &builder, base->labels, chosen);
    if (err)
        return err;
    if (nx_labels_builder_take(&builder, &labels))
        return qry_no_memory(c->ev);
    *at = c->out.count;
    return qry_matrix_add(&c->out, labels, base->drop_name, &row);
}

static enum nx_err copy_cell(struct info_call *c, const struct qry_row *from, size_t at, size_t i)
{
    struct qry_row *row = &c->out.rows[at];
    const struct nx_histogram *h = qry_histogram_at(from, i);
    if (h)
        return qry_row_put_histogram(&c->out, row, i, h);
    row->values[i] = from->values[i];
    return NX_OK;
}

static enum nx_err enrich(struct info_call *c, const struct qry_row *base, uint32_t target)
{
    bool stays = stays_without_info(c);
    size_t at = SIZE_MAX;
    size_t previous = 0;
    enum nx_err err = NX_OK;

    for (size_t i = 0; i < c->scope->steps && err == NX_OK; i++) {
        if (!qry_has_point(base, i))
            continue;
        size_t chosen = choose(c, target, i);
        if (chosen == 0 && !stays)
            continue;
        bool same =
            at != SIZE_MAX && chosen == previous &&
            (chosen == 0 || memcmp(c->chosen, c->previous, chosen * sizeof *c->chosen) == 0);
        if (!same && (err = begin_row(c, base, chosen, &at)))
            return err;
        if (chosen > 0)
            memcpy(c->previous, c->chosen, chosen * sizeof *c->chosen);
        previous = chosen;
        if ((err = copy_cell(c, base, at, i)) == NX_OK)
            err = qry_work(c->ev, chosen + 1);
    }
    return err;
}

static enum nx_err combine(struct info_call *c)
{
    enum nx_err err = qry_matrix_init(&c->out, c->ev, c->scope->steps);
    for (size_t r = 0; r < c->base.count && err == NX_OK; r++) {
        const struct qry_row *base = &c->base.rows[r];
        if (c->base_target[r] == NONE)
            err = qry_matrix_share(&c->out, base);
        else
            err = enrich(c, base, c->base_target[r]);
    }
    if (err)
        return err;
    qry_matrix_adopt(&c->out, &c->base);
    return qry_matrix_check(c->scope, &c->out);
}

static enum nx_err prepare(struct info_call *c, const struct qry_expr *expr)
{
    static const struct nx_view names[] = {{"__name__", 8}, {"instance", 8}, {"job", 3}};
    const struct nx_view none = {NULL, 0};
    bool seen[2] = {false, false};

    if (!(c->pool = qry_pool_new(c->ev)))
        return qry_no_memory(c->ev);
    enum nx_err err = qry_info_selector(&c->ev->names->arena, c->ev->query, expr, &c->selector,
                                        &c->name_matchers);
    if (err)
        return qry_no_memory(c->ev);
    if ((err = qry_grouping_init(&c->targets, c->ev, true, names + 1, 2, none)) ||
        (err = qry_grouping_init(&c->metrics, c->ev, true, names, 3, none)) ||
        (err = group_base(c, seen)))
        return err;
    if ((err = qry_eval_selector(c->scope, &c->selector, QRY_PICK_INFO_TIME, &c->info)))
        return err;
    if ((err = qry_matrix_settle(&c->info)))
        return err;
    filter_info(c, seen);
    return group_info(c);
}

enum nx_err qry_fn_info(const struct qry_scope *scope, struct qry_expr *expr,
                        struct qry_matrix *out)
{
    struct info_call c = {.scope = scope, .ev = scope->ev};
    enum nx_err err = qry_eval_expr(scope, expr->call.args[0], &c.base);

    if (err == NX_OK)
        err = prepare(&c, expr);
    if (err == NX_OK)
        err = combine(&c);
    qry_grouping_release(&c.targets);
    qry_grouping_release(&c.metrics);
    qry_pool_free(c.ev, c.pool);
    qry_matrix_release(&c.base);
    qry_matrix_release(&c.info);
    if (err) {
        qry_matrix_release(&c.out);
        return err;
    }
    *out = c.out;
    return NX_OK;
}
