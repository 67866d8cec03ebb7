#include "querier/api/read_chunks.h"

#include <stdlib.h>

#include "common/chunk/merge.h"

static int by_time(const void *a, const void *b)
{
    const struct nx_chunk *x = a, *y = b;
    if (x->min_t != y->min_t)
        return x->min_t < y->min_t ? -1 : 1;
    if (x->max_t != y->max_t)
        return x->max_t < y->max_t ? -1 : 1;
    if (x->encoding != y->encoding)
        return x->encoding < y->encoding ? -1 : 1;
    return nx_view_cmp(x->data, y->data);
}

void qry_read_chunks_init(struct qry_read_chunks *rc, struct qry_fetched_series *series,
                          int64_t min_t, int64_t max_t)
{
    struct nx_chunk *chunks = series->chunks;
    size_t kept = 0, n = 0;
    for (size_t i = 0; i < series->chunk_count; i++)
        if (chunks[i].count > 0 && chunks[i].min_t <= max_t && chunks[i].max_t >= min_t)
            chunks[kept++] = chunks[i];
    if (kept > 1)
        qsort(chunks, kept, sizeof *chunks, by_time);
    for (size_t i = 0; i < kept; i++)
        if (n == 0 || by_time(&chunks[i], &chunks[n - 1]) != 0)
            chunks[n++] = chunks[i];
    series->chunk_count = n;
    *rc = (struct qry_read_chunks){.chunks = chunks, .count = n, .min_t = min_t, .max_t = max_t};
}

void qry_read_chunks_release(struct qry_read_chunks *rc)
{
    nx_prom_chunks_free(rc->anew);
    rc->anew = NULL;
}

/* The end of the chunks that overlap in a row, from `begin`. */
static size_t cluster_end(const struct qry_read_chunks *rc, size_t begin)
{
    int64_t max_t = rc->chunks[begin].max_t;
    size_t end = begin + 1;
    for (; end < rc->count && rc->chunks[end].min_t <= max_t; end++)
        if (rc->chunks[end].max_t > max_t)
            max_t = rc->chunks[end].max_t;
    return end;
}

static bool goes_as_it_is(const struct qry_read_chunks *rc, size_t begin, size_t end)
{
    return end - begin == 1 && rc->chunks[begin].encoding == NX_CHUNK_XOR;
}

static enum nx_err begin_anew(struct qry_read_chunks *rc)
{
    size_t end = rc->at;
    while (end < rc->count) {
        size_t next = cluster_end(rc, end);
        if (goes_as_it_is(rc, end, next))
            break;
        end = next;
    }
    struct nx_sample_iter *iter;
    enum nx_err err =
        nx_chunks_iter_new(rc->chunks + rc->at, end - rc->at, rc->min_t, rc->max_t, &iter);
    rc->at = end;
    return err ? err : nx_prom_chunks_new(iter, &rc->anew);
}

int qry_read_chunks_next(struct qry_read_chunks *rc, struct nx_prom_chunk *out)
{
    for (;;) {
        if (rc->anew) {
            int status = nx_prom_chunks_next(rc->anew, out);
            if (status != 0)
                return status;
            qry_read_chunks_release(rc);
        }
        if (rc->at == rc->count)
            return 0;
        const struct nx_chunk *chunk = &rc->chunks[rc->at];
        if (goes_as_it_is(rc, rc->at, cluster_end(rc, rc->at))) {
            *out = (struct nx_prom_chunk){.encoding = NX_PROM_XOR,
                                          .count = chunk->count,
                                          .min_t = chunk->min_t,
                                          .max_t = chunk->max_t,
                                          .data = chunk->data};
            rc->at++;
            return 1;
        }
        enum nx_err err = begin_anew(rc);
        if (err)
            return err;
    }
}
