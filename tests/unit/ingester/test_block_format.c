/* Blocks of floats and histograms: every sample comes back bit for bit, over slabs, full columns
 * and a spill that does not fit into memory; any byte changed is an error or changes nothing. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/chunk/merge.h"
#include "fixture.h"
#include "ingester/block/block_format.h"
#include "ingester/block/block_reader.h"
#include "ingester/block/block_writer.h"

#define T0 (INT64_C(100000) * 24 * HOUR_MS)
#define TENANT NX_VIEW("tenant")

static const struct ing_range everything = {.min_t = INT64_MIN, .max_t = INT64_MAX};

/* What a test writes and expects to read. */
struct made {
    struct nx_series_id id;
    struct nx_labels labels;
    struct nx_sample *samples; /* histograms in the arena */
    size_t count;
};

struct set {
    struct nx_arena arena;
    struct made *series;
    size_t count;
    int64_t min_t, max_t;
    char *dir;
};

static struct nx_histogram *some_histogram(struct nx_arena *arena, struct nx_rand *rand, size_t n)
{
    struct nx_histogram *h = nx_arena_calloc(arena, 1, sizeof *h);
    bool custom = nx_rand_below(rand, 3) == 0;
    h->schema = custom ? NX_HISTOGRAM_CUSTOM_SCHEMA : 3;
    h->integer = nx_rand_below(rand, 2);
    h->hint = (enum nx_reset_hint)nx_rand_below(rand, 4);
    h->positive_spans = nx_arena_calloc(arena, 1, sizeof *h->positive_spans);
    h->positive_spans[0] = (struct nx_span){.offset = custom ? 0 : -3, .length = 4};
    h->positive_span_count = 1;
    h->positive = nx_arena_calloc(arena, 4, sizeof *h->positive);
    h->positive_count = 4;
    for (size_t i = 0; i < 4; i++) {
        double part = h->integer ? 0 : 0.25;
        h->positive[i] = (double)(n * (i + 1) + nx_rand_below(rand, 3)) + part;
        h->count += h->positive[i];
    }
    if (custom) {
        h->custom_bounds = nx_arena_calloc(arena, 4, sizeof *h->custom_bounds);
        h->custom_count = 4;
        for (size_t i = 0; i < 4; i++)
            h->custom_bounds[i] = (double)i + 0.5;
    } else {
        h->zero_threshold = 1e-128;
    }
    h->sum = nx_rand_unit(rand) * h->count;
    return h;
}

static double some_value(struct nx_rand *rand, size_t kind, size_t n)
{
    switch (kind % 6) {
    case 0:
        return 1;
    case 1:
        return (double)(n * 40 + nx_rand_below(rand, 40));
    case 2:
        return (double)(n * 17 + nx_rand_below(rand, 9)) / 100;
    case 3:
        return nx_rand_unit(rand);
    case 4:
        return nx_double_from_bits(nx_rand_u64(rand));
    default:
        return n % 9 == 8 ? nx_double_from_bits(NX_STALE_NAN_BITS) : -(double)n;
    }
}

static struct nx_labels labels_of(struct nx_arena *arena, size_t i)
{
    struct nx_labels_builder builder;
    struct nx_labels labels;
    char text[64];
    nx_labels_builder_init(&builder, arena, (struct nx_labels){0});
    int len = snprintf(text, sizeof text, "metric_%zu", i % 3);
    nx_labels_builder_set(&builder, NX_VIEW("__name__"),
                          nx_arena_copy(arena, nx_view_make(text, (size_t)len)));
    len = snprintf(text, sizeof text, "instance-%05zu", i);
    nx_labels_builder_set(&builder, NX_VIEW("instance"),
                          nx_arena_copy(arena, nx_view_make(text, (size_t)len)));
    if (i % 2)
        nx_labels_builder_set(&builder, NX_VIEW("odd"), NX_VIEW("instance-00001"));
    assert_int_equal(nx_labels_builder_take(&builder, &labels), NX_OK);
    return labels;
}

