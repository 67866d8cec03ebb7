#include "distributor/resolve.h"

#include "common/base/alloc.h"
#include "common/chunk/histogram_codec.h"
#include "distributor/receive/histogram_buckets.h"

enum { MAX_SHOWN_LABELS = 16, DIST_LABELS_BEFORE_RULES = 1000 };

struct resolving {
    struct dist_resolver *resolver;
    struct dist_batch *batch;
    struct dist_refusals *refusals;
    struct nx_hash128 tenant_key;
    struct nx_fail *fail;
};

struct nx_labels dist_resolve_shown(const struct dist_batch *batch, struct nx_arena *arena,
                                    const struct dist_series *series)
{
    struct nx_label *labels = NULL;
    size_t count = 0;
    if (batch->format->read(batch, series->raw_labels, arena, MAX_SHOWN_LABELS, &labels, &count,
                            NULL))
        count = 0;
    return (struct nx_labels){.items = labels,
                              .count = count < MAX_SHOWN_LABELS ? count : MAX_SHOWN_LABELS};
}

/* The buffer's bytes as a view that lives in the arena. */
static enum nx_err keep(struct nx_arena *arena, struct nx_buf *buf, struct nx_view *out)
{
    enum nx_err err = nx_buf_err(buf);
    if (!err) {
        struct nx_view copy = nx_arena_copy(arena, nx_buf_view(buf));
        if (copy.ptr)
            *out = copy;
        else
            err = NX_ERR_NOMEM;
    }
    nx_buf_release(buf);
    return err;
}

static enum nx_err encode_labels(struct nx_arena *arena, struct nx_labels labels,
                                 struct nx_view *out)
{
    struct nx_buf buf;
    nx_buf_init(&buf, SIZE_MAX);
    nx_labels_encode(&buf, labels);
    return keep(arena, &buf, out);
}

/* What became of a series' labels; TAKEN also where there is an error that is not theirs. */
enum outcome { OUTCOME_TAKEN, OUTCOME_REFUSED, OUTCOME_DROPPED };

/* A count far over the limit is refused unread; empty values, which do not count, may double it,
 * and rules may take labels off. */
static bool count_is_hopeless(const struct dist_limits *limits, const struct dist_series *series)
{
    size_t spare = limits->rules ? DIST_LABELS_BEFORE_RULES : 0;
    return series->label_count / 2 > (uint64_t)limits->max.max_label_names + spare;
}

static enum nx_err read_valid_labels(struct dist_batch *batch, const struct dist_series *series,
                                     struct nx_labels *labels, enum dist_reason *reason,
                                     enum outcome *outcome, struct nx_fail *why)
{
    const struct dist_limits *limits = &batch->limits;
    *outcome = OUTCOME_REFUSED;
    if (count_is_hopeless(limits, series))
        return dist_validate_label_count(&limits->max, series->label_count, reason, why);
    struct nx_label *items = NULL;
    size_t count = 0;
    enum nx_err err = batch->format->read(batch, series->raw_labels, &batch->arena,
                                          series->label_count, &items, &count, why);
    bool keep = true;
    if (!err)
        err = dist_limits_rewrite(limits, &batch->arena, &items, &count, &keep);
    if (err == NX_ERR_LIMIT) {
        *reason = DIST_REASON_RELABELED;
        return nx_fail_set(why, NX_ERR_INVALID,
                           "limits.metric-relabel-configs make more labels or longer values than "
                           "a series may have");
    }
    *outcome = err || keep ? OUTCOME_TAKEN : OUTCOME_DROPPED;
    if (err || !keep)
        return err;
    err = dist_validate_labels(&limits->max, items, count, labels, reason, why);
    if (err)
        *outcome = OUTCOME_REFUSED;
    return err;
}

enum nx_err dist_resolve_canonical(struct dist_batch *batch, struct dist_series *series)
{
    if (series->canonical.ptr)
        return NX_OK;
    struct nx_labels labels = {.items = NULL, .count = 0};
    enum dist_reason reason;
    enum outcome outcome;
    enum nx_err err = read_valid_labels(batch, series, &labels, &reason, &outcome, NULL);
    return err ? err : encode_labels(&batch->arena, labels, &series->canonical);
}

static void refuse_series(struct resolving *r, struct dist_series *series, enum dist_reason reason,
                          const struct nx_fail *why)
{
    series->refused = true;
    dist_refusals_add(r->refusals, reason, (uint64_t)series->sample_count + series->histogram_count,
                      why, dist_resolve_shown(r->batch, &r->batch->arena, series));
}

/* In the place of an id: rules drop the series. */
static const struct nx_series_id dropped_id = {.hi = 0, .lo = 0};

static void drop_series(struct resolving *r, struct dist_series *series)
{
    series->refused = true;
    r->resolver->dropped += (size_t)series->sample_count + series->histogram_count;
}

