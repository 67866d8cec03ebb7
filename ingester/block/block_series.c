/* A bundle is read whole: where a piece lies follows from the lengths of those before it. Labels
 * are written less the pairs that they share with the series before. */
#include "ingester/block/block_series.h"

#include "common/base/alloc.h"

enum { HEAD_BYTES = 12, LABELS_MAX = 65536, PAIRS_MAX = 64 << 20 };

static uint32_t u32_at(struct nx_view section, size_t offset)
{
    struct nx_cursor cur = nx_cursor_of(nx_view_make(section.ptr + offset, 4));
    return nx_cursor_u32(&cur);
}

static size_t bundle_bytes(uint32_t slab_count)
{
    return ING_PAGE_REF_BYTES + 4 + (size_t)slab_count * ING_PAGE_REF_BYTES;
}

enum nx_err ing_block_bundles_init(struct ing_block_bundles *bundles, struct nx_view section,
                                   struct ing_page_reader *reader, int64_t min_t, int64_t max_t,
                                   uint32_t slab_count)
{
    if (section.len < HEAD_BYTES)
        return NX_ERR_CORRUPT;
    struct ing_block_bundles made = {.section = section,
                                     .reader = reader,
                                     .series_count = u32_at(section, 0),
                                     .bundle_count = u32_at(section, 4),
                                     .slab_count = u32_at(section, 8),
                                     .min_t = min_t,
                                     .max_t = max_t,
                                     .bundle = UINT32_MAX};
    if (made.slab_count != slab_count ||
        section.len - HEAD_BYTES != (uint64_t)made.bundle_count * bundle_bytes(slab_count))
        return NX_ERR_CORRUPT;
    nx_arena_init(&made.arena, 0);
    *bundles = made;
    return NX_OK;
}

void ing_block_bundles_release(struct ing_block_bundles *bundles)
{
    nx_arena_release(&bundles->arena);
}

static size_t bundle_offset(const struct ing_block_bundles *bundles, uint32_t i)
{
    return HEAD_BYTES + (size_t)i * bundle_bytes(bundles->slab_count);
}

static uint32_t bundle_first(const struct ing_block_bundles *bundles, uint32_t i)
{
    return i == bundles->bundle_count
               ? bundles->series_count
               : u32_at(bundles->section, bundle_offset(bundles, i) + ING_PAGE_REF_BYTES);
}

static struct ing_page_ref ref_at(const struct ing_block_bundles *bundles, size_t offset)
{
    struct nx_cursor cur =
        nx_cursor_of(nx_view_make(bundles->section.ptr + offset, ING_PAGE_REF_BYTES));
    return ing_page_ref_read(&cur);
}

/* --- a page of series --- */

struct parse {
    struct ing_block_bundles *bundles;
    struct nx_cursor cur;
    uint64_t *offsets; /* by slab: where its next piece begins */
    const struct ing_series_entry *before;
    size_t pairs; /* so far: shared ones cost no bytes */
};

