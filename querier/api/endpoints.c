/* The table of endpoints: path, methods, and the steps that answer it. */
#include "querier/api/endpoints.h"

#include <assert.h>
#include <string.h>

#include "common/base/alloc.h"
#include "querier/api/targets.h"

#define GET NX_HTTP_GET
#define GET_POST (NX_HTTP_GET | NX_HTTP_POST)
#define POST_PUT (NX_HTTP_POST | NX_HTTP_PUT)

static const struct qry_endpoint endpoints[] = {
    {.path = "query",
     .label = "query",
     .methods = GET_POST,
     .prepare = qry_query_prepare,
     .evaluate = qry_query_evaluate,
     .render = qry_query_render,
     .release = qry_query_release},
    {.path = "query_range",
     .label = "query_range",
     .methods = GET_POST,
     .prepare = qry_query_range_prepare,
     .evaluate = qry_query_evaluate,
     .render = qry_query_render,
     .release = qry_query_release},
    {.path = "query_exemplars",
     .label = "query_exemplars",
     .methods = GET_POST,
     .prepare = qry_exemplars_prepare,
     .evaluate = qry_exemplars_evaluate,
     .render = qry_exemplars_render,
     .release = qry_exemplars_release},
    {.path = "format_query",
     .label = "format_query",
     .methods = GET_POST,
     .immediate = true,
     .prepare = qry_expression_prepare,
     .render = qry_format_render,
     .release = qry_expression_release},
    {.path = "parse_query",
     .label = "parse_query",
     .methods = GET_POST,
     .immediate = true,
     .prepare = qry_expression_prepare,
     .render = qry_tree_render,
     .release = qry_expression_release},
    {.path = "series",
     .label = "series",
     .methods = GET_POST,
     .strict_form = true,
     .prepare = qry_series_prepare,
     .evaluate = qry_series_evaluate,
     .render = qry_series_render,
     .release = qry_listing_release},
    {.path = "labels",
     .label = "labels",
     .methods = GET_POST,
     .prepare = qry_labels_prepare,
     .evaluate = qry_labels_evaluate,
     .render = qry_labels_render,
     .release = qry_listing_release},
    {.path = "label/{name}/values",
     .label = "label_values",
     .methods = GET,
     .prepare = qry_label_values_prepare,
     .evaluate = qry_labels_evaluate,
     .render = qry_labels_render,
     .release = qry_listing_release},
    {.path = "metadata",
     .label = "metadata",
     .methods = GET,
     .prepare = qry_metadata_prepare,
     .evaluate = qry_metadata_evaluate,
     .render = qry_metadata_render},
    {.path = "read",
     .label = "read",
     .methods = NX_HTTP_POST,
     .raw = true,
     .no_form = true,
     .uncompressed = true,
     .max_body_bytes = QRY_READ_MAX_BYTES,
     .prepare = qry_read_prepare,
     .evaluate = qry_read_evaluate,
     .render = qry_read_render,
     .release = qry_read_release},
    {.path = "/federate",
     .label = "federate",
     .methods = GET,
     .raw = true,
     .strict_form = true,
     .prepare = qry_federate_prepare,
     .evaluate = qry_federate_evaluate,
     .render = qry_federate_render,
     .release = qry_federate_release},
    {.path = "status/tsdb",
     .label = "status_tsdb",
     .methods = GET,
     .prepare = qry_status_tsdb_prepare,
     .evaluate = qry_status_tsdb_evaluate,
     .render = qry_status_tsdb_render},
    {.path = "status/tsdb/blocks",
     .label = "status_tsdb",
     .methods = GET,
     .immediate = true,
     .render = qry_no_blocks_render},
    {.path = "cardinality/label_names",
     .label = "cardinality",
     .methods = GET_POST,
     .raw = true,
     .strict_form = true,
     .prepare = qry_label_names_cardinality_prepare,
     .evaluate = qry_cardinality_evaluate,
     .render = qry_label_names_cardinality_render,
     .release = qry_cardinality_release},
    {.path = "cardinality/label_values",
     .label = "cardinality",
     .methods = GET_POST,
     .raw = true,
     .strict_form = true,
     .prepare = qry_label_values_cardinality_prepare,
     .evaluate = qry_cardinality_evaluate,
     .render = qry_label_values_cardinality_render,
     .release = qry_cardinality_release},
    {.path = "cardinality/active_series",
     .label = "cardinality",
     .methods = GET_POST,
     .raw = true,
     .strict_form = true,
     .prepare = qry_active_series_prepare,
     .evaluate = qry_active_series_evaluate,
     .render = qry_active_series_render,
     .release = qry_active_series_release},
    {.path = "admin/tsdb/delete_series",
     .label = "admin",
     .methods = POST_PUT,
     .prepare = qry_delete_prepare,
     .evaluate = qry_admin_evaluate,
     .release = qry_admin_release},
    {.path = "admin/tsdb/clean_tombstones",
     .label = "admin",
     .methods = POST_PUT,
     .prepare = qry_clean_prepare,
     .evaluate = qry_admin_evaluate,
     .release = qry_admin_release},
    {.path = "admin/tsdb/flush",
     .label = "admin",
     .methods = POST_PUT,
     .prepare = qry_flush_prepare,
     .evaluate = qry_admin_evaluate,
     .release = qry_admin_release},
    {.path = "admin/tsdb/snapshot",
     .label = "admin",
     .methods = POST_PUT,
     .prepare = qry_snapshot_prepare,
     .render = qry_snapshot_render,
     .release = qry_admin_release},
    {.path = "status/config",
     .label = "status",
     .methods = GET,
     .immediate = true,
     .render = qry_status_config_render},
    {.path = "status/flags",
     .label = "status",
     .methods = GET,
     .immediate = true,
     .render = qry_status_flags_render},
    {.path = "status/runtimeinfo",
     .label = "status",
     .methods = GET,
     .immediate = true,
     .render = qry_status_runtime_render},
    {.path = "status/buildinfo",
     .label = "status",
     .methods = GET,
     .immediate = true,
     .render = qry_status_build_render},
    {.path = "status/walreplay",
     .label = "status",
     .methods = GET,
     .immediate = true,
     .render = qry_status_replay_render},
    {.path = "status/self_metrics",
     .label = "status",
     .methods = GET,
     .immediate = true,
     .prepare = qry_self_metrics_prepare,
     .render = qry_self_metrics_render,
     .release = qry_self_metrics_release},
    {.path = "/version",
     .label = "status",
     .methods = GET,
     .immediate = true,
     .raw = true,
     .prepare = qry_version_prepare,
     .render = qry_version_render},
    {.path = "features",
     .label = "status",
     .methods = GET,
     .immediate = true,
     .render = qry_status_features_render},
    {.path = "rules",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .strict_form = true,
     .prepare = qry_no_rules_prepare,
     .render = qry_no_rules_render},
    {.path = "alerts",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .render = qry_no_alerts_render},
    {.path = "targets",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .handle = qry_targets_handle,
     .render = qry_no_targets_render},
    {.path = "targets/metadata",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .handle = qry_targets_handle,
     .prepare = qry_no_target_metadata_prepare,
     .render = qry_no_items_render},
    {.path = "scrape_pools",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .handle = qry_targets_handle,
     .render = qry_no_scrape_pools_render},
    {.path = "scrape_pools/config",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .prepare = qry_no_pool_prepare},
    {.path = "targets/relabel_steps",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .prepare = qry_no_relabel_steps_prepare},
    {.path = "alertmanagers",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .render = qry_no_alertmanagers_render},
    {.path = "notifications",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .uncompressed = true,
     .render = qry_notifications_render},
    {.path = "notifications/live",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .handle = qry_notifications_live},
    {.path = "openapi.yaml",
     .label = "other",
     .methods = GET,
     .immediate = true,
     .raw = true,
     .prepare = qry_openapi_prepare,
     .render = qry_openapi_render},
    {.path = "search/*",
     .label = "other",
     .methods = GET_POST,
     .immediate = true,
     .prepare = qry_no_search_prepare},
};

