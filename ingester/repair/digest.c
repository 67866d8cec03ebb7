/* A series is read window by window: its samples are added up in registers, and the table is looked
 * at once a window. */
#include "ingester/repair/digest.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/chunk/histogram_codec.h"
#include "common/chunk/merge.h"

#define ROW_BYTES_MIN 11 /* encoded: three numbers of at least one byte, and the hash */

/* --- hashing --- */

static inline uint64_t finish(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0xD6E8FEB86659FD93);
    h ^= h >> 32;
    h *= UINT64_C(0xD6E8FEB86659FD93);
    return h ^ (h >> 32);
}

static inline uint64_t mix(uint64_t h, uint64_t v)
{
    return finish((h ^ v) * UINT64_C(0x9E3779B97F4A7C15) + v);
}

uint64_t ing_digest_mix(uint64_t hash, uint64_t v)
{
    return mix(hash, v);
}

static enum nx_err hash_histogram(struct nx_buf *scratch, const struct nx_histogram *histogram,
                                  uint64_t *out)
{
    struct nx_histogram plain = *histogram;
    if (plain.hint != NX_HINT_GAUGE)
        plain.hint = NX_HINT_UNKNOWN;
    nx_buf_clear(scratch);
    enum nx_err err = nx_histogram_encode(scratch, &plain);
    if (err == NX_OK)
        err = nx_buf_err(scratch);
    if (err == NX_OK)
        *out = nx_hash64(scratch->data, scratch->len);
    return err;
}

/* --- the table --- */

struct key {
    uint32_t partition;
    int64_t window;
};

static uint64_t key_hash(uint32_t partition, int64_t window)
{
    return finish((uint64_t)window * 31 + partition);
}

static bool key_eq(uint32_t at, const void *key, const void *user)
{
    const struct ing_digest_row *row = &((const struct ing_digest_table *)user)->rows[at];
    const struct key *wanted = key;
    return row->partition == wanted->partition && row->window == wanted->window;
}

void ing_digest_table_init(struct ing_digest_table *table)
{
    *table = (struct ing_digest_table){.count = 0};
    nx_index_init(&table->index);
}

void ing_digest_table_release(struct ing_digest_table *table)
{
    nx_index_release(&table->index);
    nx_free(table->rows);
    *table = (struct ing_digest_table){.count = 0};
    nx_index_init(&table->index);
}

void ing_digest_table_clear(struct ing_digest_table *table)
{
    nx_index_clear(&table->index);
    table->count = 0;
}

struct ing_digest *ing_digest_table_find(const struct ing_digest_table *table, uint32_t partition,
                                         int64_t window)
{
    struct key key = {.partition = partition, .window = window};
    uint32_t at = nx_index_find(&table->index, key_hash(partition, window), key_eq, &key, table);
    return at == NX_INDEX_NONE ? NULL : &table->rows[at].digest;
}

enum nx_err ing_digest_table_add(struct ing_digest_table *table, uint32_t partition, int64_t window,
                                 struct ing_digest digest)
{
    struct ing_digest *found = ing_digest_table_find(table, partition, window);
    if (found) {
        found->count += digest.count;
        found->hash += digest.hash;
        return NX_OK;
    }
    enum nx_err err =
        nx_grow(&table->rows, &table->capacity, table->count + 1, sizeof *table->rows);
    if (err == NX_OK)
        err = nx_index_insert(&table->index, key_hash(partition, window), (uint32_t)table->count);
    if (err == NX_OK)
        table->rows[table->count++] =
            (struct ing_digest_row){.window = window, .partition = partition, .digest = digest};
    return err;
}

static enum nx_err index_again(struct ing_digest_table *table)
{
    nx_index_clear(&table->index);
    for (size_t i = 0; i < table->count; i++) {
        const struct ing_digest_row *row = &table->rows[i];
        enum nx_err err =
            nx_index_insert(&table->index, key_hash(row->partition, row->window), (uint32_t)i);
        if (err != NX_OK) {
            ing_digest_table_clear(table);
            return err;
        }
    }
    return NX_OK;
}

enum nx_err ing_digest_table_drop(struct ing_digest_table *table, int64_t from, int64_t to)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].window < from || table->rows[i].window >= to)
            table->rows[kept++] = table->rows[i];
    if (kept == table->count)
        return NX_OK;
    table->count = kept;
    return index_again(table);
}

static int compare_rows(const void *a, const void *b)
{
    const struct ing_digest_row *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return (x->window > y->window) - (x->window < y->window);
}

enum nx_err ing_digest_table_sort(struct ing_digest_table *table)
{
    if (table->count > 1)
        qsort(table->rows, table->count, sizeof *table->rows, compare_rows);
    return index_again(table);
}

