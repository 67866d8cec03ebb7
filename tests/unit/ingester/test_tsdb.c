/* Blocks of Prometheus, written and read back; damaged in every byte; taken apart into pieces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/chunk/merge.h"
#include "fixture.h"
#include "ingester/tsdb/import.h"
#include "ingester/tsdb/source.h"
#include "ingester/tsdb/writer.h"

#define T0 INT64_C(1700006400000) /* a multiple of two hours */
#define SPAN (2 * HOUR_MS)
#define ULID "01HF7YAT00TESTTESTTESTTEST"

/* --- what is written --- */

/* Samples of series `number`, made on the way. */
struct source_iter {
    struct nx_sample_iter base;
    struct nx_arena arena;
    unsigned number;
    size_t count;
    size_t at;
    int end;
    struct nx_histogram *h;
};

static bool is_histogram(unsigned number)
{
    return number % 3 == 2;
}

/* The i-th sample of a series. */
static struct nx_sample sample_of(struct nx_arena *arena, unsigned number, size_t i)
{
    struct nx_sample sample = {.t = T0 + (int64_t)(i * 15000) + number % 7};
    static const uint64_t odd[] = {NX_STALE_NAN_BITS, NX_NORMAL_NAN_BITS,
                                   UINT64_C(0x7ff80000deadbeef), UINT64_C(0x8000000000000000),
                                   UINT64_C(0xfff0000000000000)};
    if (is_histogram(number)) {
        struct nx_histogram *h =
            nx_histogram_copy(arena, make_histogram(arena, (int)(i + number)));
        h->integer = number % 2;
        if (i % 50 == 49)
            *h = (struct nx_histogram){.integer = h->integer,
                                       .sum = nx_double_from_bits(NX_STALE_NAN_BITS)};
        sample.histogram = h;
    } else {
        sample.value =
            i % 11 == 10 ? nx_double_from_bits(odd[(i + number) % 5]) : (double)i * 0.1 + number;
    }
    return sample;
}

static int source_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    struct source_iter *s = (struct source_iter *)it;
    if (s->at == s->count)
        return s->end;
    nx_arena_clear(&s->arena);
    *out = sample_of(&s->arena, s->number, s->at++);
    return 1;
}

static void source_free(struct nx_sample_iter *it)
{
    nx_arena_release(&((struct source_iter *)it)->arena);
    free(it);
}

static struct nx_sample_iter *samples_of(unsigned number, size_t count, int end)
{
    static const struct nx_sample_iter_ops ops = {.next = source_next, .free = source_free};
    struct source_iter *s = calloc(1, sizeof *s);
    s->base.ops = &ops;
    s->number = number;
    s->count = count;
    s->end = end;
    nx_arena_init(&s->arena, 0);
    return &s->base;
}

/* {__name__="metric", number="0007", parity="even"} */
struct names {
    char number[16];
    struct nx_label items[3];
};

static struct nx_labels labels_of(unsigned number, struct names *names)
{
    snprintf(names->number, sizeof names->number, "%04u", number);
    names->items[0] = (struct nx_label){NX_VIEW("__name__"), NX_VIEW("metric")};
    names->items[1] = (struct nx_label){NX_VIEW("number"), nx_view_of(names->number)};
    names->items[2] = (struct nx_label){NX_VIEW("parity"),
                                        number % 2 ? NX_VIEW("odd \xC3\xA9\"") : NX_VIEW("even")};
    return (struct nx_labels){names->items, number % 5 ? 3 : 2};
}

struct shape {
    const char *ulid;
    unsigned series;
    size_t samples;
    bool shuffled;
    uint64_t segment_bytes;
    int64_t span_ms;
    unsigned stride; /* of the numbers; 3: floats only */
};

