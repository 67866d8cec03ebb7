/* The cache is a dense array of entries and an index of slots over it (linear probing, at most half
 * full). An entry is found by a hash of the labels as exposed, so that a known series costs neither
 * relabeling nor a look at its limits. Entries that a whole scrape has not seen are removed at its
 * end, after they have been marked stale. When the rules change, the entries leave the index
 * (orphans) and stay only until the next whole scrape has been compared with them. */
#include "distributor/scrape/samples.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/quote.h"
#include "common/chunk/sample.h"
#include "distributor/receive/histogram_buckets.h"
#include "distributor/receive/plain_labels.h"

#define EXPORTED_PREFIX NX_VIEW("exported_")
#define EMPTY_SLOT UINT32_MAX

enum { LABELS_MAX = NX_RELABEL_LABELS_MAX, FLUSH_SLACK = 1000 };

struct entry {
    struct nx_hash128 key;
    struct nx_label *labels; /* one block with its texts; NULL: dropped */
    size_t block_bytes;
    uint32_t label_count;
    bool current, previous; /* tracked in this scrape, in the last one */
    bool orphan;            /* made by rules that no longer hold */
    bool histogram;         /* its last sample was one */
    uint64_t seen;          /* the scrape that last had it */
    uint64_t final_hash;    /* of `labels` */
};

struct scrape_cache {
    struct entry *entries;
    size_t count, capacity;
    uint32_t *slots;
    size_t slot_count; /* a power of two, or 0 */
    uint64_t scrape;
    size_t whole_count; /* entries after the last whole scrape */
    bool has_orphans;
};

/* What a series goes through on its way into the cache. */
struct taking {
    struct scrape_cache *cache;
    const struct scrape_rules *rules;
    struct dist_batch *batch;
    struct scrape_counts *counts;
    struct nx_fail *fail;
    size_t limited; /* samples that count against the limit */
    bool over_limit;
};

enum nx_err scrape_cache_new(struct scrape_cache **out)
{
    struct scrape_cache *cache = nx_calloc(1, sizeof *cache);
    if (!cache)
        return NX_ERR_NOMEM;
    cache->scrape = 1;
    *out = cache;
    return NX_OK;
}

void scrape_cache_free(struct scrape_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->count; i++)
        nx_free(cache->entries[i].labels);
    nx_free(cache->entries);
    nx_free(cache->slots);
    nx_free(cache);
}

size_t scrape_cache_count(const struct scrape_cache *cache)
{
    return cache->count;
}

bool scrape_cache_has_series(const struct scrape_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        if (cache->entries[i].previous)
            return true;
    return false;
}

/* --- the index --- */

static void put_slot(struct scrape_cache *cache, uint32_t number)
{
    size_t mask = cache->slot_count - 1;
    size_t at = (size_t)cache->entries[number].key.lo & mask;
    while (cache->slots[at] != EMPTY_SLOT)
        at = (at + 1) & mask;
    cache->slots[at] = number;
}

static void fill_slots(struct scrape_cache *cache)
{
    memset(cache->slots, 0xff, cache->slot_count * sizeof *cache->slots);
    for (size_t i = 0; i < cache->count; i++)
        if (!cache->entries[i].orphan)
            put_slot(cache, (uint32_t)i);
}

static struct entry *find(struct scrape_cache *cache, struct nx_hash128 key)
{
    if (cache->slot_count == 0)
        return NULL;
    size_t mask = cache->slot_count - 1;
    for (size_t at = (size_t)key.lo & mask; cache->slots[at] != EMPTY_SLOT; at = (at + 1) & mask) {
        struct entry *entry = &cache->entries[cache->slots[at]];
        if (entry->key.lo == key.lo && entry->key.hi == key.hi)
            return entry;
    }
    return NULL;
}

static enum nx_err insert(struct scrape_cache *cache, struct nx_hash128 key, struct entry **out)
{
    enum nx_err err =
        nx_grow(&cache->entries, &cache->capacity, cache->count + 1, sizeof *cache->entries);
    if (err)
        return err;
    if ((cache->count + 1) * 2 > cache->slot_count) {
        size_t slot_count = cache->slot_count ? cache->slot_count * 2 : 64;
        uint32_t *slots = nx_realloc_array(cache->slots, slot_count, sizeof *slots);
        if (!slots)
            return NX_ERR_NOMEM;
        cache->slots = slots;
        cache->slot_count = slot_count;
        fill_slots(cache);
    }
    struct entry *entry = &cache->entries[cache->count];
    *entry = (struct entry){.key = key};
    put_slot(cache, (uint32_t)cache->count++);
    *out = entry;
    return NX_OK;
}

