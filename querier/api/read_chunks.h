/* The chunks of a fetched series as remote read sends them: every sample once. XOR chunks that
 * overlap no other go out as they are; where copies of replicas overlap, and native histograms, are
 * merged and encoded anew. */
#ifndef QRY_API_READ_CHUNKS_H
#define QRY_API_READ_CHUNKS_H

#include "common/chunk/prom_chunks.h"
#include "querier/select/fetched.h"

struct qry_read_chunks {
    struct nx_chunk *chunks; /* by time */
    size_t count, at;
    int64_t min_t, max_t;
    struct nx_prom_chunks *anew; /* encoder of the chunks before `at`; may be NULL */
};

/* Sorts the series' chunks. Those that reach into [min_t, max_t] come, in ascending time; the
 * samples of those that are encoded anew are within it. */
void qry_read_chunks_init(struct qry_read_chunks *rc, struct qry_fetched_series *series,
                          int64_t min_t, int64_t max_t);
void qry_read_chunks_release(struct qry_read_chunks *rc);
/* As nx_prom_chunks_next. */
int qry_read_chunks_next(struct qry_read_chunks *rc, struct nx_prom_chunk *out);

#endif
