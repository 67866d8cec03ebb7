/* What looks like decimal numbers becomes integers at once; only for the others are several codes
 * written and the shortest kept. Values without a decimal form among decimal ones (markers, NaN,
 * infinities, -0) are exceptions, and leave no trace in the integers. */
#include <math.h>
#include <string.h>

#include "common/chunk/column/values_internal.h"
#include "common/chunk/xor_code.h"

/* Beyond this share of exceptions a column is not decimal. */
enum { EXCEPTIONS_SHARE = 8 };

/* --- constant --- */

static bool is_constant(const uint64_t *bits, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (bits[i] != bits[0])
            return false;
    return true;
}

static void put_constant(struct nx_buf *out, uint64_t bits)
{
    nx_buf_put_u8(out, NX_VALUES_CONSTANT);
    for (; bits != 0; bits <<= 8)
        nx_buf_put_u8(out, (uint8_t)(bits >> 56));
}

/* --- decimal --- */

/* The digits the columns needs, so that all but a few values have a decimal form; false where there
 * are none such. */
static bool find_digits(const uint64_t *bits, size_t count, unsigned *out)
{
    unsigned digits = 0;
    size_t odd = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t d;
        double v = nx_double_from_bits(bits[i]);
        if ((i > 0 && bits[i] == bits[i - 1]) || nx_decimal_exact(v, digits, &d))
            continue;
        unsigned more = digits + 1;
        while (more <= NX_DECIMAL_DIGITS && nx_decimal_round(v, more, &d) &&
               !nx_decimal_exact(v, more, &d))
            more++;
        if (more <= NX_DECIMAL_DIGITS && nx_decimal_exact(v, more, &d))
            digits = more;
        else if (++odd > 1 + count / EXCEPTIONS_SHARE)
            return false;
    }
    *out = digits;
    return true;
}

static uint64_t common_factor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The integers and the exceptions; false where there are too many of those. */
static bool to_decimal(const uint64_t *bits, size_t count, unsigned digits,
                       struct nx_values_scratch *scratch, uint64_t *factor)
{
    uint64_t common = 0;
    int64_t last = 0;
    size_t leading = 0; /* exceptions before the first number */
    scratch->exception_count = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t d;
        if (nx_decimal_exact(nx_double_from_bits(bits[i]), digits, &d)) {
            if (leading == i)
                for (size_t j = 0; j < i; j++)
                    scratch->ints[j] = d;
            if (common != 1 && d != last)
                common = common_factor(common, (uint64_t)(d < 0 ? -d : d));
            last = d;
        } else {
            leading += leading == i;
            scratch->exceptions[scratch->exception_count++] = (uint16_t)i;
        }
        scratch->ints[i] = last;
    }
    *factor = common ? common : 1;
    return scratch->exception_count <= 1 + count / EXCEPTIONS_SHARE;
}

static void put_exceptions(struct nx_buf *out, const uint64_t *bits,
                           const struct nx_values_scratch *scratch)
{
    size_t last = 0;
    nx_buf_put_uvarint(out, scratch->exception_count);
    for (size_t i = 0; i < scratch->exception_count; i++) {
        size_t at = scratch->exceptions[i];
        nx_buf_put_uvarint(out, at - last);
        nx_buf_put_u64(out, bits[at]);
        last = at;
    }
}

static bool put_decimal(struct nx_buf *out, const uint64_t *bits, size_t count,
                        struct nx_values_scratch *scratch)
{
    unsigned digits;
    uint64_t factor;
    if (!find_digits(bits, count, &digits) || !to_decimal(bits, count, digits, scratch, &factor))
        return false;
    unsigned tag = NX_VALUES_DECIMAL | digits;
    tag |= factor > 1 ? NX_VALUES_FACTOR : 0;
    tag |= scratch->exception_count > 0 ? NX_VALUES_EXCEPTIONS : 0;
    nx_buf_put_u8(out, (uint8_t)tag);
    if (factor > 1)
        nx_buf_put_uvarint(out, factor);
    if (scratch->exception_count > 0)
        put_exceptions(out, bits, scratch);
    for (size_t i = 0; factor > 1 && i < count; i++)
        scratch->ints[i] /= (int64_t)factor;
    nx_ints_encode(out, scratch->ints, count);
    return true;
}

/* --- sums of decimal numbers --- */

static unsigned bits_of(uint64_t v)
{
    uint64_t zigzag = (v << 1) ^ (uint64_t)((int64_t)v >> 63);
    return zigzag ? 64 - (unsigned)__builtin_clzll(zigzag) : 0;
}

