/* Requests and answers of the fan-out against the generated protobuf code, the completeness rule,
 * and the source that the engine reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/ring/placement.h"
#include "common/ring/whole.h"
#include "proto/internal.pb-c.h"
#include "querier/select/complete.h"
#include "querier/select/fetched.h"
#include "querier/select/request.h"
#include "querier/select/wire.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct nx_matcher matchers[] = {
    {.type = NX_MATCH_EQ, .name = NX_VIEW("__name__"), .value = NX_VIEW("up")},
    {.type = NX_MATCH_NRE, .name = NX_VIEW("job"), .value = NX_VIEW("")},
    {.type = NX_MATCH_NE, .name = NX_VIEW("x"), .value = NX_VIEW("\xc3\xa9")},
};

static void assert_matchers(Narthex__Matcher **got, size_t count)
{
    assert_int_equal(count, COUNT(matchers));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i]->type, matchers[i].type);
        assert_string_equal(got[i]->name, matchers[i].name.ptr);
        assert_string_equal(got[i]->value, matchers[i].value.ptr);
    }
}

static void select_request_is_the_protobuf(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, 10000);
    qry_put_select_request(&buf,
                           &(struct qry_select_request){.tenant = NX_VIEW("t1"),
                                                        .matchers = {matchers, COUNT(matchers)},
                                                        .min_t = QRY_TIME_MIN,
                                                        .max_t = 1500,
                                                        .labels_only = true,
                                                        .limit = 300,
                                                        .max_chunk_bytes = 1u << 30});
    Narthex__SelectRequest *got =
        narthex__select_request__unpack(NULL, buf.len, (const uint8_t *)buf.data);
    assert_non_null(got);
    assert_string_equal(got->tenant, "t1");
    assert_matchers(got->matchers, got->n_matchers);
    assert_int_equal(got->min_t, QRY_TIME_MIN);
    assert_int_equal(got->max_t, 1500);
    assert_true(got->labels_only);
    assert_int_equal(got->limit, 300);
    assert_int_equal(got->max_chunk_bytes, 1u << 30);
    narthex__select_request__free_unpacked(got, NULL);
    nx_buf_release(&buf);
}

static void other_requests_are_the_protobuf(void **state)
{
    (void)state;
    struct nx_buf buf;
    struct qry_matcher_set sets[] = {{matchers, COUNT(matchers)}, {NULL, 0}, {matchers, 1}};
    nx_buf_init(&buf, 10000);
    qry_put_labels_request(&buf, NX_VIEW("t"), NX_VIEW("job"), sets[0], -5, 5, 7);
    Narthex__LabelsRequest *labels =
        narthex__labels_request__unpack(NULL, buf.len, (const uint8_t *)buf.data);
    assert_non_null(labels);
    assert_string_equal(labels->name, "job");
    assert_matchers(labels->matchers, labels->n_matchers);
    assert_int_equal(labels->min_t, -5);
    assert_int_equal(labels->max_t, 5);
    assert_int_equal(labels->limit, 7);
    narthex__labels_request__free_unpacked(labels, NULL);

    nx_buf_clear(&buf);
    qry_put_exemplars_request(&buf, NX_VIEW("t"), sets, 3, 1, 2);
    Narthex__ExemplarsRequest *exemplars =
        narthex__exemplars_request__unpack(NULL, buf.len, (const uint8_t *)buf.data);
    assert_non_null(exemplars);
    assert_int_equal(exemplars->n_selectors, 3);
    assert_matchers(exemplars->selectors[0]->matchers, exemplars->selectors[0]->n_matchers);
    assert_int_equal(exemplars->selectors[1]->n_matchers, 0);
    assert_int_equal(exemplars->selectors[2]->n_matchers, 1);
    assert_int_equal(exemplars->max_t, 2);
    narthex__exemplars_request__free_unpacked(exemplars, NULL);

    nx_buf_clear(&buf);
    qry_put_metadata_request(&buf, NX_VIEW("t"), NX_VIEW("up"));
    Narthex__MetadataRequest *metadata =
        narthex__metadata_request__unpack(NULL, buf.len, (const uint8_t *)buf.data);
    assert_non_null(metadata);
    assert_string_equal(metadata->metric, "up");
    narthex__metadata_request__free_unpacked(metadata, NULL);

    nx_buf_clear(&buf);
    qry_put_status_request(&buf, NX_VIEW("t"), 10);
    Narthex__StatusRequest *status =
        narthex__status_request__unpack(NULL, buf.len, (const uint8_t *)buf.data);
    assert_non_null(status);
    assert_int_equal(status->limit, 10);
    narthex__status_request__free_unpacked(status, NULL);
    nx_buf_release(&buf);
}

/* --- frames --- */

