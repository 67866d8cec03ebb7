/* Compaction against a model: any set of overlapping blocks and deletions, joined, is the merged
 * reference; at every failure of a file operation the samples are there once. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/chunk/merge.h"
#include "fixture.h"
#include "ingester/block/block_writer.h"
#include "ingester/compact/merge.h"
#include "ingester/compact/plan.h"
#include "ingester/retention.h"

#define T0 INT64_C(1600000000000)
#define TENANT NX_VIEW("team/1")
#define SERIES 7
#define SLOTS 60 /* possible times of a series */
#define STEP_MS INT64_C(120000)

/* --- the model --- */

struct truth {
    bool there[SERIES][SLOTS];
    struct nx_sample samples[SERIES][SLOTS];
};

static struct nx_labels series_labels(struct nx_arena *arena, int series)
{
    struct nx_label *items = nx_arena_array(arena, 2, sizeof *items);
    char text[16];
    snprintf(text, sizeof text, "i%d", series);
    items[0] = (struct nx_label){.name = NX_VIEW("__name__"), .value = NX_VIEW("m")};
    items[1] = (struct nx_label){.name = NX_VIEW("instance"),
                                 .value = nx_arena_copy(arena, nx_view_of(text))};
    return (struct nx_labels){.items = items, .count = 2};
}

static int64_t time_of(int slot)
{
    return T0 + slot * STEP_MS;
}

static struct nx_sample random_sample(struct nx_rand *rand, struct nx_arena *arena, int slot)
{
    static const uint64_t odd[] = {NX_STALE_NAN_BITS, UINT64_C(0x7ff8000000abcdef),
                                   UINT64_C(0x8000000000000000), UINT64_C(0x7ff0000000000000)};
    struct nx_sample sample = {.t = time_of(slot)};
    uint64_t kind = nx_rand_below(rand, 10);
    if (kind == 0)
        sample.histogram = make_histogram(arena, (int)nx_rand_below(rand, 5));
    else if (kind < 3)
        sample.value = nx_double_from_bits(odd[nx_rand_below(rand, 4)]);
    else
        sample.value = (double)nx_rand_below(rand, 4);
    return sample;
}

static void truth_add(struct truth *truth, int series, int slot, const struct nx_sample *sample)
{
    struct nx_sample *now = &truth->samples[series][slot];
    if (!truth->there[series][slot] || nx_sample_precedence(sample, now) > 0)
        *now = *sample;
    truth->there[series][slot] = true;
}

/* --- blocks --- */

struct world {
    struct nx_arena arena;
    struct nx_rand rand;
    char *dir;
    const struct nx_fs *fs;
    struct ing_block_set *set;
    struct ing_tombstone_list tombstones;
    size_t blocks;
};

static void world_init(struct world *world, uint64_t seed, const struct nx_fs *fs)
{
    *world = (struct world){.dir = tmp_dir_new(), .fs = fs};
    nx_arena_init(&world->arena, 0);
    nx_rand_seeded(&world->rand, seed);
    assert_int_equal(ing_block_set_open(fs, world->dir, NULL, NULL, &world->set), NX_OK);
}

static void world_release(struct world *world)
{
    ing_tombstone_list_release(&world->tombstones);
    ing_block_set_free(world->set);
    nx_arena_release(&world->arena);
    tmp_dir_free(world->dir);
}

static void add_tombstone(struct world *world, int64_t min_t, int64_t max_t, const char *instances)
{
    struct nx_matcher matcher;
    assert_int_equal(nx_matcher_init(&matcher, &world->arena, NX_MATCH_RE, NX_VIEW("instance"),
                                     nx_view_of(instances), NULL),
                     NX_OK);
    struct ing_tombstone_fields fields = {.id = {.lo = nx_rand_u64(&world->rand)},
                                          .tenant = TENANT,
                                          .matchers = &matcher,
                                          .matcher_count = 1,
                                          .range = {.min_t = min_t, .max_t = max_t}};
    struct ing_tombstone_list *list = &world->tombstones;
    list->items = nx_realloc(list->items, (list->count + 1) * sizeof(struct ing_tombstone *));
    assert_non_null(list->items);
    assert_int_equal(ing_tombstone_new(&fields, &list->items[list->count]), NX_OK);
    list->items[list->count]->number = list->count + 1;
    list->count++;
    nx_matcher_release(&matcher);
}