static enum nx_err write_block(const struct nx_fs *fs, const char *dir, const struct shape *shape,
                               struct ing_tsdb_meta *meta)
{
    struct ing_tsdb_writer_options options = {.fs = fs,
                                              .dir = dir,
                                              .ulid = shape->ulid ? shape->ulid : ULID,
                                              .min_t = T0,
                                              .max_t =
                                                  T0 + (shape->span_ms ? shape->span_ms : SPAN),
                                              .segment_bytes = shape->segment_bytes};
    struct ing_tsdb_writer *writer;
    enum nx_err err = ing_tsdb_writer_new(&options, &writer);
    if (err != NX_OK)
        return err;
    for (unsigned i = 0; i < shape->series && err == NX_OK; i++) {
        unsigned number = shape->shuffled ? (i * 7 + 3) % shape->series : i;
        number *= shape->stride ? shape->stride : 1;
        struct names names;
        err = ing_tsdb_writer_add(writer, labels_of(number, &names),
                                  samples_of(number, shape->samples, 0));
    }
    if (err == NX_OK)
        err = ing_tsdb_writer_finish(writer, meta);
    ing_tsdb_writer_free(writer);
    return err;
}

static struct ing_tsdb_block *open_block(const char *dir, const char *ulid)
{
    struct nx_fail fail = {.code = NX_OK};
    struct ing_tsdb_block *block;
    char *path = nx_path_join(dir, ulid);
    if (ing_tsdb_block_open(path, &block, &fail) != NX_OK)
        fail_msg("%s", nx_fail_text(&fail));
    nx_free(path);
    return block;
}

/* --- comparing --- */

static bool same_sample(const struct nx_sample *a, const struct nx_sample *b)
{
    if (a->t != b->t || (a->histogram != NULL) != (b->histogram != NULL))
        return false;
    if (!a->histogram)
        return nx_double_bits(a->value) == nx_double_bits(b->value);
    struct nx_histogram x = *a->histogram;
    struct nx_histogram y = *b->histogram;
    x.hint = y.hint = NX_HINT_UNKNOWN; /* follows from the chunks */
    return nx_histogram_identical(&x, &y);
}

/* Whether the chunks hold samples [first, end) of the series, less those in [gap, gap_end). */
static bool holds(const struct ing_tsdb_chunks *chunks, unsigned number, size_t first, size_t end,
                  size_t gap, size_t gap_end)
{
    struct nx_arena arena;
    struct nx_sample_iter *it;
    struct nx_sample sample;
    bool good = true;
    nx_arena_init(&arena, 0);
    assert_int_equal(nx_chunks_iter_new(chunks->items, chunks->count, INT64_MIN, INT64_MAX, &it),
                     NX_OK);
    for (size_t i = first; i < end && good; i++) {
        if (i >= gap && i < gap_end)
            continue;
        struct nx_sample expected = sample_of(&arena, number, i);
        good = nx_sample_next(it, &sample) == 1 && same_sample(&expected, &sample);
    }
    good = good && nx_sample_next(it, &sample) == 0;
    nx_sample_iter_free(it);
    nx_arena_release(&arena);
    return good;
}

static unsigned number_of(struct nx_labels labels)
{
    return (unsigned)strtoul(nx_labels_get(labels, NX_VIEW("number")).ptr, NULL, 10);
}

static void assert_block(struct ing_tsdb_block *block, const struct shape *shape)
{
    struct nx_arena arena;
    struct ing_tsdb_chunks chunks;
    nx_arena_init(&arena, 0);
    ing_tsdb_chunks_init(&chunks);
    assert_int_equal(ing_tsdb_block_count(block), shape->series);
    for (uint32_t i = 0; i < shape->series; i++) {
        struct ing_tsdb_series series;
        struct names names;
        assert_int_equal(ing_tsdb_block_series(block, i, &arena, &series, NULL), NX_OK);
        unsigned number = number_of(series.entry.labels);
        assert_true(nx_labels_eq(series.entry.labels, labels_of(number, &names)));
        assert_int_equal(ing_tsdb_block_chunks(block, &series, INT64_MIN, INT64_MAX, &chunks, NULL),
                         NX_OK);
        assert_true(holds(&chunks, number, 0, shape->samples, 0, 0));
        assert_int_equal(is_histogram(number) ? chunks.histograms : chunks.floats, shape->samples);
    }
    ing_tsdb_chunks_release(&chunks);
    nx_arena_release(&arena);
}