static void remove_unseen(struct scrape_cache *cache)
{
    size_t kept = 0;
    for (size_t i = 0; i < cache->count; i++) {
        if (cache->entries[i].seen == cache->scrape)
            cache->entries[kept++] = cache->entries[i];
        else
            nx_free(cache->entries[i].labels);
    }
    if (kept == cache->count)
        return;
    cache->count = kept;
    fill_slots(cache);
}

void scrape_cache_change_rules(struct scrape_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        cache->entries[i].orphan = true;
    cache->has_orphans = cache->count > 0;
    if (cache->slot_count > 0)
        fill_slots(cache);
}

/* --- labels of a series --- */

static enum nx_err keep_labels(struct entry *entry, struct nx_labels labels)
{
    size_t bytes = labels.count * sizeof *labels.items;
    for (size_t i = 0; i < labels.count; i++)
        bytes += labels.items[i].name.len + labels.items[i].value.len;
    struct nx_label *block = nx_alloc(bytes);
    if (!block)
        return NX_ERR_NOMEM;
    char *text = (char *)(block + labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        const struct nx_label *from = &labels.items[i];
        memcpy(text, from->name.ptr, from->name.len);
        block[i].name = nx_view_make(text, from->name.len);
        text += from->name.len;
        memcpy(text, from->value.ptr, from->value.len);
        block[i].value = nx_view_make(text, from->value.len);
        text += from->value.len;
    }
    entry->labels = block;
    entry->label_count = (uint32_t)labels.count;
    entry->block_bytes = bytes;
    entry->final_hash = nx_labels_hash(labels);
    return NX_OK;
}

/* A push may outlive the entry: it gets a copy of its own. */
static enum nx_err lend_labels(const struct entry *entry, struct dist_batch *batch,
                               struct dist_series *series)
{
    struct nx_label *copy = nx_arena_alloc(&batch->arena, entry->block_bytes);
    if (!copy)
        return NX_ERR_NOMEM;
    memcpy(copy, entry->labels, entry->block_bytes);
    for (uint32_t i = 0; i < entry->label_count; i++) {
        size_t name_at = (size_t)(entry->labels[i].name.ptr - (const char *)entry->labels);
        size_t value_at = (size_t)(entry->labels[i].value.ptr - (const char *)entry->labels);
        copy[i].name.ptr = (const char *)copy + name_at;
        copy[i].value.ptr = (const char *)copy + value_at;
    }
    series->raw_labels = dist_plain_labels(copy, entry->label_count);
    series->label_count = entry->label_count;
    series->cacheable = true;
    return NX_OK;
}

static int compare_names(const void *a, const void *b)
{
    const struct nx_label *left = a, *right = b;
    return nx_view_cmp(left->name, right->name);
}

/* Exposed labels by name. They are few and mostly sorted. */
static void sort_labels(struct nx_label *labels, size_t count)
{
    if (count > 64) {
        qsort(labels, count, sizeof *labels, compare_names);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct nx_label label = labels[i];
        size_t k = i;
        for (; k > 0 && nx_view_cmp(labels[k - 1].name, label.name) > 0; k--)
            labels[k] = labels[k - 1];
        labels[k] = label;
    }
}

static bool has_name(const struct nx_label *labels, size_t count, struct nx_view name)
{
    struct nx_label key = {.name = name};
    return count > 0 && bsearch(&key, labels, count, sizeof *labels, compare_names) != NULL;
}

static struct nx_view value_of(const struct nx_labels_builder *builder, struct nx_view name)
{
    return nx_labels_get((struct nx_labels){.items = builder->items, .count = builder->count},
                         name);
}

static struct nx_view export_name(struct nx_arena *arena, struct nx_view name)
{
    char *bytes = nx_arena_alloc(arena, EXPORTED_PREFIX.len + name.len);
    if (!bytes)
        return nx_view_make(NULL, 0);
    memcpy(bytes, EXPORTED_PREFIX.ptr, EXPORTED_PREFIX.len);
    memcpy(bytes + EXPORTED_PREFIX.len, name.ptr, name.len);
    return nx_view_make(bytes, EXPORTED_PREFIX.len + name.len);
}