static bool is_deleted(struct world *world, uint64_t carried, int series, int64_t t)
{
    struct nx_labels labels = series_labels(&world->arena, series);
    for (size_t i = 0; i < world->tombstones.count; i++) {
        const struct ing_tombstone *tombstone = world->tombstones.items[i];
        if (tombstone->number > carried && t >= tombstone->range.min_t &&
            t <= tombstone->range.max_t &&
            nx_matchers_match(tombstone->matchers, tombstone->matcher_count, labels))
            return true;
    }
    return false;
}

static void append(struct world *world, struct nx_chunk_appender **app, struct nx_chunk *chunks,
                   size_t *count, const struct nx_sample *sample)
{
    enum nx_chunk_encoding encoding = sample->histogram ? NX_CHUNK_HISTOGRAM_RUN : NX_CHUNK_XOR;
    bool full = *app && nx_rand_below(&world->rand, 12) == 0;
    if (*app && (full || nx_chunk_appender_chunk(*app).encoding != encoding)) {
        chunks[*count] = nx_chunk_appender_chunk(*app);
        chunks[*count].data = nx_arena_copy(&world->arena, chunks[*count].data);
        (*count)++;
        nx_chunk_appender_free(*app);
        *app = NULL;
    }
    if (!*app)
        assert_int_equal(nx_chunk_appender_new(encoding, app), NX_OK);
    assert_int_equal(nx_chunk_append(*app, sample), NX_OK);
}

static void write_series(struct world *world, struct ing_block_writer *writer, int series, int from,
                         int to, uint64_t carried, struct truth *truth)
{
    struct nx_chunk chunks[SLOTS + 1];
    struct nx_chunk_appender *app = NULL;
    size_t count = 0;
    for (int slot = from; slot < to; slot++) {
        if (nx_rand_below(&world->rand, 3) == 0)
            continue;
        struct nx_sample sample = random_sample(&world->rand, &world->arena, slot);
        append(world, &app, chunks, &count, &sample);
        if (!is_deleted(world, carried, series, sample.t))
            truth_add(truth, series, slot, &sample);
    }
    if (!app)
        return;
    chunks[count++] = nx_chunk_appender_chunk(app);
    struct nx_labels labels = series_labels(&world->arena, series);
    assert_int_equal(
        ing_block_writer_add(writer, nx_series_id_of(TENANT, labels), labels, chunks, count),
        NX_OK);
    nx_chunk_appender_free(app);
}

/* A block over the slots [from, to) with some of the series; what of it is not deleted goes into
 * the truth. */
static void add_block(struct world *world, int from, int to, uint64_t carried, struct truth *truth)
{
    char name[ING_BLOCK_NAME_MAX];
    char *dir;
    struct ing_block *block;
    struct ing_block_writer *writer;
    struct ing_block_position position = {.shard = 0, .before = world->blocks + 1};
    struct ing_block_meta meta = {.tenant = TENANT,
                                  .min_t = time_of(from),
                                  .max_t = time_of(to),
                                  .created_ms = T0,
                                  .generation = 9,
                                  .positions = &position,
                                  .position_count = 1,
                                  .deletions = carried};
    snprintf(name, sizeof name, "%" PRId64 "-%" PRId64 "-%zu", time_of(from), time_of(to),
             world->blocks++);
    assert_int_equal(ing_block_set_tenant_dir(world->set, TENANT, &dir), NX_OK);
    assert_int_equal(ing_block_writer_new(world->fs, dir, name, &meta, &writer), NX_OK);
    for (int series = 0; series < SERIES; series++)
        if (nx_rand_below(&world->rand, 4) > 0)
            write_series(world, writer, series, from, to, carried, truth);
    assert_int_equal(ing_block_writer_finish(writer), NX_OK);
    assert_int_equal(ing_block_open(ing_block_writer_path(writer), &block, NULL), NX_OK);
    assert_int_equal(ing_block_set_add(world->set, block), NX_OK);
    ing_block_writer_free(writer);
    nx_free(dir);
}

