#include "querier/api/remote_proto.h"

#include "common/base/hash.h"
#include "common/chunk/histogram_codec.h"
#include "querier/api/protobuf.h"
#include "querier/select/wire.h"

#define MAX_QUERIES 1000
#define MAX_MATCHERS 1000

/* --- the request --- */

static enum nx_err damaged(struct nx_fail *fail)
{
    return nx_fail_set(fail, NX_ERR_INVALID, "proto: the request is no ReadRequest");
}

static size_t count_field(struct nx_view bytes, uint32_t number)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    size_t count = 0;
    while (qry_wire_next(&cur, &field))
        count += field.number == number;
    return count;
}

static enum nx_err decode_matcher(struct nx_arena *arena, struct nx_view bytes,
                                  struct nx_matcher *out, struct nx_fail *fail)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    uint64_t type = 0;
    struct nx_view name = NX_VIEW(""), value = NX_VIEW("");
    while (qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            type = field.integer;
        else if (field.number == 2 && field.bytes.ptr)
            name = field.bytes;
        else if (field.number == 3 && field.bytes.ptr)
            value = field.bytes;
    }
    if (!nx_cursor_ok(&cur))
        return damaged(fail);
    if (type > NX_MATCH_NRE)
        return nx_fail_set(fail, NX_ERR_INVALID, "invalid matcher type");
    return nx_matcher_init(out, arena, (enum nx_match_type)type, name, value, fail);
}

static enum nx_err decode_hints(struct nx_view bytes, struct qry_read_query *query,
                                struct nx_fail *fail)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    int64_t min_t = 0, max_t = 0;
    while (qry_wire_next(&cur, &field)) {
        if (field.number == 2 && field.bytes.ptr)
            query->labels_only = nx_view_is(field.bytes, "series");
        else if (field.number == 3)
            min_t = (int64_t)field.integer;
        else if (field.number == 4)
            max_t = (int64_t)field.integer;
    }
    if (!nx_cursor_ok(&cur))
        return damaged(fail);
    if ((min_t == 0 && max_t == 0) || min_t > max_t)
        return NX_OK;
    query->min_t = min_t > query->min_t ? min_t : query->min_t;
    query->max_t = max_t < query->max_t ? max_t : query->max_t;
    return NX_OK;
}

static enum nx_err decode_query(struct nx_arena *arena, struct nx_view bytes,
                                struct qry_read_query *query, struct nx_fail *fail)
{
    size_t count = count_field(bytes, 3);
    if (count > MAX_MATCHERS)
        return nx_fail_set(fail, NX_ERR_INVALID, "more than %d matchers in a query", MAX_MATCHERS);
    query->matchers = nx_arena_calloc(arena, count + 1, sizeof *query->matchers);
    if (!query->matchers)
        return NX_ERR_NOMEM;
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct nx_view hints = {0};
    enum nx_err err = NX_OK;
    while (!err && qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            query->min_t = (int64_t)field.integer;
        else if (field.number == 2)
            query->max_t = (int64_t)field.integer;
        else if (field.number == 3)
            err = field.bytes.ptr ? decode_matcher(arena, field.bytes,
                                                   &query->matchers[query->matcher_count], fail)
                                  : damaged(fail);
        else if (field.number == 4 && field.bytes.ptr)
            hints = field.bytes;
        query->matcher_count += !err && field.number == 3;
    }
    if (!err && !nx_cursor_ok(&cur))
        err = damaged(fail);
    return err || !hints.ptr ? err : decode_hints(hints, query, fail);
}

struct accepted {
    bool any, found;
    enum qry_read_type type;
};

static void accept_type(struct accepted *accepted, uint64_t type)
{
    accepted->any = true;
    if (accepted->found || type > QRY_READ_CHUNKS)
        return;
    accepted->found = true;
    accepted->type = (enum qry_read_type)type;
}

/* Packed or not. */
static void accept_types(struct accepted *accepted, const struct qry_wire_field *field)
{
    if (!field->bytes.ptr) {
        accept_type(accepted, field->integer);
        return;
    }
    struct nx_cursor cur = nx_cursor_of(field->bytes);
    while (nx_cursor_left(&cur) > 0) {
        uint64_t type = nx_cursor_uvarint(&cur);
        if (nx_cursor_ok(&cur))
            accept_type(accepted, type);
    }
}

enum nx_err qry_read_request_decode(struct nx_arena *arena, struct nx_view bytes,
                                    struct qry_read_request *out, struct nx_fail *fail)
{
    size_t count = count_field(bytes, 1);
    *out = (struct qry_read_request){.count = 0};
    if (count > MAX_QUERIES)
        return nx_fail_set(fail, NX_ERR_INVALID, "more than %d queries in a request", MAX_QUERIES);
    out->queries = nx_arena_calloc(arena, count + 1, sizeof *out->queries);
    if (!out->queries)
        return NX_ERR_NOMEM;
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct accepted accepted = {.type = QRY_READ_SAMPLES};
    enum nx_err err = NX_OK;
    while (!err && qry_wire_next(&cur, &field)) {
        if (field.number == 2)
            accept_types(&accepted, &field);
        if (field.number != 1)
            continue;
        err = field.bytes.ptr ? decode_query(arena, field.bytes, &out->queries[out->count++], fail)
                              : damaged(fail);
    }
    if (!err && !nx_cursor_ok(&cur))
        err = damaged(fail);
    if (!err && accepted.any && !accepted.found)
        err = nx_fail_set(fail, NX_ERR_INVALID,
                          "server does not support any of the requested response types; "
                          "supported: SAMPLES, STREAMED_XOR_CHUNKS");
    out->type = accepted.type;
    return err;
}

