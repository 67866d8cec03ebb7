/* The inverted index of one tenant in one shard: label name -> value -> the series that carry it.
 * Series are numbers the head gives out. A pair of name and value has a number too, by which a
 * series keeps its labels; texts are symbols of the shard, of which pairs and names hold
 * references, so that the index can be enumerated without looking at any series. One thread. */
#ifndef ING_HEAD_POSTINGS_H
#define ING_HEAD_POSTINGS_H

#include "common/labels/matcher.h"
#include "ingester/head/series_set.h"
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
    struct ing_series_set series;
};

struct ing_name {
    uint32_t symbol; /* ING_SYMBOL_NONE: a free slot */
    uint32_t *pairs;
    size_t count;
    size_t capacity;
};

struct ing_postings {
    struct ing_symbols *symbols;
    struct ing_slab *slab; /* of small sets */
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
    size_t series_count;
};

enum nx_err ing_postings_init(struct ing_postings *postings, struct ing_symbols *symbols,
                              struct ing_slab *slab) NX_WARN_UNUSED;
void ing_postings_release(struct ing_postings *postings);
/* Gives the numbers of the labels' pairs, in their order. On failure the series carries none of
 * them, but a set may still name its number: it must not be another series' then. */
enum nx_err ing_postings_add(struct ing_postings *postings, uint32_t series,
                             struct nx_labels labels, uint32_t *pairs) NX_WARN_UNUSED;
/* False where a set still names the series, for want of memory to take it out: its number must not
 * be another series' then. */
bool ing_postings_remove(struct ing_postings *postings, uint32_t series, const uint32_t *pairs,
                         size_t count);

/* Valid while a series carries the pair. */
static inline struct nx_view ing_pair_name(const struct ing_postings *postings, uint32_t pair)
{
    return ing_symbols_text(postings->symbols, postings->names[postings->pairs[pair].name].symbol);
}
static inline struct nx_view ing_pair_value(const struct ing_postings *postings, uint32_t pair)
{
    return ing_symbols_text(postings->symbols, postings->pairs[pair].value);
}

/* The series that all matchers accept (a missing label is ""), in a bitmap of the caller's
 * (roaring_bitmap_free). */
enum nx_err ing_postings_select(const struct ing_postings *postings,
                                const struct nx_matcher *matchers, size_t count,
                                roaring_bitmap_t **out) NX_WARN_UNUSED;

/* How many series carry it. */
size_t ing_postings_count(const struct ing_postings *postings, struct nx_label label);
/* NULL where no series has the label. */
const struct ing_name *ing_postings_name(const struct ing_postings *postings, struct nx_view name);
bool ing_pair_intersects(const struct ing_postings *postings, const struct ing_pair *pair,
                         const roaring_bitmap_t *series);

#endif