/* Series of `samples` samples every `step` ms; each seventh has histograms, or turns to them. */
static void set_init(struct set *set, size_t series, size_t samples, int64_t step, int64_t span)
{
    struct nx_rand rand;
    nx_rand_seeded(&rand, 11);
    *set = (struct set){.count = series, .min_t = T0, .max_t = T0 + span, .dir = tmp_dir_new()};
    nx_arena_init(&set->arena, 0);
    set->series = nx_arena_calloc(&set->arena, series, sizeof *set->series);
    for (size_t i = 0; i < series; i++) {
        struct made *made = &set->series[i];
        made->labels = labels_of(&set->arena, i);
        made->id = nx_series_id_of(TENANT, made->labels);
        made->count = samples;
        made->samples = nx_arena_calloc(&set->arena, samples, sizeof *made->samples);
        int64_t t = T0 + (int64_t)(i % 4) * 7;
        for (size_t j = 0; j < samples; j++, t += step) {
            made->samples[j].t = t;
            if (i % 7 == 3 && (i % 2 || j > samples / 2))
                made->samples[j].histogram = some_histogram(&set->arena, &rand, j);
            else
                made->samples[j].value = some_value(&rand, i, j);
        }
    }
}

static void set_release(struct set *set)
{
    tmp_dir_free(set->dir);
    nx_arena_release(&set->arena);
}

static struct nx_chunk *chunks_of(struct nx_arena *arena, const struct made *made, size_t *count)
{
    struct nx_chunk *chunks = nx_arena_calloc(arena, made->count, sizeof *chunks);
    struct nx_chunk_appender *app = NULL;
    *count = 0;
    for (size_t i = 0; i <= made->count; i++) {
        const struct nx_sample *s = i < made->count ? &made->samples[i] : NULL;
        enum nx_chunk_encoding encoding = s && s->histogram ? NX_CHUNK_HISTOGRAM_RUN : NX_CHUNK_XOR;
        if (app) {
            struct nx_chunk chunk = nx_chunk_appender_chunk(app);
            if (!s || chunk.count == 120 || chunk.encoding != encoding) {
                chunk.data = nx_arena_copy(arena, chunk.data);
                chunks[(*count)++] = chunk;
                nx_chunk_appender_free(app);
                app = NULL;
            }
        }
        if (s && !app)
            assert_int_equal(nx_chunk_appender_new(encoding, &app), NX_OK);
        if (s)
            assert_int_equal(nx_chunk_append(app, s), NX_OK);
    }
    return chunks;
}

/* Series in an order of their own, not that of their labels. */
static enum nx_err set_write(struct set *set, const struct nx_fs *fs)
{
    struct ing_block_meta meta = {.tenant = TENANT, .min_t = set->min_t, .max_t = set->max_t};
    struct ing_block_writer *writer;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    enum nx_err err = ing_block_writer_new(fs, set->dir, "b", &meta, &writer);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < set->count && err == NX_OK; i++) {
        const struct made *made = &set->series[(i * 7 + 3) % set->count];
        size_t count;
        struct nx_chunk *chunks = chunks_of(&arena, made, &count);
        err = ing_block_writer_add(writer, made->id, made->labels, chunks, count);
        nx_arena_clear(&arena);
    }
    if (err == NX_OK)
        err = ing_block_writer_finish(writer);
    ing_block_writer_free(writer);
    nx_arena_release(&arena);
    return err;
}

static struct ing_block *set_open(const struct set *set)
{
    struct ing_block *block;
    char *dir = nx_path_join(set->dir, "b");
    assert_int_equal(ing_block_open(dir, &block, NULL), NX_OK);
    nx_free(dir);
    return block;
}

static bool same_sample(const struct nx_sample *a, const struct nx_sample *b)
{
    if (a->t != b->t || !a->histogram != !b->histogram)
        return false;
    return a->histogram ? nx_histogram_identical(a->histogram, b->histogram)
                        : nx_double_bits(a->value) == nx_double_bits(b->value);
}

