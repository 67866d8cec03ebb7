/* Recorded remote-write streams through decompression, decoding and validation: every request is
 * accepted whole, and the counts are those in the streams' README. The folder is
 * NARTHEX_TESTDATA_DIR, by default
 * ../shared/testdata beside the source tree; without it the cases are skipped. */
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "common/base/file.h"
#include "distributor/receive/body.h"
#include "distributor/receive/remote_write_v1.h"
#include "distributor/resolve.h"
#include "tests/unit/distributor/dist_test.h"

enum { MAX_FILE_BYTES = 64 << 20 };

struct stream {
    ZSTD_DStream *zstd;
    ZSTD_inBuffer in;
    char *bytes;
    size_t len;
};

struct totals {
    size_t requests, samples, histograms, exemplars, metadata, series, refused;
    size_t wire_bytes, decoded_bytes;
    int64_t min_t, max_t;
};

static const char *testdata_dir(void)
{
    const char *dir = getenv("NARTHEX_TESTDATA_DIR");
    return dir && *dir ? dir : NARTHEX_SOURCE_DIR "/../shared/testdata";
}

static bool open_stream(const char *name, struct stream *stream)
{
    char *path = nx_path_join(testdata_dir(), name);
    enum nx_err err = nx_file_read_all(path, MAX_FILE_BYTES, &stream->bytes, &stream->len);
    if (err)
        print_message("skipped: %s: %s (set NARTHEX_TESTDATA_DIR)\n", path, nx_err_text(err));
    nx_free(path);
    if (err)
        return false;
    stream->zstd = ZSTD_createDStream();
    stream->in = (ZSTD_inBuffer){.src = stream->bytes, .size = stream->len, .pos = 0};
    return true;
}

static void close_stream(struct stream *stream)
{
    ZSTD_freeDStream(stream->zstd);
    nx_free(stream->bytes);
}

/* False at the end of the stream. */
static bool read_exactly(struct stream *stream, char *out, size_t len)
{
    ZSTD_outBuffer buffer = {.dst = out, .size = len, .pos = 0};
    while (buffer.pos < len) {
        size_t before_in = stream->in.pos, before_out = buffer.pos;
        size_t result = ZSTD_decompressStream(stream->zstd, &buffer, &stream->in);
        assert_false(ZSTD_isError(result));
        if (buffer.pos == before_out && stream->in.pos == before_in)
            return false;
    }
    return true;
}

static void count_batch(const struct dist_batch *batch, struct totals *totals)
{
    for (size_t i = 0; i < batch->series_count; i++) {
        const struct dist_series *s = &batch->series[i];
        assert_false(s->refused);
        totals->samples += s->sample_count;
        totals->histograms += s->histogram_count;
        totals->exemplars += s->exemplar_count;
        for (uint32_t k = 0; k < s->sample_count; k++) {
            int64_t t = batch->timestamps[s->first_sample + k];
            totals->min_t = t < totals->min_t ? t : totals->min_t;
            totals->max_t = t > totals->max_t ? t : totals->max_t;
        }
    }
    totals->metadata += batch->metadata_count;
}

static void replay_request(struct nx_view body, struct dist_resolver *resolver,
                           struct dist_batch *batch, struct totals *totals)
{
    struct dist_decode_limits limits = {.max_series = 250000, .max_samples = 1000000};
    struct dist_refusals refusals = {.samples = 0};
    struct nx_fail fail = {.code = NX_OK, .text = ""};
    size_t len = 0;
    dist_batch_clear(batch, SIZE_MAX);
    assert_int_equal(dist_body_length(DIST_ENCODING_SNAPPY, body, 64 << 20, &len, &fail), NX_OK);
    assert_int_equal(dist_body_decode(DIST_ENCODING_SNAPPY, body, len, 64 << 20, &batch->body,
                                      &batch->body_len, &fail),
                     NX_OK);
    if (dist_rw1_decode(nx_view_make(batch->body, len), &limits, batch, &fail) ||
        dist_resolve(resolver, batch, &refusals, &fail))
        fail_msg("request %zu: %s", totals->requests, fail.text);
    if (dist_refusals_any(&refusals))
        fail_msg("request %zu: %s", totals->requests, refusals.first.text);
    totals->refused += refusals.by_reason[DIST_REASON_EXEMPLAR_INVALID];
    totals->requests++;
    totals->wire_bytes += body.len;
    totals->decoded_bytes += len;
    count_batch(batch, totals);
}

static bool replay(const char *name, struct totals *totals)
{
    struct stream stream;
    struct dist_limits limits = test_limits();
    struct dist_batch batch;
    struct dist_cache *cache = NULL;
    if (!open_stream(name, &stream))
        return false;
    assert_int_equal(dist_cache_new(64 << 20, &cache), NX_OK);
    dist_batch_init(&batch);
    struct dist_resolver resolver = {.limits = &limits,
                                     .cache = cache,
                                     .tenant = NX_VIEW("anonymous"),
                                     .now_ms = INT64_C(4102444800000)};
    *totals = (struct totals){.min_t = INT64_MAX, .max_t = INT64_MIN};
    uint8_t head[4];
    while (read_exactly(&stream, (char *)head, sizeof head)) {
        size_t len =
            (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        char *body = nx_alloc(len);
        assert_true(read_exactly(&stream, body, len));
        replay_request(nx_view_make(body, len), &resolver, &batch, totals);
        nx_free(body);
    }
    totals->series = dist_cache_stats(cache).series;
    assert_true(resolver.hits > resolver.misses);
    dist_batch_release(&batch);
    dist_cache_free(cache);
    close_stream(&stream);
    return true;
}

static void replay_prometheus_2_42_is_accepted_whole(void **state)
{
    (void)state;
    struct totals totals;
    if (!replay("remote-write-1.0.bin.zst", &totals))
        skip();
    assert_int_equal(totals.requests, 654);
    assert_int_equal(totals.samples, 1186964);
    assert_int_equal(totals.series, 3215);
    assert_int_equal(totals.metadata, 17183);
    assert_int_equal(totals.histograms, 0);
    assert_int_equal(totals.exemplars, 0);
    assert_true(totals.min_t == INT64_C(1795208064038));
    assert_true(totals.max_t == INT64_C(1795209910147));
}

static void replay_shop_1_0_is_accepted_whole(void **state)
{
    (void)state;
    struct totals totals;
    if (!replay("shop-1.0.bin.zst", &totals))
        skip();
    assert_int_equal(totals.requests, 314);
    assert_int_equal(totals.samples, 503692);
    assert_int_equal(totals.histograms, 15127);
    assert_int_equal(totals.exemplars, 69181);
    assert_int_equal(totals.refused, 0);
    assert_int_equal(totals.metadata, 11240);
    assert_true(totals.min_t >= INT64_C(1795247835643) && totals.max_t <= INT64_C(1795249035653));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_prometheus_2_42_is_accepted_whole),
        cmocka_unit_test(replay_shop_1_0_is_accepted_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
