#include "querier/querier_internal.h"

/* What every query has, whether named or not: as in Prometheus, which still takes the names. */
static bool is_always_on(struct nx_view name)
{
    return nx_view_is(name, "promql-duration-expr") || nx_view_is(name, "promql-at-modifier") ||
           nx_view_is(name, "promql-negative-offset");
}

static bool *field_of(struct qry_features *features, struct nx_view name)
{
    const struct {
        const char *name;
        bool *field;
    } rows[] = {
        {"promql-experimental-functions", &features->experimental_functions},
        {"promql-extended-range-selectors", &features->extended_range_selectors},
        {"promql-binop-fill-modifiers", &features->binop_fill_modifiers},
        {"promql-delayed-name-removal", &features->delayed_name_removal},
        {"type-and-unit-labels", &features->type_and_unit_labels},
        {"use-start-timestamps", &features->use_start_timestamps},
        {"promql-per-step-stats", &features->per_step_stats},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (nx_view_is(name, rows[i].name))
            return rows[i].field;
    return NULL;
}

enum nx_err qry_features_parse(const char *list, struct qry_features *out, struct nx_fail *fail)
{
    struct qry_features features = {.duration_expressions = true};
    struct nx_view rest = nx_view_of(list ? list : "");
    while (rest.len > 0) {
        size_t comma = nx_view_find(rest, ',');
        struct nx_view name = nx_view_trim(nx_view_make(rest.ptr, comma));
        size_t skip = comma < rest.len ? comma + 1 : comma;
        rest = nx_view_make(rest.ptr + skip, rest.len - skip);
        if (name.len == 0 || is_always_on(name))
            continue;
        bool *field = field_of(&features, name);
        if (!field)
            return nx_fail_set(fail, NX_ERR_CONFIG,
                               "query.features: \"%.*s\" is no feature; see `narthex help config`",
                               NX_VIEW_ARG(name));
        *field = true;
    }
    *out = features;
    return NX_OK;
}
