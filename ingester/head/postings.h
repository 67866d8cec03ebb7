/* The inverted index of one tenant in one shard: label name -> value -> the series that carry it.
 * Series are numbers the head gives out. Names and values are symbols of the shard, of which the
 * index holds references of its own, so that it can be enumerated without looking at any series.
 * One thread.
 *
 * A pair that a single series carries costs no bitmap; from the second on it is a roaring bitmap.
 */
#ifndef ING_HEAD_POSTINGS_H
#define ING_HEAD_POSTINGS_H

#include <roaring/roaring.h>

#include "common/labels/matcher.h"
#include "ingester/head/symbols.h"

/* A label as two symbols. */
struct ing_label_ref {
    uint32_t name;
    uint32_t value;
};

struct ing_pair {
    uint32_t name;     /* position in `names` */
    uint32_t value;    /* symbol; ING_SYMBOL_NONE: a free slot, `name` is then the next one */
    uint32_t position; /* in the name's list */
    uint32_t count;    /* series */
    uint32_t single;   /* the one series where bits is NULL */
    roaring_bitmap_t *bits;
};

struct ing_name {
    uint32_t symbol; /* ING_SYMBOL_NONE: a free slot */
    uint32_t *pairs;
    size_t count;
    size_t capacity;
};

struct ing_postings {
    struct ing_symbols *symbols;
    struct nx_index name_index;
    struct ing_name *names;
    size_t name_count;
    size_t name_capacity;
    struct nx_index pair_index;
    struct ing_pair *pairs;
    size_t pair_count;
    size_t pair_capacity;
    uint32_t pair_free;
    size_t live_pairs;
    roaring_bitmap_t *all;
};

enum nx_err ing_postings_init(struct ing_postings *postings,
                              struct ing_symbols *symbols) NX_WARN_UNUSED;
void ing_postings_release(struct ing_postings *postings);
/* All or nothing. */
enum nx_err ing_postings_add(struct ing_postings *postings, uint32_t series,
                             const struct ing_label_ref *labels, size_t count) NX_WARN_UNUSED;
void ing_postings_remove(struct ing_postings *postings, uint32_t series,
                         const struct ing_label_ref *labels, size_t count);

/* The series that all matchers accept (a missing label is ""), in a bitmap of the caller's
 * (roaring_bitmap_free). */
enum nx_err ing_postings_select(const struct ing_postings *postings,
                                const struct nx_matcher *matchers, size_t count,
                                roaring_bitmap_t **out) NX_WARN_UNUSED;

/* NULL where no series has the label. */
const struct ing_name *ing_postings_name(const struct ing_postings *postings, struct nx_view name);
bool ing_pair_intersects(const struct ing_pair *pair, const roaring_bitmap_t *series);

#endif
