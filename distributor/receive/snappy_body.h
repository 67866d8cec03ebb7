/* Bodies in the snappy block format. The length that the block promises is checked before memory is
 * taken for it. */
#ifndef DIST_RECEIVE_SNAPPY_BODY_H
#define DIST_RECEIVE_SNAPPY_BODY_H

#include "common/base/err.h"
#include "common/base/view.h"

/* The decoded length. NX_ERR_INVALID: no length there, or more than so few bytes can hold;
 * NX_ERR_TOO_LARGE: more than max_bytes. */
enum nx_err dist_snappy_length(struct nx_view body, size_t max_bytes, size_t *len,
                               struct nx_fail *fail) NX_WARN_UNUSED;

/* Decodes into `out`, which has room for exactly the `len` bytes that dist_snappy_length told.
 * NX_ERR_INVALID where the block is damaged. */
enum nx_err dist_snappy_decode(struct nx_view body, char *out, size_t len,
                               struct nx_fail *fail) NX_WARN_UNUSED;

#endif
