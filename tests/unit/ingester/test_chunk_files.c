/* Chunks of the head in files: what a model remembers is read back bit for bit, whatever is
 * flushed, refused by the disk or held by a reader meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/chunk/merge.h"
#include "fixture.h"
#include "ingester/head/read.h"

#define SERIES 12
#define WINDOW_MS (2 * HOUR_MS)
#define T0 (INT64_C(200000) * WINDOW_MS)
#define MAX_SAMPLES 6000

struct truth {
    int64_t t;
    uint64_t bits;
    int histogram; /* number for make_histogram, or -1 */
};

struct model {
    struct truth *samples; /* ascending */
    size_t count;
    uint32_t ref;
};

struct world {
    char *dir;
    char *chunks_dir;
    struct fault_fs fs;
    struct nx_clock_manual clock;
    struct ing_series_limit limit;
    struct ing_head *head;
    uint32_t tenant;
    struct nx_arena arena; /* labels */
    struct model models[SERIES];
};

static void world_init(struct world *world, size_t buffer_bytes, uint64_t file_bytes)
{
    *world = (struct world){.dir = tmp_dir_new()};
    world->chunks_dir = nx_path_join(world->dir, "chunks");
    fault_fs_init(&world->fs);
    nx_clock_manual_init(&world->clock, T0);
    atomic_init(&world->limit.used, 0);
    atomic_init(&world->limit.max, 1000);
    nx_arena_init(&world->arena, 0);
    struct ing_head_options options = {
        .rules = {.window_ms = WINDOW_MS, .out_of_order_ms = 2 * HOUR_MS},
        .limit = &world->limit,
        .chunks = {.fs = &world->fs.base,
                   .clock = &world->clock.base,
                   .dir = world->chunks_dir,
                   .buffer_bytes = buffer_bytes,
                   .file_bytes = file_bytes}};
    assert_int_equal(ing_head_new(&options, &world->head), NX_OK);
    assert_int_equal(ing_head_tenant_get(world->head, NX_VIEW("t"), &world->tenant), NX_OK);
    for (size_t i = 0; i < SERIES; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%zu", i);
        struct nx_label label = {.name = NX_VIEW("n"),
                                 .value =
                                     nx_arena_copy(&world->arena, nx_view_make(text, (size_t)len))};
        struct nx_labels labels = {.items = &label, .count = 1};
        assert_int_equal(ing_head_create(world->head, world->tenant,
                                         nx_series_id_of(NX_VIEW("t"), labels), labels,
                                         &world->models[i].ref),
                         NX_OK);
        world->models[i].samples = nx_alloc_array(MAX_SAMPLES, sizeof(struct truth));
        assert_non_null(world->models[i].samples);
    }
}

static void world_release(struct world *world)
{
    ing_head_free(world->head);
    for (size_t i = 0; i < SERIES; i++)
        nx_free(world->models[i].samples);
    nx_arena_release(&world->arena);
    fault_fs_release(&world->fs);
    nx_free(world->chunks_dir);
    tmp_dir_free(world->dir);
}

static size_t count_files(const struct world *world)
{
    char **names;
    size_t count;
    if (nx_dir_list(world->chunks_dir, &names, &count) != NX_OK)
        return 0;
    nx_dir_free(names, count);
    return count;
}

static struct ing_pool *pool_of(const struct world *world)
{
    return &world->head->pool;
}

static struct ing_series *series_of(const struct world *world, size_t i)
{
    return ing_head_series(world->head, world->models[i].ref);
}

static size_t position(const struct model *model, int64_t t)
{
    size_t at = 0;
    while (at < model->count && model->samples[at].t < t)
        at++;
    return at;
}

static enum nx_err append(struct world *world, size_t i, struct truth truth,
                          enum ing_append_result *result)
{
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_sample sample = {.t = truth.t, .value = nx_double_from_bits(truth.bits)};
    if (truth.histogram >= 0)
        sample.histogram = make_histogram(&arena, truth.histogram);
    enum nx_err err = ing_head_append(world->head, world->models[i].ref, &sample, T0, result);
    nx_arena_release(&arena);
    return err;
}

