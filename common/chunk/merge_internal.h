#ifndef NX_CHUNK_MERGE_INTERNAL_H
#define NX_CHUNK_MERGE_INTERNAL_H

#include "common/chunk/sample.h"

/* nx_sample_precedence without the hint. */
int nx_sample_compare_data(const struct nx_sample *a, const struct nx_sample *b);

#endif
