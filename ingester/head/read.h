/* Reading a head: series that match with their chunks, label names and values, and what takes up
 * its index. On the head's thread; the results are copies and references that any thread may use
 * and free.
 *
 * A selection works in slices, so that a large one does not hold up the shard: series that come or
 * go between two slices may or may not be in the result, all others are. */
#ifndef ING_HEAD_READ_H
#define ING_HEAD_READ_H

#include "ingester/head/head.h"

struct ing_range {
    int64_t min_t; /* inclusive */
    int64_t max_t; /* inclusive */
};

/* Some of the partitions; partition p is bit p % 8 of byte p / 8. */
struct ing_partition_filter {
    uint32_t partitions; /* there are */
    const uint8_t *bits; /* NULL: all */
};
static inline bool ing_partition_has(const struct ing_partition_filter *filter, uint32_t partition)
{
    return !filter->bits || (filter->bits[partition / 8] >> (partition % 8) & 1);
}
static inline bool ing_partition_wanted(const struct ing_partition_filter *filter,
                                        struct nx_series_id id)
{
    return !filter->bits ||
           ing_partition_has(filter, nx_series_id_partition(id, filter->partitions));
}

struct ing_read_series {
    struct nx_series_id id;
    struct nx_view labels; /* encoded */
    struct ing_sealed_list chunks;
};

/* Grows to at most max_bytes, then NX_ERR_LIMIT. */
struct ing_read_result {
    struct nx_arena arena; /* the labels */
    struct ing_read_series *items;
    size_t count;
    size_t capacity;
    size_t used_bytes;
    size_t max_bytes;
};
void ing_read_result_init(struct ing_read_result *result, size_t max_bytes);
void ing_read_result_release(struct ing_read_result *result);

struct ing_read_cursor {
    struct ing_head *head;
    roaring_bitmap_t *series;
    roaring_uint32_iterator_t it;
    struct ing_partition_filter filter; /* all; the caller may narrow it once reading has begun */
};
/* Pins the head until ing_read_end. An unknown tenant is an empty selection. */
enum nx_err ing_read_begin(struct ing_read_cursor *cursor, struct ing_head *head,
                           struct nx_view tenant, const struct nx_matcher *matchers, size_t count,
                           struct ing_range range) NX_WARN_UNUSED;
/* Looks at up to max_series more and adds those with samples in the range. 1: there may be more, 0:
 * that was all, negative: enum nx_err. */
int ing_read_step(struct ing_read_cursor *cursor, struct ing_range range, bool labels_only,
                  size_t max_series, struct ing_read_result *result) NX_WARN_UNUSED;
void ing_read_end(struct ing_read_cursor *cursor);

/* A growing list of texts in an arena. */
struct ing_texts {
    struct nx_arena arena;
    struct nx_view *items;
    size_t count;
    size_t capacity;
};
void ing_texts_init(struct ing_texts *texts, size_t max_bytes);
void ing_texts_release(struct ing_texts *texts);
/* Copies the text; NX_ERR_LIMIT at the arena's cap. */
enum nx_err ing_texts_add(struct ing_texts *texts, struct nx_view text) NX_WARN_UNUSED;
/* Sorts, and removes what is there twice. */
void ing_texts_sort(struct ing_texts *texts);

/* Label names (`name` empty) or the values of a label, of the series that match; unsorted, each
 * once. */
enum nx_err ing_read_labels(const struct ing_head *head, struct nx_view tenant, struct nx_view name,
                            const struct nx_matcher *matchers, size_t count, struct ing_range range,
                            struct ing_texts *out) NX_WARN_UNUSED;

#endif
