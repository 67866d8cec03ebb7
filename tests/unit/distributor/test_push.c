/* The replicated push against a cluster that the test plays itself: calls are kept, and answered in
 * the order, and with the outcome, that the case wants. */
#include "distributor/push.h"

#include <stdio.h>

#include "common/base/owner.h"
#include "common/chunk/push_columns.h"
#include "common/chunk/sample.h"
#include "common/labels/series_id.h"
#include "distributor/receive/remote_write_v1.h"
#include "proto/internal.pb-c.h"
#include "tests/unit/distributor/dist_test.h"

enum { MAX_MEMBERS = 6, MAX_CALLS = 64, PARTITIONS = 16 };

struct fake_call {
    char address[32];
    bool numbered; /* the method */
    size_t bytes;
    Narthex__PushRequest *request;
    uint64_t timeout_ms;
    void (*done)(void *user, const struct nx_rpc_result *result);
    void *user;
    bool answered;
};

struct fake {
    struct dist_cluster cluster;
    struct nx_member members[MAX_MEMBERS];
    char names[MAX_MEMBERS][16];
    uint16_t owners[PARTITIONS * MAX_MEMBERS];
    struct nx_ring_view view;
    size_t views_out;
    struct fake_call calls[MAX_CALLS];
    size_t call_count;
    enum nx_err refuse_call; /* what `call` returns */
    size_t reports;
    enum nx_err last_report;

    struct dist_settings settings;
    struct dist_limits limits;
    struct nx_clock_manual clock;
    struct nx_http_budget budget;
    struct dist_loads *loads;
    struct dist_cache *cache;
    struct dist_pusher *pusher;
    int pushes;

    size_t results;
    enum nx_err err;
    char text[512];
    char refused_text[512];
    uint64_t refused_samples;
};

/* --- the cluster --- */

static struct fake *fake_of(struct dist_cluster *cluster)
{
    return NX_OWNER(struct fake, cluster, cluster);
}

static struct nx_ring_view *fake_acquire(struct dist_cluster *cluster)
{
    fake_of(cluster)->views_out++;
    return &fake_of(cluster)->view;
}

static void fake_release(struct dist_cluster *cluster, struct nx_ring_view *view)
{
    assert_ptr_equal(view, &fake_of(cluster)->view);
    fake_of(cluster)->views_out--;
}

static void fake_report(struct dist_cluster *cluster, const char *member_name, enum nx_err outcome)
{
    assert_non_null(member_name);
    fake_of(cluster)->reports++;
    fake_of(cluster)->last_report = outcome;
}

static enum nx_err fake_call(struct dist_cluster *cluster,
                             const struct nx_rpc_call_options *options)
{
    struct fake *fake = fake_of(cluster);
    if (fake->refuse_call)
        return fake->refuse_call;
    assert_true(fake->call_count < MAX_CALLS);
    struct fake_call *call = &fake->calls[fake->call_count++];
    call->numbered = strcmp(options->method, "push_numbered") == 0;
    call->bytes = options->body->len;
    assert_true(call->numbered || strcmp(options->method, "push") == 0);
    (void)snprintf(call->address, sizeof call->address, "%s", options->address);
    call->request = narthex__push_request__unpack(
        NULL, options->body->len, (const uint8_t *)(const void *)options->body->data);
    assert_non_null(call->request);
    /* an ingester of a release before numbers would not see them */
    assert_int_equal(call->numbered, call->request->numbered.len > 0);
    call->timeout_ms = options->timeout_ms;
    call->done = options->done;
    call->user = options->user;
    nx_buf_release(options->body);
    return NX_OK;
}

static void count(void *user, int delta)
{
    ((struct fake *)user)->pushes += delta;
}

static struct fake *fake_new(uint32_t members, uint32_t rf)
{
    struct fake *fake = nx_calloc(1, sizeof *fake);
    fake->cluster = (struct dist_cluster){fake_acquire, fake_release, fake_report, fake_call};
    for (uint32_t m = 0; m < members; m++) {
        (void)snprintf(fake->names[m], sizeof fake->names[m], "ing-%u", m);
        fake->members[m] = (struct nx_member){.name = fake->names[m],
                                              .address = fake->names[m],
                                              .zone = "",
                                              .weight = 1,
                                              .state = NX_MEMBER_ACTIVE,
                                              .healthy = true,
                                              .incarnation = 100 + m,
                                              .problem = ""};
    }
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (uint32_t k = 0; k < rf; k++)
            fake->owners[p * rf + k] = (uint16_t)(k < members ? (p + k) % members : UINT16_MAX);
    fake->view = (struct nx_ring_view){.cluster = "test",
                                       .partitions = PARTITIONS,
                                       .rf = rf,
                                       .version = 1,
                                       .members = fake->members,
                                       .member_count = members,
                                       .owners = fake->owners};
    fake->settings = test_settings();
    fake->limits = test_limits();
    fake->settings.max_inflight_bytes = 1 << 20;
    fake->budget.max_bytes = 1 << 20;
    nx_clock_manual_init(&fake->clock, INT64_C(1700000000000));
    assert_int_equal(dist_loads_new(&fake->loads), NX_OK);
    assert_int_equal(dist_cache_new(1 << 20, &fake->cache), NX_OK);
    struct dist_pusher_options options = {.settings = &fake->settings,
                                          .cluster = &fake->cluster,
                                          .loads = fake->loads,
                                          .cache = fake->cache,
                                          .budget = &fake->budget,
                                          .clock = &fake->clock.base,
                                          .count = count,
                                          .user = fake};
    assert_int_equal(dist_pusher_new(&options, &fake->pusher), NX_OK);
    return fake;
}

