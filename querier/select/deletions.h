/* Deletions as the ingesters tell of them in their select streams (docs/formats/tombstones.md): a
 * deletion that some of those asked do not know of is held against their samples. One thread. */
#ifndef QRY_SELECT_DELETIONS_H
#define QRY_SELECT_DELETIONS_H

#include "common/base/buf.h"
#include "common/base/index.h"
#include "common/chunk/cut.h"
#include "common/labels/matcher.h"

struct qry_deletion {
    struct nx_view id; /* 16 bytes */
    struct nx_matcher *matchers;
    size_t matcher_count;
    struct nx_interval range;
    int64_t created_ms;
    bool *known; /* by the member asked */
};

struct qry_deletions {
    struct nx_arena *arena;
    size_t members; /* how many are asked */
    struct nx_index index;
    struct qry_deletion *items;
    size_t count;
    size_t capacity;
};

void qry_deletions_init(struct qry_deletions *deletions, struct nx_arena *arena, size_t members);
void qry_deletions_release(struct qry_deletions *deletions);
/* Notes what the SelectFrame, which must outlive the set, says of deletions. NX_ERR_CORRUPT on
 * damaged bytes. */
enum nx_err qry_deletions_add(struct qry_deletions *deletions, size_t member,
                              struct nx_view frame) NX_WARN_UNUSED;
/* Those that the member does not know of, in the arena; *count 0: none. */
enum nx_err qry_deletions_missing(const struct qry_deletions *deletions, size_t member,
                                  const struct qry_deletion ***out, size_t *count) NX_WARN_UNUSED;
/* What such a deletion takes from a chunk of a member that does not know of it: nothing that was
 * written since. */
enum nx_err qry_deletion_cut(const struct qry_deletion *const *missing, size_t count,
                             struct nx_labels labels, struct nx_arena *arena,
                             struct nx_chunk *chunk) NX_WARN_UNUSED;
/* The DeleteRequest that tells a member of it, late. */
void qry_deletion_put_request(struct nx_buf *buf, struct nx_view tenant,
                              const struct qry_deletion *deletion);

#endif
