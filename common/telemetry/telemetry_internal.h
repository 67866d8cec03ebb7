/* The registry's layout, shared by its files and nobody else. */
#ifndef NX_TELEMETRY_TELEMETRY_INTERNAL_H
#define NX_TELEMETRY_TELEMETRY_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/telemetry/telemetry.h"

/* Cells of a slot: a counter or gauge has one, the bits of its double; a histogram has one count a
 * bucket (the last is +Inf, not cumulative), then the bits of the sum. */
struct nx_metrics {
    struct nx_metrics *next;
    const struct nx_metric_desc *descs;
    size_t count;
    char *constant_label; /* NULL: none */
    char *constant_value;
    size_t *first_cell; /* of each family */
    size_t *slots;      /* of each family */
    atomic_uint_fast64_t *cells;
};

struct family {
    const struct nx_metric_desc *desc;
    const struct nx_metrics *metrics;
    size_t id;
};

struct collector {
    nx_telemetry_collect collect;
    void *user;
};

struct nx_telemetry {
    pthread_mutex_t lock; /* one exposition at a time */
    struct nx_metrics *instances;
    struct family *families; /* by name, then in order of registration */
    size_t family_count;
    size_t family_capacity;
    struct collector *collectors;
    size_t collector_count;
    size_t collector_capacity;
};

static inline uint64_t nx_double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline double nx_bits_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline double nx_cell_double(const atomic_uint_fast64_t *cell)
{
    return nx_bits_double(atomic_load_explicit(cell, memory_order_relaxed));
}

static inline size_t nx_metric_cells(const struct nx_metric_desc *desc)
{
    return desc->kind == NX_HISTOGRAM ? desc->bucket_count + 2 : 1;
}

#endif
