/* Remote read: the messages compared with the generated code, the choice of chunks, and answers
 * over a cluster of pretended ingesters. Its data from the outside: tests/integration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <snappy-c.h>

#include "cluster_fixture.h"
#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/base/rand.h"
#include "proto/remote.pb-c.h"
#include "querier/api/read_chunks.h"
#include "querier/api/remote_proto.h"
#include "querier/select/wire.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- the request --- */

static size_t pack_request(uint8_t *out)
{
    Prometheus__LabelMatcher name = PROMETHEUS__LABEL_MATCHER__INIT;
    Prometheus__LabelMatcher job = PROMETHEUS__LABEL_MATCHER__INIT;
    Prometheus__LabelMatcher *matchers[] = {&name, &job};
    Prometheus__ReadHints hints = PROMETHEUS__READ_HINTS__INIT;
    Prometheus__Query first = PROMETHEUS__QUERY__INIT, second = PROMETHEUS__QUERY__INIT;
    Prometheus__Query *queries[] = {&first, &second};
    Prometheus__ReadRequest request = PROMETHEUS__READ_REQUEST__INIT;
    Prometheus__ReadRequest__ResponseType types[] = {
        (Prometheus__ReadRequest__ResponseType)9,
        PROMETHEUS__READ_REQUEST__RESPONSE_TYPE__STREAMED_XOR_CHUNKS,
        PROMETHEUS__READ_REQUEST__RESPONSE_TYPE__SAMPLES};
    char *grouping[] = {(char *)(uintptr_t) "a"};
    name.name = (char *)(uintptr_t) "__name__";
    name.value = (char *)(uintptr_t) "up";
    job.type = PROMETHEUS__LABEL_MATCHER__TYPE__RE;
    job.name = (char *)(uintptr_t) "job";
    job.value = (char *)(uintptr_t) "a|b.*";
    hints.func = (char *)(uintptr_t) "series";
    hints.start_ms = -50;
    hints.end_ms = 5000;
    hints.n_grouping = 1;
    hints.grouping = grouping;
    first.start_timestamp_ms = -100;
    first.end_timestamp_ms = 1000;
    first.n_matchers = 2;
    first.matchers = matchers;
    first.hints = &hints;
    second.end_timestamp_ms = INT64_MAX;
    request.n_queries = 2;
    request.queries = queries;
    request.n_accepted_response_types = 3;
    request.accepted_response_types = types;
    return prometheus__read_request__pack(&request, out);
}

static void request_decodes_as_the_generated_code_packs_it(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t len = pack_request(bytes);
    struct nx_arena arena;
    struct qry_read_request request;
    struct nx_fail fail = {0};
    nx_arena_init(&arena, 0);
    assert_int_equal(qry_read_request_decode(&arena, nx_view_make(bytes, len), &request, &fail),
                     NX_OK);
    assert_int_equal(request.count, 2);
    assert_int_equal(request.type, QRY_READ_CHUNKS);
    const struct qry_read_query *query = &request.queries[0];
    assert_int_equal(query->min_t, -50);
    assert_int_equal(query->max_t, 1000);
    assert_true(query->labels_only);
    assert_int_equal(query->matcher_count, 2);
    assert_true(nx_view_is(query->matchers[0].value, "up"));
    assert_true(nx_matcher_matches(&query->matchers[1], NX_VIEW("bcd")));
    query = &request.queries[1];
    assert_int_equal(query->min_t, 0);
    assert_int_equal(query->max_t, INT64_MAX);
    assert_int_equal(query->matcher_count, 0);
    assert_false(query->labels_only);
    qry_read_request_release(&request);
    nx_arena_release(&arena);
}

/* No bytes crash it or leak, and what it takes, the generated code takes too. */
static void damaged_requests_are_invalid(void **state)
{
    (void)state;
    uint8_t good[512], bytes[512];
    size_t len = pack_request(good), taken = 0;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 7);
    for (int round = 0; round < 20000; round++) {
        struct nx_arena arena;
        struct qry_read_request request;
        struct nx_fail fail = {0};
        size_t n = 1 + (size_t)nx_rand_below(&rand, len);
        memcpy(bytes, good, len);
        for (uint64_t k = nx_rand_below(&rand, 4); k > 0; k--)
            bytes[nx_rand_below(&rand, len)] = (uint8_t)nx_rand_u64(&rand);
        nx_arena_init(&arena, (size_t)16 << 20);
        enum nx_err err = qry_read_request_decode(&arena, nx_view_make(bytes, n), &request, &fail);
        assert_true(err == NX_OK || err == NX_ERR_INVALID);
        assert_true(err == NX_OK || fail.text[0] != '\0');
        taken += err == NX_OK;
        qry_read_request_release(&request);
        nx_arena_release(&arena);
    }
    assert_in_range(taken, 100, 19000);
}

