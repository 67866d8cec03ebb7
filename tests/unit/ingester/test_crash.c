/* The power fails at every call that touches the data directory. A fixed load (appends in and out
 * of order, flushes, checkpoints, restarts with other numbers of workers) runs once on a file
 * system that, after each call, takes images of what a power cut at that moment could leave; each
 * image is then started on. Every sample that had been acknowledged is there bit for bit, nothing
 * is there that was not sent, and no block is found damaged, before and after the next flush and
 * restart. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "fixture.h"

#define T0 INT64_C(1600000000000)
#define SERIES 4
#define STEPS_MAX 64
#define IMAGES_MAX 4096

/* Bits that no arithmetic would give back: NaNs with payloads, -0, and numbers. */
static uint64_t value_bits(int step, int i)
{
    switch ((step + i) % 5) {
    case 0:
        return UINT64_C(0x7ff8000000000000) + (uint64_t)(step * 100 + i);
    case 1:
        return UINT64_C(0x8000000000000000) + (uint64_t)(step % 2 ? step * 100 + i : 0);
    default:
        return nx_double_bits(step * 100.25 + i);
    }
}

/* A step of a third hour; every fourth is half an hour late, so that it lies before what came
 * before it. */
static int64_t sample_time(int step, int i)
{
    int64_t at = T0 + step * (HOUR_MS / 3) + i;
    return step % 4 == 3 ? at - HOUR_MS / 2 : at;
}

struct image {
    char path[96];
    size_t call;
    uint64_t acknowledged; /* bit a step */
};

struct crash {
    struct fixture fixture;
    char *images_dir;
    struct image *images;
    size_t count;
    atomic_ullong acknowledged;
    uint64_t seed;
    size_t every; /* calls */
};

/* --- the load --- */

static void push_step(struct crash *crash, int step)
{
    struct pusher pusher;
    enum nx_err err;
    pusher_init(&pusher, "t");
    for (int i = 0; i < SERIES; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        pusher_row(&pusher, "__name__", name, "job", "crash", NULL);
        pusher_bits(&pusher, sample_time(step, i), value_bits(step, i));
    }
    pusher_row(&pusher, "__name__", "h", NULL);
    pusher_histogram(&pusher, T0 + step * (HOUR_MS / 3), make_histogram(&pusher.arena, step + 1));
    pusher_metadata(&pusher, "h", 1, "help", "unit");
    Narthex__PushResponse *response = push(&crash->fixture, &pusher, &err);
    if (response && response->n_refused == 0 && response->n_unknown == 0)
        atomic_fetch_or(&crash->acknowledged, UINT64_C(1) << step);
    if (response)
        narthex__push_response__free_unpacked(response, NULL);
    pusher_release(&pusher);
}

static void try_flush(struct crash *crash)
{
    struct answer answer;
    call(&crash->fixture, "flush", NULL, &answer);
    answer_release(&answer);
}

/* --- images --- */

/* Once with nothing unsynced, once with all of it, and with parts of it. */
static void take_images(void *user, size_t call_number)
{
    struct crash *crash = user;
    static const enum disk_survival survivals[] = {DISK_LOST, DISK_KEPT, DISK_ANY, DISK_ANY};
    if (call_number % crash->every != 0)
        return;
    for (size_t i = 0; i < sizeof survivals / sizeof survivals[0]; i++) {
        assert_true(crash->count < IMAGES_MAX);
        struct image *image = &crash->images[crash->count++];
        snprintf(image->path, sizeof image->path, "%s/%zu-%zu", crash->images_dir, call_number, i);
        image->call = call_number;
        image->acknowledged = atomic_load(&crash->acknowledged);
        disk_image(fault_fs_disk(&crash->fixture.fs), crash->fixture.dir, image->path, survivals[i],
                   crash->seed * 1000003 + call_number * 7 + i);
    }
}

static void crash_init(struct crash *crash, const char *dir, uint64_t seed, size_t every)
{
    *crash = (struct crash){.seed = seed, .every = every};
    fixture_init(&crash->fixture, dir, 1);
    crash->fixture.settings.wal_segment_bytes = 1500;
    crash->fixture.settings.chunk_buffer_bytes = 256;
    crash->fixture.settings.chunk_file_bytes = 600;
    crash->images_dir = tmp_dir_new();
    crash->images = calloc(IMAGES_MAX, sizeof *crash->images);
    assert_non_null(crash->images);
    atomic_init(&crash->acknowledged, 0);
    fault_fs_after(&crash->fixture.fs, take_images, crash);
}

static void crash_release(struct crash *crash)
{
    fixture_release(&crash->fixture);
    tmp_dir_free(crash->images_dir);
    free(crash->images);
}

/* --- what is there --- */

