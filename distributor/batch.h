/* A write request as columns, the form every receive format decodes into and the push works on.
 *
 * Labels stay in the form in which they came until somebody needs them, so that a known series
 * costs no parsing: the batch's format reads them.
 *
 * A batch owns the decoded body that its views alias, an arena for what is made of it, and the
 * columns. It is used for one request and cleared for the next; one thread at a time. */
#ifndef DIST_BATCH_H
#define DIST_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/chunk/histogram.h"
#include "common/labels/labels.h"
#include "common/labels/series_id.h"
#include "distributor/limits.h"

#define DIST_NO_REF UINT32_MAX

struct dist_batch;

/* How a wire format writes the labels of a series or an exemplar. */
struct dist_label_format {
    /* The labels of `raw`, in the order they came, in an array of the arena. At most `max` are
     * taken, *count says how many there are. NX_ERR_INVALID (`fail` may be NULL) or NX_ERR_NOMEM.
     */
    enum nx_err (*read)(const struct dist_batch *batch, struct nx_view raw, struct nx_arena *arena,
                        size_t max, struct nx_label **labels, size_t *count, struct nx_fail *fail);
    /* A hash that differs wherever the labels differ, over requests too. */
    struct nx_hash128 (*hash)(const struct dist_batch *batch, struct nx_view raw);
};

/* One TimeSeries of the request; two of them may describe the same series. */
struct dist_series {
    struct nx_view raw_labels; /* as the format wrote them */
    bool cacheable;            /* raw_labels is a key for the cache */
    const char *broken;        /* the format's reason why it is to be refused, or NULL */
    bool refused;              /* nothing of it is pushed */
    uint32_t label_count;      /* fields, empty values included */
    uint32_t first_sample, sample_count;
    uint32_t first_histogram, histogram_count;
    uint32_t first_exemplar, exemplar_count;
    /* Filled when the series is resolved: */
    struct nx_series_id id;
    struct nx_hash128 cache_key;
    uint32_t cache_ref;       /* DIST_NO_REF: not cached */
    struct nx_view canonical; /* labels as nx_labels_encode writes them; ptr NULL until needed */
};

struct dist_histogram {
    int64_t timestamp;
    struct nx_histogram *histogram; /* in the arena */
    struct nx_view encoded;         /* ptr NULL until resolved */
};

struct dist_exemplar {
    int64_t timestamp;
    uint64_t value_bits;
    struct nx_view raw_labels; /* as the format wrote them */
    const char *broken;        /* as of a series */
    struct nx_view canonical;  /* as of a series, once resolved */
};

struct dist_metadata {
    struct nx_view metric;
    struct nx_view help;
    struct nx_view unit;
    uint32_t type;
    bool refused;
};

/* A string that labels of the request refer to by its number. */
struct dist_symbol {
    struct nx_view text;
    struct nx_hash128 hash;
};

struct dist_batch {
    const struct dist_label_format *format;
    struct dist_limits limits; /* under which it was resolved */
    bool strict_exemplars;     /* one whose series has never had a sample fails the request */
    char *body;                /* nx_free */
    size_t body_len;
    struct nx_arena arena;
    struct dist_series *series;
    size_t series_count, series_capacity;
    int64_t *timestamps; /* a sample: timestamps[i], value_bits[i] */
    size_t timestamp_capacity;
    uint64_t *value_bits;
    size_t value_capacity;
    size_t sample_count;
    struct dist_histogram *histograms;
    size_t histogram_count, histogram_capacity;
    struct dist_exemplar *exemplars;
    size_t exemplar_count, exemplar_capacity;
    struct dist_metadata *metadata;
    size_t metadata_count, metadata_capacity;
    struct dist_symbol *symbols; /* of formats that have them; in the arena */
    size_t symbol_count;
};

void dist_batch_init(struct dist_batch *batch);
void dist_batch_release(struct dist_batch *batch);
/* Ready for the next request. Keeps memory up to `keep_bytes` of columns. */
void dist_batch_clear(struct dist_batch *batch, size_t keep_bytes);
/* Memory that this request takes: body, arena, and its part of the columns. */
size_t dist_batch_memory_bytes(const struct dist_batch *batch);

enum nx_err dist_batch_add_series(struct dist_batch *batch,
                                  struct dist_series **out) NX_WARN_UNUSED;
enum nx_err dist_batch_add_sample(struct dist_batch *batch, int64_t timestamp,
                                  uint64_t value_bits) NX_WARN_UNUSED;
enum nx_err dist_batch_add_histogram(struct dist_batch *batch,
                                     struct dist_histogram **out) NX_WARN_UNUSED;
enum nx_err dist_batch_add_exemplar(struct dist_batch *batch,
                                    struct dist_exemplar **out) NX_WARN_UNUSED;
enum nx_err dist_batch_add_metadata(struct dist_batch *batch,
                                    struct dist_metadata **out) NX_WARN_UNUSED;

static inline bool dist_series_is_empty(const struct dist_series *s)
{
    return s->sample_count == 0 && s->histogram_count == 0 && s->exemplar_count == 0;
}

#endif