static void unsupported_response_types_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        int type; /* -1: refused */
    } cases[] = {{"", 0, QRY_READ_SAMPLES},
                 {"\x10\x00", 2, QRY_READ_SAMPLES},
                 {"\x10\x01", 2, QRY_READ_CHUNKS},
                 {"\x10\x02\x10\x01\x10\x00", 6, QRY_READ_CHUNKS},
                 {"\x12\x03\x05\x00\x01", 5, QRY_READ_SAMPLES},
                 {"\x10\x02", 2, -1},
                 {"\x12\x01\x07", 3, -1},
                 {"\x12\x00", 2, QRY_READ_SAMPLES}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct nx_arena arena;
        struct qry_read_request request;
        struct nx_fail fail = {0};
        nx_arena_init(&arena, 0);
        enum nx_err err = qry_read_request_decode(
            &arena, nx_view_make(cases[i].bytes, cases[i].len), &request, &fail);
        assert_int_equal(err, cases[i].type < 0 ? NX_ERR_INVALID : NX_OK);
        if (!err)
            assert_int_equal(request.type, cases[i].type);
        qry_read_request_release(&request);
        nx_arena_release(&arena);
    }
}

/* --- the answers --- */

static Prometheus__TimeSeries *unpack_series(const struct nx_buf *buf)
{
    assert_int_equal(nx_buf_err(buf), NX_OK);
    Prometheus__TimeSeries *row =
        prometheus__time_series__unpack(NULL, buf->len, (const uint8_t *)buf->data);
    assert_non_null(row);
    return row;
}

static void series_unpack_as_the_generated_code_has_them(void **state)
{
    (void)state;
    struct nx_label labels[] = {{NX_VIEW("__name__"), NX_VIEW("up")},
                                {NX_VIEW("job"), NX_VIEW("a")}};
    static const struct {
        int64_t t;
        uint64_t bits;
    } samples[] = {{0, 0},
                   {-5, UINT64_C(1) << 63},
                   {INT64_MAX, NX_STALE_NAN_BITS},
                   {1700000000000, UINT64_C(0x3ff0000000000000)}};
    struct nx_buf buf;
    nx_buf_init(&buf, 10000);
    qry_put_read_labels(&buf, (struct nx_labels){labels, 2});
    for (size_t i = 0; i < COUNT(samples); i++)
        qry_put_read_sample(&buf, samples[i].t, nx_double_from_bits(samples[i].bits));
    Prometheus__TimeSeries *row = unpack_series(&buf);
    assert_int_equal(row->n_labels, 2);
    assert_string_equal(row->labels[1]->name, "job");
    assert_string_equal(row->labels[1]->value, "a");
    assert_int_equal(row->n_samples, COUNT(samples));
    for (size_t i = 0; i < COUNT(samples); i++) {
        assert_int_equal(row->samples[i]->timestamp, samples[i].t);
        assert_int_equal(nx_double_bits(row->samples[i]->value), samples[i].bits);
    }
    prometheus__time_series__free_unpacked(row, NULL);
    nx_buf_release(&buf);
}

