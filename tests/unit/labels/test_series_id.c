#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rand.h"
#include "common/labels/series_id.h"

static struct nx_series_id id_of(const char *tenant, const char *name, const char *value)
{
    struct nx_label label = {.name = nx_view_of(name), .value = nx_view_of(value)};
    return nx_series_id_of(nx_view_of(tenant), (struct nx_labels){.items = &label, .count = 1});
}

static void id_is_the_hash_of_the_documented_bytes(void **state)
{
    (void)state;
    struct nx_hash128 h = nx_hash128("anonymous\xFF__name__\xFFup\xFF", 9 + 1 + 8 + 1 + 2 + 1);
    struct nx_series_id id = id_of("anonymous", "__name__", "up");
    assert_true(id.hi == h.hi && id.lo == h.lo);
    /* part of the disk and wire formats: must never change */
    assert_true(id.hi == UINT64_C(0x8f200d875cffd0c2));
    assert_true(id.lo == UINT64_C(0x79c2ae28ab92ea71));
}

static void id_of_long_sets_is_the_same_hash(void **state)
{
    (void)state;
    static char flat[5000];
    static char text[5000];
    memset(text, 'v', sizeof text);
    for (size_t len = 990; len < 1050; len++) {
        memcpy(flat, "t\xFFn\xFF", 4);
        memcpy(flat + 4, text, len);
        flat[4 + len] = '\xFF';
        struct nx_hash128 h = nx_hash128(flat, len + 5);
        struct nx_label label = {.name = NX_VIEW("n"), .value = nx_view_make(text, len)};
        struct nx_series_id id =
            nx_series_id_of(NX_VIEW("t"), (struct nx_labels){.items = &label, .count = 1});
        assert_true(id.hi == h.hi && id.lo == h.lo);
    }
}

static void id_differs_by_tenant_and_by_split(void **state)
{
    (void)state;
    assert_false(nx_series_id_eq(id_of("a", "n", "v"), id_of("b", "n", "v")));
    assert_false(nx_series_id_eq(id_of("a", "nv", "w"), id_of("a", "n", "vw")));
    assert_false(nx_series_id_eq(id_of("an", "n", "v"), id_of("a", "nn", "v")));
    assert_true(nx_series_id_eq(id_of("a", "n", "v"), id_of("a", "n", "v")));
}

static void partition_ranges_are_contiguous_and_even(void **state)
{
    (void)state;
    struct nx_series_id id = {.hi = 0, .lo = UINT64_MAX};
    assert_int_equal(nx_series_id_partition(id, 512), 0);
    id.hi = UINT64_MAX;
    assert_int_equal(nx_series_id_partition(id, 512), 511);
    assert_int_equal(nx_series_id_partition(id, 7), 6);
    id.hi = (UINT64_C(1) << 55) - 1;
    assert_int_equal(nx_series_id_partition(id, 512), 0);
    id.hi++;
    assert_int_equal(nx_series_id_partition(id, 512), 1);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 5);
    uint32_t counts[10] = {0};
    for (int i = 0; i < 100000; i++) {
        id.hi = nx_rand_u64(&rand);
        counts[nx_series_id_partition(id, 10)]++;
    }
    for (size_t i = 0; i < 10; i++)
        assert_in_range(counts[i], 9500, 10500);
}

static void put_and_read_round_trip(void **state)
{
    (void)state;
    struct nx_series_id id = {.hi = UINT64_C(0x0102030405060708),
                              .lo = UINT64_C(0x1112131415161718)};
    struct nx_buf buf;
    nx_buf_init(&buf, 64);
    nx_series_id_put(&buf, id);
    assert_int_equal(buf.len, NX_SERIES_ID_BYTES);
    assert_memory_equal(buf.data,
                        "\x08\x07\x06\x05\x04\x03\x02\x01\x18\x17\x16\x15\x14\x13\x12\x11", 16);
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&buf));
    assert_true(nx_series_id_eq(id, nx_series_id_read(&cur)));
    assert_true(nx_cursor_ok(&cur));
    nx_series_id_read(&cur);
    assert_false(nx_cursor_ok(&cur));
    nx_buf_release(&buf);
}

static void cmp_orders_by_hi_then_lo(void **state)
{
    (void)state;
    struct nx_series_id a = {.hi = 1, .lo = 9};
    struct nx_series_id b = {.hi = 2, .lo = 0};
    struct nx_series_id c = {.hi = 2, .lo = 1};
    assert_true(nx_series_id_cmp(a, b) < 0 && nx_series_id_cmp(b, c) < 0 &&
                nx_series_id_cmp(c, a) > 0);
    assert_int_equal(nx_series_id_cmp(b, b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_is_the_hash_of_the_documented_bytes),
        cmocka_unit_test(id_of_long_sets_is_the_same_hash),
        cmocka_unit_test(id_differs_by_tenant_and_by_split),
        cmocka_unit_test(partition_ranges_are_contiguous_and_even),
        cmocka_unit_test(put_and_read_round_trip),
        cmocka_unit_test(cmp_orders_by_hi_then_lo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
