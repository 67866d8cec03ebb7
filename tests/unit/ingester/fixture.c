#include "fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/chunk/histogram_codec.h"
#include "common/chunk/merge.h"

#define ADDRESS "local:1"

void fixture_init(struct fixture *fixture, const char *dir, size_t workers)
{
    *fixture = (struct fixture){.worker_count = workers, .own_dir = dir == NULL};
    fixture->dir = dir ? strdup(dir) : tmp_dir_new();
    fault_fs_init(&fixture->fs);
    nx_clock_manual_init(&fixture->clock, INT64_C(1704067200000));
    fixture->settings = (struct ing_settings){
        .data_dir = fixture->dir,
        .retention_ms = 36500 * 24 * HOUR_MS,
        .window_ms = 2 * HOUR_MS,
        .out_of_order_ms = 2 * HOUR_MS,
        .max_series = 1000000,
        .max_exemplars = 1000,
        .wal_segment_bytes = 1 << 20,
        .max_inflight_bytes = 64 << 20,
        .select_max_bytes = 64 << 20,
        .chunk_buffer_bytes = 2048,
        .chunk_file_bytes = 16384,
    };
}

struct step {
    struct nx_task task;
    struct fixture *fixture;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

static void step_init(struct step *step, struct fixture *fixture)
{
    *step = (struct step){.fixture = fixture};
    pthread_mutex_init(&step->lock, NULL);
    pthread_cond_init(&step->changed, NULL);
}

static void step_done(void *user)
{
    struct step *step = user;
    pthread_mutex_lock(&step->lock);
    step->done = true;
    pthread_cond_signal(&step->changed);
    pthread_mutex_unlock(&step->lock);
}

/* Runs the task on worker 0 and waits until step_done. */
static void step_wait(struct step *step, void (*run)(struct nx_task *task))
{
    step->task.run = run;
    nx_worker_reply(nx_workers_at(step->fixture->workers, 0), &step->task);
    pthread_mutex_lock(&step->lock);
    while (!step->done)
        pthread_cond_wait(&step->changed, &step->lock);
    pthread_mutex_unlock(&step->lock);
    step->done = false;
}

static void step_release(struct step *step)
{
    pthread_mutex_destroy(&step->lock);
    pthread_cond_destroy(&step->changed);
}

static void free_all(struct fixture *fixture)
{
    ing_free(fixture->ing);
    nx_rpc_server_free(fixture->rpc);
    nx_http_server_free(fixture->http);
    nx_workers_free(fixture->workers);
    nx_telemetry_free(fixture->telemetry);
    fixture->ing = NULL;
}

/* All but ing_recover. */
static enum nx_err try_new(struct fixture *fixture)
{
    struct nx_workers_options workers = {.count = fixture->worker_count, .name = "test"};
    struct nx_http_server_options http = {.host = "127.0.0.1"};
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_telemetry_new(&fixture->telemetry), NX_OK);
    assert_int_equal(nx_workers_new(&workers, &fixture->workers), NX_OK);
    assert_int_equal(
        nx_http_server_new(&http, fixture->workers, NULL, fixture->telemetry, &fixture->http),
        NX_OK);
    assert_int_equal(nx_rpc_server_new(fixture->http, fixture->workers, NULL, &fixture->rpc),
                     NX_OK);
    struct ing_deps deps = {.settings = &fixture->settings,
                            .node_name = "test",
                            .partitions = 64,
                            .workers = fixture->workers,
                            .http = fixture->http,
                            .rpc = fixture->rpc,
                            .fs = &fixture->fs.base,
                            .clock = &fixture->clock.base,
                            .telemetry = fixture->telemetry};
    enum nx_err err = ing_new(&deps, &fixture->ing, &fail);
    if (err != NX_OK) {
        assert_int_equal(fail.code, err);
        fixture->ing = NULL;
        free_all(fixture);
    }
    return err;
}

