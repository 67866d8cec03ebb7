#include "ingester/quota.h"

#include <inttypes.h>
#include <stdio.h>

/* Rounded up, so that a limit is never nought. */
static uint64_t share(int64_t limit, uint64_t owned, uint64_t partitions)
{
    if (limit <= 0 || partitions == 0)
        return UINT64_MAX;
    unsigned __int128 scaled = (unsigned __int128)limit * owned;
    return (uint64_t)((scaled + partitions - 1) / partitions);
}

struct ing_quota ing_quota_of(const struct nx_tenant_limits *limits, uint64_t owned,
                              uint64_t partitions)
{
    return (struct ing_quota){.max_series = limits->max_series,
                              .max_series_per_metric = limits->max_series_per_metric,
                              .series = share(limits->max_series, owned, partitions),
                              .series_per_metric =
                                  share(limits->max_series_per_metric, owned, partitions),
                              .out_of_order_ms = limits->out_of_order_ms};
}

static const char *explain(struct nx_arena *arena, int64_t limit, const char *what,
                           struct nx_view metric, const char *setting)
{
    char text[256];
    struct nx_view shown = metric.len > 80 ? nx_view_make(metric.ptr, 80) : metric;
    int len = snprintf(text, sizeof text,
                       "the tenant has reached its limit of %" PRId64 " series%s%.*s; raise %s",
                       limit, what, NX_VIEW_ARG(shown), setting);
    size_t used = len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
    return nx_arena_copy(arena, nx_view_make(text, used)).ptr;
}

bool ing_quota_allows(const struct ing_quota *quota, const struct ing_tenant *tenant,
                      struct nx_labels labels, struct nx_arena *arena, const char **text)
{
    if (tenant->series >= quota->series) {
        *text =
            explain(arena, quota->max_series, "", NX_VIEW(""), "limits.max-global-series-per-user");
        return false;
    }
    if (quota->series_per_metric == UINT64_MAX)
        return true;
    struct nx_label name = {.name = NX_LABEL_METRIC_NAME,
                            .value = nx_labels_get(labels, NX_LABEL_METRIC_NAME)};
    if (ing_postings_count(&tenant->postings, name) < quota->series_per_metric)
        return true;
    *text = explain(arena, quota->max_series_per_metric, " of the metric ", name.value,
                    "limits.max-global-series-per-metric");
    return false;
}
