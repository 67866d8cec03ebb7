/* Written once, by this process: reading needs no bounds. */
#include "ingester/head/label_record.h"

static size_t number_size(uint32_t value)
{
    size_t size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static uint8_t *number_put(uint8_t *out, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

uint32_t ing_label_record_new(struct ing_slab *slab, const uint32_t *pairs, size_t count)
{
    size_t size = number_size((uint32_t)count);
    for (size_t i = 0; i < count; i++)
        size += number_size(pairs[i]);
    uint32_t record = ing_slab_alloc(slab, size);
    if (record == ING_SLAB_NONE)
        return ING_SLAB_NONE;
    uint8_t *out = number_put(ing_slab_at(slab, record), (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        out = number_put(out, pairs[i]);
    return record;
}
