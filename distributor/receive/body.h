/* Bodies as they travel: snappy blocks (remote write), gzip, zstd, or plain. What a body will take
 * is bounded before memory is taken for it: a snappy block by the length it promises, the others by
 * the limit while they are decoded. Any thread. */
#ifndef DIST_RECEIVE_BODY_H
#define DIST_RECEIVE_BODY_H

#include "common/base/err.h"
#include "common/base/view.h"

enum dist_encoding {
    DIST_ENCODING_IDENTITY,
    DIST_ENCODING_SNAPPY,
    DIST_ENCODING_GZIP,
    DIST_ENCODING_ZSTD,
};

/* How many bytes the body decodes to: exactly for snappy and plain ones, a guess for the others.
 * NX_ERR_INVALID: a snappy block without a length, or with more than so few bytes can hold;
 * NX_ERR_TOO_LARGE: more than max_bytes. */
enum nx_err dist_body_length(enum dist_encoding encoding, struct nx_view body, size_t max_bytes,
                             size_t *len, struct nx_fail *fail) NX_WARN_UNUSED;

/* Decodes into memory of nx_alloc, which becomes the caller's. `expected` is what dist_body_length
 * told. NX_ERR_INVALID where the body is damaged, NX_ERR_TOO_LARGE beyond max_bytes. */
enum nx_err dist_body_decode(enum dist_encoding encoding, struct nx_view body, size_t expected,
                             size_t max_bytes, char **out, size_t *len,
                             struct nx_fail *fail) NX_WARN_UNUSED;

#endif
