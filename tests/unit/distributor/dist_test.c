#include "tests/unit/distributor/dist_test.h"

#include <snappy-c.h>
#include <stdio.h>

#include "common/chunk/sample.h"
#include "distributor/receive/remote_write_v1.h"

struct dist_settings test_settings(void)
{
    return (struct dist_settings){.push_timeout_ms = 10000,
                                  .ha_failover_ms = 30000,
                                  .ha_update_ms = 2000,
                                  .max_inflight_bytes = 512 << 20,
                                  .max_body_bytes = 16 << 20,
                                  .max_decoded_bytes = 64 << 20,
                                  .series_cache_bytes = 64 << 20,
                                  .scrape_config_file = "",
                                  .scrape_tenant = "anonymous",
                                  .scrape_peers = "",
                                  .scrape_peer_timeout_ms = 5000};
}

struct dist_limits test_limits(void)
{
    return (struct dist_limits){.max = {.max_label_names = 64,
                                        .max_label_name_bytes = 1024,
                                        .max_label_value_bytes = 8192,
                                        .max_series_per_request = 250000,
                                        .max_samples_per_request = 1000000,
                                        .creation_grace_ms = 600000}};
}

void test_put_varint(struct nx_buf *buf, unsigned field, uint64_t v)
{
    nx_buf_put_uvarint(buf, (uint64_t)field << 3);
    nx_buf_put_uvarint(buf, v);
}

void test_put_fixed64(struct nx_buf *buf, unsigned field, uint64_t bits)
{
    nx_buf_put_uvarint(buf, (uint64_t)field << 3 | 1);
    nx_buf_put_u64(buf, bits);
}

void test_put_double(struct nx_buf *buf, unsigned field, double v)
{
    test_put_fixed64(buf, field, nx_double_bits(v));
}

void test_put_bytes(struct nx_buf *buf, unsigned field, const void *bytes, size_t len)
{
    nx_buf_put_uvarint(buf, (uint64_t)field << 3 | 2);
    nx_buf_put_bytes(buf, nx_view_make(bytes, len));
}

void test_put_message(struct nx_buf *buf, unsigned field, struct nx_buf *inner)
{
    test_put_bytes(buf, field, inner->data, inner->len);
    nx_buf_release(inner);
}

void test_put_label(struct nx_buf *series, const char *name, const char *value)
{
    struct nx_buf label;
    nx_buf_init(&label, SIZE_MAX);
    test_put_bytes(&label, 1, name, strlen(name));
    test_put_bytes(&label, 2, value, strlen(value));
    test_put_message(series, 1, &label);
}

void test_put_sample(struct nx_buf *series, int64_t timestamp, double value)
{
    struct nx_buf sample;
    nx_buf_init(&sample, SIZE_MAX);
    test_put_double(&sample, 1, value);
    test_put_varint(&sample, 2, (uint64_t)timestamp);
    test_put_message(series, 2, &sample);
}

/* --- random requests --- */

static void random_bytes(struct nx_rand *rand, struct nx_buf *buf, unsigned field)
{
    char text[40];
    size_t len = nx_rand_below(rand, sizeof text);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(1 + nx_rand_below(rand, 255));
    test_put_bytes(buf, field, text, len);
}

static uint64_t random_number(struct nx_rand *rand)
{
    return nx_rand_u64(rand) >> nx_rand_below(rand, 64);
}

/* Optional fields, any order, now and then twice; unknown ones of every wire type between them. */
static void random_unknown(struct nx_rand *rand, struct nx_buf *buf)
{
    unsigned field = (unsigned)(20 + nx_rand_below(rand, 3000));
    switch (nx_rand_below(rand, 12)) {
    case 0:
        test_put_varint(buf, field, random_number(rand));
        break;
    case 1:
        test_put_fixed64(buf, field, nx_rand_u64(rand));
        break;
    case 2:
        random_bytes(rand, buf, field);
        break;
    case 3:
        nx_buf_put_uvarint(buf, (uint64_t)field << 3 | 5);
        nx_buf_put_u32(buf, (uint32_t)nx_rand_u64(rand));
        break;
    default:
        break;
    }
}

static void random_label(struct nx_rand *rand, struct nx_buf *out)
{
    struct nx_buf label;
    nx_buf_init(&label, SIZE_MAX);
    for (size_t i = nx_rand_below(rand, 4); i > 0; i--)
        random_bytes(rand, &label, (unsigned)(1 + nx_rand_below(rand, 2)));
    random_unknown(rand, &label);
    test_put_message(out, 1, &label);
}

static void random_sample(struct nx_rand *rand, struct nx_buf *out)
{
    struct nx_buf sample;
    nx_buf_init(&sample, SIZE_MAX);
    for (size_t i = nx_rand_below(rand, 4); i > 0; i--) {
        if (nx_rand_below(rand, 2))
            test_put_fixed64(&sample, 1, nx_rand_u64(rand));
        else
            test_put_varint(&sample, 2, random_number(rand));
    }
    random_unknown(rand, &sample);
    test_put_message(out, 2, &sample);
}