#define COUNT (sizeof endpoints / sizeof *endpoints)

const struct qry_endpoint *qry_endpoint_at(size_t i)
{
    return i < COUNT ? &endpoints[i] : NULL;
}

/* A form is percent-encoded: up to three bytes for one of the query, and other parameters beside
 * it. */
static size_t form_bytes(const struct querier *qry)
{
    return (size_t)qry->deps.settings->max_query_bytes * 3 + (64u << 10);
}

static enum nx_err add_route(struct querier *qry, struct qry_route *route, const char *path)
{
    size_t body_bytes = route->endpoint->max_body_bytes;
    struct nx_http_route http = {.methods = route->endpoint->methods | NX_HTTP_OPTIONS,
                                 .no_head = true,
                                 .path = path,
                                 .handle = route->endpoint->handle ? route->endpoint->handle
                                                                   : qry_job_handle,
                                 .user = route,
                                 .max_body_bytes = body_bytes ? body_bytes : form_bytes(qry),
                                 .body_setting = body_bytes ? NULL : "query.max-query-bytes"};
    return nx_http_server_route(qry->deps.http, &http);
}

static size_t metric_slot(const char *label)
{
    const char *const *labels = qry_endpoint_labels();
    size_t slot = 0;
    while (labels[slot] && strcmp(labels[slot], label) != 0)
        slot++;
    assert(labels[slot]);
    return slot;
}

enum nx_err qry_add_routes(struct querier *qry)
{
    qry->routes = nx_calloc(COUNT, sizeof *qry->routes);
    if (!qry->routes)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < COUNT; i++) {
        struct nx_buf path;
        qry->routes[i] = (struct qry_route){
            .qry = qry, .endpoint = &endpoints[i], .metric_slot = metric_slot(endpoints[i].label)};
        nx_buf_init(&path, 256);
        const char *below = endpoints[i].path[0] == '/' ? "" : "/api/v1/";
        nx_buf_printf(&path, "%s%s%c", below, endpoints[i].path, '\0');
        enum nx_err err = nx_buf_err(&path);
        if (!err)
            err = add_route(qry, &qry->routes[i], path.data);
        nx_buf_release(&path);
        if (err)
            return err;
    }
    /* preflight requests for paths that do not exist, too */
    struct nx_http_route preflight = {.methods = NX_HTTP_OPTIONS,
                                      .path = "/api/v1/*",
                                      .handle = qry_job_handle,
                                      .user = &qry->routes[0]};
    return nx_http_server_route(qry->deps.http, &preflight);
}
