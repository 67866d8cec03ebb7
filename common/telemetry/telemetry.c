/* An instance keeps all its cells in one array, so that an update is two table look-ups and an
 * atomic. Doubles are added by compare-and-swap on their bits. A histogram's count is not kept: it
 * is the sum of its buckets, so the two never disagree in an exposition. */
#include "common/telemetry/telemetry.h"

#include <assert.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/telemetry/telemetry_internal.h"

const double nx_latency_buckets[NX_LATENCY_BUCKETS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
const size_t nx_latency_bucket_count = NX_LATENCY_BUCKETS;

enum nx_err nx_telemetry_new(struct nx_telemetry **out)
{
    struct nx_telemetry *telemetry = nx_calloc(1, sizeof(*telemetry));
    if (!telemetry) {
        return NX_ERR_NOMEM;
    }
    pthread_mutex_init(&telemetry->lock, NULL);
    *out = telemetry;
    return NX_OK;
}

static void metrics_free(struct nx_metrics *metrics)
{
    if (metrics) {
        nx_free(metrics->constant_label);
        nx_free(metrics->constant_value);
        nx_free(metrics->first_cell);
        nx_free(metrics->slots);
        nx_free(metrics->cells);
        nx_free(metrics);
    }
}

void nx_telemetry_free(struct nx_telemetry *telemetry)
{
    if (!telemetry) {
        return;
    }
    while (telemetry->instances) {
        struct nx_metrics *metrics = telemetry->instances;
        telemetry->instances = metrics->next;
        metrics_free(metrics);
    }
    nx_free(telemetry->families);
    nx_free(telemetry->collectors);
    pthread_mutex_destroy(&telemetry->lock);
    nx_free(telemetry);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static size_t slots_of(const struct nx_metric_desc *desc)
{
    size_t count = 0;
    if (!desc->label) {
        return 1;
    }
    while (desc->values[count]) {
        count++;
    }
    return count;
}

/* NX_ERR_EXISTS where a family of this name is another kind, or already has series of these labels.
 */
static enum nx_err check_families(const struct nx_telemetry *telemetry,
                                  const struct nx_metric_desc *descs, size_t count,
                                  const char *constant_label, const char *constant_value)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < telemetry->family_count; k++) {
            const struct family *family = &telemetry->families[k];
            if (strcmp(family->desc->name, descs[i].name) != 0) {
                continue;
            }
            if (family->desc->kind != descs[i].kind ||
                (same_text(family->metrics->constant_label, constant_label) &&
                 same_text(family->metrics->constant_value, constant_value))) {
                return NX_ERR_EXISTS;
            }
        }
    }
    return NX_OK;
}

static enum nx_err copy_text(const char *text, char **out)
{
    if (text) {
        *out = nx_strdup(text);
        return *out ? NX_OK : NX_ERR_NOMEM;
    }
    return NX_OK;
}

static enum nx_err metrics_new(const struct nx_metric_desc *descs, size_t count,
                               const char *constant_label, const char *constant_value,
                               struct nx_metrics **out)
{
    struct nx_metrics *metrics = nx_calloc(1, sizeof(*metrics));
    if (!metrics) {
        return NX_ERR_NOMEM;
    }
    enum nx_err err = NX_ERR_NOMEM;
    size_t cells = 0;
    metrics->descs = descs;
    metrics->count = count;
    metrics->first_cell = nx_alloc_array(count, sizeof(*metrics->first_cell));
    metrics->slots = nx_alloc_array(count, sizeof(*metrics->slots));
    if (!metrics->first_cell || !metrics->slots ||
        copy_text(constant_label, &metrics->constant_label) != NX_OK ||
        copy_text(constant_value, &metrics->constant_value) != NX_OK) {
        goto fail;
    }
    for (size_t i = 0; i < count; i++) {
        metrics->first_cell[i] = cells;
        metrics->slots[i] = slots_of(&descs[i]);
        cells += metrics->slots[i] * nx_metric_cells(&descs[i]);
    }
    metrics->cells = nx_calloc(cells, sizeof(*metrics->cells));
    if (!metrics->cells) {
        goto fail;
    }
    *out = metrics;
    return NX_OK;
fail:
    metrics_free(metrics);
    return err;
}

