/* The numbers that a shard's log gives its series, and where those series are in a head. A life of
 * the process counts its numbers up and writes the series in that order, and pushes repeat the
 * order, so that most look-ups are beside the one before. One thread. */
#ifndef ING_WAL_REF_MAP_H
#define ING_WAL_REF_MAP_H

#include "common/base/index.h"

#define ING_REF_MAP_PAGE 64u

/* Values are the caller's, save this one. */
#define ING_REF_MAP_NONE UINT32_MAX

struct ing_ref_page {
    uint64_t number; /* of its first entry / ING_REF_MAP_PAGE */
    uint32_t refs[ING_REF_MAP_PAGE];
};

struct ing_ref_map {
    struct nx_index index; /* page number -> position */
    struct ing_ref_page **pages;
    size_t count;
    size_t capacity;
    const struct ing_ref_page *last; /* looked up */
};

void ing_ref_map_init(struct ing_ref_map *map);
void ing_ref_map_release(struct ing_ref_map *map);
/* Keeps the first value that a number was given. */
enum nx_err ing_ref_map_add(struct ing_ref_map *map, uint64_t log_ref, uint32_t ref) NX_WARN_UNUSED;
/* The value of a number in another page than the last one; inline below. */
uint32_t ing_ref_map_find_page(struct ing_ref_map *map, uint64_t log_ref);
/* ING_REF_MAP_NONE: not there. */
static inline uint32_t ing_ref_map_find(struct ing_ref_map *map, uint64_t log_ref)
{
    if (map->last && map->last->number == log_ref / ING_REF_MAP_PAGE)
        return map->last->refs[log_ref % ING_REF_MAP_PAGE];
    return ing_ref_map_find_page(map, log_ref);
}

#endif
