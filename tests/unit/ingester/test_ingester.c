/* The ingester as its peers see it: RPC in, RPC out. */
#include <string.h>

#include "fixture.h"

#define T0 INT64_C(1704060000000)
#define ALL_TIME INT64_MIN, INT64_MAX

static void push_one(struct fixture *fixture, const char *name, int64_t t, double value)
{
    struct pusher pusher;
    pusher_init(&pusher, "a");
    pusher_row(&pusher, "__name__", name, "job", "x", NULL);
    pusher_sample(&pusher, t, value);
    push_all(fixture, &pusher);
    pusher_release(&pusher);
}

static void push_then_select_gives_the_samples(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    struct got got;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    pusher_init(&pusher, "a");
    struct nx_series_id one = pusher_row(&pusher, "__name__", "up", "job", "x", NULL);
    for (int i = 0; i < 300; i++)
        pusher_sample(&pusher, T0 + i * 15000, i);
    struct nx_series_id two = pusher_row(&pusher, "__name__", "up", "job", "y", NULL);
    pusher_bits(&pusher, T0, NX_STALE_NAN_BITS);
    pusher_bits(&pusher, T0 + 1, UINT64_C(0x7ff8dead00000001));
    push_all(&fixture, &pusher);
    pusher_release(&pusher);

    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_EQ, "__name__", "up", -1);
    assert_int_equal(got.err, NX_OK);
    assert_int_equal(got.count, 2);
    const struct got_series *series = got_find(&got, one);
    assert_non_null(series);
    assert_int_equal(series->count, 300);
    for (int i = 0; i < 300; i++) {
        assert_true(series->samples[i].t == T0 + i * 15000);
        assert_true(series->samples[i].bits == nx_double_bits(i));
    }
    series = got_find(&got, two);
    assert_int_equal(series->count, 2);
    assert_true(series->samples[0].bits == NX_STALE_NAN_BITS);
    assert_true(series->samples[1].bits == UINT64_C(0x7ff8dead00000001));
    got_release(&got);
    select_series(&fixture, "b", ALL_TIME, &got, NX_MATCH_EQ, "__name__", "up", -1);
    assert_int_equal(got.count, 0);
    got_release(&got);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void restart_brings_back_what_was_acknowledged(void **state)
{
    (void)state;
    for (size_t again = 1; again <= 3; again++) {
        struct fixture fixture;
        struct got got;
        fixture_init(&fixture, NULL, 2);
        fixture_open(&fixture);
        uint64_t incarnation = ing_incarnation(fixture.ing);
        for (int i = 0; i < 20; i++) {
            char name[16];
            snprintf(name, sizeof name, "m%d", i);
            push_one(&fixture, name, T0 + i, i);
        }
        fixture_close(&fixture);
        fixture.worker_count = again; /* also with another number of shards */
        fixture_open(&fixture);
        assert_true(ing_incarnation(fixture.ing) == incarnation);
        select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_EQ, "job", "x", -1);
        assert_int_equal(got.count, 20);
        got_release(&got);
        push_one(&fixture, "m1", T0 + 100, 5);
        fixture_reopen(&fixture);
        select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_EQ, "__name__", "m1", -1);
        assert_int_equal(got.count, 1);
        assert_int_equal(got.series[0].count, 2);
        got_release(&got);
        fixture_close(&fixture);
        fixture_release(&fixture);
    }
}