static const struct made *made_find(const struct set *set, struct nx_series_id id)
{
    for (size_t i = 0; i < set->count; i++)
        if (nx_series_id_eq(set->series[i].id, id))
            return &set->series[i];
    return NULL;
}

/* 1: exactly the samples of the range; 0: something else; negative: the error of reading. Chunks
 * are read each for itself: what they hold must lie within what they say. */
static int series_matches(const struct set *set, const struct ing_block_series *series,
                          struct ing_range range)
{
    const struct made *made = made_find(set, series->id);
    if (!made || !nx_labels_eq(made->labels, series->labels))
        return 0;
    size_t at = 0;
    while (at < made->count && made->samples[at].t < range.min_t)
        at++;
    for (size_t i = 0; i < series->chunk_count; i++) {
        const struct nx_chunk *chunk = &series->chunks[i];
        struct nx_sample_iter *it;
        struct nx_sample sample;
        enum nx_err err = nx_chunk_iter_new(chunk->encoding, chunk->data, &it);
        if (err != NX_OK)
            return err;
        int rc;
        uint32_t count = 0;
        bool good = true;
        while ((rc = nx_sample_next(it, &sample)) == 1) {
            count++;
            good &= sample.t >= chunk->min_t && sample.t <= chunk->max_t;
            if (sample.t < range.min_t || sample.t > range.max_t)
                continue;
            good &= at < made->count && same_sample(&made->samples[at], &sample);
            at++;
        }
        nx_sample_iter_free(it);
        if (rc < 0)
            return rc;
        if (!good || count != chunk->count)
            return 0;
    }
    return at == made->count || made->samples[at].t > range.max_t;
}

/* 1: the block says what was written; otherwise as above. */
static int block_matches(const struct set *set, struct ing_block *block, struct ing_range range)
{
    struct ing_block_iter *iter;
    struct ing_block_series series;
    size_t found = 0;
    enum nx_err err = ing_block_select(block, NULL, 0, range, &iter);
    if (err != NX_OK)
        return err;
    int rc;
    int good = 1;
    while (good == 1 && (rc = ing_block_iter_next(iter, &series)) == 1) {
        good = series_matches(set, &series, range);
        found++;
    }
    ing_block_iter_free(iter);
    if (good != 1)
        return good;
    if (rc < 0)
        return rc;
    size_t expected = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct made *made = &set->series[i];
        bool any = false;
        for (size_t j = 0; j < made->count; j++)
            any |= made->samples[j].t >= range.min_t && made->samples[j].t <= range.max_t;
        expected += any;
    }
    return found == expected;
}

static void samples_come_back_over_slabs_and_full_columns(void **state)
{
    (void)state;
    struct set set;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 12);
    set_init(&set, 40, 20000, 10000, 4 * 24 * HOUR_MS); /* 2.3 days; 2880 samples a slab */
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    struct ing_block *block = set_open(&set);
    assert_int_equal(ing_block_meta(block)->samples, 40 * 20000);
    assert_int_equal(block_matches(&set, block, everything), 1);
    for (int i = 0; i < 20; i++) {
        int64_t from = T0 + (int64_t)nx_rand_below(&rand, 3 * 24 * HOUR_MS);
        struct ing_range range = {.min_t = from,
                                  .max_t = from + (int64_t)nx_rand_below(&rand, 9 * HOUR_MS)};
        assert_int_equal(block_matches(&set, block, range), 1);
    }
    ing_block_drop(block);
    set_release(&set);
}

static void short_range_of_a_long_block_reads_its_slab_only(void **state)
{
    (void)state;
    struct set set;
    struct ing_block_iter *iter;
    struct ing_block_series series;
    set_init(&set, 3, 30000, 10000, 4 * 24 * HOUR_MS);
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    struct ing_block *block = set_open(&set);
    struct ing_range range = {.min_t = T0 + 30 * HOUR_MS, .max_t = T0 + 31 * HOUR_MS};
    assert_int_equal(ing_block_select(block, NULL, 0, range, &iter), NX_OK);
    while (ing_block_iter_next(iter, &series) == 1) {
        assert_int_equal(series.chunk_count, 1);
        assert_true(series.chunks[0].count <= 2880);
    }
    ing_block_iter_free(iter);
    ing_block_drop(block);
    set_release(&set);
}

