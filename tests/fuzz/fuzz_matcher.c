/* An expression, a newline, then texts, one a line. What the matcher finds out without running the
 * expression must agree with RE2. */
#include <stdint.h>
#include <stdlib.h>

#include "common/cxx/re2_shim.h"
#include "common/labels/matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void compare(const struct nx_matcher *m, const struct nx_regex *regex, struct nx_view text)
{
    /* On bytes that are not UTF-8 the two may differ; label values are always UTF-8. */
    if (!nx_view_is_utf8(text))
        return;
    bool found = nx_matcher_matches(m, text);
    require(found == nx_regex_matches(regex, text));
    require(!found || nx_view_has_prefix(text, nx_matcher_prefix(m)));
}

static void compare_literals(const struct nx_matcher *m, const struct nx_regex *regex)
{
    struct nx_view literals[64];
    size_t count = nx_matcher_literals(m, literals, 64);
    for (size_t i = 0; i < count && i < 64; i++)
        require(nx_regex_matches(regex, literals[i]) && nx_matcher_matches(m, literals[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_view rest = nx_view_make(data, size);
    struct nx_view expr = {.ptr = rest.ptr, .len = nx_view_find(rest, '\n')};
    if (expr.len > 512)
        return 0;
    struct nx_arena arena;
    struct nx_matcher m;
    struct nx_regex *regex = NULL;
    struct nx_fail fail = {.code = NX_OK};
    nx_arena_init(&arena, 0);
    enum nx_err err = nx_matcher_init(&m, &arena, NX_MATCH_RE, NX_VIEW("l"), expr, &fail);
    require(err == nx_regex_new(expr, true, &regex, NULL));
    if (err == NX_OK) {
        compare_literals(&m, regex);
        while (rest.len > 0) {
            size_t len = nx_view_find(rest, '\n');
            compare(&m, regex, (struct nx_view){.ptr = rest.ptr, .len = len});
            size_t step = len < rest.len ? len + 1 : len;
            rest = (struct nx_view){.ptr = rest.ptr + step, .len = rest.len - step};
        }
        nx_matcher_release(&m);
    } else {
        require(fail.text[0] != '\0');
    }
    nx_regex_free(regex);
    nx_arena_release(&arena);
    return 0;
}
