/* Strings in a slab, found through an open-addressing index over their hashes; free slots are
 * chained through `refs`, so numbers stay small under churn. */
#include "ingester/head/symbols.h"

#include <assert.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"

void ing_symbols_init(struct ing_symbols *symbols)
{
    *symbols = (struct ing_symbols){.free_first = ING_SYMBOL_NONE};
    nx_index_init(&symbols->index);
}

void ing_symbols_release(struct ing_symbols *symbols)
{
    nx_free(symbols->items);
    ing_slab_release(&symbols->texts);
    nx_index_release(&symbols->index);
    ing_symbols_init(symbols);
}

static const char *text_of(const struct ing_symbols *symbols, const struct ing_symbol *item)
{
    return ing_slab_at(&symbols->texts, item->text);
}

static bool symbol_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_symbols *symbols = user;
    const struct nx_view *text = key;
    const struct ing_symbol *item = &symbols->items[ref];
    return item->len == text->len && memcmp(text_of(symbols, item), text->ptr, item->len) == 0;
}

uint32_t ing_symbols_find(const struct ing_symbols *symbols, struct nx_view text)
{
    return nx_index_find(&symbols->index, nx_hash_view(text), symbol_eq, &text, symbols);
}

static enum nx_err slot_take(struct ing_symbols *symbols, uint32_t *slot)
{
    if (symbols->free_first != ING_SYMBOL_NONE) {
        *slot = symbols->free_first;
        symbols->free_first = symbols->items[*slot].refs;
        return NX_OK;
    }
    if (symbols->count >= UINT32_MAX - 1)
        return NX_ERR_LIMIT;
    enum nx_err err =
        nx_grow(&symbols->items, &symbols->capacity, symbols->count + 1, sizeof *symbols->items);
    if (err != NX_OK)
        return err;
    *slot = (uint32_t)symbols->count++;
    return NX_OK;
}

static void slot_give(struct ing_symbols *symbols, uint32_t slot)
{
    symbols->items[slot] = (struct ing_symbol){.refs = symbols->free_first};
    symbols->free_first = slot;
}

enum nx_err ing_symbols_intern(struct ing_symbols *symbols, struct nx_view text, uint32_t *out)
{
    uint64_t hash = nx_hash_view(text);
    uint32_t found = nx_index_find(&symbols->index, hash, symbol_eq, &text, symbols);
    if (found != NX_INDEX_NONE) {
        symbols->items[found].refs++;
        *out = found;
        return NX_OK;
    }
    if (text.len > UINT32_MAX)
        return NX_ERR_TOO_LARGE;
    uint32_t copy = ing_slab_alloc(&symbols->texts, text.len);
    if (copy == ING_SLAB_NONE)
        return NX_ERR_NOMEM;
    uint32_t slot;
    enum nx_err err = slot_take(symbols, &slot);
    if (err != NX_OK) {
        ing_slab_free(&symbols->texts, copy);
        return err;
    }
    if (text.len > 0)
        memcpy(ing_slab_at(&symbols->texts, copy), text.ptr, text.len);
    symbols->items[slot] = (struct ing_symbol){.text = copy, .len = (uint32_t)text.len, .refs = 1};
    err = nx_index_insert(&symbols->index, hash, slot);
    if (err != NX_OK) {
        slot_give(symbols, slot);
        ing_slab_free(&symbols->texts, copy);
        return err;
    }
    symbols->text_bytes += text.len;
    *out = slot;
    return NX_OK;
}

void ing_symbols_drop(struct ing_symbols *symbols, uint32_t symbol)
{
    assert(symbol < symbols->count);
    struct ing_symbol *item = &symbols->items[symbol];
    assert(item->text && item->refs > 0);
    if (--item->refs > 0)
        return;
    uint32_t text = item->text;
    symbols->text_bytes -= item->len;
    nx_index_remove(&symbols->index, nx_hash64(text_of(symbols, item), item->len), symbol);
    slot_give(symbols, symbol);
    ing_slab_free(&symbols->texts, text);
}

struct nx_view ing_symbols_text(const struct ing_symbols *symbols, uint32_t symbol)
{
    assert(symbol < symbols->count && symbols->items[symbol].text);
    return nx_view_make(text_of(symbols, &symbols->items[symbol]), symbols->items[symbol].len);
}
