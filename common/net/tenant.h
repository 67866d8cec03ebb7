/* The tenant of a request, from the header X-Scope-OrgID. */
#ifndef NX_NET_TENANT_H
#define NX_NET_TENANT_H

#include "common/base/err.h"
#include "common/base/view.h"

#define NX_TENANT_HEADER "X-Scope-OrgID"
#define NX_TENANT_MAX_BYTES 150

/* Without multitenancy it is `anonymous`, whatever the header says. With it: NX_ERR_UNAUTHORIZED
 * where the header is missing or empty, NX_ERR_INVALID where it is not 1 to 150 characters of
 * [a-zA-Z0-9!-_.*'()] or is "." or
 * "..". The view aliases the header. */
enum nx_err nx_tenant_of(bool multitenancy, struct nx_view header, struct nx_view *tenant,
                         struct nx_fail *fail) NX_WARN_UNUSED;

#endif