static void times_that_series_share_are_stored_once(void **state)
{
    (void)state;
    struct set set;
    struct ing_block_sizes sizes;
    set_init(&set, 200, 480, 15000, 2 * HOUR_MS);
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    struct ing_block *block = set_open(&set);
    assert_int_equal(ing_block_sizes(block, &sizes), NX_OK);
    /* four targets; a series that turns to histograms halfway adds columns of its own */
    assert_true(sizes.time_columns >= 4 && sizes.time_columns <= 8);
    assert_true(sizes.times < 200);
    assert_int_equal(sizes.values + sizes.times + sizes.series + sizes.labels + sizes.lists +
                         sizes.tables,
                     ing_block_size(block));
    ing_block_drop(block);
    set_release(&set);
}

static void more_than_memory_should_hold_goes_through_the_spill(void **state)
{
    (void)state;
    struct set set;
    set_init(&set, 300, 4000, 7200, 8 * HOUR_MS); /* some 5 MiB of records */
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    struct ing_block *block = set_open(&set);
    assert_int_equal(block_matches(&set, block, everything), 1);
    char *dir = nx_path_join(set.dir, "b");
    assert_null(find_file(dir, "spill"));
    nx_free(dir);
    ing_block_drop(block);
    set_release(&set);
}

static void spill_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct set set;
    set_init(&set, 300, 4000, 7200, 8 * HOUR_MS);
    for (size_t n = 0;; n++) {
        struct fault_fs fs;
        fault_fs_init(&fs);
        fault_fs_arm(&fs, n, NX_ERR_NOSPACE, false);
        enum nx_err err = set_write(&set, &fs.base);
        bool fired = fault_fs_fired(&fs);
        fault_fs_release(&fs);
        if (!fired) {
            assert_int_equal(err, NX_OK);
            break;
        }
        /* after the rename the block is there, whatever the caller is told */
        char *dir = nx_path_join(set.dir, "b");
        struct ing_block *block;
        if (ing_block_open(dir, &block, NULL) == NX_OK) {
            assert_int_equal(ing_block_verify(block), NX_OK);
            ing_block_drop(block);
            assert_int_equal(nx_fs_posix()->rmdir(nx_fs_posix(), dir), NX_OK);
        } else {
            assert_int_equal(err, NX_ERR_NOSPACE);
        }
        nx_free(dir);
    }
    set_release(&set);
}

static void series_keeps_an_id_that_is_not_of_its_labels(void **state)
{
    (void)state;
    struct set set;
    set_init(&set, 9, 30, 15000, 2 * HOUR_MS);
    set.series[4].id = (struct nx_series_id){.hi = 1, .lo = 2};
    set.series[5].id = (struct nx_series_id){.hi = 3, .lo = 4};
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    struct ing_block *block = set_open(&set);
    assert_int_equal(block_matches(&set, block, everything), 1);
    ing_block_drop(block);
    set_release(&set);
}

static void block_without_samples_is_empty(void **state)
{
    (void)state;
    struct set set;
    struct ing_texts texts;
    set_init(&set, 2, 5, 15000, 2 * HOUR_MS);
    set.min_t -= 10 * HOUR_MS; /* before the samples: none of them belongs into it */
    set.max_t = set.min_t + 2 * HOUR_MS;
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    struct ing_block *block = set_open(&set);
    assert_int_equal(ing_block_meta(block)->series, 0);
    assert_int_equal(ing_block_verify(block), NX_OK);
    ing_texts_init(&texts, 0);
    assert_int_equal(ing_block_labels(block, NX_VIEW(""), NULL, 0, &texts), NX_OK);
    assert_int_equal(texts.count, 0);
    ing_texts_release(&texts);
    ing_block_drop(block);
    set_release(&set);
}

