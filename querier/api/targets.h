/* /api/v1/targets, /api/v1/targets/metadata and /api/v1/scrape_pools where distributors scrape. */
#ifndef QRY_API_TARGETS_H
#define QRY_API_TARGETS_H

#include "querier/api/job.h"

/* The HTTP handler of such an endpoint; `user` is its struct qry_route. Asks the distributors of
 * query.distributors; without any, and for malformed requests, it is qry_job_handle. */
void qry_targets_handle(struct nx_http_request *req, void *user);

#endif
