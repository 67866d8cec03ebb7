#include "xor_vector.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static unsigned nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

void xor_vector_read(const char *line, struct xor_vector *out)
{
    char *at = strchr(line, ' ');
    out->count = strtoul(at, &at, 10);
    assert(out->count <= sizeof out->samples / sizeof out->samples[0]);
    for (size_t i = 0; i < out->count; i++) {
        out->samples[i].t = strtoll(at, &at, 10);
        out->samples[i].bits = strtoull(at + 1, &at, 16);
    }
    at += strlen(" = ");
    out->len = 0;
    while (at[0] && at[0] != '\n') {
        out->bytes[out->len++] = (uint8_t)(nibble(at[0]) << 4 | nibble(at[1]));
        at += 2;
    }
}