/* Everything must have come back: views, budget, bytes in flight. */
static void fake_free(struct fake *fake)
{
    assert_int_equal(fake->pushes, 0);
    assert_int_equal(fake->views_out, 0);
    assert_int_equal(atomic_load(&fake->budget.used_bytes), 0);
    for (size_t m = 0; m < fake->view.member_count; m++) {
        struct dist_load *load =
            dist_loads_get(fake->loads, nx_hash_view(nx_view_of(fake->names[m])));
        assert_int_equal(atomic_load(&load->bytes), 0);
    }
    for (size_t i = 0; i < fake->call_count; i++) {
        assert_true(fake->calls[i].answered);
        narthex__push_request__free_unpacked(fake->calls[i].request, NULL);
    }
    dist_pusher_free(fake->pusher);
    dist_cache_free(fake->cache);
    dist_loads_free(fake->loads);
    nx_free(fake);
}

/* --- pushing --- */

static void on_result(void *user, const struct dist_push_result *result)
{
    struct fake *fake = user;
    fake->results++;
    fake->err = result->err;
    (void)snprintf(fake->text, sizeof fake->text, "%s", result->err ? result->fail.text : "");
    (void)snprintf(fake->refused_text, sizeof fake->refused_text, "%s",
                   dist_refusals_any(result->refusals) ? result->refusals->first.text : "");
    fake->refused_samples = result->refusals->samples;
}

static void put_series(struct nx_buf *message, const char *name, int64_t timestamp)
{
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    test_put_label(&series, "__name__", name);
    test_put_label(&series, "job", "test");
    test_put_sample(&series, timestamp, 1.5);
    test_put_message(message, 1, &series);
}

static void push_message(struct fake *fake, struct nx_buf *message)
{
    struct dist_batch *batch = dist_pusher_take_batch(fake->pusher);
    struct dist_refusals refusals = {.samples = 0};
    struct dist_resolver resolver = {.limits = &fake->limits,
                                     .cache = fake->cache,
                                     .tenant = NX_VIEW("anonymous"),
                                     .now_ms = nx_now_ms(&fake->clock.base)};
    batch->body = nx_buf_take(message, &batch->body_len);
    assert_int_equal(test_decode(nx_view_make(batch->body, batch->body_len), batch, NULL), NX_OK);
    assert_int_equal(dist_resolve(&resolver, batch, &refusals, NULL), NX_OK);
    assert_true(dist_budget_charge(&fake->budget, 1000));
    struct dist_push_request request = {.batch = batch,
                                        .charged_bytes = 1000,
                                        .tenant = resolver.tenant,
                                        .done = on_result,
                                        .user = fake};
    fake->results = 0;
    dist_push_start(fake->pusher, &request);
}

/* Series m0, m1, ... with one sample each. */
static void push_series(struct fake *fake, size_t series)
{
    struct nx_buf message;
    nx_buf_init(&message, SIZE_MAX);
    for (size_t i = 0; i < series; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "m%zu", i);
        put_series(&message, name, INT64_C(1699999999000) + (int64_t)i);
    }
    push_message(fake, &message);
}

/* --- answering --- */

static void answer_with(struct fake *fake, size_t i, const Narthex__PushResponse *response)
{
    uint8_t bytes[4096];
    struct fake_call *call = &fake->calls[i];
    assert_true(i < fake->call_count && !call->answered);
    assert_true(narthex__push_response__get_packed_size(response) <= sizeof bytes);
    size_t len = narthex__push_response__pack(response, bytes);
    struct nx_rpc_result result = {.err = NX_OK, .body = nx_view_make(bytes, len), .text = ""};
    call->answered = true;
    call->done(call->user, &result);
}

static void answer_ok(struct fake *fake, size_t i)
{
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    response.incarnation = fake->calls[i].request->incarnation;
    answer_with(fake, i, &response);
}

static void answer_unknown(struct fake *fake, size_t i, uint64_t incarnation, uint32_t row)
{
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    response.incarnation = incarnation;
    response.n_unknown = 1;
    response.unknown = &row;
    answer_with(fake, i, &response);
}

/* Rows by id get the numbers first, first + 1, ... */
static void answer_numbers(struct fake *fake, size_t i, uint32_t first)
{
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    const Narthex__PushRequest *request = fake->calls[i].request;
    uint32_t numbers[256];
    assert_true(request->want_numbers && request->n_sample_counts <= 256);
    response.incarnation = request->incarnation;
    response.numbers = numbers;
    for (; response.n_numbers < request->n_sample_counts; response.n_numbers++)
        numbers[response.n_numbers] = first + (uint32_t)response.n_numbers;
    answer_with(fake, i, &response);
}

static void answer_refused(struct fake *fake, size_t i, uint32_t row, enum nx_err code,
                           const char *text)
{
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    Narthex__Refusal refusal = NARTHEX__REFUSAL__INIT;
    Narthex__Refusal *refusals[] = {&refusal};
    char copy[64];
    (void)snprintf(copy, sizeof copy, "%s", text);
    refusal.series = row;
    refusal.count = 1;
    refusal.code = code;
    refusal.text = copy;
    refusal.timestamp = 1234;
    response.incarnation = fake->calls[i].request->incarnation;
    response.n_refused = 1;
    response.refused = refusals;
    answer_with(fake, i, &response);
}

static void answer_error(struct fake *fake, size_t i, enum nx_err err, const char *text)
{
    struct fake_call *call = &fake->calls[i];
    struct nx_rpc_result result = {.err = err, .body = NX_VIEW(""), .text = text};
    assert_false(call->answered);
    call->answered = true;
    call->done(call->user, &result);
}

static void answer_bytes(struct fake *fake, size_t i, struct nx_view bytes)
{
    struct fake_call *call = &fake->calls[i];
    struct nx_rpc_result result = {.err = NX_OK, .body = bytes, .text = ""};
    call->answered = true;
    call->done(call->user, &result);
}

static void answer_all(struct fake *fake)
{
    for (size_t i = 0; i < fake->call_count; i++) {
        if (!fake->calls[i].answered)
            answer_ok(fake, i);
    }
}

/* --- cases --- */

