#include "distributor/receive/plain_labels.h"

#include <string.h>

static enum nx_err read_labels(const struct dist_batch *batch, struct nx_view raw,
                               struct nx_arena *arena, size_t max, struct nx_label **labels,
                               size_t *count, struct nx_fail *fail)
{
    (void)batch;
    (void)fail;
    *count = raw.len / sizeof **labels;
    size_t taken = *count < max ? *count : max;
    *labels = nx_arena_array(arena, taken, sizeof **labels);
    if (taken == 0)
        return NX_OK;
    if (!*labels)
        return NX_ERR_NOMEM;
    memcpy(*labels, raw.ptr, taken * sizeof **labels);
    return NX_OK;
}

static struct nx_hash128 hash_labels(const struct dist_batch *batch, struct nx_view raw)
{
    struct nx_hash128 parts[3] = {{.hi = 3, .lo = 0}}; /* apart from those of other formats */
    (void)batch;
    for (size_t at = 0; at < raw.len; at += sizeof(struct nx_label)) {
        struct nx_label label;
        memcpy(&label, raw.ptr + at, sizeof label);
        parts[1] = nx_hash128(label.name.ptr, label.name.len);
        parts[2] = nx_hash128(label.value.ptr, label.value.len);
        parts[0] = nx_hash128(parts, sizeof parts);
    }
    return parts[0];
}

const struct dist_label_format dist_plain_format = {.read = read_labels, .hash = hash_labels};