/* A sample that the model takes, too; or again one that it has. */
static void add(struct world *world, size_t i, struct truth truth)
{
    struct model *model = &world->models[i];
    enum ing_append_result result;
    size_t at = position(model, truth.t);
    bool there = at < model->count && model->samples[at].t == truth.t;
    if (there)
        truth = model->samples[at];
    assert_int_equal(append(world, i, truth, &result), NX_OK);
    assert_int_equal(result, there ? ING_DUPLICATE : ING_APPENDED);
    if (there)
        return;
    assert_true(model->count < MAX_SAMPLES);
    memmove(&model->samples[at + 1], &model->samples[at],
            (model->count - at) * sizeof *model->samples);
    model->samples[at] = truth;
    model->count++;
}

static int64_t newest(const struct model *model)
{
    return model->count > 0 ? model->samples[model->count - 1].t : INT64_MIN;
}

static void add_newer(struct world *world, struct nx_rand *rand, size_t i, int64_t from)
{
    const struct model *model = &world->models[i];
    int64_t last = newest(model) > from ? newest(model) : from;
    struct truth truth = {.t = last + 1 + (int64_t)nx_rand_below(rand, 60000), .histogram = -1};
    if (nx_rand_below(rand, 300) == 0)
        truth.t += HOUR_MS;
    if (nx_rand_below(rand, 15) == 0)
        truth.histogram = (int)nx_rand_below(rand, 50);
    else
        truth.bits = random_value_bits(rand);
    add(world, i, truth);
}

static void check_list(const struct model *model, const struct ing_sealed_list *list, int64_t min_t,
                       int64_t max_t)
{
    struct nx_chunk *chunks = nx_alloc_array(list->count, sizeof *chunks);
    struct nx_sample_iter *it;
    struct nx_sample sample;
    struct nx_arena arena;
    assert_non_null(chunks);
    nx_arena_init(&arena, 0);
    for (uint32_t i = 0; i < list->count; i++)
        chunks[i] = ing_sealed_chunk(list->items[i]);
    assert_int_equal(nx_chunks_iter_new(chunks, list->count, min_t, max_t, &it), NX_OK);
    size_t at = position(model, min_t);
    int rc;
    while ((rc = nx_sample_next(it, &sample)) == 1) {
        assert_true(at < model->count);
        const struct truth *truth = &model->samples[at++];
        assert_true(sample.t == truth->t);
        if (truth->histogram >= 0)
            assert_true(
                sample.histogram &&
                nx_histogram_identical(sample.histogram, make_histogram(&arena, truth->histogram)));
        else
            assert_true(!sample.histogram && nx_double_bits(sample.value) == truth->bits);
    }
    assert_int_equal(rc, 0);
    assert_true(at == model->count || model->samples[at].t > max_t);
    nx_sample_iter_free(it);
    nx_arena_release(&arena);
    nx_free(chunks);
}

static void check_range(const struct world *world, size_t i, int64_t min_t, int64_t max_t)
{
    struct ing_sealed_list list = {0};
    assert_int_equal(ing_series_read(pool_of(world), series_of(world, i), min_t, max_t, &list),
                     NX_OK);
    assert_int_equal(ing_sealed_list_load(&list, min_t, max_t), NX_OK);
    check_list(&world->models[i], &list, min_t, max_t);
    ing_sealed_list_release(&list);
}

static void check_all(const struct world *world)
{
    for (size_t i = 0; i < SERIES; i++)
        check_range(world, i, INT64_MIN, INT64_MAX);
}

