/* What the readers of Prometheus's chunks share. Inside this room. */
#ifndef NX_CHUNK_PROM_CHUNK_INTERNAL_H
#define NX_CHUNK_PROM_CHUNK_INTERNAL_H

#include "common/chunk/prom_bits_read.h"
#include "common/chunk/prom_chunk_iter.h"

/* Start timestamps, stored as their distance before the sample's own time: with the first sample
 * where the header says so, then from sample number `from` on (0: never). */
struct nx_prom_st {
    bool first;
    unsigned from;
    int64_t before; /* how long before the sample it was, at the last field */
    int64_t st;     /* 0: unknown */
};

void nx_prom_st_init(struct nx_prom_st *st, uint8_t header);
/* Reads the field of sample `i` at time `t`, where it has one; `before_t`: the time of the sample
 * before. */
void nx_prom_st_read(struct nx_prom_st *st, struct nx_bit_reader *r, uint32_t i, int64_t t,
                     int64_t before_t);

enum nx_err nx_prom_histogram_iter_new(bool integers, bool with_st, struct nx_view data,
                                       struct nx_sample_iter **out) NX_WARN_UNUSED;
enum nx_err nx_prom_xor2_iter_new(struct nx_view data, struct nx_sample_iter **out) NX_WARN_UNUSED;

#endif