static void check_sample(const struct got_series *series, const struct got_sample *sample,
                         uint64_t *found)
{
    struct nx_view name = nx_labels_get(series->labels, NX_LABEL_METRIC_NAME);
    bool is_histogram = name.ptr[0] == 'h';
    int i = is_histogram ? 0 : name.ptr[1] - '0';
    for (int step = 0; step < STEPS_MAX; step++) {
        if (is_histogram && sample->t == T0 + step * (HOUR_MS / 3)) {
            assert_non_null(sample->histogram);
            assert_true(sample->histogram->sum == 1.5 * (double)(step + 1));
        } else if (!is_histogram && sample->t == sample_time(step, i)) {
            assert_true(sample->bits == value_bits(step, i));
        } else {
            continue;
        }
        *found |= UINT64_C(1) << step;
        return;
    }
    fail_msg("a sample at %lld that was never sent", (long long)sample->t);
}

static void check_acknowledged(struct fixture *fixture, uint64_t acknowledged)
{
    struct got got;
    select_series(fixture, "t", INT64_MIN, INT64_MAX, &got, NX_MATCH_RE, "__name__", "(s.|h)", -1);
    assert_int_equal(got.err, NX_OK);
    uint64_t in_all = acknowledged ? UINT64_MAX : 0;
    assert_true(got.count <= SERIES + 1);
    assert_true(!acknowledged || got.count == SERIES + 1);
    for (size_t i = 0; i < got.count; i++) {
        uint64_t found = 0;
        for (size_t j = 0; j < got.series[i].count; j++)
            check_sample(&got.series[i], &got.series[i].samples[j], &found);
        in_all &= found;
    }
    assert_true((in_all & acknowledged) == acknowledged);
    got_release(&got);
}

static void check_image(const struct image *image, size_t number)
{
    struct fixture fixture;
    fixture_init(&fixture, image->path, 1 + number % 2);
    fixture_open(&fixture);
    assert_true(fixture_metric(&fixture, "narthex_ingester_blocks_damaged_total") == 0);
    check_acknowledged(&fixture, image->acknowledged);
    if (number % 3 == 0) {
        flush_all(&fixture);
        check_acknowledged(&fixture, image->acknowledged);
        fixture_reopen(&fixture);
        check_acknowledged(&fixture, image->acknowledged);
    }
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void check_images(struct crash *crash)
{
    for (size_t i = 0; i < crash->count; i++) {
        check_image(&crash->images[i], i);
        assert_int_equal(nx_fs_posix()->rmdir(nx_fs_posix(), crash->images[i].path), NX_OK);
    }
    print_message("%zu images of %zu calls\n", crash->count,
                  crash->count > 0 ? crash->images[crash->count - 1].call : 0);
}

static void run_load(struct crash *crash)
{
    struct fixture *fixture = &crash->fixture;
    int step = 0;
    fixture_open(fixture);
    for (; step < 10; step++)
        push_step(crash, step);
    fixture_await(fixture, "narthex_ingester_chunk_file_written_bytes_total");
    try_flush(crash);
    for (; step < 16; step++)
        push_step(crash, step);
    fixture_reopen(fixture);
    for (; step < 22; step++)
        push_step(crash, step);
    fixture_close(fixture);
    fixture->worker_count = 2; /* the log is written anew */
    fixture_open(fixture);
    for (; step < 28; step++)
        push_step(crash, step);
    try_flush(crash);
    push_step(crash, step++);
    try_flush(crash);
    for (; step < 32; step++)
        push_step(crash, step);
    fixture_close(fixture);
    fixture->worker_count = 1;
    fixture_open(fixture);
    push_step(crash, step);
    fixture_close(fixture);
}

static void power_cut_at_any_call_loses_nothing_acknowledged(void **state)
{
    (void)state;
    struct crash crash;
    crash_init(&crash, NULL, 1, 1);
    run_load(&crash);
    assert_true(atomic_load(&crash.acknowledged) == (UINT64_C(1) << 33) - 1);
    assert_true(crash.count > 400);
    check_images(&crash);
    crash_release(&crash);
}

/* The power fails again while the start after a power cut repairs what it found. */
static void power_cut_during_the_start_after_one_loses_nothing(void **state)
{
    (void)state;
    struct crash crash;
    crash_init(&crash, NULL, 2, 53);
    run_load(&crash);
    size_t starts = 0;
    for (size_t i = 0; i < crash.count; i++) {
        struct crash again;
        crash_init(&again, crash.images[i].path, 3 + i, 1);
        again.fixture.worker_count = 1 + i % 2;
        atomic_store(&again.acknowledged, crash.images[i].acknowledged);
        fixture_open(&again.fixture);
        fixture_close(&again.fixture);
        for (size_t j = 0; j < again.count; j++)
            check_image(&again.images[j], j);
        starts += again.count;
        crash_release(&again);
    }
    print_message("%zu images of %zu starts\n", starts, crash.count);
    assert_true(starts > 100);
    crash_release(&crash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_cut_at_any_call_loses_nothing_acknowledged),
        cmocka_unit_test(power_cut_during_the_start_after_one_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