/* Takes a window out of the head as a flush does. */
static void flush_window(struct world *world, int64_t start)
{
    int64_t end = start + WINDOW_MS - 1;
    for (size_t i = 0; i < SERIES; i++) {
        struct ing_sealed_list list = {0};
        struct model *model = &world->models[i];
        assert_int_equal(
            ing_series_snapshot(pool_of(world), series_of(world, i), start, end, &list), NX_OK);
        assert_int_equal(ing_sealed_list_load(&list, start, end), NX_OK);
        check_list(model, &list, start, end);
        ing_sealed_list_unload(&list);
        ing_series_drop(pool_of(world), series_of(world, i), &list, start);
        ing_series_drop(pool_of(world), series_of(world, i), &list, start); /* again: nothing */
        ing_sealed_list_release(&list);
        size_t from = position(model, start);
        size_t to = position(model, end + 1);
        memmove(&model->samples[from], &model->samples[to],
                (model->count - to) * sizeof *model->samples);
        model->count -= to - from;
    }
    ing_head_window_remove(world->head, world->tenant, start);
}

static void model_is_read_back_whatever_happens(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world world;
        struct nx_rand rand;
        nx_rand_seeded(&rand, seed);
        world_init(&world, 2048, 8192);
        int64_t flushed = T0; /* what lies before has left */
        for (int step = 0; step < 8000; step++) {
            size_t i = nx_rand_below(&rand, SERIES);
            const struct model *model = &world.models[i];
            uint64_t choice = nx_rand_below(&rand, 100);
            if (choice < 90 || model->count == 0) {
                add_newer(&world, &rand, i, flushed);
            } else if (choice < 95) {
                int64_t t = newest(model) - (int64_t)nx_rand_below(&rand, 2 * HOUR_MS);
                struct truth truth = {.t = t, .bits = random_value_bits(&rand), .histogram = -1};
                if (t > flushed)
                    add(&world, i, truth);
            } else if (choice < 97) {
                int64_t min_t = newest(model) - (int64_t)nx_rand_below(&rand, 5 * HOUR_MS);
                check_range(&world, i, min_t, min_t + (int64_t)nx_rand_below(&rand, HOUR_MS));
            } else if (choice < 98) {
                check_range(&world, i, INT64_MIN, INT64_MAX);
            } else if (nx_rand_below(&rand, 3) == 0) {
                fault_fs_arm(&world.fs, nx_rand_below(&rand, 4), NX_ERR_NOSPACE,
                             nx_rand_below(&rand, 2) == 0);
                nx_clock_manual_advance(&world.clock, 700);
            } else {
                fault_fs_disarm(&world.fs);
                nx_clock_manual_advance(&world.clock, 700);
            }
            if (step % 1500 == 1499) {
                /* mostly the oldest window; sometimes one with an older one left behind it */
                const struct ing_tenant *tenant = ing_head_tenant(world.head, world.tenant);
                if (tenant->window_count > 2 && step % 4500 == 4499)
                    flush_window(&world, tenant->windows[1].start);
                else if (tenant->window_count > 1)
                    flush_window(&world, tenant->windows[0].start);
                flushed = ing_head_tenant(world.head, world.tenant)->newest_t;
                check_all(&world);
            }
        }
        check_all(&world);
        world_release(&world);
    }
}

static void fill(struct world *world, struct nx_rand *rand, size_t per_series, int64_t from)
{
    for (size_t n = 0; n < per_series; n++)
        for (size_t i = 0; i < SERIES; i++) {
            int64_t t = from + (int64_t)n * 1000;
            add(world, i, (struct truth){.t = t, .bits = nx_rand_u64(rand), .histogram = -1});
        }
}

static void memory_of_a_series_stays_flat(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 2);
    world_init(&world, 2048, 8192);
    fill(&world, &rand, 100, T0);
    size_t bytes = ing_slab_memory_bytes(&pool_of(&world)->slab);
    fill(&world, &rand, 900, T0 + 1000000);
    assert_int_equal(ing_slab_memory_bytes(&pool_of(&world)->slab), bytes);
    for (size_t i = 0; i < SERIES; i++) {
        assert_int_equal(series_of(&world, i)->extra, 0);
        assert_int_equal(ing_series_chunk_count(pool_of(&world), series_of(&world, i)), 2);
    }
    assert_true(count_files(&world) > 5);
    check_all(&world);
    world_release(&world);
}