static void histograms_unpack_as_the_generated_code_has_them(void **state)
{
    (void)state;
    struct nx_span positive[] = {{-1, 2}, {3, 1}}, negative[] = {{0, 1}};
    double up[] = {4, 1, 9}, down[] = {2}, bounds[] = {0.5, 2};
    struct nx_histogram h = {.hint = NX_HINT_GAUGE,
                             .schema = -53,
                             .integer = true,
                             .count = 16,
                             .sum = -2.5,
                             .zero_threshold = 0.25,
                             .positive_spans = positive,
                             .positive_span_count = 2,
                             .positive = up,
                             .positive_count = 3,
                             .negative_spans = negative,
                             .negative_span_count = 1,
                             .negative = down,
                             .negative_count = 1,
                             .custom_bounds = bounds,
                             .custom_count = 2};
    struct nx_buf buf, scratch;
    nx_buf_init(&buf, 10000);
    nx_buf_init(&scratch, 10000);
    qry_put_read_histogram(&buf, &scratch, -7, &h);
    h.integer = false;
    qry_put_read_histogram(&buf, &scratch, 8, &h);
    Prometheus__TimeSeries *row = unpack_series(&buf);
    assert_int_equal(row->n_histograms, 2);
    const Prometheus__Histogram *a = row->histograms[0], *b = row->histograms[1];
    assert_int_equal(a->timestamp, -7);
    assert_int_equal(a->count_case, PROMETHEUS__HISTOGRAM__COUNT_COUNT_INT);
    assert_int_equal(a->count_int, 16);
    assert_int_equal(a->zero_count_case, PROMETHEUS__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_INT);
    assert_int_equal(a->schema, -53);
    assert_int_equal(a->reset_hint, PROMETHEUS__HISTOGRAM__RESET_HINT__GAUGE);
    assert_true(a->sum == -2.5 && a->zero_threshold == 0.25);
    assert_int_equal(a->n_positive_spans, 2);
    assert_int_equal(a->positive_spans[0]->offset, -1);
    assert_int_equal(a->positive_spans[1]->length, 1);
    assert_int_equal(a->n_positive_deltas, 3);
    assert_int_equal(a->positive_deltas[1], -3);
    assert_int_equal(a->positive_deltas[2], 8);
    assert_int_equal(a->negative_deltas[0], 2);
    assert_int_equal(a->n_custom_values, 2);
    assert_true(a->custom_values[1] == 2);
    assert_int_equal(b->count_case, PROMETHEUS__HISTOGRAM__COUNT_COUNT_FLOAT);
    assert_true(b->count_float == 16);
    assert_int_equal(b->n_positive_counts, 3);
    assert_true(b->positive_counts[2] == 9);
    prometheus__time_series__free_unpacked(row, NULL);
    nx_buf_release(&buf);
    nx_buf_release(&scratch);
}

static void frame_carries_length_checksum_and_message(void **state)
{
    (void)state;
    struct nx_prom_chunk chunk = {
        .encoding = NX_PROM_HISTOGRAM, .min_t = -1, .max_t = 300, .data = NX_VIEW("\x00\x01xyz")};
    struct nx_buf series, out, scratch;
    nx_buf_init(&series, 10000);
    nx_buf_init(&out, 10000);
    nx_buf_init(&scratch, 10000);
    qry_put_read_chunk(&series, &chunk);
    qry_put_read_frame(&out, &scratch, nx_buf_view(&series), 3);
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&out));
    size_t len = (size_t)nx_cursor_uvarint(&cur);
    struct nx_view crc = nx_cursor_take(&cur, 4), data = nx_cursor_take(&cur, len);
    assert_true(nx_cursor_ok(&cur));
    assert_int_equal(nx_cursor_left(&cur), 0);
    uint32_t expected = nx_crc32c(0, data.ptr, data.len);
    for (int i = 0; i < 4; i++)
        assert_int_equal((uint8_t)crc.ptr[i], (uint8_t)(expected >> (24 - 8 * i)));
    Prometheus__ChunkedReadResponse *frame =
        prometheus__chunked_read_response__unpack(NULL, data.len, (const uint8_t *)data.ptr);
    assert_non_null(frame);
    assert_int_equal(frame->query_index, 3);
    assert_int_equal(frame->n_chunked_series, 1);
    assert_int_equal(frame->chunked_series[0]->n_chunks, 1);
    const Prometheus__Chunk *got = frame->chunked_series[0]->chunks[0];
    assert_int_equal(got->min_time_ms, -1);
    assert_int_equal(got->max_time_ms, 300);
    assert_int_equal(got->type, PROMETHEUS__CHUNK__ENCODING__HISTOGRAM);
    assert_int_equal(got->data.len, 5);
    assert_memory_equal(got->data.data, chunk.data.ptr, 5);
    prometheus__chunked_read_response__free_unpacked(frame, NULL);
    nx_buf_release(&series);
    nx_buf_release(&out);
    nx_buf_release(&scratch);
}

/* --- which chunks go out --- */

enum { MAX_TIMES = 4000 };

/* A replica's chunks: every sample it has, cut at random. */
static size_t random_chunks(struct nx_rand *rand, const bool *has, struct nx_chunk_appender **apps,
                            struct nx_chunk *out)
{
    size_t n = 0;
    uint64_t left = 0;
    struct nx_chunk_appender *app = NULL;
    for (int64_t t = 0; t < MAX_TIMES; t++) {
        if (!has[t])
            continue;
        if (left-- == 0 || !app) {
            left = 1 + nx_rand_below(rand, 200);
            assert_int_equal(nx_chunk_appender_new(NX_CHUNK_XOR, &app), NX_OK);
            apps[n++] = app;
        }
        struct nx_sample sample = {.t = t, .value = (double)(t * t % 97)};
        assert_int_equal(nx_chunk_append(app, &sample), NX_OK);
    }
    for (size_t i = 0; i < n; i++)
        out[i] = nx_chunk_appender_chunk(apps[i]);
    return n;
}

