#include "cmd/tool.h"

#include "common/base/time.h"
#include "querier/api/params.h"

static bool add(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

bool cmd_tool_time(const char *text, int64_t now_ms, int64_t *out_ms)
{
    struct nx_view view = nx_view_trim(nx_view_of(text)), rest = view;
    int64_t ms;
    if (qry_param_time(view, out_ms, NULL) == NX_OK)
        return true;
    if (nx_view_has_prefix(view, NX_VIEW("now")))
        rest = nx_view_make(view.ptr + 3, view.len - 3);
    if (rest.len == 0 && view.len > 0) {
        *out_ms = now_ms;
        return true;
    }
    if (rest.len < 2 || (rest.ptr[0] != '-' && rest.ptr[0] != '+') ||
        nx_duration_parse(nx_view_make(rest.ptr + 1, rest.len - 1), &ms, NULL) != NX_OK)
        return false;
    return add(now_ms, rest.ptr[0] == '-' ? -ms : ms, out_ms);
}

bool cmd_tool_step(const char *text, int64_t *out_ms)
{
    int64_t ns;
    if (qry_param_duration(nx_view_of(text), &ns, NULL) != NX_OK || ns < 1000000)
        return false;
    *out_ms = ns / 1000000;
    return true;
}

int64_t cmd_tool_default_step(int64_t range_ms)
{
    static const int64_t seconds[] = {1,     2,     5,     10,    15,     30,    60,
                                      120,   300,   600,   900,   1800,   3600,  7200,
                                      10800, 21600, 43200, 86400, 172800, 604800};
    const size_t count = sizeof seconds / sizeof *seconds;
    const int64_t points = 250;
    for (size_t i = 0; i < count; i++)
        if (range_ms / points < seconds[i] * 1000)
            return seconds[i] * 1000;
    const int64_t week = seconds[count - 1] * 1000;
    return (range_ms / points / week + 1) * week;
}
