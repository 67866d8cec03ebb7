#include "ingester/tsdb/source.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "ingester/tsdb/format.h"

#define META_BYTES_MAX ((size_t)16 << 20)

static enum nx_err no_memory(struct nx_fail *fail)
{
    return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
}

/* NX_ERR_NOT_FOUND where the directory is no block. */
static enum nx_err add_block(struct ing_tsdb_source *source, const char *dir, struct nx_fail *fail)
{
    struct ing_tsdb_source_block block = {.dir =
                                              nx_arena_copy(&source->arena, nx_view_of(dir)).ptr};
    char *path = nx_path_join(dir, ING_TSDB_META_FILE);
    char *bytes = NULL;
    size_t len = 0;
    enum nx_err err = path && block.dir ? NX_OK : no_memory(fail);
    if (err == NX_OK) {
        err = nx_file_read_all(path, META_BYTES_MAX, &bytes, &len);
        if (err != NX_OK)
            nx_fail_set(fail, err, "%s: %s", path, nx_err_text(err));
    }
    nx_free(path);
    if (err != NX_OK)
        return err;
    struct nx_fail why = {.code = NX_OK};
    err = ing_tsdb_meta_parse(nx_view_make(bytes, len), &source->arena, &block.meta, &why);
    nx_free(bytes);
    if (err != NX_OK)
        return nx_fail_set(fail, err, "%s: %s", dir, nx_fail_text(&why));
    err = nx_grow(&source->blocks, &source->capacity, source->count + 1, sizeof *source->blocks);
    if (err != NX_OK)
        return no_memory(fail);
    source->blocks[source->count++] = block;
    return NX_OK;
}

static enum nx_err add_entry(struct ing_tsdb_source *source, const char *path, const char *name,
                             struct nx_fail *fail)
{
    if (strcmp(name, "wal") == 0 || strcmp(name, "chunks_head") == 0)
        source->has_head = true;
    if (!ing_tsdb_is_ulid(nx_view_of(name)))
        return NX_OK;
    char *dir = nx_path_join(path, name);
    if (!dir)
        return no_memory(fail);
    enum nx_err err = add_block(source, dir, fail);
    nx_free(dir);
    return err;
}

static bool is_replaced(const struct ing_tsdb_source *source, const struct ing_tsdb_meta *meta)
{
    if (meta->deletable)
        return true;
    for (size_t i = 0; i < source->count; i++)
        for (size_t k = 0; k < source->blocks[i].meta.parent_count; k++)
            if (strcmp(source->blocks[i].meta.parents[k], meta->ulid) == 0)
                return true;
    return false;
}

static void drop_replaced(struct ing_tsdb_source *source)
{
    size_t kept = 0;
    bool *drop = nx_arena_calloc(&source->arena, source->count, sizeof *drop);
    for (size_t i = 0; drop && i < source->count; i++)
        drop[i] = is_replaced(source, &source->blocks[i].meta);
    for (size_t i = 0; drop && i < source->count; i++) {
        if (!drop[i])
            source->blocks[kept++] = source->blocks[i];
        else
            source->replaced++;
    }
    if (drop)
        source->count = kept;
}

static int block_cmp(const void *a, const void *b)
{
    const struct ing_tsdb_source_block *x = a;
    const struct ing_tsdb_source_block *y = b;
    if (x->meta.min_t != y->meta.min_t)
        return x->meta.min_t < y->meta.min_t ? -1 : 1;
    return strcmp(x->meta.ulid, y->meta.ulid);
}

enum nx_err ing_tsdb_source_find(const char *path, struct ing_tsdb_source *out,
                                 struct nx_fail *fail)
{
    struct ing_tsdb_source source = {.count = 0};
    char **names = NULL;
    size_t count = 0;
    nx_arena_init(&source.arena, 0);
    enum nx_err err = add_block(&source, path, fail);
    if (err == NX_ERR_NOT_FOUND) {
        err = nx_dir_list(path, &names, &count);
        if (err != NX_OK)
            nx_fail_set(fail, err, "%s: %s", path, nx_err_text(err));
    }
    for (size_t i = 0; i < count && err == NX_OK; i++)
        err = add_entry(&source, path, names[i], fail);
    nx_dir_free(names, count);
    if (err == NX_OK && source.count == 0)
        err =
            nx_fail_set(fail, NX_ERR_NOT_FOUND,
                        "%s: no block of Prometheus here: a block is a directory with a meta.json, "
                        "named by a ULID",
                        path);
    if (err != NX_OK) {
        ing_tsdb_source_release(&source);
        return err;
    }
    drop_replaced(&source);
    if (source.count > 1)
        qsort(source.blocks, source.count, sizeof *source.blocks, block_cmp);
    *out = source;
    return NX_OK;
}

void ing_tsdb_source_release(struct ing_tsdb_source *source)
{
    nx_free(source->blocks);
    nx_arena_release(&source->arena);
    *source = (struct ing_tsdb_source){.count = 0};
}
