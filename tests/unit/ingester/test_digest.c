/* Digests: sums do not depend on order; the same data has the same digests in memory, in the
 * out-of-order buffer, in chunk files, in blocks, in joined blocks, and through deletions; whatever
 * changes the data changes them. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/repair/digest.h"

#define PARTITIONS 64
#define T0 INT64_C(1600000000000)
#define UNTIL (T0 + 1000 * HOUR_MS)

/* --- the table --- */

static void table_adds_finds_and_drops(void **state)
{
    (void)state;
    struct ing_digest_table table;
    ing_digest_table_init(&table);
    assert_null(ing_digest_table_find(&table, 1, 0));
    for (int64_t w = 0; w < 100; w++)
        for (uint32_t p = 0; p < 10; p++) {
            struct ing_digest d = {.count = 1, .hash = p};
            assert_int_equal(ing_digest_table_add(&table, p, w * ING_DIGEST_WINDOW_MS, d), NX_OK);
            assert_int_equal(ing_digest_table_add(&table, p, w * ING_DIGEST_WINDOW_MS, d), NX_OK);
        }
    assert_int_equal(table.count, 1000);
    assert_int_equal(ing_digest_table_find(&table, 7, 0)->hash, 14);
    assert_int_equal(ing_digest_table_drop(&table, 0, 50 * ING_DIGEST_WINDOW_MS), NX_OK);
    assert_int_equal(table.count, 500);
    assert_null(ing_digest_table_find(&table, 7, 0));
    assert_int_equal(ing_digest_table_find(&table, 7, 50 * ING_DIGEST_WINDOW_MS)->count, 2);
    ing_digest_table_release(&table);
}

static void window_of_a_time_before_1970_begins_before_it(void **state)
{
    (void)state;
    assert_int_equal(ing_digest_window(0), 0);
    assert_int_equal(ing_digest_window(-1), -ING_DIGEST_WINDOW_MS);
    assert_int_equal(ing_digest_window(ING_DIGEST_WINDOW_MS - 1), 0);
    assert_int_equal(ing_digest_window(ING_DIGEST_WINDOW_MS), ING_DIGEST_WINDOW_MS);
}

static void table_of_bytes_is_the_table_and_damage_is_found(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 77);
    struct ing_digest_table table, copy;
    struct nx_buf buf;
    ing_digest_table_init(&table);
    nx_buf_init(&buf, SIZE_MAX / 4);
    for (int i = 0; i < 500; i++)
        assert_int_equal(
            ing_digest_table_add(&table, (uint32_t)nx_rand_below(&rand, PARTITIONS),
                                 ((int64_t)nx_rand_below(&rand, 1000) - 500) * ING_DIGEST_WINDOW_MS,
                                 (struct ing_digest){.count = nx_rand_below(&rand, 1000),
                                                     .hash = nx_rand_u64(&rand)}),
            NX_OK);
    assert_int_equal(ing_digest_table_encode(&table, &buf), NX_OK);
    ing_digest_table_init(&copy);
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&buf));
    assert_int_equal(ing_digest_table_decode(&cur, PARTITIONS, &copy), NX_OK);
    assert_int_equal(nx_cursor_left(&cur), 0);
    assert_int_equal(copy.count, table.count);
    for (size_t i = 0; i < table.count; i++) {
        const struct ing_digest *found =
            ing_digest_table_find(&copy, table.rows[i].partition, table.rows[i].window);
        assert_true(found && ing_digest_eq(*found, table.rows[i].digest));
    }
    for (size_t cut = 0; cut < buf.len; cut += 7) {
        ing_digest_table_clear(&copy);
        cur = nx_cursor_of(nx_view_make(buf.data, cut));
        assert_int_equal(ing_digest_table_decode(&cur, PARTITIONS, &copy), NX_ERR_CORRUPT);
    }
    ing_digest_table_clear(&copy);
    cur = nx_cursor_of(nx_buf_view(&buf));
    assert_int_equal(ing_digest_table_decode(&cur, 3, &copy), NX_ERR_CORRUPT);
    nx_buf_release(&buf);
    ing_digest_table_release(&table);
    ing_digest_table_release(&copy);
}