static enum nx_err parse_labels(struct parse *p, struct ing_series_entry *entry)
{
    uint64_t head = nx_cursor_uvarint(&p->cur);
    uint64_t shared = nx_cursor_uvarint(&p->cur);
    uint64_t rest = head >> 1;
    entry->has_id = head & 1;
    if (!nx_cursor_ok(&p->cur) || shared > (p->before ? p->before->pair_count : 0) ||
        rest > nx_cursor_left(&p->cur) || shared + rest > LABELS_MAX)
        return NX_ERR_CORRUPT;
    entry->pair_count = (size_t)(shared + rest);
    p->pairs += entry->pair_count;
    if (p->pairs > PAIRS_MAX)
        return NX_ERR_CORRUPT;
    uint32_t *pairs = nx_arena_array(&p->bundles->arena, entry->pair_count, sizeof *pairs);
    if (!pairs)
        return NX_ERR_NOMEM;
    if (shared > 0)
        memcpy(pairs, p->before->pairs, (size_t)shared * sizeof *pairs);
    uint64_t last = shared > 0 ? pairs[shared - 1] : 0;
    for (size_t i = (size_t)shared; i < entry->pair_count; i++) {
        uint64_t gap = nx_cursor_uvarint(&p->cur);
        if (gap > UINT32_MAX || last + gap > UINT32_MAX)
            return NX_ERR_CORRUPT;
        last += gap;
        pairs[i] = (uint32_t)last;
    }
    entry->pairs = pairs;
    if (entry->has_id)
        entry->id = nx_series_id_read(&p->cur);
    return nx_cursor_ok(&p->cur) ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err parse_span(struct parse *p, struct ing_piece *piece)
{
    const struct ing_block_bundles *bundles = p->bundles;
    uint64_t block_span = (uint64_t)bundles->max_t - (uint64_t)bundles->min_t;
    uint64_t count = nx_cursor_uvarint(&p->cur);
    uint64_t start = nx_cursor_uvarint(&p->cur);
    uint64_t span = nx_cursor_uvarint(&p->cur);
    if (count == 0 || count > UINT16_MAX || start >= block_span || span >= block_span - start)
        return NX_ERR_CORRUPT;
    piece->count = (uint32_t)count;
    piece->min_t = (int64_t)((uint64_t)bundles->min_t + start);
    piece->max_t = piece->min_t + (int64_t)span;
    return NX_OK;
}

static enum nx_err parse_piece(struct parse *p, uint64_t *slab, struct ing_piece *piece)
{
    uint64_t head = nx_cursor_uvarint(&p->cur);
    uint64_t skipped = head >> ING_PIECE_KIND_BITS;
    if (skipped >= p->bundles->slab_count || *slab + skipped >= p->bundles->slab_count)
        return NX_ERR_CORRUPT;
    *slab += skipped;
    *piece = (struct ing_piece){.kind = (enum ing_piece_kind)(head & 1), .slab = (uint32_t)*slab};
    if (piece->kind == ING_PIECE_COLUMN) {
        uint64_t column = nx_cursor_uvarint(&p->cur);
        if (column > UINT32_MAX)
            return NX_ERR_CORRUPT;
        piece->column = (uint32_t)column;
    } else {
        enum nx_err err = parse_span(p, piece);
        if (err != NX_OK)
            return err;
    }
    piece->len = nx_cursor_uvarint(&p->cur);
    if (!nx_cursor_ok(&p->cur) || piece->len > ING_PAGE_RAW_MAX)
        return NX_ERR_CORRUPT;
    piece->offset = p->offsets[*slab];
    p->offsets[*slab] += piece->len;
    return NX_OK;
}

static enum nx_err parse_entry(struct parse *p, struct ing_series_entry *entry)
{
    *entry = (struct ing_series_entry){.has_id = false};
    enum nx_err err = parse_labels(p, entry);
    if (err != NX_OK)
        return err;
    uint64_t count = nx_cursor_uvarint(&p->cur);
    if (!nx_cursor_ok(&p->cur) || count > nx_cursor_left(&p->cur) / 3)
        return NX_ERR_CORRUPT;
    struct ing_piece *pieces = nx_arena_array(&p->bundles->arena, (size_t)count, sizeof *pieces);
    if (!pieces)
        return NX_ERR_NOMEM;
    uint64_t slab = 0;
    for (uint64_t i = 0; i < count && err == NX_OK; i++)
        err = parse_piece(p, &slab, &pieces[i]);
    entry->pieces = pieces;
    entry->piece_count = (size_t)count;
    return err;
}

static enum nx_err parse_bundle(struct ing_block_bundles *bundles, struct nx_view raw)
{
    struct parse p = {.bundles = bundles, .cur = nx_cursor_of(raw)};
    p.offsets = nx_arena_calloc(&bundles->arena, bundles->slab_count, sizeof *p.offsets);
    if (!p.offsets)
        return NX_ERR_NOMEM;
    for (uint32_t i = 0; i < bundles->count; i++) {
        enum nx_err err = parse_entry(&p, &bundles->entries[i]);
        if (err != NX_OK)
            return err;
        p.before = &bundles->entries[i];
    }
    return nx_cursor_left(&p.cur) == 0 ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err bundle_load(struct ing_block_bundles *bundles, uint32_t bundle)
{
    uint32_t first = bundle_first(bundles, bundle);
    uint32_t end = bundle_first(bundles, bundle + 1);
    struct ing_page_ref ref = ref_at(bundles, bundle_offset(bundles, bundle));
    struct nx_view raw;
    bundles->bundle = UINT32_MAX;
    nx_arena_clear(&bundles->arena);
    if (first >= end)
        return NX_ERR_CORRUPT;
    enum nx_err err = ing_page_load(bundles->reader, &ref, &bundles->arena, &raw);
    if (err != NX_OK)
        return err;
    bundles->first = first;
    bundles->count = end - first;
    if (bundles->count > raw.len / 3)
        return NX_ERR_CORRUPT;
    bundles->entries = nx_arena_array(&bundles->arena, bundles->count, sizeof *bundles->entries);
    bundles->data = nx_arena_calloc(&bundles->arena, bundles->slab_count, sizeof *bundles->data);
    if (!bundles->entries || !bundles->data)
        return NX_ERR_NOMEM;
    err = parse_bundle(bundles, raw);
    if (err == NX_OK)
        bundles->bundle = bundle;
    return err;
}

enum nx_err ing_block_bundles_entry(struct ing_block_bundles *bundles, uint32_t series,
                                    const struct ing_series_entry **out)
{
    if (series >= bundles->series_count || bundles->bundle_count == 0)
        return NX_ERR_CORRUPT;
    if (bundles->bundle == UINT32_MAX || series < bundles->first ||
        series - bundles->first >= bundles->count) {
        uint32_t low = 0;
        uint32_t high = bundles->bundle_count;
        while (low + 1 < high) {
            uint32_t mid = low + (high - low) / 2;
            if (bundle_first(bundles, mid) <= series)
                low = mid;
            else
                high = mid;
        }
        enum nx_err err = bundle_load(bundles, low);
        if (err != NX_OK)
            return err;
        if (series < bundles->first || series - bundles->first >= bundles->count)
            return NX_ERR_CORRUPT;
    }
    *out = &bundles->entries[series - bundles->first];
    return NX_OK;
}

enum nx_err ing_block_bundles_data(struct ing_block_bundles *bundles, const struct ing_piece *piece,
                                   struct nx_view *out)
{
    struct nx_view *data = &bundles->data[piece->slab];
    if (!data->ptr) {
        size_t offset = bundle_offset(bundles, bundles->bundle) + ING_PAGE_REF_BYTES + 4;
        struct ing_page_ref ref =
            ref_at(bundles, offset + (size_t)piece->slab * ING_PAGE_REF_BYTES);
        enum nx_err err = ing_page_load(bundles->reader, &ref, &bundles->arena, data);
        if (err != NX_OK)
            return err;
    }
    if (piece->offset > data->len || piece->len > data->len - piece->offset)
        return NX_ERR_CORRUPT;
    *out = nx_view_make(data->ptr + piece->offset, (size_t)piece->len);
    return NX_OK;
}

void ing_block_bundles_bytes(const struct ing_block_bundles *bundles, uint64_t *series,
                             uint64_t *data)
{
    *series = *data = 0;
    for (uint32_t i = 0; i < bundles->bundle_count; i++) {
        size_t offset = bundle_offset(bundles, i);
        *series += ref_at(bundles, offset).stored;
        offset += ING_PAGE_REF_BYTES + 4;
        for (uint32_t slab = 0; slab < bundles->slab_count; slab++)
            *data += ref_at(bundles, offset + (size_t)slab * ING_PAGE_REF_BYTES).stored;
    }
}