static void insert_family(struct nx_telemetry *telemetry, const struct nx_metrics *metrics,
                          size_t id)
{
    const struct nx_metric_desc *desc = &metrics->descs[id];
    size_t at = telemetry->family_count;
    while (at > 0 && strcmp(telemetry->families[at - 1].desc->name, desc->name) > 0) {
        telemetry->families[at] = telemetry->families[at - 1];
        at--;
    }
    telemetry->families[at] = (struct family){.desc = desc, .metrics = metrics, .id = id};
    telemetry->family_count++;
}

static struct nx_metrics *find_instance(const struct nx_telemetry *telemetry,
                                        const struct nx_metric_desc *descs,
                                        const char *constant_label, const char *constant_value)
{
    for (struct nx_metrics *m = telemetry->instances; m; m = m->next) {
        if (m->descs == descs && same_text(m->constant_label, constant_label) &&
            same_text(m->constant_value, constant_value)) {
            return m;
        }
    }
    return NULL;
}

static enum nx_err register_locked(struct nx_telemetry *telemetry,
                                   const struct nx_metric_desc *descs, size_t count,
                                   const char *constant_label, const char *constant_value,
                                   struct nx_metrics **out)
{
    struct nx_metrics *metrics = find_instance(telemetry, descs, constant_label, constant_value);
    if (metrics) {
        *out = metrics;
        return NX_OK;
    }
    enum nx_err err = check_families(telemetry, descs, count, constant_label, constant_value);
    if (err != NX_OK) {
        return err;
    }
    err = nx_grow(&telemetry->families, &telemetry->family_capacity,
                  telemetry->family_count + count, sizeof(*telemetry->families));
    if (err == NX_OK) {
        err = metrics_new(descs, count, constant_label, constant_value, &metrics);
    }
    if (err != NX_OK) {
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        assert(descs[i].bucket_count <= NX_METRIC_BUCKETS_MAX);
        insert_family(telemetry, metrics, i);
    }
    metrics->next = telemetry->instances;
    telemetry->instances = metrics;
    *out = metrics;
    return NX_OK;
}

enum nx_err nx_telemetry_register(struct nx_telemetry *telemetry,
                                  const struct nx_metric_desc *descs, size_t count,
                                  const char *constant_label, const char *constant_value,
                                  struct nx_metrics **out)
{
    pthread_mutex_lock(&telemetry->lock);
    enum nx_err err = register_locked(telemetry, descs, count, constant_label, constant_value, out);
    pthread_mutex_unlock(&telemetry->lock);
    return err;
}

enum nx_err nx_telemetry_on_collect(struct nx_telemetry *telemetry, nx_telemetry_collect collect,
                                    void *user)
{
    pthread_mutex_lock(&telemetry->lock);
    enum nx_err err = nx_grow(&telemetry->collectors, &telemetry->collector_capacity,
                              telemetry->collector_count + 1, sizeof(*telemetry->collectors));
    if (err == NX_OK) {
        telemetry->collectors[telemetry->collector_count++] =
            (struct collector){.collect = collect, .user = user};
    }
    pthread_mutex_unlock(&telemetry->lock);
    return err;
}