/* Shorter names first, so that exported_x moves aside for x. */
static enum nx_err set_exported(struct nx_labels_builder *builder, struct nx_label *conflicts,
                                size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && conflicts[k - 1].name.len > conflicts[k].name.len; k--) {
            struct nx_label label = conflicts[k];
            conflicts[k] = conflicts[k - 1];
            conflicts[k - 1] = label;
        }
    for (size_t i = 0; i < count; i++) {
        struct nx_view name = conflicts[i].name;
        do {
            name = export_name(builder->arena, name);
            if (!name.ptr)
                return NX_ERR_NOMEM;
        } while (value_of(builder, name).len > 0);
        nx_labels_builder_set(builder, name, conflicts[i].value);
    }
    return NX_OK;
}

static enum nx_err set_target_labels(struct taking *t, struct nx_labels_builder *builder,
                                     const struct nx_label *exposed, size_t count)
{
    struct nx_labels target = t->rules->target;
    struct nx_label *conflicts =
        nx_arena_array(builder->arena, target.count + 1, sizeof *conflicts);
    size_t conflict_count = 0;
    if (!conflicts)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < target.count; i++) {
        struct nx_label label = target.items[i];
        if (t->rules->job->honor_labels && has_name(exposed, count, label.name))
            continue;
        struct nx_view existing = value_of(builder, label.name);
        if (existing.len > 0)
            conflicts[conflict_count++] = (struct nx_label){label.name, existing};
        nx_labels_builder_set(builder, label.name, label.value);
    }
    return set_exported(builder, conflicts, conflict_count);
}

/* --- limits --- */

static enum nx_err check_lengths(struct taking *t, struct nx_labels labels, struct nx_view metric)
{
    const struct scrape_job *job = t->rules->job;
    int shown = metric.len < 50 ? (int)metric.len : 50;
    for (size_t i = 0; i < labels.count; i++) {
        struct nx_view name = labels.items[i].name, value = labels.items[i].value;
        int shown_name = name.len < 50 ? (int)name.len : 50;
        if (job->label_name_length_limit > 0 && name.len > (size_t)job->label_name_length_limit)
            return nx_fail_set(t->fail, NX_ERR_INVALID,
                               "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                               "length: %zu, limit: %" PRId64 ")",
                               shown, metric.ptr, shown_name, name.ptr, name.len,
                               job->label_name_length_limit);
        char quoted[220];
        if (job->label_value_length_limit > 0 && value.len > (size_t)job->label_value_length_limit)
            return nx_fail_set(
                t->fail, NX_ERR_INVALID,
                "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: %s, "
                "length: %zu, limit: %" PRId64 ")",
                shown, metric.ptr, shown_name, name.ptr,
                nx_quote_into(nx_view_make(value.ptr, value.len < 50 ? value.len : 50), quoted,
                              sizeof quoted),
                value.len, job->label_value_length_limit);
    }
    return NX_OK;
}

static enum nx_err check_labels(struct taking *t, struct nx_labels labels)
{
    const struct scrape_job *job = t->rules->job;
    struct nx_view metric = nx_labels_get(labels, NX_LABEL_METRIC_NAME);
    if (metric.len == 0)
        return nx_fail_set(t->fail, NX_ERR_INVALID, "missing metric name (__name__ label)");
    if (job->label_limit > 0 && labels.count > (size_t)job->label_limit)
        return nx_fail_set(t->fail, NX_ERR_INVALID,
                           "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: "
                           "%" PRId64 ")",
                           metric.len < 50 ? (int)metric.len : 50, metric.ptr, labels.count,
                           job->label_limit);
    return check_lengths(t, labels, metric);
}

static enum nx_err check_unique(struct taking *t, const struct nx_label *labels, size_t count)
{
    char quoted[120];
    for (size_t i = 1; i < count; i++)
        if (nx_view_eq(labels[i - 1].name, labels[i].name))
            return nx_fail_set(t->fail, NX_ERR_INVALID, "label name %s is not unique",
                               nx_quote_into(labels[i].name, quoted, sizeof quoted));
    if (count <= LABELS_MAX)
        return NX_OK;
    return nx_fail_set(t->fail, NX_ERR_INVALID, "a series with %zu labels (limit: %d)", count,
                       LABELS_MAX);
}

/* --- one sample --- */

