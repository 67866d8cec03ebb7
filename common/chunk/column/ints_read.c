/* Nothing is believed: a width beyond 64, a slope or a run out of range, or bytes that end early
 * are damage; whatever the rest says is some sequence of integers. */
#include "common/chunk/column/ints_internal.h"

#include "common/chunk/column/decimal.h"
#include "common/chunk/column/steps.h"
#include "common/chunk/column/unpack32.h"
#include "common/chunk/column/vectors.h"

enum nx_err nx_ints_open(struct nx_ints_reader *reader, struct nx_view bytes, size_t count)
{
    *reader = (struct nx_ints_reader){.cur = nx_cursor_of(bytes), .left = count};
    if (bytes.len == 0)
        return NX_ERR_CORRUPT;
    reader->runs = *reader->cur.ptr == NX_INTS_RUNS;
    if (reader->runs)
        (void)nx_cursor_u8(&reader->cur);
    return NX_OK;
}

/* --- runs --- */

static bool begin_run(struct nx_ints_reader *reader)
{
    uint64_t head = nx_cursor_uvarint(&reader->cur);
    uint64_t jump = (uint64_t)nx_cursor_varint(&reader->cur);
    uint64_t step = head & 1 ? (uint64_t)nx_cursor_varint(&reader->cur) : 0;
    if (!nx_cursor_ok(&reader->cur) || head >> 1 >= reader->left)
        return false;
    reader->run_left = (head >> 1) + 1;
    reader->run_step = step;
    reader->last += jump - step; /* so that each value is a step from the one before */
    return true;
}

static bool next_runs(struct nx_ints_reader *reader, uint64_t *out, size_t count)
{
    size_t at = 0;
    while (at < count) {
        if (reader->run_left == 0 && !begin_run(reader))
            return false;
        uint64_t step = reader->run_step;
        size_t take = count - at;
        take = reader->run_left < take ? (size_t)reader->run_left : take;
        nx_steps_fill(reader->last + step, step, out + at, take, NX_PACK_GROUP - at);
        reader->last += take * step;
        reader->run_left -= take;
        reader->left -= take;
        reader->ascends = take == count && step - 1 < NX_INTS_STEP_MAX && out[0] <= out[count - 1];
        at += take;
    }
    return true;
}

/* --- groups --- */

static void add_line(uint64_t *values, size_t count, uint64_t base, uint64_t slope)
{
    for (size_t i = 0; i < count; i++)
        values[i] += base + nx_ints_line(slope, i);
}

static void add_deltas(uint64_t *values, size_t count, uint64_t base, uint64_t last)
{
    for (size_t i = 0; i < count; i++)
        values[i] = last += values[i] + base;
}

static void add_dods(uint64_t *values, size_t count, uint64_t base, uint64_t delta, uint64_t last)
{
    for (size_t i = 0; i < count; i++) {
        delta += values[i] + base;
        values[i] = last += delta;
    }
}

/* What a group's head says. */
struct head {
    enum nx_ints_kind kind;
    unsigned width;
    uint64_t base;
    uint64_t second;
    const uint8_t *packed;
};

static bool read_head(struct nx_ints_reader *reader, size_t count, struct head *head)
{
    struct nx_cursor *cur = &reader->cur;
    uint8_t tag = nx_cursor_u8(cur);
    if (!reader->begun)
        reader->last = (uint64_t)nx_cursor_varint(cur);
    reader->begun = true;
    head->width = tag % NX_INTS_WIDTHS;
    head->kind = (enum nx_ints_kind)(tag / NX_INTS_WIDTHS);
    head->base = (uint64_t)nx_cursor_varint(cur);
    head->second = head->kind == NX_INTS_DELTA ? 0 : (uint64_t)nx_cursor_varint(cur);
    head->packed = (const uint8_t *)nx_cursor_take(cur, nx_pack_bytes(count, head->width)).ptr;
    if (!nx_cursor_ok(cur) || head->kind >= NX_INTS_KINDS)
        return false;
    if (head->kind != NX_INTS_LINE)
        return true;
    reader->slope += head->second;
    return (int64_t)reader->slope < NX_INTS_SLOPE_MAX &&
           (int64_t)reader->slope > -NX_INTS_SLOPE_MAX;
}

static void end_group(struct nx_ints_reader *reader, size_t count, uint64_t last, uint64_t before)
{
    reader->last = last;
    reader->delta = last - before;
    reader->left -= count;
}