/* --- tests --- */

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    const struct shape shapes[] = {
        {.series = 1, .samples = 1},
        {.series = 30, .samples = 480},
        {.series = 200, .samples = 7, .shuffled = true},
        {.series = 31, .samples = 300, .shuffled = true, .segment_bytes = 4096},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        char *dir = tmp_dir_new();
        struct ing_tsdb_meta meta;
        assert_int_equal(write_block(nx_fs_posix(), dir, &shapes[i], &meta), NX_OK);
        assert_int_equal(meta.series, shapes[i].series);
        assert_int_equal(meta.samples, shapes[i].series * shapes[i].samples);
        struct ing_tsdb_block *block = open_block(dir, ULID);
        const struct ing_tsdb_meta *read = ing_tsdb_block_meta(block);
        assert_string_equal(read->ulid, ULID);
        assert_int_equal(read->min_t, T0);
        assert_int_equal(read->max_t, T0 + SPAN);
        assert_int_equal(read->samples, meta.samples);
        assert_int_equal(read->chunks, meta.chunks);
        assert_block(block, &shapes[i]);
        ing_tsdb_block_close(block);
        tmp_dir_free(dir);
    }
}

static void references_ascend_whatever_the_order_of_adding(void **state)
{
    (void)state;
    struct shape shape = {.series = 40, .samples = 130, .shuffled = true, .segment_bytes = 3000};
    char *dir = tmp_dir_new();
    struct ing_tsdb_meta meta;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    assert_int_equal(write_block(nx_fs_posix(), dir, &shape, &meta), NX_OK);
    struct ing_tsdb_block *block = open_block(dir, ULID);
    uint64_t last = 0;
    for (uint32_t i = 0; i < shape.series; i++) {
        struct ing_tsdb_series series;
        assert_int_equal(ing_tsdb_block_series(block, i, &arena, &series, NULL), NX_OK);
        for (size_t k = 0; k < series.entry.chunk_count; k++) {
            assert_true(series.entry.chunks[k].ref > last);
            last = series.entry.chunks[k].ref;
        }
    }
    assert_true(last >> 32 > 2);
    ing_tsdb_block_close(block);
    nx_arena_release(&arena);
    tmp_dir_free(dir);
}

static void a_block_without_series_leaves_nothing(void **state)
{
    (void)state;
    struct shape shape = {.series = 3, .samples = 0};
    char *dir = tmp_dir_new();
    struct ing_tsdb_meta meta;
    char **names;
    size_t count;
    assert_int_equal(write_block(nx_fs_posix(), dir, &shape, &meta), NX_OK);
    assert_int_equal(meta.series, 0);
    assert_int_equal(nx_dir_list(dir, &names, &count), NX_OK);
    assert_int_equal(count, 0);
    nx_dir_free(names, count);
    tmp_dir_free(dir);
}

static void what_does_not_belong_is_refused(void **state)
{
    (void)state;
    char *dir = tmp_dir_new();
    struct ing_tsdb_writer_options options = {
        .fs = nx_fs_posix(), .dir = dir, .ulid = ULID, .min_t = T0, .max_t = T0 + 60000};
    struct ing_tsdb_writer *writer;
    struct ing_tsdb_meta meta;
    struct names names;
    assert_int_equal(ing_tsdb_writer_new(&options, &writer), NX_OK);
    assert_int_equal(ing_tsdb_writer_add(writer, labels_of(0, &names), samples_of(0, 10, 0)),
                     NX_ERR_OUT_OF_BOUNDS);
    assert_int_equal(
        ing_tsdb_writer_add(writer, labels_of(1, &names), samples_of(1, 2, NX_ERR_CORRUPT)),
        NX_ERR_CORRUPT);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ing_tsdb_writer_add(writer, labels_of(2, &names), samples_of(2, 2, 0)),
                         NX_OK);
    assert_int_equal(ing_tsdb_writer_finish(writer, &meta), NX_ERR_EXISTS);
    ing_tsdb_writer_free(writer);
    char **entries;
    size_t count;
    assert_int_equal(nx_dir_list(dir, &entries, &count), NX_OK);
    assert_int_equal(count, 0);
    nx_dir_free(entries, count);
    tmp_dir_free(dir);
}