static void random_world(struct world *world, struct truth *truth)
{
    size_t deletions = nx_rand_below(&world->rand, 4);
    memset(truth, 0, sizeof *truth);
    for (size_t i = 0; i < deletions; i++) {
        static const char *const some[] = {"i[0-2]", "i3|i4", ".+", "i6"};
        int from = (int)nx_rand_below(&world->rand, SLOTS);
        int len = (int)nx_rand_below(&world->rand, SLOTS / 2);
        add_tombstone(world, time_of(from), time_of(from + len) - 1,
                      some[nx_rand_below(&world->rand, 4)]);
    }
    size_t blocks = 1 + nx_rand_below(&world->rand, 6);
    for (size_t i = 0; i < blocks; i++) {
        int from = (int)nx_rand_below(&world->rand, SLOTS - 1);
        int to = from + 1 + (int)nx_rand_below(&world->rand, (uint64_t)(SLOTS - from));
        add_block(world, from, to, nx_rand_below(&world->rand, deletions + 1), truth);
    }
}

/* --- reading back --- */

static bool same(const struct nx_sample *a, const struct nx_sample *b)
{
    if (a->t != b->t || !a->histogram != !b->histogram)
        return false;
    if (!a->histogram)
        return nx_double_bits(a->value) == nx_double_bits(b->value);
    /* the merge may take the reset hint away */
    struct nx_histogram x = *a->histogram, y = *b->histogram;
    x.hint = y.hint = NX_HINT_UNKNOWN;
    return nx_histogram_identical(&x, &y);
}

static void check_series(const struct ing_block_series *series, int number,
                         const struct truth *truth)
{
    struct nx_sample_iter *it;
    struct nx_sample sample;
    int rc, slot = 0;
    for (size_t i = 1; i < series->chunk_count; i++)
        assert_true(series->chunks[i].min_t > series->chunks[i - 1].max_t);
    assert_int_equal(
        nx_chunks_iter_new(series->chunks, series->chunk_count, INT64_MIN, INT64_MAX, &it), NX_OK);
    while ((rc = nx_sample_next(it, &sample)) == 1) {
        while (slot < SLOTS && !truth->there[number][slot])
            slot++;
        assert_true(slot < SLOTS);
        assert_true(same(&sample, &truth->samples[number][slot]));
        slot++;
    }
    assert_int_equal(rc, 0);
    for (; slot < SLOTS; slot++)
        assert_false(truth->there[number][slot]);
    nx_sample_iter_free(it);
}

/* The block holds exactly the truth. */
static void check_block(struct ing_block *block, const struct truth *truth)
{
    struct ing_block_iter *iter;
    struct ing_block_series series;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    bool seen[SERIES] = {false};
    int rc, last = -1;
    assert_int_equal(ing_block_select(block, NULL, 0, all, &iter), NX_OK);
    while ((rc = ing_block_iter_next(iter, &series)) == 1) {
        int number = series.labels.items[1].value.ptr[1] - '0';
        assert_true(number > last); /* in label order */
        last = number;
        seen[number] = true;
        assert_true(nx_series_id_eq(series.id, nx_series_id_of(TENANT, series.labels)));
        check_series(&series, number, truth);
    }
    assert_int_equal(rc, 0);
    ing_block_iter_free(iter);
    for (int i = 0; i < SERIES; i++)
        for (int slot = 0; slot < SLOTS && !seen[i]; slot++)
            assert_false(truth->there[i][slot]);
}

