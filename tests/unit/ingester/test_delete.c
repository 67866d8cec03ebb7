/* Deletions through the RPC: what was there is gone, from memory and blocks, and stays gone over
 * restarts, replays and compactions; what comes afterwards is kept. And snapshots. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "fixture.h"

#define T0 INT64_C(1600000000000)
#define MINUTE_MS INT64_C(60000)

static void push_range(struct fixture *fixture, const char *name, int from, int to)
{
    struct pusher pusher;
    pusher_init(&pusher, "t");
    pusher_row(&pusher, "__name__", name, NULL);
    for (int i = from; i < to; i++)
        pusher_sample(&pusher, T0 + i * MINUTE_MS, i);
    push_all(fixture, &pusher);
    pusher_release(&pusher);
}

static size_t count_of(struct fixture *fixture, const char *name, int from, int to)
{
    struct got got;
    select_series(fixture, "t", T0 + from * MINUTE_MS, T0 + to * MINUTE_MS - 1, &got, NX_MATCH_EQ,
                  "__name__", name, -1);
    assert_int_equal(got.err, NX_OK);
    size_t count = got.count > 0 ? got.series[0].count : 0;
    for (size_t i = 0; i < count; i++) /* the right ones, and each once */
        assert_true(got.series[0].samples[i].bits ==
                    nx_double_bits((double)((got.series[0].samples[i].t - T0) / MINUTE_MS)));
    got_release(&got);
    return count;
}

static enum nx_err ask_delete(struct fixture *fixture, uint8_t id, const char *pattern, int from,
                              int to, bool late, int64_t created_ms)
{
    Narthex__DeleteRequest request = NARTHEX__DELETE_REQUEST__INIT;
    Narthex__Matcher matcher = NARTHEX__MATCHER__INIT;
    Narthex__Matcher *list = &matcher;
    uint8_t bytes[16] = {id, 1, 2, 3};
    struct answer answer;
    matcher.type = NX_MATCH_RE;
    matcher.name = (char *)(uintptr_t) "__name__";
    matcher.value = (char *)(uintptr_t)pattern;
    request.tenant = (char *)(uintptr_t) "t";
    request.id = (ProtobufCBinaryData){.data = bytes, .len = sizeof bytes};
    request.matchers = &list;
    request.n_matchers = 1;
    request.min_t = T0 + from * MINUTE_MS;
    request.max_t = T0 + to * MINUTE_MS - 1;
    request.created_ms = created_ms;
    request.late = late;
    call(fixture, "delete", &request.base, &answer);
    enum nx_err err = answer.err;
    answer_release(&answer);
    return err;
}

static void call_ok(struct fixture *fixture, const char *method, const ProtobufCMessage *message)
{
    struct answer answer;
    call(fixture, method, message, &answer);
    assert_int_equal(answer.err, NX_OK);
    answer_release(&answer);
}

static void clean(struct fixture *fixture)
{
    Narthex__CleanRequest request = NARTHEX__CLEAN_REQUEST__INIT;
    request.tenant = (char *)(uintptr_t) "t";
    call_ok(fixture, "clean", &request.base);
}

static void check(struct fixture *fixture)
{
    assert_int_equal(count_of(fixture, "a", 0, 600), 600 - 100);
    assert_int_equal(count_of(fixture, "a", 100, 200), 0);
    assert_int_equal(count_of(fixture, "ab", 0, 600), 600 - 100);
    assert_int_equal(count_of(fixture, "b", 0, 600), 600);
}

