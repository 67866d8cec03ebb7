/* Random appends, in order and not, repeated, stale, with NaN payloads and histograms of every
 * kind, read back bit for bit through head, chunk files, replay of the log (also by another number
 * of workers), blocks, compacted blocks, export and import, and through mixtures of them. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "fixture.h"

#define SERIES 24
#define CHUNK_BYTES "narthex_ingester_chunk_file_written_bytes_total"
#define T0 INT64_C(1600000000000)

struct truth {
    int64_t t;
    uint64_t bits;
    int histogram; /* number for make_any_histogram, or -1 */
};

struct model {
    struct truth *samples; /* ascending */
    size_t count;
    struct nx_series_id id;
    char name[32];
    bool known; /* has been pushed with labels */
};

/* Integer and float counts, exponential and custom buckets, stale. */
static struct nx_histogram *make_any_histogram(struct nx_arena *arena, int n)
{
    struct nx_histogram *h = make_histogram(arena, n);
    switch (n % 4) {
    case 1: /* counts that are no integers, and a negative side */
        h->integer = false;
        h->negative_span_count = 1;
        h->negative_spans = nx_arena_array(arena, 1, sizeof *h->negative_spans);
        h->negative_spans[0] = (struct nx_span){.offset = n % 3, .length = 2};
        h->negative_count = 2;
        h->negative = nx_arena_array(arena, 2, sizeof *h->negative);
        h->negative[0] = n + 0.25;
        h->negative[1] = 0.5;
        h->count += n + 0.75;
        break;
    case 2:
        h->schema = NX_HISTOGRAM_CUSTOM_SCHEMA;
        h->zero_threshold = 0;
        h->count -= h->zero_count;
        h->zero_count = 0;
        h->positive_spans[0].offset = 1;
        h->custom_count = 8;
        h->custom_bounds = nx_arena_array(arena, 8, sizeof *h->custom_bounds);
        for (int i = 0; i < 8; i++)
            h->custom_bounds[i] = i + (n % 8 == 2 ? 0.125 : 0.1);
        break;
    case 3:
        *h = (struct nx_histogram){
            .schema = 2, .integer = true, .sum = nx_double_from_bits(NX_STALE_NAN_BITS)};
        break;
    default:
        break;
    }
    return h;
}

static bool is_histogram_number(const struct nx_histogram *got, struct nx_arena *arena, int n)
{
    struct nx_histogram *expected = make_any_histogram(arena, n);
    if (nx_histogram_is_stale(expected)) /* has nothing but that */
        return nx_histogram_is_stale(got);
    expected->hint = got->hint;
    return nx_histogram_identical(got, expected);
}

static size_t position(const struct model *model, int64_t t)
{
    size_t at = 0;
    while (at < model->count && model->samples[at].t < t)
        at++;
    return at;
}

static void model_add(struct model *model, struct truth sample)
{
    size_t at = position(model, sample.t);
    model->samples = realloc(model->samples, (model->count + 1) * sizeof *model->samples);
    memmove(&model->samples[at + 1], &model->samples[at],
            (model->count - at) * sizeof *model->samples);
    model->samples[at] = sample;
    model->count++;
}

/* A time that the rules let in: ahead of the newest, or within the window behind it. */
static int64_t random_time(struct nx_rand *rand, const struct model *model)
{
    if (model->count == 0)
        return T0 + (int64_t)nx_rand_below(rand, 600000);
    int64_t newest = model->samples[model->count - 1].t;
    if (nx_rand_below(rand, 4) == 0)
        return newest - (int64_t)nx_rand_below(rand, 2 * HOUR_MS);
    return newest + 1 +
           (int64_t)nx_rand_below(rand, nx_rand_below(rand, 30) == 0 ? 5 * HOUR_MS : 60000);
}

static void push_random(struct fixture *fixture, struct nx_rand *rand, struct model *models)
{
    struct pusher pusher;
    pusher_init(&pusher, "tenant");
    size_t rows = 1 + nx_rand_below(rand, 6);
    for (size_t i = 0; i < rows; i++) {
        struct model *model = &models[nx_rand_below(rand, SERIES)];
        struct nx_series_id id = pusher_row(&pusher, "__name__", model->name, "job", "p", NULL);
        model->id = id;
        model->known = true;
        size_t samples = 1 + nx_rand_below(rand, 40);
        for (size_t j = 0; j < samples; j++) {
            struct truth truth = {.t = random_time(rand, model), .histogram = -1};
            size_t at = position(model, truth.t);
            if (at < model->count && model->samples[at].t == truth.t)
                truth = model->samples[at]; /* again what is there */
            else if (nx_rand_below(rand, 10) == 0)
                truth.histogram = (int)nx_rand_below(rand, 50);
            else
                truth.bits = random_value_bits(rand);
            if (truth.histogram >= 0)
                pusher_histogram(&pusher, truth.t,
                                 make_any_histogram(&pusher.arena, truth.histogram));
            else
                pusher_bits(&pusher, truth.t, truth.bits);
            if (!(at < model->count && model->samples[at].t == truth.t))
                model_add(model, truth);
            /* floats of a row are taken before its histograms: one of either moves the newest
             * sample */
            if (truth.histogram >= 0)
                break;
        }
    }
    push_all(fixture, &pusher);
    pusher_release(&pusher);
}

