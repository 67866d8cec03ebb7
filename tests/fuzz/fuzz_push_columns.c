/* Columns of a push by number: what is read, written anew, comes out the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/chunk/push_columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool same(const void *a, const void *b, size_t count, size_t size)
{
    return memcmp(a, b, count * size) == 0;
}

static void write_and_compare(const struct nx_push_columns *first)
{
    struct nx_buf buf;
    struct nx_arena arena;
    struct nx_push_columns again;
    nx_buf_init(&buf, SIZE_MAX);
    nx_arena_init(&arena, 0);
    nx_push_columns_put(&buf, first);
    require(nx_buf_err(&buf) == NX_OK);
    require(nx_push_columns_read(nx_buf_view(&buf), &arena, &again) == NX_OK);
    size_t samples = nx_push_samples(first);
    require(again.rows == first->rows && again.bunches == first->bunches);
    require(same(again.numbers, first->numbers, first->rows, sizeof *first->numbers));
    require(same(again.offsets, first->offsets, first->rows + 1, sizeof *first->offsets));
    require(same(again.ends, first->ends, first->bunches, sizeof *first->ends));
    require(same(again.checks, first->checks, first->bunches, sizeof *first->checks));
    require(same(again.times, first->times, samples, sizeof *first->times));
    require(same(again.bits, first->bits, samples, sizeof *first->bits));
    nx_arena_release(&arena);
    nx_buf_release(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_arena arena;
    struct nx_push_columns columns;
    uint8_t *copy = nx_alloc(size + 1);
    require(copy != NULL);
    memcpy(copy + 1, data, size); /* at its end, so that a sanitizer sees a byte read beyond it */
    nx_arena_init(&arena, 0);
    enum nx_err err = nx_push_columns_read(nx_view_make(copy + 1, size), &arena, &columns);
    require(err == NX_OK || err == NX_ERR_INVALID);
    if (err == NX_OK) {
        require(columns.rows > 0 && columns.ends[columns.bunches - 1] == columns.rows);
        require(nx_push_samples(&columns) >= columns.rows);
        write_and_compare(&columns);
    }
    nx_arena_release(&arena);
    nx_free(copy);
    return 0;
}
