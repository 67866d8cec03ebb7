/* The messages of remote read (proto/remote.proto), decoded and encoded without copies: label
 * values may hold any byte. */
#ifndef QRY_API_REMOTE_PROTO_H
#define QRY_API_REMOTE_PROTO_H

#include "common/base/arena.h"
#include "common/chunk/prom_histogram_chunk.h"
#include "common/chunk/sample.h"
#include "common/labels/matcher.h"

struct qry_read_query {
    int64_t min_t, max_t; /* inclusive: the query's, cut to the hints' where they name a range */
    struct nx_matcher *matchers;
    size_t matcher_count;
    bool labels_only; /* the hints ask for series, not for samples */
};

enum qry_read_type { QRY_READ_SAMPLES = 0, QRY_READ_CHUNKS = 1 };

struct qry_read_request {
    struct qry_read_query *queries;
    size_t count;
    enum qry_read_type type; /* the first accepted one that there is */
};

/* Decodes a ReadRequest into the arena; what it holds by then is released by
 * qry_read_request_release, on failure too. NX_ERR_INVALID with a text for the client. */
enum nx_err qry_read_request_decode(struct nx_arena *arena, struct nx_view bytes,
                                    struct qry_read_request *out,
                                    struct nx_fail *fail) NX_WARN_UNUSED;
void qry_read_request_release(struct qry_read_request *request);

/* Fields of a TimeSeries, without what is around them. */
void qry_put_read_labels(struct nx_buf *buf, struct nx_labels labels);
void qry_put_read_sample(struct nx_buf *buf, int64_t t, double value);
/* `scratch` is overwritten. */
void qry_put_read_histogram(struct nx_buf *buf, struct nx_buf *scratch, int64_t t,
                            const struct nx_histogram *h);
/* A Chunk as the field `chunks` of a ChunkedSeries. */
void qry_put_read_chunk(struct nx_buf *buf, const struct nx_prom_chunk *chunk);
/* One frame: length, CRC-32C and a ChunkedReadResponse with this ChunkedSeries. */
void qry_put_read_frame(struct nx_buf *out, struct nx_buf *scratch, struct nx_view series,
                        uint64_t query_index);

#endif
