/* Nothing is believed: a width beyond 64, a slope or a run out of range, or bytes that end early
 * are damage; whatever the rest says is some sequence of integers. */
#include "common/chunk/column/ints_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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
    for (size_t at = 0; at < count;) {
        if (reader->run_left == 0 && !begin_run(reader))
            return false;
        uint64_t take = reader->run_left < count - at ? reader->run_left : count - at;
        uint64_t value = reader->last;
        for (size_t end = at + (size_t)take; at < end; at++)
            out[at] = value += reader->run_step;
        reader->last = value;
        reader->run_left -= take;
        reader->left -= (size_t)take;
    }
    return true;
}

/* --- groups --- */

#if defined(__x86_64__)
/* There is no arithmetic shift of 64 bits: the sign is shifted in as a bias and taken off the base.
 */
__attribute__((target("avx2"))) static void add_line_avx2(uint64_t *values, uint64_t base,
                                                          uint64_t slope)
{
    const uint64_t sign = UINT64_C(1) << 63;
    const uint64_t less = base - (sign >> NX_INTS_SLOPE_BITS);
    const uint64_t rise = slope * 4;
    const uint64_t first[4] = {sign, slope + sign, slope * 2 + sign, slope * 3 + sign};
    const void *from = first;
    const __m256i offset = _mm256_set1_epi64x((long long)less);
    const __m256i step = _mm256_set1_epi64x((long long)rise);
    __m256i line = _mm256_loadu_si256(from);
    for (size_t i = 0; i < NX_PACK_GROUP; i += 4) {
        void *at = values + i;
        __m256i height = _mm256_add_epi64(_mm256_srli_epi64(line, NX_INTS_SLOPE_BITS), offset);
        _mm256_storeu_si256(at, _mm256_add_epi64(_mm256_loadu_si256(at), height));
        line = _mm256_add_epi64(line, step);
    }
}
#endif

static void add_line(uint64_t *values, size_t count, uint64_t base, uint64_t slope)
{
#if defined(__x86_64__)
    if (count == NX_PACK_GROUP && __builtin_cpu_supports("avx2")) {
        add_line_avx2(values, base, slope);
        return;
    }
#endif
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

static bool next_group(struct nx_ints_reader *reader, uint64_t *out, size_t count)
{
    struct nx_cursor *cur = &reader->cur;
    uint8_t tag = nx_cursor_u8(cur);
    unsigned width = tag % NX_INTS_WIDTHS;
    unsigned kind = tag / NX_INTS_WIDTHS;
    if (!reader->begun)
        reader->last = (uint64_t)nx_cursor_varint(cur);
    reader->begun = true;
    uint64_t base = (uint64_t)nx_cursor_varint(cur);
    uint64_t second = kind == NX_INTS_DELTA ? 0 : (uint64_t)nx_cursor_varint(cur);
    struct nx_view packed = nx_cursor_take(cur, nx_pack_bytes(count, width));
    if (!nx_cursor_ok(cur) || kind >= NX_INTS_KINDS)
        return false;
    nx_unpack((const uint8_t *)packed.ptr, count, width, out);
    if (kind == NX_INTS_LINE) {
        reader->slope += second;
        int64_t slope = (int64_t)reader->slope;
        if (slope >= NX_INTS_SLOPE_MAX || slope <= -NX_INTS_SLOPE_MAX)
            return false;
        add_line(out, count, reader->last + base, reader->slope);
    } else if (kind == NX_INTS_DELTA) {
        add_deltas(out, count, base, reader->last);
    } else {
        add_dods(out, count, base, reader->delta + second, reader->last);
    }
    uint64_t before = count > 1 ? out[count - 2] : reader->last;
    reader->last = out[count - 1];
    reader->delta = reader->last - before;
    reader->left -= count;
    return true;
}

enum nx_err nx_ints_next(struct nx_ints_reader *reader, int64_t *out, size_t *got)
{
    size_t count = reader->left < NX_PACK_GROUP ? reader->left : NX_PACK_GROUP;
    uint64_t *raw = (uint64_t *)out;
    bool good = count == 0 ||
                (reader->runs ? next_runs(reader, raw, count) : next_group(reader, raw, count));
    if (!good)
        return NX_ERR_CORRUPT;
    *got = count;
    return NX_OK;
}
