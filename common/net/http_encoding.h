/* Compression of answers: which encoding a client takes, and zlib behind a small reusable object.
 */
#ifndef NX_NET_HTTP_ENCODING_H
#define NX_NET_HTTP_ENCODING_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/view.h"

enum nx_encoding { NX_ENCODING_IDENTITY, NX_ENCODING_GZIP, NX_ENCODING_DEFLATE, NX_ENCODING_COUNT };

/* The first of "gzip" and "deflate" in an Accept-Encoding list; exact tokens only, as Prometheus
 * (a token with a quality value is not recognised). */
enum nx_encoding nx_encoding_choose(struct nx_view accept_encoding);
/* "gzip", "deflate"; NULL for identity. */
const char *nx_encoding_name(enum nx_encoding encoding);

struct nx_deflater; /* about 256 KiB; one stream at a time */
enum nx_err nx_deflater_new(enum nx_encoding encoding, struct nx_deflater **out) NX_WARN_UNUSED;
void nx_deflater_free(struct nx_deflater *deflater);
/* Compresses one more piece, appending what comes out (perhaps nothing before `finish`). After a
 * finished stream the next call begins a new one. */
enum nx_err nx_deflater_write(struct nx_deflater *deflater, struct nx_view piece, bool finish,
                              struct nx_buf *out) NX_WARN_UNUSED;

#endif
