#include "distributor/limits.h"

#include "common/labels/relabel.h"
#include "distributor/validate.h"

void dist_limits_get(const struct nx_limit_settings *settings, struct nx_overrides *overrides,
                     struct nx_view tenant, struct dist_limits *out)
{
    *out = (struct dist_limits){.rules = nx_overrides_rules(overrides, tenant)};
    nx_limits_of(settings, overrides, tenant, &out->max);
    out->ha_cluster_label = nx_view_of(settings->ha_cluster_label);
    out->ha_replica_label = nx_view_of(settings->ha_replica_label);
    if (out->rules && out->rules->ha_cluster_label.ptr)
        out->ha_cluster_label = out->rules->ha_cluster_label;
    if (out->rules && out->rules->ha_replica_label.ptr)
        out->ha_replica_label = out->rules->ha_replica_label;
}

struct dist_limits dist_limits_copy(const struct dist_limits *limits)
{
    if (limits->rules)
        nx_refcount_take(&limits->rules->refs);
    return *limits;
}

void dist_limits_release(struct dist_limits *limits)
{
    nx_tenant_rules_release(limits->rules);
    *limits = (struct dist_limits){.rules = NULL};
}

struct nx_hash128 dist_limits_key(const struct dist_limits *limits, struct nx_view tenant)
{
    struct nx_hash128 name = nx_hash128(tenant.ptr, tenant.len);
    bool ha = limits->max.accept_ha > 0;
    uint64_t parts[] = {name.hi,
                        name.lo,
                        (uint64_t)limits->max.max_label_names,
                        (uint64_t)limits->max.max_label_name_bytes,
                        (uint64_t)limits->max.max_label_value_bytes,
                        limits->rules ? limits->rules->fingerprint : 0,
                        ha ? nx_hash_view(limits->ha_cluster_label) : 0,
                        ha ? nx_hash_view(limits->ha_replica_label) : 0};
    return nx_hash128(parts, sizeof parts);
}

static bool has_twice(const struct nx_label *labels, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (nx_view_eq(labels[i - 1].name, labels[i].name))
            return true;
    return false;
}

static void drop_replica(const struct dist_limits *limits, struct nx_labels_builder *builder)
{
    if (limits->max.accept_ha > 0 &&
        nx_labels_builder_get(builder, limits->ha_cluster_label).len > 0)
        nx_labels_builder_del(builder, limits->ha_replica_label);
}

/* Names that come twice are left for validation to refuse. */
enum nx_err dist_limits_rewrite(const struct dist_limits *limits, struct nx_arena *arena,
                                struct nx_label **labels, size_t *count, bool *keep)
{
    const struct nx_tenant_rules *rules = limits->rules;
    struct nx_labels_builder builder;
    bool kept = true;
    enum nx_err err = NX_OK;
    *keep = true;
    if (!rules && limits->max.accept_ha <= 0)
        return NX_OK;
    *count = dist_sort_labels(*labels, *count);
    if (has_twice(*labels, *count))
        return NX_OK;
    nx_labels_builder_init(&builder, arena, (struct nx_labels){.items = *labels, .count = *count});
    drop_replica(limits, &builder);
    if (rules)
        err = nx_relabel_apply(rules->relabel, &builder, &kept);
    for (size_t i = 0; rules && err == NX_OK && i < rules->drop_count; i++)
        nx_labels_builder_del(&builder, rules->drop_labels[i]);
    if (err == NX_OK && builder.failed)
        err = NX_ERR_NOMEM;
    if (err != NX_OK)
        return err;
    *labels = builder.items;
    *count = builder.count;
    *keep = kept && builder.count > 0;
    return NX_OK;
}
