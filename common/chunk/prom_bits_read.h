/* The codes of numbers in Prometheus's chunks of histograms, read from a bit stream; what
 * prom_histogram_bits.h writes. Damage sets `failed` of the reader. Inside this room. */
#ifndef NX_CHUNK_PROM_BITS_READ_H
#define NX_CHUNK_PROM_BITS_READ_H

#include "common/chunk/bits.h"
#include "common/chunk/prom_histogram_bits.h"

int64_t nx_prom_read_int(struct nx_bit_reader *r);
uint64_t nx_prom_read_uint(struct nx_bit_reader *r);
/* Zig-zag LEB128. */
int64_t nx_prom_read_varint(struct nx_bit_reader *r);
/* The first value is whole. */
double nx_prom_read_float(struct nx_bit_reader *r, struct nx_prom_float *state, bool first);
/* `5 bits leading, 6 bits significant, the bits`: sets the window and changes the value. */
void nx_prom_read_new_window(struct nx_bit_reader *r, struct nx_prom_float *state);
/* The bits within the window there is; without one it is damage. */
void nx_prom_read_old_window(struct nx_bit_reader *r, struct nx_prom_float *state);
double nx_prom_read_threshold(struct nx_bit_reader *r);
double nx_prom_read_bound(struct nx_bit_reader *r);

#endif