struct frames {
    struct nx_arena arena;
    struct nx_buf buf;
};

static struct nx_labels labels_of(struct nx_arena *arena, const char *name, const char *job)
{
    struct nx_label *items = nx_arena_alloc(arena, 2 * sizeof *items);
    items[0] = (struct nx_label){NX_LABEL_METRIC_NAME, nx_view_of(name)};
    items[1] = (struct nx_label){NX_VIEW("job"), nx_view_of(job)};
    return (struct nx_labels){items, 2};
}

/* One frame with one series and its chunks, packed by the generated code. */
static struct nx_view frame_of(struct frames *f, struct nx_labels labels,
                               const struct nx_chunk *chunks, size_t count)
{
    struct nx_buf id, encoded;
    nx_buf_init(&id, 100);
    nx_buf_init(&encoded, 10000);
    nx_series_id_put(&id, nx_series_id_of(NX_VIEW("t"), labels));
    nx_labels_encode(&encoded, labels);
    Narthex__SelectChunk rows[8], *row_ptrs[8];
    for (size_t i = 0; i < count; i++) {
        narthex__select_chunk__init(&rows[i]);
        rows[i].encoding = (uint32_t)chunks[i].encoding;
        rows[i].count = chunks[i].count;
        rows[i].min_t = chunks[i].min_t;
        rows[i].max_t = chunks[i].max_t;
        rows[i].data.data = (uint8_t *)(uintptr_t)chunks[i].data.ptr;
        rows[i].data.len = chunks[i].data.len;
        row_ptrs[i] = &rows[i];
    }
    Narthex__SelectSeries series = NARTHEX__SELECT_SERIES__INIT, *series_ptr = &series;
    series.series_id = (ProtobufCBinaryData){id.len, (uint8_t *)id.data};
    series.labels = (ProtobufCBinaryData){encoded.len, (uint8_t *)encoded.data};
    series.chunks = row_ptrs;
    series.n_chunks = count;
    Narthex__SelectFrame frame = NARTHEX__SELECT_FRAME__INIT;
    frame.series = &series_ptr;
    frame.n_series = 1;
    size_t size = narthex__select_frame__get_packed_size(&frame);
    char *bytes = nx_arena_alloc(&f->arena, size);
    narthex__select_frame__pack(&frame, (uint8_t *)bytes);
    nx_buf_release(&id);
    nx_buf_release(&encoded);
    return nx_view_make(bytes, size);
}

static int frames_setup(void **state)
{
    struct frames *f = nx_calloc(1, sizeof *f);
    nx_arena_init(&f->arena, 0);
    *state = f;
    return 0;
}

static int frames_teardown(void **state)
{
    struct frames *f = *state;
    nx_arena_release(&f->arena);
    nx_free(f);
    return 0;
}

static const struct nx_chunk two_chunks[] = {
    {.encoding = NX_CHUNK_XOR, .count = 2, .min_t = -100, .max_t = 100, .data = NX_VIEW("abc")},
    {.encoding = NX_CHUNK_HISTOGRAM_RUN,
     .count = 65535,
     .min_t = 200,
     .max_t = 300,
     .data = NX_VIEW("d")},
};

static void fetched_copies_become_one_series(void **state)
{
    struct frames *f = *state;
    struct qry_fetched fetched;
    struct nx_labels b = labels_of(&f->arena, "up", "b"), a = labels_of(&f->arena, "up", "a");
    qry_fetched_init(&fetched, &f->arena);
    assert_int_equal(qry_fetched_add(&fetched, frame_of(f, b, two_chunks, 2)), NX_OK);
    assert_int_equal(qry_fetched_add(&fetched, frame_of(f, a, two_chunks, 1)), NX_OK);
    assert_int_equal(qry_fetched_add(&fetched, frame_of(f, b, two_chunks, 1)), NX_OK);
    assert_int_equal(qry_fetched_add(&fetched, frame_of(f, a, NULL, 0)), NX_OK);
    assert_int_equal(qry_fetched_add(&fetched, NX_VIEW("")), NX_OK);
    qry_fetched_sort(&fetched);
    assert_int_equal(fetched.count, 2);
    assert_true(nx_labels_eq(fetched.series[0].labels, a));
    assert_int_equal(fetched.series[0].chunk_count, 1);
    assert_true(nx_labels_eq(fetched.series[1].labels, b));
    assert_int_equal(fetched.series[1].chunk_count, 3);
    const struct nx_chunk *c = &fetched.series[1].chunks[1];
    assert_int_equal(c->encoding, NX_CHUNK_HISTOGRAM_RUN);
    assert_int_equal(c->count, 65535);
    assert_int_equal(c->min_t, 200);
    assert_int_equal(c->max_t, 300);
    assert_true(nx_view_is(c->data, "d"));
    assert_int_equal(fetched.series[1].chunks[0].min_t, -100);
    qry_fetched_release(&fetched);
}