static void a_range_is_cut_to_the_sample(void **state)
{
    (void)state;
    struct shape shape = {.series = 6, .samples = 400};
    char *dir = tmp_dir_new();
    struct ing_tsdb_meta meta;
    struct nx_arena arena;
    struct ing_tsdb_chunks chunks;
    nx_arena_init(&arena, 0);
    ing_tsdb_chunks_init(&chunks);
    assert_int_equal(write_block(nx_fs_posix(), dir, &shape, &meta), NX_OK);
    struct ing_tsdb_block *block = open_block(dir, ULID);
    for (uint32_t i = 0; i < shape.series; i++) {
        struct ing_tsdb_series series;
        assert_int_equal(ing_tsdb_block_series(block, i, &arena, &series, NULL), NX_OK);
        unsigned number = number_of(series.entry.labels);
        for (size_t first = 0; first < 400; first += 37) {
            for (size_t end = first + 1; end <= 400; end += 61) {
                int64_t min_t = sample_of(&arena, number, first).t;
                int64_t max_t = sample_of(&arena, number, end).t - 1;
                assert_int_equal(ing_tsdb_block_chunks(block, &series, min_t, max_t, &chunks, NULL),
                                 NX_OK);
                assert_true(holds(&chunks, number, first, end, 0, 0));
            }
        }
    }
    ing_tsdb_chunks_release(&chunks);
    ing_tsdb_block_close(block);
    nx_arena_release(&arena);
    tmp_dir_free(dir);
}

/* --- the bytes of a small block --- */

struct bytes {
    char *index;
    char *segment;
    size_t index_len;
    size_t segment_len;
};

static char *read_file(const char *dir, const char *name, size_t *len)
{
    char *bytes;
    char *path = nx_path_join(dir, name);
    assert_int_equal(nx_file_read_all(path, SIZE_MAX / 2, &bytes, len), NX_OK);
    nx_free(path);
    return bytes;
}

static struct bytes block_bytes(const struct shape *shape)
{
    struct bytes out;
    struct ing_tsdb_meta meta;
    char *dir = tmp_dir_new();
    assert_int_equal(write_block(nx_fs_posix(), dir, shape, &meta), NX_OK);
    out.index = read_file(dir, ULID "/index", &out.index_len);
    out.segment = read_file(dir, ULID "/chunks/000001", &out.segment_len);
    tmp_dir_free(dir);
    return out;
}

static void bytes_release(struct bytes *bytes)
{
    nx_free(bytes->index);
    nx_free(bytes->segment);
}

static void put_be32(char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(v >> (24 - 8 * i));
}

static void deleted_samples_are_left_out(void **state)
{
    (void)state;
    struct shape shape = {.series = 3, .samples = 300};
    struct bytes bytes = block_bytes(&shape);
    struct ing_tsdb_block *block;
    struct nx_arena arena;
    struct ing_tsdb_chunks chunks;
    nx_arena_init(&arena, 0);
    ing_tsdb_chunks_init(&chunks);
    struct nx_view index = nx_view_make(bytes.index, bytes.index_len);
    struct nx_view segment = nx_view_make(bytes.segment, bytes.segment_len);
    assert_int_equal(ing_tsdb_block_of(index, segment, NX_VIEW(""), &block, NULL), NX_OK);
    struct nx_buf file;
    nx_buf_init(&file, 4096);
    nx_buf_append(&file, "\x01\x30\xBA\x30\x01", 5);
    for (uint32_t i = 0; i < 3; i++) {
        struct ing_tsdb_series series;
        assert_int_equal(ing_tsdb_block_series(block, i, &arena, &series, NULL), NX_OK);
        nx_buf_put_uvarint(&file, series.entry.ref);
        nx_buf_put_varint(&file, sample_of(&arena, i, 130).t);
        nx_buf_put_varint(&file, sample_of(&arena, i, 180).t - 1);
    }
    char crc[4];
    put_be32(crc, nx_crc32c(0, file.data + 5, file.len - 5));
    nx_buf_append(&file, crc, 4);
    ing_tsdb_block_close(block);

    assert_int_equal(ing_tsdb_block_of(index, segment, nx_buf_view(&file), &block, NULL), NX_OK);
    for (uint32_t i = 0; i < 3; i++) {
        struct ing_tsdb_series series;
        assert_int_equal(ing_tsdb_block_series(block, i, &arena, &series, NULL), NX_OK);
        assert_int_equal(ing_tsdb_block_chunks(block, &series, INT64_MIN, INT64_MAX, &chunks, NULL),
                         NX_OK);
        assert_true(holds(&chunks, i, 0, 300, 130, 180));
    }
    ing_tsdb_block_close(block);
    for (size_t i = 0; i < file.len; i++) {
        struct nx_fail fail = {.code = NX_OK};
        file.data[i] ^= 1;
        assert_int_not_equal(ing_tsdb_block_of(index, segment, nx_buf_view(&file), &block, &fail),
                             NX_OK);
        assert_int_not_equal(fail.code, NX_OK);
        file.data[i] ^= 1;
    }
    nx_buf_release(&file);
    ing_tsdb_chunks_release(&chunks);
    nx_arena_release(&arena);
    bytes_release(&bytes);
}

