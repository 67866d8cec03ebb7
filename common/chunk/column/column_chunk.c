#include "common/chunk/column/column_chunk.h"

#include "common/base/alloc.h"
#include "common/chunk/chunk_internal.h"
#include "common/chunk/column/steps.h"

void nx_column_put(struct nx_buf *out, size_t count, struct nx_view times, struct nx_view values)
{
    nx_buf_put_u8(out, (uint8_t)(count >> 8));
    nx_buf_put_u8(out, (uint8_t)count);
    nx_buf_put_bytes(out, times);
    nx_buf_append_view(out, values);
}

enum nx_err nx_column_open(struct nx_column_reader *reader, struct nx_view chunk, uint32_t *count)
{
    struct nx_cursor cur = nx_cursor_of(chunk);
    uint32_t high = nx_cursor_u8(&cur);
    uint32_t n = high << 8 | nx_cursor_u8(&cur);
    struct nx_view times = nx_cursor_bytes(&cur);
    if (!nx_cursor_ok(&cur) || n == 0 || n > NX_COLUMN_MAX)
        return NX_ERR_CORRUPT;
    *reader = (struct nx_column_reader){.begun = false};
    enum nx_err err = nx_ints_open(&reader->times, times, n);
    if (err == NX_OK)
        err = nx_values_open(&reader->values,
                             nx_view_make((const char *)cur.ptr, nx_cursor_left(&cur)), n);
    if (err == NX_OK)
        *count = n;
    return err;
}

enum nx_err nx_column_next(struct nx_column_reader *reader, int64_t *times, double *values,
                           size_t *got)
{
    size_t count;
    size_t value_count;
    enum nx_err err = nx_ints_next(&reader->times, times, &count);
    if (err == NX_OK)
        err = nx_values_next(&reader->values, values, &value_count);
    if (err != NX_OK)
        return err;
    if (count != value_count || (reader->times.left == 0 && nx_cursor_left(&reader->times.cur) > 0))
        return NX_ERR_CORRUPT;
    if (count > 0) {
        if ((!reader->times.ascends && !nx_steps_ascend(times, count)) ||
            (reader->begun && times[0] <= reader->last))
            return NX_ERR_CORRUPT;
        reader->begun = true;
        reader->last = times[count - 1];
    }
    *got = count;
    return NX_OK;
}

/* --- sample by sample --- */

struct column_iter {
    struct nx_sample_iter base;
    struct nx_column_reader reader;
    int64_t times[NX_PACK_GROUP];
    double values[NX_PACK_GROUP];
    size_t count;
    size_t at;
    bool begun;
    int ended; /* 1 while samples come; then what next returns for ever: 0 or an error */
};

static int current(const struct column_iter *c, struct nx_sample *out)
{
    *out = (struct nx_sample){.t = c->times[c->at], .value = c->values[c->at]};
    return 1;
}

static int next_group(struct column_iter *c)
{
    if (c->ended <= 0)
        return c->ended;
    enum nx_err err = nx_column_next(&c->reader, c->times, c->values, &c->count);
    c->begun = true;
    c->at = 0;
    if (err != NX_OK || c->count == 0)
        c->ended = (int)err;
    return c->ended;
}

static int column_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    struct column_iter *c = (struct column_iter *)it;
    if (c->ended <= 0)
        return c->ended;
    if (c->begun && c->at + 1 < c->count) {
        c->at++;
        return current(c, out);
    }
    int got = next_group(c);
    return got > 0 ? current(c, out) : got;
}

static int column_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    struct column_iter *c = (struct column_iter *)it;
    while (c->ended > 0 && (!c->begun || c->times[c->count - 1] < t))
        (void)next_group(c);
    if (c->ended <= 0)
        return c->ended;
    while (c->times[c->at] < t)
        c->at++;
    return current(c, out);
}

static void column_free(struct nx_sample_iter *it)
{
    nx_free(it);
}

enum nx_err nx_column_iter_new(struct nx_view data, struct nx_sample_iter **out)
{
    static const struct nx_sample_iter_ops ops = {
        .next = column_next, .seek = column_seek, .free = column_free};
    struct column_iter *c = nx_alloc(sizeof *c);
    if (!c)
        return NX_ERR_NOMEM;
    uint32_t count;
    enum nx_err err = nx_column_open(&c->reader, data, &count);
    if (err != NX_OK) {
        nx_free(c);
        return err;
    }
    c->base.ops = &ops;
    c->count = c->at = 0;
    c->begun = false;
    c->ended = 1;
    *out = &c->base;
    return NX_OK;
}