static void deleted_samples_stay_away(void **state)
{
    (void)state;
    for (size_t workers = 1; workers <= 2; workers++) {
        struct fixture fixture;
        fixture_init(&fixture, NULL, workers);
        fixture.settings.out_of_order_ms = 24 * HOUR_MS;
        fixture_open(&fixture);
        /* partly in a block, partly in memory */
        push_range(&fixture, "a", 0, 150);
        push_range(&fixture, "b", 0, 150);
        push_range(&fixture, "ab", 0, 150);
        flush_all(&fixture);
        push_range(&fixture, "a", 150, 600);
        push_range(&fixture, "b", 150, 600);
        push_range(&fixture, "ab", 150, 600);
        assert_int_equal(ask_delete(&fixture, 1, "a.*", 100, 200, false, 0), NX_OK);
        check(&fixture);
        assert_int_equal(ask_delete(&fixture, 1, "b", 0, 600, false, 0), NX_OK); /* known: no-op */
        check(&fixture);
        fixture_reopen(&fixture);
        check(&fixture);
        flush_all(&fixture);
        check(&fixture);
        call_ok(&fixture, "compact", NULL);
        check(&fixture);
        fixture.worker_count = 3 - workers; /* another layout of the log */
        fixture_reopen(&fixture);
        check(&fixture);
        clean(&fixture);
        check(&fixture);
        fixture_reopen(&fixture);
        check(&fixture);
        /* written again after the deletion: they are there, also for all that follows */
        push_range(&fixture, "a", 120, 130);
        assert_int_equal(count_of(&fixture, "a", 100, 200), 10);
        flush_all(&fixture);
        clean(&fixture);
        fixture_reopen(&fixture);
        assert_int_equal(count_of(&fixture, "a", 100, 200), 10);
        fixture_close(&fixture);
        fixture_release(&fixture);
    }
}

