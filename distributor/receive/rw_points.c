#include "distributor/receive/rw_points.h"

#include "common/base/endian.h"
#include "distributor/receive/histogram_proto.h"

enum nx_err dist_decoding_broken(struct dist_decoding *d, const struct dist_pb *pb,
                                 const char *message)
{
    return nx_fail_set(d->fail, NX_ERR_INVALID, "invalid protobuf: %s in %s", pb->why, message);
}

enum nx_err dist_decoding_point(struct dist_decoding *d)
{
    if (++d->points <= d->limits->max_samples)
        return NX_OK;
    return nx_fail_set(
        d->fail, NX_ERR_TOO_LARGE,
        "the request holds more samples than the limit (limit: %zu); send smaller batches or raise "
        "limits.max-samples-per-request",
        d->limits->max_samples);
}

enum nx_err dist_decoding_element(struct dist_decoding *d, size_t count, const char *what)
{
    if (count < d->limits->max_series)
        return NX_OK;
    return nx_fail_set(
        d->fail, NX_ERR_TOO_LARGE,
        "the request holds more %s than the limit (limit: %zu); send smaller batches or raise "
        "limits.max-series-per-request",
        what, d->limits->max_series);
}

/* A value and a time, in this order and nothing else, as every sender writes them. False: look
 * closer. */
static bool read_plain_sample(struct nx_view message, uint64_t *value_bits, int64_t *timestamp)
{
    enum { TAG_VALUE = 0x09, TAG_TIMESTAMP = 0x10, MIN_BYTES = 11, MAX_BYTES = 18 };
    const uint8_t *at = (const uint8_t *)(const void *)message.ptr;
    uint64_t t = 0;
    if (message.len < MIN_BYTES || message.len > MAX_BYTES || at[0] != TAG_VALUE ||
        at[9] != TAG_TIMESTAMP || at[message.len - 1] >= 0x80)
        return false;
    for (size_t i = 10; i < message.len; i++) {
        t |= (uint64_t)(at[i] & 0x7f) << (7 * (i - 10));
        if (at[i] < 0x80 && i + 1 < message.len)
            return false;
    }
    *value_bits = nx_le64_load(at + 1);
    *timestamp = (int64_t)t;
    return true;
}

enum nx_err dist_decoding_sample(struct dist_decoding *d, struct nx_view message)
{
    enum nx_err err = dist_decoding_point(d);
    if (err)
        return err;
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    uint64_t value_bits = 0;
    int64_t timestamp = 0;
    if (read_plain_sample(message, &value_bits, &timestamp))
        return dist_batch_add_sample(d->batch, timestamp, value_bits);
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            value_bits = dist_pb_fixed64_of(&pb, &field);
        else if (field.number == 2)
            timestamp = (int64_t)dist_pb_varint_of(&pb, &field);
    }
    if (!dist_pb_ok(&pb))
        return dist_decoding_broken(d, &pb, "Sample");
    return dist_batch_add_sample(d->batch, timestamp, value_bits);
}

enum nx_err dist_decoding_histogram(struct dist_decoding *d, struct nx_view message)
{
    struct dist_histogram *row = NULL;
    struct nx_fail inner = {.code = NX_OK};
    enum nx_err err = dist_decoding_point(d);
    if (!err)
        err = dist_batch_add_histogram(d->batch, &row);
    if (err)
        return err;
    err = dist_histogram_decode(&dist_histogram_remote_write, message, &d->batch->arena,
                                &row->timestamp, &row->histogram, &inner);
    if (err == NX_ERR_INVALID)
        return nx_fail_set(d->fail, err, "invalid protobuf: %s", nx_fail_text(&inner));
    return err;
}

enum nx_err dist_decoding_end(struct dist_decoding *d, enum nx_err err)
{
    if (err == NX_ERR_NOMEM && nx_arena_over(&d->batch->arena))
        err = nx_fail_set(d->fail, NX_ERR_TOO_LARGE,
                          "the decoded request takes more memory than allowed; send "
                          "smaller batches or raise distributor.max-decoded-bytes");
    return err;
}
