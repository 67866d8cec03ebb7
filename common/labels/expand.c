#include "common/labels/expand.h"

#include <stdbool.h>

#include "common/cxx/re2_shim.h"

#define NUMBER_MAX 100000000

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The group a reference at the start of `text` ("$1", "${name}") speaks of; its length, 0: no
 * reference. */
static size_t read_reference(struct nx_view text, struct nx_view *name)
{
    bool brace = text.len > 1 && text.ptr[1] == '{';
    size_t start = brace ? 2 : 1;
    size_t end = start;

    while (end < text.len && is_name_byte(text.ptr[end]))
        end++;
    if (end == start || (brace && (end == text.len || text.ptr[end] != '}')))
        return 0;
    *name = nx_view_make(text.ptr + start, end - start);
    return brace ? end + 1 : end;
}

static struct nx_view group_named(const struct nx_regex *regex, struct nx_view name,
                                  const struct nx_view *groups, size_t count)
{
    size_t number = 0;
    bool is_number = !(name.ptr[0] == '0' && name.len > 1);

    for (size_t i = 0; i < name.len && is_number; i++) {
        is_number = name.ptr[i] >= '0' && name.ptr[i] <= '9' && number < NUMBER_MAX;
        number = number * 10 + (size_t)(name.ptr[i] - '0');
    }
    if (!is_number) {
        int index = regex ? nx_regex_group_index(regex, name) : -1;
        if (index < 0)
            return (struct nx_view){NULL, 0};
        number = (size_t)index;
    }
    return number < count ? groups[number] : (struct nx_view){NULL, 0};
}

void nx_expand(struct nx_buf *out, struct nx_view text, const struct nx_regex *regex,
               const struct nx_view *groups, size_t count)
{
    while (text.len > 0) {
        size_t plain = nx_view_find(text, '$');
        nx_buf_append(out, text.ptr, plain);
        text = nx_view_make(text.ptr + plain, text.len - plain);
        if (text.len == 0)
            break;
        struct nx_view name;
        size_t used = 1;
        if (text.len > 1 && text.ptr[1] == '$') {
            nx_buf_append_char(out, '$');
            used = 2;
        } else if ((used = read_reference(text, &name)) > 0) {
            nx_buf_append_view(out, group_named(regex, name, groups, count));
        } else {
            nx_buf_append_char(out, '$');
            used = 1;
        }
        text = nx_view_make(text.ptr + used, text.len - used);
    }
}