static enum nx_err apply_rules(struct taking *t, const struct nx_label *exposed, size_t count,
                               struct nx_labels *out, bool *keep)
{
    struct nx_labels_builder builder;
    struct nx_labels external = t->rules->external;
    nx_labels_builder_init(&builder, &t->batch->arena, (struct nx_labels){.count = 0});
    for (size_t i = 0; i < count; i++)
        nx_labels_builder_set(&builder, exposed[i].name, exposed[i].value);
    enum nx_err err = set_target_labels(t, &builder, exposed, count);
    if (!err)
        err = nx_relabel_apply(t->rules->job->metric_relabel, &builder, keep);
    if (err == NX_ERR_LIMIT)
        return nx_fail_set(t->fail, NX_ERR_INVALID,
                           "relabeling made a label set that is too large");
    if (err || !*keep)
        return err;
    *keep = builder.count > 0;
    err = nx_labels_builder_take(&builder, out);
    if (!err && *keep)
        err = check_labels(t, *out);
    for (size_t i = 0; !err && i < external.count; i++)
        if (value_of(&builder, external.items[i].name).len == 0)
            nx_labels_builder_set(&builder, external.items[i].name, external.items[i].value);
    return err ? err : nx_labels_builder_take(&builder, out);
}

/* The entry of a series that was not known; not put into the cache where the scrape fails over it.
 */
static enum nx_err learn(struct taking *t, struct nx_hash128 key, const struct nx_label *exposed,
                         size_t count, struct entry **out)
{
    struct nx_labels labels = {.count = 0};
    struct entry made = {.key = key};
    bool keep = true;
    enum nx_err err = apply_rules(t, exposed, count, &labels, &keep);
    if (!err && keep)
        err = keep_labels(&made, labels);
    if (!err)
        err = insert(t->cache, key, out);
    if (err) {
        nx_free(made.labels);
        return err;
    }
    **out = made;
    return NX_OK;
}

/* Times of a sample and its exemplars. */
static void set_times(const struct taking *t, const struct dist_series *series, bool *explicit_time)
{
    struct dist_batch *batch = t->batch;
    int64_t *at = series->histogram_count > 0
                      ? &batch->histograms[series->first_histogram].timestamp
                      : &batch->timestamps[series->first_sample];
    *explicit_time = *at != SCRAPE_NO_TIMESTAMP && t->rules->job->honor_timestamps;
    if (!*explicit_time)
        *at = t->rules->at_ms;
    for (uint32_t i = 0; i < series->exemplar_count; i++) {
        struct dist_exemplar *exemplar = &batch->exemplars[series->first_exemplar + i];
        if (exemplar->timestamp == SCRAPE_NO_TIMESTAMP)
            exemplar->timestamp = *at;
    }
}

static void count_against_limit(struct taking *t, const struct dist_series *series)
{
    int64_t limit = t->rules->job->sample_limit;
    if (limit == 0)
        return;
    bool stale =
        series->histogram_count > 0
            ? nx_histogram_is_stale(t->batch->histograms[series->first_histogram].histogram)
            : t->batch->value_bits[series->first_sample] == NX_STALE_NAN_BITS;
    if (stale)
        return;
    t->over_limit |= ++t->limited > (size_t)limit;
}

/* The resolution that the job asks for, and its limit of buckets. */
static enum nx_err limit_histogram(struct taking *t, const struct dist_series *series)
{
    const struct scrape_job *job = t->rules->job;
    struct nx_histogram *h = t->batch->histograms[series->first_histogram].histogram;
    enum nx_err err = NX_OK;
    if (job->histogram_max_schema < SCRAPE_SCHEMA_ANY)
        err = dist_histogram_limit_schema(&t->batch->arena, h, job->histogram_max_schema);
    if (!err && job->histogram_bucket_limit > 0)
        err =
            dist_histogram_limit_buckets(&t->batch->arena, h, (size_t)job->histogram_bucket_limit);
    if (err == NX_ERR_LIMIT)
        return nx_fail_set(t->fail, NX_ERR_INVALID, "histogram bucket limit exceeded");
    return err;
}

/* *stored: the sample stays in the batch. */
static enum nx_err take_series(struct taking *t, struct dist_series *series, bool *stored)
{
    struct nx_label *exposed = (struct nx_label *)(uintptr_t)series->raw_labels.ptr;
    size_t count = series->raw_labels.len / sizeof *exposed;
    bool explicit_time = false;
    *stored = false;
    t->counts->scraped++;
    sort_labels(exposed, count);
    enum nx_err err = check_unique(t, exposed, count);
    if (err)
        return err;
    struct nx_hash128 key = dist_plain_format.hash(t->batch, series->raw_labels);
    struct entry *entry = find(t->cache, key);
    bool known = entry != NULL;
    if (!known)
        err = learn(t, key, exposed, count, &entry);
    if (err)
        return err;
    bool again = known && entry->seen == t->cache->scrape;
    entry->seen = t->cache->scrape;
    entry->histogram = series->histogram_count > 0;
    if (!entry->labels)
        return NX_OK;
    if (entry->histogram)
        err = limit_histogram(t, series);
    if (err)
        return err;
    set_times(t, series, &explicit_time);
    bool duplicate = again && !explicit_time;
    if (!duplicate)
        count_against_limit(t, series);
    entry->current |= !explicit_time || t->rules->job->track_timestamps_staleness;
    t->counts->kept++;
    t->counts->added += !known && !t->over_limit;
    if (duplicate)
        return NX_OK;
    *stored = true;
    return lend_labels(entry, t->batch, series);
}

