/* A heap of open sources by the time of their current sample. A sample that was handed out stays
 * current in its sources until the next call, because a histogram is valid only as long as its
 * iterator stands still; then all sources at that time move on. Chunks wait, sorted by their first
 * time, until the heap has come to it.
 *
 * A source is "in step" when the sample before its current one is what was handed out last: only
 * then does its reset hint speak about that sample. */
#include "common/chunk/merge.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/chunk/merge_internal.h"

struct source {
    struct nx_sample_iter *it;
    struct nx_sample sample;
    int64_t step_t; /* the time of the sample before, where `matched` */
    bool matched;   /* that one was the same as what was handed out for its time */
};

struct merge_iter {
    struct nx_sample_iter base;
    struct source *heap;
    size_t count;
    size_t capacity;
    struct nx_sample_iter **fresh; /* given, not yet read */
    size_t fresh_count;
    struct nx_chunk *chunks; /* by min_t */
    size_t chunk_count;
    size_t next_chunk;
    int64_t from; /* nothing before it is wanted */
    int64_t max_t;
    bool emitted;
    struct nx_sample last;      /* where emitted */
    struct nx_histogram hinted; /* last.histogram where its hint was taken away */
    int ended; /* 1 while samples come; then what next returns for ever: 0 or an error */
};

/* --- the heap --- */

static void sift_down(struct merge_iter *m, size_t i)
{
    struct source moving = m->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= m->count)
            break;
        if (child + 1 < m->count && m->heap[child + 1].sample.t < m->heap[child].sample.t)
            child++;
        if (m->heap[child].sample.t >= moving.sample.t)
            break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = moving;
}

