/* The requests a querier sends to ingesters, encoded (proto/internal.proto). */
#ifndef QRY_SELECT_REQUEST_H
#define QRY_SELECT_REQUEST_H

#include "common/base/buf.h"
#include "common/labels/matcher.h"

/* Times for "no limit": far enough from the ends of the type that arithmetic on them is safe. */
#define QRY_TIME_MIN (-(INT64_C(1) << 62))
#define QRY_TIME_MAX (INT64_C(1) << 62)

struct qry_matcher_set {
    const struct nx_matcher *items;
    size_t count;
};

struct qry_select_request {
    struct nx_view tenant;
    struct qry_matcher_set matchers;
    int64_t min_t, max_t; /* inclusive */
    bool labels_only;
    uint64_t limit;           /* 0: all */
    uint64_t max_chunk_bytes; /* 0: no limit */
};

struct qry_delete_request {
    struct nx_view tenant;
    struct nx_view id; /* 16 bytes */
    struct qry_matcher_set matchers;
    int64_t min_t, max_t; /* inclusive */
    int64_t created_ms;
    bool late;
};

void qry_put_delete_request(struct nx_buf *buf, const struct qry_delete_request *request);
void qry_put_clean_request(struct nx_buf *buf, struct nx_view tenant);
void qry_put_snapshot_request(struct nx_buf *buf, struct nx_view name, bool skip_head);
void qry_put_select_request(struct nx_buf *buf, const struct qry_select_request *request);
/* The names of labels, or with `name` the values of that label. */
void qry_put_labels_request(struct nx_buf *buf, struct nx_view tenant, struct nx_view name,
                            struct qry_matcher_set matchers, int64_t min_t, int64_t max_t,
                            uint64_t limit);
void qry_put_metadata_request(struct nx_buf *buf, struct nx_view tenant, struct nx_view metric);
void qry_put_exemplars_request(struct nx_buf *buf, struct nx_view tenant,
                               const struct qry_matcher_set *selectors, size_t count, int64_t min_t,
                               int64_t max_t);
struct qry_cardinality_request {
    struct nx_view tenant;
    struct qry_matcher_set matchers;
    const struct nx_view *names; /* whose values are counted; none: hashes of all */
    size_t name_count;
    int64_t active_since; /* ms; 0: all */
};
void qry_put_cardinality_request(struct nx_buf *buf, const struct qry_cardinality_request *request);
void qry_put_status_request(struct nx_buf *buf, struct nx_view tenant, uint32_t limit);

#endif
