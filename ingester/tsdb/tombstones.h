/* The deletions of a TSDB block that have not been carried out yet. */
#ifndef ING_TSDB_TOMBSTONES_H
#define ING_TSDB_TOMBSTONES_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/view.h"

struct ing_tsdb_tombstone {
    uint64_t series; /* reference, as postings have it */
    int64_t min_t;
    int64_t max_t; /* inclusive */
};

struct ing_tsdb_tombstones {
    struct ing_tsdb_tombstone *items; /* by series */
    size_t count;
};

/* Reads the bytes of the file. */
enum nx_err ing_tsdb_tombstones_read(struct nx_view bytes, struct ing_tsdb_tombstones *out,
                                     struct nx_fail *fail) NX_WARN_UNUSED;
void ing_tsdb_tombstones_release(struct ing_tsdb_tombstones *tombstones);
/* Those of one series; NULL where there are none. */
const struct ing_tsdb_tombstone *
ing_tsdb_tombstones_of(const struct ing_tsdb_tombstones *tombstones, uint64_t series,
                       size_t *count);

#endif