/* --- of an ingester --- */

static void ask(struct fixture *fixture, struct ing_digest_table *out, int64_t until)
{
    Narthex__DigestsRequest request = NARTHEX__DIGESTS_REQUEST__INIT;
    struct answer answer;
    request.from = -ING_DIGEST_WINDOW_MS * 1000000000;
    request.until = until;
    request.bucket_ms = ING_DIGEST_WINDOW_MS;
    request.tenant = (char *)(uintptr_t) "t";
    request.now_ms = T0;
    call(fixture, "digests", &request.base, &answer);
    assert_int_equal(answer.err, NX_OK);
    Narthex__DigestsResponse *response =
        narthex__digests_response__unpack(NULL, answer.body.len, (const uint8_t *)answer.body.data);
    assert_non_null(response);
    ing_digest_table_clear(out);
    for (size_t i = 0; i < response->n_tenants; i++) {
        const Narthex__TenantDigests *rows = response->tenants[i];
        assert_string_equal(rows->tenant, "t");
        for (size_t j = 0; j < rows->n_partitions; j++)
            assert_int_equal(ing_digest_table_add(out, rows->partitions[j], rows->buckets[j],
                                                  (struct ing_digest){.count = rows->counts[j],
                                                                      .hash = rows->hashes[j]}),
                             NX_OK);
    }
    narthex__digests_response__free_unpacked(response, NULL);
    answer_release(&answer);
}

/* From what a select gives. */
static void expect(struct fixture *fixture, struct ing_digest_table *out, int64_t until)
{
    struct got got;
    struct ing_digest_sum sum;
    ing_digest_table_clear(out);
    ing_digest_sum_init(&sum, out, PARTITIONS);
    select_series(fixture, "t", T0 - 1000 * HOUR_MS, until - 1, &got, -1);
    assert_int_equal(got.err, NX_OK);
    for (size_t i = 0; i < got.count; i++)
        for (size_t j = 0; j < got.series[i].count; j++) {
            const struct got_sample *from = &got.series[i].samples[j];
            struct nx_sample sample = {.t = from->t,
                                       .value = nx_double_from_bits(from->bits),
                                       .histogram = from->histogram};
            struct nx_chunk_appender *app;
            assert_int_equal(nx_chunk_appender_new(
                                 sample.histogram ? NX_CHUNK_HISTOGRAM_RUN : NX_CHUNK_XOR, &app),
                             NX_OK);
            assert_int_equal(nx_chunk_append(app, &sample), NX_OK);
            struct nx_chunk chunk = nx_chunk_appender_chunk(app);
            assert_int_equal(
                ing_digest_sum_chunks(&sum, got.series[i].id, &chunk, 1, INT64_MIN, INT64_MAX),
                NX_OK);
            nx_chunk_appender_free(app);
        }
    got_release(&got);
    ing_digest_sum_release(&sum);
}

static void check_until(struct fixture *fixture, int64_t until)
{
    struct ing_digest_table told, known;
    ing_digest_table_init(&told);
    ing_digest_table_init(&known);
    nx_clock_manual_advance(&fixture->clock, 21000); /* what is told is not seconds old */
    ask(fixture, &told, until);
    expect(fixture, &known, until);
    assert_int_equal(told.count, known.count);
    for (size_t i = 0; i < known.count; i++) {
        const struct ing_digest *found =
            ing_digest_table_find(&told, known.rows[i].partition, known.rows[i].window);
        assert_non_null(found);
        assert_int_equal(found->count, known.rows[i].digest.count);
        assert_true(found->hash == known.rows[i].digest.hash);
    }
    ing_digest_table_release(&told);
    ing_digest_table_release(&known);
}

/* Up to the end, to the middle of a window, and to the end again. */
static void check(struct fixture *fixture, int64_t middle)
{
    check_until(fixture, UNTIL);
    check_until(fixture, middle);
    check_until(fixture, UNTIL);
}

