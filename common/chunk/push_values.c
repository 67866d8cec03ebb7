/* Values as four bits a value that say what follows, then the bytes: whole numbers and thousandths
 * in as few as hold them, floats without the zeros at their end, anything else as it is. The writer
 * takes a form only where reading it gives the same bits. Nothing is said relative to another
 * value: a value stands for itself whatever was lost or repeated before. */
#include <stdbool.h>

#include "common/base/cursor.h"
#include "common/chunk/push_columns.h"
#include "common/chunk/sample.h"

enum kind { ZERO, WHOLE, MILLI, FLOAT, STALE };

enum code {
    CODE_ZERO = 0,
    CODE_FLOAT_3 = 12, /* a float of three bytes */
    CODE_STALE = 15
};

static const struct {
    uint8_t kind, bytes;
} forms[16] = {
    {ZERO, 0},  {WHOLE, 1}, {WHOLE, 2}, {WHOLE, 3}, {WHOLE, 4}, {WHOLE, 5}, {WHOLE, 7}, {MILLI, 3},
    {MILLI, 4}, {MILLI, 5}, {MILLI, 7}, {FLOAT, 2}, {FLOAT, 3}, {FLOAT, 5}, {FLOAT, 8}, {STALE, 0},
};

/* By the bytes that are needed. */
static const uint8_t whole_code[8] = {1, 1, 2, 3, 4, 5, 6, 6};
static const uint8_t milli_code[8] = {7, 7, 7, 7, 8, 9, 10, 10};
static const uint8_t float_code[9] = {11, 11, 11, 12, 13, 13, 14, 14, 14};

/* Whole numbers below it are exact, and their zigzag form has seven bytes. */
#define EXACT 9007199254740992.0

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (0 - ((uint64_t)v >> 63));
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

/* --- writing --- */

static unsigned bytes_of(uint64_t v)
{
    return v ? (71 - (unsigned)__builtin_clzll(v)) / 8 : 0;
}

/* What is left of a float without the zeros at its end. */
static unsigned float_form(uint64_t bits)
{
    unsigned zeros = bits ? (unsigned)__builtin_ctzll(bits) / 8 : 7;
    return float_code[8 - zeros];
}

/* The code, and the bytes from the lowest one on in `*rest`. */
static unsigned choose(uint64_t bits, uint64_t *rest)
{
    double value = nx_double_from_bits(bits);
    if (value > -EXACT && value < EXACT) {
        int64_t whole = (int64_t)value;
        if (nx_double_bits((double)whole) == bits) {
            *rest = zigzag(whole);
            return whole ? whole_code[bytes_of(*rest)] : CODE_ZERO;
        }
    }
    unsigned code = float_form(bits);
    if (code <= CODE_FLOAT_3) {
        *rest = bits >> (64 - forms[code].bytes * 8);
        return code;
    }
    double scaled = value * 1000.0;
    if (scaled > -EXACT && scaled < EXACT) {
        int64_t milli = (int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5));
        unsigned short_code = milli_code[bytes_of(zigzag(milli))];
        if (forms[short_code].bytes < forms[code].bytes &&
            nx_double_bits((double)milli / 1000.0) == bits) {
            *rest = zigzag(milli);
            return short_code;
        }
    }
    if (bits == NX_STALE_NAN_BITS) {
        *rest = 0;
        return CODE_STALE;
    }
    *rest = bits >> (64 - forms[code].bytes * 8);
    return code;
}

char *nx_push_values_put(char *at, const uint64_t *bits, size_t count)
{
    char *codes = at;
    at += (count + 1) / 2;
    for (size_t i = 0; i < count; i++) {
        uint64_t rest;
        unsigned code = choose(bits[i], &rest);
        if (i & 1)
            codes[i / 2] = (char)((unsigned char)codes[i / 2] | code << 4);
        else
            codes[i / 2] = (char)code;
        nx_le64_store(at, rest); /* there is room for the raw form */
        at += forms[code].bytes;
    }
    return at;
}

/* --- reading --- */

static uint64_t value_of(unsigned kind, unsigned bytes, uint64_t rest)
{
    switch (kind) {
    case WHOLE:
        return nx_double_bits((double)unzigzag(rest));
    case MILLI:
        return nx_double_bits((double)unzigzag(rest) / 1000.0);
    case FLOAT:
        return rest << ((8 - bytes) % 8 * 8); /* bytes > 0 */
    case STALE:
        return NX_STALE_NAN_BITS;
    default:
        return 0;
    }
}

/* The next `len` bytes, of eight at most; `left` are there. */
static uint64_t take(const uint8_t *at, size_t left, unsigned len)
{
    uint64_t v = 0;
    if (left >= 8)
        v = nx_le64_load(at);
    else
        for (unsigned i = 0; i < len; i++)
            v |= (uint64_t)at[i] << (8 * i);
    return len < 8 ? v & ((UINT64_C(1) << (8 * len)) - 1) : v;
}

void nx_push_values_read(struct nx_cursor *cur, uint64_t *bits, size_t count)
{
    struct nx_view codes = nx_cursor_take(cur, (count + 1) / 2);
    if (!nx_cursor_ok(cur))
        return;
    for (size_t i = 0; i < count; i++) {
        unsigned code = ((unsigned char)codes.ptr[i / 2] >> (i & 1 ? 4 : 0)) & 15;
        unsigned len = forms[code].bytes;
        size_t left = nx_cursor_left(cur);
        if (len > left) {
            nx_cursor_fail(cur);
            return;
        }
        bits[i] = value_of(forms[code].kind, len, take(cur->ptr, left, len));
        cur->ptr += len;
    }
    if (count & 1 && (unsigned char)codes.ptr[count / 2] >> 4)
        nx_cursor_fail(cur);
}
