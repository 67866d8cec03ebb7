/* Label names and values of one shard, each stored once and counted. A symbol lives while somebody
 * holds a reference to it; its number may be given to another string after that. One thread. */
#ifndef ING_HEAD_SYMBOLS_H
#define ING_HEAD_SYMBOLS_H

#include <stdint.h>

#include "common/base/index.h"
#include "common/base/view.h"
#include "ingester/head/slab.h"

#define ING_SYMBOL_NONE NX_INDEX_NONE

struct ing_symbol {
    uint32_t text; /* in `texts`; ING_SLAB_NONE: free, `refs` is then the next free one */
    uint32_t len;
    uint32_t refs;
};

struct ing_symbols {
    struct nx_index index;
    struct ing_symbol *items;
    size_t count;
    size_t capacity;
    uint32_t free_first;
    size_t text_bytes;
    struct ing_slab texts;
};

void ing_symbols_init(struct ing_symbols *symbols);
void ing_symbols_release(struct ing_symbols *symbols);
/* Takes a reference to the symbol of `text`, adding it where it is new. */
enum nx_err ing_symbols_intern(struct ing_symbols *symbols, struct nx_view text,
                               uint32_t *out) NX_WARN_UNUSED;
void ing_symbols_drop(struct ing_symbols *symbols, uint32_t symbol);
/* ING_SYMBOL_NONE where there is none; takes no reference. */
uint32_t ing_symbols_find(const struct ing_symbols *symbols, struct nx_view text);
/* Valid while the symbol is held. */
struct nx_view ing_symbols_text(const struct ing_symbols *symbols, uint32_t symbol);

#endif
