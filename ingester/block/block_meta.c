/* Fixed fields, the positions, and what compaction adds; a block that says nothing of the last is
 * one as flushed. */
#include "ingester/block/block_meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"

#define POSITIONS_MAX 65536u
#define SOURCES_MAX 65536u

void ing_block_meta_encode(struct nx_buf *buf, const struct ing_block_meta *meta)
{
    nx_buf_put_bytes(buf, meta->tenant);
    nx_buf_put_varint(buf, meta->min_t);
    nx_buf_put_varint(buf, meta->max_t);
    nx_buf_put_varint(buf, meta->created_ms);
    nx_buf_put_uvarint(buf, meta->series);
    nx_buf_put_uvarint(buf, meta->chunks);
    nx_buf_put_uvarint(buf, meta->samples);
    nx_buf_put_varint(buf, meta->slab_ms);
    nx_buf_put_uvarint(buf, meta->generation);
    nx_buf_put_uvarint(buf, meta->position_count);
    for (size_t i = 0; i < meta->position_count; i++) {
        nx_buf_put_uvarint(buf, meta->positions[i].shard);
        nx_buf_put_uvarint(buf, meta->positions[i].before);
    }
    nx_buf_put_uvarint(buf, meta->level);
    nx_buf_put_uvarint(buf, meta->deletions);
    for (size_t i = 0; i < meta->position_count; i++) {
        const struct ing_block_position *position = &meta->positions[i];
        bool whole = position->min_t == 0 && position->max_t == 0;
        nx_buf_put_varint(buf, whole ? meta->min_t : position->min_t);
        nx_buf_put_varint(buf, whole ? meta->max_t : position->max_t);
    }
    nx_buf_put_uvarint(buf, meta->source_count);
    for (size_t i = 0; i < meta->source_count; i++)
        nx_buf_put_bytes(buf, meta->sources[i]);
}

static enum nx_err decode_sources(struct nx_cursor *cur, struct nx_arena *arena,
                                  struct ing_block_meta *meta)
{
    uint64_t count = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || count > SOURCES_MAX || count > nx_cursor_left(cur))
        return NX_ERR_CORRUPT;
    struct nx_view *sources = nx_arena_array(arena, (size_t)count, sizeof *sources);
    if (!sources)
        return NX_ERR_NOMEM;
    for (uint64_t i = 0; i < count; i++)
        sources[i] = nx_cursor_bytes(cur);
    meta->sources = sources;
    meta->source_count = (size_t)count;
    return NX_OK;
}

static enum nx_err decode_compaction(struct nx_cursor *cur, struct nx_arena *arena,
                                     struct ing_block_position *positions, size_t count,
                                     struct ing_block_meta *meta)
{
    if (nx_cursor_left(cur) == 0)
        return NX_OK;
    uint64_t level = nx_cursor_uvarint(cur);
    meta->level = level > UINT32_MAX ? UINT32_MAX : (uint32_t)level;
    meta->deletions = nx_cursor_uvarint(cur);
    for (size_t i = 0; i < count; i++) {
        positions[i].min_t = nx_cursor_varint(cur);
        positions[i].max_t = nx_cursor_varint(cur);
        if (positions[i].min_t < meta->min_t || positions[i].max_t > meta->max_t)
            return NX_ERR_CORRUPT;
    }
    return decode_sources(cur, arena, meta);
}

enum nx_err ing_block_meta_decode(struct nx_view bytes, struct nx_arena *arena,
                                  struct ing_block_meta *out)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct ing_block_meta meta = {.tenant = nx_cursor_bytes(&cur)};
    meta.min_t = nx_cursor_varint(&cur);
    meta.max_t = nx_cursor_varint(&cur);
    meta.created_ms = nx_cursor_varint(&cur);
    meta.series = nx_cursor_uvarint(&cur);
    meta.chunks = nx_cursor_uvarint(&cur);
    meta.samples = nx_cursor_uvarint(&cur);
    meta.slab_ms = nx_cursor_varint(&cur);
    meta.generation = nx_cursor_uvarint(&cur);
    uint64_t count = nx_cursor_uvarint(&cur);
    if (!nx_cursor_ok(&cur) || count > POSITIONS_MAX || count > nx_cursor_left(&cur) / 2 ||
        meta.min_t >= meta.max_t || meta.series >= UINT32_MAX || meta.slab_ms <= 0)
        return NX_ERR_CORRUPT;
    struct ing_block_position *positions = nx_arena_array(arena, (size_t)count, sizeof *positions);
    if (!positions)
        return NX_ERR_NOMEM;
    for (uint64_t i = 0; i < count; i++) {
        positions[i].shard = (uint32_t)nx_cursor_uvarint(&cur);
        positions[i].before = nx_cursor_uvarint(&cur);
        positions[i].min_t = meta.min_t;
        positions[i].max_t = meta.max_t;
    }
    enum nx_err err = decode_compaction(&cur, arena, positions, (size_t)count, &meta);
    if (err != NX_OK)
        return err;
    if (!nx_cursor_ok(&cur) || nx_cursor_left(&cur) > 0)
        return NX_ERR_CORRUPT;
    meta.positions = positions;
    meta.position_count = (size_t)count;
    *out = meta;
    return NX_OK;
}

void ing_tenant_dir(struct nx_view tenant, char out[ING_TENANT_DIR_MAX])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < tenant.len; i++) {
        uint8_t c = (uint8_t)tenant.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        if (len + 4 > ING_TENANT_DIR_MAX) {
            struct nx_hash128 hash = nx_hash128(tenant.ptr, tenant.len);
            (void)snprintf(out, ING_TENANT_DIR_MAX, "%%%016" PRIx64 "%016" PRIx64, hash.hi,
                           hash.lo);
            return;
        }
        if (plain) {
            out[len++] = (char)c;
        } else {
            out[len++] = '%';
            out[len++] = digits[c >> 4];
            out[len++] = digits[c & 15];
        }
    }
    out[len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool ing_tenant_of_dir(const char *dir, char out[ING_TENANT_DIR_MAX])
{
    char again[ING_TENANT_DIR_MAX];
    size_t len = 0;
    if (dir[0] == '%' && strlen(dir) == 33 && strspn(dir + 1, "0123456789abcdef") == 32)
        return false;
    for (const char *at = dir; *at && len + 1 < ING_TENANT_DIR_MAX; at++) {
        if (*at != '%') {
            out[len++] = *at;
            continue;
        }
        int high = hex_digit(at[1]);
        int low = high < 0 ? -1 : hex_digit(at[2]);
        if (low < 0)
            return false;
        out[len++] = (char)(high * 16 + low);
        at += 2;
    }
    out[len] = '\0';
    ing_tenant_dir(nx_view_make(out, len), again);
    return strcmp(again, dir) == 0;
}