static void push_majority_answers_before_the_third(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 1);
    assert_int_equal(fake->call_count, 3);
    answer_ok(fake, 2);
    assert_int_equal(fake->results, 0);
    answer_ok(fake, 0);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    assert_int_equal(fake->pushes, 1); /* the third finishes in the background */
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->pushes, 0);
    fake_free(fake);
}

static void push_carries_what_was_written(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    struct nx_buf message, series, exemplar, metadata, histogram;
    nx_buf_init(&message, SIZE_MAX);
    nx_buf_init(&series, SIZE_MAX);
    nx_buf_init(&exemplar, SIZE_MAX);
    nx_buf_init(&metadata, SIZE_MAX);
    nx_buf_init(&histogram, SIZE_MAX);
    put_series(&message, "m0", 5);
    test_put_label(&series, "job", "x");
    test_put_label(&series, "__name__", "two");
    test_put_sample(&series, -7, 2.5);
    test_put_sample(&series, INT64_C(1700000000000), -0.0);
    test_put_label(&exemplar, "trace_id", "abc");
    test_put_double(&exemplar, 2, 9.5);
    test_put_varint(&exemplar, 3, 77);
    test_put_message(&series, 3, &exemplar);
    test_put_varint(&histogram, 1, 3);
    test_put_double(&histogram, 3, 1.25);
    test_put_varint(&histogram, 6, 3);
    test_put_varint(&histogram, 15, 99);
    test_put_message(&series, 4, &histogram);
    test_put_message(&message, 1, &series);
    test_put_varint(&metadata, 1, 2);
    test_put_bytes(&metadata, 2, "two", 3);
    test_put_bytes(&metadata, 4, "Help.", 5);
    test_put_message(&message, 3, &metadata);
    push_message(fake, &message);

    assert_int_equal(fake->call_count, 1);
    const Narthex__PushRequest *sent = fake->calls[0].request;
    assert_string_equal(sent->tenant, "anonymous");
    assert_true(sent->incarnation == 100);
    assert_int_equal(sent->series_ids.len, 32);
    assert_int_equal(sent->n_labels, 2);
    assert_int_equal(sent->n_sample_counts, 2);
    assert_int_equal(sent->sample_counts[0], 1);
    assert_int_equal(sent->sample_counts[1], 2);
    assert_int_equal(sent->n_timestamps, 3);
    assert_true(sent->timestamps[0] == 5 && sent->timestamps[1] == -7);
    assert_true(sent->timestamps[2] == INT64_C(1700000000000));
    assert_true(sent->value_bits[1] == nx_double_bits(2.5));
    assert_true(sent->value_bits[2] == nx_double_bits(-0.0));

    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_cursor cursor = nx_cursor_of(nx_view_make(sent->labels[1].data, sent->labels[1].len));
    struct nx_labels labels;
    assert_int_equal(nx_labels_decode(&cursor, &arena, 10, &labels), NX_OK);
    assert_int_equal(labels.count, 2);
    assert_true(nx_view_is(nx_labels_get(labels, NX_VIEW("__name__")), "two"));
    struct nx_series_id id = nx_series_id_of(NX_VIEW("anonymous"), labels);
    cursor = nx_cursor_of(nx_view_make(sent->series_ids.data + 16, 16));
    assert_true(nx_series_id_eq(nx_series_id_read(&cursor), id));
    nx_arena_release(&arena);

    assert_int_equal(sent->n_histograms, 1);
    assert_int_equal(sent->histograms[0]->series, 1);
    assert_true(sent->histograms[0]->timestamp == 99);
    assert_true(sent->histograms[0]->histogram.len > 0);
    assert_int_equal(sent->n_exemplars, 1);
    assert_true(sent->exemplars[0]->timestamp == 77);
    assert_true(sent->exemplars[0]->value_bits == nx_double_bits(9.5));
    assert_true(sent->exemplars[0]->labels.len > 0);
    assert_int_equal(sent->n_metadata, 1);
    assert_string_equal(sent->metadata[0]->metric, "two");
    assert_string_equal(sent->metadata[0]->help, "Help.");
    assert_int_equal(sent->metadata[0]->type, 2);
    answer_ok(fake, 0);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_rows_go_to_their_owners(void **state)
{
    (void)state;
    struct fake *fake = fake_new(5, 3);
    push_series(fake, 200);
    assert_int_equal(fake->call_count, 5);
    size_t rows = 0;
    for (size_t i = 0; i < 5; i++) {
        const Narthex__PushRequest *sent = fake->calls[i].request;
        size_t count_here = sent->series_ids.len / 16;
        rows += count_here;
        for (size_t r = 0; r < count_here; r++) {
            struct nx_cursor cursor =
                nx_cursor_of(nx_view_make(sent->series_ids.data + r * 16, 16));
            uint32_t p = nx_series_id_partition(nx_series_id_read(&cursor), PARTITIONS);
            size_t owner = 0;
            for (size_t k = 0; k < 3; k++)
                owner += strcmp(fake->names[fake->owners[p * 3 + k]], fake->calls[i].address) == 0;
            assert_int_equal(owner, 1);
        }
    }
    assert_int_equal(rows, 600);
    answer_all(fake);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_labels_are_sent_until_confirmed(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 2);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    answer_error(fake, 2, NX_ERR_UNAVAILABLE, "connection refused");
    assert_int_equal(fake->err, NX_OK);
    push_series(fake, 2);
    for (size_t i = 3; i < 6; i++) {
        bool confirmed = strcmp(fake->calls[i].address, "ing-2") != 0;
        assert_int_equal(fake->calls[i].request->n_labels, confirmed ? 0 : 2);
    }
    answer_all(fake);
    /* A new incarnation knows nothing. */
    fake->members[1].incarnation = 999;
    fake->view.version++;
    push_series(fake, 2);
    for (size_t i = 6; i < 9; i++) {
        bool confirmed = strcmp(fake->calls[i].address, "ing-1") != 0;
        assert_int_equal(fake->calls[i].request->n_labels, confirmed ? 0 : 2);
    }
    answer_all(fake);
    fake_free(fake);
}

static void push_new_series_among_known_ones_brings_its_labels(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 2);
    answer_ok(fake, 0);
    push_series(fake, 3);
    assert_int_equal(fake->calls[1].request->n_labels, 3);
    assert_int_equal(fake->calls[1].request->labels[0].len, 0);
    assert_int_equal(fake->calls[1].request->labels[1].len, 0);
    assert_true(fake->calls[1].request->labels[2].len > 0);
    answer_ok(fake, 1);
    fake_free(fake);
}

