/* The checked-in list of cases known to fail: lines `file.test:line`, and comments. It may only
 * shrink: a listed case that passes, or that no longer exists, is an error. */
#ifndef TESTS_PROMQLTEST_EXPECTED_H
#define TESTS_PROMQLTEST_EXPECTED_H

#include "common/base/arena.h"
#include "common/base/err.h"

struct pt_expected_entry {
    struct nx_view file;
    size_t line;
    bool seen;
};

struct pt_expected {
    struct nx_arena arena;
    char *bytes;
    struct pt_expected_entry *items;
    size_t count;
    size_t capacity;
};

enum nx_err pt_expected_read(const char *path, struct pt_expected *out,
                             struct nx_fail *fail) NX_WARN_UNUSED;
void pt_expected_release(struct pt_expected *list);
/* The entry of this case, marked as seen; NULL where it is not listed. */
struct pt_expected_entry *pt_expected_find(struct pt_expected *list, struct nx_view file,
                                           size_t line);

#endif