/* Reads all there is; whatever comes without an error must be what was written. */
static enum nx_err read_all(struct nx_view index, struct nx_view segment, const struct shape *shape)
{
    struct ing_tsdb_block *block;
    struct nx_arena arena;
    struct ing_tsdb_chunks chunks;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = ing_tsdb_block_of(index, segment, NX_VIEW(""), &block, &fail);
    if (err != NX_OK) {
        assert_int_equal(fail.code, err);
        return err;
    }
    nx_arena_init(&arena, 0);
    ing_tsdb_chunks_init(&chunks);
    assert_int_equal(ing_tsdb_block_count(block), shape->series);
    for (uint32_t i = 0; i < shape->series && err == NX_OK; i++) {
        struct ing_tsdb_series series;
        err = ing_tsdb_block_series(block, i, &arena, &series, &fail);
        if (err == NX_OK)
            err = ing_tsdb_block_chunks(block, &series, INT64_MIN, INT64_MAX, &chunks, &fail);
        if (err == NX_OK)
            assert_true(holds(&chunks, number_of(series.entry.labels), 0, shape->samples, 0, 0));
        else
            assert_int_equal(fail.code, err);
    }
    ing_tsdb_chunks_release(&chunks);
    ing_tsdb_block_close(block);
    nx_arena_release(&arena);
    return err;
}

static void every_flipped_byte_is_an_error_or_no_matter(void **state)
{
    (void)state;
    struct shape shape = {.series = 4, .samples = 20};
    struct bytes bytes = block_bytes(&shape);
    struct nx_view index = nx_view_make(bytes.index, bytes.index_len);
    struct nx_view segment = nx_view_make(bytes.segment, bytes.segment_len);
    assert_int_equal(read_all(index, segment, &shape), NX_OK);
    size_t found = 0;
    for (size_t i = 0; i < bytes.index_len; i++) {
        bytes.index[i] ^= (char)(1 << i % 8);
        found += read_all(index, segment, &shape) != NX_OK;
        bytes.index[i] ^= (char)(1 << i % 8);
    }
    assert_true(found > bytes.index_len / 3); /* the postings of single labels are not read */
    for (size_t i = 0; i < bytes.segment_len; i++) {
        bytes.segment[i] ^= (char)(1 << i % 8);
        enum nx_err err = read_all(index, segment, &shape);
        assert_true(err != NX_OK || (i >= 5 && i < 8)); /* padding of the header */
        bytes.segment[i] ^= (char)(1 << i % 8);
    }
    bytes_release(&bytes);
}

static void every_cut_is_an_error(void **state)
{
    (void)state;
    struct shape shape = {.series = 4, .samples = 20};
    struct bytes bytes = block_bytes(&shape);
    for (size_t i = 0; i < bytes.index_len; i++) {
        char *cut = malloc(i + 1); /* of its own size, so that the sanitizer sees a read beyond */
        memcpy(cut, bytes.index, i);
        assert_int_not_equal(
            read_all(nx_view_make(cut, i), nx_view_make(bytes.segment, bytes.segment_len), &shape),
            NX_OK);
        free(cut);
    }
    for (size_t i = 0; i < bytes.segment_len; i++) {
        char *cut = malloc(i + 1);
        memcpy(cut, bytes.segment, i);
        assert_int_not_equal(
            read_all(nx_view_make(bytes.index, bytes.index_len), nx_view_make(cut, i), &shape),
            NX_OK);
        free(cut);
    }
    bytes_release(&bytes);
}

