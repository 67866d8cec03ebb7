/* A series is complete when another one, or the end, follows. Its labels and chunks are copied
 * until then: the frame they came in is gone. */
#include "cmd/chunked_read.h"

#include "common/base/alloc.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "common/chunk/prom_chunk_iter.h"
#include "proto/remote.pb-c.h"

#define FRAME_BYTES_MAX ((size_t)1 << 30)
enum { CRC_BYTES = 4, LENGTH_BYTES_MAX = 10 };

struct chunk {
    unsigned kind;
    struct nx_view data;
};

struct cmd_chunked_read {
    struct cmd_export_range range;
    cmd_export_take take;
    void *user;
    struct nx_buf rest;    /* of a frame that is not whole yet */
    struct nx_arena arena; /* the open series */
    struct nx_label *labels;
    size_t label_count;
    struct chunk *chunks;
    size_t chunk_count;
    size_t chunk_capacity;
    bool open;
};

/* --- the samples of a series, chunk after chunk --- */

struct chain {
    struct nx_sample_iter base;
    const struct cmd_chunked_read *read;
    size_t at; /* chunks opened */
    struct nx_sample_iter *it;
    int64_t last_t;
};

static int next_of_chunks(struct chain *chain, struct nx_sample *out)
{
    for (;;) {
        int got = chain->it ? nx_sample_next(chain->it, out) : 0;
        if (got != 0)
            return got;
        nx_sample_iter_free(chain->it);
        chain->it = NULL;
        if (chain->at == chain->read->chunk_count)
            return 0;
        const struct chunk *chunk = &chain->read->chunks[chain->at++];
        enum nx_err err = nx_prom_chunk_iter_new(chunk->kind, chunk->data, &chain->it);
        if (err != NX_OK)
            return err;
    }
}

static int chain_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    struct chain *chain = (struct chain *)it;
    for (;;) {
        int got = next_of_chunks(chain, out);
        if (got != 1)
            return got;
        if (out->t <= chain->last_t)
            return NX_ERR_CORRUPT;
        chain->last_t = out->t;
        if (out->t >= chain->read->range.min_t)
            return out->t <= chain->read->range.max_t ? 1 : 0;
    }
}

static void chain_free(struct nx_sample_iter *it)
{
    struct chain *chain = (struct chain *)it;
    nx_sample_iter_free(chain->it);
    nx_free(chain);
}

static enum nx_err hand_out(struct cmd_chunked_read *read)
{
    static const struct nx_sample_iter_ops ops = {.next = chain_next, .free = chain_free};
    if (!read->open)
        return NX_OK;
    struct chain *chain = nx_calloc(1, sizeof *chain);
    if (!chain)
        return NX_ERR_NOMEM;
    chain->base.ops = &ops;
    chain->read = read;
    chain->last_t = INT64_MIN;
    struct nx_labels labels = {.items = read->labels, .count = read->label_count};
    enum nx_err err = read->take(read->user, labels, &chain->base);
    read->open = false;
    read->chunk_count = 0;
    nx_arena_clear(&read->arena);
    return err;
}

/* --- frames --- */

static bool continues(const struct cmd_chunked_read *read, const Prometheus__ChunkedSeries *series)
{
    if (!read->open || series->n_labels != read->label_count)
        return false;
    for (size_t i = 0; i < series->n_labels; i++)
        if (!nx_view_is(read->labels[i].name, series->labels[i]->name) ||
            !nx_view_is(read->labels[i].value, series->labels[i]->value))
            return false;
    return true;
}

static enum nx_err begin_series(struct cmd_chunked_read *read,
                                const Prometheus__ChunkedSeries *series)
{
    enum nx_err err = hand_out(read);
    if (err != NX_OK)
        return err;
    read->labels = nx_arena_array(&read->arena, series->n_labels, sizeof *read->labels);
    if (!read->labels)
        return NX_ERR_NOMEM;
    read->label_count = series->n_labels;
    for (size_t i = 0; i < series->n_labels; i++) {
        struct nx_label *label = &read->labels[i];
        label->name = nx_arena_copy(&read->arena, nx_view_of(series->labels[i]->name));
        label->value = nx_arena_copy(&read->arena, nx_view_of(series->labels[i]->value));
        if (!label->name.ptr || !label->value.ptr)
            return NX_ERR_NOMEM;
        if (label->name.len == 0 || label->value.len == 0 ||
            (i > 0 && nx_view_cmp(label[-1].name, label->name) >= 0))
            return NX_ERR_CORRUPT;
    }
    read->open = true;
    return NX_OK;
}

