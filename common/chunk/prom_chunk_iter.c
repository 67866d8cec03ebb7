#include "common/chunk/prom_chunk_iter.h"

#include "common/chunk/chunk.h"
#include "common/chunk/prom_chunk_internal.h"

void nx_prom_st_init(struct nx_prom_st *st, uint8_t header)
{
    *st = (struct nx_prom_st){.first = header >> 7, .from = header & 0x7F};
}

void nx_prom_st_read(struct nx_prom_st *st, struct nx_bit_reader *r, uint32_t i, int64_t t,
                     int64_t before_t)
{
    if (i == 0) {
        if (st->first)
            st->st = (int64_t)((uint64_t)t - (uint64_t)nx_prom_read_varint(r));
        return;
    }
    if (st->from == 0 || i < st->from)
        return;
    uint64_t change = (uint64_t)nx_prom_read_int(r);
    uint64_t base = i == st->from ? 0 : (uint64_t)st->before;
    st->before = (int64_t)(base + change);
    st->st = (int64_t)((uint64_t)before_t - (uint64_t)st->before);
}

enum nx_err nx_prom_chunk_iter_new(unsigned kind, struct nx_view data, struct nx_sample_iter **out)
{
    switch (kind) {
    case NX_PROM_KIND_XOR:
        return nx_chunk_iter_new(NX_CHUNK_XOR, data, out);
    case NX_PROM_KIND_XOR2:
        return nx_prom_xor2_iter_new(data, out);
    case NX_PROM_KIND_HISTOGRAM:
    case NX_PROM_KIND_FLOAT_HISTOGRAM:
        return nx_prom_histogram_iter_new(kind == NX_PROM_KIND_HISTOGRAM, false, data, out);
    case NX_PROM_KIND_HISTOGRAM_ST:
    case NX_PROM_KIND_FLOAT_HISTOGRAM_ST:
        return nx_prom_histogram_iter_new(kind == NX_PROM_KIND_HISTOGRAM_ST, true, data, out);
    default:
        return NX_ERR_UNSUPPORTED;
    }
}