static void a_meta_that_is_none_says_so(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct ing_tsdb_meta meta;
    static const struct {
        const char *json;
        enum nx_err err;
    } cases[] = {
        {"", NX_ERR_CORRUPT},
        {"[]", NX_ERR_CORRUPT},
        {"{}", NX_ERR_CORRUPT},
        {"{\"ulid\":\"x\",\"minTime\":1,\"maxTime\":2,\"version\":1}", NX_ERR_CORRUPT},
        {"{\"ulid\":\"" ULID "\",\"minTime\":3,\"maxTime\":2,\"version\":1}", NX_ERR_CORRUPT},
        {"{\"ulid\":\"" ULID "\",\"minTime\":1.5,\"maxTime\":2,\"version\":1}", NX_ERR_CORRUPT},
        {"{\"ulid\":\"" ULID "\",\"minTime\":1,\"maxTime\":2,\"version\":2}", NX_ERR_UNSUPPORTED},
        {"{\"ulid\":\"" ULID "\",\"minTime\":1,\"maxTime\":2,\"version\":1}", NX_OK},
    };
    nx_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nx_fail fail = {.code = NX_OK};
        assert_int_equal(ing_tsdb_meta_parse(nx_view_of(cases[i].json), &arena, &meta, &fail),
                         cases[i].err);
        assert_int_equal(fail.code, cases[i].err);
    }
    nx_arena_release(&arena);
}

