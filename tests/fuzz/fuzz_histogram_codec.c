/* The bytes of one histogram. What decodes must be sound, encode again, and come back identical. */
#include <stdint.h>
#include <stdlib.h>

#include "common/chunk/histogram_codec.h"
#include "common/chunk/merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void round_trip(struct nx_arena *arena, const struct nx_histogram *h)
{
    struct nx_buf buf;
    struct nx_histogram *back;
    nx_buf_init(&buf, (size_t)16 << 20);
    require(nx_histogram_encode(&buf, h) == NX_OK);
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&buf));
    require(nx_histogram_decode(&cur, arena, &back) == NX_OK);
    require(nx_cursor_left(&cur) == 0);
    require(nx_histogram_identical(h, back));
    struct nx_sample a = {.histogram = h};
    struct nx_sample b = {.histogram = back};
    require(nx_sample_precedence(&a, &b) == 0);
    nx_buf_release(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_arena arena;
    struct nx_histogram *h;
    struct nx_fail fail;
    nx_arena_init(&arena, (size_t)64 << 20);
    struct nx_cursor cur = nx_cursor_of(nx_view_make(data, size));
    enum nx_err err = nx_histogram_decode(&cur, &arena, &h);
    require(err == NX_OK || err == NX_ERR_CORRUPT);
    if (err == NX_OK) {
        require(nx_histogram_is_sound(h));
        (void)!nx_histogram_validate(h, &fail);
        struct nx_histogram *copy = nx_histogram_copy(&arena, h);
        require(copy && nx_histogram_identical(h, copy));
        round_trip(&arena, h);
    }
    nx_arena_release(&arena);
    return 0;
}
