/* Random appends, in order and not, repeated, stale, with NaN payloads and histograms, read back
 * the same through head, replay of the log (also by another number of workers), blocks, and all of
 * them mixed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define SERIES 24
#define T0 INT64_C(1600000000000)

struct truth {
    int64_t t;
    uint64_t bits;
    int histogram; /* number for make_histogram, or -1 */
};

struct model {
    struct truth *samples; /* ascending */
    size_t count;
    struct nx_series_id id;
    char name[32];
    bool known; /* has been pushed with labels */
};

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

static uint64_t random_bits(struct nx_rand *rand)
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
                truth.bits = random_bits(rand);
            if (truth.histogram >= 0)
                pusher_histogram(&pusher, truth.t, make_histogram(&pusher.arena, truth.histogram));
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
                struct nx_histogram *expected = make_histogram(&arena, truth->histogram);
                assert_non_null(series->samples[j].histogram);
                expected->hint = series->samples[j].histogram->hint;
                assert_true(nx_histogram_identical(series->samples[j].histogram, expected));
            }
        }
    }
    assert_int_equal(got.count, known);
    nx_arena_release(&arena);
    got_release(&got);
}

static void run(uint64_t seed, int steps)
{
    struct fixture fixture;
    struct nx_rand rand;
    struct model models[SERIES] = {0};
    nx_rand_seeded(&rand, seed);
    for (size_t i = 0; i < SERIES; i++)
        snprintf(models[i].name, sizeof models[i].name, "m%zu", i);
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
    for (size_t i = 0; i < SERIES; i++)
        free(models[i].samples);
}

static void random_appends_survive_every_path_unchanged(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run(seed, 120);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_appends_survive_every_path_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
