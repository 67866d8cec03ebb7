/* Symbols are written while the series are gathered behind them: the table has to come first. */
#include "tests/bench/loadgen_v2.h"

#include "common/base/alloc.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "common/base/index.h"

enum {
    TAG_V1_SERIES = 0x0a,
    TAG_LABEL = 0x0a,
    TAG_SAMPLE = 0x12, /* in both versions, and the same inside */
    TAG_NAME = 0x0a,
    TAG_VALUE = 0x12,
    TAG_SYMBOL = 0x22,
    TAG_SERIES = 0x2a,
    TAG_LABELS_REFS = 0x0a
};

struct table {
    struct nx_index index;
    struct nx_view *items; /* they alias the request */
    size_t count, capacity;
    struct nx_buf *out;
};

static bool symbol_is(uint32_t ref, const void *key, const void *user)
{
    return nx_view_eq(((const struct table *)user)->items[ref], *(const struct nx_view *)key);
}

static enum nx_err intern(struct table *table, struct nx_view text, uint32_t *ref)
{
    uint64_t hash = nx_hash_view(text);
    *ref = nx_index_find(&table->index, hash, symbol_is, &text, table);
    if (*ref != NX_INDEX_NONE)
        return NX_OK;
    *ref = (uint32_t)table->count;
    enum nx_err err =
        nx_grow(&table->items, &table->capacity, table->count + 1, sizeof *table->items);
    if (!err)
        err = nx_index_insert(&table->index, hash, *ref);
    if (err)
        return err;
    table->items[table->count++] = text;
    nx_buf_put_u8(table->out, TAG_SYMBOL);
    nx_buf_put_bytes(table->out, text);
    return NX_OK;
}

static enum nx_err put_label(struct table *table, struct nx_view label, struct nx_buf *refs)
{
    struct nx_cursor cur = nx_cursor_of(label);
    const uint8_t tags[] = {TAG_NAME, TAG_VALUE};
    for (size_t i = 0; i < sizeof tags; i++) {
        uint32_t ref;
        if (nx_cursor_u8(&cur) != tags[i])
            return NX_ERR_INVALID;
        struct nx_view text = nx_cursor_bytes(&cur);
        enum nx_err err = nx_cursor_ok(&cur) ? intern(table, text, &ref) : NX_ERR_INVALID;
        if (err)
            return err;
        nx_buf_put_uvarint(refs, ref);
    }
    return NX_OK;
}

/* The inner message in `series`; `refs` is scratch. */
static enum nx_err put_series(struct table *table, struct nx_view message, struct nx_buf *refs,
                              struct nx_buf *series)
{
    struct nx_cursor cur = nx_cursor_of(message);
    nx_buf_clear(refs);
    nx_buf_clear(series);
    while (nx_cursor_left(&cur) > 0 && *cur.ptr == TAG_LABEL) {
        (void)nx_cursor_u8(&cur);
        enum nx_err err = put_label(table, nx_cursor_bytes(&cur), refs);
        if (err)
            return err;
    }
    if (nx_cursor_left(&cur) == 0 || *cur.ptr != TAG_SAMPLE)
        return NX_ERR_INVALID;
    nx_buf_put_u8(series, TAG_LABELS_REFS);
    nx_buf_put_bytes(series, nx_buf_view(refs));
    nx_buf_append(series, cur.ptr, nx_cursor_left(&cur));
    return NX_OK;
}

enum nx_err load_encode_v2(struct nx_view write_request, struct nx_buf *out)
{
    struct table table = {.out = out};
    struct nx_buf refs, series, all;
    struct nx_cursor cur = nx_cursor_of(write_request);
    uint32_t empty;
    nx_index_init(&table.index);
    nx_buf_init(&refs, SIZE_MAX);
    nx_buf_init(&series, SIZE_MAX);
    nx_buf_init(&all, SIZE_MAX);
    enum nx_err err = intern(&table, NX_VIEW(""), &empty);
    while (!err && nx_cursor_left(&cur) > 0) {
        err = nx_cursor_u8(&cur) == TAG_V1_SERIES ? NX_OK : NX_ERR_INVALID;
        if (!err)
            err = put_series(&table, nx_cursor_bytes(&cur), &refs, &series);
        nx_buf_put_u8(&all, TAG_SERIES);
        nx_buf_put_bytes(&all, nx_buf_view(&series));
    }
    nx_buf_append_view(out, nx_buf_view(&all));
    if (!err)
        err = nx_buf_err(&refs) ? NX_ERR_NOMEM : nx_buf_err(&series);
    if (!err)
        err = nx_buf_err(&all) ? NX_ERR_NOMEM : nx_buf_err(out);
    nx_index_release(&table.index);
    nx_free(table.items);
    nx_buf_release(&refs);
    nx_buf_release(&series);
    nx_buf_release(&all);
    return err;
}
