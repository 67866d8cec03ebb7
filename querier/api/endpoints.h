/* The steps of the endpoints, by file; the table is in endpoints.c. */
#ifndef QRY_API_ENDPOINTS_H
#define QRY_API_ENDPOINTS_H

#include "querier/api/job.h"

/* query.c */
bool qry_query_prepare(struct qry_job *op);
bool qry_query_range_prepare(struct qry_job *op);
bool qry_query_evaluate(struct qry_job *op);
bool qry_query_render(struct qry_job *op, struct qry_json *json);
void qry_query_release(struct qry_job *op);
/* expression.c: format_query, parse_query */
bool qry_expression_prepare(struct qry_job *op);
bool qry_format_render(struct qry_job *op, struct qry_json *json);
bool qry_tree_render(struct qry_job *op, struct qry_json *json);
void qry_expression_release(struct qry_job *op);
/* series.c: series, labels, label/{name}/values */
bool qry_series_prepare(struct qry_job *op);
bool qry_series_evaluate(struct qry_job *op);
bool qry_series_render(struct qry_job *op, struct qry_json *json);
bool qry_labels_prepare(struct qry_job *op);
bool qry_label_values_prepare(struct qry_job *op);
bool qry_labels_evaluate(struct qry_job *op);
bool qry_labels_render(struct qry_job *op, struct qry_json *json);
void qry_listing_release(struct qry_job *op);
/* metadata.c */
bool qry_metadata_prepare(struct qry_job *op);
bool qry_metadata_evaluate(struct qry_job *op);
bool qry_metadata_render(struct qry_job *op, struct qry_json *json);
/* exemplars.c */
bool qry_exemplars_prepare(struct qry_job *op);
bool qry_exemplars_evaluate(struct qry_job *op);
bool qry_exemplars_render(struct qry_job *op, struct qry_json *json);
void qry_exemplars_release(struct qry_job *op);
/* remote_read.c: read */
#define QRY_READ_MAX_BYTES ((size_t)32 << 20) /* of a request, compressed and decompressed */
bool qry_read_prepare(struct qry_job *op);
bool qry_read_evaluate(struct qry_job *op);
bool qry_read_render(struct qry_job *op, struct qry_json *json);
void qry_read_release(struct qry_job *op);
/* federate.c */
bool qry_federate_prepare(struct qry_job *op);
bool qry_federate_evaluate(struct qry_job *op);
bool qry_federate_render(struct qry_job *op, struct qry_json *json);
void qry_federate_release(struct qry_job *op);
/* status.c */
bool qry_status_config_render(struct qry_job *op, struct qry_json *json);
bool qry_status_flags_render(struct qry_job *op, struct qry_json *json);
bool qry_status_runtime_render(struct qry_job *op, struct qry_json *json);
bool qry_status_build_render(struct qry_job *op, struct qry_json *json);
bool qry_status_features_render(struct qry_job *op, struct qry_json *json);
bool qry_status_replay_render(struct qry_job *op, struct qry_json *json);
bool qry_version_prepare(struct qry_job *op);
bool qry_version_render(struct qry_job *op, struct qry_json *json);
/* tsdb_status.c */
bool qry_status_tsdb_prepare(struct qry_job *op);
bool qry_status_tsdb_evaluate(struct qry_job *op);
bool qry_status_tsdb_render(struct qry_job *op, struct qry_json *json);
/* cardinality.c, active_series.c: cardinality/... */
bool qry_label_names_cardinality_prepare(struct qry_job *op);
bool qry_label_names_cardinality_render(struct qry_job *op, struct qry_json *json);
bool qry_label_values_cardinality_prepare(struct qry_job *op);
bool qry_label_values_cardinality_render(struct qry_job *op, struct qry_json *json);
bool qry_cardinality_evaluate(struct qry_job *op);
void qry_cardinality_release(struct qry_job *op);
bool qry_active_series_prepare(struct qry_job *op);
bool qry_active_series_evaluate(struct qry_job *op);
bool qry_active_series_render(struct qry_job *op, struct qry_json *json);
void qry_active_series_release(struct qry_job *op);
/* admin.c: admin/tsdb/... */
bool qry_delete_prepare(struct qry_job *op);
bool qry_clean_prepare(struct qry_job *op);
bool qry_flush_prepare(struct qry_job *op);
bool qry_admin_evaluate(struct qry_job *op);
bool qry_snapshot_prepare(struct qry_job *op);
bool qry_snapshot_render(struct qry_job *op, struct qry_json *json);
void qry_admin_release(struct qry_job *op);
/* notifications.c */
bool qry_notifications_render(struct qry_job *op, struct qry_json *json);
void qry_notifications_live(struct nx_http_request *req, void *route);
/* self_metrics.c */
bool qry_self_metrics_prepare(struct qry_job *op);
bool qry_self_metrics_render(struct qry_job *op, struct qry_json *json);
void qry_self_metrics_release(struct qry_job *op);
/* openapi.c */
bool qry_openapi_prepare(struct qry_job *op);
bool qry_openapi_render(struct qry_job *op, struct qry_json *json);
/* fixed.c: what a querier has none of */
bool qry_no_search_prepare(struct qry_job *op);
bool qry_no_rules_prepare(struct qry_job *op);
bool qry_no_rules_render(struct qry_job *op, struct qry_json *json);
bool qry_no_alerts_render(struct qry_job *op, struct qry_json *json);
bool qry_no_target_metadata_prepare(struct qry_job *op);
bool qry_no_targets_render(struct qry_job *op, struct qry_json *json);
bool qry_no_alertmanagers_render(struct qry_job *op, struct qry_json *json);
bool qry_no_scrape_pools_render(struct qry_job *op, struct qry_json *json);
bool qry_no_pool_prepare(struct qry_job *op);
bool qry_no_relabel_steps_prepare(struct qry_job *op);
bool qry_no_blocks_render(struct qry_job *op, struct qry_json *json);
bool qry_no_items_render(struct qry_job *op, struct qry_json *json);

#endif
