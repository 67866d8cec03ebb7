/* The paths of the streams. */
#ifndef DIST_STREAMS_H
#define DIST_STREAMS_H

#include "distributor/receive/stream.h"

struct dist_stream_path {
    const char *path; /* as of struct nx_http_route */
    unsigned methods; /* enum nx_http_method */
    const struct dist_stream *stream;
};

#define DIST_STREAM_PATHS 10
extern const struct dist_stream_path dist_stream_paths[DIST_STREAM_PATHS];

#endif
