#include "common/chunk/prom_histogram_bits.h"

#include <math.h>

#include "common/chunk/sample.h"
#include "common/chunk/xor_code.h"

void nx_prom_bits_init(struct nx_prom_bits *b, struct nx_buf *out)
{
    nx_bits_init(&b->bits, 0, 0);
    b->out = out;
}

/* Hands on the whole words, so that the scratch never holds more than one number. */
static void flush(struct nx_prom_bits *b)
{
    nx_buf_append(b->out, b->bits.bytes, b->bits.len);
    b->bits.len = 0;
}

static void put(struct nx_prom_bits *b, uint64_t v, unsigned n)
{
    nx_bits_put(&b->bits, v, n);
    flush(b);
}

void nx_prom_bits_finish(struct nx_prom_bits *b)
{
    unsigned used = nx_bits_finish(&b->bits);
    nx_buf_append(b->out, b->bits.bytes, (used + 7) / 8);
}

/* Numbers of 1 to 64 bits by classes: as many ones as the class has smaller ones, a zero (but not
 * for the last), and the bits. */
static const unsigned class_bits[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};
#define CLASSES (sizeof class_bits / sizeof *class_bits)

static void put_class(struct nx_prom_bits *b, unsigned class, uint64_t v)
{
    bool last = class == CLASSES - 1;
    if (class == 0) {
        put(b, 0, 1);
        return;
    }
    put(b, last ? 0xFF : (UINT64_C(1) << (class + 1)) - 2, last ? 8 : class + 1);
    unsigned n = class_bits[class];
    put(b, n == 64 ? v : v & ((UINT64_C(1) << n) - 1), n);
}

void nx_prom_put_int(struct nx_prom_bits *b, int64_t v)
{
    unsigned class = 0;
    if (v != 0)
        for (class = 1; class < CLASSES - 1; class ++) {
            int64_t most = INT64_C(1) << (class_bits[class] - 1);
            if (v >= 1 - most && v <= most)
                break;
        }
    put_class(b, class, (uint64_t)v);
}

void nx_prom_put_uint(struct nx_prom_bits *b, uint64_t v)
{
    unsigned class = 0;
    if (v != 0)
        for (class = 1; class < CLASSES - 1; class ++)
            if (v < UINT64_C(1) << class_bits[class])
                break;
    put_class(b, class, v);
}

void nx_prom_put_float(struct nx_prom_bits *b, struct nx_prom_float *state, double v, bool first)
{
    uint64_t bits = nx_double_bits(v);
    if (first) {
        put(b, bits, 64);
        state->leading = NX_XOR_NO_WINDOW;
    } else {
        nx_xor_put(&b->bits, bits ^ state->last, &state->leading, &state->trailing);
        flush(b);
    }
    state->last = bits;
}

/* A byte for zero and for the powers of two that occur, else a whole float behind it. */
void nx_prom_put_threshold(struct nx_prom_bits *b, double v)
{
    int exponent;
    if (nx_double_bits(v) == 0) {
        put(b, 0, 8);
        return;
    }
    bool power = frexp(v, &exponent) == 0.5;
    if (power && exponent >= -242 && exponent <= 11) {
        put(b, (uint64_t)exponent + 243, 8); /* modulo 2^64 */
        return;
    }
    put(b, 255, 8);
    put(b, nx_double_bits(v), 64);
}

void nx_prom_put_bound(struct nx_prom_bits *b, double v)
{
    double thousandths = round(v * 1000);
    bool exact = nx_double_bits(thousandths / 1000) == nx_double_bits(v);
    if (exact && thousandths >= 0 && v * 1000 <= 33554430) {
        nx_prom_put_uint(b, (uint64_t)thousandths + 1);
        return;
    }
    put(b, 0, 1);
    put(b, nx_double_bits(v), 64);
}
