/* A column is read group by group; exceptions are laid over the group they fall into. */
#include <string.h>

#include "common/chunk/column/values_internal.h"
#include "common/chunk/xor_code.h"

/* --- opening --- */

/* The list comes before the integers; it is walked once to find its end. */
static enum nx_err open_exceptions(struct nx_values_reader *r, struct nx_cursor *cur, size_t count)
{
    uint64_t listed = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || listed == 0 || listed > count)
        return NX_ERR_CORRUPT;
    r->exceptions = *cur;
    uint64_t position = 0;
    for (uint64_t i = 0; i < listed; i++) {
        uint64_t gap = nx_cursor_uvarint(cur);
        (void)nx_cursor_take(cur, 8);
        if (gap >= count - position)
            return NX_ERR_CORRUPT;
        position += gap;
        if (i == 0)
            r->next_exception = position;
        if (i > 0 && gap == 0)
            return NX_ERR_CORRUPT;
    }
    if (!nx_cursor_ok(cur))
        return NX_ERR_CORRUPT;
    (void)nx_cursor_uvarint(&r->exceptions);
    r->exception_count = listed;
    return NX_OK;
}

static struct nx_view rest_of(const struct nx_cursor *cur)
{
    return nx_view_make((const char *)cur->ptr, nx_cursor_left(cur));
}

static enum nx_err open_decimal(struct nx_values_reader *r, uint8_t tag, struct nx_cursor *cur,
                                size_t count)
{
    r->scale.digits = tag & NX_VALUES_DIGITS;
    uint64_t factor = tag & NX_VALUES_FACTOR ? nx_cursor_uvarint(cur) : 1;
    if (!nx_cursor_ok(cur) || r->scale.digits > NX_DECIMAL_DIGITS || factor == 0 ||
        factor > NX_VALUES_FACTOR_MAX)
        return NX_ERR_CORRUPT;
    r->scale.factor = (double)factor;
    enum nx_err err = tag & NX_VALUES_EXCEPTIONS ? open_exceptions(r, cur, count) : NX_OK;
    return err == NX_OK ? nx_ints_open(&r->ints, rest_of(cur), count) : err;
}

static enum nx_err open_residue(struct nx_values_reader *r, struct nx_cursor *cur, size_t count)
{
    r->scale = (struct nx_dequant){.factor = 1, .digits = nx_cursor_u8(cur)};
    struct nx_view ints = nx_cursor_bytes(cur);
    if (!nx_cursor_ok(cur) || r->scale.digits > NX_DECIMAL_DIGITS)
        return NX_ERR_CORRUPT;
    enum nx_err err = nx_ints_open(&r->ints, ints, count);
    return err == NX_OK ? nx_ints_open(&r->rests, rest_of(cur), count) : err;
}

/* The bytes of the bits from the highest to the last that is not zero. */
static enum nx_err open_constant(struct nx_values_reader *r, struct nx_cursor *cur)
{
    size_t len = nx_cursor_left(cur);
    if (len > 8)
        return NX_ERR_CORRUPT;
    for (size_t i = 0; i < len; i++)
        r->bits |= (uint64_t)nx_cursor_u8(cur) << (56 - 8 * i);
    return NX_OK;
}

enum nx_err nx_values_open(struct nx_values_reader *reader, struct nx_view bytes, size_t count)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    uint8_t tag = nx_cursor_u8(&cur);
    *reader = (struct nx_values_reader){.left = count, .leading = NX_XOR_NO_WINDOW};
    if (!nx_cursor_ok(&cur) || count == 0 || count > NX_COLUMN_MAX)
        return NX_ERR_CORRUPT;
    if (tag & NX_VALUES_DECIMAL) {
        reader->scheme = NX_VALUES_DECIMAL;
        return open_decimal(reader, tag, &cur, count);
    }
    reader->scheme = (enum nx_values_scheme)tag;
    switch (reader->scheme) {
    case NX_VALUES_CONSTANT:
        return open_constant(reader, &cur);
    case NX_VALUES_BITS:
        return nx_ints_open(&reader->ints, rest_of(&cur), count);
    case NX_VALUES_RESIDUE:
        return open_residue(reader, &cur, count);
    case NX_VALUES_XOR:
        reader->stream = (struct nx_bit_reader){.data = cur.ptr, .end = nx_cursor_left(&cur) * 8};
        return NX_OK;
    case NX_VALUES_DECIMAL:
        break;
    }
    return NX_ERR_CORRUPT;
}

/* --- reading --- */

static void lay_exceptions(struct nx_values_reader *r, double *out, size_t count)
{
    while (r->exception_count > 0 && r->next_exception < r->at + count) {
        out[r->next_exception - r->at] = nx_double_from_bits(nx_cursor_u64(&r->exceptions));
        if (--r->exception_count > 0)
            r->next_exception += nx_cursor_uvarint(&r->exceptions);
    }
}