/* All of a window is deleted and cleaned away: the log must not bring it back. */
static void nothing_left_is_not_replayed(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    push_range(&fixture, "a", 0, 30);
    push_range(&fixture, "b", 0, 600); /* later windows keep the segment */
    assert_int_equal(ask_delete(&fixture, 1, "a", 0, 30, false, 0), NX_OK);
    push_range(&fixture, "b", 600, 700);
    clean(&fixture);
    fixture_reopen(&fixture);
    assert_int_equal(count_of(&fixture, "a", 0, 600), 0);
    assert_int_equal(count_of(&fixture, "b", 0, 700), 700);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

/* A replica that missed it is told later: what was written since stays. */
static void late_deletion_takes_nothing_written_since(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    push_range(&fixture, "a", 0, 100);
    assert_int_equal(ask_delete(&fixture, 1, "a", 0, 1000, true, T0 + 50 * MINUTE_MS), NX_OK);
    assert_int_equal(count_of(&fixture, "a", 0, 100), 49); /* those after minute 50 */
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void failing_file_operation_keeps_or_deletes_whole(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct fixture fixture;
        fixture_init(&fixture, NULL, 1);
        fixture_open(&fixture);
        push_range(&fixture, "a", 0, 150);
        fault_fs_arm(&fixture.fs, n, NX_ERR_NOSPACE, false);
        enum nx_err err = ask_delete(&fixture, 1, "a", 0, 100, false, 0);
        bool fired = fault_fs_fired(&fixture.fs);
        fault_fs_disarm(&fixture.fs);
        if (err != NX_OK) {
            assert_int_equal(nx_err_http(err), 503);
            assert_int_equal(count_of(&fixture, "a", 100, 150), 50);
            /* it can be repeated */
            err = ask_delete(&fixture, 2, "a", 0, 100, false, 0);
        }
        assert_int_equal(err, NX_OK);
        assert_int_equal(count_of(&fixture, "a", 0, 150), 50);
        fixture_reopen(&fixture);
        assert_int_equal(count_of(&fixture, "a", 0, 150), 50);
        fixture_close(&fixture);
        fixture_release(&fixture);
        if (!fired)
            break;
    }
}

static void malformed_request_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct answer answer;
    Narthex__DeleteRequest request = NARTHEX__DELETE_REQUEST__INIT;
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    request.tenant = (char *)(uintptr_t) "t";
    call(&fixture, "delete", &request.base, &answer); /* without id and matchers */
    assert_int_equal(answer.err, NX_ERR_INVALID);
    answer_release(&answer);
    assert_int_equal(ask_delete(&fixture, 1, "a(", 0, 1, false, 0), NX_ERR_INVALID);
    Narthex__SnapshotRequest snapshot = NARTHEX__SNAPSHOT_REQUEST__INIT;
    static const char *const names[] = {"", "../x", "a/b", ".tmp"};
    for (size_t i = 0; i < 4; i++) {
        snapshot.name = (char *)(uintptr_t)names[i];
        call(&fixture, "snapshot", &snapshot.base, &answer);
        assert_int_equal(answer.err, NX_ERR_INVALID);
        answer_release(&answer);
    }
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void snapshot_is_a_data_directory_of_its_own(void **state)
{
    (void)state;
    struct fixture fixture, copy;
    Narthex__SnapshotRequest request = NARTHEX__SNAPSHOT_REQUEST__INIT;
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    push_range(&fixture, "a", 0, 300);
    flush_all(&fixture);
    push_range(&fixture, "a", 300, 400);
    assert_int_equal(ask_delete(&fixture, 1, "a", 0, 100, false, 0), NX_OK);
    push_range(&fixture, "a", 400, 450);
    request.name = (char *)(uintptr_t) "one";
    request.skip_head = true;
    call_ok(&fixture, "snapshot", &request.base);
    request.name = (char *)(uintptr_t) "two";
    request.skip_head = false;
    call_ok(&fixture, "snapshot", &request.base);
    /* what happens here later does not reach it */
    assert_int_equal(ask_delete(&fixture, 2, "a", 0, 450, false, 0), NX_OK);
    clean(&fixture);
    for (int i = 0; i < 2; i++) {
        char *above = nx_path_join(fixture.dir, "snapshots");
        char *dir = nx_path_join(above, i == 0 ? "one" : "two");
        fixture_init(&copy, dir, 1);
        fixture_open(&copy);
        assert_int_equal(count_of(&copy, "a", 0, 450), i == 0 ? 200 : 350);
        fixture_close(&copy);
        fixture_release(&copy);
        nx_free(above);
        nx_free(dir);
    }
    fixture_close(&fixture);
    fixture_release(&fixture);
}

/* A process that died in the middle: the next start clears up. */
static void snapshot_cut_off_leaves_nothing_behind(void **state)
{
    (void)state;
    struct fixture fixture;
    Narthex__SnapshotRequest request = NARTHEX__SNAPSHOT_REQUEST__INIT;
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    push_range(&fixture, "a", 0, 50);
    request.name = (char *)(uintptr_t) "whole";
    call_ok(&fixture, "snapshot", &request.base);
    char *above = nx_path_join(fixture.dir, "snapshots");
    char *whole = nx_path_join(above, "whole");
    char *cut = nx_path_join(above, "cut.tmp");
    char *cut_blocks = nx_path_join(cut, "blocks");
    assert_int_equal(nx_fs_posix()->mkdir(nx_fs_posix(), cut_blocks), NX_OK);
    fixture_reopen(&fixture);
    char **names;
    size_t count;
    assert_int_equal(nx_dir_list(above, &names, &count), NX_OK);
    assert_int_equal(count, 1);
    assert_string_equal(names[0], "whole");
    nx_dir_free(names, count);
    assert_int_equal(nx_dir_list(whole, &names, &count), NX_OK);
    assert_int_equal(count, 2); /* blocks, and the list of deletions */
    nx_dir_free(names, count);
    fixture_close(&fixture);
    fixture_release(&fixture);
    nx_free(above);
    nx_free(whole);
    nx_free(cut);
    nx_free(cut_blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deleted_samples_stay_away),
        cmocka_unit_test(nothing_left_is_not_replayed),
        cmocka_unit_test(late_deletion_takes_nothing_written_since),
        cmocka_unit_test(failing_file_operation_keeps_or_deletes_whole),
        cmocka_unit_test(malformed_request_is_refused),
        cmocka_unit_test(snapshot_is_a_data_directory_of_its_own),
        cmocka_unit_test(snapshot_cut_off_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
