/* The process's own figures as the Prometheus client libraries name them, from proc(5). */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/telemetry/telemetry.h"

enum process_metric {
    CPU_SECONDS,
    RESIDENT_BYTES,
    VIRTUAL_BYTES,
    VIRTUAL_MAX_BYTES,
    OPEN_FDS,
    MAX_FDS,
    START_SECONDS,
    THREADS,
    PROCESS_METRICS
};

static const struct nx_metric_desc process_descs[PROCESS_METRICS] = {
    [CPU_SECONDS] = {.kind = NX_COUNTER,
                     .name = "process_cpu_seconds_total",
                     .help = "Total user and system CPU time spent in seconds."},
    [RESIDENT_BYTES] = {.kind = NX_GAUGE,
                        .name = "process_resident_memory_bytes",
                        .help = "Resident memory size in bytes."},
    [VIRTUAL_BYTES] = {.kind = NX_GAUGE,
                       .name = "process_virtual_memory_bytes",
                       .help = "Virtual memory size in bytes."},
    [VIRTUAL_MAX_BYTES] = {.kind = NX_GAUGE,
                           .name = "process_virtual_memory_max_bytes",
                           .help = "Maximum amount of virtual memory available in bytes."},
    [OPEN_FDS] = {.kind = NX_GAUGE,
                  .name = "process_open_fds",
                  .help = "Number of open file descriptors."},
    [MAX_FDS] = {.kind = NX_GAUGE,
                 .name = "process_max_fds",
                 .help = "Maximum number of open file descriptors."},
    [START_SECONDS] = {.kind = NX_GAUGE,
                       .name = "process_start_time_seconds",
                       .help = "Start time of the process since unix epoch in seconds."},
    [THREADS] = {.kind = NX_GAUGE,
                 .name = "process_threads",
                 .help = "Number of threads of the process."},
};

static const char *const compilers[] = {__VERSION__, NULL};
static const struct nx_metric_desc build_desc = {
    .kind = NX_GAUGE,
    .name = "narthex_build_info",
    .help = "A metric with a constant '1' value labeled by version and compiler.",
    .label = "compiler",
    .values = compilers,
};

/* The file as a string; empty where it cannot be read. */
static void read_small(const char *path, char *text, size_t size)
{
    size_t len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t got = 0;
        while (len + 1 < size && (got = read(fd, text + len, size - 1 - len)) > 0) {
            len += (size_t)got;
        }
        close(fd);
    }
    text[len] = '\0';
}

struct proc_stat {
    double cpu_seconds;
    double threads;
    double start_seconds; /* since boot */
    double virtual_bytes;
    double resident_bytes;
};

static bool read_stat(struct proc_stat *stat)
{
    char text[1024];
    read_small("/proc/self/stat", text, sizeof(text));
    /* the second field, the command in parentheses, may hold anything */
    char *at = strrchr(text, ')');
    unsigned long long fields[25] = {0};
    if (!at) {
        return false;
    }
    at++;
    at += strspn(at, " ");
    at += strcspn(at, " "); /* the state, a letter */
    for (size_t i = 4; i < 25; i++) {
        char *end = NULL;
        fields[i] = strtoull(at, &end, 10);
        if (end == at) {
            return false;
        }
        at = end;
    }
    double ticks = (double)sysconf(_SC_CLK_TCK);
    stat->cpu_seconds = (double)(fields[14] + fields[15]) / ticks;
    stat->threads = (double)fields[20];
    stat->start_seconds = (double)fields[22] / ticks;
    stat->virtual_bytes = (double)fields[23];
    stat->resident_bytes = (double)fields[24] * (double)sysconf(_SC_PAGESIZE);
    return true;
}

static double boot_seconds(void)
{
    char text[64 * 1024];
    read_small("/proc/stat", text, sizeof(text));
    const char *line = strstr(text, "\nbtime ");
    return line ? strtod(line + sizeof("\nbtime ") - 1, NULL) : 0;
}

static double count_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir) {
        return 0;
    }
    double count = -1; /* the directory's own */
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static double soft_limit(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0) {
        return 0;
    }
    return limit.rlim_cur == RLIM_INFINITY ? -1 : (double)limit.rlim_cur;
}

static void collect(void *user)
{
    struct nx_metrics *metrics = user;
    struct proc_stat stat;
    if (read_stat(&stat)) {
        nx_metric_set(metrics, CPU_SECONDS, 0, stat.cpu_seconds);
        nx_metric_set(metrics, RESIDENT_BYTES, 0, stat.resident_bytes);
        nx_metric_set(metrics, VIRTUAL_BYTES, 0, stat.virtual_bytes);
        nx_metric_set(metrics, THREADS, 0, stat.threads);
    }
    nx_metric_set(metrics, OPEN_FDS, 0, count_open_fds());
    nx_metric_set(metrics, MAX_FDS, 0, soft_limit(RLIMIT_NOFILE));
    nx_metric_set(metrics, VIRTUAL_MAX_BYTES, 0, soft_limit(RLIMIT_AS));
}

enum nx_err nx_telemetry_register_process(struct nx_telemetry *telemetry)
{
    struct nx_metrics *build = NULL;
    enum nx_err err =
        nx_telemetry_register(telemetry, &build_desc, 1, "version", NARTHEX_VERSION, &build);
    if (err != NX_OK) {
        return err;
    }
    nx_metric_set(build, 0, 0, 1);
    struct nx_metrics *metrics = NULL;
    err = nx_telemetry_register(telemetry, process_descs, PROCESS_METRICS, NULL, NULL, &metrics);
    if (err != NX_OK) {
        return err;
    }
    struct proc_stat stat;
    if (read_stat(&stat)) {
        nx_metric_set(metrics, START_SECONDS, 0, boot_seconds() + stat.start_seconds);
    }
    return nx_telemetry_on_collect(telemetry, collect, metrics);
}
