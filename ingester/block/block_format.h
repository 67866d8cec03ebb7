/* The numbers of block format v1 (docs/formats/block.md). */
#ifndef ING_BLOCK_FORMAT_H
#define ING_BLOCK_FORMAT_H

#include <stdint.h>

#define ING_BLOCK_FILE "block.nxb"
#define ING_BLOCK_MAGIC "NXBLK1\r\n"
#define ING_BLOCK_MAGIC_BYTES 8
/* The part of the magic that every version has. */
#define ING_BLOCK_FAMILY_BYTES 5
#define ING_BLOCK_VERSION 1
#define ING_BLOCK_FOOTER_BYTES \
    32 /* toc offset u64, toc length u32, toc crc u32, version u32, crc u32, magic */
#define ING_BLOCK_TOC_ENTRY_BYTES 24 /* kind u32, crc u32, offset u64, length u64 */

enum ing_block_section {
    ING_SECTION_PAGES = 1, /* what the others refer to; each page has its own checksum */
    ING_SECTION_META = 2,
    ING_SECTION_LABELS = 3, /* label names, and the pages of their values */
    ING_SECTION_LISTS = 4,  /* the pages that say which series have a label */
    ING_SECTION_TIMES = 5,  /* the pages of the time columns */
    ING_SECTION_SERIES = 6, /* the bundles: pages of series and of their data */
    ING_SECTION_MAX = 6,
};

/* Offset u64 in the pages, stored length u32, raw length u32, crc u32. */
#define ING_PAGE_REF_BYTES 20

/* What writers aim at; readers take anything up to ING_PAGE_RAW_MAX. */
#define ING_LABEL_PAGE_BYTES (16u << 10)
#define ING_LIST_PAGE_BYTES (16u << 10)
#define ING_TIME_PAGE_BYTES (16u << 10)
#define ING_DATA_PAGE_BYTES (64u << 10)
#define ING_BUNDLE_SERIES 1024u
#define ING_PAGE_RAW_MAX (UINT32_C(1) << 29)

/* Data are cut at multiples of this from the block's begin, so that a part of a long block is read
 * without the rest. */
#define ING_BLOCK_SLAB_MS (INT64_C(8) * 3600 * 1000)
#define ING_BLOCK_SLABS_MAX 65536u

/* What a piece of a series is: the low bits of its head. */
enum ing_piece_kind { ING_PIECE_COLUMN = 0, ING_PIECE_HISTOGRAMS = 1 };
#define ING_PIECE_KIND_BITS 1

#endif
