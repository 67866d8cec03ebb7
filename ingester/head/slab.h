/* Memory for millions of small records, addressed by 32-bit numbers. A record takes its size
 * rounded up to a class (8 bytes apart up to 128, then a quarter of a power of two), and nothing
 * else: no header, no pointer. A page holds records of one class; it goes back to the allocator
 * when its last record is freed, save the last page of a class. Records beyond ING_SLAB_MAX_SMALL
 * bytes have an allocation of their own. One thread.
 *
 * Where everything grows in step (a chunk in every series), records of growing sizes would leave
 * holes in the pages of each size: whoever grows should chain records of one size. */
#ifndef ING_HEAD_SLAB_H
#define ING_HEAD_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define ING_SLAB_NONE 0u
#define ING_SLAB_MAX_SMALL 4096u
#define ING_SLAB_CLASSES 36u
#define ING_SLAB_UNIT 8u
#define ING_SLAB_PAGE_UNITS_BITS 13u /* pages of 64 KiB */
#define ING_SLAB_PAGE_UNITS (1u << ING_SLAB_PAGE_UNITS_BITS)

struct ing_slab_page {
    uint8_t *bytes;     /* NULL: a free number, `next` is the next one */
    uint32_t next;      /* in the list of pages with room; 0: the last */
    uint32_t previous;  /* 0: the first */
    uint32_t size;      /* of a record; of the only one where it has the page to itself */
    uint16_t live;      /* records */
    uint16_t free_unit; /* the first free record, by its unit + 1; 0: none */
    uint16_t carved;    /* units that have been records before */
    uint8_t class;      /* ING_SLAB_CLASSES: a large record */
};

/* All zero is an empty one. */
struct ing_slab {
    struct ing_slab_page *pages; /* the first is not used: no record has the number 0 */
    size_t page_count;
    size_t page_capacity;
    uint32_t free_page;
    uint32_t with_room[ING_SLAB_CLASSES];
    size_t bytes; /* taken from the allocator for records */
};

void ing_slab_release(struct ing_slab *slab);
/* ING_SLAB_NONE without memory. */
uint32_t ing_slab_alloc(struct ing_slab *slab, size_t size) __attribute__((warn_unused_result));
void ing_slab_free(struct ing_slab *slab, uint32_t ref);
/* Aligned to 8; valid until the record is freed. */
static inline void *ing_slab_at(const struct ing_slab *slab, uint32_t ref)
{
    return slab->pages[ref >> ING_SLAB_PAGE_UNITS_BITS].bytes +
           (size_t)(ref & (ING_SLAB_PAGE_UNITS - 1)) * ING_SLAB_UNIT;
}
/* With the tables. */
size_t ing_slab_memory_bytes(const struct ing_slab *slab);

#endif
