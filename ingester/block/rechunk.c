/* While encoding anew, chunk data is remembered by offset, as the buffer may move. */
#include "ingester/block/rechunk.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/chunk/merge.h"
#include "ingester/head/series.h"

static int chunk_cmp(const void *a, const void *b)
{
    const struct nx_chunk *x = a;
    const struct nx_chunk *y = b;
    return (x->min_t > y->min_t) - (x->min_t < y->min_t);
}

static bool is_in_order(const struct ing_rechunked *list, int64_t min_t, int64_t max_t)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->chunks[i].min_t < min_t || list->chunks[i].max_t > max_t)
            return false;
        if (i > 0 && list->chunks[i].min_t <= list->chunks[i - 1].max_t)
            return false;
    }
    return true;
}

static enum nx_err emit(struct ing_rechunked *list, struct nx_chunk_appender **app)
{
    struct nx_chunk chunk = nx_chunk_appender_chunk(*app);
    enum nx_err err =
        nx_grow(&list->chunks, &list->capacity, list->count + 1, sizeof *list->chunks);
    if (err == NX_OK) {
        nx_buf_append_view(&list->bytes, chunk.data);
        err = nx_buf_err(&list->bytes);
    }
    if (err == NX_OK)
        list->chunks[list->count++] = chunk;
    nx_chunk_appender_free(*app);
    *app = NULL;
    return err;
}

static enum nx_err encode(struct nx_sample_iter *it, struct ing_rechunked *list)
{
    struct nx_chunk_appender *app = NULL;
    enum nx_chunk_encoding open = NX_CHUNK_XOR;
    uint32_t count = 0;
    struct nx_sample sample;
    int rc;
    enum nx_err err = NX_OK;
    while ((rc = nx_sample_next(it, &sample)) == 1 && err == NX_OK) {
        enum nx_chunk_encoding encoding = sample.histogram ? NX_CHUNK_HISTOGRAM_RUN : NX_CHUNK_XOR;
        if (app && (encoding != open || count == ING_CHUNK_SAMPLES))
            err = emit(list, &app);
        if (err == NX_OK && !app) {
            err = nx_chunk_appender_new(encoding, &app);
            open = encoding;
            count = 0;
        }
        if (err == NX_OK)
            err = nx_chunk_append(app, &sample);
        count++;
    }
    if (err == NX_OK && rc < 0)
        err = (enum nx_err)rc;
    if (err == NX_OK && app)
        err = emit(list, &app);
    nx_chunk_appender_free(app);
    return err;
}

/* The encoded bytes lie in `bytes` in the order of the chunks. */
static void resolve(struct ing_rechunked *list)
{
    size_t at = 0;
    for (size_t i = 0; i < list->count; i++) {
        list->chunks[i].data.ptr = list->bytes.data + at;
        at += list->chunks[i].data.len;
    }
}

enum nx_err ing_rechunk(const struct nx_chunk *chunks, size_t count, int64_t min_t, int64_t max_t,
                        struct ing_rechunked *out)
{
    struct ing_rechunked list = {0};
    nx_buf_init(&list.bytes, SIZE_MAX / 4);
    list.chunks = nx_alloc_array(count, sizeof *list.chunks);
    if (!list.chunks)
        return NX_ERR_NOMEM;
    if (count > 0)
        memcpy(list.chunks, chunks, count * sizeof *chunks);
    list.count = list.capacity = count;
    if (count > 1)
        qsort(list.chunks, count, sizeof *list.chunks, chunk_cmp);
    if (is_in_order(&list, min_t, max_t)) {
        *out = list;
        return NX_OK;
    }
    struct nx_sample_iter *it;
    list.count = 0;
    enum nx_err err = nx_chunks_iter_new(chunks, count, min_t, max_t, &it);
    if (err == NX_OK) {
        err = encode(it, &list);
        nx_sample_iter_free(it);
    }
    if (err != NX_OK) {
        ing_rechunked_release(&list);
        return err;
    }
    resolve(&list);
    *out = list;
    return NX_OK;
}

void ing_rechunked_release(struct ing_rechunked *list)
{
    nx_free(list->chunks);
    nx_buf_release(&list->bytes);
    *list = (struct ing_rechunked){0};
}