static void start_workers(struct fixture *fixture)
{
    assert_int_equal(nx_rpc_client_new(nx_workers_at(fixture->workers, 0), NULL, fixture->rpc,
                                       ADDRESS, &fixture->client),
                     NX_OK);
    assert_int_equal(nx_workers_start(fixture->workers), NX_OK);
}

enum nx_err fixture_try_open(struct fixture *fixture)
{
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = try_new(fixture);
    if (err != NX_OK)
        return err;
    err = ing_recover(fixture->ing, &fail);
    if (err != NX_OK) {
        assert_int_equal(fail.code, err);
        free_all(fixture);
        return err;
    }
    assert_int_equal(ing_start(fixture->ing), NX_OK);
    start_workers(fixture);
    return NX_OK;
}

void fixture_open_starting(struct fixture *fixture)
{
    assert_int_equal(try_new(fixture), NX_OK);
    start_workers(fixture);
}

void fixture_open(struct fixture *fixture)
{
    assert_int_equal(fixture_try_open(fixture), NX_OK);
}

static void stop_task(struct nx_task *task)
{
    struct step *step = (struct step *)task;
    ing_stop(step->fixture->ing, step_done, step);
}

static void close_client_task(struct nx_task *task)
{
    struct step *step = (struct step *)task;
    nx_rpc_client_close(step->fixture->client, step_done, step);
}

void fixture_stop(struct fixture *fixture)
{
    struct step step;
    step_init(&step, fixture);
    step_wait(&step, stop_task);
    step_wait(&step, close_client_task);
    step_release(&step);
}

void fixture_free(struct fixture *fixture)
{
    nx_workers_stop(fixture->workers);
    free_all(fixture);
}

void fixture_close(struct fixture *fixture)
{
    fixture_stop(fixture);
    fixture_free(fixture);
}

void fixture_reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
}

void fixture_release(struct fixture *fixture)
{
    fault_fs_release(&fixture->fs);
    if (fixture->own_dir)
        tmp_dir_free(fixture->dir);
    else
        free(fixture->dir);
}

/* --- calls --- */

struct calling {
    struct step step; /* first */
    const char *method;
    struct nx_buf body;
    struct answer *answer;
};

static enum nx_err on_frame(void *user, struct nx_view frame)
{
    struct answer *answer = ((struct calling *)user)->answer;
    answer->frames = realloc(answer->frames, (answer->frame_count + 1) * sizeof *answer->frames);
    struct nx_buf *buf = &answer->frames[answer->frame_count++];
    nx_buf_init(buf, SIZE_MAX / 4);
    nx_buf_append_view(buf, frame);
    return nx_buf_err(buf);
}

static void on_done(void *user, const struct nx_rpc_result *result)
{
    struct calling *calling = user;
    calling->answer->err = result->err;
    if (result->text)
        (void)snprintf(calling->answer->text, sizeof calling->answer->text, "%s", result->text);
    nx_buf_append_view(&calling->answer->body, result->body);
    step_done(&calling->step);
}

static void call_task(struct nx_task *task)
{
    struct calling *calling = (struct calling *)task;
    struct nx_rpc_call *handle;
    struct nx_rpc_call_options options = {
        .address = ADDRESS,
        .method = calling->method,
        .body = &calling->body,
        .timeout_ms = 60000,
        .on_frame = strcmp(calling->method, "select") == 0 ? on_frame : NULL,
        .done = on_done,
        .user = calling};
    assert_int_equal(nx_rpc_call(calling->step.fixture->client, &options, &handle), NX_OK);
}

void call(struct fixture *fixture, const char *method, const ProtobufCMessage *message,
          struct answer *answer)
{
    struct calling calling = {.method = method, .answer = answer};
    *answer = (struct answer){.err = NX_OK};
    nx_buf_init(&answer->body, SIZE_MAX / 4);
    step_init(&calling.step, fixture);
    nx_buf_init(&calling.body, SIZE_MAX / 4);
    if (message) {
        size_t size = protobuf_c_message_get_packed_size(message);
        assert_int_equal(nx_buf_reserve(&calling.body, size + 1), NX_OK);
        calling.body.len = protobuf_c_message_pack(message, (uint8_t *)calling.body.data);
    }
    step_wait(&calling.step, call_task);
    step_release(&calling.step);
    nx_buf_release(&calling.body);
}