static void files_go_with_their_windows_and_a_reader_keeps_them(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    world_init(&world, 2048, 8192);
    fill(&world, &rand, 500, T0);
    fill(&world, &rand, 500, T0 + WINDOW_MS);
    size_t before = count_files(&world);
    struct model old = {.samples = nx_alloc_array(1000, sizeof(struct truth)), .count = 1000};
    assert_non_null(old.samples);
    memcpy(old.samples, world.models[0].samples, 1000 * sizeof(struct truth));
    struct ing_sealed_list held = {0};
    assert_int_equal(
        ing_series_read(pool_of(&world), series_of(&world, 0), INT64_MIN, INT64_MAX, &held), NX_OK);
    flush_window(&world, T0);
    assert_true(count_files(&world) < before * 2 / 3);
    check_all(&world);
    assert_int_equal(ing_sealed_list_load(&held, INT64_MIN, INT64_MAX), NX_OK);
    check_list(&old, &held, INT64_MIN, INT64_MAX);
    ing_sealed_list_release(&held);
    flush_window(&world, T0 + WINDOW_MS);
    assert_int_equal(count_files(&world), 1); /* the one that is written to */
    for (size_t i = 0; i < SERIES; i++)
        assert_false(ing_series_has_samples(series_of(&world, i)));
    nx_free(old.samples);
    world_release(&world);
}

static void full_disk_loses_nothing_and_files_go_on_after_it(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4);
    world_init(&world, 2048, 8192);
    fill(&world, &rand, 50, T0);
    fault_fs_arm(&world.fs, 0, NX_ERR_NOSPACE, true);
    fill(&world, &rand, 1000, T0 + 50000);
    check_all(&world);
    bool in_memory = false;
    for (size_t i = 0; i < SERIES; i++)
        in_memory = in_memory || series_of(&world, i)->extra > 0;
    assert_true(in_memory);
    size_t written = ing_chunk_files_written(pool_of(&world)->files);
    fault_fs_disarm(&world.fs);
    nx_clock_manual_advance(&world.clock, 1001);
    fill(&world, &rand, 1000, T0 + 1050000);
    assert_true(ing_chunk_files_written(pool_of(&world)->files) > written + 50000);
    check_all(&world);
    world_release(&world);
}

static void damaged_file_is_an_error_of_who_reads_it(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    char **names;
    size_t count;
    nx_rand_seeded(&rand, 5);
    world_init(&world, 2048, 1 << 20);
    fill(&world, &rand, 300, T0);
    assert_int_equal(nx_dir_list(world.chunks_dir, &names, &count), NX_OK);
    assert_int_equal(count, 1);
    char *path = nx_path_join(world.chunks_dir, names[0]);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 1000, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, 1000, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 4, file), byte ^ 4);
    assert_int_equal(fclose(file), 0);
    size_t damaged = 0;
    for (size_t i = 0; i < SERIES; i++) {
        struct ing_sealed_list list = {0};
        assert_int_equal(
            ing_series_read(pool_of(&world), series_of(&world, i), INT64_MIN, INT64_MAX, &list),
            NX_OK);
        uint32_t before = list.count;
        enum nx_err err = ing_sealed_list_load(&list, INT64_MIN, INT64_MAX);
        if (err == NX_OK) {
            check_list(&world.models[i], &list, INT64_MIN, INT64_MAX);
        } else {
            assert_int_equal(err, NX_ERR_CORRUPT);
            assert_int_equal(list.count, before);
            damaged++;
            /* and ingestion goes on, in order and not */
            add(&world, i, (struct truth){.t = T0 + 500, .bits = 1, .histogram = -1});
        }
        ing_sealed_list_release(&list);
    }
    assert_int_equal(damaged, 1);
    nx_free(path);
    nx_dir_free(names, count);
    world_release(&world);
}