/* Damaged bytes end in an error or in fewer series, never outside the frame (run under ASan: the
 * copy is exact). */
static void fetched_damaged_frame_is_survived(void **state)
{
    struct frames *f = *state;
    struct nx_view frame = frame_of(f, labels_of(&f->arena, "up", "a"), two_chunks, 2);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    for (int round = 0; round < 4000; round++) {
        struct qry_fetched fetched;
        size_t len = nx_rand_below(&rand, frame.len + 1);
        char *copy = nx_alloc(len);
        memcpy(copy, frame.ptr, len);
        if (len > 0 && round % 2)
            copy[nx_rand_below(&rand, len)] = (char)nx_rand_u64(&rand);
        qry_fetched_init(&fetched, &f->arena);
        enum nx_err err = qry_fetched_add(&fetched, nx_view_make(copy, len));
        assert_true(err == NX_OK || err == NX_ERR_CORRUPT);
        qry_fetched_release(&fetched);
        nx_free(copy);
        if (round % 64 == 63) {
            nx_arena_clear(&f->arena);
            frame = frame_of(f, labels_of(&f->arena, "up", "a"), two_chunks, 2);
        }
    }
}

static void fetched_cut_frame_is_corrupt(void **state)
{
    struct frames *f = *state;
    struct nx_view frame = frame_of(f, labels_of(&f->arena, "up", "a"), two_chunks, 2);
    for (size_t len = 1; len < frame.len; len++) {
        struct qry_fetched fetched;
        qry_fetched_init(&fetched, &f->arena);
        assert_int_equal(qry_fetched_add(&fetched, nx_view_make(frame.ptr, len)), NX_ERR_CORRUPT);
        qry_fetched_release(&fetched);
    }
}

static void wire_unknown_fields_are_passed_over(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, 1000);
    qry_wire_put_uint(&buf, 1, 5);
    nx_buf_append(&buf, "\x51\1\2\3\4\5\6\7\x08", 9); /* field 10, fixed64 */
    nx_buf_append(&buf, "\x5d\1\2\3\4", 5);           /* field 11, fixed32 */
    qry_wire_put_sint(&buf, 3, -7);
    qry_wire_put_element(&buf, 4, NX_VIEW(""));
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&buf));
    struct qry_wire_field field;
    assert_true(qry_wire_next(&cur, &field) && field.number == 1 && field.integer == 5);
    assert_true(qry_wire_next(&cur, &field) && field.number == 10);
    assert_true(field.integer == UINT64_C(0x0807060504030201));
    assert_true(qry_wire_next(&cur, &field) && field.number == 11 && field.integer == 0x04030201);
    assert_true(qry_wire_next(&cur, &field) && qry_wire_zigzag(field.integer) == -7);
    assert_true(qry_wire_next(&cur, &field) && field.number == 4 && field.bytes.len == 0);
    assert_false(qry_wire_next(&cur, &field));
    assert_true(nx_cursor_ok(&cur));
    nx_buf_clear(&buf);
    nx_buf_append(&buf, "\x0b", 1); /* a group */
    cur = nx_cursor_of(nx_buf_view(&buf));
    assert_false(qry_wire_next(&cur, &field));
    assert_false(nx_cursor_ok(&cur));
    nx_buf_release(&buf);
}

/* --- completeness --- */

static void complete_needs_a_read_quorum_of_each_partition(void **state)
{
    (void)state;
    uint16_t owners[] = {0, 1, 2, 1, 2, 3, 3, 0, 1, 2, 3, 0};
    struct nx_ring_view view = {.partitions = 4, .rf = 3, .member_count = 4, .owners = owners};
    uint32_t missing = 99;
    assert_true(qry_is_complete(&view, (bool[]){true, true, true, true}, nx_ring_read_quorum(&view),
                                false, &missing));
    assert_int_equal(missing, 0);
    assert_true(qry_is_complete(&view, (bool[]){true, false, true, true},
                                nx_ring_read_quorum(&view), false, NULL));
    assert_false(qry_is_complete(&view, (bool[]){true, false, false, true},
                                 nx_ring_read_quorum(&view), false, &missing));
    assert_int_equal(missing, 2); /* {0,1,2} and {1,2,3} */
    assert_false(qry_is_complete(&view, (bool[]){false, false, false, false},
                                 nx_ring_read_quorum(&view), false, &missing));
    assert_int_equal(missing, 4);
}

