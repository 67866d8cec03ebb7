/* Which message a write request carries, by its headers (docs/formats/remote-write.md). */
#ifndef DIST_RECEIVE_NEGOTIATE_H
#define DIST_RECEIVE_NEGOTIATE_H

#include "common/base/err.h"
#include "common/base/view.h"

enum dist_message { DIST_MESSAGE_RW1, DIST_MESSAGE_RW2 };

/* A header that is absent has ptr NULL. No Content-Type, or one without `proto=`, means 1.0; no
 * Content-Encoding means snappy. NX_ERR_UNSUPPORTED with the reason otherwise. */
enum nx_err dist_negotiate(struct nx_view content_type, struct nx_view content_encoding,
                           enum dist_message *message, struct nx_fail *fail) NX_WARN_UNUSED;

#endif
