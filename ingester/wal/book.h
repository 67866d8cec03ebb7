/* Which windows have samples in which segment of a shard's log, so that a segment can go once all
 * of its samples are in blocks. Tenants are numbers of the shard's head. One thread. */
#ifndef ING_WAL_BOOK_H
#define ING_WAL_BOOK_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct ing_book_entry {
    int64_t window;
    uint32_t tenant;
};

struct ing_book_segment {
    uint64_t segment;
    struct ing_book_entry *entries;
    size_t count;
    size_t capacity;
    size_t last; /* the entry noted last: mostly the next one too */
};

struct ing_book {
    struct ing_book_segment *segments; /* ascending */
    size_t count;
    size_t capacity;
};

void ing_book_init(struct ing_book *book);
void ing_book_release(struct ing_book *book);
/* Room for one more note in that segment, which is the newest. */
enum nx_err ing_book_reserve(struct ing_book *book, uint64_t segment) NX_WARN_UNUSED;
/* After a reserve. */
void ing_book_note(struct ing_book *book, uint64_t segment, uint32_t tenant, int64_t window);
/* The window's samples in segments before `before` are in a block now. */
void ing_book_clear(struct ing_book *book, uint64_t before, uint32_t tenant, int64_t window);
/* The first segment that is still needed, at most `current`; forgets those before it. */
uint64_t ing_book_first_needed(struct ing_book *book, uint64_t current);

#endif