enum nx_err scrape_samples_take(struct scrape_cache *cache, const struct scrape_rules *rules,
                                struct dist_batch *batch, struct scrape_counts *counts,
                                struct nx_fail *fail)
{
    struct taking t = {
        .cache = cache, .rules = rules, .batch = batch, .counts = counts, .fail = fail};
    size_t kept = 0;
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < batch->series_count && !err; i++) {
        bool stored = false;
        if (batch->series[i].sample_count == 0 && batch->series[i].histogram_count == 0)
            continue; /* the line at which decoding failed */
        err = take_series(&t, &batch->series[i], &stored);
        if (!err && stored)
            batch->series[kept++] = batch->series[i];
    }
    batch->series_count = kept;
    if (!err && t.over_limit)
        return nx_fail_set(fail, NX_ERR_INVALID, "sample limit exceeded");
    return err;
}

/* --- staleness --- */

static enum nx_err add_stale_histogram(struct dist_series *series, int64_t at_ms,
                                       struct dist_batch *batch)
{
    struct dist_histogram *row = NULL;
    struct nx_histogram *h = nx_arena_calloc(&batch->arena, 1, sizeof *h);
    if (!h)
        return NX_ERR_NOMEM;
    enum nx_err err = dist_batch_add_histogram(batch, &row);
    if (err)
        return err;
    h->integer = true;
    h->sum = nx_double_from_bits(NX_STALE_NAN_BITS);
    row->timestamp = at_ms;
    row->histogram = h;
    series->histogram_count = 1;
    return NX_OK;
}

static enum nx_err add_marker(const struct entry *entry, int64_t at_ms, struct dist_batch *batch)
{
    struct dist_series *series = NULL;
    enum nx_err err = dist_batch_add_series(batch, &series);
    if (!err)
        err = lend_labels(entry, batch, series);
    if (err)
        return err;
    series->first_sample = (uint32_t)batch->sample_count;
    series->first_histogram = (uint32_t)batch->histogram_count;
    series->first_exemplar = (uint32_t)batch->exemplar_count;
    if (entry->histogram)
        return add_stale_histogram(series, at_ms, batch);
    series->sample_count = 1;
    return dist_batch_add_sample(batch, at_ms, NX_STALE_NAN_BITS);
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* The hashes of what this scrape makes, sorted: an orphan among them goes on under the new rules.
 */
static enum nx_err list_current(const struct scrape_cache *cache, uint64_t **out, size_t *count)
{
    uint64_t *hashes = nx_alloc_array(cache->count + 1, sizeof *hashes);
    size_t n = 0;
    if (!hashes)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < cache->count; i++)
        if (cache->entries[i].current)
            hashes[n++] = cache->entries[i].final_hash;
    qsort(hashes, n, sizeof *hashes, compare_hashes);
    *out = hashes;
    *count = n;
    return NX_OK;
}

enum nx_err scrape_samples_mark_stale(struct scrape_cache *cache, int64_t at_ms,
                                      struct dist_batch *batch)
{
    uint64_t *now = NULL;
    size_t now_count = 0;
    enum nx_err err = cache->has_orphans ? list_current(cache, &now, &now_count) : NX_OK;
    batch->format = &dist_plain_format;
    for (size_t i = 0; i < cache->count && !err; i++) {
        const struct entry *entry = &cache->entries[i];
        if (!entry->previous || entry->current)
            continue;
        if (entry->orphan && now_count > 0 &&
            bsearch(&entry->final_hash, now, now_count, sizeof *now, compare_hashes))
            continue;
        err = add_marker(entry, at_ms, batch);
    }
    nx_free(now);
    return err;
}

void scrape_samples_end(struct scrape_cache *cache, bool whole)
{
    bool flush = whole || cache->count > cache->whole_count * 2 + FLUSH_SLACK;
    if (flush)
        remove_unseen(cache);
    if (whole) {
        cache->whole_count = cache->count;
        cache->has_orphans = false;
    }
    for (size_t i = 0; i < cache->count; i++) {
        struct entry *entry = &cache->entries[i];
        entry->previous = entry->current;
        entry->current = false;
    }
    cache->scrape++;
}
