/* Times as differences to the one before, which are alike over long stretches: groups of a header
 * n << 1 | 1 and one difference that comes n times, or n << 1 and n differences. Differences wrap,
 * so that any times do. */
#include "common/base/cursor.h"
#include "common/chunk/push_columns.h"

enum { MIN_RUN = 3 };

static char *put_uvarint(char *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (char)(v | 0x80);
        v >>= 7;
    }
    *at++ = (char)v;
    return at;
}

static char *put_difference(char *at, uint64_t delta)
{
    return put_uvarint(at, delta << 1 ^ (0 - (delta >> 63)));
}

static uint64_t difference(const int64_t *times, size_t i)
{
    return (uint64_t)times[i] - (i > 0 ? (uint64_t)times[i - 1] : 0);
}

static char *put_singles(char *at, const int64_t *times, size_t from, size_t to)
{
    if (from == to)
        return at;
    at = put_uvarint(at, (uint64_t)(to - from) << 1);
    for (size_t i = from; i < to; i++)
        at = put_difference(at, difference(times, i));
    return at;
}

char *nx_push_times_put(char *at, const int64_t *times, size_t count)
{
    size_t single = 0; /* those from here to i are not written yet */
    for (size_t i = 0; i < count;) {
        uint64_t delta = difference(times, i);
        size_t end = i + 1;
        while (end < count && difference(times, end) == delta)
            end++;
        if (end - i >= MIN_RUN) {
            at = put_singles(at, times, single, i);
            at = put_uvarint(at, (uint64_t)(end - i) << 1 | 1);
            at = put_difference(at, delta);
            single = end;
        }
        i = end;
    }
    return put_singles(at, times, single, count);
}

void nx_push_times_read(struct nx_cursor *cur, int64_t *times, size_t count)
{
    uint64_t t = 0;
    for (size_t i = 0; i < count;) {
        uint64_t head = nx_cursor_uvarint(cur);
        uint64_t n = head >> 1;
        if (n == 0 || n > count - i) {
            nx_cursor_fail(cur);
            return;
        }
        size_t end = i + (size_t)n;
        if (head & 1) {
            uint64_t delta = (uint64_t)nx_cursor_varint(cur);
            for (; i < end; i++)
                times[i] = (int64_t)(t += delta);
        } else {
            for (; i < end; i++)
                times[i] = (int64_t)(t += (uint64_t)nx_cursor_varint(cur));
        }
    }
}
