/* The label set of a series as the numbers of its tenant's pairs (postings.h), in a record of the
 * slab: their count, then the numbers in the order of the labels, all as uvarints. Pairs that many
 * series carry were there first and have small numbers: 8 labels take about 14 bytes. One thread.
 */
#ifndef ING_HEAD_LABEL_RECORD_H
#define ING_HEAD_LABEL_RECORD_H

#include <stdbool.h>

#include "ingester/head/slab.h"

/* ING_SLAB_NONE without memory. */
uint32_t ing_label_record_new(struct ing_slab *slab, const uint32_t *pairs, size_t count)
    __attribute__((warn_unused_result));

struct ing_label_iter {
    const uint8_t *at;
    uint32_t left;
};
static inline uint32_t ing_label_number(struct ing_label_iter *it)
{
    uint32_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *it->at++;
        value |= (uint32_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return value;
    }
}
static inline struct ing_label_iter ing_label_iter(const struct ing_slab *slab, uint32_t record)
{
    struct ing_label_iter it = {.at = ing_slab_at(slab, record)};
    it.left = ing_label_number(&it);
    return it;
}
static inline bool ing_label_next(struct ing_label_iter *it, uint32_t *pair)
{
    if (it->left == 0)
        return false;
    it->left--;
    *pair = ing_label_number(it);
    return true;
}

#endif