/* How many series cannot be read; the others are whole. */
static size_t count_damaged(const struct world *world)
{
    size_t damaged = 0;
    for (size_t i = 0; i < SERIES; i++) {
        struct ing_sealed_list list = {0};
        assert_int_equal(
            ing_series_read(pool_of(world), series_of(world, i), INT64_MIN, INT64_MAX, &list),
            NX_OK);
        enum nx_err err = ing_sealed_list_load(&list, INT64_MIN, INT64_MAX);
        if (err == NX_OK) {
            check_list(&world->models[i], &list, INT64_MIN, INT64_MAX);
        } else {
            assert_int_equal(err, NX_ERR_CORRUPT);
            damaged++;
        }
        ing_sealed_list_release(&list);
    }
    return damaged;
}

static void file_with_any_byte_changed_fails_one_series_and_never_lies(void **state)
{
    (void)state;
    static const char masks[] = {1, (char)0x80, (char)0xff};
    struct world world;
    struct nx_rand rand;
    char *bytes;
    size_t len;
    nx_rand_seeded(&rand, 6);
    world_init(&world, 1024, 1 << 20);
    fill(&world, &rand, 60, T0);
    char *path = nx_path_join(world.chunks_dir, "0000000000000001");
    assert_int_equal(nx_file_read_all(path, SIZE_MAX / 2, &bytes, &len), NX_OK);
    assert_true(len > 4000);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    setbuf(file, NULL);
    for (size_t at = 0; at < len; at++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
            assert_int_equal(fputc((uint8_t)(bytes[at] ^ masks[m]), file),
                             (uint8_t)(bytes[at] ^ masks[m]));
            /* the first eight bytes are for people */
            assert_int_equal(count_damaged(&world), at < 8 ? 0 : 1);
        }
        assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
        assert_int_equal(fputc((uint8_t)bytes[at], file), (uint8_t)bytes[at]);
    }
    assert_int_equal(count_damaged(&world), 0);
    for (size_t cut = len - 1; cut > 8; cut -= cut > 200 ? 97 : 1) {
        assert_int_equal(truncate(path, (off_t)cut), 0);
        assert_true(count_damaged(&world) >= 1);
    }
    assert_int_equal(fclose(file), 0);
    nx_free(bytes);
    nx_free(path);
    world_release(&world);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void append_without_memory_changes_nothing(void **state)
{
    (void)state;
    for (size_t n = 0; n < 120; n++) {
        struct world world;
        world_init(&world, 512, 2048);
        size_t left = n;
        for (size_t step = 0; step < 600; step++) {
            struct truth truth = {.t = T0 + (int64_t)step * 20000,
                                  .bits = step * UINT64_C(0x9E3779B97F4A7C15),
                                  .histogram = -1};
            enum ing_append_result result;
            nx_alloc_set_hook(fail_nth, &left);
            enum nx_err err = append(&world, 0, truth, &result);
            nx_alloc_set_hook(NULL, NULL);
            if (err != NX_OK) {
                assert_int_equal(err, NX_ERR_NOMEM);
                assert_int_equal(append(&world, 0, truth, &result), NX_OK);
            }
            assert_int_equal(result, ING_APPENDED);
            world.models[0].samples[world.models[0].count++] = truth;
        }
        check_range(&world, 0, INT64_MIN, INT64_MAX);
        world_release(&world);
    }
}