/* --- samples --- */

void ing_digest_sum_init(struct ing_digest_sum *sum, struct ing_digest_table *table,
                         uint32_t partitions)
{
    *sum = (struct ing_digest_sum){.table = table, .partitions = partitions};
    nx_buf_init(&sum->scratch, NX_CHUNK_MAX_BYTES);
}

void ing_digest_sum_release(struct ing_digest_sum *sum)
{
    nx_buf_release(&sum->scratch);
}

static enum nx_err sum_samples(struct ing_digest_sum *sum, struct nx_series_id id,
                               struct nx_sample_iter *it)
{
    uint32_t partition = nx_series_id_partition(id, sum->partitions);
    uint64_t seed = mix(id.hi, id.lo);
    int64_t window = INT64_MIN, end = INT64_MIN;
    struct ing_digest digest = {.count = 0};
    struct nx_sample sample;
    enum nx_err err = NX_OK;
    int rc = 0;
    while (err == NX_OK && (rc = nx_sample_next(it, &sample)) == 1) {
        uint64_t value = nx_double_bits(sample.value);
        if (sample.t >= end) {
            if (digest.count > 0)
                err = ing_digest_table_add(sum->table, partition, window, digest);
            window = ing_digest_window(sample.t);
            end = window + ING_DIGEST_WINDOW_MS;
            digest = (struct ing_digest){.count = 0};
        }
        if (sample.histogram && err == NX_OK)
            err = hash_histogram(&sum->scratch, sample.histogram, &value);
        uint64_t hash = mix(mix(seed, (uint64_t)sample.t), value);
        digest.hash += sample.histogram ? ~hash : hash;
        digest.count++;
    }
    if (err == NX_OK)
        err = (enum nx_err)rc;
    return err == NX_OK && digest.count > 0
               ? ing_digest_table_add(sum->table, partition, window, digest)
               : err;
}

enum nx_err ing_digest_sum_chunks(struct ing_digest_sum *sum, struct nx_series_id id,
                                  const struct nx_chunk *chunks, size_t count, int64_t min_t,
                                  int64_t max_t)
{
    struct nx_sample_iter *it;
    enum nx_err err = nx_chunks_iter_new(chunks, count, min_t, max_t, &it);
    if (err != NX_OK)
        return err;
    err = sum_samples(sum, id, it);
    nx_sample_iter_free(it);
    return err;
}

/* --- bytes --- */

enum nx_err ing_digest_table_encode(struct ing_digest_table *table, struct nx_buf *out)
{
    enum nx_err err = ing_digest_table_sort(table);
    if (err != NX_OK)
        return err;
    nx_buf_put_uvarint(out, table->count);
    struct ing_digest_row last = {.window = 0};
    for (size_t i = 0; i < table->count; i++) {
        const struct ing_digest_row *row = &table->rows[i];
        nx_buf_put_uvarint(out, row->partition - last.partition);
        nx_buf_put_varint(out, (row->window - last.window) / ING_DIGEST_WINDOW_MS);
        nx_buf_put_uvarint(out, row->digest.count);
        nx_buf_put_u64(out, row->digest.hash);
        last = *row;
    }
    return nx_buf_err(out);
}

static enum nx_err decode_rows(struct nx_cursor *cur, uint32_t partitions, uint64_t count,
                               struct ing_digest_table *out)
{
    const int64_t window_max = (INT64_C(1) << 61) / ING_DIGEST_WINDOW_MS;
    uint64_t partition = 0;
    int64_t window = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t step = nx_cursor_uvarint(cur);
        int64_t move = nx_cursor_varint(cur);
        struct ing_digest digest = {.count = nx_cursor_uvarint(cur)};
        digest.hash = nx_cursor_u64(cur);
        if (!nx_cursor_ok(cur) || step >= partitions - partition || move > window_max ||
            move < -window_max || (i > 0 && step == 0 && move <= 0))
            return NX_ERR_CORRUPT;
        partition += step;
        window += move;
        if (window > window_max || window < -window_max)
            return NX_ERR_CORRUPT;
        enum nx_err err =
            ing_digest_table_add(out, (uint32_t)partition, window * ING_DIGEST_WINDOW_MS, digest);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

enum nx_err ing_digest_table_decode(struct nx_cursor *cur, uint32_t partitions,
                                    struct ing_digest_table *out)
{
    uint64_t count = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || count > nx_cursor_left(cur) / ROW_BYTES_MIN || partitions == 0)
        return NX_ERR_CORRUPT;
    return decode_rows(cur, partitions, count, out);
}