static enum nx_err next_decimal(struct nx_values_reader *r, double *out, size_t *got)
{
    enum nx_err err = nx_ints_next_floats(&r->ints, &r->scale, out, got);
    if (err != NX_OK)
        return err;
    lay_exceptions(r, out, *got);
    return NX_OK;
}

static enum nx_err next_residue(struct nx_values_reader *r, double *out, size_t *got)
{
    int64_t rests[NX_PACK_GROUP];
    size_t again;
    enum nx_err err = nx_ints_next_floats(&r->ints, &r->scale, out, got);
    if (err == NX_OK)
        err = nx_ints_next(&r->rests, rests, &again);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < *got; i++) {
        uint64_t order = nx_values_order(nx_double_bits(out[i])) + (uint64_t)rests[i];
        out[i] = nx_double_from_bits(nx_values_order(order));
    }
    return NX_OK;
}

static enum nx_err next_bits(struct nx_values_reader *r, double *out, size_t *got)
{
    int64_t ints[NX_PACK_GROUP];
    enum nx_err err = nx_ints_next(&r->ints, ints, got);
    for (size_t i = 0; err == NX_OK && i < *got; i++)
        out[i] = nx_double_from_bits(nx_values_order((uint64_t)ints[i]));
    return err;
}

/* One value of the changed bits (xor_code.h). */
static bool read_xor(struct nx_values_reader *r)
{
    struct nx_bit_reader *stream = &r->stream;
    if (nx_bits_read(stream, 1) == 0)
        return !stream->failed;
    if (nx_bits_read(stream, 1) == 1) {
        unsigned leading = (unsigned)nx_bits_read(stream, 5);
        unsigned significant = (unsigned)nx_bits_read(stream, 6);
        significant = significant ? significant : 64;
        if (leading + significant > 64)
            return false;
        r->leading = (uint8_t)leading;
        r->trailing = (uint8_t)(64 - leading - significant);
    } else if (r->leading == NX_XOR_NO_WINDOW) {
        return false;
    }
    r->bits ^= nx_bits_read(stream, 64u - r->leading - r->trailing) << r->trailing;
    return !stream->failed;
}

static enum nx_err next_xor(struct nx_values_reader *r, double *out, size_t *got)
{
    size_t count = r->left < NX_PACK_GROUP ? r->left : NX_PACK_GROUP;
    for (size_t i = 0; i < count; i++) {
        if (!read_xor(r))
            return NX_ERR_CORRUPT;
        out[i] = nx_double_from_bits(r->bits);
    }
    *got = count;
    return NX_OK;
}

static enum nx_err next_constant(const struct nx_values_reader *r, double *out, size_t *got)
{
    size_t count = r->left < NX_PACK_GROUP ? r->left : NX_PACK_GROUP;
    double value = nx_double_from_bits(r->bits);
    for (size_t i = 0; i < NX_PACK_GROUP; i++) /* all of it: a loop of known length is fast */
        out[i] = value;
    *got = count;
    return NX_OK;
}

static bool has_ended(const struct nx_values_reader *r)
{
    switch (r->scheme) {
    case NX_VALUES_CONSTANT:
        return true;
    case NX_VALUES_XOR:
        return r->stream.end - r->stream.bit < 8;
    case NX_VALUES_RESIDUE:
        return nx_cursor_left(&r->ints.cur) == 0 && nx_cursor_left(&r->rests.cur) == 0;
    case NX_VALUES_BITS:
    case NX_VALUES_DECIMAL:
        break;
    }
    return nx_cursor_left(&r->ints.cur) == 0;
}

static enum nx_err next_of(struct nx_values_reader *r, double *out, size_t *got)
{
    switch (r->scheme) {
    case NX_VALUES_CONSTANT:
        return next_constant(r, out, got);
    case NX_VALUES_BITS:
        return next_bits(r, out, got);
    case NX_VALUES_XOR:
        return next_xor(r, out, got);
    case NX_VALUES_RESIDUE:
        return next_residue(r, out, got);
    case NX_VALUES_DECIMAL:
        break;
    }
    return next_decimal(r, out, got);
}

enum nx_err nx_values_next(struct nx_values_reader *reader, double *out, size_t *got)
{
    size_t count = 0;
    if (reader->left > 0) {
        enum nx_err err = next_of(reader, out, &count);
        if (err != NX_OK)
            return err;
    }
    reader->at += count;
    reader->left -= count;
    if (reader->left == 0 && !has_ended(reader))
        return NX_ERR_CORRUPT;
    *got = count;
    return NX_OK;
}