static enum nx_err resolve_new(struct resolving *r, struct dist_series *series)
{
    struct nx_labels labels = {.items = NULL, .count = 0};
    enum dist_reason reason = DIST_REASON_OTHER;
    struct nx_fail why = {.code = NX_OK};
    enum outcome outcome = OUTCOME_TAKEN;
    enum nx_err err = read_valid_labels(r->batch, series, &labels, &reason, &outcome, &why);
    if (err && outcome == OUTCOME_REFUSED) {
        refuse_series(r, series, reason, &why);
        return NX_OK;
    }
    if (outcome == OUTCOME_DROPPED) {
        drop_series(r, series);
        if (series->cacheable && r->resolver->cache)
            (void)dist_cache_insert(r->resolver->cache, series->cache_key, dropped_id);
        return NX_OK;
    }
    if (err == NX_ERR_INVALID)
        return nx_fail_set(r->fail, err, "%s", nx_fail_text(&why));
    if (err)
        return err;
    series->id = nx_series_id_of(r->resolver->tenant, labels);
    err = encode_labels(&r->batch->arena, labels, &series->canonical);
    if (!err && series->cacheable && r->resolver->cache)
        series->cache_ref = dist_cache_insert(r->resolver->cache, series->cache_key, series->id);
    return err;
}

static bool is_cacheable(const struct dist_series *series)
{
    return series->cacheable && !series->broken;
}

/* Step by step for all of them, so that the memory of one comes while another is worked on. */
static void look_up_bunch(struct resolving *r, struct dist_series *series, size_t count)
{
    struct dist_cache *cache = r->resolver->cache;
    for (size_t i = 0; i < count; i++) {
        if (!is_cacheable(&series[i]))
            continue;
        series[i].cache_key =
            dist_cache_key(r->tenant_key, r->batch->format->hash(r->batch, series[i].raw_labels));
        dist_cache_prefetch_slot(cache, series[i].cache_key);
    }
    for (size_t i = 0; i < count; i++)
        if (is_cacheable(&series[i]))
            dist_cache_prefetch_entry(cache, series[i].cache_key);
    for (size_t i = 0; i < count; i++) {
        if (!is_cacheable(&series[i]))
            continue;
        series[i].cache_ref = dist_cache_find(cache, series[i].cache_key);
        if (series[i].cache_ref != DIST_NO_REF)
            series[i].id = dist_cache_id(cache, series[i].cache_ref);
    }
}

/* The identities that the cache knows. */
static void look_up(struct resolving *r)
{
    enum { BUNCH = 32 };
    dist_cache_read_begin(r->resolver->cache);
    for (size_t i = 0; i < r->batch->series_count; i += BUNCH) {
        size_t left = r->batch->series_count - i;
        look_up_bunch(r, r->batch->series + i, left < BUNCH ? left : BUNCH);
    }
    dist_cache_read_end(r->resolver->cache);
}

static enum nx_err resolve_identity(struct resolving *r, struct dist_series *series)
{
    if (series->broken) {
        struct nx_fail why = {.code = NX_OK};
        (void)nx_fail_set(&why, NX_ERR_INVALID, "%s", series->broken);
        refuse_series(r, series, DIST_REASON_LABEL_INVALID, &why);
        return NX_OK;
    }
    if (series->cache_ref != DIST_NO_REF) {
        r->resolver->hits++;
        if (nx_series_id_eq(series->id, dropped_id))
            drop_series(r, series);
        return NX_OK;
    }
    r->resolver->misses++;
    return resolve_new(r, series);
}

/* Apart from the usual case, because room for a reason is large. */
static bool judge_timestamp(struct resolving *r, const struct dist_series *series,
                            int64_t timestamp)
{
    const struct nx_tenant_limits *limits = &r->batch->limits.max;
    enum dist_reason reason = DIST_REASON_OTHER;
    struct nx_fail why = {.code = NX_OK};
    if (!dist_validate_timestamp(limits, r->resolver->now_ms, timestamp, &reason, &why))
        return true;
    dist_refusals_add(r->refusals, reason, 1, &why,
                      dist_resolve_shown(r->batch, &r->batch->arena, series));
    return false;
}

/* False for a timestamp that is refused, which is then counted. */
static inline bool take_timestamp(struct resolving *r, const struct dist_series *series,
                                  int64_t timestamp)
{
    return (timestamp >= DIST_MIN_TIMESTAMP_MS && timestamp <= r->resolver->now_ms) ||
           judge_timestamp(r, series, timestamp);
}

static void resolve_samples(struct resolving *r, struct dist_series *series)
{
    struct dist_batch *batch = r->batch;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < series->sample_count; i++) {
        size_t at = series->first_sample + i;
        if (!take_timestamp(r, series, batch->timestamps[at]))
            continue;
        batch->timestamps[series->first_sample + kept] = batch->timestamps[at];
        batch->value_bits[series->first_sample + kept++] = batch->value_bits[at];
    }
    series->sample_count = kept;
}