static void random_exemplar(struct nx_rand *rand, struct nx_buf *out)
{
    struct nx_buf exemplar;
    nx_buf_init(&exemplar, SIZE_MAX);
    for (size_t i = nx_rand_below(rand, 4); i > 0; i--)
        random_label(rand, &exemplar);
    test_put_fixed64(&exemplar, 2, nx_rand_u64(rand));
    test_put_varint(&exemplar, 3, random_number(rand));
    random_unknown(rand, &exemplar);
    test_put_message(out, 3, &exemplar);
}

static void random_span(struct nx_rand *rand, struct nx_buf *out, unsigned field)
{
    struct nx_buf span;
    nx_buf_init(&span, SIZE_MAX);
    if (nx_rand_below(rand, 4))
        test_put_varint(&span, 1, random_number(rand));
    if (nx_rand_below(rand, 4))
        test_put_varint(&span, 2, random_number(rand));
    test_put_message(out, field, &span);
}

static void random_varints(struct nx_rand *rand, struct nx_buf *out, unsigned field)
{
    if (nx_rand_below(rand, 2)) {
        test_put_varint(out, field, random_number(rand));
        return;
    }
    struct nx_buf run;
    nx_buf_init(&run, SIZE_MAX);
    for (size_t i = nx_rand_below(rand, 6); i > 0; i--)
        nx_buf_put_uvarint(&run, random_number(rand));
    test_put_message(out, field, &run);
}

static void random_doubles(struct nx_rand *rand, struct nx_buf *out, unsigned field)
{
    if (nx_rand_below(rand, 2)) {
        test_put_fixed64(out, field, nx_rand_u64(rand));
        return;
    }
    struct nx_buf run;
    nx_buf_init(&run, SIZE_MAX);
    for (size_t i = nx_rand_below(rand, 6); i > 0; i--)
        nx_buf_put_u64(&run, nx_rand_u64(rand));
    test_put_message(out, field, &run);
}

static void random_histogram(struct nx_rand *rand, struct nx_buf *out)
{
    struct nx_buf h;
    nx_buf_init(&h, SIZE_MAX);
    for (size_t i = nx_rand_below(rand, 14); i > 0; i--) {
        unsigned field = (unsigned)(1 + nx_rand_below(rand, 16));
        switch (field) {
        case 8:
        case 11:
            random_span(rand, &h, field);
            break;
        case 9:
        case 12:
            random_varints(rand, &h, field);
            break;
        case 10:
        case 13:
        case 16:
            random_doubles(rand, &h, field);
            break;
        case 2:
        case 3:
        case 5:
        case 7:
            test_put_fixed64(&h, field, nx_rand_u64(rand));
            break;
        default:
            test_put_varint(&h, field, random_number(rand));
            break;
        }
    }
    test_put_message(out, 4, &h);
}

static void random_series(struct nx_rand *rand, struct nx_buf *out)
{
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    for (size_t i = nx_rand_below(rand, 10); i > 0; i--) {
        switch (nx_rand_below(rand, 6)) {
        case 0:
        case 1:
            random_label(rand, &series);
            break;
        case 2:
            random_exemplar(rand, &series);
            break;
        case 3:
            random_histogram(rand, &series);
            break;
        default:
            random_sample(rand, &series);
            break;
        }
        random_unknown(rand, &series);
    }
    test_put_message(out, 1, &series);
}

static void random_metadata(struct nx_rand *rand, struct nx_buf *out)
{
    struct nx_buf metadata;
    nx_buf_init(&metadata, SIZE_MAX);
    test_put_varint(&metadata, 1, random_number(rand));
    random_bytes(rand, &metadata, 2);
    random_bytes(rand, &metadata, 4);
    random_bytes(rand, &metadata, 5);
    test_put_message(out, 3, &metadata);
}

void test_random_request(struct nx_rand *rand, struct nx_buf *out)
{
    for (size_t i = nx_rand_below(rand, 6); i > 0; i--) {
        if (nx_rand_below(rand, 5) == 0)
            random_metadata(rand, out);
        else
            random_series(rand, out);
        random_unknown(rand, out);
    }
}

/* --- decoding --- */

enum nx_err test_decode(struct nx_view message, struct dist_batch *batch, struct nx_fail *fail)
{
    struct dist_decode_limits limits = {.max_series = 100000, .max_samples = 100000};
    return dist_rw1_decode(message, &limits, batch, fail);
}

struct nx_buf test_snappy(struct nx_view message)
{
    struct nx_buf out;
    nx_buf_init(&out, SIZE_MAX);
    size_t len = snappy_max_compressed_length(message.len);
    assert_int_equal(nx_buf_reserve(&out, len), NX_OK);
    assert_int_equal(snappy_compress(message.ptr ? message.ptr : "", message.len, out.data, &len),
                     SNAPPY_OK);
    out.len = len;
    return out;
}

/* --- failing allocations --- */

static struct {
    size_t left;
    bool failed;
} failing;

static bool allow(size_t size_bytes, void *user)
{
    (void)size_bytes;
    (void)user;
    if (failing.left > 0 && --failing.left == 0) {
        failing.failed = true;
        return false;
    }
    return true;
}

void test_fail_allocation(size_t n)
{
    failing.left = n;
    failing.failed = false;
    nx_alloc_set_hook(n ? allow : NULL, NULL);
}

bool test_allocation_failed(void)
{
    return failing.failed;
}