static void ulids_are_time_and_chance(void **state)
{
    (void)state;
    char text[ING_TSDB_ULID_CHARS + 1];
    ing_tsdb_ulid(0, 0, 0, text);
    assert_string_equal(text, "00000000000000000000000000");
    ing_tsdb_ulid(INT64_C(1469918176385), UINT16_MAX, UINT64_MAX, text);
    assert_string_equal(text, "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
    assert_true(ing_tsdb_is_ulid(nx_view_of(text)));
    assert_false(ing_tsdb_is_ulid(NX_VIEW("81ARYZ6S41ZZZZZZZZZZZZZZZZ")));
    assert_false(ing_tsdb_is_ulid(NX_VIEW("01ARYZ6S41ZZZZZZZZZZZZZZZ")));
    assert_false(ing_tsdb_is_ulid(NX_VIEW("01ARYZ6S41ZZZZZZZZZZZZZZZU")));
}

/* --- pieces --- */

struct taken {
    uint64_t series;
    uint64_t samples;
    uint64_t fail_at;
};

static enum nx_err take(void *user, struct nx_series_id id, struct nx_labels labels,
                        const struct nx_chunk *chunks, size_t count)
{
    struct taken *taken = user;
    if (taken->series == taken->fail_at)
        return NX_ERR_NOSPACE;
    assert_true(nx_series_id_eq(id, nx_series_id_of(NX_VIEW("t"), labels)));
    taken->series++;
    for (size_t i = 0; i < count; i++)
        taken->samples += chunks[i].count;
    return NX_OK;
}

static void pieces_cover_the_block_once(void **state)
{
    (void)state;
    /* 26 hours at 15 s: pieces of a day, which begin at multiples of one */
    struct shape shape = {.series = 5, .samples = 26 * 240, .span_ms = 26 * HOUR_MS};
    char *dir = tmp_dir_new();
    struct ing_tsdb_meta meta;
    assert_int_equal(write_block(nx_fs_posix(), dir, &shape, &meta), NX_OK);
    struct ing_tsdb_block *block = open_block(dir, ULID);
    struct ing_tsdb_pieces pieces =
        ing_tsdb_pieces_of(block, 2 * HOUR_MS, -(INT64_C(1) << 60), INT64_C(1) << 60);
    struct ing_tsdb_piece piece;
    struct ing_tsdb_stats stats = {0, 0, 0};
    struct taken taken = {.fail_at = UINT64_MAX};
    char names[4][ING_TSDB_PIECE_NAME_MAX];
    size_t count = 0;
    while (ing_tsdb_pieces_next(&pieces, &piece)) {
        assert_int_equal(piece.min_t % (24 * HOUR_MS), 0);
        assert_int_equal(piece.max_t - piece.min_t, 24 * HOUR_MS);
        ing_tsdb_piece_name(ing_tsdb_block_meta(block), &piece, NX_VIEW("t"), NX_VIEW(""),
                            names[count++]);
        assert_int_equal(
            ing_tsdb_piece_read(block, &piece, NX_VIEW("t"), take, &taken, &stats, NULL), NX_OK);
    }
    assert_int_equal(count, 2);
    assert_string_not_equal(names[0], names[1]);
    assert_int_equal(taken.samples, shape.series * shape.samples);
    assert_int_equal(stats.floats + stats.histograms, taken.samples);

    struct nx_fail fail = {.code = NX_OK};
    taken = (struct taken){.fail_at = 1};
    assert_int_equal(ing_tsdb_piece_read(block, &piece, NX_VIEW("t"), take, &taken, &stats, &fail),
                     NX_ERR_NOSPACE);
    assert_int_equal(fail.code, NX_ERR_NOSPACE);

    /* one hour only */
    pieces = ing_tsdb_pieces_of(block, 2 * HOUR_MS, T0 + HOUR_MS, T0 + 2 * HOUR_MS);
    taken = (struct taken){.fail_at = UINT64_MAX};
    while (ing_tsdb_pieces_next(&pieces, &piece))
        assert_int_equal(
            ing_tsdb_piece_read(block, &piece, NX_VIEW("t"), take, &taken, &stats, NULL), NX_OK);
    assert_int_equal(taken.samples, shape.series * 240);
    ing_tsdb_block_close(block);
    tmp_dir_free(dir);
}

static void a_directory_gives_its_blocks_without_those_replaced(void **state)
{
    (void)state;
    static const char *const ulids[] = {"01HF7YAT00AAAAAAAAAAAAAAAA", "01HF7YAT00BBBBBBBBBBBBBBBB",
                                        "01HF7YAT00CCCCCCCCCCCCCCCC"};
    struct ing_tsdb_source source;
    struct nx_fail fail = {.code = NX_OK};
    struct ing_tsdb_meta meta;
    char *dir = tmp_dir_new();
    assert_int_equal(ing_tsdb_source_find(dir, &source, &fail), NX_ERR_NOT_FOUND);
    for (size_t i = 0; i < 3; i++) {
        struct shape shape = {.ulid = ulids[i], .series = 1, .samples = 3};
        assert_int_equal(write_block(nx_fs_posix(), dir, &shape, &meta), NX_OK);
    }
    char *path = nx_path_join(dir, "01HF7YAT00BBBBBBBBBBBBBBBB/meta.json");
    static const char json[] =
        "{\"ulid\":\"01HF7YAT00BBBBBBBBBBBBBBBB\",\"minTime\":1,\"maxTime\":2,\"version\":1,"
        "\"compaction\":{\"level\":2,\"parents\":[{\"ulid\":\"01HF7YAT00CCCCCCCCCCCCCCCC\"}]}}";
    file_write(path, json, sizeof json - 1);
    nx_free(path);
    assert_int_equal(ing_tsdb_source_find(dir, &source, &fail), NX_OK);
    assert_int_equal(source.count, 2);
    assert_int_equal(source.replaced, 1);
    assert_false(source.has_head);
    assert_string_equal(source.blocks[0].meta.ulid, ulids[1]);
    assert_string_equal(source.blocks[1].meta.ulid, ulids[0]);
    ing_tsdb_source_release(&source);
    path = nx_path_join(dir, ulids[0]);
    assert_int_equal(ing_tsdb_source_find(path, &source, &fail), NX_OK);
    assert_int_equal(source.count, 1);
    ing_tsdb_source_release(&source);
    nx_free(path);
    tmp_dir_free(dir);
}

/* --- faults --- */

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    return (*(size_t *)user)-- != 0;
}

