/* Every group is measured under each kind; the runs are written beside the groups as long as they
 * are shorter. */
#include <math.h>

#include "common/chunk/column/ints_internal.h"

/* What a group costs under a kind. */
struct plan {
    enum nx_ints_kind kind;
    unsigned width;
    uint64_t base;  /* LINE: less the last value; otherwise the least code */
    uint64_t slope; /* LINE */
    size_t bytes;
};

struct state {
    bool begun;
    uint64_t last;
    uint64_t delta;
    uint64_t slope;
};

static unsigned width_of(uint64_t v)
{
    return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

static uint64_t zigzag(uint64_t v)
{
    return (v << 1) ^ (uint64_t)((int64_t)v >> 63);
}

static size_t varint_bytes(uint64_t v)
{
    unsigned bits = width_of(zigzag(v) | 1);
    return (bits + 6) / 7;
}

/* The least code and the width of the others over it. */
static void span_of(const uint64_t *codes, size_t count, struct plan *plan)
{
    int64_t low = (int64_t)codes[0];
    int64_t high = low;
    for (size_t i = 1; i < count; i++) {
        int64_t v = (int64_t)codes[i];
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    plan->base = (uint64_t)low;
    plan->width = width_of((uint64_t)high - (uint64_t)low);
}

/* --- the codes of a group, by kind --- */

static uint64_t slope_of(const int64_t *values, size_t count, uint64_t last)
{
    double sum = 0;
    double moment = 0;
    for (size_t i = 0; i < count; i++) {
        double y = (double)(int64_t)((uint64_t)values[i] - last);
        sum += y;
        moment += y * (double)i;
    }
    double n = (double)count;
    double slope = count < 2 ? 0 : (12 * moment - 6 * (n - 1) * sum) / (n * (n * n - 1));
    slope *= 1 << NX_INTS_SLOPE_BITS;
    return fabs(slope) < (double)NX_INTS_SLOPE_MAX ? (uint64_t)llrint(slope) : 0;
}

static void codes_line(const int64_t *values, size_t count, uint64_t last, uint64_t slope,
                       uint64_t *codes)
{
    for (size_t i = 0; i < count; i++)
        codes[i] = (uint64_t)values[i] - last - nx_ints_line(slope, i);
}

static void codes_delta(const int64_t *values, size_t count, uint64_t last, uint64_t *codes)
{
    codes[0] = (uint64_t)values[0] - last;
    for (size_t i = 1; i < count; i++)
        codes[i] = (uint64_t)values[i] - (uint64_t)values[i - 1];
}

/* The first is made equal to the second: the group's head says where it begins. */
static void codes_dod(const uint64_t *deltas, size_t count, uint64_t *codes)
{
    for (size_t i = 1; i < count; i++)
        codes[i] = deltas[i] - deltas[i - 1];
    codes[0] = count > 1 ? codes[1] : 0;
}

struct group {
    uint64_t codes[NX_INTS_KINDS][NX_PACK_GROUP];
};

static struct plan plan_group(const int64_t *values, size_t count, const struct state *state,
                              struct group *group)
{
    struct plan plans[NX_INTS_KINDS];
    struct plan best = {.bytes = SIZE_MAX};
    uint64_t slope = slope_of(values, count, state->last);
    uint64_t *deltas = group->codes[NX_INTS_DELTA];
    codes_line(values, count, state->last, slope, group->codes[NX_INTS_LINE]);
    codes_delta(values, count, state->last, deltas);
    codes_dod(deltas, count, group->codes[NX_INTS_DOD]);
    for (unsigned kind = 0; kind < NX_INTS_KINDS; kind++) {
        struct plan *plan = &plans[kind];
        plan->kind = (enum nx_ints_kind)kind;
        plan->slope = slope;
        span_of(group->codes[kind], count, plan);
        plan->bytes = 1 + varint_bytes(plan->base) + nx_pack_bytes(count, plan->width);
    }
    plans[NX_INTS_LINE].bytes += varint_bytes(slope - state->slope);
    plans[NX_INTS_DOD].bytes += varint_bytes(deltas[0] - state->delta);
    for (unsigned kind = 0; kind < NX_INTS_KINDS; kind++)
        if (plans[kind].bytes < best.bytes)
            best = plans[kind];
    return best;
}

static void put_group(struct nx_buf *out, const int64_t *values, size_t count, struct state *state)
{
    struct group group;
    struct plan plan = plan_group(values, count, state, &group);
    uint64_t *codes = group.codes[plan.kind];
    uint64_t first_delta = (uint64_t)values[0] - state->last;
    nx_buf_put_u8(out, (uint8_t)(plan.kind * NX_INTS_WIDTHS + plan.width));
    if (!state->begun)
        nx_buf_put_varint(out, (int64_t)state->last);
    state->begun = true;
    nx_buf_put_varint(out, (int64_t)plan.base);
    if (plan.kind == NX_INTS_LINE) {
        nx_buf_put_varint(out, (int64_t)(plan.slope - state->slope));
        state->slope = plan.slope;
    } else if (plan.kind == NX_INTS_DOD) {
        nx_buf_put_varint(out, (int64_t)(first_delta - state->delta - codes[0]));
    }
    for (size_t i = 0; i < count; i++)
        codes[i] -= plan.base;
    size_t bytes = nx_pack_bytes(count, plan.width);
    if (nx_buf_reserve(out, bytes) == NX_OK) {
        nx_pack(codes, count, plan.width, (uint8_t *)out->data + out->len);
        out->len += bytes;
    }
    uint64_t before = count > 1 ? (uint64_t)values[count - 2] : state->last;
    state->last = (uint64_t)values[count - 1];
    state->delta = state->last - before;
}

/* --- runs --- */

/* How many values from `begin` go up by the same step. */
static size_t run_length(const int64_t *values, size_t begin, size_t count, uint64_t *step)
{
    *step = 0;
    if (begin + 1 == count)
        return 1;
    uint64_t first = (uint64_t)values[begin + 1] - (uint64_t)values[begin];
    size_t end = begin + 2;
    while (end < count && (uint64_t)values[end] - (uint64_t)values[end - 1] == first)
        end++;
    if (first != 0 && end - begin < 3)
        return 1;
    *step = first;
    return end - begin;
}

/* False where it would take `max_bytes`. */
static bool put_runs(struct nx_buf *out, const int64_t *values, size_t count, size_t max_bytes)
{
    size_t begin = out->len;
    uint64_t last = 0;
    nx_buf_put_u8(out, NX_INTS_RUNS);
    for (size_t at = 0; at < count;) {
        uint64_t step;
        size_t len = run_length(values, at, count, &step);
        nx_buf_put_uvarint(out, (uint64_t)(len - 1) << 1 | (step != 0));
        nx_buf_put_varint(out, (int64_t)((uint64_t)values[at] - last));
        if (step != 0)
            nx_buf_put_varint(out, (int64_t)step);
        at += len;
        last = (uint64_t)values[at - 1];
        if (out->len - begin >= max_bytes || out->err != NX_OK)
            return false;
    }
    return true;
}

void nx_ints_encode(struct nx_buf *out, const int64_t *values, size_t count)
{
    size_t begin = out->len;
    uint64_t first = (uint64_t)values[0];
    uint64_t step = count > 1 ? (uint64_t)values[1] - first : 0;
    struct state state = {.last = first - step};
    for (size_t at = 0; at < count; at += NX_PACK_GROUP) {
        size_t left = count - at;
        put_group(out, values + at, left < NX_PACK_GROUP ? left : NX_PACK_GROUP, &state);
    }
    size_t end = out->len;
    if (nx_buf_err(out) != NX_OK)
        return;
    if (!put_runs(out, values, count, end - begin)) {
        if (out->err == NX_OK)
            out->len = end;
        return;
    }
    size_t bytes = out->len - end;
    memmove(out->data + begin, out->data + end, bytes);
    out->len = begin + bytes;
}
