/* Which blocks of a tenant are compacted next. Pure.
 *
 * Blocks grow in levels: 1, 4, 12 and 48 windows (2 h, 8 h, 24 h, 4 d), aligned. The blocks inside
 * such a span are joined when the span is over. Blocks that come late for a span are joined with
 * the others once they weigh enough against them, so that a few late samples do not rewrite days;
 * what is left over is joined when it has been left alone for a day. */
#ifndef ING_COMPACT_PLAN_H
#define ING_COMPACT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct ing_compact_rules {
    int64_t window_ms;
    int64_t out_of_order_ms;
    int64_t max_span_ms; /* no block is made longer than this, but for one window */
};

struct ing_compact_item {
    int64_t min_t; /* [min_t, max_t) */
    int64_t max_t;
    int64_t created_ms;
    uint64_t bytes;
    bool excluded; /* cannot be read */
};

/* Spans longer than a third of the retention would keep much for too long. */
int64_t ing_compact_max_span(int64_t retention_ms);

/* Writes the positions of the items to be joined into `chosen` (room for `count`) and returns how
 * many they are; 0: nothing to do. NX_ERR_NOMEM comes as a negative number. */
int64_t ing_compact_plan(const struct ing_compact_rules *rules,
                         const struct ing_compact_item *items, size_t count, int64_t now_ms,
                         size_t *chosen) NX_WARN_UNUSED;

#endif
