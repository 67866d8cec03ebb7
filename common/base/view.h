/* A read-only run of bytes that somebody else owns. Not NUL-terminated. */
#ifndef NX_BASE_VIEW_H
#define NX_BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct nx_view {
    const char *ptr;
    size_t len;
};

/* A view of a string literal. */
#define NX_VIEW(literal) ((struct nx_view){.ptr = (literal), .len = sizeof(literal) - 1})

/* For printf("%.*s", NX_VIEW_ARG(v)); text longer than INT_MAX is the caller's to cut. */
#define NX_VIEW_ARG(v) (int)(v).len, (v).ptr

static inline struct nx_view nx_view_of(const char *text)
{
    return (struct nx_view){.ptr = text, .len = text ? strlen(text) : 0};
}

static inline struct nx_view nx_view_make(const void *ptr, size_t len)
{
    return (struct nx_view){.ptr = (const char *)ptr, .len = len};
}

static inline bool nx_view_eq(struct nx_view a, struct nx_view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool nx_view_is(struct nx_view a, const char *text)
{
    return nx_view_eq(a, nx_view_of(text));
}

/* Byte order, a prefix before what it begins: negative, zero or positive. */
int nx_view_cmp(struct nx_view a, struct nx_view b);
bool nx_view_has_prefix(struct nx_view v, struct nx_view prefix);
bool nx_view_has_suffix(struct nx_view v, struct nx_view suffix);
/* ASCII only. */
bool nx_view_eq_nocase(struct nx_view a, struct nx_view b);
/* The view without leading and trailing space, tab, CR and LF. */
struct nx_view nx_view_trim(struct nx_view v);
/* True for well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool nx_view_is_utf8(struct nx_view v);
/* The offset of `c`, or v.len where it does not occur. */
size_t nx_view_find(struct nx_view v, char c);

#endif
