#include "distributor/streams.h"

#include "common/net/http_server.h"

const struct dist_stream_path dist_stream_paths[DIST_STREAM_PATHS] = {
    {"/api/v1/write", NX_HTTP_POST, &dist_remote_write},
    {"/api/v1/push", NX_HTTP_POST, &dist_remote_write},
    {"/api/v1/import/prometheus", NX_HTTP_POST, &dist_text_import},
    {"/api/v1/import/prometheus/metrics/job/*", NX_HTTP_POST | NX_HTTP_PUT, &dist_text_push},
    {"/api/v1/import/prometheus/metrics/job@base64/*", NX_HTTP_POST | NX_HTTP_PUT,
     &dist_text_push_base64},
    {"/otlp/v1/metrics", NX_HTTP_POST, &dist_otlp_metrics},
    {"/write", NX_HTTP_POST, &dist_influx},
    {"/api/v2/write", NX_HTTP_POST, &dist_influx},
    {"/metrics/job/*", NX_HTTP_POST | NX_HTTP_PUT, &dist_text_push},
    {"/metrics/job@base64/*", NX_HTTP_POST | NX_HTTP_PUT, &dist_text_push_base64},
};
