/* Series put together from the answers of several ingesters: the copies of one series become one,
 * with the chunks of all. Belongs to one thread. */
#ifndef QRY_SELECT_FETCHED_H
#define QRY_SELECT_FETCHED_H

#include "common/base/index.h"
#include "common/chunk/chunk.h"
#include "common/labels/series_id.h"
#include "querier/select/deletions.h"

struct qry_fetched_series {
    struct nx_series_id id;
    struct nx_labels labels;
    struct nx_chunk *chunks;
    size_t chunk_count;
    size_t chunk_capacity;
};

struct qry_fetched {
    struct nx_arena *arena;
    struct nx_index index;
    struct qry_fetched_series *series;
    size_t count;
    size_t capacity;
    /* Deletions that whoever sent the next frames does not know of. */
    const struct qry_deletion **missing;
    size_t missing_count;
};

void qry_fetched_init(struct qry_fetched *fetched, struct nx_arena *arena);
void qry_fetched_release(struct qry_fetched *fetched);
/* Takes in one SelectFrame, whose bytes must outlive the set. NX_ERR_CORRUPT on damaged bytes. */
enum nx_err qry_fetched_add(struct qry_fetched *fetched, struct nx_view frame) NX_WARN_UNUSED;
/* Ascending by labels; ends adding. */
void qry_fetched_sort(struct qry_fetched *fetched);

#endif
