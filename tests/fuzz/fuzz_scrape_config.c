/* Configurations of scraping, as YAML. What is accepted is used: every static target goes through
 * its job's relabeling into a target, twice, with one outcome. */
#include <stdlib.h>
#include <string.h>

#include "distributor/scrape/config.h"
#include "distributor/scrape/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TARGETS_MAX = 100 };

static void populate(const struct scrape_job *job, struct nx_labels own, struct nx_labels group)
{
    struct scrape_target targets[2] = {{.url = NULL}, {.url = NULL}};
    struct nx_arena arenas[2];
    enum nx_err errs[2];
    for (int i = 0; i < 2; i++) {
        struct nx_fail fail = {.code = NX_OK};
        nx_arena_init(&arenas[i], 64 << 20);
        errs[i] = scrape_target_populate(&arenas[i], job, own, group, &targets[i], &fail);
        if (!errs[i] && targets[i].interval_ms < targets[i].timeout_ms)
            abort();
    }
    if (errs[0] != errs[1] || targets[0].hash != targets[1].hash)
        abort();
    nx_arena_release(&arenas[0]);
    nx_arena_release(&arenas[1]);
}

static void populate_all(const struct scrape_job *job, const struct scrape_groups *groups)
{
    size_t count = 0;
    for (size_t g = 0; g < groups->count; g++)
        for (size_t t = 0; t < groups->groups[g].target_count && count < TARGETS_MAX; t++, count++)
            populate(job, groups->groups[g].targets[t], groups->groups[g].labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_fail fail = {.code = NX_OK, .text = ""};
    struct scrape_config *config = NULL;
    enum nx_err err = scrape_config_read_text("fuzz.yml", nx_view_make(data, size), &config, &fail);
    if (err == NX_ERR_CONFIG && strncmp(nx_fail_text(&fail), "fuzz.yml", 8) != 0)
        abort(); /* every fault says where it is */
    if (err)
        return 0;
    for (size_t i = 0; i < config->job_count; i++) {
        const struct scrape_job *job = &config->jobs[i];
        if (job->timeout_ms > job->interval_ms)
            abort();
        for (size_t k = 0; k < job->sd_count; k++)
            if (job->sds[k].kind == SCRAPE_SD_STATIC)
                populate_all(job, job->sds[k].groups);
    }
    scrape_config_drop(config);
    return 0;
}