static void push_never_heard_incarnation_gets_labels(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    fake->members[0].incarnation = 0;
    for (size_t i = 0; i < 2; i++) {
        push_series(fake, 1);
        assert_true(fake->calls[i].request->labels[0].len > 0);
        Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
        response.incarnation = 55;
        answer_with(fake, i, &response);
    }
    /* Once the ring has heard that incarnation, what it confirmed counts. */
    fake->members[0].incarnation = 55;
    fake->view.version++;
    push_series(fake, 1);
    assert_int_equal(fake->calls[2].request->n_labels, 0);
    answer_all(fake);
    fake_free(fake);
}

static void push_unknown_rows_are_sent_again_with_labels(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 3);
    answer_ok(fake, 0);
    push_series(fake, 3);
    assert_int_equal(fake->calls[1].request->n_labels, 0);
    answer_unknown(fake, 1, 777, 1); /* the ingester came back on an empty disk */
    assert_int_equal(fake->results, 0);
    assert_int_equal(fake->call_count, 3);
    const Narthex__PushRequest *again = fake->calls[2].request;
    assert_true(again->incarnation == 777);
    assert_int_equal(again->n_labels, 1);
    assert_true(again->labels[0].len > 0);
    assert_int_equal(again->n_timestamps, 1);
    assert_true(again->timestamps[0] == INT64_C(1699999999001));
    assert_memory_equal(again->series_ids.data, fake->calls[1].request->series_ids.data + 16, 16);
    answer_ok(fake, 2);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_unknown_twice_fails_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 1);
    answer_unknown(fake, 0, 100, 0);
    answer_unknown(fake, 1, 100, 0);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "series unknown"));
    fake_free(fake);
}

static void push_unknown_after_the_answer_is_still_resent(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 1);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 1);
    answer_unknown(fake, 2, 5, 0);
    assert_int_equal(fake->call_count, 4);
    answer_ok(fake, 3);
    assert_int_equal(fake->results, 1);
    fake_free(fake);
}

static void push_tight_budget_gives_the_batch_back_at_the_answer(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->budget.max_bytes = 1500; /* 1000 are charged: more than half */
    push_series(fake, 1);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 1);
    assert_int_equal(atomic_load(&fake->budget.used_bytes), 0);
    assert_int_equal(fake->pushes, 1);
    answer_unknown(fake, 2, 5, 0); /* too late: it has missed the row */
    assert_int_equal(fake->call_count, 3);
    assert_int_equal(fake->pushes, 0);
    fake_free(fake);
}

static void push_two_failures_answer_unavailable(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 4);
    answer_error(fake, 0, NX_ERR_UNAVAILABLE, "connection refused");
    assert_int_equal(fake->results, 0);
    answer_error(fake, 1, NX_ERR_IO, "disk is gone");
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "4 of 4 series could not be stored on 2 of 3 owners"));
    assert_non_null(strstr(fake->text, "connection refused"));
    assert_int_equal(fake->reports, 1);
    assert_int_equal(fake->last_report, NX_ERR_UNAVAILABLE);
    answer_ok(fake, 2);
    fake_free(fake);
}

static void push_failure_codes_map_to_the_answer(void **state)
{
    (void)state;
    static const struct {
        enum nx_err leg, answer;
    } cases[] = {
        {NX_ERR_UNAVAILABLE, NX_ERR_UNAVAILABLE}, {NX_ERR_TIMEOUT, NX_ERR_TIMEOUT},
        {NX_ERR_OVERLOADED, NX_ERR_OVERLOADED},   {NX_ERR_RATE_LIMITED, NX_ERR_RATE_LIMITED},
        {NX_ERR_LIMIT, NX_ERR_RATE_LIMITED},      {NX_ERR_INVALID, NX_ERR_UNAVAILABLE},
        {NX_ERR_CANCELED, NX_ERR_UNAVAILABLE},    {NX_ERR_NOSPACE, NX_ERR_UNAVAILABLE},
        {NX_ERR_INTERNAL, NX_ERR_UNAVAILABLE},    {NX_ERR_CLUSTER, NX_ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake *fake = fake_new(1, 1);
        push_series(fake, 1);
        answer_error(fake, 0, cases[i].leg, "");
        assert_int_equal(fake->err, cases[i].answer);
        assert_true(nx_err_http(fake->err) == 503 || nx_err_http(fake->err) == 429);
        fake_free(fake);
    }
}

static void push_unhealthy_owner_is_skipped(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->members[1].healthy = false;
    fake->members[1].problem = "no heartbeat for 6 s";
    push_series(fake, 2);
    assert_int_equal(fake->call_count, 2);
    answer_ok(fake, 0);
    assert_int_equal(fake->results, 0);
    answer_ok(fake, 1);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_two_unhealthy_owners_fail_at_once(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->members[0].healthy = false;
    fake->members[2].healthy = false;
    fake->members[0].problem = fake->members[2].problem = "no heartbeat";
    push_series(fake, 2);
    assert_int_equal(fake->call_count, 0);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "no heartbeat"));
    fake_free(fake);
}

static void push_fewer_members_than_replicas_counts_as_failed(void **state)
{
    (void)state;
    struct fake *fake = fake_new(2, 3);
    push_series(fake, 1);
    assert_int_equal(fake->call_count, 2);
    answer_all(fake);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
    fake = fake_new(1, 3);
    push_series(fake, 1);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "replication factor"));
    fake_free(fake);
}

