/* What a tenant may ask about itself: GET /api/v1/user_limits and /api/v1/user_stats, in the shapes
 * of Mimir. */
#ifndef DIST_USER_INFO_H
#define DIST_USER_INFO_H

#include "common/base/err.h"

struct distributor;

/* Adds the routes; before the workers start. */
enum nx_err dist_user_info_add(struct distributor *dist) NX_WARN_UNUSED;

#endif