static void push_some(struct fixture *fixture, struct nx_rand *rand, int64_t from, int64_t to,
                      int series)
{
    struct pusher pusher;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    pusher_init(&pusher, "t");
    for (int i = 0; i < series; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%d", i);
        pusher_row(&pusher, "__name__", name, NULL);
        for (int64_t t = from + (int64_t)nx_rand_below(rand, 30000); t < to;
             t += 15000 + (int64_t)nx_rand_below(rand, 60000)) {
            if (i % 5 == 4)
                pusher_histogram(&pusher, t, make_histogram(&arena, (int)nx_rand_below(rand, 100)));
            else
                pusher_bits(&pusher, t,
                            nx_rand_below(rand, 50) == 0
                                ? NX_STALE_NAN_BITS
                                : nx_double_bits((double)nx_rand_below(rand, 1000) / 8));
        }
    }
    enum nx_err err;
    Narthex__PushResponse *response = push(fixture, &pusher, &err);
    assert_non_null(response); /* conflicts are refused, and that is as it should be */
    narthex__push_response__free_unpacked(response, NULL);
    pusher_release(&pusher);
    nx_arena_release(&arena);
}

static void call_ok(struct fixture *fixture, const char *method, const ProtobufCMessage *message)
{
    struct answer answer;
    call(fixture, method, message, &answer);
    assert_int_equal(answer.err, NX_OK);
    answer_release(&answer);
}

static void delete_some(struct fixture *fixture, struct nx_rand *rand, int64_t min_t)
{
    Narthex__DeleteRequest request = NARTHEX__DELETE_REQUEST__INIT;
    Narthex__Matcher matcher = NARTHEX__MATCHER__INIT;
    Narthex__Matcher *list = &matcher;
    uint64_t id[2] = {nx_rand_u64(rand), nx_rand_u64(rand)};
    char value[8];
    (void)snprintf(value, sizeof value, "s[%d-9]", (int)nx_rand_below(rand, 9));
    matcher.type = NX_MATCH_RE;
    matcher.name = (char *)(uintptr_t) "__name__";
    matcher.value = value;
    request.tenant = (char *)(uintptr_t) "t";
    request.id = (ProtobufCBinaryData){.data = (uint8_t *)id, .len = sizeof id};
    request.matchers = &list;
    request.n_matchers = 1;
    request.min_t = min_t;
    request.max_t = min_t + 20 * 60000;
    request.created_ms = T0;
    call_ok(fixture, "delete", &request.base);
}

/* Something happens to the data; *now moves on where it is a write of what is new. */
static void change(struct fixture *fixture, struct nx_rand *rand, int64_t middle, int64_t *now)
{
    Narthex__CleanRequest clean = NARTHEX__CLEAN_REQUEST__INIT;
    Narthex__SnapshotRequest empty = NARTHEX__SNAPSHOT_REQUEST__INIT;
    clean.tenant = (char *)(uintptr_t) "t";
    switch (nx_rand_below(rand, 8)) {
    case 0: /* late ones */
        push_some(fixture, rand, *now - 2 * HOUR_MS, *now - HOUR_MS, 5);
        break;
    case 1:
        flush_all(fixture);
        break;
    case 2:
        call_ok(fixture, "compact", &empty.base);
        break;
    case 3:
        delete_some(fixture, rand, middle - HOUR_MS);
        break;
    case 4:
        call_ok(fixture, "clean", &clean.base);
        break;
    case 5:
        fixture_reopen(fixture);
        break;
    default:
        push_some(fixture, rand, *now, *now + 40 * 60000, 20);
        *now += 40 * 60000;
        break;
    }
}

static void digests_are_those_of_the_data_in_every_form(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct fixture fixture;
        struct nx_rand rand;
        nx_rand_seeded(&rand, seed);
        fixture_init(&fixture, NULL, 1 + seed % 2);
        if (seed == 3)
            fixture.settings.window_ms = 7 * 60000; /* windows that do not hold whole digests */
        if (seed == 4)
            fixture.settings.window_ms = 24 * HOUR_MS;
        fixture_open(&fixture);
        int64_t now = T0;
        for (int step = 0; step < 24; step++) {
            int64_t middle = now - (int64_t)nx_rand_below(&rand, 1800000);
            change(&fixture, &rand, middle, &now);
            check(&fixture, middle);
        }
        fixture_close(&fixture);
        fixture_release(&fixture);
    }
}