static void assert_chunk_samples(const struct nx_prom_chunk *chunk, int64_t *last, bool *seen)
{
    struct nx_sample_iter *it;
    struct nx_sample sample;
    int status;
    assert_int_equal(chunk->encoding, NX_PROM_XOR);
    assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, chunk->data, &it), NX_OK);
    while ((status = nx_sample_next(it, &sample)) == 1) {
        assert_true(sample.t > *last);
        assert_in_range(sample.t, 0, MAX_TIMES - 1);
        assert_true(sample.value == (double)(sample.t * sample.t % 97));
        seen[sample.t] = true;
        *last = sample.t;
    }
    assert_int_equal(status, 0);
    assert_int_equal(*last, chunk->max_t);
    nx_sample_iter_free(it);
}

static void copies_of_replicas_come_out_once(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 21);
    for (int round = 0; round < 60; round++) {
        static bool all[MAX_TIMES], has[MAX_TIMES], seen[MAX_TIMES];
        static struct nx_chunk_appender *apps[3 * MAX_TIMES];
        static struct nx_chunk chunks[3 * MAX_TIMES];
        size_t count = 0;
        memset(all, 0, sizeof all);
        memset(seen, 0, sizeof seen);
        for (int replica = 0; replica < 3; replica++) {
            int64_t gap = (int64_t)nx_rand_below(&rand, MAX_TIMES);
            for (int64_t t = 0; t < MAX_TIMES; t++) {
                has[t] = t < gap || t > gap + 500;
                all[t] = all[t] || has[t];
            }
            count += random_chunks(&rand, has, apps + count, chunks + count);
        }
        struct qry_fetched_series series = {.chunks = chunks, .chunk_count = count};
        struct qry_read_chunks rc;
        struct nx_prom_chunk chunk;
        int64_t min_t = (int64_t)nx_rand_below(&rand, MAX_TIMES), last = -1;
        int64_t max_t = min_t + (int64_t)nx_rand_below(&rand, MAX_TIMES);
        int status;
        qry_read_chunks_init(&rc, &series, min_t, max_t);
        while ((status = qry_read_chunks_next(&rc, &chunk)) == 1)
            assert_chunk_samples(&chunk, &last, seen);
        assert_int_equal(status, 0);
        qry_read_chunks_release(&rc);
        for (int64_t t = min_t; t <= max_t && t < MAX_TIMES; t++)
            assert_int_equal(seen[t], all[t]);
        for (size_t i = 0; i < count; i++)
            nx_chunk_appender_free(apps[i]);
    }
}

static void equal_copies_go_out_as_they_are(void **state)
{
    (void)state;
    struct nx_chunk_appender *apps[3];
    struct nx_chunk chunks[9];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nx_chunk_appender_new(NX_CHUNK_XOR, &apps[i]), NX_OK);
        for (int64_t t = 0; t < 500; t++) {
            struct nx_sample sample = {.t = (int64_t)i * 500 + t, .value = (double)t};
            assert_int_equal(nx_chunk_append(apps[i], &sample), NX_OK);
        }
        for (size_t replica = 0; replica < 3; replica++)
            chunks[replica * 3 + 2 - i] = nx_chunk_appender_chunk(apps[i]);
    }
    struct qry_fetched_series series = {.chunks = chunks, .chunk_count = 9};
    struct qry_read_chunks rc;
    struct nx_prom_chunk chunk;
    qry_read_chunks_init(&rc, &series, 600, 1200);
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(qry_read_chunks_next(&rc, &chunk), 1);
        struct nx_chunk expected = nx_chunk_appender_chunk(apps[i]);
        assert_ptr_equal(chunk.data.ptr, expected.data.ptr);
        assert_int_equal(chunk.count, 500);
    }
    assert_int_equal(qry_read_chunks_next(&rc, &chunk), 0);
    qry_read_chunks_release(&rc);
    for (size_t i = 0; i < 3; i++)
        nx_chunk_appender_free(apps[i]);
}

