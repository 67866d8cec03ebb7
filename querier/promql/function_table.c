/* The table as data, and the search in it. Entries are sorted by name (asserted by the unit test),
 * so a binary search finds one. */
#include "querier/promql/function_table.h"

#define FIRST_OF(first, ...) first
#define COUNT_OF(...) (sizeof((enum qry_type[]){__VA_ARGS__}) / sizeof(enum qry_type))

static const struct qry_function functions[] = {
#define X(fn_id, fn_name, fn_variadic, fn_result, fn_experimental, fn_doc, ...)                   \
    {                                                                                             \
        .name = fn_name,                                                                          \
        .id = QRY_FN_##fn_id,                                                                     \
        .variadic = (fn_variadic),                                                                \
        .result = (fn_result),                                                                    \
        .experimental = (fn_experimental),                                                        \
        .args = {__VA_ARGS__},                                                                    \
        .arg_count = COUNT_OF(__VA_ARGS__) - (FIRST_OF(__VA_ARGS__, 0) == QRY_TYPE_NONE ? 1 : 0), \
        .doc = fn_doc,                                                                            \
    },
    QRY_FUNCTION_TABLE(X)
#undef X
};

const struct qry_function *qry_function_find(struct nx_view name)
{
    size_t low = 0;
    size_t high = QRY_FUNCTION_COUNT;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = nx_view_cmp(name, nx_view_of(functions[middle].name));
        if (order == 0)
            return &functions[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct qry_function *qry_function_at(size_t i)
{
    return i < QRY_FUNCTION_COUNT ? &functions[i] : NULL;
}
