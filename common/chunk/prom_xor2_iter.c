/* Float chunks of the newer kind: one code for the change of time and value together, stale markers
 * of a few bits that leave the reference value alone, and start timestamps. */
#include "common/base/alloc.h"
#include "common/chunk/counted_iter.h"
#include "common/chunk/prom_chunk_internal.h"
#include "common/chunk/xor_code.h"

enum { HEADER_BYTES = 3, TIME_CODES = 5 };

struct xor2_iter {
    struct nx_counted_iter counted;
    struct nx_bit_reader reader;
    struct nx_prom_st st;
    struct nx_prom_float value; /* the last that was no stale marker */
    bool stale;                 /* the current sample */
    uint64_t delta;
};

static unsigned read_ones(struct nx_bit_reader *r, unsigned most)
{
    unsigned ones = 0;
    while (ones < most && nx_bits_read(r, 1))
        ones++;
    return ones;
}

/* 0: unchanged, 10: within the window, 110: a new window, 111: a stale marker. */
static void read_value(struct xor2_iter *x)
{
    switch (read_ones(&x->reader, 3)) {
    case 0:
        break;
    case 1:
        nx_prom_read_old_window(&x->reader, &x->value);
        break;
    case 2:
        nx_prom_read_new_window(&x->reader, &x->value);
        break;
    default:
        x->stale = true;
        break;
    }
}

static uint64_t read_signed(struct nx_bit_reader *r, unsigned bits)
{
    uint64_t v = nx_bits_read(r, bits);
    return v >> (bits - 1) ? v - (UINT64_C(1) << bits) : v;
}

static void read_joint(struct xor2_iter *x)
{
    struct nx_bit_reader *r = &x->reader;
    switch (read_ones(r, TIME_CODES)) {
    case 0:
        return;
    case 1:
        if (nx_bits_read(r, 1))
            nx_prom_read_new_window(r, &x->value);
        else
            nx_prom_read_old_window(r, &x->value);
        return;
    case 2:
        x->delta += read_signed(r, 13);
        break;
    case 3:
        x->delta += read_signed(r, 20);
        break;
    case 4:
        x->delta += nx_bits_read(r, 64);
        break;
    default:
        x->stale = true;
        return;
    }
    read_value(x);
}

static bool read_sample(struct xor2_iter *x)
{
    struct nx_bit_reader *r = &x->reader;
    int64_t before = x->counted.t;
    x->stale = false;
    if (x->counted.read == 0) {
        x->counted.t = nx_prom_read_varint(r);
        double first = nx_prom_read_float(r, &x->value, true);
        x->stale = nx_is_stale(first);
        if (x->stale)
            x->value.last = 0;
    } else {
        if (x->counted.read == 1) {
            x->delta = nx_bits_read_uvarint(r);
            read_value(x);
        } else {
            read_joint(x);
        }
        x->counted.t = (int64_t)((uint64_t)before + x->delta);
    }
    nx_prom_st_read(&x->st, r, x->counted.read, x->counted.t, before);
    return !r->failed && (x->counted.read == 0 || x->counted.t > before);
}

static enum nx_err read_next(struct nx_counted_iter *it)
{
    return read_sample((struct xor2_iter *)it) ? NX_OK : NX_ERR_CORRUPT;
}

static void show(const struct nx_counted_iter *it, struct nx_sample *out)
{
    const struct xor2_iter *x = (const struct xor2_iter *)it;
    uint64_t bits = x->stale ? NX_STALE_NAN_BITS : x->value.last;
    *out = (struct nx_sample){.t = it->t, .st = x->st.st, .value = nx_double_from_bits(bits)};
}

static int xor2_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    return nx_counted_next((struct nx_counted_iter *)it, read_next, show, out);
}

static int xor2_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    return nx_counted_seek((struct nx_counted_iter *)it, t, read_next, show, out);
}

static void xor2_free(struct nx_sample_iter *it)
{
    nx_free(it);
}

enum nx_err nx_prom_xor2_iter_new(struct nx_view data, struct nx_sample_iter **out)
{
    static const struct nx_sample_iter_ops ops = {
        .next = xor2_next, .seek = xor2_seek, .free = xor2_free};
    if (data.len < HEADER_BYTES)
        return NX_ERR_CORRUPT;
    struct xor2_iter *x = nx_calloc(1, sizeof *x);
    if (!x)
        return NX_ERR_NOMEM;
    const uint8_t *bytes = (const uint8_t *)data.ptr;
    nx_counted_init(&x->counted, &ops, bytes);
    nx_prom_st_init(&x->st, bytes[2]);
    x->value.leading = NX_XOR_NO_WINDOW;
    x->reader.data = bytes;
    x->reader.bit = (size_t)HEADER_BYTES * 8;
    x->reader.end = data.len * 8;
    *out = &x->counted.base;
    return NX_OK;
}
