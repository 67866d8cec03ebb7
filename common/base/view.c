#include "common/base/view.h"

#include <stdint.h>

int nx_view_cmp(struct nx_view a, struct nx_view b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool nx_view_has_prefix(struct nx_view v, struct nx_view prefix)
{
    return v.len >= prefix.len && (prefix.len == 0 || memcmp(v.ptr, prefix.ptr, prefix.len) == 0);
}

bool nx_view_has_suffix(struct nx_view v, struct nx_view suffix)
{
    return v.len >= suffix.len &&
           (suffix.len == 0 || memcmp(v.ptr + (v.len - suffix.len), suffix.ptr, suffix.len) == 0);
}

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

bool nx_view_eq_nocase(struct nx_view a, struct nx_view b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct nx_view nx_view_trim(struct nx_view v)
{
    while (v.len > 0 && is_space(v.ptr[0])) {
        v.ptr++;
        v.len--;
    }
    while (v.len > 0 && is_space(v.ptr[v.len - 1]))
        v.len--;
    return v;
}

/* The length of the sequence at p (at least one byte before end), or 0 where it is malformed. */
static size_t utf8_sequence(const unsigned char *p, const unsigned char *end)
{
    unsigned char lead = p[0];
    size_t len = lead < 0x80   ? 1
                 : lead < 0xC2 ? 0
                 : lead < 0xE0 ? 2
                 : lead < 0xF0 ? 3
                 : lead < 0xF5 ? 4
                               : 0;
    if (len <= 1)
        return len;
    if ((size_t)(end - p) < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((lead == 0xE0 && p[1] < 0xA0) || (lead == 0xED && p[1] > 0x9F) ||
        (lead == 0xF0 && p[1] < 0x90) || (lead == 0xF4 && p[1] > 0x8F))
        return 0;
    return len;
}

bool nx_view_is_utf8(struct nx_view v)
{
    const unsigned char *p = (const unsigned char *)v.ptr;
    if (v.len == 0)
        return true;
    const unsigned char *end = p + v.len;
    while (p < end) {
        if (end - p >= 8) {
            uint64_t word;
            memcpy(&word, p, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                p += 8;
                continue;
            }
        }
        size_t len = utf8_sequence(p, end);
        if (len == 0)
            return false;
        p += len;
    }
    return true;
}

size_t nx_view_find(struct nx_view v, char c)
{
    const char *at = v.len ? memchr(v.ptr, c, v.len) : NULL;
    return at ? (size_t)(at - v.ptr) : v.len;
}