void answer_release(struct answer *answer)
{
    for (size_t i = 0; i < answer->frame_count; i++)
        nx_buf_release(&answer->frames[i]);
    free(answer->frames);
    nx_buf_release(&answer->body);
}

void flush_all(struct fixture *fixture)
{
    struct answer answer;
    call(fixture, "flush", NULL, &answer);
    assert_int_equal(answer.err, NX_OK);
    answer_release(&answer);
}

/* --- pushing --- */

#define GROW(pusher, which, array, count)                                                      \
    assert_true(nx_arena_grow(&(pusher)->arena, &(array), (count), &(pusher)->capacity[which], \
                              (count) + 1, sizeof *(array)))

void pusher_init(struct pusher *pusher, const char *tenant)
{
    *pusher = (struct pusher){.request = NARTHEX__PUSH_REQUEST__INIT};
    nx_arena_init(&pusher->arena, 0);
    nx_buf_init(&pusher->ids, SIZE_MAX / 4);
    pusher->request.tenant = (char *)(uintptr_t)tenant;
}

void pusher_release(struct pusher *pusher)
{
    nx_arena_release(&pusher->arena);
    nx_buf_release(&pusher->ids);
}

static void add_row(struct pusher *pusher, struct nx_series_id id, struct nx_view labels)
{
    Narthex__PushRequest *request = &pusher->request;
    nx_series_id_put(&pusher->ids, id);
    request->series_ids.data = (uint8_t *)pusher->ids.data;
    request->series_ids.len = pusher->ids.len;
    GROW(pusher, 0, request->labels, request->n_labels);
    request->labels[request->n_labels++] =
        (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)labels.ptr, .len = labels.len};
    GROW(pusher, 1, request->sample_counts, request->n_sample_counts);
    request->sample_counts[request->n_sample_counts++] = 0;
}

struct nx_series_id pusher_row_labels(struct pusher *pusher, struct nx_labels labels)
{
    struct nx_buf buf;
    nx_buf_init(&buf, 1 << 20);
    nx_labels_encode(&buf, labels);
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    struct nx_series_id id = nx_series_id_of(nx_view_of(pusher->request.tenant), labels);
    add_row(pusher, id, nx_arena_copy(&pusher->arena, nx_buf_view(&buf)));
    nx_buf_release(&buf);
    return id;
}

struct nx_series_id pusher_row(struct pusher *pusher, ...)
{
    struct nx_labels_builder builder;
    struct nx_labels labels;
    va_list args;
    nx_labels_builder_init(&builder, &pusher->arena, (struct nx_labels){0});
    va_start(args, pusher);
    for (const char *name; (name = va_arg(args, const char *));)
        nx_labels_builder_set(&builder, nx_view_of(name), nx_view_of(va_arg(args, const char *)));
    va_end(args);
    assert_int_equal(nx_labels_builder_take(&builder, &labels), NX_OK);
    return pusher_row_labels(pusher, labels);
}

void pusher_row_id(struct pusher *pusher, struct nx_series_id id)
{
    add_row(pusher, id, (struct nx_view){0});
}

void pusher_bits(struct pusher *pusher, int64_t t, uint64_t bits)
{
    Narthex__PushRequest *request = &pusher->request;
    GROW(pusher, 2, request->timestamps, request->n_timestamps);
    GROW(pusher, 3, request->value_bits, request->n_value_bits);
    request->timestamps[request->n_timestamps++] = t;
    request->value_bits[request->n_value_bits++] = bits;
    request->sample_counts[request->n_sample_counts - 1]++;
}