static struct ing_block_list all_blocks(struct world *world)
{
    struct ing_block_list list;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    assert_int_equal(ing_block_set_acquire(world->set, TENANT, all, &list), NX_OK);
    return list;
}

static enum nx_err merge_all(struct world *world, const struct ing_block_list *sources,
                             struct ing_block **out)
{
    static const atomic_bool never = false;
    struct ing_pace pace = {0};
    struct ing_merge merge = {.fs = world->fs,
                              .set = world->set,
                              .sources = sources,
                              .tombstones = &world->tombstones,
                              .deletions = world->tombstones.count,
                              .generation = 9,
                              .now_ms = T0 + 1,
                              .pace = &pace,
                              .cancel = &never};
    return ing_merge_run(&merge, out);
}

static void joined_blocks_are_the_merged_reference(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct world world;
        struct truth truth;
        struct ing_block *block = NULL;
        world_init(&world, seed, nx_fs_posix());
        random_world(&world, &truth);
        struct ing_block_list sources = all_blocks(&world);
        assert_int_equal(merge_all(&world, &sources, &block), NX_OK);
        assert_non_null(block); /* for its positions, if for nothing else */
        check_block(block, &truth);
        const struct ing_block_meta *meta = ing_block_meta(block);
        assert_int_equal(meta->source_count, sources.count);
        assert_int_equal(meta->position_count, sources.count);
        assert_true(meta->deletions == world.tombstones.count && meta->level == 1);
        assert_int_equal(ing_block_set_replace(world.set, block, &sources), NX_OK);
        ing_block_list_release(&sources);
        /* once more, alone: nothing changes */
        sources = all_blocks(&world);
        assert_int_equal(sources.count, 1);
        assert_int_equal(merge_all(&world, &sources, &block), NX_OK);
        check_block(block, &truth);
        assert_int_equal(ing_block_set_replace(world.set, block, &sources), NX_OK);
        ing_block_list_release(&sources);
        world_release(&world);
    }
}

/* --- failures --- */

static void reopen(struct world *world)
{
    ing_block_set_free(world->set);
    assert_int_equal(ing_block_set_open(nx_fs_posix(), world->dir, NULL, NULL, &world->set), NX_OK);
}

/* What is in all blocks together, read through the deletions, is the truth; and, where only one
 * block is left, nothing is there twice. */
static void check_world(struct world *world, const struct truth *truth)
{
    struct ing_block_list list = all_blocks(world);
    struct ing_block *block;
    const struct nx_fs *fs = world->fs;
    world->fs = nx_fs_posix();
    assert_int_equal(merge_all(world, &list, &block), NX_OK);
    world->fs = fs;
    check_block(block, truth);
    char *dir = nx_strdup(ing_block_dir(block));
    ing_block_drop(block);
    assert_int_equal(nx_fs_posix()->rmdir(nx_fs_posix(), dir), NX_OK);
    nx_free(dir);
    ing_block_list_release(&list);
}

static void failing_file_operation_leaves_every_sample_once(void **state)
{
    (void)state;
    size_t fired = 0;
    for (int forever = 0; forever < 2; forever++) {
        for (size_t n = 0;; n++) {
            struct fault_fs fs;
            struct world world;
            struct truth truth;
            struct ing_block *block = NULL;
            fault_fs_init(&fs);
            world_init(&world, 77, nx_fs_posix());
            random_world(&world, &truth);
            reopen(&world);
            ing_block_set_free(world.set);
            assert_int_equal(ing_block_set_open(&fs.base, world.dir, NULL, NULL, &world.set),
                             NX_OK);
            world.fs = &fs.base;
            struct ing_block_list sources = all_blocks(&world);
            size_t before = sources.count;
            fault_fs_arm(&fs, n, NX_ERR_IO, forever == 1);
            enum nx_err err = merge_all(&world, &sources, &block);
            if (err == NX_OK)
                assert_int_equal(ing_block_set_replace(world.set, block, &sources), NX_OK);
            bool hit = fault_fs_fired(&fs);
            fired += hit;
            fault_fs_disarm(&fs);
            ing_block_list_release(&sources);
            check_world(&world, &truth);
            reopen(&world); /* as after a crash at this point */
            sources = all_blocks(&world);
            assert_true(sources.count == before || sources.count == 1);
            ing_block_list_release(&sources);
            check_world(&world, &truth);
            world_release(&world);
            fault_fs_release(&fs);
            if (!hit)
                break;
        }
    }
    assert_true(fired > 15);
}

