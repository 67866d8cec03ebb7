/* A chunk that is finished: encoded bytes that never change, counted, so that reads and flushes
 * hold it while the head drops it. Any thread may hold and drop. */
#ifndef ING_HEAD_SEALED_H
#define ING_HEAD_SEALED_H

#include "ingester/head/chunk_view.h"

struct ing_sealed {
    struct nx_refcount refs;
    int64_t min_t;
    int64_t max_t;
    uint32_t len;
    uint16_t count;
    uint8_t encoding;
    uint8_t data[];
};

/* Copies the bytes; the caller holds the first reference. NULL without memory. */
struct ing_sealed *ing_sealed_new(const struct nx_chunk *chunk) __attribute__((warn_unused_result));
static inline struct ing_sealed *ing_sealed_take(struct ing_sealed *sealed)
{
    nx_refcount_take(&sealed->refs);
    return sealed;
}
void ing_sealed_drop(struct ing_sealed *sealed);
struct nx_chunk ing_sealed_chunk(const struct ing_sealed *sealed);

/* The chunks of a series in files: from `head` back along the chain to `floor`, in descending time.
 */
struct ing_chain {
    struct ing_chunk_view *view; /* a reference; NULL: none */
    uint64_t head;
    uint64_t floor; /* addresses below are not the series' any more */
    uint32_t owner;
};

/* A growing list of held chunks, of one series: some in memory, some named in files. */
struct ing_sealed_list {
    struct ing_sealed **items;
    uint32_t count;
    uint32_t capacity;
    uint32_t copies; /* the last so many of them are the files', too */
    struct ing_chain chain;
    uint64_t end;   /* above the addresses of all the files' chunks in the range; 0: none */
    uint64_t older; /* the address of the first chunk before the range that was seen; 0: none */
};

/* Neither chunks in memory nor in files. */
static inline bool ing_sealed_list_is_empty(const struct ing_sealed_list *list)
{
    return list->count == 0 && !list->chain.view;
}
/* Brings the chunks of a snapshot or a read in [min_t, max_t], the range they were asked for, into
 * memory: before it only `items` that were there already are seen. Reads files: on a lane, or where
 * blocking is allowed. NX_ERR_CORRUPT, NX_ERR_IO, NX_ERR_NOMEM: the list is as it was. */
enum nx_err ing_sealed_list_load(struct ing_sealed_list *list, int64_t min_t,
                                 int64_t max_t) NX_WARN_UNUSED;
/* Lets go of the memory that loading took; what a drop needs stays. */
void ing_sealed_list_unload(struct ing_sealed_list *list);
/* Takes over the caller's reference on success. */
enum nx_err ing_sealed_list_add(struct ing_sealed_list *list,
                                struct ing_sealed *sealed) NX_WARN_UNUSED;
/* A copy of a chunk of the files; after it only such copies are added. */
enum nx_err ing_sealed_list_add_copy(struct ing_sealed_list *list, const struct nx_chunk *chunk,
                                     uint64_t address) NX_WARN_UNUSED;
void ing_sealed_list_release(struct ing_sealed_list *list);

#endif