static void piece_with_any_bit_changed_is_refused(void **state)
{
    (void)state;
    uint8_t data[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct ing_chunk_piece piece = {.before = ING_ADDRESS_MAX,
                                    .owner = 77,
                                    .chunk = {.encoding = NX_CHUNK_HISTOGRAM_RUN,
                                              .count = 65535,
                                              .min_t = INT64_MIN + 5,
                                              .max_t = INT64_MIN + 5 + UINT32_MAX,
                                              .data = nx_view_make(data, sizeof data)}};
    struct ing_chunk_piece read;
    uint8_t bytes[ING_CHUNK_PIECE_HEADER_BYTES + sizeof data];
    assert_true(ing_chunk_piece_fits(&piece));
    assert_int_equal(ing_chunk_piece_write(&piece, bytes), sizeof bytes);
    struct nx_view view = nx_view_make(bytes, sizeof bytes);
    assert_int_equal(ing_chunk_piece_read(view, 77, &read), NX_OK);
    assert_true(read.before == piece.before && read.chunk.count == 65535);
    assert_true(read.chunk.min_t == piece.chunk.min_t && read.chunk.max_t == piece.chunk.max_t);
    assert_int_equal(read.chunk.encoding, NX_CHUNK_HISTOGRAM_RUN);
    assert_true(nx_view_eq(read.chunk.data, piece.chunk.data));
    assert_int_equal(ing_chunk_piece_read(view, 78, &read), NX_ERR_CORRUPT);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << bit % 8));
        assert_int_equal(ing_chunk_piece_read(view, 77, &read), NX_ERR_CORRUPT);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << bit % 8));
    }
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(ing_chunk_piece_read(nx_view_make(bytes, len), 77, &read), NX_ERR_CORRUPT);
    piece.chunk.max_t++;
    assert_false(ing_chunk_piece_fits(&piece));
}

/* Through an ingester with its lanes: enough to be written behind the workers' backs. */
static void ingester_serves_what_lies_in_files(void **state)
{
    (void)state;
    enum { MANY = 900, EACH = 60 };
    struct fixture fixture;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    int64_t from = nx_now_ms(&fixture.clock.base) / WINDOW_MS * WINDOW_MS - 4 * WINDOW_MS;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 9);
    for (int round = 0; round < 2; round++) {
        struct pusher pusher;
        pusher_init(&pusher, "tenant");
        for (int i = 0; i < MANY; i++) {
            char text[16];
            (void)snprintf(text, sizeof text, "%d", i);
            pusher_row(&pusher, "__name__", "m", "n", text, NULL);
            for (int j = 0; j < EACH; j++)
                pusher_bits(&pusher, from + (round * EACH + j) * 1000,
                            nx_rand_u64(&rand) | UINT64_C(1) << 63);
        }
        push_all(&fixture, &pusher);
        pusher_release(&pusher);
        struct got got;
        select_series(&fixture, "tenant", INT64_MIN, INT64_MAX, &got, NX_MATCH_EQ, "__name__", "m",
                      -1);
        assert_int_equal(got.err, NX_OK);
        assert_int_equal(got.count, MANY);
        for (size_t i = 0; i < got.count; i++)
            assert_int_equal(got.series[i].count, (round + 1) * EACH);
        got_release(&got);
    }
    char *path = nx_path_join(fixture.dir, "chunks");
    char **names;
    size_t count;
    assert_int_equal(nx_dir_list(path, &names, &count), NX_OK);
    assert_int_equal(count, 2);
    nx_dir_free(names, count);
    fixture_reopen(&fixture); /* the log brings all of it back */
    flush_all(&fixture);
    struct got got;
    select_series(&fixture, "tenant", INT64_MIN, INT64_MAX, &got, NX_MATCH_EQ, "__name__", "m", -1);
    assert_int_equal(got.err, NX_OK);
    assert_int_equal(got.count, MANY);
    for (size_t i = 0; i < got.count; i++)
        assert_int_equal(got.series[i].count, 2 * EACH);
    got_release(&got);
    nx_free(path);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_is_read_back_whatever_happens),
        cmocka_unit_test(memory_of_a_series_stays_flat),
        cmocka_unit_test(files_go_with_their_windows_and_a_reader_keeps_them),
        cmocka_unit_test(full_disk_loses_nothing_and_files_go_on_after_it),
        cmocka_unit_test(damaged_file_is_an_error_of_who_reads_it),
        cmocka_unit_test(file_with_any_byte_changed_fails_one_series_and_never_lies),
        cmocka_unit_test(append_without_memory_changes_nothing),
        cmocka_unit_test(piece_with_any_bit_changed_is_refused),
        cmocka_unit_test(ingester_serves_what_lies_in_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
