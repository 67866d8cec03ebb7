#include "tests/conformance/promqltest_expected.h"

#include "common/base/alloc.h"
#include "common/base/file.h"

static enum nx_err parse_entry(struct pt_expected *list, struct nx_view line)
{
    struct pt_expected_entry entry = {0};
    size_t colon = nx_view_find(line, ':');
    entry.file = nx_view_make(line.ptr, colon);
    if (colon == line.len || colon + 1 == line.len)
        return NX_ERR_INVALID;
    for (size_t i = colon + 1; i < line.len; i++) {
        if (line.ptr[i] < '0' || line.ptr[i] > '9' || entry.line > 10000000)
            return NX_ERR_INVALID;
        entry.line = entry.line * 10 + (size_t)(line.ptr[i] - '0');
    }
    if (!nx_arena_grow(&list->arena, &list->items, list->count, &list->capacity, list->count + 1,
                       sizeof entry))
        return NX_ERR_NOMEM;
    list->items[list->count++] = entry;
    return NX_OK;
}

enum nx_err pt_expected_read(const char *path, struct pt_expected *out, struct nx_fail *fail)
{
    size_t len = 0;
    *out = (struct pt_expected){0};
    nx_arena_init(&out->arena, 0);
    enum nx_err err = nx_file_read_all(path, 16u << 20, &out->bytes, &len);
    if (err)
        return nx_fail_set(fail, err, "%s: %s", path, nx_err_text(err));
    struct nx_view rest = nx_view_make(out->bytes, len);
    for (size_t number = 1; rest.len > 0; number++) {
        size_t end = nx_view_find(rest, '\n');
        struct nx_view line = nx_view_make(rest.ptr, end);
        line.len = nx_view_find(line, '#');
        line = nx_view_trim(line);
        if (line.len > 0 && (err = parse_entry(out, line)))
            return nx_fail_set(fail, err, "%s:%zu: expected file.test:line", path, number);
        size_t skip = end < rest.len ? end + 1 : end;
        rest = nx_view_make(rest.ptr + skip, rest.len - skip);
    }
    return NX_OK;
}

void pt_expected_release(struct pt_expected *list)
{
    nx_arena_release(&list->arena);
    nx_free(list->bytes);
}

struct pt_expected_entry *pt_expected_find(struct pt_expected *list, struct nx_view file,
                                           size_t line)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].line == line && nx_view_eq(list->items[i].file, file)) {
            list->items[i].seen = true;
            return &list->items[i];
        }
    return NULL;
}