void pusher_sample(struct pusher *pusher, int64_t t, double value)
{
    pusher_bits(pusher, t, nx_double_bits(value));
}

void pusher_histogram(struct pusher *pusher, int64_t t, const struct nx_histogram *histogram)
{
    Narthex__PushRequest *request = &pusher->request;
    struct nx_buf buf;
    nx_buf_init(&buf, 1 << 20);
    assert_int_equal(nx_histogram_encode(&buf, histogram), NX_OK);
    struct nx_view bytes = nx_arena_copy(&pusher->arena, nx_buf_view(&buf));
    nx_buf_release(&buf);
    Narthex__HistogramRow *row = nx_arena_alloc(&pusher->arena, sizeof *row);
    *row = (Narthex__HistogramRow)NARTHEX__HISTOGRAM_ROW__INIT;
    row->series = (uint32_t)request->n_sample_counts - 1;
    row->timestamp = t;
    row->histogram =
        (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.ptr, .len = bytes.len};
    GROW(pusher, 4, request->histograms, request->n_histograms);
    request->histograms[request->n_histograms++] = row;
}

void pusher_exemplar(struct pusher *pusher, int64_t t, double value, const char *name,
                     const char *text)
{
    Narthex__PushRequest *request = &pusher->request;
    struct nx_label label = {.name = nx_view_of(name), .value = nx_view_of(text)};
    struct nx_buf buf;
    nx_buf_init(&buf, 1 << 20);
    nx_labels_encode(&buf, (struct nx_labels){.items = &label, .count = 1});
    struct nx_view bytes = nx_arena_copy(&pusher->arena, nx_buf_view(&buf));
    nx_buf_release(&buf);
    Narthex__ExemplarRow *row = nx_arena_alloc(&pusher->arena, sizeof *row);
    *row = (Narthex__ExemplarRow)NARTHEX__EXEMPLAR_ROW__INIT;
    row->series = (uint32_t)request->n_sample_counts - 1;
    row->timestamp = t;
    row->value_bits = nx_double_bits(value);
    row->labels = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.ptr, .len = bytes.len};
    GROW(pusher, 5, request->exemplars, request->n_exemplars);
    request->exemplars[request->n_exemplars++] = row;
}

void pusher_metadata(struct pusher *pusher, const char *metric, uint32_t type, const char *help,
                     const char *unit)
{
    Narthex__PushRequest *request = &pusher->request;
    Narthex__MetadataRow *row = nx_arena_alloc(&pusher->arena, sizeof *row);
    *row = (Narthex__MetadataRow)NARTHEX__METADATA_ROW__INIT;
    row->metric = (char *)(uintptr_t)metric;
    row->type = type;
    row->help = (char *)(uintptr_t)help;
    row->unit = (char *)(uintptr_t)unit;
    GROW(pusher, 6, request->metadata, request->n_metadata);
    request->metadata[request->n_metadata++] = row;
}

Narthex__PushResponse *push(struct fixture *fixture, struct pusher *pusher, enum nx_err *err)
{
    struct answer answer;
    call(fixture, "push", &pusher->request.base, &answer);
    Narthex__PushResponse *response = NULL;
    *err = answer.err;
    if (answer.err == NX_OK) {
        response = narthex__push_response__unpack(NULL, answer.body.len,
                                                  (const uint8_t *)answer.body.data);
        assert_non_null(response);
    }
    answer_release(&answer);
    return response;
}

void push_all(struct fixture *fixture, struct pusher *pusher)
{
    enum nx_err err;
    Narthex__PushResponse *response = push(fixture, pusher, &err);
    assert_int_equal(err, NX_OK);
    assert_int_equal(response->n_unknown, 0);
    assert_int_equal(response->n_refused, 0);
    assert_true(response->incarnation == ing_incarnation(fixture->ing));
    narthex__push_response__free_unpacked(response, NULL);
}

/* --- reading --- */