static void sift_up(struct merge_iter *m, size_t i)
{
    struct source moving = m->heap[i];
    while (i > 0 && m->heap[(i - 1) / 2].sample.t > moving.sample.t) {
        m->heap[i] = m->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heap[i] = moving;
}

/* Takes the iterator, which stands on `sample`. */
static enum nx_err push(struct merge_iter *m, struct nx_sample_iter *it, struct nx_sample sample)
{
    enum nx_err err = nx_grow(&m->heap, &m->capacity, m->count + 1, sizeof *m->heap);
    if (err != NX_OK) {
        nx_sample_iter_free(it);
        return err;
    }
    m->heap[m->count] = (struct source){.it = it, .sample = sample};
    sift_up(m, m->count++);
    return NX_OK;
}

/* The top has moved: `got` as its iterator returned. */
static enum nx_err settle_top(struct merge_iter *m, int got)
{
    if (got < 0)
        return (enum nx_err)got;
    if (got == 0) {
        nx_sample_iter_free(m->heap[0].it);
        m->heap[0] = m->heap[--m->count];
    }
    if (m->count > 0)
        sift_down(m, 0);
    return NX_OK;
}

/* --- opening --- */

/* Reads the first sample that is wanted and puts the iterator into the heap, or frees it. */
static enum nx_err admit(struct merge_iter *m, struct nx_sample_iter *it)
{
    struct nx_sample sample;
    int got = nx_sample_seek(it, m->from, &sample);
    if (got > 0)
        return push(m, it, sample);
    nx_sample_iter_free(it);
    return (enum nx_err)got;
}

static enum nx_err admit_fresh(struct merge_iter *m)
{
    while (m->fresh_count > 0) {
        enum nx_err err = admit(m, m->fresh[--m->fresh_count]);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err open_chunk(struct merge_iter *m, const struct nx_chunk *chunk)
{
    if (chunk->max_t < m->from)
        return NX_OK;
    struct nx_sample_iter *it;
    struct nx_sample first;
    enum nx_err err = nx_chunk_iter_new(chunk->encoding, chunk->data, &it);
    if (err != NX_OK)
        return err == NX_ERR_INVALID ? NX_ERR_CORRUPT : err;
    int got = nx_sample_next(it, &first);
    if (got > 0 && first.t == chunk->min_t)
        return first.t >= m->from ? push(m, it, first) : admit(m, it);
    nx_sample_iter_free(it);
    return got < 0 ? (enum nx_err)got : NX_ERR_CORRUPT;
}

/* Opens what may hold the next sample. */
static enum nx_err open_due(struct merge_iter *m)
{
    enum nx_err err = admit_fresh(m);
    while (err == NX_OK && m->next_chunk < m->chunk_count) {
        const struct nx_chunk *chunk = &m->chunks[m->next_chunk];
        if (m->count > 0 && chunk->min_t > m->heap[0].sample.t)
            break;
        m->next_chunk++;
        err = open_chunk(m, chunk);
    }
    return err;
}

/* --- choosing --- */

static bool in_step(const struct merge_iter *m, const struct source *s)
{
    return m->emitted && s->matched && s->step_t == m->last.t;
}

/* The better of `best` and what stands at the same time in the heap below `i`. Of copies with the
 * same data one in step is taken. */
static const struct source *better(const struct merge_iter *m, size_t i, const struct source *best)
{
    if (i >= m->count || m->heap[i].sample.t != best->sample.t)
        return best;
    const struct source *s = &m->heap[i];
    if (s != best) {
        int order = nx_sample_compare_data(&s->sample, &best->sample);
        if (order == 0)
            order = in_step(m, s) - in_step(m, best);
        if (order == 0)
            order = nx_sample_precedence(&s->sample, &best->sample);
        if (order > 0)
            best = s;
    }
    best = better(m, 2 * i + 1, best);
    return better(m, 2 * i + 2, best);
}

static int emit(struct merge_iter *m, struct nx_sample *out)
{
    enum nx_err err = open_due(m);
    if (err != NX_OK)
        return m->ended = (int)err;
    if (m->count == 0 || m->heap[0].sample.t > m->max_t)
        return m->ended = 0;
    const struct source *best = m->count == 1 ? &m->heap[0] : better(m, 0, &m->heap[0]);
    bool keep_hint = in_step(m, best);
    m->last = best->sample;
    if (m->last.histogram && !keep_hint && m->last.histogram->hint != NX_HINT_GAUGE) {
        m->hinted = *m->last.histogram;
        m->hinted.hint = NX_HINT_UNKNOWN;
        m->last.histogram = &m->hinted;
    }
    m->emitted = true;
    *out = m->last;
    return 1;
}

/* Notes which sources hold what was handed out last. To be done before any of them moves, since
 * that sample lies in one of them. */
static void mark_steps(struct merge_iter *m, size_t i)
{
    if (i >= m->count || m->heap[i].sample.t != m->last.t)
        return;
    m->heap[i].step_t = m->last.t;
    m->heap[i].matched = nx_sample_compare_data(&m->heap[i].sample, &m->last) == 0;
    mark_steps(m, 2 * i + 1);
    mark_steps(m, 2 * i + 2);
}

/* Moves every source that stands on the sample handed out last. */
static enum nx_err pass_last(struct merge_iter *m)
{
    if (m->last.histogram)
        mark_steps(m, 0);
    while (m->count > 0 && m->heap[0].sample.t <= m->last.t) {
        enum nx_err err = settle_top(m, nx_sample_next(m->heap[0].it, &m->heap[0].sample));
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

/* --- the iterator --- */

static int merge_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    struct merge_iter *m = (struct merge_iter *)it;
    if (m->ended <= 0)
        return m->ended;
    enum nx_err err = m->emitted ? pass_last(m) : NX_OK;
    if (err != NX_OK)
        return m->ended = (int)err;
    return emit(m, out);
}

static int merge_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    struct merge_iter *m = (struct merge_iter *)it;
    if (m->ended <= 0)
        return m->ended;
    if (m->emitted && m->last.t >= t) {
        *out = m->last;
        return 1;
    }
    if (t > m->from)
        m->from = t;
    if (m->emitted && m->last.histogram)
        mark_steps(m, 0);
    while (m->count > 0 && m->heap[0].sample.t < t) {
        struct source *top = &m->heap[0];
        /* in step only where the very next sample is the one sought */
        int got = nx_sample_next(top->it, &top->sample);
        if (got > 0 && top->sample.t < t) {
            top->matched = false;
            got = nx_sample_seek(top->it, t, &top->sample);
        }
        enum nx_err err = settle_top(m, got);
        if (err != NX_OK)
            return m->ended = (int)err;
    }
    return emit(m, out);
}

static void merge_free(struct nx_sample_iter *it)
{
    struct merge_iter *m = (struct merge_iter *)it;
    for (size_t i = 0; i < m->count; i++)
        nx_sample_iter_free(m->heap[i].it);
    for (size_t i = 0; i < m->fresh_count; i++)
        nx_sample_iter_free(m->fresh[i]);
    nx_free(m->heap);
    nx_free(m->fresh);
    nx_free(m->chunks);
    nx_free(m);
}

static struct merge_iter *merge_new(int64_t min_t, int64_t max_t)
{
    static const struct nx_sample_iter_ops ops = {
        .next = merge_next, .seek = merge_seek, .free = merge_free};
    struct merge_iter *m = nx_calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->base.ops = &ops;
    m->from = min_t;
    m->max_t = max_t;
    m->ended = 1;
    return m;
}

enum nx_err nx_merge_iter_new(struct nx_sample_iter **iters, size_t count,
                              struct nx_sample_iter **out)
{
    if (count == 1) {
        *out = iters[0];
        return NX_OK;
    }
    struct merge_iter *m = merge_new(INT64_MIN, INT64_MAX);
    if (m)
        m->fresh = nx_alloc_array(count, sizeof(struct nx_sample_iter *));
    if (!m || !m->fresh) {
        nx_free(m);
        for (size_t i = 0; i < count; i++)
            nx_sample_iter_free(iters[i]);
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++)
        m->fresh[i] = iters[i];
    m->fresh_count = count;
    *out = &m->base;
    return NX_OK;
}

/* --- chunks --- */

static int compare_chunks(const void *left, const void *right)
{
    const struct nx_chunk *a = left;
    const struct nx_chunk *b = right;
    if (a->min_t != b->min_t)
        return a->min_t < b->min_t ? -1 : 1;
    if (a->max_t != b->max_t)
        return a->max_t < b->max_t ? -1 : 1;
    if (a->encoding != b->encoding)
        return a->encoding < b->encoding ? -1 : 1;
    return a->data.ptr == b->data.ptr && a->data.len == b->data.len ? 0
                                                                    : nx_view_cmp(a->data, b->data);
}

static bool is_wanted(const struct nx_chunk *chunk, int64_t min_t, int64_t max_t)
{
    return chunk->count > 0 && chunk->max_t >= min_t && chunk->min_t <= max_t;
}

static size_t drop_repeated(struct nx_chunk *chunks, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || compare_chunks(&chunks[kept - 1], &chunks[i]) != 0)
            chunks[kept++] = chunks[i];
    return kept;
}

enum nx_err nx_chunks_iter_new(const struct nx_chunk *chunks, size_t count, int64_t min_t,
                               int64_t max_t, struct nx_sample_iter **out)
{
    struct merge_iter *m = merge_new(min_t, max_t);
    if (!m)
        return NX_ERR_NOMEM;
    m->chunks = nx_alloc_array(count, sizeof *m->chunks);
    if (!m->chunks) {
        nx_free(m);
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++)
        if (is_wanted(&chunks[i], min_t, max_t))
            m->chunks[m->chunk_count++] = chunks[i];
    if (m->chunk_count > 1) {
        qsort(m->chunks, m->chunk_count, sizeof *m->chunks, compare_chunks);
        m->chunk_count = drop_repeated(m->chunks, m->chunk_count);
    }
    *out = &m->base;
    return NX_OK;
}
