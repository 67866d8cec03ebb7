/* A magic, a header record and a record a deletion, each [length u32][CRC-32C u32][payload]: a
 * damaged record costs that one, a damaged length those behind it. */
#include "common/base/alloc.h"
#include "common/base/cursor.h"
#include "ingester/tombstone/tombstones.h"

#define MAGIC "NXTOMB1\n"
#define MAGIC_BYTES 8
#define RECORD_MAX_BYTES (1u << 24)
#define MATCHERS_MAX 10000u

static void put_record(struct nx_buf *buf, const struct nx_buf *payload)
{
    nx_buf_put_u32(buf, (uint32_t)payload->len);
    nx_buf_put_u32(buf, nx_crc32c(0, payload->data, payload->len));
    nx_buf_append_view(buf, nx_buf_view(payload));
}

static void put_payload(struct nx_buf *buf, const struct ing_tombstone *tombstone)
{
    nx_buf_put_u64(buf, tombstone->id.hi);
    nx_buf_put_u64(buf, tombstone->id.lo);
    nx_buf_put_uvarint(buf, tombstone->number);
    nx_buf_put_bytes(buf, tombstone->tenant);
    nx_buf_put_varint(buf, tombstone->range.min_t);
    nx_buf_put_varint(buf, tombstone->range.max_t);
    nx_buf_put_varint(buf, tombstone->created_ms);
    nx_buf_put_uvarint(buf, tombstone->matcher_count);
    for (size_t i = 0; i < tombstone->matcher_count; i++) {
        nx_buf_put_u8(buf, (uint8_t)tombstone->matchers[i].type);
        nx_buf_put_bytes(buf, tombstone->matchers[i].name);
        nx_buf_put_bytes(buf, tombstone->matchers[i].value);
    }
}

void ing_tombstones_encode(struct nx_buf *buf, struct ing_tombstone *const *items, size_t count,
                           uint64_t last)
{
    struct nx_buf payload;
    nx_buf_init(&payload, RECORD_MAX_BYTES);
    nx_buf_append(buf, MAGIC, MAGIC_BYTES);
    nx_buf_put_uvarint(&payload, last);
    put_record(buf, &payload);
    for (size_t i = 0; i < count; i++) {
        nx_buf_clear(&payload);
        put_payload(&payload, items[i]);
        if (nx_buf_err(&payload) != NX_OK)
            buf->err = nx_buf_err(&payload);
        put_record(buf, &payload);
    }
    nx_buf_release(&payload);
}

/* --- reading --- */

/* False at the end, and where nothing can be made of what follows. */
static bool next_record(struct nx_cursor *cur, struct nx_view *payload, bool *good)
{
    if (nx_cursor_left(cur) == 0)
        return false;
    uint32_t len = nx_cursor_u32(cur);
    uint32_t crc = nx_cursor_u32(cur);
    if (!nx_cursor_ok(cur) || len > RECORD_MAX_BYTES || len > nx_cursor_left(cur)) {
        nx_cursor_fail(cur);
        return false;
    }
    *payload = nx_cursor_take(cur, len);
    *good = crc == nx_crc32c(0, payload->ptr, payload->len);
    return true;
}

static enum nx_err read_matchers(struct nx_cursor *cur, struct nx_arena *arena,
                                 struct ing_tombstone_fields *fields)
{
    uint64_t count = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || count > MATCHERS_MAX || count > nx_cursor_left(cur) / 3)
        return NX_ERR_CORRUPT;
    struct nx_matcher *matchers = nx_arena_calloc(arena, (size_t)count, sizeof *matchers);
    if (!matchers)
        return NX_ERR_NOMEM;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t type = nx_cursor_u8(cur);
        if (type > NX_MATCH_NRE)
            return NX_ERR_CORRUPT;
        matchers[i].type = (enum nx_match_type)type;
        matchers[i].name = nx_cursor_bytes(cur);
        matchers[i].value = nx_cursor_bytes(cur);
    }
    fields->matchers = matchers;
    fields->matcher_count = (size_t)count;
    return nx_cursor_ok(cur) ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err read_payload(struct nx_view payload, struct nx_arena *arena,
                                struct ing_tombstone **out)
{
    struct nx_cursor cur = nx_cursor_of(payload);
    struct ing_tombstone_fields fields = {.id.hi = 0};
    fields.id.hi = nx_cursor_u64(&cur);
    fields.id.lo = nx_cursor_u64(&cur);
    uint64_t number = nx_cursor_uvarint(&cur);
    fields.tenant = nx_cursor_bytes(&cur);
    fields.range.min_t = nx_cursor_varint(&cur);
    fields.range.max_t = nx_cursor_varint(&cur);
    fields.created_ms = nx_cursor_varint(&cur);
    enum nx_err err = read_matchers(&cur, arena, &fields);
    if (err == NX_OK && (nx_cursor_left(&cur) > 0 || !fields.tenant.ptr))
        err = NX_ERR_CORRUPT;
    if (err != NX_OK)
        return err;
    struct ing_tombstone *tombstone;
    err = ing_tombstone_new(&fields, &tombstone);
    if (err != NX_OK)
        return err == NX_ERR_NOMEM ? err : NX_ERR_CORRUPT;
    tombstone->number = number;
    *out = tombstone;
    return NX_OK;
}

static enum nx_err add(struct ing_tombstone_list *list, size_t *capacity,
                       struct ing_tombstone *tombstone)
{
    enum nx_err err =
        nx_grow(&list->items, capacity, list->count + 1, sizeof(struct ing_tombstone *));
    if (err == NX_OK)
        list->items[list->count++] = tombstone;
    else
        ing_tombstone_drop(tombstone);
    return err;
}

enum nx_err ing_tombstones_decode(struct nx_view bytes, struct ing_tombstone_list *out,
                                  uint64_t *last, size_t *damaged)
{
    struct ing_tombstone_list list = {0};
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct nx_view magic = nx_cursor_take(&cur, MAGIC_BYTES);
    struct nx_view payload;
    struct nx_arena arena;
    size_t capacity = 0, bad = !nx_view_is(magic, MAGIC);
    uint64_t highest = 0;
    bool good = false, header = true;
    enum nx_err err = NX_OK;
    nx_arena_init(&arena, 0);
    while (bad == 0 && header && next_record(&cur, &payload, &good)) {
        struct nx_cursor head = nx_cursor_of(payload);
        highest = good ? nx_cursor_uvarint(&head) : 0;
        bad += !good;
        header = false;
    }
    while (!header && err == NX_OK && next_record(&cur, &payload, &good)) {
        struct ing_tombstone *tombstone = NULL;
        nx_arena_clear(&arena);
        enum nx_err read = good ? read_payload(payload, &arena, &tombstone) : NX_ERR_CORRUPT;
        if (read == NX_ERR_NOMEM) {
            err = read;
        } else if (read != NX_OK) {
            bad++;
        } else {
            highest = tombstone->number > highest ? tombstone->number : highest;
            err = add(&list, &capacity, tombstone);
        }
    }
    nx_arena_release(&arena);
    if (err != NX_OK) {
        ing_tombstone_list_release(&list);
        return err;
    }
    *out = list;
    *last = highest;
    *damaged = bad + !nx_cursor_ok(&cur);
    return NX_OK;
}
