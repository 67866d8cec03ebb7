/* Free records of a page are chained through their first two bytes, so that an empty page can be
 * given back without looking for its records elsewhere. Pages with room are in a list a class, and
 * the page that a record came from latest is at its front: the others get a chance to empty. */
#include "ingester/head/slab.h"

#include <assert.h>
#include <string.h>

#include "common/base/alloc.h"

#define LARGE ING_SLAB_CLASSES
#define MAX_PAGES (1u << (32 - ING_SLAB_PAGE_UNITS_BITS))
#define PAGE_BYTES ((size_t)ING_SLAB_PAGE_UNITS * ING_SLAB_UNIT)

/* Classes 0..15: 8 to 128 bytes. From there four a doubling: 160, 192, 224, 256, 320, ... 4096. */
static uint8_t class_of(size_t size)
{
    if (size <= 128)
        return size == 0 ? 0 : (uint8_t)((size - 1) / 8);
    if (size > ING_SLAB_MAX_SMALL)
        return LARGE;
    unsigned top = 63u - (unsigned)__builtin_clzll(size - 1); /* 7 and more */
    unsigned quarter = (unsigned)((size - 1) >> (top - 2)) & 3u;
    return (uint8_t)(16 + (top - 7) * 4 + quarter);
}

static uint32_t class_size(uint8_t class)
{
    if (class < 16)
        return (class + 1u) * 8u;
    unsigned top = 7u + (class - 16u) / 4u;
    return (1u << top) + ((class - 16u) % 4u + 1u) * (1u << (top - 2));
}

void ing_slab_release(struct ing_slab *slab)
{
    for (size_t i = 1; i < slab->page_count; i++)
        nx_free(slab->pages[i].bytes);
    nx_free(slab->pages);
    *slab = (struct ing_slab){.pages = NULL};
}

static void list_add(struct ing_slab *slab, uint32_t number)
{
    struct ing_slab_page *page = &slab->pages[number];
    page->previous = 0;
    page->next = slab->with_room[page->class];
    if (page->next)
        slab->pages[page->next].previous = number;
    slab->with_room[page->class] = number;
}

static void list_remove(struct ing_slab *slab, uint32_t number)
{
    const struct ing_slab_page *page = &slab->pages[number];
    if (page->previous)
        slab->pages[page->previous].next = page->next;
    else
        slab->with_room[page->class] = page->next;
    if (page->next)
        slab->pages[page->next].previous = page->previous;
}

static enum nx_err number_take(struct ing_slab *slab, uint32_t *number)
{
    if (slab->free_page) {
        *number = slab->free_page;
        return NX_OK;
    }
    size_t count = slab->page_count ? slab->page_count : 1;
    if (count >= MAX_PAGES)
        return NX_ERR_LIMIT;
    enum nx_err err = nx_grow(&slab->pages, &slab->page_capacity, count + 1, sizeof *slab->pages);
    if (err == NX_OK)
        *number = (uint32_t)count;
    return err;
}

/* 0 without memory. */
static uint32_t page_new(struct ing_slab *slab, uint8_t class, uint32_t size, size_t bytes)
{
    uint32_t number;
    if (number_take(slab, &number) != NX_OK)
        return 0;
    uint8_t *memory = nx_alloc(bytes);
    if (!memory)
        return 0;
    if (number == slab->free_page) {
        slab->free_page = slab->pages[number].next;
    } else {
        slab->pages[0] = (struct ing_slab_page){.bytes = NULL};
        slab->page_count = number + 1u;
    }
    slab->pages[number] = (struct ing_slab_page){.bytes = memory, .size = size, .class = class};
    slab->bytes += bytes;
    return number;
}

static void page_free(struct ing_slab *slab, uint32_t number, size_t bytes)
{
    nx_free(slab->pages[number].bytes);
    slab->pages[number] = (struct ing_slab_page){.bytes = NULL, .next = slab->free_page};
    slab->free_page = number;
    slab->bytes -= bytes;
}

static uint32_t page_units(const struct ing_slab_page *page)
{
    return page->size / ING_SLAB_UNIT;
}

static bool has_room(const struct ing_slab_page *page)
{
    return page->free_unit || page->carved + page_units(page) <= ING_SLAB_PAGE_UNITS;
}

static uint32_t unit_take(struct ing_slab_page *page)
{
    uint32_t unit;
    if (page->free_unit) {
        unit = page->free_unit - 1u;
        memcpy(&page->free_unit, page->bytes + (size_t)unit * ING_SLAB_UNIT,
               sizeof page->free_unit);
    } else {
        unit = page->carved;
        page->carved = (uint16_t)(page->carved + page_units(page));
    }
    page->live++;
    return unit;
}

uint32_t ing_slab_alloc(struct ing_slab *slab, size_t size)
{
    uint8_t class = class_of(size);
    if (class == LARGE) {
        uint32_t number = size > UINT32_MAX ? 0 : page_new(slab, LARGE, (uint32_t)size, size);
        return number << ING_SLAB_PAGE_UNITS_BITS;
    }
    uint32_t number = slab->with_room[class];
    if (!number) {
        number = page_new(slab, class, class_size(class), PAGE_BYTES);
        if (!number)
            return ING_SLAB_NONE;
        list_add(slab, number);
    }
    struct ing_slab_page *page = &slab->pages[number];
    uint32_t unit = unit_take(page);
    if (!has_room(page))
        list_remove(slab, number);
    return number << ING_SLAB_PAGE_UNITS_BITS | unit;
}

void ing_slab_free(struct ing_slab *slab, uint32_t ref)
{
    if (ref == ING_SLAB_NONE)
        return;
    uint32_t number = ref >> ING_SLAB_PAGE_UNITS_BITS;
    uint32_t unit = ref & (ING_SLAB_PAGE_UNITS - 1);
    struct ing_slab_page *page = &slab->pages[number];
    assert(number < slab->page_count && page->bytes);
    if (page->class == LARGE) {
        page_free(slab, number, page->size);
        return;
    }
    assert(page->live > 0 && unit < page->carved && unit % page_units(page) == 0);
    bool was_full = !has_room(page);
    memcpy(page->bytes + (size_t)unit * ING_SLAB_UNIT, &page->free_unit, sizeof page->free_unit);
    page->free_unit = (uint16_t)(unit + 1);
    page->live--;
    if (was_full)
        list_add(slab, number);
    bool is_only = slab->with_room[page->class] == number && page->next == 0;
    if (page->live == 0 && !is_only) {
        list_remove(slab, number);
        page_free(slab, number, PAGE_BYTES);
    }
}

size_t ing_slab_memory_bytes(const struct ing_slab *slab)
{
    return slab->bytes + slab->page_capacity * sizeof *slab->pages;
}