/* The power is cut when the n-th file operation fails, or at the end: what was not synced may be
 * there or not. */
static void power_cut_leaves_every_sample_once(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct fault_fs fs;
        struct world world;
        struct truth truth;
        struct ing_block *block = NULL;
        fault_fs_init(&fs);
        world_init(&world, 78, &fs.base);
        random_world(&world, &truth);
        struct ing_block_list sources = all_blocks(&world);
        size_t before = sources.count;
        fault_fs_arm(&fs, n, NX_ERR_IO, true);
        enum nx_err err = merge_all(&world, &sources, &block);
        if (err == NX_OK)
            assert_int_equal(ing_block_set_replace(world.set, block, &sources), NX_OK);
        bool hit = fault_fs_fired(&fs);
        fault_fs_disarm(&fs);
        ing_block_list_release(&sources);
        ing_block_set_free(world.set);
        fault_fs_power_cut(&fs, world.dir, DISK_ANY, n);
        assert_int_equal(ing_block_set_open(nx_fs_posix(), world.dir, NULL, NULL, &world.set),
                         NX_OK);
        sources = all_blocks(&world);
        assert_true(sources.count == before || sources.count == 1);
        ing_block_list_release(&sources);
        check_world(&world, &truth);
        world_release(&world);
        fault_fs_release(&fs);
        if (!hit)
            break;
    }
}

static void sources_of_a_block_go_at_the_next_start(void **state)
{
    (void)state;
    struct world world;
    struct truth truth;
    struct ing_block *block, *second;
    world_init(&world, 5, nx_fs_posix());
    random_world(&world, &truth);
    add_block(&world, 0, SLOTS, 0, &truth);
    struct ing_block_list sources = all_blocks(&world);
    assert_true(sources.count >= 2);
    assert_int_equal(merge_all(&world, &sources, &block), NX_OK);
    /* the crash: the block is there, and so are all its sources; a second one on top of it, whose
     * source could not be removed, names what is left of those too */
    struct ing_block_list one = {.blocks = &block, .count = 1};
    assert_int_equal(merge_all(&world, &one, &second), NX_OK);
    assert_int_equal(ing_block_meta(second)->source_count, 1 + sources.count);
    assert_int_equal(ing_block_meta(second)->level, 2);
    ing_block_drop(block);
    ing_block_drop(second);
    ing_block_list_release(&sources);
    reopen(&world);
    sources = all_blocks(&world);
    assert_int_equal(sources.count, 1);
    assert_int_equal(ing_block_meta(sources.blocks[0])->level, 2);
    check_block(sources.blocks[0], &truth);
    ing_block_list_release(&sources);
    reopen(&world); /* and they stay away */
    sources = all_blocks(&world);
    assert_int_equal(sources.count, 1);
    ing_block_list_release(&sources);
    world_release(&world);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void joining_without_memory_is_an_error_and_changes_nothing(void **state)
{
    (void)state;
    struct world world;
    struct truth truth;
    world_init(&world, 11, nx_fs_posix());
    random_world(&world, &truth);
    struct ing_block_list sources = all_blocks(&world);
    size_t before = sources.count, n = 0;
    for (;; n++) {
        struct ing_block *block = NULL;
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = merge_all(&world, &sources, &block);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK) {
            check_block(block, &truth);
            ing_block_drop(block);
            break;
        }
        assert_int_equal(err, NX_ERR_NOMEM);
    }
    assert_true(n > 20);
    ing_block_list_release(&sources);
    sources = all_blocks(&world);
    assert_int_equal(sources.count, before);
    ing_block_list_release(&sources);
    world_release(&world);
}

