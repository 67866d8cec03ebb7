/* Frames are read in place: label bytes and chunks alias them. Labels are decoded once a series, by
 * whichever copy comes first; the id says that the others are equal. */
#include "querier/select/fetched.h"

#include <stdlib.h>

#include "querier/select/wire.h"

#define MAX_LABELS 10000

void qry_fetched_init(struct qry_fetched *fetched, struct nx_arena *arena)
{
    *fetched = (struct qry_fetched){.arena = arena};
    nx_index_init(&fetched->index);
}

void qry_fetched_release(struct qry_fetched *fetched)
{
    nx_index_release(&fetched->index);
}

static bool same_id(uint32_t ref, const void *key, const void *user)
{
    const struct qry_fetched *fetched = user;
    const struct nx_series_id *id = key;
    return nx_series_id_eq(fetched->series[ref].id, *id);
}

static enum nx_err add_series(struct qry_fetched *f, struct nx_series_id id, struct nx_view labels,
                              struct qry_fetched_series **out)
{
    uint32_t ref = nx_index_find(&f->index, id.lo, same_id, &id, f);
    if (ref != NX_INDEX_NONE) {
        *out = &f->series[ref];
        return NX_OK;
    }
    struct qry_fetched_series series = {.id = id};
    struct nx_cursor cur = nx_cursor_of(labels);
    enum nx_err err = nx_labels_decode(&cur, f->arena, MAX_LABELS, &series.labels);
    if (err)
        return err == NX_ERR_NOMEM ? err : NX_ERR_CORRUPT;
    if (f->count >= NX_INDEX_NONE - 1 ||
        !nx_arena_grow(f->arena, &f->series, f->count, &f->capacity, f->count + 1, sizeof series))
        return NX_ERR_NOMEM;
    err = nx_index_insert(&f->index, id.lo, (uint32_t)f->count);
    if (err)
        return err;
    f->series[f->count] = series;
    *out = &f->series[f->count++];
    return NX_OK;
}

static enum nx_err read_chunk(struct nx_view bytes, struct nx_chunk *out)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct nx_chunk chunk = {.encoding = 0};
    uint64_t encoding = 0, count = 0;
    while (qry_wire_next(&cur, &field)) {
        switch (field.number) {
        case 1:
            encoding = field.integer;
            break;
        case 2:
            count = field.integer;
            break;
        case 3:
            chunk.min_t = qry_wire_zigzag(field.integer);
            break;
        case 4:
            chunk.max_t = qry_wire_zigzag(field.integer);
            break;
        case 5:
            chunk.data = field.bytes;
            break;
        default:
            break;
        }
    }
    if (!nx_cursor_ok(&cur) || count > NX_CHUNK_MAX_SAMPLES ||
        !nx_chunk_encoding_is_known(encoding))
        return NX_ERR_CORRUPT;
    chunk.encoding = (enum nx_chunk_encoding)encoding;
    chunk.count = (uint32_t)count;
    *out = chunk;
    return NX_OK;
}

static enum nx_err add_chunk(struct qry_fetched *f, struct qry_fetched_series *series,
                             struct nx_view bytes)
{
    struct nx_chunk chunk;
    enum nx_err err = read_chunk(bytes, &chunk);
    if (!err && f->missing_count > 0)
        err = qry_deletion_cut(f->missing, f->missing_count, series->labels, f->arena, &chunk);
    if (err || chunk.count == 0)
        return err;
    if (!nx_arena_grow(f->arena, &series->chunks, series->chunk_count, &series->chunk_capacity,
                       series->chunk_count + 1, sizeof chunk))
        return NX_ERR_NOMEM;
    series->chunks[series->chunk_count++] = chunk;
    return NX_OK;
}

/* message SelectSeries: the id and the labels, then the chunks; read twice, so that their order is
 * free. */
static enum nx_err read_series(struct qry_fetched *f, struct nx_view bytes)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct nx_view id = {0}, labels = {0};
    while (qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            id = field.bytes;
        else if (field.number == 2)
            labels = field.bytes;
    }
    if (!nx_cursor_ok(&cur) || id.len != NX_SERIES_ID_BYTES || !labels.ptr)
        return NX_ERR_CORRUPT;
    struct nx_cursor id_cur = nx_cursor_of(id);
    struct qry_fetched_series *series;
    enum nx_err err = add_series(f, nx_series_id_read(&id_cur), labels, &series);
    cur = nx_cursor_of(bytes);
    while (!err && qry_wire_next(&cur, &field))
        if (field.number == 3 && field.bytes.ptr)
            err = add_chunk(f, series, field.bytes);
    return err;
}

enum nx_err qry_fetched_add(struct qry_fetched *fetched, struct nx_view frame)
{
    struct nx_cursor cur = nx_cursor_of(frame);
    struct qry_wire_field field;
    enum nx_err err = NX_OK;
    while (!err && qry_wire_next(&cur, &field))
        if (field.number == 1)
            err = field.bytes.ptr ? read_series(fetched, field.bytes) : NX_ERR_CORRUPT;
    if (!err && !nx_cursor_ok(&cur))
        err = NX_ERR_CORRUPT;
    return err;
}

static int by_labels(const void *a, const void *b)
{
    const struct qry_fetched_series *x = a, *y = b;
    return nx_labels_cmp(x->labels, y->labels);
}

void qry_fetched_sort(struct qry_fetched *fetched)
{
    nx_index_clear(&fetched->index);
    if (fetched->count > 1)
        qsort(fetched->series, fetched->count, sizeof *fetched->series, by_labels);
}
