/* The codes of numbers in Prometheus's chunks of histograms, written to a buffer. Inside this room.
 */
#ifndef NX_CHUNK_PROM_HISTOGRAM_BITS_H
#define NX_CHUNK_PROM_HISTOGRAM_BITS_H

#include "common/base/buf.h"
#include "common/chunk/bits.h"

struct nx_prom_bits {
    struct nx_bits bits;
    struct nx_buf *out;
};

/* A float that is coded by its difference from the one before. */
struct nx_prom_float {
    uint64_t last;
    uint8_t leading, trailing;
};

void nx_prom_bits_init(struct nx_prom_bits *b, struct nx_buf *out);
/* Pads the last byte with zeros. */
void nx_prom_bits_finish(struct nx_prom_bits *b);
void nx_prom_put_int(struct nx_prom_bits *b, int64_t v);
void nx_prom_put_uint(struct nx_prom_bits *b, uint64_t v);
/* The first value is written whole. */
void nx_prom_put_float(struct nx_prom_bits *b, struct nx_prom_float *state, double v, bool first);
void nx_prom_put_threshold(struct nx_prom_bits *b, double v);
/* A custom bucket's bound. */
void nx_prom_put_bound(struct nx_prom_bits *b, double v);

#endif