static void check(struct fixture *fixture, const struct model *models)
{
    struct got got;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    select_series(fixture, "tenant", INT64_MIN, INT64_MAX, &got, NX_MATCH_EQ, "job", "p", -1);
    assert_int_equal(got.err, NX_OK);
    size_t known = 0;
    for (size_t i = 0; i < SERIES; i++) {
        const struct model *model = &models[i];
        if (!model->known)
            continue;
        known++;
        const struct got_series *series = got_find(&got, model->id);
        assert_non_null(series);
        assert_int_equal(series->count, model->count);
        for (size_t j = 0; j < model->count; j++) {
            const struct truth *truth = &model->samples[j];
            assert_true(series->samples[j].t == truth->t);
            if (truth->histogram < 0) {
                assert_null(series->samples[j].histogram);
                assert_true(series->samples[j].bits == truth->bits);
            } else {
                assert_non_null(series->samples[j].histogram);
                assert_true(
                    is_histogram_number(series->samples[j].histogram, &arena, truth->histogram));
            }
        }
    }
    assert_int_equal(got.count, known);
    nx_arena_release(&arena);
    got_release(&got);
}

static void models_init(struct model models[SERIES])
{
    for (size_t i = 0; i < SERIES; i++) {
        models[i] = (struct model){0};
        (void)snprintf(models[i].name, sizeof models[i].name, "m%zu", i);
    }
}

static void models_release(struct model models[SERIES])
{
    for (size_t i = 0; i < SERIES; i++)
        free(models[i].samples);
}

static void run(uint64_t seed, int steps)
{
    struct fixture fixture;
    struct nx_rand rand;
    struct model models[SERIES];
    nx_rand_seeded(&rand, seed);
    models_init(models);
    fixture_init(&fixture, NULL, 2);
    fixture.settings.wal_segment_bytes = 1 << 16;
    fixture_open(&fixture);
    for (int step = 0; step < steps; step++) {
        switch (nx_rand_below(&rand, 25)) {
        case 0:
            fixture_reopen(&fixture);
            break;
        case 1:
            fixture_close(&fixture);
            fixture.worker_count = 1 + nx_rand_below(&rand, 4);
            fixture_open(&fixture);
            break;
        case 2:
            flush_all(&fixture);
            break;
        case 3:
            check(&fixture, models);
            break;
        default:
            push_random(&fixture, &rand, models);
            break;
        }
    }
    check(&fixture, models);
    fixture_reopen(&fixture);
    check(&fixture, models);
    flush_all(&fixture);
    check(&fixture, models);
    fixture_reopen(&fixture);
    check(&fixture, models);
    fixture_close(&fixture);
    fixture_release(&fixture);
    models_release(models);
}

static void random_appends_survive_every_path_unchanged(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run(seed, 120);
    }
}

/* --- the whole way, one station after the other --- */

static void reopen_with(struct fixture *fixture, size_t workers)
{
    fixture_close(fixture);
    fixture->worker_count = workers;
    fixture_open(fixture);
}

static void push_many(struct fixture *fixture, struct nx_rand *rand, struct model *models)
{
    for (int i = 0; i < 80; i++)
        push_random(fixture, rand, models);
}

/* The program's own tools on data directories that nobody has open. */
static void tool(const char *command, const char *blocks, const char *data_dir)
{
    extern char **environ;
    char data[512];
    pid_t pid;
    int status;
    (void)snprintf(data, sizeof data, "--storage.data-dir=%s", data_dir);
    const char *argv[] = {NARTHEX_PROGRAM,   "tool",        command,   blocks, data,
                          "--tenant=tenant", "--window=2h", "--quiet", NULL};
    if (strcmp(command, "export") == 0) {
        argv[6] = "--quiet";
        argv[7] = NULL;
    }
    assert_int_equal(
        posix_spawn(&pid, NARTHEX_PROGRAM, NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Also of what is in the log only. */
static void check_exported_and_imported(const struct fixture *fixture, const struct model *models,
                                        size_t workers)
{
    struct fixture second;
    char *exported = tmp_dir_new();
    fixture_init(&second, NULL, workers);
    tool("export", exported, fixture->dir);
    tool("import", exported, second.dir);
    fixture_open(&second);
    check(&second, models);
    fixture_close(&second);
    fixture_release(&second);
    tmp_dir_free(exported);
}

static void run_chain(uint64_t seed)
{
    struct fixture fixture;
    struct nx_rand rand;
    struct model models[SERIES];
    struct answer answer;
    nx_rand_seeded(&rand, seed);
    models_init(models);
    fixture_init(&fixture, NULL, 2);
    fixture.settings.wal_segment_bytes = 1 << 16;
    fixture_open(&fixture);
    push_many(&fixture, &rand, models);
    fixture_await(&fixture, CHUNK_BYTES);
    check(&fixture, models);
    reopen_with(&fixture, 3); /* replay */
    fixture_await(&fixture, CHUNK_BYTES);
    check(&fixture, models);
    for (int i = 0; i < 4; i++) {
        flush_all(&fixture);
        check(&fixture, models);
        push_many(&fixture, &rand, models);
    }
    flush_all(&fixture);
    nx_clock_manual_advance(&fixture.clock, 48 * HOUR_MS); /* what is left over is joined, too */
    call(&fixture, "compact", NULL, &answer);
    assert_int_equal(answer.err, NX_OK);
    answer_release(&answer);
    fixture_await(&fixture, "narthex_compactions_total");
    check(&fixture, models);
    push_many(&fixture, &rand, models);
    reopen_with(&fixture, 1);
    check(&fixture, models);
    fixture_close(&fixture);
    check_exported_and_imported(&fixture, models, 1 + seed % 3);
    fixture_release(&fixture);
    models_release(models);
}

static void random_appends_come_through_the_whole_chain(void **state)
{
    (void)state;
    for (uint64_t seed = 101; seed <= 106; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_chain(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_appends_survive_every_path_unchanged),
        cmocka_unit_test(random_appends_come_through_the_whole_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
