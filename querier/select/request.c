#include "querier/select/request.h"

#include "querier/select/wire.h"

static size_t varint_length(uint64_t v)
{
    size_t len = 1;
    while (v >= 0x80) {
        v >>= 7;
        len++;
    }
    return len;
}

static size_t field_length(struct nx_view v)
{
    return v.len == 0 ? 0 : 1 + varint_length(v.len) + v.len;
}

/* message Matcher */
static size_t matcher_length(const struct nx_matcher *m)
{
    return (m->type == NX_MATCH_EQ ? 0 : 2) + field_length(m->name) + field_length(m->value);
}

static void put_matchers(struct nx_buf *buf, uint32_t number, struct qry_matcher_set matchers)
{
    for (size_t i = 0; i < matchers.count; i++) {
        const struct nx_matcher *m = &matchers.items[i];
        nx_buf_put_uvarint(buf, (uint64_t)number << 3 | 2);
        nx_buf_put_uvarint(buf, matcher_length(m));
        qry_wire_put_uint(buf, 1, (uint64_t)m->type);
        qry_wire_put_bytes(buf, 2, m->name);
        qry_wire_put_bytes(buf, 3, m->value);
    }
}

void qry_put_select_request(struct nx_buf *buf, const struct qry_select_request *request)
{
    qry_wire_put_bytes(buf, 1, request->tenant);
    put_matchers(buf, 2, request->matchers);
    qry_wire_put_sint(buf, 3, request->min_t);
    qry_wire_put_sint(buf, 4, request->max_t);
    qry_wire_put_uint(buf, 5, request->labels_only);
    qry_wire_put_uint(buf, 6, request->limit);
    qry_wire_put_uint(buf, 7, request->max_chunk_bytes);
}

void qry_put_labels_request(struct nx_buf *buf, struct nx_view tenant, struct nx_view name,
                            struct qry_matcher_set matchers, int64_t min_t, int64_t max_t,
                            uint64_t limit)
{
    qry_wire_put_bytes(buf, 1, tenant);
    qry_wire_put_bytes(buf, 2, name);
    put_matchers(buf, 3, matchers);
    qry_wire_put_sint(buf, 4, min_t);
    qry_wire_put_sint(buf, 5, max_t);
    qry_wire_put_uint(buf, 6, limit);
}

void qry_put_metadata_request(struct nx_buf *buf, struct nx_view tenant, struct nx_view metric)
{
    qry_wire_put_bytes(buf, 1, tenant);
    qry_wire_put_bytes(buf, 2, metric);
}

void qry_put_exemplars_request(struct nx_buf *buf, struct nx_view tenant,
                               const struct qry_matcher_set *selectors, size_t count, int64_t min_t,
                               int64_t max_t)
{
    qry_wire_put_bytes(buf, 1, tenant);
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        for (size_t j = 0; j < selectors[i].count; j++) {
            size_t one = matcher_length(&selectors[i].items[j]);
            len += 1 + varint_length(one) + one;
        }
        nx_buf_put_uvarint(buf, 2 << 3 | 2);
        nx_buf_put_uvarint(buf, len);
        put_matchers(buf, 1, selectors[i]);
    }
    qry_wire_put_sint(buf, 3, min_t);
    qry_wire_put_sint(buf, 4, max_t);
}

void qry_put_cardinality_request(struct nx_buf *buf, const struct qry_cardinality_request *request)
{
    qry_wire_put_bytes(buf, 1, request->tenant);
    put_matchers(buf, 2, request->matchers);
    for (size_t i = 0; i < request->name_count; i++)
        qry_wire_put_element(buf, 3, request->names[i]);
    qry_wire_put_sint(buf, 4, request->active_since);
}

void qry_put_status_request(struct nx_buf *buf, struct nx_view tenant, uint32_t limit)
{
    qry_wire_put_bytes(buf, 1, tenant);
    qry_wire_put_uint(buf, 2, limit);
}

void qry_put_delete_request(struct nx_buf *buf, const struct qry_delete_request *request)
{
    qry_wire_put_bytes(buf, 1, request->tenant);
    qry_wire_put_bytes(buf, 2, request->id);
    put_matchers(buf, 3, request->matchers);
    qry_wire_put_sint(buf, 4, request->min_t);
    qry_wire_put_sint(buf, 5, request->max_t);
    qry_wire_put_sint(buf, 6, request->created_ms);
    qry_wire_put_uint(buf, 7, request->late);
}

void qry_put_clean_request(struct nx_buf *buf, struct nx_view tenant)
{
    qry_wire_put_bytes(buf, 1, tenant);
}

void qry_put_snapshot_request(struct nx_buf *buf, struct nx_view name, bool skip_head)
{
    qry_wire_put_bytes(buf, 1, name);
    qry_wire_put_uint(buf, 2, skip_head);
}
