/* Both hashes of a label set. Short sets are laid out on the stack and hashed at once; long ones go
 * through the streaming state, which gives the same value. */
#include "common/labels/series_id.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { FLAT_BYTES = 1024 };
static const char SEPARATOR = '\xFF';

static size_t flat_size(struct nx_view tenant, struct nx_labels labels)
{
    size_t size = tenant.len + 1;
    for (size_t i = 0; i < labels.count; i++)
        size += labels.items[i].name.len + labels.items[i].value.len + 2;
    return size;
}

/* Names and values are short: a call to memcpy for each costs more than the bytes. */
static inline void copy_short(char *to, const char *from, size_t len)
{
    if (len > 16) {
        memcpy(to, from, len);
    } else if (len >= 8) {
        memcpy(to, from, 8);
        memcpy(to + len - 8, from + len - 8, 8);
    } else if (len >= 4) {
        memcpy(to, from, 4);
        memcpy(to + len - 4, from + len - 4, 4);
    } else {
        for (size_t i = 0; i < len; i++)
            to[i] = from[i];
    }
}

static inline char *put_view(char *at, struct nx_view v)
{
    copy_short(at, v.ptr, v.len);
    at[v.len] = SEPARATOR;
    return at + v.len + 1;
}

static char *put_labels(char *at, struct nx_labels labels)
{
    for (size_t i = 0; i < labels.count; i++) {
        at = put_view(at, labels.items[i].name);
        at = put_view(at, labels.items[i].value);
    }
    return at;
}

static void stream_view(XXH3_state_t *state, struct nx_view v)
{
    if (v.len > 0)
        XXH3_128bits_update(state, v.ptr, v.len);
    XXH3_128bits_update(state, &SEPARATOR, 1);
}

static struct nx_hash128 stream_hash(const struct nx_view *tenant, struct nx_labels labels)
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    if (tenant)
        stream_view(&state, *tenant);
    for (size_t i = 0; i < labels.count; i++) {
        stream_view(&state, labels.items[i].name);
        stream_view(&state, labels.items[i].value);
    }
    XXH128_hash_t h = XXH3_128bits_digest(&state);
    return (struct nx_hash128){.hi = h.high64, .lo = h.low64};
}

uint64_t nx_labels_hash(struct nx_labels labels)
{
    char flat[FLAT_BYTES];
    if (flat_size(NX_VIEW(""), labels) > sizeof flat)
        return stream_hash(NULL, labels).lo;
    char *end = put_labels(flat, labels);
    return XXH3_64bits(flat, (size_t)(end - flat));
}

struct nx_series_id nx_series_id_of(struct nx_view tenant, struct nx_labels labels)
{
    char flat[FLAT_BYTES];
    struct nx_hash128 h;
    if (flat_size(tenant, labels) > sizeof flat) {
        h = stream_hash(&tenant, labels);
    } else {
        char *end = put_labels(put_view(flat, tenant), labels);
        XXH128_hash_t x = XXH3_128bits(flat, (size_t)(end - flat));
        h = (struct nx_hash128){.hi = x.high64, .lo = x.low64};
    }
    return (struct nx_series_id){.hi = h.hi, .lo = h.lo};
}

int nx_series_id_cmp(struct nx_series_id a, struct nx_series_id b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return (a.lo > b.lo) - (a.lo < b.lo);
}

void nx_series_id_put(struct nx_buf *buf, struct nx_series_id id)
{
    nx_buf_put_u64(buf, id.hi);
    nx_buf_put_u64(buf, id.lo);
}

struct nx_series_id nx_series_id_read(struct nx_cursor *cur)
{
    struct nx_series_id id;
    id.hi = nx_cursor_u64(cur);
    id.lo = nx_cursor_u64(cur);
    return id;
}
