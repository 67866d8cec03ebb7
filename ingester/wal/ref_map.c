/* Pages of 64 numbers: full ones cost four bytes a series; where few of a life's series are left,
 * a page of them costs no more than their entries in a hash table would. */
#include "ingester/wal/ref_map.h"

#include "common/base/alloc.h"
#include "common/base/hash.h"

void ing_ref_map_init(struct ing_ref_map *map)
{
    *map = (struct ing_ref_map){0};
    nx_index_init(&map->index);
}

void ing_ref_map_release(struct ing_ref_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        nx_free(map->pages[i]);
    nx_free(map->pages);
    nx_index_release(&map->index);
    ing_ref_map_init(map);
}

static bool page_eq(uint32_t at, const void *key, const void *user)
{
    return ((const struct ing_ref_map *)user)->pages[at]->number == *(const uint64_t *)key;
}

static struct ing_ref_page *page_find(const struct ing_ref_map *map, uint64_t number)
{
    uint32_t at =
        nx_index_find(&map->index, nx_hash64(&number, sizeof number), page_eq, &number, map);
    return at == NX_INDEX_NONE ? NULL : map->pages[at];
}

static enum nx_err page_new(struct ing_ref_map *map, uint64_t number, struct ing_ref_page **out)
{
    enum nx_err err =
        nx_grow(&map->pages, &map->capacity, map->count + 1, sizeof(struct ing_ref_page *));
    if (err != NX_OK)
        return err;
    struct ing_ref_page *page = nx_alloc(sizeof *page);
    if (!page)
        return NX_ERR_NOMEM;
    page->number = number;
    for (size_t i = 0; i < ING_REF_MAP_PAGE; i++)
        page->refs[i] = ING_REF_MAP_NONE;
    err = nx_index_insert(&map->index, nx_hash64(&number, sizeof number), (uint32_t)map->count);
    if (err != NX_OK) {
        nx_free(page);
        return err;
    }
    map->pages[map->count++] = page;
    *out = page;
    return NX_OK;
}

enum nx_err ing_ref_map_add(struct ing_ref_map *map, uint64_t log_ref, uint32_t ref)
{
    uint64_t number = log_ref / ING_REF_MAP_PAGE;
    struct ing_ref_page *page = page_find(map, number);
    if (!page) {
        enum nx_err err = page_new(map, number, &page);
        if (err != NX_OK)
            return err;
    }
    uint32_t *slot = &page->refs[log_ref % ING_REF_MAP_PAGE];
    if (*slot == ING_REF_MAP_NONE)
        *slot = ref;
    return NX_OK;
}

uint32_t ing_ref_map_find_page(struct ing_ref_map *map, uint64_t log_ref)
{
    const struct ing_ref_page *page = page_find(map, log_ref / ING_REF_MAP_PAGE);
    if (!page)
        return ING_REF_MAP_NONE;
    map->last = page;
    return page->refs[log_ref % ING_REF_MAP_PAGE];
}
