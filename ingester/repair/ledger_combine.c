/* The digests of the sources (the heads, each block) add up where only one of them has something of
 * a partition and window, which is nearly always so. Where several have, the samples have to be
 * brought together; what they come to is remembered under the digests of the parts, and so not
 * worked out again until one of them changes. */
#include <string.h>

#include "ingester/repair/block_digest.h"
#include "ingester/repair/ledger_internal.h"

struct combine {
    struct ing_ledger *ledger;
    struct ing_ledger_tenant *tenant;
    int64_t until;
};

static enum nx_err add_source(struct combine *combine, const struct ing_digest_table *source,
                              bool is_block)
{
    struct ing_ledger_tenant *tenant = combine->tenant;
    int64_t cut = ing_digest_window(combine->until);
    for (size_t i = 0; i < source->count; i++) {
        const struct ing_digest_row *row = &source->rows[i];
        if (row->window > tenant->last_window)
            tenant->last_window = row->window;
        if (row->window >= combine->until || row->digest.count == 0)
            continue;
        struct ing_digest print = {.count = 1};
        print.hash = ing_digest_mix(row->digest.hash, row->digest.count);
        if (row->window == cut && is_block) {
            /* it may hold samples beyond `until`: has to be read */
            print.count = 2;
            print.hash = ing_digest_mix(print.hash, (uint64_t)combine->until);
        }
        enum nx_err err =
            ing_digest_table_add(&tenant->whole, row->partition, row->window, row->digest);
        if (err == NX_OK)
            err = ing_digest_table_add(&combine->ledger->next_prints, row->partition, row->window,
                                       print);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err add_block(struct combine *combine, struct ing_block *block,
                             const struct ing_tombstone_list *tombstones)
{
    struct ingester *ing = combine->ledger->ing;
    struct ing_digest_table table;
    ing_digest_table_init(&table);
    enum nx_err err =
        ing_block_digest(ing->deps.fs, block, tombstones, ing->deps.partitions, &table);
    if (err == NX_OK) {
        err = add_source(combine, &table, true);
    } else if (err == NX_ERR_CORRUPT) {
        /* what it held is missing here, and is brought back from where it is not */
        ing_block_set_report(ing->blocks, block, err);
        err = NX_OK;
    }
    ing_digest_table_release(&table);
    return err;
}

static enum nx_err add_sources(struct combine *combine)
{
    struct ingester *ing = combine->ledger->ing;
    struct ing_tombstone_list tombstones;
    struct ing_block_list blocks;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct nx_interval always = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    enum nx_err err = add_source(combine, &combine->tenant->head, false);
    if (err == NX_OK)
        err = ing_tombstones_acquire(ing->tombstones, combine->tenant->name, always, &tombstones);
    if (err != NX_OK)
        return err;
    err = ing_block_set_acquire(ing->blocks, combine->tenant->name, all, &blocks);
    if (err == NX_OK) {
        for (size_t i = 0; i < blocks.count && err == NX_OK; i++)
            err = add_block(combine, blocks.blocks[i], &tombstones);
        ing_block_list_release(&blocks);
    }
    ing_tombstone_list_release(&tombstones);
    return err;
}

/* A window with parts in several sources, as far as it has been worked out before. */
static bool is_known(const struct ing_ledger_tenant *tenant, const struct ing_digest_row *print)
{
    const struct ing_digest *old =
        ing_digest_table_find(&tenant->prints, print->partition, print->window);
    return old && ing_digest_eq(*old, print->digest);
}

static bool mark_shared(struct ing_ledger *ledger, const struct ing_ledger_tenant *tenant,
                        int64_t until)
{
    struct ing_range range = {.min_t = INT64_MAX, .max_t = INT64_MIN};
    memset(ledger->shared, 0, (ledger->ing->deps.partitions + 7) / 8);
    for (size_t i = 0; i < ledger->next_prints.count; i++) {
        const struct ing_digest_row *row = &ledger->next_prints.rows[i];
        if (row->digest.count < 2 || is_known(tenant, row))
            continue;
        int64_t last = row->window + ING_DIGEST_WINDOW_MS - 1;
        ledger->shared[row->partition / 8] |= (uint8_t)(1U << (row->partition % 8));
        range.min_t = row->window < range.min_t ? row->window : range.min_t;
        range.max_t = last > range.max_t ? last : range.max_t;
    }
    if (range.max_t >= until)
        range.max_t = until - 1;
    ledger->shared_range = range;
    return range.min_t <= range.max_t;
}

enum nx_err ing_ledger_combine(struct ing_ledger *ledger, struct ing_ledger_tenant *tenant,
                               int64_t until, bool *shared)
{
    struct combine combine = {.ledger = ledger, .tenant = tenant, .until = until};
    ing_digest_table_clear(&tenant->whole);
    ing_digest_table_clear(&ledger->next_prints);
    tenant->last_window = INT64_MIN;
    enum nx_err err = add_sources(&combine);
    if (err == NX_OK)
        *shared = mark_shared(ledger, tenant, until);
    return err;
}

/* The digest of a shared window: gathered now, or known from before. */
static struct ing_digest digest_of(const struct ing_ledger_tenant *tenant,
                                   const struct ing_digest_row *print,
                                   const struct ing_digest_table *gathered)
{
    const struct ing_digest *found =
        is_known(tenant, print)
            ? ing_digest_table_find(&tenant->sums, print->partition, print->window)
            : ing_digest_table_find(gathered, print->partition, print->window);
    return found ? *found : (struct ing_digest){.count = 0};
}

enum nx_err ing_ledger_settle(struct ing_ledger *ledger, struct ing_ledger_tenant *tenant,
                              int64_t until, const struct ing_digest_table *gathered)
{
    struct ing_digest_table prints, sums, none;
    enum nx_err err = NX_OK;
    ing_digest_table_init(&prints);
    ing_digest_table_init(&sums);
    ing_digest_table_init(&none);
    for (size_t i = 0; i < ledger->next_prints.count && err == NX_OK; i++) {
        const struct ing_digest_row *row = &ledger->next_prints.rows[i];
        if (row->digest.count < 2)
            continue;
        struct ing_digest digest = digest_of(tenant, row, gathered ? gathered : &none);
        *ing_digest_table_find(&tenant->whole, row->partition, row->window) = digest;
        err = ing_digest_table_add(&prints, row->partition, row->window, row->digest);
        if (err == NX_OK)
            err = ing_digest_table_add(&sums, row->partition, row->window, digest);
    }
    ing_digest_table_release(&tenant->prints);
    ing_digest_table_release(&tenant->sums);
    ing_digest_table_clear(&ledger->next_prints);
    tenant->prints = prints;
    tenant->sums = sums;
    tenant->version = tenant->next_version;
    tenant->whole_until = until;
    return err;
}
