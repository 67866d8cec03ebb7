#include "distributor/receive/pb_cursor.h"
#include "tests/unit/distributor/dist_test.h"

static struct dist_pb of_bytes(const void *bytes, size_t len)
{
    return dist_pb_of(nx_view_make(bytes, len));
}

#define PB(text) of_bytes((text), sizeof(text) - 1)

static void cursor_empty_message_has_no_field(void **state)
{
    (void)state;
    struct dist_pb pb = dist_pb_of(nx_view_make(NULL, 0));
    struct dist_pb_field field;
    assert_false(dist_pb_next(&pb, &field));
    assert_true(dist_pb_ok(&pb));
}

static void cursor_each_wire_type_is_read(void **state)
{
    (void)state;
    struct dist_pb pb = PB("\x08\x96\x01"                         /* 1: varint 150 */
                           "\x11\x01\x02\x03\x04\x05\x06\x07\x08" /* 2: fixed64 */
                           "\x1a\x03"
                           "abc"                    /* 3: bytes */
                           "\x25\x0a\x0b\x0c\x0d"); /* 4: fixed32 */
    struct dist_pb_field field;
    assert_true(dist_pb_next(&pb, &field));
    assert_int_equal(field.number, 1);
    assert_int_equal(dist_pb_varint_of(&pb, &field), 150);
    assert_true(dist_pb_next(&pb, &field));
    assert_true(dist_pb_fixed64_of(&pb, &field) == UINT64_C(0x0807060504030201));
    assert_true(dist_pb_next(&pb, &field));
    assert_true(nx_view_is(dist_pb_bytes_of(&pb, &field), "abc"));
    assert_true(dist_pb_next(&pb, &field));
    assert_int_equal(field.wire, DIST_PB_FIXED32);
    assert_true(field.value == 0x0d0c0b0a);
    assert_false(dist_pb_next(&pb, &field));
    assert_true(dist_pb_ok(&pb));
}

static void cursor_broken_input_fails_with_reason(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *why;
    } cases[] = {
        {"\x08", 1, "truncated varint"},
        {"\x08\xff", 2, "truncated varint"},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "varint of too many bytes"},
        {"\x88\x80\x80\x80\x80\x01", 6, "varint of too many bytes"},
        {"\xf8\xff\xff\xff\x7f\x01", 6, "field number too large"},
        {"\x00\x01", 2, "field number 0"},
        {"\x09\x01\x02", 3, "truncated fixed-width value"},
        {"\x0d\x01\x02", 3, "truncated fixed-width value"},
        {"\x0a\x05"
         "abc",
         5, "length beyond the end of the message"},
        {"\x0a\xff\xff\xff\xff\x0f", 6, "length beyond the end of the message"},
        {"\x0a\xff\xff\xff\xff\xff\x0f", 7, "varint of too many bytes"},
        {"\x0b\x0c", 2, "unsupported wire type"},
        {"\x0c", 1, "unsupported wire type"},
        {"\x0e", 1, "unsupported wire type"},
        {"\x0f", 1, "unsupported wire type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dist_pb pb = of_bytes(cases[i].bytes, cases[i].len);
        struct dist_pb_field field;
        assert_false(dist_pb_next(&pb, &field));
        assert_false(dist_pb_ok(&pb));
        assert_string_equal(pb.why, cases[i].why);
        assert_false(dist_pb_next(&pb, &field));
    }
}

static void cursor_wrong_wire_type_fails(void **state)
{
    (void)state;
    struct dist_pb_field field;
    struct dist_pb pb = PB("\x08\x01");
    assert_true(dist_pb_next(&pb, &field));
    assert_null(dist_pb_bytes_of(&pb, &field).ptr);
    assert_false(dist_pb_ok(&pb));
    pb = PB("\x0a\x00");
    assert_true(dist_pb_next(&pb, &field));
    assert_int_equal(dist_pb_varint_of(&pb, &field), 0);
    assert_false(dist_pb_ok(&pb));
    pb = PB("\x08\x01");
    assert_true(dist_pb_next(&pb, &field));
    assert_int_equal(dist_pb_fixed64_of(&pb, &field), 0);
    assert_false(dist_pb_ok(&pb));
}

static size_t collect(struct dist_pb *pb, enum dist_pb_wire wire, uint64_t *out)
{
    struct dist_pb_field field;
    size_t count = 0;
    while (dist_pb_next(pb, &field)) {
        struct dist_pb_run run = dist_pb_run_of(pb, &field, wire);
        size_t bound = dist_pb_run_bound(&run), before = count;
        while (dist_pb_run_next(pb, &run, &out[count]))
            count++;
        assert_true(count - before <= bound);
    }
    return count;
}

static void run_packed_and_unpacked_are_joined(void **state)
{
    (void)state;
    uint64_t values[8];
    struct dist_pb pb = PB("\x0a\x03\x01\x96\x01\x08\x07\x0a\x00");
    assert_int_equal(collect(&pb, DIST_PB_VARINT, values), 3);
    assert_true(dist_pb_ok(&pb));
    assert_int_equal(values[0], 1);
    assert_int_equal(values[1], 150);
    assert_int_equal(values[2], 7);
    pb = PB("\x0a\x08\x01\x00\x00\x00\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00\x00\x00");
    assert_int_equal(collect(&pb, DIST_PB_FIXED64, values), 2);
    assert_true(dist_pb_ok(&pb));
    assert_int_equal(values[1], 2);
}

static void run_broken_inside_fails_the_message(void **state)
{
    (void)state;
    uint64_t values[8];
    struct dist_pb pb = PB("\x0a\x02\x01\x96");
    (void)collect(&pb, DIST_PB_VARINT, values);
    assert_string_equal(pb.why, "truncated varint");
    pb = PB("\x0a\x07\x01\x00\x00\x00\x00\x00\x00");
    assert_int_equal(collect(&pb, DIST_PB_FIXED64, values), 0);
    assert_string_equal(pb.why, "packed doubles of a broken length");
    pb = PB("\x0d\x01\x00\x00\x00");
    assert_int_equal(collect(&pb, DIST_PB_FIXED64, values), 0);
    assert_string_equal(pb.why, "wrong wire type for a repeated number");
}

static void zigzag_extremes_are_exact(void **state)
{
    (void)state;
    assert_true(dist_pb_zigzag(UINT64_MAX) == INT64_MIN);
    assert_true(dist_pb_zigzag(UINT64_MAX - 1) == INT64_MAX);
    assert_true(dist_pb_zigzag(1) == -1);
    assert_true(dist_pb_zigzag32(UINT32_MAX) == INT32_MIN);
    assert_true(dist_pb_zigzag32(UINT64_C(0x1fffffffe)) == INT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cursor_empty_message_has_no_field),
        cmocka_unit_test(cursor_each_wire_type_is_read),
        cmocka_unit_test(cursor_broken_input_fails_with_reason),
        cmocka_unit_test(cursor_wrong_wire_type_fails),
        cmocka_unit_test(run_packed_and_unpacked_are_joined),
        cmocka_unit_test(run_broken_inside_fails_the_message),
        cmocka_unit_test(zigzag_extremes_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
