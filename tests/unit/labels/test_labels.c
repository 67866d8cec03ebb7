#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/labels/labels.h"

#define SET(...)                                                                  \
    ((struct nx_labels){.items = (const struct nx_label[]){__VA_ARGS__},          \
                        .count = sizeof((const struct nx_label[]){__VA_ARGS__}) / \
                                 sizeof(struct nx_label)})
#define L(n, v)                                 \
    {                                           \
        .name = NX_VIEW(n), .value = NX_VIEW(v) \
    }

static const struct nx_labels EMPTY = {.items = NULL, .count = 0};

static bool fail_all(size_t size_bytes, void *user)
{
    (void)size_bytes;
    (void)user;
    return false;
}

static void assert_text(const struct nx_buf *buf, const char *expected)
{
    assert_int_equal(buf->err, NX_OK);
    if (!nx_view_is(nx_buf_view(buf), expected))
        fail_msg("got %.*s, expected %s", NX_VIEW_ARG(nx_buf_view(buf)), expected);
}

static void get_present_and_absent_labels(void **state)
{
    (void)state;
    struct nx_labels set = SET(L("__name__", "up"), L("job", "api"));
    assert_true(nx_view_is(nx_labels_get(set, NX_VIEW("job")), "api"));
    assert_int_equal(nx_labels_get(set, NX_VIEW("jo")).len, 0);
    assert_true(nx_labels_has(set, NX_VIEW("__name__")));
    assert_false(nx_labels_has(EMPTY, NX_VIEW("job")));
}

static void cmp_orders_as_prometheus(void **state)
{
    (void)state;
    struct nx_labels ordered[] = {
        EMPTY,
        SET(L("a", "1")),
        SET(L("a", "1"), L("b", "1")),
        SET(L("a", "1"), L("b", "2")),
        SET(L("a", "1"), L("c", "0")),
        SET(L("a", "10")),
        SET(L("a", "2")),
        SET(L("b", "1")),
    };
    for (size_t i = 0; i < 8; i++) {
        for (size_t k = 0; k < 8; k++) {
            int order = nx_labels_cmp(ordered[i], ordered[k]);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
            assert_int_equal(nx_labels_eq(ordered[i], ordered[k]), i == k);
        }
    }
}

static void hash_equal_sets_hash_equally(void **state)
{
    (void)state;
    struct nx_labels set = SET(L("a", "1"), L("b", "2"));
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_labels copy = nx_labels_copy(&arena, set);
    assert_true(nx_labels_eq(set, copy));
    assert_ptr_not_equal(set.items, copy.items);
    assert_true(nx_labels_hash(set) == nx_labels_hash(copy));
    assert_true(nx_labels_hash(set) != nx_labels_hash(SET(L("a", "12"), L("b", ""))));
    assert_true(nx_labels_hash(SET(L("ab", "c"))) != nx_labels_hash(SET(L("a", "bc"))));
    nx_arena_release(&arena);
}

static void hash_long_sets_agree_with_short_path(void **state)
{
    (void)state;
    /* around the size at which the hash changes from one pass to streaming */
    static char text[3000];
    memset(text, 'x', sizeof text);
    uint64_t seen[64];
    size_t count = 0;
    for (size_t len = 1000; len < 1040; len++) {
        struct nx_label label = {.name = NX_VIEW("n"), .value = nx_view_make(text, len)};
        struct nx_labels set = {.items = &label, .count = 1};
        seen[count] = nx_labels_hash(set);
        for (size_t i = 0; i < count; i++)
            assert_true(seen[i] != seen[count]);
        count++;
    }
}

static void copy_without_memory_gives_null(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    nx_alloc_set_hook(fail_all, NULL);
    struct nx_labels copy = nx_labels_copy(&arena, SET(L("a", "b")));
    nx_alloc_set_hook(NULL, NULL);
    assert_null(copy.items);
    assert_int_equal(copy.count, 1);
    nx_arena_release(&arena);
}

static void print_names_and_quoting(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, 4096);
    const struct {
        const char *expected;
        struct nx_labels set;
    } cases[] = {
        {"{}", EMPTY},
        {"up", SET(L("__name__", "up"))},
        {"a:b{job=\"x\\\"y\\n\", z=\"\\\\\"}",
         SET(L("__name__", "a:b"), L("job", "x\"y\n"), L("z", "\\"))},
        {"{\"my.name\", a=\"b\"}", SET(L("__name__", "my.name"), L("a", "b"))},
        {"{\"my.name\"}", SET(L("__name__", "my.name"))},
        {"{a=\"b\", \"c.d\"=\"é\"}", SET(L("a", "b"), L("c.d", "é"))},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        nx_buf_clear(&buf);
        nx_labels_print(&buf, cases[i].set);
        assert_text(&buf, cases[i].expected);
    }
    nx_buf_clear(&buf);
    nx_labels_print_plain(&buf, SET(L("__name__", "up"), L("a", "b")));
    assert_text(&buf, "{__name__=\"up\", a=\"b\"}");
    nx_buf_release(&buf);
}

static void legacy_names_are_recognised(void **state)
{
    (void)state;
    assert_true(nx_label_name_is_legacy(NX_VIEW("_a9")));
    assert_false(nx_label_name_is_legacy(NX_VIEW("a:b")));
    assert_true(nx_metric_name_is_legacy(NX_VIEW(":a:b9")));
    assert_false(nx_metric_name_is_legacy(NX_VIEW("9a")));
    assert_false(nx_metric_name_is_legacy(NX_VIEW("")));
    assert_false(nx_label_name_is_legacy(NX_VIEW("é")));
}

