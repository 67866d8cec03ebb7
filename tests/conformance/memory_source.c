/* Series are arrays of samples in one arena that lives until the next clear. Each series also keeps
 * what Prometheus's open chunk would know, to decide with every histogram whether it would begin a
 * new chunk: the first histogram of a chunk reads back with an unknown hint, the others as "not
 * reset". */
#include "tests/conformance/memory_source.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "querier/promql/histogram_math.h"

/* The test storage's chunk range: chunks end at whole days. */
#define CHUNK_RANGE_MS INT64_C(86400000)

struct memory_series {
    struct nx_labels labels;
    struct nx_sample *samples;
    size_t count;
    size_t capacity;
    int64_t chunk_end; /* of the open histogram chunk */
};

struct memory_source {
    struct qry_source source;
    struct nx_arena arena;
    struct memory_series **series;
    size_t count;
    size_t capacity;
};

struct memory_iter {
    struct nx_sample_iter base;
    const struct nx_sample *next;
    const struct nx_sample *end;
};

static int iter_next(struct nx_sample_iter *base, struct nx_sample *out)
{
    struct memory_iter *it = (struct memory_iter *)base;
    if (it->next == it->end)
        return 0;
    *out = *it->next++;
    return 1;
}

static int iter_seek(struct nx_sample_iter *base, int64_t t, struct nx_sample *out)
{
    struct memory_iter *it = (struct memory_iter *)base;
    while (it->next != it->end && it->next->t < t)
        it->next++;
    return iter_next(base, out);
}

static void iter_free(struct nx_sample_iter *base)
{
    nx_free(base);
}

static const struct nx_sample_iter_ops iter_ops = {iter_next, iter_seek, iter_free};

static enum nx_err source_open(struct qry_source *source, const struct qry_series *series,
                               int64_t min_t, int64_t max_t, struct nx_sample_iter **out)
{
    (void)source;
    const struct memory_series *s = series->data;
    struct memory_iter *it = nx_calloc(1, sizeof *it);
    if (!it)
        return NX_ERR_NOMEM;
    size_t first = 0, last = s->count;
    while (first < last && s->samples[first].t < min_t)
        first++;
    while (last > first && s->samples[last - 1].t > max_t)
        last--;
    it->base.ops = &iter_ops;
    it->next = s->samples + first;
    it->end = s->samples + last;
    *out = &it->base;
    return NX_OK;
}

static int by_labels(const void *a, const void *b)
{
    const struct qry_series *x = a, *y = b;
    return nx_labels_cmp(x->labels, y->labels);
}

static bool overlaps(const struct memory_series *s, const struct qry_select *select)
{
    return s->count > 0 && s->samples[0].t <= select->max_t &&
           s->samples[s->count - 1].t >= select->min_t;
}

static enum nx_err source_select(struct qry_source *source, const struct qry_select *select,
                                 struct qry_series **series, size_t *count, struct nx_fail *fail)
{
    (void)fail;
    struct memory_source *memory = (struct memory_source *)source;
    struct qry_series *found = nx_arena_array(&memory->arena, memory->count + 1, sizeof *found);
    if (!found)
        return NX_ERR_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < memory->count; i++) {
        struct memory_series *s = memory->series[i];
        if (overlaps(s, select) &&
            nx_matchers_match(select->matchers, select->matcher_count, s->labels))
            found[n++] = (struct qry_series){.labels = s->labels, .data = s};
    }
    qsort(found, n, sizeof *found, by_labels);
    *series = found;
    *count = n;
    return NX_OK;
}

static const struct qry_source_ops source_ops = {source_select, source_open};

enum nx_err memory_source_new(struct memory_source **out)
{
    struct memory_source *memory = nx_calloc(1, sizeof *memory);
    if (!memory)
        return NX_ERR_NOMEM;
    memory->source.ops = &source_ops;
    nx_arena_init(&memory->arena, 0);
    *out = memory;
    return NX_OK;
}

void memory_source_clear(struct memory_source *memory)
{
    nx_arena_clear(&memory->arena);
    memory->series = NULL;
    memory->count = memory->capacity = 0;
}

void memory_source_free(struct memory_source *memory)
{
    if (!memory)
        return;
    nx_arena_release(&memory->arena);
    nx_free(memory);
}

struct qry_source *memory_source_as_source(struct memory_source *memory)
{
    return &memory->source;
}