struct merging {
    struct nx_chunk *chunks;
    size_t count;
};

static void add_series(struct got *got, struct merging *merging, size_t *capacity,
                       const Narthex__SelectSeries *row)
{
    struct nx_cursor cur = nx_cursor_of(nx_view_make(row->series_id.data, row->series_id.len));
    struct nx_series_id id = nx_series_id_read(&cur);
    size_t at = 0;
    while (at < got->count && !nx_series_id_eq(got->series[at].id, id))
        at++;
    assert_int_equal(at, got->count); /* each series comes once */
    if (at == *capacity) {
        *capacity = *capacity * 2;
        abort();
    }
    struct nx_view bytes =
        nx_arena_copy(&got->arena, nx_view_make(row->labels.data, row->labels.len));
    cur = nx_cursor_of(bytes);
    got->series[at] = (struct got_series){.id = id};
    assert_int_equal(nx_labels_decode(&cur, &got->arena, 1000, &got->series[at].labels), NX_OK);
    got->count++;
    merging[at].chunks = nx_arena_array(&got->arena, row->n_chunks, sizeof(struct nx_chunk));
    merging[at].count = row->n_chunks;
    for (size_t i = 0; i < row->n_chunks; i++) {
        const Narthex__SelectChunk *chunk = row->chunks[i];
        merging[at].chunks[i] = (struct nx_chunk){
            .encoding = (enum nx_chunk_encoding)chunk->encoding,
            .count = chunk->count,
            .min_t = chunk->min_t,
            .max_t = chunk->max_t,
            .data = nx_arena_copy(&got->arena, nx_view_make(chunk->data.data, chunk->data.len))};
    }
}

static void merge_samples(struct got *got, struct got_series *series, const struct merging *merging,
                          int64_t min_t, int64_t max_t)
{
    struct nx_sample_iter *it;
    struct nx_sample sample;
    size_t capacity = 0;
    int rc;
    for (size_t i = 0; i < merging->count; i++)
        capacity += merging->chunks[i].count;
    series->samples = nx_arena_array(&got->arena, capacity, sizeof *series->samples);
    assert_int_equal(nx_chunks_iter_new(merging->chunks, merging->count, min_t, max_t, &it), NX_OK);
    while ((rc = nx_sample_next(it, &sample)) == 1) {
        assert_true(series->count < capacity);
        series->samples[series->count++] = (struct got_sample){
            .t = sample.t,
            .bits = sample.histogram ? 0 : nx_double_bits(sample.value),
            .histogram =
                sample.histogram ? nx_histogram_copy(&got->arena, sample.histogram) : NULL};
    }
    assert_int_equal(rc, 0);
    nx_sample_iter_free(it);
}

void select_series(struct fixture *fixture, const char *tenant, int64_t min_t, int64_t max_t,
                   struct got *got, ...)
{
    Narthex__SelectRequest request = NARTHEX__SELECT_REQUEST__INIT;
    Narthex__Matcher matchers[8];
    Narthex__Matcher *list[8];
    va_list args;
    va_start(args, got);
    for (int type; (type = va_arg(args, int)) >= 0;) {
        Narthex__Matcher *matcher = &matchers[request.n_matchers];
        *matcher = (Narthex__Matcher)NARTHEX__MATCHER__INIT;
        matcher->type = (uint32_t)type;
        matcher->name = va_arg(args, char *);
        matcher->value = va_arg(args, char *);
        list[request.n_matchers++] = matcher;
    }
    va_end(args);
    request.tenant = (char *)(uintptr_t)tenant;
    request.matchers = list;
    request.min_t = min_t;
    request.max_t = max_t;
    struct answer answer;
    call(fixture, "select", &request.base, &answer);
    *got = (struct got){.err = answer.err, .frames = answer.frame_count};
    memcpy(got->text, answer.text, sizeof got->text);
    nx_arena_init(&got->arena, 0);
    size_t capacity = 0;
    Narthex__SelectFrame **frames = calloc(answer.frame_count + 1, sizeof(Narthex__SelectFrame *));
    for (size_t i = 0; i < answer.frame_count; i++) {
        frames[i] = narthex__select_frame__unpack(NULL, answer.frames[i].len,
                                                  (const uint8_t *)answer.frames[i].data);
        assert_non_null(frames[i]);
        capacity += frames[i]->n_series;
    }
    got->series = nx_arena_array(&got->arena, capacity, sizeof *got->series);
    struct merging *merging = nx_arena_array(&got->arena, capacity, sizeof *merging);
    for (size_t i = 0; i < answer.frame_count; i++) {
        for (size_t j = 0; j < frames[i]->n_series; j++)
            add_series(got, merging, &capacity, frames[i]->series[j]);
        narthex__select_frame__free_unpacked(frames[i], NULL);
    }
    for (size_t i = 0; i < got->count; i++)
        merge_samples(got, &got->series[i], &merging[i], min_t, max_t);
    free(frames);
    answer_release(&answer);
}

