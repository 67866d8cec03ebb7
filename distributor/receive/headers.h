/* What the headers of a request say of its body, for the streams to choose by. */
#ifndef DIST_RECEIVE_HEADERS_H
#define DIST_RECEIVE_HEADERS_H

#include "common/base/err.h"
#include "common/base/view.h"
#include "distributor/receive/body.h"

/* A header that is absent has ptr NULL. */
struct dist_headers {
    struct nx_view content_type;
    struct nx_view content_encoding;
};

/* A header's value for an error text. */
struct nx_view dist_header_shown(struct nx_view header);
/* The media type without parameters; empty where the header is absent. */
struct nx_view dist_header_media(struct nx_view content_type);
/* The value of the last parameter of that name, unquoted; ptr NULL where there is none.
 * NX_ERR_UNSUPPORTED where a parameter is not of the form name=value. */
enum nx_err dist_header_parameter(struct nx_view content_type, const char *name,
                                  struct nx_view *value, struct nx_fail *fail) NX_WARN_UNUSED;
/* The encoding among those allowed (bits 1 << enum dist_encoding); `fallback` where the header is
 * absent or empty. NX_ERR_UNSUPPORTED with the list otherwise. */
enum nx_err dist_header_encoding(struct nx_view content_encoding, unsigned allowed,
                                 enum dist_encoding fallback, enum dist_encoding *out,
                                 struct nx_fail *fail) NX_WARN_UNUSED;

#endif