static enum nx_err encode_histogram(struct dist_batch *batch, struct dist_histogram *row)
{
    struct nx_buf buf;
    nx_buf_init(&buf, SIZE_MAX);
    enum nx_err err = nx_histogram_encode(&buf, row->histogram);
    if (err) {
        nx_buf_release(&buf);
        return err;
    }
    return keep(&batch->arena, &buf, &row->encoded);
}

static enum nx_err resolve_histograms(struct resolving *r, struct dist_series *series)
{
    struct dist_batch *batch = r->batch;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < series->histogram_count; i++) {
        struct dist_histogram row = batch->histograms[series->first_histogram + i];
        struct nx_fail why = {.code = NX_OK};
        if (!take_timestamp(r, series, row.timestamp))
            continue;
        enum nx_err err = dist_histogram_reduce(&batch->arena, row.histogram);
        if (!err)
            err = nx_histogram_validate(row.histogram, &why);
        if (!err)
            err = encode_histogram(batch, &row);
        if (err == NX_ERR_INVALID) {
            dist_refusals_add(r->refusals, DIST_REASON_HISTOGRAM_INVALID, 1, &why,
                              dist_resolve_shown(batch, &batch->arena, series));
            continue;
        }
        if (err)
            return err;
        batch->histograms[series->first_histogram + kept++] = row;
    }
    series->histogram_count = kept;
    return NX_OK;
}

static void refuse_exemplar(struct resolving *r, const struct dist_series *series,
                            const char *reason)
{
    struct nx_fail why = {.code = NX_OK};
    (void)nx_fail_set(&why, NX_ERR_INVALID, "exemplar: %s", reason);
    dist_refusals_add(r->refusals, DIST_REASON_EXEMPLAR_INVALID, 0, &why,
                      dist_resolve_shown(r->batch, &r->batch->arena, series));
}

static enum nx_err resolve_exemplars(struct resolving *r, struct dist_series *series)
{
    struct dist_batch *batch = r->batch;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < series->exemplar_count; i++) {
        struct dist_exemplar row = batch->exemplars[series->first_exemplar + i];
        struct nx_label *items = NULL;
        struct nx_labels labels;
        size_t count = 0;
        enum dist_reason reason;
        if (row.broken) {
            refuse_exemplar(r, series, row.broken);
            continue;
        }
        enum nx_err err = batch->format->read(batch, row.raw_labels, &batch->arena, SIZE_MAX,
                                              &items, &count, r->fail);
        if (err)
            return err;
        if (dist_validate_timestamp(&r->batch->limits.max, r->resolver->now_ms, row.timestamp,
                                    &reason, NULL) ||
            dist_validate_exemplar_labels(items, count, &labels)) {
            r->refusals->by_reason[DIST_REASON_EXEMPLAR_INVALID]++;
            continue;
        }
        err = encode_labels(&batch->arena, labels, &row.canonical);
        if (err)
            return err;
        batch->exemplars[series->first_exemplar + kept++] = row;
    }
    series->exemplar_count = kept;
    return NX_OK;
}

static void resolve_metadata(struct resolving *r)
{
    for (size_t i = 0; i < r->batch->metadata_count; i++) {
        struct dist_metadata *metadata = &r->batch->metadata[i];
        enum dist_reason reason;
        struct nx_fail why = {.code = NX_OK};
        if (!dist_validate_metadata(&r->batch->limits.max, metadata, &reason, &why))
            continue;
        metadata->refused = true;
        r->refusals->metadata++;
        dist_refusals_add(r->refusals, reason, 0, &why, (struct nx_labels){NULL, 0});
    }
}

enum nx_err dist_resolve(struct dist_resolver *resolver, struct dist_batch *batch,
                         struct dist_refusals *refusals, struct nx_fail *fail)
{
    struct resolving r = {.resolver = resolver, .batch = batch, .refusals = refusals, .fail = fail};
    r.tenant_key = dist_limits_key(resolver->limits, resolver->tenant);
    dist_limits_release(&batch->limits);
    batch->limits = dist_limits_copy(resolver->limits);
    enum nx_err err = NX_OK;
    if (resolver->cache)
        look_up(&r);
    for (size_t i = 0; i < batch->series_count && !err; i++) {
        struct dist_series *series = &batch->series[i];
        err = resolve_identity(&r, series);
        if (err || series->refused)
            continue;
        resolve_samples(&r, series);
        err = resolve_histograms(&r, series);
        if (!err)
            err = resolve_exemplars(&r, series);
    }
    if (!err)
        resolve_metadata(&r);
    if (err == NX_ERR_NOMEM && nx_arena_over(&batch->arena))
        err = nx_fail_set(fail, NX_ERR_TOO_LARGE,
                          "the request's labels take more memory than allowed; send "
                          "smaller batches or raise distributor.max-decoded-bytes");
    return err;
}