static bool residue_at(uint64_t bits, unsigned digits, int64_t *d, uint64_t *rest)
{
    if (!nx_decimal_round(nx_double_from_bits(bits), digits, d))
        return false;
    *rest = nx_values_order(bits) - nx_values_order(nx_double_bits(nx_decimal_float(*d, digits)));
    return true;
}

/* What the changes of some values cost at that many digits; SIZE_MAX where they do not go. */
static size_t residue_cost(const uint64_t *bits, size_t count, unsigned digits)
{
    enum { LOOK_AT = 64 };
    size_t cost = 0;
    size_t seen = 0;
    int64_t last = 0;
    uint64_t last_rest = 0;
    for (size_t i = 0; i < count && seen < LOOK_AT; i++) {
        int64_t d;
        uint64_t rest;
        if (i > 0 && bits[i] == bits[i - 1])
            continue;
        if (!residue_at(bits[i], digits, &d, &rest))
            return SIZE_MAX;
        if (seen++ > 0)
            cost += bits_of((uint64_t)d - (uint64_t)last) + bits_of(rest - last_rest);
        last = d;
        last_rest = rest;
    }
    return cost;
}

static bool put_residue(struct nx_buf *out, const uint64_t *bits, size_t count,
                        struct nx_values_scratch *scratch)
{
    unsigned digits = 0;
    size_t least = SIZE_MAX;
    for (unsigned i = 0; i <= NX_DECIMAL_DIGITS; i++) {
        size_t cost = residue_cost(bits, count, i);
        if (cost < least) {
            least = cost;
            digits = i;
        }
    }
    if (least == SIZE_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint64_t rest;
        if (!residue_at(bits[i], digits, &scratch->ints[i], &rest))
            return false;
        scratch->rests[i] = (int64_t)rest;
    }
    struct nx_buf ints;
    nx_buf_init(&ints, SIZE_MAX / 4);
    nx_ints_encode(&ints, scratch->ints, count);
    bool good = nx_buf_err(&ints) == NX_OK;
    if (good) {
        nx_buf_put_u8(out, NX_VALUES_RESIDUE);
        nx_buf_put_u8(out, (uint8_t)digits);
        nx_buf_put_bytes(out, nx_buf_view(&ints));
        nx_ints_encode(out, scratch->rests, count);
    }
    nx_buf_release(&ints);
    return good;
}

/* --- bits --- */

static bool put_bits(struct nx_buf *out, const uint64_t *bits, size_t count,
                     struct nx_values_scratch *scratch)
{
    for (size_t i = 0; i < count; i++)
        scratch->ints[i] = (int64_t)nx_values_order(bits[i]);
    nx_buf_put_u8(out, NX_VALUES_BITS);
    nx_ints_encode(out, scratch->ints, count);
    return true;
}

static bool put_xor(struct nx_buf *out, const uint64_t *bits, size_t count,
                    struct nx_values_scratch *scratch)
{
    (void)scratch;
    struct nx_bits stream;
    uint8_t leading = NX_XOR_NO_WINDOW;
    uint8_t trailing = 0;
    uint64_t last = 0;
    nx_buf_put_u8(out, NX_VALUES_XOR);
    nx_bits_init(&stream, 0, 0);
    for (size_t i = 0; i < count; i++) {
        nx_xor_put(&stream, bits[i] ^ last, &leading, &trailing);
        last = bits[i];
        nx_buf_append(out, stream.bytes, stream.len);
        stream.len = 0;
    }
    unsigned used = nx_bits_finish(&stream);
    nx_buf_append(out, stream.bytes, (used + 7) / 8);
    return true;
}

/* --- choosing --- */

typedef bool (*put_scheme)(struct nx_buf *out, const uint64_t *bits, size_t count,
                           struct nx_values_scratch *scratch);

/* Writes one scheme after another behind the shortest so far. */
static void put_shortest(struct nx_buf *out, const uint64_t *bits, size_t count,
                         struct nx_values_scratch *scratch)
{
    static const put_scheme schemes[] = {put_bits, put_xor, put_residue};
    size_t begin = out->len;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t at = best == SIZE_MAX ? begin : begin + best;
        bool there = schemes[i](out, bits, count, scratch);
        if (nx_buf_err(out) != NX_OK)
            return;
        size_t bytes = out->len - at;
        if (there && bytes < best) {
            memmove(out->data + begin, out->data + at, bytes);
            best = bytes;
        }
        out->len = begin + best;
    }
}

void nx_values_encode(struct nx_buf *out, const uint64_t *bits, size_t count,
                      struct nx_values_scratch *scratch)
{
    if (is_constant(bits, count))
        put_constant(out, bits[0]);
    else if (!put_decimal(out, bits, count, scratch))
        put_shortest(out, bits, count, scratch);
}
