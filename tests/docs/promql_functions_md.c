/* Writes docs/promql-functions.md to standard output. */
#include <stdio.h>

#include "querier/promql/function_table.h"

int main(void)
{
    struct nx_buf page;
    nx_buf_init(&page, 1 << 20);
    qry_function_markdown(&page);
    bool ok = nx_buf_err(&page) == NX_OK && fwrite(page.data, 1, page.len, stdout) == page.len &&
              fflush(stdout) == 0;
    nx_buf_release(&page);
    return ok ? 0 : 1;
}
