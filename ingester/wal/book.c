/* Segments and windows are few: plain arrays. */
#include "ingester/wal/book.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/alloc.h"

void ing_book_init(struct ing_book *book)
{
    *book = (struct ing_book){0};
}

void ing_book_release(struct ing_book *book)
{
    for (size_t i = 0; i < book->count; i++)
        nx_free(book->segments[i].entries);
    nx_free(book->segments);
    ing_book_init(book);
}

enum nx_err ing_book_reserve(struct ing_book *book, uint64_t segment)
{
    if (book->count == 0 || book->segments[book->count - 1].segment != segment) {
        assert(book->count == 0 || book->segments[book->count - 1].segment < segment);
        enum nx_err err =
            nx_grow(&book->segments, &book->capacity, book->count + 1, sizeof *book->segments);
        if (err != NX_OK)
            return err;
        book->segments[book->count++] = (struct ing_book_segment){.segment = segment};
    }
    struct ing_book_segment *newest = &book->segments[book->count - 1];
    return nx_grow(&newest->entries, &newest->capacity, newest->count + 1, sizeof *newest->entries);
}

static bool entry_is(const struct ing_book_entry *entry, uint32_t tenant, int64_t window)
{
    return entry->tenant == tenant && entry->window == window;
}

void ing_book_note(struct ing_book *book, uint64_t segment, uint32_t tenant, int64_t window)
{
    assert(book->count > 0);
    struct ing_book_segment *newest = &book->segments[book->count - 1];
    assert(newest->segment == segment);
    (void)segment;
    if (newest->last < newest->count && entry_is(&newest->entries[newest->last], tenant, window))
        return;
    for (size_t i = 0; i < newest->count; i++) {
        if (entry_is(&newest->entries[i], tenant, window)) {
            newest->last = i;
            return;
        }
    }
    assert(newest->count < newest->capacity);
    newest->last = newest->count;
    newest->entries[newest->count++] = (struct ing_book_entry){.tenant = tenant, .window = window};
}

void ing_book_clear(struct ing_book *book, uint64_t before, uint32_t tenant, int64_t window)
{
    for (size_t i = 0; i < book->count && book->segments[i].segment < before; i++) {
        struct ing_book_segment *segment = &book->segments[i];
        for (size_t j = 0; j < segment->count; j++) {
            if (!entry_is(&segment->entries[j], tenant, window))
                continue;
            segment->entries[j] = segment->entries[--segment->count];
            break;
        }
    }
}

uint64_t ing_book_first_needed(struct ing_book *book, uint64_t current)
{
    size_t done = 0;
    while (done < book->count && book->segments[done].segment < current &&
           book->segments[done].count == 0)
        nx_free(book->segments[done++].entries);
    if (done > 0)
        memmove(book->segments, book->segments + done,
                (book->count - done) * sizeof *book->segments);
    book->count -= done;
    if (book->count == 0 || book->segments[0].segment > current)
        return current;
    return book->segments[0].segment;
}