static void push_refused_by_a_majority_is_reported(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 3);
    answer_refused(fake, 0, 1, NX_ERR_CONFLICT, "duplicate sample for timestamp");
    answer_refused(fake, 1, 1, NX_ERR_CONFLICT, "duplicate sample for timestamp");
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    assert_int_equal(fake->refused_samples, 1);
    assert_string_equal(fake->refused_text,
                        "duplicate sample for timestamp, timestamp 1234, series: m1{job=\"test\"}");
    answer_ok(fake, 2);
    fake_free(fake);
}

static void push_refused_by_one_of_three_is_stored(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 1);
    answer_refused(fake, 0, 0, NX_ERR_TOO_OLD, "");
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 0);
    answer_ok(fake, 2);
    assert_int_equal(fake->err, NX_OK);
    assert_string_equal(fake->refused_text, "");
    fake_free(fake);
}

static void push_refused_with_one_owner_away_is_final(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->members[0].healthy = false;
    push_series(fake, 1);
    answer_refused(fake, 0, 0, NX_ERR_OUT_OF_ORDER, "");
    assert_int_equal(fake->results, 0);
    answer_refused(fake, 1, 0, NX_ERR_OUT_OF_ORDER, "");
    assert_int_equal(fake->err, NX_OK);
    assert_non_null(strstr(fake->refused_text, "out of order sample, timestamp 1234"));
    fake_free(fake);
}

static void push_refusal_for_a_limit_asks_to_wait(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 2);
    answer_refused(fake, 0, 0, NX_ERR_LIMIT, "storage.max-series reached");
    assert_int_equal(fake->err, NX_ERR_RATE_LIMITED);
    assert_non_null(strstr(fake->text, "storage.max-series reached"));
    fake_free(fake);
}

static void push_failure_beats_refusal(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 2);
    answer_refused(fake, 0, 0, NX_ERR_CONFLICT, "");
    answer_error(fake, 1, NX_ERR_UNAVAILABLE, "gone");
    assert_int_equal(fake->results, 0);
    answer_error(fake, 2, NX_ERR_UNAVAILABLE, "gone");
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    fake_free(fake);
}

static void push_exemplar_refusals_do_not_fail_the_request(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    struct nx_buf message, series, exemplar;
    nx_buf_init(&message, SIZE_MAX);
    nx_buf_init(&series, SIZE_MAX);
    nx_buf_init(&exemplar, SIZE_MAX);
    test_put_label(&series, "__name__", "m");
    test_put_double(&exemplar, 2, 1);
    test_put_varint(&exemplar, 3, 5);
    test_put_message(&series, 3, &exemplar);
    test_put_message(&message, 1, &series);
    push_message(fake, &message);
    answer_refused(fake, 0, 0, NX_ERR_UNKNOWN_SERIES, "no such series");
    assert_int_equal(fake->err, NX_OK);
    assert_string_equal(fake->refused_text, "");
    fake_free(fake);
}

static void push_answers_that_make_no_sense_fail_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 2);
    answer_bytes(fake, 0, NX_VIEW("\xff\xff\xff"));
    answer_unknown(fake, 1, 1, 2); /* there are rows 0 and 1 */
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(fake->text, "PushResponse"));
    answer_ok(fake, 2);
    fake_free(fake);
}

static void push_call_that_cannot_be_made_fails_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->refuse_call = NX_ERR_NOMEM;
    push_series(fake, 2);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_ERR_NOMEM);
    fake_free(fake);
}

static void push_slow_owner_is_skipped_when_too_much_waits(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    fake->settings.max_inflight_bytes = 300; /* half of it for one ingester */
    push_series(fake, 1);
    assert_int_equal(fake->call_count, 3);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    push_series(fake, 1);
    size_t before = fake->call_count;
    push_series(fake, 1);
    assert_true(before <= 6);
    size_t to_slow = 0;
    for (size_t i = 0; i < fake->call_count; i++)
        to_slow += strcmp(fake->calls[i].address, fake->calls[2].address) == 0;
    assert_true(to_slow < 3);
    answer_all(fake);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_time_left_goes_down_with_the_resend(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 1);
    assert_int_equal(fake->calls[0].timeout_ms, 10000);
    nx_clock_manual_advance(&fake->clock, 9000);
    answer_unknown(fake, 0, 1, 0);
    assert_int_equal(fake->calls[1].timeout_ms, 1000);
    answer_error(fake, 1, NX_ERR_TIMEOUT, "timed out");
    assert_int_equal(fake->err, NX_ERR_TIMEOUT);
    push_series(fake, 1);
    nx_clock_manual_advance(&fake->clock, 10001);
    answer_unknown(fake, 2, 1, 0); /* nothing left: no second call */
    assert_int_equal(fake->call_count, 3);
    assert_int_equal(fake->err, NX_ERR_TIMEOUT);
    fake_free(fake);
}

static void push_without_rows_is_stored(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    struct nx_buf message;
    nx_buf_init(&message, SIZE_MAX);
    test_put_bytes(&message, 20, "x", 1);
    push_message(fake, &message);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    assert_int_equal(fake->call_count, 0);
    fake_free(fake);
}

static void push_metadata_alone_goes_to_a_majority(void **state)
{
    (void)state;
    struct fake *fake = fake_new(5, 3);
    struct nx_buf message, metadata;
    nx_buf_init(&message, SIZE_MAX);
    nx_buf_init(&metadata, SIZE_MAX);
    test_put_bytes(&metadata, 2, "up", 2);
    test_put_message(&message, 3, &metadata);
    push_message(fake, &message);
    assert_int_equal(fake->call_count, 3);
    assert_int_equal(fake->calls[0].request->n_metadata, 1);
    assert_int_equal(fake->calls[0].request->series_ids.len, 0);
    answer_ok(fake, 0);
    answer_ok(fake, 1);
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    answer_ok(fake, 2);
    fake_free(fake);
}

