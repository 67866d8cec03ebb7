/* A stream is one way in for samples: what its requests carry, and how their bodies become a batch.
 * Each format is a file of this folder; distributor/streams.c lists their paths. */
#ifndef DIST_RECEIVE_STREAM_H
#define DIST_RECEIVE_STREAM_H

#include "distributor/receive/headers.h"
#include "distributor/receive/rw_points.h"

/* What a decoder is given. */
struct dist_intake {
    struct nx_view message;   /* the body, decoded; the batch owns it */
    struct nx_view path_rest; /* what stood for the "*" of the path */
    struct nx_view query;     /* of the URL, raw */
    int64_t now_ms;
    const struct dist_decode_limits *limits;
};

/* Decodes into the (cleared) batch, whose views may alias the message. NX_ERR_INVALID: malformed,
 * nothing of it is stored; NX_ERR_TOO_LARGE: a limit, or the arena's cap; NX_ERR_NOMEM. */
typedef enum nx_err (*dist_decode)(const struct dist_intake *intake, struct dist_batch *batch,
                                   struct nx_fail *fail);

/* What a request turned out to be, by its headers. */
struct dist_form {
    dist_decode decode;
    enum dist_encoding encoding;
    bool tells_written; /* the answer's counts are those of remote write 2.0, else 0 */
};

struct dist_stream {
    int success;       /* status of a request that is stored whole */
    bool remote_write; /* every answer has the headers of written counts */
    /* Before the body is read. NX_ERR_UNSUPPORTED with the reason. */
    enum nx_err (*negotiate)(const struct dist_headers *headers, struct dist_form *form,
                             struct nx_fail *fail);
};

/* Remote write, 1.0 and 2.0 (docs/formats/remote-write.md). */
extern const struct dist_stream dist_remote_write;
/* Text (docs/formats/text.md): imported as it is, or pushed for a job as to a Pushgateway, whose
 * grouping labels are the rest of the path. */
extern const struct dist_stream dist_text_import;
extern const struct dist_stream dist_text_push;
extern const struct dist_stream dist_text_push_base64; /* the job's name is in base64 */
/* Influx line protocol (docs/formats/influx.md). */
extern const struct dist_stream dist_influx;
/* OTLP metrics (docs/formats/otlp.md). */
extern const struct dist_stream dist_otlp_metrics;

#endif
