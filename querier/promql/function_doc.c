/* The page of functions, docs/promql-functions.md, as text. */
#include "querier/promql/function_table.h"

static void put_arguments(struct nx_buf *out, const struct qry_function *function)
{
    size_t count = function->arg_count;
    size_t required = function->variadic == 0 ? count : count - 1;

    for (size_t i = 0; i < count; i++) {
        const char *type = qry_type_text(function->args[i]);
        bool first = i == 0;
        if (i < required)
            nx_buf_printf(out, "%s%s", first ? "" : ", ", type);
        else
            nx_buf_printf(out, "[%s%s%s]", first ? "" : ", ", type,
                          function->variadic == 1 ? "" : ", ...");
    }
}

void qry_function_markdown(struct nx_buf *out)
{
    nx_buf_append_str(
        out,
        "# PromQL functions\n\n"
        "Written by `build/tests/promql_functions_md` from the table in\n"
        "`querier/promql/function_table.h`; edit that one. Arguments in brackets may be left\n"
        "out; functions marked experimental need the feature `promql-experimental-functions`.\n\n"
        "| Function | Result | Meaning |\n"
        "|---|---|---|\n");
    for (size_t i = 0;; i++) {
        const struct qry_function *function = qry_function_at(i);
        if (!function)
            return;
        nx_buf_printf(out, "| `%s(", function->name);
        put_arguments(out, function);
        nx_buf_printf(out, ")` | %s | %s%s |\n", qry_type_text(function->result), function->doc,
                      function->experimental ? " Experimental." : "");
    }
}
