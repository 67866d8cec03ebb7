#include "common/chunk/prom_bits_read.h"

#include <math.h>

#include "common/chunk/sample.h"
#include "common/chunk/xor_code.h"

static const unsigned class_bits[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};
enum { LAST_CLASS = sizeof class_bits / sizeof *class_bits - 1 };

/* The bits of the number, of which there are *size. */
static uint64_t read_class(struct nx_bit_reader *r, unsigned *size)
{
    uint64_t word = nx_bits_peek(r);
    unsigned ones = word == UINT64_MAX ? LAST_CLASS : (unsigned)__builtin_clzll(~word);
    if (ones >= LAST_CLASS)
        ones = LAST_CLASS;
    nx_bits_skip(r, ones == LAST_CLASS ? ones : ones + 1);
    *size = class_bits[ones];
    return *size ? nx_bits_read(r, *size) : 0;
}

uint64_t nx_prom_read_uint(struct nx_bit_reader *r)
{
    unsigned size;
    return read_class(r, &size);
}

int64_t nx_prom_read_int(struct nx_bit_reader *r)
{
    unsigned size;
    uint64_t v = read_class(r, &size);
    if (size > 0 && size < 64 && v > UINT64_C(1) << (size - 1))
        v -= UINT64_C(1) << size;
    return (int64_t)v;
}

int64_t nx_prom_read_varint(struct nx_bit_reader *r)
{
    uint64_t v = nx_bits_read_uvarint(r);
    return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}

void nx_prom_read_old_window(struct nx_bit_reader *r, struct nx_prom_float *state)
{
    if (state->leading == NX_XOR_NO_WINDOW)
        r->failed = true;
    else
        state->last ^= nx_bits_read(r, 64u - state->leading - state->trailing) << state->trailing;
}

void nx_prom_read_new_window(struct nx_bit_reader *r, struct nx_prom_float *state)
{
    unsigned leading = (unsigned)nx_bits_read(r, 5);
    unsigned significant = (unsigned)nx_bits_read(r, 6);
    if (significant == 0)
        significant = 64;
    if (leading + significant > 64) {
        r->failed = true;
        return;
    }
    state->leading = (uint8_t)leading;
    state->trailing = (uint8_t)(64 - leading - significant);
    nx_prom_read_old_window(r, state);
}

double nx_prom_read_float(struct nx_bit_reader *r, struct nx_prom_float *state, bool first)
{
    if (first) {
        state->last = nx_bits_read(r, 64);
        state->leading = NX_XOR_NO_WINDOW;
    } else if (nx_bits_read(r, 1)) {
        if (nx_bits_read(r, 1))
            nx_prom_read_new_window(r, state);
        else
            nx_prom_read_old_window(r, state);
    }
    return nx_double_from_bits(state->last);
}

double nx_prom_read_threshold(struct nx_bit_reader *r)
{
    unsigned b = (unsigned)nx_bits_read(r, 8);
    if (b == 0)
        return 0;
    return b == 255 ? nx_double_from_bits(nx_bits_read(r, 64)) : ldexp(0.5, (int)b - 243);
}

double nx_prom_read_bound(struct nx_bit_reader *r)
{
    uint64_t v = nx_prom_read_uint(r);
    return v ? (double)(v - 1) / 1000 : nx_double_from_bits(nx_bits_read(r, 64));
}
