/* Endpoints of things that a querier has none of (rules, alerts, targets): empty and well-formed,
 * as Grafana and other clients expect them. Their parameters are checked all the same, with
 * Prometheus's texts. Its search API answers as that of a Prometheus that has it
 * switched off. */
#include <string.h>
#include <strings.h>

#include "common/base/quote.h"
#include "querier/api/endpoints.h"
#include "querier/api/matchers.h"
#include "querier/api/params.h"

static bool raw(struct qry_json *json, struct nx_view text)
{
    qry_json_raw(json, text);
    return true;
}

static bool is_one_of(struct nx_view text, const char *const *words)
{
    for (; *words; words++)
        if (nx_view_eq_nocase(text, nx_view_of(*words)))
            return true;
    return false;
}

static bool fail_quoted(struct qry_job *op, const char *name, const char *what, struct nx_view text)
{
    char quoted[160];
    return qry_job_fail(op, QRY_API_BAD_DATA, "invalid parameter \"%s\": %s %s", name, what,
                        nx_quote_into(text, quoted, sizeof quoted));
}

/* --- rules and alerts --- */

static bool check_matches(struct qry_job *op)
{
    struct nx_fail fail = {0};
    struct qry_match_params matches = {0};
    enum nx_err err = qry_matches_parse(op, &matches, &fail);
    qry_matches_release(&matches);
    return err ? qry_job_fail_err(op, err, &fail) : true;
}

/* Of a page of rule groups. */
static bool check_paging(struct qry_job *op)
{
    static const char go_prefix[] = "strconv.Atoi: ";
    struct nx_fail fail = {0};
    struct nx_view limit = qry_job_param(op, "group_limit");
    struct nx_view token = qry_job_param(op, "group_next_token");
    int64_t count = 0;
    if (token.len > 0 && limit.len == 0)
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "invalid parameter \"group_next_token\": group_limit needs to be "
                            "present in order to paginate over the groups");
    if (limit.len > 0 && qry_param_integer(limit, &count, &fail) != NX_OK)
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "invalid parameter \"group_limit\": group_limit needs to be a valid "
                            "number: strconv.ParseInt: %s",
                            nx_fail_text(&fail) + strlen(go_prefix));
    if (limit.len > 0 && count <= 0)
        return qry_job_fail(
            op, QRY_API_BAD_DATA,
            "invalid parameter \"group_limit\": group_limit needs to be greater than 0");
    if (token.len > 0)
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "invalid parameter \"group_next_token\": invalid group_next_token "
                            "'%.*s'. were rule groups changed?",
                            (int)(token.len < 128 ? token.len : 128), token.ptr);
    return true;
}

bool qry_no_rules_prepare(struct qry_job *op)
{
    static const char *const types[] = {"", "alert", "record", NULL};
    static const char *const booleans[] = {"", "1", "t", "true", "0", "f", "false", NULL};
    struct nx_view type = qry_job_param(op, "type");
    struct nx_view exclude = qry_job_param(op, "exclude_alerts");
    if (!check_matches(op))
        return false;
    if (!is_one_of(type, types))
        return fail_quoted(op, "type", "not supported value", type);
    if (!is_one_of(exclude, booleans)) {
        char quoted[160];
        return qry_job_fail(op, QRY_API_BAD_DATA,
                            "invalid parameter \"exclude_alerts\": error converting "
                            "exclude_alerts: strconv.ParseBool: parsing %s: invalid syntax",
                            nx_quote_into(exclude, quoted, sizeof quoted));
    }
    return check_paging(op);
}

bool qry_no_rules_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json, NX_VIEW("{\"groups\":[]}"));
}

bool qry_no_alerts_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json, NX_VIEW("{\"alerts\":[]}"));
}

bool qry_no_alertmanagers_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json, NX_VIEW("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"));
}

/* --- targets --- */

bool qry_no_targets_render(struct qry_job *op, struct qry_json *json)
{
    static const char *const with_dropped[] = {"", "any", "dropped", NULL};
    bool counted = is_one_of(qry_job_param(op, "state"), with_dropped);
    return raw(json, counted ? NX_VIEW("{\"activeTargets\":[],\"droppedTargets\":[],"
                                       "\"droppedTargetCounts\":{}}")
                             : NX_VIEW("{\"activeTargets\":[],\"droppedTargets\":[],"
                                       "\"droppedTargetCounts\":null}"));
}

bool qry_no_target_metadata_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    struct nx_view limit = qry_job_param(op, "limit");
    struct nx_view target = qry_job_param(op, "match_target");
    int64_t count;
    if (limit.len > 0 && qry_param_integer(limit, &count, NULL) != NX_OK)
        return qry_job_fail(op, QRY_API_BAD_DATA, "limit must be a number");
    if (target.len == 0)
        return true;
    struct qry_query *query = NULL;
    enum nx_err err = qry_parse_selector(target, &query, &fail);
    qry_query_free(query);
    if (err == NX_ERR_INVALID)
        return qry_job_fail_param(op, "match_target", &fail);
    return err ? qry_job_fail_err(op, err, &fail) : true;
}

bool qry_no_scrape_pools_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json, NX_VIEW("{\"scrapePools\":[]}"));
}

/* Of one pool, of which there is none. */
bool qry_no_pool_prepare(struct qry_job *op)
{
    char quoted[160];
    struct nx_view pool = qry_job_param(op, "scrapePool");
    if (pool.len == 0)
        return qry_job_fail(op, QRY_API_BAD_DATA, "no scrapePool parameter provided");
    return qry_job_fail(op, QRY_API_BAD_DATA,
                        "error retrieving scrape config: scrape pool %s not found",
                        nx_quote_into(pool, quoted, sizeof quoted));
}

bool qry_no_relabel_steps_prepare(struct qry_job *op)
{
    if (qry_job_param(op, "scrapePool").len > 0 && qry_job_param(op, "labels").len == 0)
        return qry_job_fail(op, QRY_API_BAD_DATA, "no labels parameter provided");
    return qry_no_pool_prepare(op);
}

/* The blocks are the ingesters'. */
bool qry_no_blocks_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json, NX_VIEW("{\"blocks\":[]}"));
}

bool qry_no_items_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json, NX_VIEW("[]"));
}

/* --- what is switched off --- */

bool qry_no_search_prepare(struct qry_job *op)
{
    return qry_job_fail(op, QRY_API_DISABLED, "search API disabled");
}