static void push_out_of_memory_anywhere_answers_once_and_leaks_nothing(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct fake *fake = fake_new(3, 3);
        struct nx_buf message;
        nx_buf_init(&message, SIZE_MAX);
        put_series(&message, "m0", 1);
        put_series(&message, "m1", 2);
        struct dist_batch *batch = dist_pusher_take_batch(fake->pusher);
        struct dist_refusals refusals = {.samples = 0};
        struct dist_resolver resolver = {
            .limits = &fake->limits, .tenant = NX_VIEW("t"), .now_ms = 1000};
        batch->body = nx_buf_take(&message, &batch->body_len);
        assert_int_equal(test_decode(nx_view_make(batch->body, batch->body_len), batch, NULL),
                         NX_OK);
        assert_int_equal(dist_resolve(&resolver, batch, &refusals, NULL), NX_OK);
        struct dist_push_request request = {
            .batch = batch, .tenant = resolver.tenant, .done = on_result, .user = fake};
        test_fail_allocation(n);
        dist_push_start(fake->pusher, &request);
        for (size_t i = 0; i < fake->call_count; i++)
            if (!fake->calls[i].answered)
                answer_unknown(fake, i, 5, 0);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        answer_all(fake);
        assert_int_equal(fake->results, 1);
        if (!failed)
            assert_int_equal(fake->err, NX_ERR_UNAVAILABLE); /* unknown twice */
        fake_free(fake);
    }
}

/* --- rows by number --- */

static struct nx_series_id id_of(size_t i)
{
    char name[24];
    (void)snprintf(name, sizeof name, "m%zu", i);
    struct nx_label labels[] = {{NX_VIEW("__name__"), nx_view_of(name)},
                                {NX_VIEW("job"), NX_VIEW("test")}};
    return nx_series_id_of(NX_VIEW("anonymous"), (struct nx_labels){.items = labels, .count = 2});
}

/* The rows by number of a call, in memory of the arena. */
static struct nx_push_columns columns_of(const struct fake_call *call, struct nx_arena *arena)
{
    struct nx_push_columns columns;
    nx_arena_init(arena, 0);
    struct nx_view bytes = nx_view_make(call->request->numbered.data, call->request->numbered.len);
    assert_int_equal(nx_push_columns_read(bytes, arena, &columns), NX_OK);
    return columns;
}

static void push_goes_by_number_once_one_was_given(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 100);
    answer_numbers(fake, 0, nx_number_of(2, 7));
    push_series(fake, 100);
    const struct fake_call *call = &fake->calls[1];
    assert_int_equal(call->request->series_ids.len, 0);
    assert_int_equal(call->request->n_timestamps, 0);
    assert_false(call->request->want_numbers);
    assert_in_range(call->bytes, 100, 100 * 8);
    struct nx_arena arena;
    struct nx_push_columns columns = columns_of(call, &arena);
    assert_int_equal(columns.rows, 100);
    assert_int_equal(nx_push_samples(&columns), 100);
    uint64_t check = 0;
    for (size_t i = 0, bunch = 0; i < 100; i++) {
        assert_int_equal(columns.numbers[i], nx_number_of(2, (uint32_t)(7 + i)));
        assert_true(columns.times[i] == INT64_C(1699999999000) + (int64_t)i);
        assert_true(columns.bits[i] == nx_double_bits(1.5));
        check = nx_push_check(check, id_of(i));
        if (i + 1 < columns.ends[bunch])
            continue;
        assert_true(columns.checks[bunch++] == check);
        check = 0;
    }
    nx_arena_release(&arena);
    answer_ok(fake, 1);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_unknown_number_goes_by_id_and_then_with_labels(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 3);
    answer_numbers(fake, 0, nx_number_of(0, 0));
    push_series(fake, 3);
    assert_true(fake->calls[1].numbered);
    answer_unknown(fake, 1, 100, 1); /* the number is another series' by now */
    assert_int_equal(fake->results, 0);
    const Narthex__PushRequest *by_id = fake->calls[2].request;
    assert_false(fake->calls[2].numbered);
    assert_int_equal(by_id->series_ids.len, 16);
    assert_int_equal(by_id->n_labels, 0);
    assert_true(by_id->want_numbers);
    assert_true(by_id->timestamps[0] == INT64_C(1699999999001));
    answer_unknown(fake, 2, 100, 0); /* and it was dropped */
    const Narthex__PushRequest *with_labels = fake->calls[3].request;
    assert_int_equal(with_labels->n_labels, 1);
    assert_true(with_labels->labels[0].len > 0);
    assert_memory_equal(with_labels->series_ids.data, by_id->series_ids.data, 16);
    answer_numbers(fake, 3, nx_number_of(0, 9));
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->err, NX_OK);
    push_series(fake, 3);
    struct nx_arena arena;
    struct nx_push_columns columns = columns_of(&fake->calls[4], &arena);
    assert_int_equal(columns.rows, 3);
    assert_int_equal(columns.numbers[0], nx_number_of(0, 0));
    assert_int_equal(columns.numbers[1], nx_number_of(0, 9));
    assert_int_equal(columns.numbers[2], nx_number_of(0, 2));
    nx_arena_release(&arena);
    answer_ok(fake, 4);
    fake_free(fake);
}

static void push_number_of_a_wiped_ingester_brings_labels_at_once(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 1);
    answer_numbers(fake, 0, 5);
    push_series(fake, 1);
    answer_unknown(fake, 1, 777, 0); /* the ring has not heard of it yet */
    assert_int_equal(fake->call_count, 3);
    assert_true(fake->calls[2].request->incarnation == 777);
    assert_true(fake->calls[2].request->n_labels == 1 && fake->calls[2].request->labels[0].len > 0);
    answer_numbers(fake, 2, 1);
    assert_int_equal(fake->err, NX_OK);
    fake->members[0].incarnation = 777;
    fake->view.version++;
    push_series(fake, 1);
    struct nx_arena arena;
    assert_int_equal(columns_of(&fake->calls[3], &arena).numbers[0], 1);
    nx_arena_release(&arena);
    answer_ok(fake, 3);
    fake_free(fake);
}