/* --- damage --- */

static char *block_path(const struct set *set)
{
    char *dir = nx_path_join(set->dir, "b");
    char *path = nx_path_join(dir, ING_BLOCK_FILE);
    nx_free(dir);
    return path;
}

/* Whether the block at hand is refused, or says what was written. */
static void check_damaged(const struct set *set)
{
    struct ing_block *block;
    char *dir = nx_path_join(set->dir, "b");
    enum nx_err err = ing_block_open(dir, &block, NULL);
    nx_free(dir);
    if (err != NX_OK) {
        assert_true(err == NX_ERR_CORRUPT || err == NX_ERR_UNSUPPORTED);
        return;
    }
    int got = block_matches(set, block, everything);
    if (got != 1)
        assert_int_equal(got, NX_ERR_CORRUPT);
    ing_block_drop(block);
}

static void block_with_any_byte_changed_is_refused_or_right(void **state)
{
    (void)state;
    struct set set;
    char *bytes;
    size_t len;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 13);
    set_init(&set, 12, 25, 15000, 2 * HOUR_MS);
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    char *path = block_path(&set);
    assert_int_equal(nx_file_read_all(path, 1 << 20, &bytes, &len), NX_OK);
    for (size_t i = 0; i < len; i++) {
        char before = bytes[i];
        bytes[i] = (char)(before ^ (1 << nx_rand_below(&rand, 8)));
        file_write(path, bytes, len);
        check_damaged(&set);
        bytes[i] = before;
    }
    for (size_t cut = 0; cut < len; cut += 1 + cut / 50) {
        file_write(path, bytes, cut);
        check_damaged(&set);
    }
    nx_free(bytes);
    nx_free(path);
    set_release(&set);
}

/* The checksums put right, so that what they would have caught reaches the decoders. */
static void sections_repaired(char *bytes, size_t len)
{
    char *footer = bytes + len - ING_BLOCK_FOOTER_BYTES;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(footer, ING_BLOCK_FOOTER_BYTES));
    char *toc = bytes + nx_cursor_u64(&cur);
    for (int i = 0; i < ING_SECTION_MAX; i++) {
        char *entry = toc + i * ING_BLOCK_TOC_ENTRY_BYTES;
        cur = nx_cursor_of(nx_view_make(entry, ING_BLOCK_TOC_ENTRY_BYTES));
        (void)nx_cursor_u64(&cur);
        uint64_t offset = nx_cursor_u64(&cur);
        uint64_t size = nx_cursor_u64(&cur);
        uint32_t crc = i == 0 ? 0 : nx_crc32c(0, bytes + offset, (size_t)size);
        memcpy(entry + 4, &crc, sizeof crc);
    }
    uint32_t crc = nx_crc32c(0, toc, ING_SECTION_MAX * ING_BLOCK_TOC_ENTRY_BYTES);
    memcpy(footer + 12, &crc, sizeof crc);
    crc = nx_crc32c(0, footer, 20);
    memcpy(footer + 20, &crc, sizeof crc);
}