static void damaged_source_is_named_and_nothing_is_written(void **state)
{
    (void)state;
    struct world world;
    struct truth truth = {0};
    struct ing_block *block = NULL;
    world_init(&world, 3, nx_fs_posix());
    add_block(&world, 0, 30, 0, &truth);
    add_block(&world, 30, 60, 0, &truth);
    struct ing_block_list list = all_blocks(&world);
    char *path = nx_path_join(ing_block_dir(list.blocks[1]), "block.nxb");
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 24, SEEK_SET), 0); /* the first bytes of data */
    for (int i = 0; i < 16; i++)
        assert_true(fputc(0x5a, file) != EOF);
    assert_int_equal(fclose(file), 0);
    nx_free(path);
    static const atomic_bool never = false;
    struct ing_pace pace = {0};
    struct ing_merge merge = {.fs = nx_fs_posix(),
                              .set = world.set,
                              .sources = &list,
                              .tombstones = &world.tombstones,
                              .pace = &pace,
                              .cancel = &never};
    assert_int_equal(ing_merge_run(&merge, &block), NX_ERR_CORRUPT);
    assert_ptr_equal(merge.damaged, list.blocks[1]);
    ing_block_list_release(&list);
    reopen(&world);
    list = all_blocks(&world);
    assert_int_equal(list.count, 2);
    ing_block_list_release(&list);
    world_release(&world);
}

/* --- the plan --- */

#define W (2 * HOUR_MS)
static const struct ing_compact_rules rules = {
    .window_ms = W, .out_of_order_ms = W, .max_span_ms = 1000 * W};

static struct ing_compact_item item(int64_t from, int64_t to, uint64_t bytes)
{
    return (struct ing_compact_item){
        .min_t = from * W, .max_t = to * W, .created_ms = to * W, .bytes = bytes};
}

