/* Resident memory from /proc/self/statm, the memory there is from sysconf and the control group
 * (version 2, as the process sees it). */
#include "ingester/pressure.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAUSE_MIN_MS INT64_C(15000)
#define PAUSE_MAX_MS INT64_C(600000)

/* The number at `position` of a file's first line, or -1. */
static int64_t read_number(const char *path, int position)
{
    char line[256];
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    char *got = fgets(line, sizeof line, file);
    (void)fclose(file);
    int64_t value = -1;
    for (char *at = got, *end; at && position >= 0; at = end, position--) {
        value = strtoll(at, &end, 10);
        if (end == at)
            return -1;
    }
    return value;
}

static int64_t memory_there_is(void)
{
    int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    int64_t machine = pages > 0 && page > 0 ? pages * page : INT64_MAX;
    int64_t group = read_number("/sys/fs/cgroup/memory.max", 0);
    return group > 0 && group < machine ? group : machine;
}

bool ing_pressure_judge(struct ing_pressure *pressure, int64_t resident, int64_t limit,
                        int64_t now_ms)
{
    pressure->resident = resident;
    pressure->limit = limit;
    if (resident <= limit) {
        pressure->pause_ms = 0;
        pressure->next_ms = 0;
        return false;
    }
    if (now_ms < pressure->next_ms)
        return false;
    pressure->pause_ms = pressure->pause_ms == 0 ? PAUSE_MIN_MS : 2 * pressure->pause_ms;
    if (pressure->pause_ms > PAUSE_MAX_MS)
        pressure->pause_ms = PAUSE_MAX_MS;
    pressure->next_ms = now_ms + pressure->pause_ms;
    return true;
}

bool ing_pressure_is_high(struct ing_pressure *pressure, int64_t max_bytes, int64_t now_ms)
{
    int64_t pages = read_number("/proc/self/statm", 1);
    if (pages < 0)
        return false;
    int64_t limit = max_bytes > 0 ? max_bytes : memory_there_is() / 4 * 3;
    return ing_pressure_judge(pressure, pages * sysconf(_SC_PAGESIZE), limit, now_ms);
}
