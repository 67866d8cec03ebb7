/* The numbers of Prometheus's TSDB blocks (docs/formats/tsdb.md). Integers of fixed width are
 * big-endian; checksums are CRC-32C. */
#ifndef ING_TSDB_FORMAT_H
#define ING_TSDB_FORMAT_H

#include "common/base/buf.h"
#include "common/base/cursor.h"

#define ING_TSDB_META_FILE "meta.json"
#define ING_TSDB_INDEX_FILE "index"
#define ING_TSDB_CHUNKS_DIR "chunks"
#define ING_TSDB_TOMBSTONES_FILE "tombstones"

#define ING_TSDB_INDEX_MAGIC UINT32_C(0xBAAAD700)
#define ING_TSDB_INDEX_HEADER_BYTES 5
#define ING_TSDB_TOC_BYTES 52
#define ING_TSDB_SERIES_ALIGN 16
#define ING_TSDB_POSTINGS_ALIGN 4

#define ING_TSDB_SEGMENT_MAGIC UINT32_C(0x85BD40DD)
#define ING_TSDB_SEGMENT_VERSION 1
#define ING_TSDB_SEGMENT_HEADER_BYTES 8
#define ING_TSDB_SEGMENT_BYTES (UINT64_C(512) << 20)

#define ING_TSDB_TOMBSTONES_MAGIC UINT32_C(0x0130BA30)

static inline uint32_t ing_tsdb_be32(const void *bytes)
{
    const uint8_t *p = bytes;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t ing_tsdb_be64(const void *bytes)
{
    return (uint64_t)ing_tsdb_be32(bytes) << 32 | ing_tsdb_be32((const uint8_t *)bytes + 4);
}
static inline void ing_tsdb_put_be32(struct nx_buf *buf, uint32_t v)
{
    uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    nx_buf_append(buf, bytes, sizeof bytes);
}
static inline void ing_tsdb_put_be64(struct nx_buf *buf, uint64_t v)
{
    ing_tsdb_put_be32(buf, (uint32_t)(v >> 32));
    ing_tsdb_put_be32(buf, (uint32_t)v);
}

#endif
