#include "push_fixture.h"

#include <stdio.h>

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

enum nx_err fake_call(struct dist_cluster *cluster, const struct nx_rpc_call_options *options)
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

static void count_held(void *user, int delta)
{
    ((struct fake *)user)->pushes += delta;
}

struct fake *fake_new(uint32_t members, uint32_t rf)
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
                                          .count = count_held,
                                          .user = fake};
    assert_int_equal(dist_pusher_new(&options, &fake->pusher), NX_OK);
    return fake;
}

void fake_free(struct fake *fake)
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

void on_result(void *user, const struct dist_push_result *result)
{
    struct fake *fake = user;
    fake->results++;
    fake->err = result->err;
    (void)snprintf(fake->text, sizeof fake->text, "%s", result->err ? result->fail.text : "");
    (void)snprintf(fake->refused_text, sizeof fake->refused_text, "%s",
                   dist_refusals_any(result->refusals) ? result->refusals->first.text : "");
    fake->refused_samples = result->refusals->samples;
}

void put_series(struct nx_buf *message, const char *name, int64_t timestamp)
{
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    test_put_label(&series, "__name__", name);
    test_put_label(&series, "job", "test");
    test_put_sample(&series, timestamp, 1.5);
    test_put_message(message, 1, &series);
}

void push_message(struct fake *fake, struct nx_buf *message)
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

void push_series(struct fake *fake, size_t series)
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

void answer_with(struct fake *fake, size_t i, const Narthex__PushResponse *response)
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

void answer_ok(struct fake *fake, size_t i)
{
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    response.incarnation = fake->calls[i].request->incarnation;
    answer_with(fake, i, &response);
}

void answer_unknown(struct fake *fake, size_t i, uint64_t incarnation, uint32_t row)
{
    Narthex__PushResponse response = NARTHEX__PUSH_RESPONSE__INIT;
    response.incarnation = incarnation;
    response.n_unknown = 1;
    response.unknown = &row;
    answer_with(fake, i, &response);
}

void answer_numbers(struct fake *fake, size_t i, uint32_t first)
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

void answer_refused(struct fake *fake, size_t i, uint32_t row, enum nx_err code, const char *text)
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

void answer_error(struct fake *fake, size_t i, enum nx_err err, const char *text)
{
    struct fake_call *call = &fake->calls[i];
    struct nx_rpc_result result = {.err = err, .body = NX_VIEW(""), .text = text};
    assert_false(call->answered);
    call->answered = true;
    call->done(call->user, &result);
}

void answer_bytes(struct fake *fake, size_t i, struct nx_view bytes)
{
    struct fake_call *call = &fake->calls[i];
    struct nx_rpc_result result = {.err = NX_OK, .body = bytes, .text = ""};
    call->answered = true;
    call->done(call->user, &result);
}

void answer_all(struct fake *fake)
{
    for (size_t i = 0; i < fake->call_count; i++) {
        if (!fake->calls[i].answered)
            answer_ok(fake, i);
    }
}