static void damaged_chunks_are_an_error(void **state)
{
    (void)state;
    struct nx_chunk chunks[] = {
        {.encoding = NX_CHUNK_XOR,
         .count = 3,
         .min_t = 0,
         .max_t = 9,
         .data = NX_VIEW("\x00\x03x")},
        {.encoding = NX_CHUNK_XOR, .count = 3, .min_t = 5, .max_t = 9, .data = NX_VIEW("")}};
    struct qry_fetched_series series = {.chunks = chunks, .chunk_count = 2};
    struct qry_read_chunks rc;
    struct nx_prom_chunk chunk;
    qry_read_chunks_init(&rc, &series, 0, 10);
    assert_int_equal(qry_read_chunks_next(&rc, &chunk), NX_ERR_CORRUPT);
    qry_read_chunks_release(&rc);
}

/* --- over a cluster --- */

static int setup(void **state)
{
    static struct cluster c;
    cluster_init(&c);
    cluster_start(&c);
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    cluster_stop(*state);
    return 0;
}

/* {__name__=~"u.+"} up to 600 s: neither it nor its compressed form has a zero byte. */
static char *ask(struct cluster *c, bool streamed)
{
    static const char message[] = "\x0a\x17\x10\xc0\xcf\x24\x1a\x11\x08\x02\x12\x08__name__"
                                  "\x1a\x03u.+";
    char body[256], request[512];
    size_t len = sizeof body;
    struct nx_buf plain;
    nx_buf_init(&plain, 1000);
    nx_buf_append(&plain, message, sizeof message - 1);
    if (streamed)
        nx_buf_append(&plain, "\x10\x01", 2);
    assert_int_equal(snappy_compress(plain.data, plain.len, body, &len), SNAPPY_OK);
    assert_null(memchr(body, 0, len));
    int n = snprintf(request, sizeof request,
                     "POST /api/v1/read HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n\r\n%.*s",
                     len, (int)len, body);
    assert_in_range(n, 1, sizeof request - 1);
    nx_buf_release(&plain);
    return cluster_request(c, request, false);
}

static void assert_head(char *answer, const char *status_line, const char *text)
{
    assert_memory_equal(answer, status_line, strlen(status_line));
    assert_non_null(strstr(answer, text));
    free(answer);
}

static void answers_have_the_headers_of_their_kind(void **state)
{
    struct cluster *c = *state;
    cluster_set_moods(c, MEMBER_ANSWERS, MEMBER_ANSWERS, MEMBER_ANSWERS);
    assert_head(ask(c, false), "HTTP/1.1 200 ", "Content-Encoding: snappy\r\n");
    char *answer = ask(c, true);
    assert_null(strstr(answer, "Content-Encoding"));
    assert_head(answer, "HTTP/1.1 200 ",
                "Content-Type: application/x-streamed-protobuf; "
                "proto=prometheus.ChunkedReadResponse\r\n");
}

static void failing_members_are_lines_of_text(void **state)
{
    struct cluster *c = *state;
    cluster_set_moods(c, MEMBER_ANSWERS, MEMBER_REFUSES, MEMBER_ANSWERS);
    assert_head(ask(c, true), "HTTP/1.1 200 ", "\r\n");
    cluster_set_moods(c, MEMBER_REFUSES, MEMBER_ANSWERS, MEMBER_REFUSES);
    for (int streamed = 0; streamed < 2; streamed++) {
        char *answer = ask(c, streamed);
        assert_null(strstr(answer, "Content-Encoding"));
        assert_non_null(strstr(answer, "Content-Type: text/plain"));
        assert_head(answer, "HTTP/1.1 503 ", "incomplete result: ");
    }
    cluster_set_moods(c, MEMBER_LIES, MEMBER_LIES, MEMBER_LIES);
    assert_head(ask(c, true), "HTTP/1.1 500 ", "an ingester sent damaged data");
    cluster_set_moods(c, MEMBER_ANSWERS, MEMBER_ANSWERS, MEMBER_ANSWERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_decodes_as_the_generated_code_packs_it),
        cmocka_unit_test(damaged_requests_are_invalid),
        cmocka_unit_test(unsupported_response_types_are_refused),
        cmocka_unit_test(series_unpack_as_the_generated_code_has_them),
        cmocka_unit_test(histograms_unpack_as_the_generated_code_has_them),
        cmocka_unit_test(frame_carries_length_checksum_and_message),
        cmocka_unit_test(copies_of_replicas_come_out_once),
        cmocka_unit_test(equal_copies_go_out_as_they_are),
        cmocka_unit_test(damaged_chunks_are_an_error),
    };
    const struct CMUnitTest over_cluster[] = {
        cmocka_unit_test(answers_have_the_headers_of_their_kind),
        cmocka_unit_test(failing_members_are_lines_of_text),
    };
    int failed = cmocka_run_group_tests_name("remote_read", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("over a cluster", over_cluster, setup, teardown);
}