static void span_is_joined_when_it_is_over(void **state)
{
    (void)state;
    size_t chosen[8];
    struct ing_compact_item items[8];
    for (int i = 0; i < 4; i++)
        items[i] = item(480 + i, 481 + i, 1000);
    int64_t now = 484 * W;
    assert_int_equal(ing_compact_plan(&rules, items, 4, now, chosen), 0);
    /* by the clock */
    assert_int_equal(ing_compact_plan(&rules, items, 4, now + 3 * W, chosen), 4);
    /* or by a block behind it, at the time of old streams as well */
    items[4] = item(484, 485, 1000);
    assert_int_equal(ing_compact_plan(&rules, items, 5, now, chosen), 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(chosen[i] < 4);
    /* one that cannot be read is left out */
    items[1].excluded = true;
    assert_int_equal(ing_compact_plan(&rules, items, 5, now, chosen), 3);
    /* nothing longer than a window where the retention is short */
    struct ing_compact_rules shortly = rules;
    shortly.max_span_ms = ing_compact_max_span(24 * HOUR_MS);
    items[1].excluded = false;
    assert_int_equal(ing_compact_plan(&shortly, items, 5, now, chosen), 4);
    shortly.max_span_ms = ing_compact_max_span(23 * HOUR_MS);
    assert_int_equal(ing_compact_plan(&shortly, items, 5, now, chosen), 0);
}

static void late_blocks_wait_until_they_weigh_enough(void **state)
{
    (void)state;
    size_t chosen[16];
    struct ing_compact_item items[16];
    int64_t now = 600 * W;
    items[0] = item(480, 484, 100000);
    items[0].created_ms = now;
    for (int i = 1; i < 16; i++) {
        items[i] = item(481, 482, 100);
        items[i].created_ms = now;
    }
    assert_int_equal(ing_compact_plan(&rules, items, 2, now, chosen), 0);
    assert_int_equal(ing_compact_plan(&rules, items, 4, now, chosen), 0);
    /* enough for each other, not for the large one */
    assert_int_equal(ing_compact_plan(&rules, items, 5, now, chosen), 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(chosen[i] > 0);
    for (int i = 1; i < 16; i++)
        items[i].bytes = 9000;
    assert_int_equal(ing_compact_plan(&rules, items, 5, now, chosen), 5);
    /* whatever is left is joined after a day */
    assert_int_equal(ing_compact_plan(&rules, items, 2, now + 24 * HOUR_MS, chosen), 2);
}

/* However blocks come, following the plan ends, and ends with few blocks; a byte is written few
 * times. */
static void following_the_plan_ends_with_few_blocks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct nx_rand rand;
        struct ing_compact_item items[2000];
        size_t chosen[2000], count = 0;
        uint64_t in_bytes = 0, written = 0;
        nx_rand_seeded(&rand, seed);
        for (int window = 0; window < 480; window++) { /* 40 days */
            size_t blocks = 1 + nx_rand_below(&rand, 3);
            for (size_t i = 0; i < blocks; i++) {
                items[count] = item(window, window + 1, 1 + nx_rand_below(&rand, 2000));
                items[count].created_ms = (window + 2) * W;
                in_bytes += items[count++].bytes;
            }
            int64_t now = (window + 2) * W, picked;
            while ((picked = ing_compact_plan(&rules, items, count, now, chosen)) > 0) {
                struct ing_compact_item joined = items[chosen[0]];
                bool gone[2000] = {false};
                size_t kept = 0;
                joined.bytes = 0;
                for (int64_t i = 0; i < picked; i++) {
                    const struct ing_compact_item *from = &items[chosen[i]];
                    assert_false(gone[chosen[i]]);
                    gone[chosen[i]] = true;
                    joined.bytes += from->bytes;
                    joined.min_t = from->min_t < joined.min_t ? from->min_t : joined.min_t;
                    joined.max_t = from->max_t > joined.max_t ? from->max_t : joined.max_t;
                }
                assert_true(picked >= 2 && joined.max_t - joined.min_t <= 48 * W);
                joined.created_ms = now;
                written += joined.bytes;
                for (size_t i = 0; i < count; i++)
                    if (!gone[i])
                        items[kept++] = items[i];
                items[kept++] = joined;
                count = kept;
            }
        }
        assert_true(count < 40);
        assert_true(written < 8 * in_bytes);
    }
}

/* --- retention --- */

struct rule_ask {
    struct ing_retention_rule rule;
    size_t asked;
};

static struct ing_retention_rule rule_of(void *user, struct nx_view tenant)
{
    struct rule_ask *ask = user;
    assert_true(nx_view_eq(tenant, TENANT));
    ask->asked++;
    return ask->rule;
}

static void retention_takes_the_oldest_by_age_and_by_size(void **state)
{
    (void)state;
    struct world world;
    struct truth truth = {0};
    struct ing_retention_result result;
    world_init(&world, 8, nx_fs_posix());
    for (int i = 0; i < 6; i++)
        add_block(&world, i * 10, i * 10 + 10, 0, &truth);
    struct rule_ask ask = {.rule = {.max_age_ms = 50 * STEP_MS}};
    int64_t now = time_of(80);
    assert_int_equal(ing_retention_apply(world.set, now, rule_of, &ask, &result), NX_OK);
    assert_true(ask.asked == 1 && result.too_old == 3 && result.too_large == 0);
    struct ing_block_list list = all_blocks(&world);
    assert_int_equal(list.count, 3);
    uint64_t newest = 0;
    for (size_t i = 0; i < 3; i++)
        if (ing_block_meta(list.blocks[i])->min_t == time_of(50))
            newest = ing_block_size(list.blocks[i]);
    ing_block_list_release(&list);
    ask.rule.max_bytes = (int64_t)newest + 10;
    assert_int_equal(ing_retention_apply(world.set, now, rule_of, &ask, &result), NX_OK);
    assert_true(result.too_old == 0 && result.too_large == 2);
    list = all_blocks(&world);
    assert_int_equal(list.count, 1);
    assert_true(ing_block_meta(list.blocks[0])->min_t == time_of(50));
    ing_block_list_release(&list);
    ask.rule.max_bytes = 1;
    assert_int_equal(ing_retention_apply(world.set, now, rule_of, &ask, &result), NX_OK);
    assert_int_equal(result.too_large, 1);
    world_release(&world);
}

