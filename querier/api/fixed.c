/* Endpoints of things that a querier has none of (rules, alerts, targets): empty and well-formed,
 * as Grafana and other clients expect them. */
#include "querier/api/endpoints.h"

static bool raw(struct qry_json *json, struct nx_view text)
{
    qry_json_raw(json, text);
    return true;
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

bool qry_no_targets_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json,
               NX_VIEW("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"));
}

bool qry_no_alertmanagers_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json, NX_VIEW("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"));
}

bool qry_no_scrape_pools_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json, NX_VIEW("{\"scrapePools\":[]}"));
}

bool qry_no_items_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    return raw(json, NX_VIEW("[]"));
}