static void read_group(struct nx_ints_reader *reader, const struct head *head, uint64_t *out,
                       size_t count)
{
    nx_unpack(head->packed, count, head->width, out);
    if (head->kind == NX_INTS_LINE)
        add_line(out, count, reader->last + head->base, reader->slope);
    else if (head->kind == NX_INTS_DELTA)
        add_deltas(out, count, head->base, reader->last);
    else
        add_dods(out, count, head->base, reader->delta + head->second, reader->last);
    end_group(reader, count, out[count - 1], count > 1 ? out[count - 2] : reader->last);
}

static bool next_group(struct nx_ints_reader *reader, uint64_t *out, size_t count)
{
    struct head head;
    if (!read_head(reader, count, &head))
        return false;
    read_group(reader, &head, out, count);
    return true;
}

enum nx_err nx_ints_next(struct nx_ints_reader *reader, int64_t *out, size_t *got)
{
    size_t count = reader->left < NX_PACK_GROUP ? reader->left : NX_PACK_GROUP;
    uint64_t *raw = (uint64_t *)out;
    reader->ascends = false;
    bool good = count == 0 ||
                (reader->runs ? next_runs(reader, raw, count) : next_group(reader, raw, count));
    if (!good)
        return NX_ERR_CORRUPT;
    *got = count;
    return NX_OK;
}

/* --- as decimal floats --- */

/* Whether all that a line and codes over it can be is within the limit of decimal.h. */
static bool is_line_small(uint64_t base, uint64_t slope, unsigned width)
{
    int64_t low = (int64_t)base;
    int64_t end = (int64_t)nx_ints_line(slope, NX_PACK_GROUP - 1);
    if (low < -NX_DECIMAL_LIMIT || low >= NX_DECIMAL_LIMIT)
        return false;
    int64_t high = low + (end > 0 ? end : 0) + (INT64_C(1) << width) - 1;
    return low + (end < 0 ? end : 0) >= -NX_DECIMAL_LIMIT && high < NX_DECIMAL_LIMIT;
}

/* False where the group takes the way over the integers. */
static bool can_fuse(const struct nx_ints_reader *reader, const struct head *head)
{
    if (head->width > 32 || !nx_column_has_vectors())
        return false;
    return head->kind == NX_INTS_DELTA ||
           (head->kind == NX_INTS_LINE &&
            is_line_small(reader->last + head->base, reader->slope, head->width));
}

static bool fuse_group(struct nx_ints_reader *reader, const struct head *head,
                       const struct nx_dequant *scale, double *out, size_t count)
{
    uint32_t codes[NX_PACK_GROUP];
    nx_unpack32(head->packed, count, head->width, codes);
    uint64_t last = reader->last;
    uint64_t before;
    bool good = true;
    if (head->kind == NX_INTS_LINE) {
        uint64_t base = last + head->base;
        uint64_t slope = reader->slope;
        nx_dequant_line(codes, count, base, slope, scale, out);
        last = base + nx_ints_line(slope, count - 1) + codes[count - 1];
        before = base + nx_ints_line(slope, count - 2) + codes[count - 2];
    } else {
        good = nx_dequant_deltas(codes, count, head->base, &last, scale, out);
        before = last - head->base - codes[count - 1];
    }
    end_group(reader, count, last, before);
    return good;
}

static bool next_group_floats(struct nx_ints_reader *reader, const struct nx_dequant *scale,
                              double *out, size_t count)
{
    int64_t ints[NX_PACK_GROUP];
    struct head head;
    if (!read_head(reader, count, &head))
        return false;
    if (count > 1 && can_fuse(reader, &head))
        return fuse_group(reader, &head, scale, out, count);
    read_group(reader, &head, (uint64_t *)ints, count);
    return nx_decimal_floats(ints, count, scale, out);
}

enum nx_err nx_ints_next_floats(struct nx_ints_reader *reader, const struct nx_dequant *scale,
                                double *out, size_t *got)
{
    size_t count = reader->left < NX_PACK_GROUP ? reader->left : NX_PACK_GROUP;
    int64_t ints[NX_PACK_GROUP];
    bool good = true;
    if (count > 0 && reader->runs)
        good = next_runs(reader, (uint64_t *)ints, count) &&
               nx_decimal_floats(ints, count, scale, out);
    else if (count > 0)
        good = next_group_floats(reader, scale, out, count);
    if (!good)
        return NX_ERR_CORRUPT;
    *got = count;
    return NX_OK;
}