static enum nx_err add_chunks(struct cmd_chunked_read *read,
                              const Prometheus__ChunkedSeries *series)
{
    for (size_t i = 0; i < series->n_chunks; i++) {
        const Prometheus__Chunk *chunk = series->chunks[i];
        enum nx_err err = nx_grow(&read->chunks, &read->chunk_capacity, read->chunk_count + 1,
                                  sizeof *read->chunks);
        struct nx_view data =
            nx_arena_copy(&read->arena, nx_view_make(chunk->data.data, chunk->data.len));
        if (err != NX_OK || !data.ptr)
            return NX_ERR_NOMEM;
        read->chunks[read->chunk_count++] =
            (struct chunk){.kind = (unsigned)chunk->type, .data = data};
    }
    return NX_OK;
}

static enum nx_err take_frame(struct cmd_chunked_read *read, struct nx_view bytes)
{
    Prometheus__ChunkedReadResponse *frame =
        prometheus__chunked_read_response__unpack(NULL, bytes.len, (const uint8_t *)bytes.ptr);
    if (!frame)
        return NX_ERR_CORRUPT;
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < frame->n_chunked_series && err == NX_OK; i++) {
        const Prometheus__ChunkedSeries *series = frame->chunked_series[i];
        if (!continues(read, series))
            err = begin_series(read, series);
        if (err == NX_OK)
            err = add_chunks(read, series);
    }
    prometheus__chunked_read_response__free_unpacked(frame, NULL);
    return err;
}

static uint32_t be32(struct nx_view four)
{
    const uint8_t *p = (const uint8_t *)four.ptr;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The first frame of `bytes`: *used is its length, 0 where it is not whole. */
static enum nx_err take_first(struct cmd_chunked_read *read, struct nx_view bytes, size_t *used)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    uint64_t len = nx_cursor_uvarint(&cur);
    *used = 0;
    if (!nx_cursor_ok(&cur))
        return bytes.len < LENGTH_BYTES_MAX ? NX_OK : NX_ERR_CORRUPT;
    if (len > FRAME_BYTES_MAX)
        return NX_ERR_CORRUPT;
    struct nx_view crc = nx_cursor_take(&cur, CRC_BYTES);
    struct nx_view frame = nx_cursor_take(&cur, (size_t)len);
    if (!nx_cursor_ok(&cur))
        return NX_OK;
    if (nx_crc32c(0, frame.ptr, frame.len) != be32(crc))
        return NX_ERR_CORRUPT;
    *used = bytes.len - nx_cursor_left(&cur);
    return take_frame(read, frame);
}

enum nx_err cmd_chunked_read_feed(struct cmd_chunked_read *read, struct nx_view bytes)
{
    size_t at = 0, used = 1;
    nx_buf_append_view(&read->rest, bytes);
    enum nx_err err = nx_buf_err(&read->rest);
    while (err == NX_OK && used > 0 && at < read->rest.len) {
        err = take_first(read, nx_view_make(read->rest.data + at, read->rest.len - at), &used);
        at += used;
    }
    if (err == NX_OK && at > 0) {
        memmove(read->rest.data, read->rest.data + at, read->rest.len - at);
        read->rest.len -= at;
    }
    return err;
}

enum nx_err cmd_chunked_read_finish(struct cmd_chunked_read *read)
{
    return read->rest.len > 0 ? NX_ERR_CORRUPT : hand_out(read);
}

enum nx_err cmd_chunked_read_new(struct cmd_export_range range, cmd_export_take take, void *user,
                                 struct cmd_chunked_read **out)
{
    struct cmd_chunked_read *read = nx_calloc(1, sizeof *read);
    if (!read)
        return NX_ERR_NOMEM;
    read->range = range;
    read->take = take;
    read->user = user;
    nx_buf_init(&read->rest, 2 * FRAME_BYTES_MAX);
    nx_arena_init(&read->arena, 0);
    *out = read;
    return NX_OK;
}

void cmd_chunked_read_free(struct cmd_chunked_read *read)
{
    if (!read)
        return;
    nx_buf_release(&read->rest);
    nx_arena_release(&read->arena);
    nx_free(read->chunks);
    nx_free(read);
}