void got_release(struct got *got)
{
    nx_arena_release(&got->arena);
}

const struct got_series *got_find(const struct got *got, struct nx_series_id id)
{
    for (size_t i = 0; i < got->count; i++)
        if (nx_series_id_eq(got->series[i].id, id))
            return &got->series[i];
    return NULL;
}

double fixture_metric(struct fixture *fixture, const char *name)
{
    struct nx_buf page;
    nx_buf_init(&page, 1 << 22);
    nx_telemetry_expose(fixture->telemetry, &page);
    nx_buf_append_char(&page, '\0');
    assert_int_equal(nx_buf_err(&page), NX_OK);
    char *at = page.data;
    size_t len = strlen(name);
    while ((at = strstr(at, name)) != NULL &&
           (at[len] != ' ' || (at > page.data && at[-1] != '\n')))
        at += len;
    assert_non_null(at);
    double value = at ? strtod(at + len, NULL) : 0;
    nx_buf_release(&page);
    return value;
}

void fixture_await(struct fixture *fixture, const char *name)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 60000 && fixture_metric(fixture, name) <= 0; i++)
        (void)nanosleep(&pause, NULL);
    assert_true(fixture_metric(fixture, name) > 0);
}

struct nx_histogram *make_histogram(struct nx_arena *arena, int n)
{
    struct nx_histogram *h = nx_arena_calloc(arena, 1, sizeof *h);
    h->schema = 2;
    h->integer = true;
    h->zero_threshold = 0.001;
    h->zero_count = n;
    h->sum = 1.5 * n;
    h->positive_span_count = 2;
    h->positive_spans = nx_arena_array(arena, 2, sizeof *h->positive_spans);
    h->positive_spans[0] = (struct nx_span){.offset = -1, .length = 2};
    h->positive_spans[1] = (struct nx_span){.offset = 3, .length = 1};
    h->positive_count = 3;
    h->positive = nx_arena_array(arena, 3, sizeof *h->positive);
    h->positive[0] = n + 1;
    h->positive[1] = 2 * n;
    h->positive[2] = 7;
    h->count = h->zero_count + h->positive[0] + h->positive[1] + h->positive[2];
    return h;
}

uint64_t random_value_bits(struct nx_rand *rand)
{
    switch (nx_rand_below(rand, 8)) {
    case 0:
        return NX_STALE_NAN_BITS;
    case 1:
        return UINT64_C(0x7ff8000000000000) | nx_rand_below(rand, 1 << 20);
    case 2:
        return nx_double_bits(-0.0);
    case 3:
        return nx_rand_below(rand, 2) ? UINT64_C(0x7ff0000000000000) : UINT64_C(0xfff0000000000000);
    case 4:
        return nx_rand_u64(rand);
    default:
        return nx_double_bits((double)nx_rand_below(rand, 1000) / 8);
    }
}
