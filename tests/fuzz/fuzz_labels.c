/* The bytes of a label set. What decodes is canonical: it encodes again to an equal set. */
#include <stdint.h>
#include <stdlib.h>

#include "common/labels/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_arena arena;
    struct nx_labels labels;
    struct nx_labels back;
    nx_arena_init(&arena, (size_t)64 << 20);
    struct nx_cursor cur = nx_cursor_of(nx_view_make(data, size));
    enum nx_err err = nx_labels_decode(&cur, &arena, 1000, &labels);
    require(err == NX_OK || err == NX_ERR_CORRUPT || err == NX_ERR_LIMIT);
    if (err == NX_OK) {
        struct nx_buf buf;
        nx_buf_init(&buf, (size_t)16 << 20);
        nx_labels_encode(&buf, labels);
        cur = nx_cursor_of(nx_buf_view(&buf));
        require(nx_labels_decode(&cur, &arena, 1000, &back) == NX_OK);
        require(nx_labels_eq(labels, back) && nx_labels_hash(labels) == nx_labels_hash(back));
        nx_buf_clear(&buf);
        nx_labels_print(&buf, labels);
        nx_labels_print_plain(&buf, labels);
        require(nx_buf_err(&buf) == NX_OK);
        nx_buf_release(&buf);
    }
    nx_arena_release(&arena);
    return 0;
}