static void flush_moves_samples_to_blocks_without_losing_any(void **state)
{
    (void)state;
    struct fixture fixture;
    struct got got;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    for (int i = 0; i < 40; i++)
        push_one(&fixture, i % 2 ? "odd" : "even", T0 + i * 600000,
                 i); /* 400 minutes: several windows */
    flush_all(&fixture);
    for (int round = 0; round < 2; round++) {
        select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_RE, "__name__", "odd|even", -1);
        assert_int_equal(got.err, NX_OK);
        assert_int_equal(got.count, 2);
        assert_int_equal(got.series[0].count, 20);
        assert_int_equal(got.series[1].count, 20);
        got_release(&got);
        fixture_reopen(&fixture);
    }
    push_one(&fixture, "even", T0 + INT64_C(41) * 600000, 1);
    flush_all(&fixture);
    push_one(&fixture, "odd", T0 + INT64_C(42) * 600000, 1);
    fixture_reopen(&fixture);
    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_RE, "__name__", "odd|even", -1);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.series[0].count, 21);
    assert_int_equal(got.series[1].count, 21);
    got_release(&got);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void refusals_name_the_row_and_the_reason(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    enum nx_err err;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    push_one(&fixture, "m", T0 + 4 * HOUR_MS, 1);
    pusher_init(&pusher, "a");
    struct nx_series_id id = pusher_row(&pusher, "__name__", "m", "job", "x", NULL);
    pusher_sample(&pusher, T0 + 4 * HOUR_MS, 1); /* again: fine */
    pusher_sample(&pusher, T0 + 4 * HOUR_MS, 2); /* another value */
    pusher_sample(&pusher, T0 + 3 * HOUR_MS, 3); /* out of order, taken */
    pusher_sample(&pusher, T0 + HOUR_MS, 4);     /* too old */
    pusher_row(&pusher, "__name__", "n", NULL);
    pusher_sample(&pusher, INT64_MAX, 4);
    pusher_row_id(&pusher, (struct nx_series_id){1, 2});
    pusher_sample(&pusher, T0, 1);
    Narthex__PushResponse *response = push(&fixture, &pusher, &err);
    assert_int_equal(err, NX_OK);
    assert_int_equal(response->n_unknown, 1);
    assert_int_equal(response->unknown[0], 2);
    assert_int_equal(response->n_refused, 2);
    const Narthex__Refusal *first = response->refused[response->refused[0]->series == 0 ? 0 : 1];
    const Narthex__Refusal *second = response->refused[response->refused[0]->series == 0 ? 1 : 0];
    assert_int_equal(first->series, 0);
    assert_int_equal(first->count, 2);
    assert_int_equal(first->code, NX_ERR_CONFLICT);
    assert_true(first->timestamp == T0 + 4 * HOUR_MS);
    assert_int_equal(second->series, 1);
    assert_int_equal(second->code, NX_ERR_OUT_OF_BOUNDS);
    narthex__push_response__free_unpacked(response, NULL);
    pusher_release(&pusher);

    struct got got;
    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_NE, "__name__", "", -1);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.series[0].count, 2);
    assert_true(nx_series_id_eq(got.series[0].id, id));
    got_release(&got);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void unknown_series_is_known_once_its_labels_came(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    pusher_init(&pusher, "a");
    struct nx_series_id id = pusher_row(&pusher, "__name__", "m", NULL);
    pusher_sample(&pusher, T0, 1);
    push_all(&fixture, &pusher);
    pusher_release(&pusher);
    for (int i = 1; i < 3; i++) {
        pusher_init(&pusher, "a");
        pusher_row_id(&pusher, id);
        pusher_sample(&pusher, T0 + i, 1);
        push_all(&fixture, &pusher);
        pusher_release(&pusher);
        fixture_reopen(&fixture);
    }
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void id_of_other_labels_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    enum nx_err err;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    pusher_init(&pusher, "a");
    pusher_row(&pusher, "__name__", "m", NULL);
    pusher.ids.data[3] ^= 1;
    pusher_sample(&pusher, T0, 1);
    pusher_sample(&pusher, T0 + 1, 1);
    Narthex__PushResponse *response = push(&fixture, &pusher, &err);
    assert_int_equal(response->n_refused, 1);
    assert_int_equal(response->refused[0]->code, NX_ERR_INVALID);
    assert_int_equal(response->refused[0]->count, 2);
    narthex__push_response__free_unpacked(response, NULL);
    pusher_release(&pusher);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void malformed_pushes_are_invalid(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    struct answer answer;
    enum nx_err err;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    for (int kind = 0; kind < 8; kind++) {
        pusher_init(&pusher, kind == 7 ? "" : "a");
        pusher_row(&pusher, "__name__", "m", NULL);
        pusher_sample(&pusher, T0, 1);
        pusher_histogram(&pusher, T0 + 1, make_histogram(&pusher.arena, 1));
        pusher_exemplar(&pusher, T0, 1, "a", "b");
        if (kind == 0)
            pusher.request.n_labels = 0, pusher.request.series_ids.len--;
        else if (kind == 1)
            pusher.request.sample_counts[0] = 2;
        else if (kind == 2)
            pusher.request.sample_counts[0] = UINT32_MAX;
        else if (kind == 3)
            pusher.request.n_value_bits = 0;
        else if (kind == 4)
            pusher.request.histograms[0]->series = 1;
        else if (kind == 5)
            pusher.request.exemplars[0]->series = UINT32_MAX;
        else if (kind == 6)
            pusher.request.n_sample_counts = 0;
        assert_null(push(&fixture, &pusher, &err));
        assert_int_equal(err, NX_ERR_INVALID);
        pusher_release(&pusher);
    }
    Narthex__MetadataRow rubbish = NARTHEX__METADATA_ROW__INIT;
    rubbish.metric =
        "no tenant, and these are not ids"; /* a string where the tenant is, nothing else */
    call(&fixture, "push", &rubbish.base, &answer);
    assert_true(answer.err == NX_OK || answer.err == NX_ERR_INVALID);
    answer_release(&answer);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void series_beyond_the_limit_are_refused_with_its_name(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    enum nx_err err;
    fixture_init(&fixture, NULL, 2);
    fixture.settings.max_series = 3;
    fixture_open(&fixture);
    pusher_init(&pusher, "a");
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        pusher_row(&pusher, "__name__", nx_arena_copy(&pusher.arena, nx_view_of(name)).ptr, NULL);
        pusher_sample(&pusher, T0, 1);
    }
    Narthex__PushResponse *response = push(&fixture, &pusher, &err);
    assert_int_equal(response->n_refused, 2);
    assert_int_equal(response->refused[0]->code, NX_ERR_RATE_LIMITED);
    assert_non_null(strstr(response->refused[0]->text, "ingester.max-series"));
    assert_non_null(strstr(response->refused[0]->text, "3"));
    narthex__push_response__free_unpacked(response, NULL);
    pusher_release(&pusher);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void ask_labels(struct fixture *fixture, const char *name, const char *job, uint64_t limit,
                       const char *expected)
{
    Narthex__LabelsRequest request = NARTHEX__LABELS_REQUEST__INIT;
    Narthex__Matcher matcher = NARTHEX__MATCHER__INIT;
    Narthex__Matcher *list[1] = {&matcher};
    char text[256] = "";
    struct answer answer;
    matcher.name = "job";
    matcher.value = (char *)(uintptr_t)job;
    request.tenant = "a";
    request.name = (char *)(uintptr_t)name;
    request.matchers = list;
    request.n_matchers = job ? 1 : 0;
    request.min_t = INT64_MIN;
    request.max_t = INT64_MAX;
    request.limit = limit;
    call(fixture, "labels", &request.base, &answer);
    assert_int_equal(answer.err, NX_OK);
    Narthex__LabelsResponse *response =
        narthex__labels_response__unpack(NULL, answer.body.len, (const uint8_t *)answer.body.data);
    for (size_t i = 0; i < response->n_items; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s ", response->items[i]);
    }
    assert_string_equal(text, expected);
    narthex__labels_response__free_unpacked(response, NULL);
    answer_release(&answer);
}

static void labels_come_from_heads_and_blocks_sorted_and_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    fixture_init(&fixture, NULL, 3);
    fixture_open(&fixture);
    for (int round = 0; round < 2; round++) {
        pusher_init(&pusher, "a");
        pusher_row(&pusher, "__name__", "m", "job", "x", NULL);
        pusher_sample(&pusher, T0 + round * 6 * HOUR_MS, 1);
        pusher_row(&pusher, "__name__", round ? "new" : "old", "job", "y",
                   round ? "fresh" : "stale", "1", NULL);
        pusher_sample(&pusher, T0 + round * 6 * HOUR_MS, 1);
        push_all(&fixture, &pusher);
        pusher_release(&pusher);
        if (round == 0) {
            flush_all(&fixture);
            fixture_reopen(&fixture);
        }
    }
    ask_labels(&fixture, "", NULL, 0, "__name__ fresh job stale ");
    ask_labels(&fixture, "__name__", NULL, 0, "m new old ");
    ask_labels(&fixture, "__name__", NULL, 2, "m new ");
    ask_labels(&fixture, "__name__", "y", 0, "new old ");
    ask_labels(&fixture, "", "x", 0, "__name__ job ");
    ask_labels(&fixture, "job", "nope", 0, "");
    ask_labels(&fixture, "nope", NULL, 0, "");
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void check_side_data(struct fixture *fixture)
{
    struct answer answer;
    Narthex__MetadataRequest metadata = NARTHEX__METADATA_REQUEST__INIT;
    metadata.tenant = "a";
    call(fixture, "metadata", &metadata.base, &answer);
    Narthex__MetadataResponse *rows = narthex__metadata_response__unpack(
        NULL, answer.body.len, (const uint8_t *)answer.body.data);
    assert_int_equal(rows->n_metadata, 2);
    assert_string_equal(rows->metadata[0]->metric, "m");
    assert_string_equal(rows->metadata[0]->help, "newer help");
    assert_string_equal(rows->metadata[1]->metric, "n");
    assert_int_equal(rows->metadata[1]->type, 2);
    narthex__metadata_response__free_unpacked(rows, NULL);
    answer_release(&answer);

    Narthex__ExemplarsRequest request = NARTHEX__EXEMPLARS_REQUEST__INIT;
    Narthex__MatcherSet set = NARTHEX__MATCHER_SET__INIT;
    Narthex__MatcherSet *sets[1] = {&set};
    Narthex__Matcher matcher = NARTHEX__MATCHER__INIT;
    Narthex__Matcher *list[1] = {&matcher};
    matcher.name = "__name__";
    matcher.value = "m";
    set.matchers = list;
    set.n_matchers = 1;
    request.selectors = sets;
    request.n_selectors = 1;
    request.tenant = "a";
    request.min_t = T0;
    request.max_t = T0 + 1;
    call(fixture, "exemplars", &request.base, &answer);
    Narthex__ExemplarsResponse *found = narthex__exemplars_response__unpack(
        NULL, answer.body.len, (const uint8_t *)answer.body.data);
    assert_int_equal(found->n_series, 1);
    assert_int_equal(found->series[0]->n_exemplars, 2);
    assert_true(found->series[0]->exemplars[0]->timestamp == T0);
    assert_true(found->series[0]->exemplars[1]->value_bits == nx_double_bits(2));
    narthex__exemplars_response__free_unpacked(found, NULL);
    answer_release(&answer);
}

static void metadata_and_exemplars_come_back_after_a_restart(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    for (int round = 0; round < 2; round++) {
        pusher_init(&pusher, "a");
        pusher_row(&pusher, "__name__", "m", NULL);
        pusher_sample(&pusher, T0, 1);
        pusher_exemplar(&pusher, T0, 1, "trace", "x");
        pusher_exemplar(&pusher, T0 + 1, 2, "trace", "y");
        pusher_exemplar(&pusher, T0 + 2, 3, "trace", "z");
        pusher_row(&pusher, "__name__", "only_exemplars", NULL);
        pusher_exemplar(&pusher, T0, 1, "trace", "x");
        pusher_metadata(&pusher, "m", 1, round ? "newer help" : "help", "");
        pusher_metadata(&pusher, "n", 2, "", "seconds");
        push_all(&fixture, &pusher);
        pusher_release(&pusher);
    }
    check_side_data(&fixture);
    fixture_reopen(&fixture);
    check_side_data(&fixture);
    flush_all(&fixture); /* through a checkpoint */
    fixture_reopen(&fixture);
    check_side_data(&fixture);
    fixture_close(&fixture);
    fixture.worker_count = 3;
    fixture_open(&fixture);
    check_side_data(&fixture);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void status_counts_what_is_in_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    struct answer answer;
    fixture_init(&fixture, NULL, 3);
    fixture_open(&fixture);
    pusher_init(&pusher, "a");
    for (int i = 0; i < 30; i++) {
        char text[32];
        snprintf(text, sizeof text, "i%02d", i);
        pusher_row(&pusher, "__name__", i < 20 ? "big" : "small", "instance",
                   nx_arena_copy(&pusher.arena, nx_view_of(text)).ptr, NULL);
        pusher_sample(&pusher, T0 + i, 1);
    }
    push_all(&fixture, &pusher);
    pusher_release(&pusher);
    Narthex__StatusRequest request = NARTHEX__STATUS_REQUEST__INIT;
    request.tenant = "a";
    request.limit = 5;
    call(&fixture, "status", &request.base, &answer);
    Narthex__StatusResponse *status =
        narthex__status_response__unpack(NULL, answer.body.len, (const uint8_t *)answer.body.data);
    assert_true(status->num_series == 30 && status->num_label_pairs == 32 &&
                status->chunk_count == 30);
    assert_true(status->max_t == T0 + 29 && status->min_t == T0);
    assert_int_equal(status->n_series_by_metric, 2);
    assert_string_equal(status->series_by_metric[0]->name, "big");
    assert_true(status->series_by_metric[0]->value == 20);
    assert_string_equal(status->values_by_label[0]->name, "instance");
    assert_true(status->values_by_label[0]->value == 30);
    assert_string_equal(status->memory_by_label[0]->name, "__name__");
    assert_true(status->memory_by_label[0]->value == 20 * 3 + 10 * 5);
    assert_int_equal(status->n_series_by_pair, 5);
    assert_string_equal(status->series_by_pair[0]->name, "__name__=big");
    narthex__status_response__free_unpacked(status, NULL);
    answer_release(&answer);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static Narthex__CardinalityResponse *ask_cardinality(struct fixture *fixture,
                                                     const Narthex__CardinalityRequest *request)
{
    struct answer answer;
    call(fixture, "cardinality", &request->base, &answer);
    Narthex__CardinalityResponse *response = narthex__cardinality_response__unpack(
        NULL, answer.body.len, (const uint8_t *)answer.body.data);
    answer_release(&answer);
    assert_non_null(response);
    return response;
}

/* Series and distinct values of a label over the shards' entries. */
static void sum_label(const Narthex__CardinalityResponse *response, const char *name,
                      uint64_t *series, size_t *values)
{
    uint64_t hashes[128];
    size_t count = 0;
    *series = 0;
    for (size_t i = 0; i < response->n_labels; i++) {
        const Narthex__LabelCardinality *label = response->labels[i];
        if (strcmp(label->name, name) != 0)
            continue;
        *series += label->series;
        for (size_t j = 0; j < label->n_hashes; j++) {
            size_t k = 0;
            while (k < count && hashes[k] != label->hashes[j])
                k++;
            if (k == count)
                hashes[count++] = label->hashes[j];
        }
    }
    *values = count;
}

static void cardinality_counts_series_that_match_and_are_active(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    uint64_t series;
    size_t values;
    fixture_init(&fixture, NULL, 3);
    fixture_open(&fixture);
    pusher_init(&pusher, "a");
    for (int i = 0; i < 60; i++) { /* long enough that sets are more than runs */
        char text[32];
        snprintf(text, sizeof text, "i%02d", i);
        pusher_row(&pusher, "__name__", i % 3 ? "big" : "small", "instance",
                   nx_arena_copy(&pusher.arena, nx_view_of(text)).ptr, NULL);
        pusher_sample(&pusher, T0 + i, 1);
    }
    push_all(&fixture, &pusher);
    pusher_release(&pusher);
    Narthex__CardinalityRequest request = NARTHEX__CARDINALITY_REQUEST__INIT;
    request.tenant = "a";
    Narthex__CardinalityResponse *got = ask_cardinality(&fixture, &request);
    assert_int_equal(got->series, 60);
    sum_label(got, "instance", &series, &values);
    assert_true(series == 60 && values == 60);
    sum_label(got, "__name__", &series, &values);
    assert_true(series == 60 && values == 2);
    narthex__cardinality_response__free_unpacked(got, NULL);

    Narthex__Matcher matcher = NARTHEX__MATCHER__INIT;
    Narthex__Matcher *matchers[] = {&matcher};
    matcher.name = "__name__";
    matcher.value = "big";
    request.matchers = matchers;
    request.n_matchers = 1;
    request.active_since = T0 + 30;
    got = ask_cardinality(&fixture, &request);
    assert_int_equal(got->series, 30); /* active, whether they match or not */
    sum_label(got, "instance", &series, &values);
    assert_true(series == 20 && values == 20);
    sum_label(got, "__name__", &series, &values);
    assert_true(series == 20 && values == 1);
    narthex__cardinality_response__free_unpacked(got, NULL);

    char *names[] = {"__name__", "none"};
    request.names = names;
    request.n_names = 2;
    got = ask_cardinality(&fixture, &request);
    series = 0;
    for (size_t i = 0; i < got->n_labels; i++) {
        assert_string_equal(got->labels[i]->name, "__name__");
        assert_int_equal(got->labels[i]->n_values, 1);
        assert_string_equal(got->labels[i]->values[0]->name, "big");
        assert_int_equal(got->labels[i]->n_hashes, 0);
        series += got->labels[i]->values[0]->value;
    }
    assert_int_equal(series, 20);
    narthex__cardinality_response__free_unpacked(got, NULL);

    request.tenant = "nobody";
    got = ask_cardinality(&fixture, &request);
    assert_true(got->series == 0 && got->n_labels == 0);
    narthex__cardinality_response__free_unpacked(got, NULL);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void select_streams_many_series_within_its_limits(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pusher pusher;
    struct got got;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    for (int part = 0; part < 10; part++) {
        pusher_init(&pusher, "a");
        for (int i = 0; i < 300; i++) {
            char text[48];
            snprintf(text, sizeof text, "instance-%d-%d", part, i);
            pusher_row(&pusher, "__name__", "m", "instance",
                       nx_arena_copy(&pusher.arena, nx_view_of(text)).ptr, "filler",
                       "0123456789012345678901234567890123456789012345678901234567890123456789",
                       NULL);
            for (int j = 0; j < 20; j++)
                pusher_sample(&pusher, T0 + j * 15000, i * 0.37 + j * j);
        }
        push_all(&fixture, &pusher);
        pusher_release(&pusher);
    }
    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_EQ, "__name__", "m", -1);
    assert_int_equal(got.err, NX_OK);
    assert_int_equal(got.count, 3000);
    assert_true(got.frames >= 3);
    got_release(&got);
    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_RE, "instance", "instance-3-.*", -1);
    assert_int_equal(got.count, 300);
    got_release(&got);

    Narthex__SelectRequest request = NARTHEX__SELECT_REQUEST__INIT;
    struct answer answer;
    request.tenant = "a";
    request.min_t = INT64_MIN;
    request.max_t = INT64_MAX;
    request.max_chunk_bytes = 10000;
    call(&fixture, "select", &request.base, &answer);
    assert_int_equal(answer.err, NX_ERR_LIMIT);
    assert_non_null(strstr(answer.text, "10000"));
    answer_release(&answer);
    request.max_chunk_bytes = 0;
    request.limit = 7;
    request.labels_only = true;
    call(&fixture, "select", &request.base, &answer);
    assert_int_equal(answer.err, NX_OK);
    assert_int_equal(answer.frame_count, 1);
    Narthex__SelectFrame *frame = narthex__select_frame__unpack(
        NULL, answer.frames[0].len, (const uint8_t *)answer.frames[0].data);
    assert_int_equal(frame->n_series, 7);
    assert_int_equal(frame->series[0]->n_chunks, 0);
    narthex__select_frame__free_unpacked(frame, NULL);
    answer_release(&answer);

    fixture_close(&fixture);
    fixture.settings.select_max_bytes = 20000;
    fixture_open(&fixture);
    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_EQ, "__name__", "m", -1);
    assert_int_equal(got.err, NX_ERR_LIMIT);
    assert_non_null(strstr(got.text, "select-max-bytes"));
    got_release(&got);
    select_series(&fixture, "a", ALL_TIME, &got, NX_MATCH_RE, "__name__", "(", -1);
    assert_int_equal(got.err, NX_ERR_INVALID);
    got_release(&got);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_then_select_gives_the_samples),
        cmocka_unit_test(restart_brings_back_what_was_acknowledged),
        cmocka_unit_test(flush_moves_samples_to_blocks_without_losing_any),
        cmocka_unit_test(refusals_name_the_row_and_the_reason),
        cmocka_unit_test(unknown_series_is_known_once_its_labels_came),
        cmocka_unit_test(id_of_other_labels_is_refused),
        cmocka_unit_test(malformed_pushes_are_invalid),
        cmocka_unit_test(series_beyond_the_limit_are_refused_with_its_name),
        cmocka_unit_test(labels_come_from_heads_and_blocks_sorted_and_once),
        cmocka_unit_test(metadata_and_exemplars_come_back_after_a_restart),
        cmocka_unit_test(status_counts_what_is_in_memory),
        cmocka_unit_test(cardinality_counts_series_that_match_and_are_active),
        cmocka_unit_test(select_streams_many_series_within_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
