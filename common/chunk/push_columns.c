/* The columns one after the other: numbers as differences, sums of the bunches, sample counts where
 * they are not all one, times, values. */
#include "common/chunk/push_columns.h"

#include <assert.h>

#include "common/base/cursor.h"

enum { FLAG_COUNTS = 1 };
enum { VARINT32_MAX_BYTES = 5, HEAD_MAX_BYTES = 1 + 2 * VARINT32_MAX_BYTES };

void nx_push_cut(struct nx_push_columns *columns)
{
    size_t start = 0;
    columns->bunches = 0;
    for (size_t i = 1; i <= columns->rows; i++) {
        if (i < columns->rows && i - start < NX_PUSH_BUNCH &&
            nx_number_shard(columns->numbers[i]) == nx_number_shard(columns->numbers[start]))
            continue;
        columns->ends[columns->bunches++] = (uint32_t)i;
        start = i;
    }
}

/* --- writing --- */

static char *put_uvarint(char *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (char)(v | 0x80);
        v >>= 7;
    }
    *at++ = (char)v;
    return at;
}

static char *put_numbers(char *at, const struct nx_push_columns *columns)
{
    uint32_t last = 0;
    for (size_t i = 0; i < columns->rows; i++) {
        /* in 32 bits, wrapping */
        uint32_t delta = columns->numbers[i] - last;
        at = put_uvarint(at, (uint32_t)(delta << 1 ^ (0 - (delta >> 31))));
        last = columns->numbers[i];
    }
    return at;
}

static uint32_t row_samples(const struct nx_push_columns *columns, size_t row)
{
    return columns->offsets[row + 1] - columns->offsets[row];
}

static char *put_columns(char *at, const struct nx_push_columns *columns)
{
    size_t samples = nx_push_samples(columns);
    bool counts = samples != columns->rows;
    *at++ = counts ? FLAG_COUNTS : 0;
    at = put_uvarint(at, columns->rows);
    if (counts)
        at = put_uvarint(at, samples);
    at = put_numbers(at, columns);
    for (size_t i = 0; i < columns->bunches; i++, at += 8)
        nx_le64_store(at, columns->checks[i]);
    for (size_t i = 0; i < columns->rows && counts; i++)
        at = put_uvarint(at, row_samples(columns, i) - 1);
    at = nx_push_times_put(at, columns->times, samples);
    return nx_push_values_put(at, columns->bits, samples);
}

void nx_push_columns_put(struct nx_buf *out, const struct nx_push_columns *columns)
{
    size_t samples = nx_push_samples(columns);
    assert(columns->rows > 0 && samples >= columns->rows && samples <= NX_PUSH_MAX_SAMPLES);
    size_t most = HEAD_MAX_BYTES + columns->rows * 2 * VARINT32_MAX_BYTES + columns->bunches * 8 +
                  (samples + 1) * (NX_PUSH_TIME_MAX_BYTES + NX_PUSH_VALUE_MAX_BYTES);
    if (nx_buf_reserve(out, most) != NX_OK)
        return;
    out->len = (size_t)(put_columns(out->data + out->len, columns) - out->data);
}

/* --- reading --- */

static void read_numbers(struct nx_cursor *cur, struct nx_push_columns *columns)
{
    uint32_t number = 0;
    for (size_t i = 0; i < columns->rows; i++) {
        uint64_t v = nx_cursor_uvarint(cur);
        if (v > UINT32_MAX) {
            nx_cursor_fail(cur);
            return;
        }
        uint32_t bits = (uint32_t)v;
        number += bits >> 1 ^ (0 - (bits & 1));
        columns->numbers[i] = number;
    }
}

static void read_offsets(struct nx_cursor *cur, struct nx_push_columns *columns, size_t samples,
                         bool counts)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < columns->rows; i++) {
        columns->offsets[i] = (uint32_t)offset;
        uint64_t more = counts ? nx_cursor_uvarint(cur) : 0;
        if (more >= samples - offset) {
            nx_cursor_fail(cur);
            return;
        }
        offset += 1 + more;
    }
    columns->offsets[columns->rows] = (uint32_t)offset;
    if (offset != samples)
        nx_cursor_fail(cur);
}

/* Memory follows what can be there: a row takes a byte, a sample half of one. */
static bool sizes_are_sound(const struct nx_cursor *cur, uint64_t rows, uint64_t samples)
{
    size_t left = nx_cursor_left(cur);
    return nx_cursor_ok(cur) && rows > 0 && rows <= left && samples >= rows &&
           samples <= NX_PUSH_MAX_SAMPLES && samples / 2 <= left;
}

enum nx_err nx_push_columns_read(struct nx_view bytes, struct nx_arena *arena,
                                 struct nx_push_columns *out)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    uint8_t flags = nx_cursor_u8(&cur);
    bool counts = flags & FLAG_COUNTS;
    uint64_t rows = nx_cursor_uvarint(&cur);
    uint64_t samples = counts ? nx_cursor_uvarint(&cur) : rows;
    if ((flags & ~FLAG_COUNTS) != 0 || !sizes_are_sound(&cur, rows, samples))
        return NX_ERR_INVALID;
    struct nx_push_columns columns = {.rows = (size_t)rows};
    columns.numbers = nx_arena_array(arena, columns.rows, sizeof *columns.numbers);
    columns.offsets = nx_arena_array(arena, columns.rows + 1, sizeof *columns.offsets);
    columns.ends = nx_arena_array(arena, columns.rows, sizeof *columns.ends);
    columns.times = nx_arena_array(arena, (size_t)samples, sizeof *columns.times);
    columns.bits = nx_arena_array(arena, (size_t)samples, sizeof *columns.bits);
    if (!columns.numbers || !columns.offsets || !columns.ends || !columns.times || !columns.bits)
        return NX_ERR_NOMEM;
    read_numbers(&cur, &columns);
    if (!nx_cursor_ok(&cur))
        return NX_ERR_INVALID;
    nx_push_cut(&columns);
    columns.checks = nx_arena_array(arena, columns.bunches, sizeof *columns.checks);
    if (!columns.checks)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < columns.bunches; i++)
        columns.checks[i] = nx_cursor_u64(&cur);
    read_offsets(&cur, &columns, (size_t)samples, counts);
    if (nx_cursor_ok(&cur))
        nx_push_times_read(&cur, columns.times, (size_t)samples);
    if (nx_cursor_ok(&cur))
        nx_push_values_read(&cur, columns.bits, (size_t)samples);
    if (!nx_cursor_ok(&cur) || nx_cursor_left(&cur) > 0)
        return NX_ERR_INVALID;
    *out = columns;
    return NX_OK;
}