static void push_unknown_in_every_form_fails_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 1);
    answer_numbers(fake, 0, 5);
    push_series(fake, 1);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(fake->results, 0);
        answer_unknown(fake, i, 100, 0);
    }
    assert_int_equal(fake->results, 1);
    assert_int_equal(fake->call_count, 4);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    fake_free(fake);
}

static void push_to_an_ingester_of_an_older_release_goes_by_id(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 2);
    answer_numbers(fake, 0, 5);
    push_series(fake, 3); /* one of them new */
    assert_true(fake->calls[1].numbered);
    assert_int_equal(fake->calls[1].request->series_ids.len, 16);
    answer_error(fake, 1, NX_ERR_METHOD, "no such method"); /* it was rolled back */
    assert_int_equal(fake->results, 0);
    assert_int_equal(fake->reports, 0);
    assert_false(fake->calls[2].numbered);
    assert_int_equal(fake->calls[2].request->series_ids.len, 48);
    assert_int_equal(fake->calls[2].request->n_timestamps, 3);
    answer_ok(fake, 2);
    assert_int_equal(fake->err, NX_OK);
    push_series(fake, 3);
    assert_false(fake->calls[3].numbered);
    assert_int_equal(fake->calls[3].request->n_labels, 0);
    answer_ok(fake, 3);
    fake_free(fake);
}

static void push_numbers_are_each_ingesters_own(void **state)
{
    (void)state;
    struct fake *fake = fake_new(3, 3);
    push_series(fake, 2);
    for (uint32_t i = 0; i < 3; i++)
        answer_numbers(fake, i, nx_number_of(i, 10 * (i + 1)));
    push_series(fake, 2);
    for (size_t i = 3; i < 6; i++) {
        const struct fake_call *call = &fake->calls[i];
        uint32_t m = (uint32_t)(call->address[4] - '0');
        struct nx_arena arena;
        size_t first = 0;
        while (strcmp(fake->calls[first].address, call->address) != 0)
            first++;
        struct nx_push_columns columns = columns_of(call, &arena);
        assert_int_equal(columns.rows, 2);
        assert_in_range(m, 0, 2);
        assert_int_equal(columns.numbers[0],
                         nx_number_of((uint32_t)first, 10 * ((uint32_t)first + 1)));
        nx_arena_release(&arena);
    }
    answer_all(fake);
    assert_int_equal(fake->err, NX_OK);
    fake_free(fake);
}

static void push_rows_by_number_are_gathered_by_shard(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 6);
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    uint32_t numbers[] = {nx_number_of(1, 4), nx_number_of(0, 8), 0,
                          nx_number_of(1, 2), nx_number_of(0, 9), nx_number_of(1, 5)};
    response.incarnation = 100;
    response.numbers = numbers;
    response.n_numbers = 6;
    answer_with(fake, 0, &response);
    push_series(fake, 6);
    const Narthex__PushRequest *request = fake->calls[1].request;
    static const size_t order[] = {1, 4, 0, 3, 5};
    struct nx_arena arena;
    struct nx_push_columns columns = columns_of(&fake->calls[1], &arena);
    assert_int_equal(columns.rows, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(columns.numbers[i], numbers[order[i]]);
        assert_true(columns.times[i] == INT64_C(1699999999000) + (int64_t)order[i]);
    }
    nx_arena_release(&arena);
    assert_int_equal(request->series_ids.len, 16); /* the one without a number */
    assert_true(request->want_numbers && request->timestamps[0] == INT64_C(1699999999002));
    answer_refused(fake, 1, 3, NX_ERR_CONFLICT, ""); /* row 3: the third by number */
    assert_non_null(strstr(fake->refused_text, "m0{"));
    fake_free(fake);
}

static void push_series_with_exemplars_go_by_id(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    for (size_t i = 0; i < 2; i++) {
        struct nx_buf message, series, exemplar;
        nx_buf_init(&message, SIZE_MAX);
        nx_buf_init(&series, SIZE_MAX);
        nx_buf_init(&exemplar, SIZE_MAX);
        put_series(&message, "m0", 5 + (int64_t)i);
        test_put_label(&series, "__name__", "m1");
        test_put_sample(&series, 6 + (int64_t)i, 2.5);
        test_put_double(&exemplar, 2, 1);
        test_put_varint(&exemplar, 3, 5 + i);
        test_put_message(&series, 3, &exemplar);
        test_put_message(&message, 1, &series);
        push_message(fake, &message);
        if (i == 0)
            answer_numbers(fake, 0, 5);
    }
    const Narthex__PushRequest *request = fake->calls[1].request;
    assert_true(fake->calls[1].numbered);
    assert_int_equal(request->series_ids.len, 16);
    assert_int_equal(request->n_labels, 0);
    assert_int_equal(request->n_exemplars, 1);
    assert_int_equal(request->exemplars[0]->series, 0);
    assert_true(request->timestamps[0] == 7);
    answer_ok(fake, 1);
    fake_free(fake);
}

static void push_answer_with_too_few_numbers_fails_that_owner(void **state)
{
    (void)state;
    struct fake *fake = fake_new(1, 1);
    push_series(fake, 2);
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    uint32_t number = 5;
    response.numbers = &number;
    response.n_numbers = 1;
    answer_with(fake, 0, &response);
    assert_int_equal(fake->err, NX_ERR_UNAVAILABLE);
    fake_free(fake);
}

