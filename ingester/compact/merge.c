/* The blocks' iterators each stand on a series; the least label set is taken from all that have it.
 * The block's meta carries what its sources knew: which windows of the log they hold, and the names
 * of those that must go when both are found, also of older ones that could not be removed. */
#include "ingester/compact/merge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "ingester/block/block_writer.h"
#include "ingester/tombstone/mask.h"

struct source {
    struct ing_block *block;
    struct ing_block_iter *iter;
    struct ing_block_series series;
    bool done;
    bool masked; /* some deletion touches it */
};

struct run {
    struct ing_merge *merge;
    struct source *sources;
    size_t count;
    struct nx_arena arena; /* of one series */
    struct nx_arena meta_arena;
    struct ing_block_meta meta;
    char *dir;
    struct ing_block_writer *writer; /* once there is a series */
    struct nx_chunk *chunks;
    size_t chunk_capacity;
};

/* --- the new block's meta --- */

static enum nx_err collect_positions(struct run *run)
{
    const struct ing_block_list *sources = run->merge->sources;
    size_t total = 0;
    for (size_t i = 0; i < sources->count; i++)
        total += ing_block_meta(sources->blocks[i])->position_count;
    struct ing_block_position *positions =
        nx_arena_array(&run->meta_arena, total, sizeof *positions);
    if (!positions)
        return NX_ERR_NOMEM;
    size_t count = 0;
    for (size_t i = 0; i < sources->count; i++) {
        const struct ing_block_meta *meta = ing_block_meta(sources->blocks[i]);
        for (size_t j = 0; j < meta->position_count; j++)
            if (meta->generation == run->merge->generation)
                positions[count++] = meta->positions[j];
    }
    run->meta.positions = positions;
    run->meta.position_count = count;
    return NX_OK;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool exists(char *const *names, size_t count, struct nx_view name)
{
    for (size_t i = 0; i < count; i++)
        if (nx_view_is(name, names[i]))
            return true;
    return false;
}

static enum nx_err collect_sources(struct run *run)
{
    const struct ing_block_list *sources = run->merge->sources;
    size_t total = sources->count;
    for (size_t i = 0; i < sources->count; i++)
        total += ing_block_meta(sources->blocks[i])->source_count;
    struct nx_view *names = nx_arena_array(&run->meta_arena, total, sizeof *names);
    char **present;
    size_t present_count, count = 0;
    if (!names)
        return NX_ERR_NOMEM;
    enum nx_err err = nx_dir_list(run->dir, &present, &present_count);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < sources->count; i++) {
        const struct ing_block_meta *meta = ing_block_meta(sources->blocks[i]);
        names[count++] = nx_view_of(base_name(ing_block_dir(sources->blocks[i])));
        for (size_t j = 0; j < meta->source_count; j++)
            if (exists(present, present_count, meta->sources[j]))
                names[count++] = meta->sources[j];
    }
    nx_dir_free(present, present_count);
    run->meta.sources = names;
    run->meta.source_count = count;
    return NX_OK;
}

static enum nx_err make_meta(struct run *run)
{
    const struct ing_block_list *sources = run->merge->sources;
    const struct ing_block_meta *first = ing_block_meta(sources->blocks[0]);
    run->meta = (struct ing_block_meta){.tenant = first->tenant,
                                        .min_t = first->min_t,
                                        .max_t = first->max_t,
                                        .created_ms = run->merge->now_ms,
                                        .generation = run->merge->generation,
                                        .deletions = run->merge->deletions};
    for (size_t i = 0; i < sources->count; i++) {
        const struct ing_block_meta *meta = ing_block_meta(sources->blocks[i]);
        run->meta.min_t = meta->min_t < run->meta.min_t ? meta->min_t : run->meta.min_t;
        run->meta.max_t = meta->max_t > run->meta.max_t ? meta->max_t : run->meta.max_t;
        run->meta.level = meta->level > run->meta.level ? meta->level : run->meta.level;
    }
    run->meta.level += run->meta.level < UINT32_MAX;
    enum nx_err err = collect_positions(run);
    return err == NX_OK ? collect_sources(run) : err;
}

/* --- the series --- */

static enum nx_err source_next(struct run *run, struct source *source)
{
    int rc = ing_block_iter_next(source->iter, &source->series);
    source->done = rc != 1;
    if (rc == NX_ERR_CORRUPT)
        run->merge->damaged = source->block;
    return rc < 0 ? (enum nx_err)rc : NX_OK;
}