static void tables_that_lie_with_good_checksums_do_no_harm(void **state)
{
    (void)state;
    struct set set;
    struct nx_rand rand;
    char *bytes;
    size_t len;
    nx_rand_seeded(&rand, 14);
    set_init(&set, 12, 25, 15000, 2 * HOUR_MS);
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    char *path = block_path(&set);
    assert_int_equal(nx_file_read_all(path, 1 << 20, &bytes, &len), NX_OK);
    char *copy = nx_alloc(len);
    uint64_t toc = 0;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(bytes + len - ING_BLOCK_FOOTER_BYTES, 8));
    toc = nx_cursor_u64(&cur);
    cur = nx_cursor_of(nx_view_make(bytes + toc + 16, 8));
    size_t tables = ING_BLOCK_MAGIC_BYTES + (size_t)nx_cursor_u64(&cur);
    for (int round = 0; round < 3000; round++) {
        struct ing_block *block;
        struct ing_texts texts;
        memcpy(copy, bytes, len);
        size_t at = tables + (size_t)nx_rand_below(&rand, toc - tables);
        copy[at] = (char)nx_rand_below(&rand, 256);
        sections_repaired(copy, len);
        file_write(path, copy, len);
        char *dir = nx_path_join(set.dir, "b");
        if (ing_block_open(dir, &block, NULL) == NX_OK) {
            int got = block_matches(&set, block, everything); /* anything but a crash */
            assert_true(got == 0 || got == 1 || got == NX_ERR_CORRUPT);
            ing_texts_init(&texts, 0);
            enum nx_err err = ing_block_labels(block, NX_VIEW("instance"), NULL, 0, &texts);
            assert_true(err == NX_OK || err == NX_ERR_CORRUPT);
            ing_texts_release(&texts);
            ing_block_drop(block);
        }
        nx_free(dir);
    }
    nx_free(copy);
    nx_free(bytes);
    nx_free(path);
    set_release(&set);
}

static void block_of_another_version_is_refused_by_number(void **state)
{
    (void)state;
    struct set set;
    struct ing_block *block;
    struct nx_fail fail = {.code = NX_OK};
    char *bytes;
    size_t len;
    set_init(&set, 2, 5, 15000, 2 * HOUR_MS);
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    char *path = block_path(&set);
    char *dir = nx_path_join(set.dir, "b");
    assert_int_equal(nx_file_read_all(path, 1 << 20, &bytes, &len), NX_OK);
    uint32_t version = 0;
    bytes[5] = bytes[len - 3] = '0'; /* NXBLK1 */
    memcpy(bytes + len - 16, &version, sizeof version);
    sections_repaired(bytes, len);
    file_write(path, bytes, len);
    assert_int_equal(ing_block_open(dir, &block, &fail), NX_ERR_UNSUPPORTED);
    assert_non_null(strstr(fail.text, "block format 0 is not known"));
    nx_free(dir);
    nx_free(bytes);
    nx_free(path);
    set_release(&set);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void block_read_without_memory_is_an_error(void **state)
{
    (void)state;
    struct set set;
    set_init(&set, 30, 200, 15000, 2 * HOUR_MS);
    assert_int_equal(set_write(&set, nx_fs_posix()), NX_OK);
    char *dir = nx_path_join(set.dir, "b");
    for (size_t n = 0;; n++) {
        struct ing_block *block = NULL;
        struct ing_texts texts;
        size_t left = n;
        ing_texts_init(&texts, 0);
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = ing_block_open(dir, &block, NULL);
        if (err == NX_OK)
            err = ing_block_verify(block);
        if (err == NX_OK)
            err = ing_block_labels(block, NX_VIEW("instance"), NULL, 0, &texts);
        nx_alloc_set_hook(NULL, NULL);
        ing_block_drop(block);
        ing_texts_release(&texts);
        if (err == NX_OK)
            break;
        assert_int_equal(err, NX_ERR_NOMEM);
    }
    nx_free(dir);
    set_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_back_over_slabs_and_full_columns),
        cmocka_unit_test(short_range_of_a_long_block_reads_its_slab_only),
        cmocka_unit_test(times_that_series_share_are_stored_once),
        cmocka_unit_test(more_than_memory_should_hold_goes_through_the_spill),
        cmocka_unit_test(spill_that_cannot_be_written_is_an_error),
        cmocka_unit_test(series_keeps_an_id_that_is_not_of_its_labels),
        cmocka_unit_test(block_without_samples_is_empty),
        cmocka_unit_test(block_with_any_byte_changed_is_refused_or_right),
        cmocka_unit_test(tables_that_lie_with_good_checksums_do_no_harm),
        cmocka_unit_test(block_of_another_version_is_refused_by_number),
        cmocka_unit_test(block_read_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
