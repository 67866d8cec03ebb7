/* Reads everything: each checksum, each series, each sample; and holds what the block says of
 * itself against what was found. */
#include <inttypes.h>
#include <stdio.h>

#include "cmd/tool_block.h"

struct totals {
    uint64_t series, chunks, samples;
};

static enum nx_err check_chunks(const struct ing_block_series *series,
                                const struct ing_block_meta *meta, struct totals *totals,
                                struct nx_fail *fail)
{
    for (size_t i = 0; i < series->chunk_count; i++) {
        const struct nx_chunk *chunk = &series->chunks[i];
        struct nx_chunk found;
        enum nx_err err = nx_chunk_inspect(chunk->encoding, chunk->data, &found);
        if (err != NX_OK)
            return nx_fail_set(fail, err, "chunk %zu of series %" PRIu64 " cannot be read: %s", i,
                               totals->series, nx_err_text(err));
        if (found.count != chunk->count || found.min_t != chunk->min_t ||
            found.max_t != chunk->max_t || found.min_t < meta->min_t ||
            found.max_t >= meta->max_t || (i > 0 && found.min_t <= series->chunks[i - 1].max_t))
            return nx_fail_set(fail, NX_ERR_CORRUPT,
                               "chunk %zu of series %" PRIu64
                               " is not what the index says, or not in order",
                               i, totals->series);
        totals->samples += found.count;
    }
    totals->chunks += series->chunk_count;
    return NX_OK;
}

static enum nx_err check_series(struct ing_block *block, struct totals *totals,
                                struct nx_fail *fail)
{
    const struct ing_block_meta *meta = ing_block_meta(block);
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct ing_block_iter *iter;
    struct ing_block_series series;
    enum nx_err err = ing_block_select(block, NULL, 0, all, &iter);
    if (err != NX_OK)
        return err;
    int rc = 0;
    while (err == NX_OK && (rc = ing_block_iter_next(iter, &series)) == 1) {
        struct nx_series_id id = nx_series_id_of(meta->tenant, series.labels);
        if (!nx_series_id_eq(id, series.id))
            err = nx_fail_set(fail, NX_ERR_CORRUPT,
                              "series %" PRIu64 " does not have the id of its labels",
                              totals->series);
        else
            err = check_chunks(&series, meta, totals, fail);
        totals->series++;
    }
    ing_block_iter_free(iter);
    return err != NX_OK ? err : (enum nx_err)rc;
}

enum nx_err cmd_block_verify(struct ing_block *block, const struct cmd_block_options *options,
                             struct nx_fail *fail)
{
    const struct ing_block_meta *meta = ing_block_meta(block);
    struct totals totals = {0, 0, 0};
    (void)options;
    enum nx_err err = ing_block_verify(block);
    if (err == NX_OK)
        err = check_series(block, &totals, fail);
    if (err == NX_OK && (totals.series != meta->series || totals.samples != meta->samples))
        err = nx_fail_set(fail, NX_ERR_CORRUPT,
                          "holds %" PRIu64 " series and %" PRIu64 " samples; it says %" PRIu64
                          " and %" PRIu64,
                          totals.series, totals.samples, meta->series, meta->samples);
    if (err == NX_OK)
        (void)printf("%s: good: %" PRIu64 " series, %" PRIu64 " samples\n", ing_block_dir(block),
                     totals.series, totals.samples);
    return err;
}
