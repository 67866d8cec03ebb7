/* Members without a zone count as a zone of their own each. Names and addresses must be distinct:
 * two entries for one process would be two copies on one disk. */
#include "common/ring/roster.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"

#define NAME_MAX_BYTES 255
#define EXPECTED "expected name@host:port[/zone][*weight]"
#define WEIGHT_MIN 0.01
#define WEIGHT_MAX 1000

static enum nx_err entry_error(struct nx_view entry, const char *problem, struct nx_fail *fail)
{
    int len = entry.len > 128 ? 128 : (int)entry.len;
    return nx_fail_set(fail, NX_ERR_CONFIG, "ring.members: \"%.*s\": %s", len, entry.ptr, problem);
}

/* Letters, digits and a few marks: what a name, host or zone may consist of. */
static bool is_word(struct nx_view text, const char *marks)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && !(c != '\0' && strchr(marks, c))) {
            return false;
        }
    }
    return text.len > 0 && text.len <= NAME_MAX_BYTES;
}

static bool is_port(struct nx_view text)
{
    unsigned port = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || i > 4) {
            return false;
        }
        port = port * 10 + (unsigned)(text.ptr[i] - '0');
    }
    return port >= 1 && port <= 65535;
}

static bool is_address(struct nx_view text)
{
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0) {
        return false;
    }
    struct nx_view host = nx_view_make(text.ptr, colon - 1);
    struct nx_view port = nx_view_make(text.ptr + colon, text.len - colon);
    bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    bool good =
        bracketed ? is_word(nx_view_make(host.ptr + 1, host.len - 2), ":.") : is_word(host, "-._");
    return good && is_port(port);
}

/* Digits with at most one point. */
static bool read_weight(struct nx_view text, double *weight)
{
    char copy[16];
    size_t points = 0;
    for (size_t i = 0; i < text.len; i++) {
        points += text.ptr[i] == '.' ? 1 : 0;
        if (text.ptr[i] != '.' && (text.ptr[i] < '0' || text.ptr[i] > '9')) {
            return false;
        }
    }
    if (text.len == 0 || text.len >= sizeof(copy) || points > 1) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *weight = strtod(copy, NULL);
    return *weight >= WEIGHT_MIN && *weight <= WEIGHT_MAX;
}

static enum nx_err parse_entry(struct nx_roster *roster, struct nx_view entry, struct nx_fail *fail)
{
    size_t at = nx_view_find(entry, '@');
    struct nx_view name = nx_view_make(entry.ptr, at);
    if (at == entry.len) {
        return entry_error(entry, EXPECTED, fail);
    }
    struct nx_view address = nx_view_make(entry.ptr + at + 1, entry.len - at - 1);
    struct nx_view zone = NX_VIEW("");
    double weight = 1;
    size_t star = nx_view_find(address, '*');
    if (star < address.len) {
        struct nx_view text = nx_view_make(address.ptr + star + 1, address.len - star - 1);
        if (!read_weight(text, &weight)) {
            return entry_error(entry, "the weight is not a number from 0.01 to 1000", fail);
        }
        address.len = star;
    }
    size_t slash = nx_view_find(address, '/');
    if (slash < address.len) {
        zone = nx_view_make(address.ptr + slash + 1, address.len - slash - 1);
        address.len = slash;
        if (!is_word(zone, "-._")) {
            return entry_error(entry, "the zone is not a name (letters, digits, - . _)", fail);
        }
    }
    if (!is_word(name, "-._")) {
        return entry_error(entry, "the name is not one (letters, digits, - . _)", fail);
    }
    if (!is_address(address)) {
        return entry_error(entry, "the address is not host:port", fail);
    }
    if (roster->count == NX_ROSTER_MAX_MEMBERS) {
        return entry_error(entry, "more than 1024 members", fail);
    }
    struct nx_roster_member *member = &roster->members[roster->count++];
    *member = (struct nx_roster_member){
        .name = nx_arena_copy(&roster->arena, name).ptr,
        .address = nx_arena_copy(&roster->arena, address).ptr,
        .zone = nx_arena_copy(&roster->arena, zone).ptr,
        .weight = weight,
        .key = nx_hash64(name.ptr, name.len),
        .zone_id = zone.len > 0 ? nx_hash64(zone.ptr, zone.len) : ~nx_hash64(name.ptr, name.len),
    };
    bool whole = member->name && member->address && member->zone;
    return whole ? NX_OK : nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
}