static enum nx_err decode(struct nx_view bytes, size_t max, struct nx_arena *arena,
                          struct nx_labels *out)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    return nx_labels_decode(&cur, arena, max, out);
}

static void decode_round_trips_and_refuses_damage(void **state)
{
    (void)state;
    struct nx_labels set = SET(L("__name__", "http_requests_total"), L("a", "b"), L("job", "api"));
    struct nx_buf buf;
    nx_buf_init(&buf, 4096);
    nx_labels_encode(&buf, set);
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_labels out = EMPTY;
    assert_int_equal(decode(nx_buf_view(&buf), 3, &arena, &out), NX_OK);
    assert_true(nx_labels_eq(set, out));
    assert_int_equal(decode(nx_buf_view(&buf), 2, &arena, &out), NX_ERR_LIMIT);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(decode(nx_view_make(buf.data, len), 3, &arena, &out), NX_ERR_CORRUPT);
    static const struct nx_view bad[] = {
        {"\x01\x00\x01\x62", 4},                                          /* empty name */
        {"\x01\x01\x61\x00", 4},                                          /* empty value */
        {"\x02\x01\x61\x01\x62\x01\x61\x01\x62", 9},                      /* twice */
        {"\x02\x01\x62\x01\x62\x01\x61\x01\x62", 9},                      /* unsorted */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x61\x01\x62\x01", 14}, /* count */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(decode(bad[i], 100, &arena, &out), NX_ERR_CORRUPT);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    for (int i = 0; i < 5000; i++) {
        char damaged[128];
        memcpy(damaged, buf.data, buf.len);
        damaged[nx_rand_below(&rand, buf.len)] = (char)nx_rand_u64(&rand);
        struct nx_labels any;
        enum nx_err err = decode(nx_view_make(damaged, buf.len), 100, &arena, &any);
        assert_true(err == NX_OK || err == NX_ERR_CORRUPT || err == NX_ERR_LIMIT);
        nx_arena_clear(&arena);
    }
    nx_arena_release(&arena);
    nx_buf_release(&buf);
}

static void builder_edits_keep_order(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_labels base = SET(L("a", "1"), L("c", "3"));
    struct nx_labels_builder b;
    nx_labels_builder_init(&b, &arena, base);
    nx_labels_builder_set(&b, NX_VIEW("b"), NX_VIEW("2"));
    nx_labels_builder_set(&b, NX_VIEW("a"), NX_VIEW("one"));
    nx_labels_builder_set(&b, NX_VIEW("c"), NX_VIEW(""));
    nx_labels_builder_del(&b, NX_VIEW("zz"));
    nx_labels_builder_set(&b, NX_VIEW("z"), NX_VIEW("26"));
    struct nx_labels out;
    assert_int_equal(nx_labels_builder_take(&b, &out), NX_OK);
    assert_true(nx_labels_eq(out, SET(L("a", "one"), L("b", "2"), L("z", "26"))));
    assert_true(nx_labels_eq(base, SET(L("a", "1"), L("c", "3"))));
    nx_arena_release(&arena);
}

static void builder_random_edits_match_a_model(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 11);
    static const char names[] = "abcdefghijklmnopqrstuvwxyz";
    static const char values[] = "0123456789";
    bool present[26] = {false};
    size_t value[26] = {0};
    struct nx_labels_builder b;
    nx_labels_builder_init(&b, &arena, EMPTY);
    for (int i = 0; i < 5000; i++) {
        size_t n = (size_t)nx_rand_below(&rand, 26);
        size_t v = (size_t)nx_rand_below(&rand, 10);
        if (nx_rand_below(&rand, 3) == 0) {
            nx_labels_builder_del(&b, nx_view_make(names + n, 1));
            present[n] = false;
        } else {
            nx_labels_builder_set(&b, nx_view_make(names + n, 1), nx_view_make(values + v, 1));
            present[n] = true;
            value[n] = v;
        }
        struct nx_labels out;
        assert_int_equal(nx_labels_builder_take(&b, &out), NX_OK);
        size_t at = 0;
        for (size_t k = 0; k < 26; k++) {
            if (!present[k])
                continue;
            assert_true(at < out.count && out.items[at].name.ptr[0] == names[k]);
            assert_int_equal(out.items[at++].value.ptr[0], values[value[k]]);
        }
        assert_int_equal(at, out.count);
    }
    nx_arena_release(&arena);
}

static void builder_without_memory_reports_it(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    nx_alloc_set_hook(fail_all, NULL);
    struct nx_labels_builder b;
    nx_labels_builder_init(&b, &arena, SET(L("a", "1")));
    nx_labels_builder_set(&b, NX_VIEW("b"), NX_VIEW("2"));
    nx_labels_builder_del(&b, NX_VIEW("a"));
    struct nx_labels out = EMPTY;
    assert_int_equal(nx_labels_builder_take(&b, &out), NX_ERR_NOMEM);
    nx_alloc_set_hook(NULL, NULL);
    nx_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_present_and_absent_labels),
        cmocka_unit_test(cmp_orders_as_prometheus),
        cmocka_unit_test(hash_equal_sets_hash_equally),
        cmocka_unit_test(hash_long_sets_agree_with_short_path),
        cmocka_unit_test(copy_without_memory_gives_null),
        cmocka_unit_test(print_names_and_quoting),
        cmocka_unit_test(legacy_names_are_recognised),
        cmocka_unit_test(decode_round_trips_and_refuses_damage),
        cmocka_unit_test(builder_edits_keep_order),
        cmocka_unit_test(builder_random_edits_match_a_model),
        cmocka_unit_test(builder_without_memory_reports_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
