#include "distributor/ha_pair.h"

#define LABELS_MAX 1000
#define NAME_MAX_BYTES 2048

static struct nx_view find(const struct nx_label *labels, size_t count, struct nx_view name)
{
    for (size_t i = 0; i < count; i++)
        if (nx_view_eq(labels[i].name, name))
            return labels[i].value;
    return NX_VIEW("");
}

static bool is_name(struct nx_view value)
{
    return value.len > 0 && value.len <= NAME_MAX_BYTES && nx_view_find(value, '\0') == value.len;
}

bool dist_ha_pair_of(const struct dist_limits *limits, struct nx_view tenant,
                     struct dist_batch *batch, struct dist_ha_pair *out)
{
    struct nx_label *labels = NULL;
    size_t count = 0;
    if (limits->max.accept_ha <= 0 || batch->series_count == 0 || batch->series[0].broken)
        return false;
    if (batch->format->read(batch, batch->series[0].raw_labels, &batch->arena, LABELS_MAX, &labels,
                            &count, NULL) != NX_OK)
        return false;
    count = count < LABELS_MAX ? count : LABELS_MAX;
    *out = (struct dist_ha_pair){.tenant = tenant,
                                 .cluster = find(labels, count, limits->ha_cluster_label),
                                 .replica = find(labels, count, limits->ha_replica_label)};
    return is_name(out->cluster) && is_name(out->replica);
}

uint64_t dist_ha_count(const struct dist_batch *batch)
{
    uint64_t count = 0;
    for (size_t i = 0; i < batch->series_count; i++)
        count += (uint64_t)batch->series[i].sample_count + batch->series[i].histogram_count;
    return count;
}