static void push_by_number_out_of_memory_answers_once(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct fake *fake = fake_new(1, 1);
        push_series(fake, 4);
        answer_numbers(fake, 0, 5);
        struct nx_buf message;
        nx_buf_init(&message, SIZE_MAX);
        for (int i = 0; i < 4; i++) {
            char name[8];
            (void)snprintf(name, sizeof name, "m%d", i);
            put_series(&message, name, 7);
        }
        struct dist_batch *batch = dist_pusher_take_batch(fake->pusher);
        struct dist_refusals refusals = {.samples = 0};
        struct dist_resolver resolver = {.limits = &fake->limits,
                                         .cache = fake->cache,
                                         .tenant = NX_VIEW("anonymous"),
                                         .now_ms = 1000};
        batch->body = nx_buf_take(&message, &batch->body_len);
        assert_int_equal(test_decode(nx_view_make(batch->body, batch->body_len), batch, NULL),
                         NX_OK);
        assert_int_equal(dist_resolve(&resolver, batch, &refusals, NULL), NX_OK);
        struct dist_push_request request = {
            .batch = batch, .tenant = resolver.tenant, .done = on_result, .user = fake};
        fake->results = 0;
        test_fail_allocation(n);
        dist_push_start(fake->pusher, &request);
        for (size_t i = 1; i < fake->call_count; i++)
            if (!fake->calls[i].answered)
                answer_unknown(fake, i, 100, 0);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        answer_all(fake);
        assert_int_equal(fake->results, 1);
        fake_free(fake);
    }
}

/* Many concurrent pushes, answered in random order and ways: each is answered once, and everything
 * comes back. */
static void push_random_answers_always_end(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 21);
    for (size_t round = 0; round < 300; round++) {
        struct fake *fake = fake_new((uint32_t)(1 + nx_rand_below(&rand, 5)), 3);
        for (size_t m = 0; m < fake->view.member_count; m++)
            fake->members[m].healthy = nx_rand_below(&rand, 6) != 0;
        size_t answers = 0;
        for (size_t p = 0; p < 4; p++) {
            push_series(fake, 1 + nx_rand_below(&rand, 4));
            answers += fake->results;
        }
        fake->results = 0;
        for (bool open = true; open;) {
            open = false;
            for (size_t i = 0; i < fake->call_count; i++) {
                if (fake->calls[i].answered)
                    continue;
                open = true;
                if (nx_rand_below(&rand, 2))
                    continue;
                switch (nx_rand_below(&rand, 7)) {
                case 0:
                    answer_error(fake, i, NX_ERR_TIMEOUT, "slow");
                    break;
                case 1:
                    answer_unknown(fake, i, 5, 0);
                    break;
                case 2:
                    answer_refused(fake, i, 0, NX_ERR_CONFLICT, "");
                    break;
                case 3:
                    answer_error(fake, i, NX_ERR_METHOD, "older");
                    break;
                case 4:
                    if (fake->calls[i].request->want_numbers)
                        answer_numbers(fake, i, nx_number_of(1, 3));
                    break;
                default:
                    answer_ok(fake, i);
                    break;
                }
            }
        }
        assert_int_equal(answers + fake->results, 4);
        fake_free(fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_majority_answers_before_the_third),
        cmocka_unit_test(push_carries_what_was_written),
        cmocka_unit_test(push_rows_go_to_their_owners),
        cmocka_unit_test(push_labels_are_sent_until_confirmed),
        cmocka_unit_test(push_new_series_among_known_ones_brings_its_labels),
        cmocka_unit_test(push_never_heard_incarnation_gets_labels),
        cmocka_unit_test(push_unknown_rows_are_sent_again_with_labels),
        cmocka_unit_test(push_unknown_twice_fails_that_owner),
        cmocka_unit_test(push_unknown_after_the_answer_is_still_resent),
        cmocka_unit_test(push_tight_budget_gives_the_batch_back_at_the_answer),
        cmocka_unit_test(push_two_failures_answer_unavailable),
        cmocka_unit_test(push_failure_codes_map_to_the_answer),
        cmocka_unit_test(push_unhealthy_owner_is_skipped),
        cmocka_unit_test(push_two_unhealthy_owners_fail_at_once),
        cmocka_unit_test(push_fewer_members_than_replicas_counts_as_failed),
        cmocka_unit_test(push_refused_by_a_majority_is_reported),
        cmocka_unit_test(push_refused_by_one_of_three_is_stored),
        cmocka_unit_test(push_refused_with_one_owner_away_is_final),
        cmocka_unit_test(push_refusal_for_a_limit_asks_to_wait),
        cmocka_unit_test(push_failure_beats_refusal),
        cmocka_unit_test(push_exemplar_refusals_do_not_fail_the_request),
        cmocka_unit_test(push_answers_that_make_no_sense_fail_that_owner),
        cmocka_unit_test(push_call_that_cannot_be_made_fails_that_owner),
        cmocka_unit_test(push_slow_owner_is_skipped_when_too_much_waits),
        cmocka_unit_test(push_time_left_goes_down_with_the_resend),
        cmocka_unit_test(push_without_rows_is_stored),
        cmocka_unit_test(push_metadata_alone_goes_to_a_majority),
        cmocka_unit_test(push_out_of_memory_anywhere_answers_once_and_leaks_nothing),
        cmocka_unit_test(push_goes_by_number_once_one_was_given),
        cmocka_unit_test(push_unknown_number_goes_by_id_and_then_with_labels),
        cmocka_unit_test(push_number_of_a_wiped_ingester_brings_labels_at_once),
        cmocka_unit_test(push_unknown_in_every_form_fails_that_owner),
        cmocka_unit_test(push_to_an_ingester_of_an_older_release_goes_by_id),
        cmocka_unit_test(push_numbers_are_each_ingesters_own),
        cmocka_unit_test(push_rows_by_number_are_gathered_by_shard),
        cmocka_unit_test(push_series_with_exemplars_go_by_id),
        cmocka_unit_test(push_answer_with_too_few_numbers_fails_that_owner),
        cmocka_unit_test(push_by_number_out_of_memory_answers_once),
        cmocka_unit_test(push_random_answers_always_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