static struct memory_series *series_of(struct memory_source *memory, struct nx_labels labels)
{
    for (size_t i = 0; i < memory->count; i++)
        if (nx_labels_eq(memory->series[i]->labels, labels))
            return memory->series[i];
    struct memory_series *s = nx_arena_calloc(&memory->arena, 1, sizeof *s);
    if (!s || !nx_arena_grow(&memory->arena, &memory->series, memory->count, &memory->capacity,
                             memory->count + 1, sizeof(struct memory_series *)))
        return NULL;
    s->labels = nx_labels_copy(&memory->arena, labels);
    if (labels.count > 0 && !s->labels.items)
        return NULL;
    memory->series[memory->count++] = s;
    return s;
}

/* Whether Prometheus would begin a new chunk with this histogram. */
static bool begins_chunk(const struct memory_series *s, struct nx_arena *arena,
                         const struct nx_sample *sample)
{
    const struct nx_sample *last = s->count > 0 ? &s->samples[s->count - 1] : NULL;
    const struct nx_histogram *h = sample->histogram;
    if (!last || !last->histogram || sample->t >= s->chunk_end)
        return true;
    const struct nx_histogram *prev = last->histogram;
    if (nx_histogram_is_stale(h))
        return false;
    if (nx_histogram_is_stale(prev) || h->hint == NX_HINT_RESET)
        return true;
    if ((h->hint == NX_HINT_GAUGE) != (prev->hint == NX_HINT_GAUGE))
        return true;
    if (h->schema != prev->schema || h->zero_threshold != prev->zero_threshold ||
        h->custom_count != prev->custom_count)
        return true;
    for (size_t i = 0; i < h->custom_count; i++)
        if (h->custom_bounds[i] != prev->custom_bounds[i])
            return true;
    if (h->hint == NX_HINT_GAUGE)
        return false;
    struct nx_histogram plain = *h;
    plain.hint = NX_HINT_UNKNOWN;
    return qry_histogram_is_reset(arena, &plain, prev);
}

static enum nx_err put_histogram(struct memory_source *memory, struct memory_series *s,
                                 struct nx_sample *sample, struct nx_fail *fail)
{
    bool stale = nx_histogram_is_stale(sample->histogram);
    enum nx_err err = stale ? NX_OK : nx_histogram_validate(sample->histogram, fail);
    if (err)
        return err;
    struct nx_histogram *copy = nx_histogram_copy(&memory->arena, sample->histogram);
    if (!copy)
        return NX_ERR_NOMEM;
    if (begins_chunk(s, &memory->arena, sample)) {
        int64_t day = sample->t / CHUNK_RANGE_MS - (sample->t % CHUNK_RANGE_MS < 0);
        s->chunk_end = (day + 1) * CHUNK_RANGE_MS;
        if (copy->hint != NX_HINT_GAUGE)
            copy->hint = NX_HINT_UNKNOWN;
    } else if (copy->hint != NX_HINT_GAUGE) {
        copy->hint = NX_HINT_NOT_RESET;
    }
    sample->histogram = copy;
    return NX_OK;
}

enum nx_err memory_source_append(struct memory_source *memory, struct nx_labels labels,
                                 const struct nx_sample *sample, struct nx_fail *fail)
{
    struct memory_series *s = series_of(memory, labels);
    if (!s)
        return NX_ERR_NOMEM;
    const struct nx_sample *last = s->count > 0 ? &s->samples[s->count - 1] : NULL;
    if (last && sample->t < last->t)
        return nx_fail_set(fail, NX_ERR_OUT_OF_ORDER, "out of order sample");
    if (last && sample->t == last->t)
        return nx_fail_set(fail, NX_ERR_CONFLICT, "duplicate sample for timestamp");
    struct nx_sample put = *sample;
    /* the end of a series takes the type of what it ends */
    struct nx_histogram stale = {.sum = sample->value};
    if (!put.histogram && nx_is_stale(put.value) && last && last->histogram) {
        stale.hint = last->histogram->hint == NX_HINT_GAUGE ? NX_HINT_GAUGE : NX_HINT_UNKNOWN;
        stale.schema = last->histogram->schema;
        put.histogram = &stale;
    }
    if (put.histogram) {
        enum nx_err err = put_histogram(memory, s, &put, fail);
        if (err)
            return err;
    }
    if (!nx_arena_grow(&memory->arena, &s->samples, s->count, &s->capacity, s->count + 1,
                       sizeof *s->samples))
        return NX_ERR_NOMEM;
    s->samples[s->count++] = put;
    return NX_OK;
}