static void cell_add(atomic_uint_fast64_t *cell, double delta)
{
    uint64_t before = atomic_load_explicit(cell, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(cell, &before,
                                                  nx_double_bits(nx_bits_double(before) + delta),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static atomic_uint_fast64_t *cells_of(const struct nx_metrics *metrics, size_t id, size_t slot)
{
    assert(id < metrics->count && slot < metrics->slots[id]);
    return metrics->cells + metrics->first_cell[id] + slot * nx_metric_cells(&metrics->descs[id]);
}

void nx_metric_add(struct nx_metrics *metrics, size_t id, size_t slot, double delta)
{
    if (metrics) {
        assert(metrics->descs[id].kind != NX_HISTOGRAM);
        cell_add(cells_of(metrics, id, slot), delta);
    }
}

void nx_metric_set(struct nx_metrics *metrics, size_t id, size_t slot, double value)
{
    if (metrics) {
        assert(metrics->descs[id].kind != NX_HISTOGRAM);
        atomic_store_explicit(cells_of(metrics, id, slot), nx_double_bits(value),
                              memory_order_relaxed);
    }
}

void nx_metric_observe(struct nx_metrics *metrics, size_t id, size_t slot, double value)
{
    if (!metrics) {
        return;
    }
    const struct nx_metric_desc *desc = &metrics->descs[id];
    assert(desc->kind == NX_HISTOGRAM);
    atomic_uint_fast64_t *cells = cells_of(metrics, id, slot);
    size_t bucket = 0;
    /* a NaN is in no finite bucket */
    while (bucket < desc->bucket_count && !(value <= desc->buckets[bucket])) {
        bucket++;
    }
    atomic_fetch_add_explicit(&cells[bucket], 1, memory_order_relaxed);
    cell_add(&cells[desc->bucket_count + 1], value);
}

double nx_metric_value(const struct nx_metrics *metrics, size_t id, size_t slot)
{
    if (!metrics) {
        return 0;
    }
    const struct nx_metric_desc *desc = &metrics->descs[id];
    const atomic_uint_fast64_t *cells = cells_of(metrics, id, slot);
    if (desc->kind != NX_HISTOGRAM) {
        return nx_cell_double(cells);
    }
    uint64_t observations = 0;
    for (size_t i = 0; i <= desc->bucket_count; i++) {
        observations += atomic_load_explicit(&cells[i], memory_order_relaxed);
    }
    return (double)observations;
}

/* --- visiting --- */

static void visit_family(const struct family *family,
                         void (*visit)(void *user, const struct nx_metric_sample *sample),
                         void *user)
{
    const struct nx_metrics *metrics = family->metrics;
    const struct nx_metric_desc *desc = family->desc;
    const atomic_uint_fast64_t *cells = metrics->cells + metrics->first_cell[family->id];
    size_t buckets = desc->kind == NX_HISTOGRAM ? desc->bucket_count + 1 : 0;
    uint64_t below[NX_METRIC_BUCKETS_MAX + 1];
    for (size_t slot = 0; slot < metrics->slots[family->id]; slot++) {
        for (size_t i = 0; i < buckets; i++) {
            below[i] = atomic_load_explicit(&cells[i], memory_order_relaxed);
            below[i] += i > 0 ? below[i - 1] : 0;
        }
        struct nx_metric_sample sample = {.desc = desc,
                                          .constant_label = metrics->constant_label,
                                          .constant_value = metrics->constant_value,
                                          .label_value = desc->label ? desc->values[slot] : NULL,
                                          .value = nx_cell_double(&cells[buckets]),
                                          .below = below};
        visit(user, &sample);
        cells += nx_metric_cells(desc);
    }
}

void nx_telemetry_visit(struct nx_telemetry *telemetry,
                        void (*visit)(void *user, const struct nx_metric_sample *sample),
                        void *user)
{
    pthread_mutex_lock(&telemetry->lock);
    for (size_t i = 0; i < telemetry->collector_count; i++) {
        telemetry->collectors[i].collect(telemetry->collectors[i].user);
    }
    for (size_t i = 0; i < telemetry->family_count; i++) {
        visit_family(&telemetry->families[i], visit, user);
    }
    pthread_mutex_unlock(&telemetry->lock);
}