void qry_read_request_release(struct qry_read_request *request)
{
    for (size_t i = 0; i < request->count; i++)
        for (size_t k = 0; k < request->queries[i].matcher_count; k++)
            nx_matcher_release(&request->queries[i].matchers[k]);
    request->count = 0;
}

/* --- the answers --- */

void qry_put_read_labels(struct nx_buf *buf, struct nx_labels labels)
{
    for (size_t i = 0; i < labels.count; i++)
        qry_pb_put_label(buf, 1, labels.items[i].name, labels.items[i].value);
}

void qry_put_read_sample(struct nx_buf *buf, int64_t t, double value)
{
    size_t len = (nx_double_bits(value) ? 9 : 0) + (t ? 1 + qry_pb_varint_size((uint64_t)t) : 0);
    qry_pb_put_tag(buf, 2, QRY_PB_BYTES);
    nx_buf_put_uvarint(buf, len);
    if (nx_double_bits(value))
        qry_pb_put_double(buf, 1, value);
    qry_wire_put_uint(buf, 2, (uint64_t)t);
}

static void put_spans(struct nx_buf *buf, uint32_t number, const struct nx_span *spans,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        qry_pb_put_span(buf, number, &spans[i]);
}

/* As differences from bucket to bucket, or as they are. */
static void put_buckets(struct nx_buf *buf, bool integer, uint32_t deltas, uint32_t counts,
                        const double *values, size_t count)
{
    if (count == 0)
        return;
    if (!integer) {
        qry_pb_put_tag(buf, counts, QRY_PB_BYTES);
        nx_buf_put_uvarint(buf, count * 8);
        for (size_t i = 0; i < count; i++)
            nx_buf_put_u64(buf, nx_double_bits(values[i]));
        return;
    }
    size_t len = 0;
    int64_t before = 0;
    for (size_t i = 0; i < count; before = (int64_t)values[i++])
        len += qry_pb_varint_size(qry_pb_zigzag((int64_t)values[i] - before));
    qry_pb_put_tag(buf, deltas, QRY_PB_BYTES);
    nx_buf_put_uvarint(buf, len);
    before = 0;
    for (size_t i = 0; i < count; before = (int64_t)values[i++])
        nx_buf_put_varint(buf, (int64_t)values[i] - before);
}

/* A member of a oneof is written even where it is zero. */
static void put_total(struct nx_buf *buf, bool integer, uint32_t as_int, double v)
{
    if (integer) {
        qry_pb_put_tag(buf, as_int, QRY_PB_VARINT);
        nx_buf_put_uvarint(buf, (uint64_t)v);
    } else {
        qry_pb_put_double(buf, as_int + 1, v);
    }
}

void qry_put_read_histogram(struct nx_buf *buf, struct nx_buf *scratch, int64_t t,
                            const struct nx_histogram *h)
{
    bool integer = nx_prom_histogram_has_integers(h);
    nx_buf_clear(scratch);
    put_total(scratch, integer, 1, h->count);
    if (nx_double_bits(h->sum))
        qry_pb_put_double(scratch, 3, h->sum);
    qry_wire_put_sint(scratch, 4, h->schema);
    if (nx_double_bits(h->zero_threshold))
        qry_pb_put_double(scratch, 5, h->zero_threshold);
    put_total(scratch, integer, 6, h->zero_count);
    put_spans(scratch, 8, h->negative_spans, h->negative_span_count);
    put_buckets(scratch, integer, 9, 10, h->negative, h->negative_count);
    put_spans(scratch, 11, h->positive_spans, h->positive_span_count);
    put_buckets(scratch, integer, 12, 13, h->positive, h->positive_count);
    qry_wire_put_uint(scratch, 14, (uint64_t)h->hint);
    qry_wire_put_uint(scratch, 15, (uint64_t)t);
    if (h->custom_count > 0)
        put_buckets(scratch, false, 0, 16, h->custom_bounds, h->custom_count);
    qry_wire_put_element(buf, 4, nx_buf_view(scratch));
    if (nx_buf_err(scratch) != NX_OK)
        buf->err = nx_buf_err(scratch);
}

static size_t uint_size(uint64_t v)
{
    return v ? 1 + qry_pb_varint_size(v) : 0;
}

void qry_put_read_chunk(struct nx_buf *buf, const struct nx_prom_chunk *chunk)
{
    uint64_t min_t = (uint64_t)chunk->min_t, max_t = (uint64_t)chunk->max_t;
    size_t len = uint_size(min_t) + uint_size(max_t) + uint_size((uint64_t)chunk->encoding) + 1 +
                 qry_pb_varint_size(chunk->data.len) + chunk->data.len;
    qry_pb_put_tag(buf, 2, QRY_PB_BYTES);
    nx_buf_put_uvarint(buf, len);
    qry_wire_put_uint(buf, 1, min_t);
    qry_wire_put_uint(buf, 2, max_t);
    qry_wire_put_uint(buf, 3, (uint64_t)chunk->encoding);
    qry_wire_put_element(buf, 4, chunk->data);
}

void qry_put_read_frame(struct nx_buf *out, struct nx_buf *scratch, struct nx_view series,
                        uint64_t query_index)
{
    nx_buf_clear(scratch);
    qry_wire_put_element(scratch, 1, series);
    qry_wire_put_uint(scratch, 2, query_index);
    if (nx_buf_err(scratch) != NX_OK) {
        out->err = nx_buf_err(scratch);
        return;
    }
    uint32_t crc = nx_crc32c(0, scratch->data, scratch->len);
    nx_buf_put_uvarint(out, scratch->len);
    for (int shift = 24; shift >= 0; shift -= 8)
        nx_buf_put_u8(out, (uint8_t)(crc >> shift));
    nx_buf_append_view(out, nx_buf_view(scratch));
}