static enum nx_err sources_open(struct run *run)
{
    const struct ing_block_list *list = run->merge->sources;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    run->sources = nx_calloc(list->count, sizeof *run->sources);
    if (!run->sources)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        struct source *source = &run->sources[run->count++];
        source->block = list->blocks[i];
        source->masked = ing_mask_applies(run->merge->tombstones, ing_block_meta(list->blocks[i]));
        enum nx_err err = ing_block_select(list->blocks[i], NULL, 0, all, &source->iter);
        if (err == NX_ERR_CORRUPT)
            run->merge->damaged = list->blocks[i];
        if (err == NX_OK)
            err = source_next(run, source);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static struct source *least(struct run *run)
{
    struct source *found = NULL;
    for (size_t i = 0; i < run->count; i++) {
        struct source *source = &run->sources[i];
        if (!source->done &&
            (!found || nx_labels_cmp(source->series.labels, found->series.labels) < 0))
            found = source;
    }
    return found;
}

/* The chunks of one source's series, without what is deleted, behind those already gathered. */
static enum nx_err gather(struct run *run, struct source *source, size_t *count)
{
    size_t left = source->series.chunk_count;
    if (source->masked) {
        enum nx_err err =
            ing_mask_chunks(run->merge->tombstones, ing_block_meta(source->block),
                            source->series.labels, &run->arena, source->series.chunks, &left);
        if (err == NX_ERR_CORRUPT)
            run->merge->damaged = source->block;
        if (err != NX_OK)
            return err;
    }
    enum nx_err err =
        nx_grow(&run->chunks, &run->chunk_capacity, *count + left, sizeof *run->chunks);
    if (err != NX_OK)
        return err;
    if (left > 0)
        memcpy(run->chunks + *count, source->series.chunks, left * sizeof *run->chunks);
    *count += left;
    return NX_OK;
}

static enum nx_err writer_open(struct run *run)
{
    struct nx_rand rand;
    char name[ING_BLOCK_NAME_MAX];
    nx_rand_system(&rand);
    (void)snprintf(name, sizeof name, "%" PRId64 "-%" PRId64 "-%016" PRIx64, run->meta.min_t,
                   run->meta.max_t, nx_rand_u64(&rand));
    enum nx_err err =
        ing_block_writer_new(run->merge->fs, run->dir, name, &run->meta, &run->writer);
    if (err == NX_OK)
        ing_block_writer_slow(run->writer, run->merge->pace);
    return err;
}

static enum nx_err write_series(struct run *run, struct nx_series_id id, struct nx_labels labels,
                                size_t chunk_count)
{
    uint64_t bytes = 0;
    enum nx_err err = run->writer ? NX_OK : writer_open(run);
    if (err == NX_OK)
        err = ing_block_writer_add(run->writer, id, labels, run->chunks, chunk_count);
    for (size_t i = 0; i < chunk_count; i++)
        bytes += run->chunks[i].data.len;
    ing_pace_spend(run->merge->pace, bytes);
    return err;
}

/* One series of the result. */
static enum nx_err merge_one(struct run *run, struct source *from)
{
    struct nx_series_id id = from->series.id;
    size_t count = 0;
    nx_arena_clear(&run->arena);
    struct nx_labels labels = nx_labels_copy(&run->arena, from->series.labels);
    if (!labels.items && from->series.labels.count > 0)
        return NX_ERR_NOMEM;
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < run->count && err == NX_OK; i++) {
        struct source *source = &run->sources[i];
        if (!source->done && nx_labels_eq(source->series.labels, labels))
            err = gather(run, source, &count);
    }
    if (err == NX_OK && count > 0)
        err = write_series(run, id, labels, count);
    /* only now: what was gathered may lie in the iterators' memory */
    for (size_t i = 0; i < run->count && err == NX_OK; i++) {
        struct source *source = &run->sources[i];
        if (!source->done && nx_labels_eq(source->series.labels, labels))
            err = source_next(run, source);
    }
    return err;
}

static enum nx_err merge_all(struct run *run)
{
    struct source *source;
    enum nx_err err = NX_OK;
    while (err == NX_OK && (source = least(run)))
        err = atomic_load(run->merge->cancel) ? NX_ERR_CANCELED : merge_one(run, source);
    return err;
}

/* The sources go once this is there: so it is read back whole first. */
static enum nx_err verify(struct run *run, struct ing_block **out)
{
    struct nx_fail fail = {.code = NX_OK};
    struct ing_block *block;
    enum nx_err err = ing_block_open(ing_block_writer_path(run->writer), &block, &fail);
    if (err != NX_OK)
        return err;
    err = ing_block_verify_slowly(block, run->merge->pace);
    if (err == NX_OK)
        *out = block;
    else
        ing_block_drop(block);
    return err;
}

static enum nx_err finish(struct run *run, struct ing_block **out)
{
    enum nx_err err = ing_block_writer_finish(run->writer);
    if (err != NX_OK)
        return err;
    err = verify(run, out);
    if (err != NX_OK)
        (void)run->merge->fs->rmdir(run->merge->fs, ing_block_writer_path(run->writer));
    return err == NX_ERR_CORRUPT ? NX_ERR_INTERNAL : err;
}

enum nx_err ing_merge_run(struct ing_merge *merge, struct ing_block **out)
{
    struct run run = {.merge = merge};
    struct ing_block *block = NULL;
    nx_arena_init(&run.arena, 0);
    nx_arena_init(&run.meta_arena, 0);
    enum nx_err err = ing_block_set_tenant_dir(
        merge->set, ing_block_meta(merge->sources->blocks[0])->tenant, &run.dir);
    if (err == NX_OK)
        err = make_meta(&run);
    if (err == NX_OK)
        err = sources_open(&run);
    if (err == NX_OK)
        err = merge_all(&run);
    /* without a series there is still what the log need not bring back */
    if (err == NX_OK && !run.writer && run.meta.position_count > 0)
        err = writer_open(&run);
    if (err == NX_OK && run.writer)
        err = finish(&run, &block);
    for (size_t i = 0; i < run.count; i++)
        ing_block_iter_free(run.sources[i].iter);
    ing_block_writer_free(run.writer);
    nx_free(run.sources);
    nx_free(run.chunks);
    nx_free(run.dir);
    nx_arena_release(&run.arena);
    nx_arena_release(&run.meta_arena);
    if (err == NX_OK)
        *out = block;
    return err;
}
