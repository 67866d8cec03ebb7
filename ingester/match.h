/* Matchers against an inverted index, with the semantics of Prometheus: a missing label is "". The
 * head and the blocks both answer through this, each with an index of its own. Pure; any thread
 * that may read the index. */
#ifndef ING_MATCH_H
#define ING_MATCH_H

#include <roaring/roaring.h>

#include "common/labels/matcher.h"

/* An index as the matching sees it. */
struct ing_match_index {
    const void *index;
    /* Adds the series with that pair to the set. */
    enum nx_err (*add_pair)(const void *index, struct nx_view name, struct nx_view value,
                            roaring_bitmap_t *set);
    /* Calls `accepts` with each value of the label, and adds the series of those accepted to the
     * set. */
    enum nx_err (*add_values)(const void *index, struct nx_view name,
                              bool (*accepts)(const void *user, struct nx_view value),
                              const void *user, roaring_bitmap_t *set);
};

/* Reduces `result`, which holds all series, to those that all matchers accept. */
enum nx_err ing_match(const struct ing_match_index *index, const struct nx_matcher *matchers,
                      size_t count, roaring_bitmap_t *result) NX_WARN_UNUSED;

#endif
