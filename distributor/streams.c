#include "distributor/streams.h"

#include "common/net/http_server.h"

const struct dist_stream_path dist_stream_paths[DIST_STREAM_PATHS] = {
    {"/api/v1/write", NX_HTTP_POST, &dist_remote_write},
    {"/api/v1/push", NX_HTTP_POST, &dist_remote_write},
};
