/* multipart/form-data (RFC 7578): the fields of a form; parts with a file name are passed over, as
 * Go's FormValue does. */
#ifndef NX_NET_HTTP_MULTIPART_H
#define NX_NET_HTTP_MULTIPART_H

#include "common/net/http_params_internal.h"

/* Values alias the body. NX_ERR_INVALID where the boundary is missing or the body does not follow
 * it. */
enum nx_err nx_http_multipart_parse(struct nx_arena *arena, struct nx_view content_type,
                                    struct nx_view body, struct nx_param_list *list,
                                    struct nx_fail *fail) NX_WARN_UNUSED;

#endif