static void memory_that_runs_out_while_writing_is_an_error(void **state)
{
    (void)state;
    /* making a histogram takes memory too */
    struct shape shape = {.series = 5, .samples = 30, .shuffled = true, .stride = 3};
    enum nx_err err = NX_ERR_NOMEM;
    for (size_t n = 0; err != NX_OK; n++) {
        char *dir = tmp_dir_new();
        struct ing_tsdb_meta meta;
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        err = write_block(nx_fs_posix(), dir, &shape, &meta);
        nx_alloc_set_hook(NULL, NULL);
        assert_true(err == NX_OK || err == NX_ERR_NOMEM);
        tmp_dir_free(dir);
        assert_true(n < 20000);
    }
}

static void memory_that_runs_out_while_reading_is_an_error(void **state)
{
    (void)state;
    struct shape shape = {.series = 4, .samples = 150};
    char *dir = tmp_dir_new();
    struct ing_tsdb_meta meta;
    assert_int_equal(write_block(nx_fs_posix(), dir, &shape, &meta), NX_OK);
    enum nx_err err = NX_ERR_NOMEM;
    for (size_t n = 0; err != NX_OK; n++) {
        struct ing_tsdb_source source;
        struct ing_tsdb_block *block = NULL;
        struct ing_tsdb_stats stats = {0, 0, 0};
        struct taken taken = {.fail_at = UINT64_MAX};
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        err = ing_tsdb_source_find(dir, &source, NULL);
        if (err == NX_OK) {
            err = ing_tsdb_block_open(source.blocks[0].dir, &block, NULL);
            ing_tsdb_source_release(&source);
        }
        if (err == NX_OK) {
            struct ing_tsdb_piece piece = {
                .from = T0, .to = T0 + SPAN, .end = ing_tsdb_block_count(block)};
            err = ing_tsdb_piece_read(block, &piece, NX_VIEW("t"), take, &taken, &stats, NULL);
        }
        nx_alloc_set_hook(NULL, NULL);
        ing_tsdb_block_close(block);
        assert_true(err == NX_OK || err == NX_ERR_NOMEM);
        assert_true(err != NX_OK || taken.samples == shape.series * shape.samples);
    }
    tmp_dir_free(dir);
}

static void a_disk_that_fails_leaves_no_block(void **state)
{
    (void)state;
    struct shape shape = {.series = 5, .samples = 30, .shuffled = true, .segment_bytes = 1000};
    struct fault_fs fs;
    fault_fs_init(&fs);
    bool fired = true;
    for (size_t n = 0; fired; n++) {
        char *dir = tmp_dir_new();
        struct ing_tsdb_meta meta;
        char **names;
        size_t count;
        fault_fs_arm(&fs, n, NX_ERR_NOSPACE, false);
        enum nx_err err = write_block(&fs.base, dir, &shape, &meta);
        fired = fault_fs_fired(&fs);
        fault_fs_disarm(&fs);
        assert_int_equal(nx_dir_list(dir, &names, &count), NX_OK);
        bool there = count > 0 && strcmp(names[0], ULID) == 0;
        assert_true(there || err != NX_OK);
        if (there) {
            struct ing_tsdb_block *block = open_block(dir, ULID);
            assert_block(block, &shape);
            ing_tsdb_block_close(block);
        }
        nx_dir_free(names, count);
        tmp_dir_free(dir);
    }
    fault_fs_release(&fs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(references_ascend_whatever_the_order_of_adding),
        cmocka_unit_test(a_block_without_series_leaves_nothing),
        cmocka_unit_test(what_does_not_belong_is_refused),
        cmocka_unit_test(a_range_is_cut_to_the_sample),
        cmocka_unit_test(deleted_samples_are_left_out),
        cmocka_unit_test(every_flipped_byte_is_an_error_or_no_matter),
        cmocka_unit_test(every_cut_is_an_error),
        cmocka_unit_test(a_meta_that_is_none_says_so),
        cmocka_unit_test(ulids_are_time_and_chance),
        cmocka_unit_test(pieces_cover_the_block_once),
        cmocka_unit_test(a_directory_gives_its_blocks_without_those_replaced),
        cmocka_unit_test(memory_that_runs_out_while_writing_is_an_error),
        cmocka_unit_test(memory_that_runs_out_while_reading_is_an_error),
        cmocka_unit_test(a_disk_that_fails_leaves_no_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
