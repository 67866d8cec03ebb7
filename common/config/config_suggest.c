/* "Did you mean ...": the nearest known name by optimal string alignment (Levenshtein plus swaps of
 * neighbours). A name is near when about a third of it or less must change. A key given without its
 * section is compared with the last part of the known keys as well. */
#include "common/config/config_internal.h"

#define NAME_MAX_BYTES 64

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t nx_config_distance(struct nx_view a, struct nx_view b)
{
    size_t beyond = (a.len > NAME_MAX_BYTES ? a.len - NAME_MAX_BYTES : 0) +
                    (b.len > NAME_MAX_BYTES ? b.len - NAME_MAX_BYTES : 0);
    a.len = least(a.len, NAME_MAX_BYTES);
    b.len = least(b.len, NAME_MAX_BYTES);
    size_t rows[3][NAME_MAX_BYTES + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *row = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = j;
        last[j] = j;
        before[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t changed = last[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            row[j] = least(changed, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
    }
    return row[b.len] + beyond;
}

static struct nx_view last_part(struct nx_view key)
{
    for (size_t i = key.len; i > 0; i--) {
        if (key.ptr[i - 1] == '.') {
            return nx_view_make(key.ptr + i, key.len - i);
        }
    }
    return key;
}

/* The distance between a wrong key and a known one. */
static size_t key_distance(struct nx_view name, struct nx_view key)
{
    size_t whole = nx_config_distance(name, key);
    if (nx_view_find(name, '.') < name.len) {
        return whole;
    }
    return least(whole, nx_config_distance(name, last_part(key)) + 1);
}

struct nx_view nx_config_nearest(const struct nx_config *config, struct nx_view name, bool sections)
{
    struct nx_view best = {.ptr = NULL, .len = 0};
    size_t best_distance = name.len / 3 + 2;
    for (size_t i = 0; i < config->count; i++) {
        struct nx_view key = nx_view_of(config->rows[i].setting->key);
        for (size_t at = 0; sections && at < key.len; at++) {
            struct nx_view section = nx_view_make(key.ptr, at);
            if (key.ptr[at] == '.' && nx_config_distance(name, section) < best_distance) {
                best = section;
                best_distance = nx_config_distance(name, section);
            }
        }
        if (!sections && key_distance(name, key) < best_distance) {
            best = key;
            best_distance = key_distance(name, key);
        }
    }
    return best;
}

enum nx_err nx_config_unknown(const struct nx_config *config, const char *where, const char *what,
                              struct nx_view name, bool sections, struct nx_fail *fail)
{
    struct nx_view shown = nx_view_is_utf8(name) ? nx_config_excerpt(name) : NX_VIEW("<not UTF-8>");
    struct nx_view near = nx_config_nearest(config, name, sections);
    if (near.ptr) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "%sunknown %s \"%.*s\", did you mean \"%.*s\"?",
                           where, what, NX_VIEW_ARG(shown), NX_VIEW_ARG(near));
    }
    return nx_fail_set(fail, NX_ERR_CONFIG,
                       "%sunknown %s \"%.*s\" (`narthex help config` lists the known ones)", where,
                       what, NX_VIEW_ARG(shown));
}
