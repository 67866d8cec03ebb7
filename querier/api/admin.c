/* admin/tsdb/...: what changes or copies data. Switched off unless web.enable-admin-api says
 * otherwise, as in Prometheus. Each is a call to every ingester, done when a majority of the owners
 * of every partition has done it. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/rand.h"
#include "common/base/time.h"
#include "querier/api/endpoints.h"
#include "querier/api/matchers.h"
#include "querier/api/params.h"

#define ID_BYTES 16
#define NAME_BYTES 64

struct admin {
    struct qry_match_params matches;
    char name[NAME_BYTES]; /* of a snapshot */
};

static struct admin *begin(struct qry_job *op)
{
    if (!op->qry->deps.settings->enable_admin_api) {
        qry_job_fail(op, QRY_API_DISABLED, "admin APIs disabled");
        return NULL;
    }
    struct admin *admin = nx_arena_calloc(&op->arena, 1, sizeof *admin);
    if (!admin) {
        qry_job_nomem(op);
        return NULL;
    }
    op->write = true;
    op->state = admin;
    return admin;
}

void qry_admin_release(struct qry_job *op)
{
    struct admin *admin = op->state;
    qry_matches_release(&admin->matches);
}

bool qry_admin_evaluate(struct qry_job *op)
{
    op->no_content = true;
    return true;
}

/* --- delete_series --- */

static bool ask_delete(struct qry_job *op, struct qry_delete_request request, struct nx_rand *rand)
{
    uint64_t id[ID_BYTES / 8] = {nx_rand_u64(rand), nx_rand_u64(rand)};
    struct nx_buf body;
    request.id = nx_view_make(id, sizeof id);
    nx_buf_init(&body, 1u << 20);
    qry_put_delete_request(&body, &request);
    if (nx_buf_err(&body) == NX_ERR_TOO_LARGE) {
        nx_buf_release(&body);
        return qry_job_fail(op, QRY_API_BAD_DATA, "a selector is too long");
    }
    return qry_job_ask(op, "delete", false, &body);
}

bool qry_delete_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    struct nx_rand rand;
    struct admin *admin = begin(op);
    if (!admin)
        return false;
    if (!nx_http_params_get(&op->params, "match[]").ptr)
        return qry_job_fail(op, QRY_API_BAD_DATA, "no match[] parameter provided");
    struct qry_delete_request request = {.tenant = op->tenant,
                                         .created_ms = nx_now_ms(op->qry->deps.clock)};
    if (qry_param_optional_time(qry_job_param(op, "start"), "start", QRY_TIME_MIN, &request.min_t,
                                &fail) != NX_OK)
        return qry_job_fail_param(op, "start", &fail);
    if (qry_param_optional_time(qry_job_param(op, "end"), "end", QRY_TIME_MAX, &request.max_t,
                                &fail) != NX_OK)
        return qry_job_fail_param(op, "end", &fail);
    enum nx_err err = qry_matches_parse(op, &admin->matches, &fail);
    if (err)
        return err == NX_ERR_NOMEM ? qry_job_fail_err(op, err, &fail)
                                   : qry_job_fail_param(op, "match[]", &fail);
    nx_rand_system(&rand);
    for (size_t i = 0; i < admin->matches.count; i++) {
        request.matchers = admin->matches.sets[i];
        if (!ask_delete(op, request, &rand))
            return false;
    }
    return true;
}

/* --- clean_tombstones, flush --- */

bool qry_clean_prepare(struct qry_job *op)
{
    struct nx_buf body;
    if (!begin(op))
        return false;
    nx_buf_init(&body, 1u << 20);
    qry_put_clean_request(&body, op->tenant);
    return qry_job_ask(op, "clean", false, &body);
}

bool qry_flush_prepare(struct qry_job *op)
{
    struct nx_buf body;
    if (!begin(op))
        return false;
    nx_buf_init(&body, 16);
    return qry_job_ask(op, "flush", false, &body);
}

/* --- snapshot --- */

/* Go's strconv.ParseBool. */
static bool parse_bool(struct nx_view text, bool *out)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        *out = nx_view_is(text, yes[i]);
        if (*out || nx_view_is(text, no[i]))
            return true;
    }
    return false;
}

/* The moment and a random number: the same directory on all ingesters. */
static void make_name(struct qry_job *op, char name[NAME_BYTES])
{
    struct nx_rand rand;
    struct nx_civil civil;
    nx_rand_system(&rand);
    nx_civil_from_unix(nx_now_ms(op->qry->deps.clock) / 1000, &civil);
    (void)snprintf(name, NAME_BYTES, "%04d%02d%02dT%02d%02d%02dZ-%016" PRIx64, (int)civil.year,
                   civil.month, civil.day, civil.hour, civil.minute, civil.second,
                   nx_rand_u64(&rand));
}

bool qry_snapshot_prepare(struct qry_job *op)
{
    struct nx_buf body;
    bool skip_head = false;
    struct nx_view text = qry_job_param(op, "skip_head");
    struct admin *admin = begin(op);
    if (!admin)
        return false;
    if (text.len > 0 && !parse_bool(text, &skip_head))
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "invalid parameter \"skip_head\": unable to parse boolean: "
                            "strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                            NX_VIEW_ARG(text));
    make_name(op, admin->name);
    nx_buf_init(&body, 256);
    qry_put_snapshot_request(&body, nx_view_of(admin->name), skip_head);
    return qry_job_ask(op, "snapshot", false, &body);
}

bool qry_snapshot_render(struct qry_job *op, struct qry_json *json)
{
    const struct admin *admin = op->state;
    qry_json_object(json);
    qry_json_key(json, "name");
    qry_json_text(json, admin->name);
    qry_json_object_end(json);
    return true;
}
