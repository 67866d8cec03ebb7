/* One push against one shard's memory: which series are known, which samples are taken, and the log
 * records that bring them back. Nothing here waits or writes; the caller logs the records before
 * anything is acknowledged. */
#ifndef ING_APPLY_H
#define ING_APPLY_H

#include "ingester/head/head.h"
#include "ingester/push_batch.h"
#include "ingester/quota.h"
#include "ingester/wal/book.h"
#include "ingester/wal/record.h"

/* What one shard keeps between pushes. */
struct ing_store {
    struct ing_head *head;
    struct ing_book book;
    uint64_t next_log_ref;
    struct nx_arena arena; /* of one row */
    struct ing_sample_row *rows;
    size_t row_count;
    size_t row_capacity;
    uint32_t *created; /* rows of the push whose series are new */
    size_t created_count;
    size_t created_capacity;
    struct ing_histogram_entry *histograms;
    size_t histogram_count;
    size_t histogram_capacity;
    struct ing_exemplar_entry *exemplars;
    size_t exemplar_count;
    size_t exemplar_capacity;
};
void ing_store_init(struct ing_store *store, struct ing_head *head, uint64_t next_log_ref);
/* The head is the caller's. */
void ing_store_release(struct ing_store *store);

struct ing_refused_row {
    uint32_t row;
    uint32_t count;
    enum nx_err code;
    int64_t t;
    const char *text;
};

/* The part of a batch that one shard gets, and what became of it. */
struct ing_part {
    const struct ing_batch *batch;
    uint32_t shard;
    struct ing_quota quota;
    bool limited; /* by `quota` */
    uint32_t *rows;
    size_t row_count;
    uint32_t *bunches; /* of batch->numbered */
    size_t bunch_count;
    uint32_t *metadata; /* positions in request->metadata */
    size_t metadata_count;
    struct nx_arena *arena; /* of this part alone: the results */
    uint32_t *unknown;
    size_t unknown_count;
    struct ing_refused_row *refused;
    size_t refused_count;
    size_t floats, histograms, duplicates, exemplars;
    size_t created;
};

/* Bytes of log records that the part may need at most. */
size_t ing_apply_bound(const struct ing_store *store, const struct ing_part *part);
/* Takes what can be taken, and appends records of all of it to `log`, which has room for
 * ing_apply_bound bytes. `segment` is where they will lie. NX_ERR_NOMEM: a part may have been taken
 * (and is in the records). */
enum nx_err ing_apply(struct ing_store *store, struct ing_part *part, uint64_t segment,
                      uint64_t nonce, int64_t now_ms, struct nx_buf *log) NX_WARN_UNUSED;

#endif
