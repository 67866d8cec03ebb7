/* The numbers of block format v0 (docs/formats/block.md). */
#ifndef ING_BLOCK_FORMAT_H
#define ING_BLOCK_FORMAT_H

#include <stdint.h>

#define ING_BLOCK_FILE "block.nxb"
#define ING_BLOCK_MAGIC "NXBLK0\r\n"
#define ING_BLOCK_MAGIC_BYTES 8
#define ING_BLOCK_VERSION 0
#define ING_BLOCK_FOOTER_BYTES \
    32 /* toc offset u64, toc length u32, toc crc u32, version u32, crc u32, magic */
#define ING_BLOCK_TOC_ENTRY_BYTES 24 /* kind u32, crc u32, offset u64, length u64 */

enum ing_block_section {
    ING_SECTION_CHUNKS = 1, /* encoded chunks back to back; each has its checksum in its series */
    ING_SECTION_META = 2,
    ING_SECTION_SYMBOLS = 3, /* count u32, (count + 1) offsets u32, bytes; sorted */
    ING_SECTION_SERIES = 4,  /* entries sorted by label set */
    ING_SECTION_OFFSETS = 5, /* where each series' entry begins, u32 */
    ING_SECTION_NAMES =
        6, /* name symbol u32, first pair u32; sorted; one more entry closes the list */
    ING_SECTION_PAIRS = 7, /* value symbol u32, list offset u32, list count u32 */
    ING_SECTION_LISTS = 8, /* series numbers as uvarint differences */
    ING_SECTION_MAX = 8,
};

#endif
