/* A pusher over a cluster whose calls a test answers. */
#ifndef TESTS_UNIT_DISTRIBUTOR_PUSH_FIXTURE_H
#define TESTS_UNIT_DISTRIBUTOR_PUSH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/owner.h"
#include "common/chunk/push_columns.h"
#include "common/labels/series_id.h"
#include "distributor/push.h"
#include "distributor/receive/remote_write_v1.h"
#include "proto/internal.pb-c.h"
#include "tests/unit/distributor/dist_test.h"

enum { MAX_MEMBERS = 6, MAX_CALLS = 64, PARTITIONS = 16 };

struct fake_call {
    char address[32];
    bool numbered; /* the method */
    size_t bytes;
    Narthex__PushRequest *request;
    uint64_t timeout_ms;
    void (*done)(void *user, const struct nx_rpc_result *result);
    void *user;
    bool answered;
};

struct fake {
    struct dist_cluster cluster;
    struct nx_member members[MAX_MEMBERS];
    char names[MAX_MEMBERS][16];
    uint16_t owners[PARTITIONS * MAX_MEMBERS];
    struct nx_ring_view view;
    size_t views_out;
    struct fake_call calls[MAX_CALLS];
    size_t call_count;
    enum nx_err refuse_call; /* what `call` returns */
    size_t reports;
    enum nx_err last_report;

    struct dist_settings settings;
    struct dist_limits limits;
    struct nx_clock_manual clock;
    struct nx_http_budget budget;
    struct dist_loads *loads;
    struct dist_cache *cache;
    struct dist_pusher *pusher;
    int pushes;

    size_t results;
    enum nx_err err;
    char text[512];
    char refused_text[512];
    uint64_t refused_samples;
};

enum nx_err fake_call(struct dist_cluster *cluster, const struct nx_rpc_call_options *options);
struct fake *fake_new(uint32_t members, uint32_t rf);
/* Everything must have come back: views, budget, bytes in flight. */
void fake_free(struct fake *fake);
void on_result(void *user, const struct dist_push_result *result);
void put_series(struct nx_buf *message, const char *name, int64_t timestamp);
void push_message(struct fake *fake, struct nx_buf *message);
/* Series m0, m1, ... with one sample each. */
void push_series(struct fake *fake, size_t series);
void answer_with(struct fake *fake, size_t i, const Narthex__PushResponse *response);
void answer_ok(struct fake *fake, size_t i);
void answer_unknown(struct fake *fake, size_t i, uint64_t incarnation, uint32_t row);
/* Rows by id get the numbers first, first + 1, ... */
void answer_numbers(struct fake *fake, size_t i, uint32_t first);
void answer_refused(struct fake *fake, size_t i, uint32_t row, enum nx_err code, const char *text);
void answer_error(struct fake *fake, size_t i, enum nx_err err, const char *text);
void answer_bytes(struct fake *fake, size_t i, struct nx_view bytes);
void answer_all(struct fake *fake);

#endif