static int compare_names(const void *a, const void *b)
{
    const struct nx_roster_member *x = a;
    const struct nx_roster_member *y = b;
    return strcmp(x->name, y->name);
}

static enum nx_err check_distinct(const struct nx_roster *roster, struct nx_fail *fail)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct nx_roster_member *member = &roster->members[i];
        if (i > 0 && strcmp(member->name, roster->members[i - 1].name) == 0) {
            return nx_fail_set(fail, NX_ERR_CONFIG, "ring.members: the name \"%s\" occurs twice",
                               member->name);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(member->address, roster->members[j].address) == 0) {
                return nx_fail_set(fail, NX_ERR_CONFIG,
                                   "ring.members: \"%s\" and \"%s\" have the same address \"%s\"",
                                   roster->members[j].name, member->name, member->address);
            }
        }
    }
    return NX_OK;
}

static enum nx_err parse(struct nx_roster *roster, const char *members, struct nx_fail *fail)
{
    struct nx_view rest = nx_view_trim(nx_view_of(members));
    if (rest.len == 0) {
        return nx_fail_set(fail, NX_ERR_CONFIG, "ring.members: empty, " EXPECTED ",...");
    }
    for (bool more = true; more;) {
        size_t comma = nx_view_find(rest, ',');
        enum nx_err err = parse_entry(roster, nx_view_trim(nx_view_make(rest.ptr, comma)), fail);
        if (err != NX_OK) {
            return err;
        }
        more = comma < rest.len;
        rest = more ? nx_view_make(rest.ptr + comma + 1, rest.len - comma - 1) : rest;
    }
    qsort(roster->members, roster->count, sizeof(*roster->members), compare_names);
    return check_distinct(roster, fail);
}

enum nx_err nx_roster_place(const struct nx_roster *roster, const enum nx_placement_kind *kinds,
                            uint32_t partitions, uint32_t rf, struct nx_placement **out)
{
    struct nx_placement_member *members = nx_alloc_array(roster->count + 1, sizeof(*members));
    if (!members) {
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < roster->count; i++) {
        members[i] = (struct nx_placement_member){
            .key = roster->members[i].key,
            .weight = roster->members[i].weight,
            .zone = roster->members[i].zone_id,
            .kind = kinds ? kinds[i] : NX_PLACEMENT_STAYS,
        };
    }
    enum nx_err err = nx_placement_new(members, roster->count, partitions, rf, out);
    nx_free(members);
    return err;
}

enum nx_err nx_roster_new(const char *members, struct nx_roster **out, struct nx_fail *fail)
{
    struct nx_roster *roster = nx_calloc(1, sizeof(*roster));
    if (!roster) {
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    }
    nx_refcount_init(&roster->refs);
    nx_arena_init(&roster->arena, 0);
    roster->members =
        nx_arena_array(&roster->arena, NX_ROSTER_MAX_MEMBERS, sizeof(*roster->members));
    enum nx_err err = roster->members
                          ? parse(roster, members ? members : "", fail)
                          : nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    if (err != NX_OK) {
        nx_roster_drop(roster);
        return err;
    }
    *out = roster;
    return NX_OK;
}

void nx_roster_take(struct nx_roster *roster)
{
    nx_refcount_take(&roster->refs);
}

void nx_roster_drop(struct nx_roster *roster)
{
    if (nx_refcount_drop(&roster->refs)) {
        nx_arena_release(&roster->arena);
        nx_free(roster);
    }
}

size_t nx_roster_find(const struct nx_roster *roster, const char *name)
{
    size_t low = 0;
    size_t high = roster->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(roster->members[middle].name, name);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return SIZE_MAX;
}