/* As repair asks: up to the end of a window or into one, and not always later than before. */
static void digests_up_to_any_time_are_those_of_the_data(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct fixture fixture;
        struct nx_rand rand;
        nx_rand_seeded(&rand, seed);
        fixture_init(&fixture, NULL, 1 + seed % 2);
        if (seed % 3 == 0)
            fixture.settings.window_ms = 10 * 60000;
        fixture_open(&fixture);
        int64_t now = T0;
        for (int step = 0; step < 24; step++) {
            int64_t middle = now - (int64_t)nx_rand_below(&rand, 1800000);
            change(&fixture, &rand, middle, &now);
            for (uint64_t asks = nx_rand_below(&rand, 3); asks > 0; asks--) {
                int64_t until = now + 300000 - (int64_t)nx_rand_below(&rand, 3600000);
                check_until(&fixture,
                            nx_rand_below(&rand, 2) == 0 ? ing_digest_window(until) : until);
            }
        }
        fixture_close(&fixture);
        fixture_release(&fixture);
    }
}

/* What was read of it in part must not be counted once memory has given it away. */
static void digest_of_a_window_read_in_part_goes_with_it(void **state)
{
    (void)state;
    struct fixture fixture;
    struct nx_rand rand;
    int64_t window = ing_digest_window(T0);
    nx_rand_seeded(&rand, 1);
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    push_some(&fixture, &rand, window, window + 200000, 10);
    check_until(&fixture, window + 100000);
    delete_some(&fixture, &rand, window - 1);
    check_until(&fixture, window);
    check_until(&fixture, window + ING_DIGEST_WINDOW_MS);
    check_until(&fixture, window + 2 * ING_DIGEST_WINDOW_MS);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void digests_of_a_block_are_read_from_its_file_until_that_is_damaged(void **state)
{
    (void)state;
    struct fixture fixture;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 5);
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    push_some(&fixture, &rand, T0, T0 + HOUR_MS, 10);
    flush_all(&fixture);
    check_until(&fixture, UNTIL);
    char *path = find_file(fixture.dir, "digests");
    assert_non_null(path);
    char *bytes;
    size_t len;
    assert_int_equal(nx_file_read_all(path, 1 << 20, &bytes, &len), NX_OK);
    assert_true(len > 20);
    fixture_close(&fixture);
    for (size_t i = 0; i < len; i += 13) {
        bytes[i] ^= 1;
        file_write(path, bytes, len);
        bytes[i] ^= 1;
        fixture_open(&fixture);
        check_until(&fixture, UNTIL);
        fixture_close(&fixture);
    }
    nx_free(bytes);
    nx_free(path);
    fixture_release(&fixture);
}

static void ask_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct answer answer;
    Narthex__DigestsRequest request = NARTHEX__DIGESTS_REQUEST__INIT;
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    request.bucket_ms = 7;
    call(&fixture, "digests", &request.base, &answer);
    assert_int_equal(answer.err, NX_ERR_INVALID);
    answer_release(&answer);
    uint8_t bits[3] = {0};
    request.bucket_ms = 0;
    request.partitions = (ProtobufCBinaryData){.data = bits, .len = sizeof bits};
    call(&fixture, "digests", &request.base, &answer);
    assert_int_equal(answer.err, NX_ERR_INVALID);
    answer_release(&answer);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_adds_finds_and_drops),
        cmocka_unit_test(window_of_a_time_before_1970_begins_before_it),
        cmocka_unit_test(table_of_bytes_is_the_table_and_damage_is_found),
        cmocka_unit_test(digests_are_those_of_the_data_in_every_form),
        cmocka_unit_test(digests_up_to_any_time_are_those_of_the_data),
        cmocka_unit_test(digest_of_a_window_read_in_part_goes_with_it),
        cmocka_unit_test(digests_of_a_block_are_read_from_its_file_until_that_is_damaged),
        cmocka_unit_test(ask_that_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