/* Members 0 and 1 hold everything, 2 nothing but partition 1. */
static void complete_counts_answers_of_those_who_are_whole(void **state)
{
    (void)state;
    uint16_t owners[] = {0, 1, 2, 0, 1, 2};
    struct nx_whole *all = nx_whole_new(2, true), *none = nx_whole_new(2, false);
    assert_true(all && none);
    struct nx_whole *some = nx_whole_with(none, 1, true);
    assert_non_null(some);
    struct nx_member members[] = {{.whole = all, .incarnation = 1},
                                  {.whole = all, .incarnation = 1},
                                  {.whole = some, .incarnation = 1}};
    struct nx_ring_view view = {
        .partitions = 2, .rf = 3, .members = members, .member_count = 3, .owners = owners};
    uint32_t missing = 99;
    assert_true(qry_is_complete(&view, (bool[]){true, true, false}, 2, true, &missing));
    assert_false(qry_is_complete(&view, (bool[]){true, false, true}, 2, true, &missing));
    assert_int_equal(missing, 1);
    assert_true(qry_is_complete(&view, (bool[]){true, false, true}, 2, false, &missing));
    assert_true(qry_is_being_refilled(&view, 2));
    assert_false(qry_is_being_refilled(&view, 0));
    members[1].whole = none;
    assert_false(qry_is_complete(&view, (bool[]){true, true, true}, 2, true, NULL));
    members[1].incarnation = 0; /* never heard: for a moment */
    assert_true(qry_is_complete(&view, (bool[]){true, true, true}, 2, true, NULL));
    nx_whole_drop(all);
    nx_whole_drop(none);
    nx_whole_drop(some);
}

static void complete_with_missing_owners_is_not(void **state)
{
    (void)state;
    uint16_t owners[] = {0, NX_PLACEMENT_NONE, NX_PLACEMENT_NONE};
    struct nx_ring_view view = {.partitions = 1, .rf = 3, .member_count = 1, .owners = owners};
    bool owns[1];
    assert_false(qry_is_complete(&view, (bool[]){true}, nx_ring_read_quorum(&view), false, NULL));
    qry_owning_members(&view, owns);
    assert_true(owns[0]);
    uint16_t single[] = {0};
    view = (struct nx_ring_view){.partitions = 1, .rf = 1, .member_count = 1, .owners = single};
    assert_true(qry_is_complete(&view, (bool[]){true}, nx_ring_read_quorum(&view), false, NULL));
    assert_false(qry_is_complete(&view, (bool[]){false}, nx_ring_read_quorum(&view), false, NULL));
}

/* Any set of members that leaves out fewer than W of each partition's owners is complete, any other
 * is not. */
static void complete_random_rings_follow_the_definition(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 11);
    for (int round = 0; round < 500; round++) {
        uint32_t rf = 1 + (uint32_t)nx_rand_below(&rand, 5);
        size_t members = rf + nx_rand_below(&rand, 4);
        uint16_t owners[8 * 5];
        bool answered[9], expected = true;
        for (size_t i = 0; i < members; i++)
            answered[i] = nx_rand_below(&rand, 3) > 0;
        for (size_t p = 0; p < 8; p++) {
            size_t first = nx_rand_below(&rand, members), silent = 0;
            for (uint32_t i = 0; i < rf; i++) {
                owners[p * rf + i] = (uint16_t)((first + i) % members);
                silent += !answered[owners[p * rf + i]];
            }
            expected &= silent < rf / 2 + 1;
        }
        struct nx_ring_view view = {
            .partitions = 8, .rf = rf, .member_count = members, .owners = owners};
        assert_int_equal(qry_is_complete(&view, answered, nx_ring_read_quorum(&view), false, NULL),
                         expected);
    }
}

#define FRAMES(name) cmocka_unit_test_setup_teardown(name, frames_setup, frames_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(select_request_is_the_protobuf),
        cmocka_unit_test(other_requests_are_the_protobuf),
        FRAMES(fetched_copies_become_one_series),
        FRAMES(fetched_damaged_frame_is_survived),
        FRAMES(fetched_cut_frame_is_corrupt),
        cmocka_unit_test(wire_unknown_fields_are_passed_over),
        cmocka_unit_test(complete_needs_a_read_quorum_of_each_partition),
        cmocka_unit_test(complete_counts_answers_of_those_who_are_whole),
        cmocka_unit_test(complete_with_missing_owners_is_not),
        cmocka_unit_test(complete_random_rings_follow_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
