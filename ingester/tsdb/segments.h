/* The chunk segments of a TSDB block, mapped into memory. Any thread; page faults make calls block.
 */
#ifndef ING_TSDB_SEGMENTS_H
#define ING_TSDB_SEGMENTS_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/view.h"

struct ing_tsdb_segments {
    struct nx_view *files; /* whole files */
    size_t count;
};

/* Maps <dir>/000001 and so on; a missing directory is a block without chunks. */
enum nx_err ing_tsdb_segments_open(const char *dir, struct ing_tsdb_segments *out,
                                   struct nx_fail *fail) NX_WARN_UNUSED;
void ing_tsdb_segments_close(struct ing_tsdb_segments *segments);

struct ing_tsdb_chunk {
    unsigned kind; /* enum nx_prom_chunk_kind, or a number that is none */
    struct nx_view data;
};

/* The chunk behind a reference of the index, its checksum compared. NX_ERR_CORRUPT with what is
 * wrong. Reads the views only: for bytes that come from elsewhere than files, too. */
enum nx_err ing_tsdb_segments_chunk(const struct ing_tsdb_segments *segments, uint64_t ref,
                                    struct ing_tsdb_chunk *out,
                                    struct nx_fail *fail) NX_WARN_UNUSED;
/* The header of a segment. */
enum nx_err ing_tsdb_segment_check(struct nx_view file, size_t number,
                                   struct nx_fail *fail) NX_WARN_UNUSED;

#endif
