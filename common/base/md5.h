/* MD5 (RFC 1321), for what Prometheus prescribes it: the hashmod action of relabeling. Not for
 * anything that needs a cryptographic hash. Pure, any thread. */
#ifndef NX_BASE_MD5_H
#define NX_BASE_MD5_H

#include <stdint.h>

#include "common/base/view.h"

#define NX_MD5_BYTES 16

void nx_md5(struct nx_view text, uint8_t out[NX_MD5_BYTES]);

#endif
