/* Mostly there are none, and then a frame is passed over by its field numbers. */
#include "querier/select/deletions.h"

#include "querier/select/request.h"
#include "querier/select/wire.h"

#define ID_BYTES 16

void qry_deletions_init(struct qry_deletions *deletions, struct nx_arena *arena, size_t members)
{
    *deletions = (struct qry_deletions){.arena = arena, .members = members};
    nx_index_init(&deletions->index);
}

void qry_deletions_release(struct qry_deletions *deletions)
{
    for (size_t i = 0; i < deletions->count; i++)
        for (size_t j = 0; j < deletions->items[i].matcher_count; j++)
            nx_matcher_release(&deletions->items[i].matchers[j]);
    nx_index_release(&deletions->index);
    deletions->count = 0;
}

static bool same_id(uint32_t ref, const void *key, const void *user)
{
    const struct qry_deletions *deletions = user;
    return nx_view_eq(deletions->items[ref].id, *(const struct nx_view *)key);
}

/* message Matcher */
static enum nx_err read_matcher(struct nx_arena *arena, struct nx_view bytes,
                                struct nx_matcher *out)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    uint64_t type = 0;
    struct nx_view name = NX_VIEW(""), value = NX_VIEW("");
    while (qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            type = field.integer;
        else if (field.number == 2)
            name = field.bytes;
        else if (field.number == 3)
            value = field.bytes;
    }
    if (!nx_cursor_ok(&cur) || type > NX_MATCH_NRE || !name.ptr || !value.ptr)
        return NX_ERR_CORRUPT;
    enum nx_err err = nx_matcher_init(out, arena, (enum nx_match_type)type, name, value, NULL);
    return err == NX_ERR_INVALID ? NX_ERR_CORRUPT : err;
}

static enum nx_err read_matchers(struct qry_deletions *deletions, struct nx_view bytes,
                                 struct qry_deletion *out)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    size_t capacity = 0;
    while (qry_wire_next(&cur, &field)) {
        if (field.number != 2)
            continue;
        if (!field.bytes.ptr)
            return NX_ERR_CORRUPT;
        if (!nx_arena_grow(deletions->arena, &out->matchers, out->matcher_count, &capacity,
                           out->matcher_count + 1, sizeof *out->matchers))
            return NX_ERR_NOMEM;
        enum nx_err err =
            read_matcher(deletions->arena, field.bytes, &out->matchers[out->matcher_count]);
        if (err)
            return err;
        out->matcher_count++;
    }
    return nx_cursor_ok(&cur) && out->matcher_count > 0 ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err insert(struct qry_deletions *deletions, struct nx_view bytes,
                          struct qry_deletion deletion, uint64_t hash)
{
    deletion.known = nx_arena_calloc(deletions->arena, deletions->members, sizeof(bool));
    if (!deletion.known ||
        !nx_arena_grow(deletions->arena, &deletions->items, deletions->count, &deletions->capacity,
                       deletions->count + 1, sizeof deletion))
        return NX_ERR_NOMEM;
    /* counted at once, so that the release finds the matchers of a failed one too */
    struct qry_deletion *item = &deletions->items[deletions->count];
    *item = deletion;
    deletions->count++;
    enum nx_err err = read_matchers(deletions, bytes, item);
    return err ? err : nx_index_insert(&deletions->index, hash, (uint32_t)deletions->count - 1);
}

/* message Deletion */
static enum nx_err read_deletion(struct qry_deletions *deletions, size_t member,
                                 struct nx_view bytes)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct qry_wire_field field;
    struct qry_deletion deletion = {.created_ms = 0};
    while (qry_wire_next(&cur, &field)) {
        if (field.number == 1)
            deletion.id = field.bytes;
        else if (field.number == 3)
            deletion.range.min_t = qry_wire_zigzag(field.integer);
        else if (field.number == 4)
            deletion.range.max_t = qry_wire_zigzag(field.integer);
        else if (field.number == 5)
            deletion.created_ms = qry_wire_zigzag(field.integer);
    }
    if (!nx_cursor_ok(&cur) || deletion.id.len != ID_BYTES)
        return NX_ERR_CORRUPT;
    uint64_t hash = nx_hash_view(deletion.id);
    uint32_t ref = nx_index_find(&deletions->index, hash, same_id, &deletion.id, deletions);
    if (ref == NX_INDEX_NONE) {
        ref = (uint32_t)deletions->count;
        enum nx_err err = insert(deletions, bytes, deletion, hash);
        if (err)
            return err;
    }
    deletions->items[ref].known[member] = true;
    return NX_OK;
}

enum nx_err qry_deletions_add(struct qry_deletions *deletions, size_t member, struct nx_view frame)
{
    struct nx_cursor cur = nx_cursor_of(frame);
    struct qry_wire_field field;
    enum nx_err err = NX_OK;
    while (!err && qry_wire_next(&cur, &field))
        if (field.number == 2)
            err = field.bytes.ptr ? read_deletion(deletions, member, field.bytes) : NX_ERR_CORRUPT;
    return err || nx_cursor_ok(&cur) ? err : NX_ERR_CORRUPT;
}

enum nx_err qry_deletions_missing(const struct qry_deletions *deletions, size_t member,
                                  const struct qry_deletion ***out, size_t *count)
{
    size_t found = 0;
    for (size_t i = 0; i < deletions->count; i++)
        found += !deletions->items[i].known[member];
    *count = found;
    if (found == 0)
        return NX_OK;
    const struct qry_deletion **list =
        nx_arena_array(deletions->arena, found, sizeof(struct qry_deletion *));
    if (!list)
        return NX_ERR_NOMEM;
    found = 0;
    for (size_t i = 0; i < deletions->count; i++)
        if (!deletions->items[i].known[member])
            list[found++] = &deletions->items[i];
    *out = list;
    return NX_OK;
}

enum nx_err qry_deletion_cut(const struct qry_deletion *const *missing, size_t count,
                             struct nx_labels labels, struct nx_arena *arena,
                             struct nx_chunk *chunk)
{
    for (size_t i = 0; i < count; i++) {
        struct nx_interval range = missing[i]->range;
        if (range.max_t > missing[i]->created_ms)
            range.max_t = missing[i]->created_ms;
        if (chunk->count == 0 || chunk->min_t > range.max_t || chunk->max_t < range.min_t ||
            !nx_matchers_match(missing[i]->matchers, missing[i]->matcher_count, labels))
            continue;
        enum nx_err err = nx_chunk_cut(chunk, &range, 1, arena, chunk);
        if (err)
            return err;
    }
    return NX_OK;
}

void qry_deletion_put_request(struct nx_buf *buf, struct nx_view tenant,
                              const struct qry_deletion *deletion)
{
    struct qry_delete_request request = {
        .tenant = tenant,
        .id = deletion->id,
        .matchers = {.items = deletion->matchers, .count = deletion->matcher_count},
        .min_t = deletion->range.min_t,
        .max_t = deletion->range.max_t,
        .created_ms = deletion->created_ms,
        .late = true};
    qry_put_delete_request(buf, &request);
}
