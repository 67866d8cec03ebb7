/* Opening reads footer, table of contents and meta only, so that a start does not touch the data.
 * The other sections (tables of what lies where) are checksummed together when the first operation
 * comes; whether they are good is remembered. Pages have checksums of their own. */
#include "ingester/block/block_reader.h"

#include <assert.h>
#include <stdatomic.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "ingester/block/block_format.h"
#include "ingester/block/block_view.h"

enum index_state { INDEX_UNCHECKED, INDEX_GOOD, INDEX_DAMAGED };

struct section {
    struct nx_view bytes;
    uint32_t crc;
};

struct ing_block {
    struct nx_refcount refs;
    struct nx_view file;
    char *dir;
    struct nx_arena arena; /* of the meta */
    struct ing_block_meta meta;
    struct section sections[ING_SECTION_MAX + 1];
    atomic_int index_state;
};

static enum nx_err toc_read(struct ing_block *block, struct nx_fail *fail)
{
    struct nx_view file = block->file;
    if (file.len < ING_BLOCK_MAGIC_BYTES + ING_BLOCK_FOOTER_BYTES)
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: too short for a block", block->dir);
    const char *footer = file.ptr + file.len - ING_BLOCK_FOOTER_BYTES;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(footer, ING_BLOCK_FOOTER_BYTES));
    uint64_t offset = nx_cursor_u64(&cur);
    uint32_t len = nx_cursor_u32(&cur);
    uint32_t crc = nx_cursor_u32(&cur);
    uint32_t version = nx_cursor_u32(&cur);
    uint32_t footer_crc = nx_cursor_u32(&cur);
    struct nx_view magic = nx_view_make(cur.ptr, ING_BLOCK_MAGIC_BYTES);
    if (memcmp(magic.ptr, ING_BLOCK_MAGIC, ING_BLOCK_FAMILY_BYTES) != 0 ||
        memcmp(file.ptr, magic.ptr, ING_BLOCK_MAGIC_BYTES) != 0 ||
        footer_crc != nx_crc32c(0, footer, 20))
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: damaged footer", block->dir);
    if (version != ING_BLOCK_VERSION)
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED, "%s: block format %u is not known", block->dir,
                           version);
    if (!nx_view_is(magic, ING_BLOCK_MAGIC))
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: damaged footer", block->dir);
    size_t body = file.len - ING_BLOCK_FOOTER_BYTES;
    if (offset > body || len > body - offset ||
        len != ING_SECTION_MAX * ING_BLOCK_TOC_ENTRY_BYTES ||
        crc != nx_crc32c(0, file.ptr + offset, len))
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: damaged table of contents", block->dir);
    cur = nx_cursor_of(nx_view_make(file.ptr + offset, len));
    for (uint32_t i = 1; i <= ING_SECTION_MAX; i++) {
        uint32_t kind = nx_cursor_u32(&cur);
        struct section section = {.crc = nx_cursor_u32(&cur)};
        uint64_t at = nx_cursor_u64(&cur);
        uint64_t bytes = nx_cursor_u64(&cur);
        if (kind != i || at > body || bytes > body - at)
            return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: section %u out of bounds", block->dir, i);
        section.bytes = nx_view_make(file.ptr + at, (size_t)bytes);
        block->sections[i] = section;
    }
    return NX_OK;
}

static bool section_good(const struct ing_block *block, enum ing_block_section kind)
{
    const struct section *section = &block->sections[kind];
    return section->crc == nx_crc32c(0, section->bytes.ptr, section->bytes.len);
}

static void block_free(struct ing_block *block)
{
    nx_file_unmap(block->file);
    nx_arena_release(&block->arena);
    nx_free(block->dir);
    nx_free(block);
}

static enum nx_err block_read(struct ing_block *block, struct nx_fail *fail)
{
    char *path = nx_path_join(block->dir, ING_BLOCK_FILE);
    if (!path)
        return NX_ERR_NOMEM;
    enum nx_err err = nx_file_map(path, &block->file);
    if (err != NX_OK)
        nx_fail_set(fail, err, "%s: %s", path, nx_err_text(err));
    nx_free(path);
    if (err == NX_OK)
        err = toc_read(block, fail);
    if (err != NX_OK)
        return err;
    if (!section_good(block, ING_SECTION_META))
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: damaged meta section", block->dir);
    err =
        ing_block_meta_decode(block->sections[ING_SECTION_META].bytes, &block->arena, &block->meta);
    if (err == NX_ERR_CORRUPT)
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: malformed meta section", block->dir);
    return err;
}

enum nx_err ing_block_open(const char *dir, struct ing_block **out, struct nx_fail *fail)
{
    struct ing_block *block = nx_calloc(1, sizeof *block);
    if (!block)
        return NX_ERR_NOMEM;
    nx_refcount_init(&block->refs);
    nx_arena_init(&block->arena, 0);
    atomic_init(&block->index_state, INDEX_UNCHECKED);
    block->dir = nx_strdup(dir);
    enum nx_err err = block->dir ? block_read(block, fail) : NX_ERR_NOMEM;
    if (err != NX_OK) {
        block_free(block);
        return err;
    }
    *out = block;
    return NX_OK;
}

struct ing_block *ing_block_take(struct ing_block *block)
{
    nx_refcount_take(&block->refs);
    return block;
}

void ing_block_drop(struct ing_block *block)
{
    if (block && nx_refcount_drop(&block->refs))
        block_free(block);
}

const struct ing_block_meta *ing_block_meta(const struct ing_block *block)
{
    return &block->meta;
}

const char *ing_block_dir(const struct ing_block *block)
{
    return block->dir;
}

uint64_t ing_block_size(const struct ing_block *block)
{
    return block->file.len;
}

struct nx_view ing_block_section(const struct ing_block *block, enum ing_block_section kind)
{
    return block->sections[kind].bytes;
}

enum nx_err ing_block_check(struct ing_block *block)
{
    int state = atomic_load(&block->index_state);
    if (state == INDEX_UNCHECKED) {
        state = INDEX_GOOD;
        for (uint32_t kind = ING_SECTION_LABELS; kind <= ING_SECTION_MAX; kind++) {
            if (!section_good(block, (enum ing_block_section)kind))
                state = INDEX_DAMAGED;
        }
        atomic_store(&block->index_state, state);
    }
    return state == INDEX_GOOD ? NX_OK : NX_ERR_CORRUPT;
}
