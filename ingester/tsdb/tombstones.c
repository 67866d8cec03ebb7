#include "ingester/tsdb/tombstones.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/tsdb/format.h"

enum { HEADER_BYTES = 5, CRC_BYTES = 4, ENTRY_BYTES_MIN = 3 };

#define CORRUPT(text) nx_fail_set(fail, NX_ERR_CORRUPT, "tombstones: " text)

static int tombstone_cmp(const void *a, const void *b)
{
    const struct ing_tsdb_tombstone *x = a;
    const struct ing_tsdb_tombstone *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    return (x->min_t > y->min_t) - (x->min_t < y->min_t);
}

enum nx_err ing_tsdb_tombstones_read(struct nx_view bytes, struct ing_tsdb_tombstones *out,
                                     struct nx_fail *fail)
{
    if (bytes.len < HEADER_BYTES + CRC_BYTES ||
        ing_tsdb_be32(bytes.ptr) != ING_TSDB_TOMBSTONES_MAGIC)
        return CORRUPT("not such a file");
    if (bytes.ptr[4] != 1)
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED, "tombstones: version %d is not known",
                           bytes.ptr[4]);
    struct nx_view entries =
        nx_view_make(bytes.ptr + HEADER_BYTES, bytes.len - HEADER_BYTES - CRC_BYTES);
    if (nx_crc32c(0, entries.ptr, entries.len) != ing_tsdb_be32(entries.ptr + entries.len))
        return CORRUPT("the checksum does not fit");
    struct ing_tsdb_tombstones list = {0};
    list.items = nx_alloc_array(entries.len / ENTRY_BYTES_MIN, sizeof *list.items);
    if (!list.items)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    struct nx_cursor cur = nx_cursor_of(entries);
    while (nx_cursor_left(&cur) >= ENTRY_BYTES_MIN) {
        struct ing_tsdb_tombstone *item = &list.items[list.count++];
        item->series = nx_cursor_uvarint(&cur);
        item->min_t = nx_cursor_varint(&cur);
        item->max_t = nx_cursor_varint(&cur);
    }
    if (!nx_cursor_ok(&cur) || nx_cursor_left(&cur) > 0) {
        ing_tsdb_tombstones_release(&list);
        return CORRUPT("an entry is malformed");
    }
    if (list.count > 1)
        qsort(list.items, list.count, sizeof *list.items, tombstone_cmp);
    *out = list;
    return NX_OK;
}

void ing_tsdb_tombstones_release(struct ing_tsdb_tombstones *tombstones)
{
    nx_free(tombstones->items);
    *tombstones = (struct ing_tsdb_tombstones){0};
}

const struct ing_tsdb_tombstone *
ing_tsdb_tombstones_of(const struct ing_tsdb_tombstones *tombstones, uint64_t series, size_t *count)
{
    size_t low = 0;
    size_t high = tombstones->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tombstones->items[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < tombstones->count && tombstones->items[end].series == series)
        end++;
    *count = end - low;
    return end > low ? &tombstones->items[low] : NULL;
}