/* Makes the block whose time begins at that slot one that cannot be opened. */
static void damage_block(struct world *world, int slot)
{
    struct ing_block_list list = all_blocks(world);
    char *path = NULL;
    for (size_t i = 0; i < list.count; i++)
        if (ing_block_meta(list.blocks[i])->min_t == time_of(slot))
            path = find_file(ing_block_dir(list.blocks[i]), ".nxb");
    ing_block_list_release(&list);
    assert_non_null(path);
    assert_int_equal(truncate(path, 10), 0);
    nx_free(path);
}

static enum nx_err check_slot(struct world *world, int slot)
{
    struct nx_fail fail;
    struct ing_range range = {.min_t = time_of(slot), .max_t = time_of(slot + 1)};
    return ing_block_set_check_lost(world->set, TENANT, range, &fail);
}

static void retention_takes_damaged_blocks_too(void **state)
{
    (void)state;
    struct world world;
    struct truth truth = {0};
    struct ing_retention_result result;
    world_init(&world, 9, nx_fs_posix());
    for (int i = 0; i < 6; i++)
        add_block(&world, i * 10, i * 10 + 10, 0, &truth);
    damage_block(&world, 0);
    damage_block(&world, 20);
    damage_block(&world, 50);
    reopen(&world);
    assert_true(check_slot(&world, 5) == NX_ERR_CORRUPT && check_slot(&world, 25) != NX_OK &&
                check_slot(&world, 55) != NX_OK && check_slot(&world, 35) == NX_OK);
    /* by age */
    struct rule_ask ask = {.rule = {.max_age_ms = 50 * STEP_MS}};
    assert_int_equal(ing_retention_apply(world.set, time_of(60), rule_of, &ask, &result), NX_OK);
    assert_true(result.damaged == 1 && result.too_old == 0);
    assert_true(check_slot(&world, 5) == NX_OK && check_slot(&world, 25) == NX_ERR_CORRUPT);
    /* by size: with the blocks beside them */
    ask.rule.max_bytes = 1;
    assert_int_equal(ing_retention_apply(world.set, time_of(60), rule_of, &ask, &result), NX_OK);
    assert_true(result.damaged == 1 && result.too_large == 3);
    assert_true(check_slot(&world, 25) == NX_OK && check_slot(&world, 55) == NX_ERR_CORRUPT);
    /* without any block beside it, and not seen again at the next start */
    reopen(&world);
    assert_int_equal(check_slot(&world, 55), NX_ERR_CORRUPT);
    assert_int_equal(ing_retention_apply(world.set, time_of(110), rule_of, &ask, &result), NX_OK);
    assert_int_equal(result.damaged, 1);
    reopen(&world);
    for (int slot = 5; slot < 60; slot += 10)
        assert_int_equal(check_slot(&world, slot), NX_OK);
    world_release(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joined_blocks_are_the_merged_reference),
        cmocka_unit_test(failing_file_operation_leaves_every_sample_once),
        cmocka_unit_test(power_cut_leaves_every_sample_once),
        cmocka_unit_test(sources_of_a_block_go_at_the_next_start),
        cmocka_unit_test(joining_without_memory_is_an_error_and_changes_nothing),
        cmocka_unit_test(damaged_source_is_named_and_nothing_is_written),
        cmocka_unit_test(span_is_joined_when_it_is_over),
        cmocka_unit_test(late_blocks_wait_until_they_weigh_enough),
        cmocka_unit_test(following_the_plan_ends_with_few_blocks),
        cmocka_unit_test(retention_takes_the_oldest_by_age_and_by_size),
        cmocka_unit_test(retention_takes_damaged_blocks_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
