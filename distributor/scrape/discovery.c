/* Sources: one for each entry of a job's lists. A tick looks at those that are due. Files and DNS
 * block, so they are asked on a lane; HTTP goes through worker 0's client. A source whose entry is
 * unchanged after a reload lives on with what it has found; the others are left as orphans until
 * what they wait for has come back. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "distributor/scrape/scrape_internal.h"

#define HTTP_TIMEOUT_MS 30000
#define FILE_POLL_MS 1000
#define HTTP_BODY_BYTES_MAX ((size_t)256 << 20)

static void free_source(struct scrape_source *source)
{
    scrape_groups_drop(source->groups);
    scrape_groups_drop(source->found);
    scrape_config_drop(source->config);
    nx_free(source);
}

/* --- results --- */

static void note_failure(struct scrape_source *source)
{
    struct dist_scrape *scrape = source->scrape;
    const char *why = source->fail.code ? nx_fail_text(&source->fail) : nx_err_text(source->err);
    nx_metric_add(scrape->metrics, SCRAPE_METRIC_DISCOVERY_FAILURES, (size_t)source->sd->kind, 1);
    if (strncmp(source->last_error, why, sizeof source->last_error - 1) == 0)
        return;
    (void)snprintf(source->last_error, sizeof source->last_error, "%s", why);
    nx_log(scrape->deps.log, NX_LOG_WARN, "discovery of targets failed",
           NX_S("job", source->job_name), NX_S("reason", why));
}

/* On worker 0, the answer of a source has come. */
static void finish(struct scrape_source *source)
{
    struct dist_scrape *scrape = source->scrape;
    source->busy = false;
    scrape->busy_sources--;
    if (source->orphan) {
        free_source(source);
    } else if (source->err) {
        scrape_groups_drop(source->found);
        source->found = NULL;
        note_failure(source);
    } else {
        source->last_error[0] = '\0';
        if (source->found && !scrape_groups_eq(source->found, source->groups)) {
            scrape_groups_drop(source->groups);
            source->groups = source->found;
            scrape_touch(scrape);
        } else {
            scrape_groups_drop(source->found);
        }
        source->found = NULL;
    }
    scrape_settle(scrape);
}

/* --- by lane --- */

static void run_job(struct nx_job *job)
{
    struct scrape_source *source = NX_OWNER(struct scrape_source, job, job);
    if (source->sd->kind == SCRAPE_SD_FILE)
        scrape_discover_files(source);
    else
        scrape_discover_dns(source);
}

static void job_done(struct nx_job *job)
{
    finish(NX_OWNER(struct scrape_source, job, job));
}

static void ask_lane(struct scrape_source *source)
{
    source->job = (struct nx_job){.run = run_job, .done = job_done};
    if (nx_lane_submit(source->scrape->lane, &source->job) != NX_OK)
        return; /* the next tick tries again */
    source->busy = true;
    source->scrape->busy_sources++;
}

/* --- by HTTP --- */

static void on_http_answer(void *user, const struct nx_http_response *response)
{
    struct scrape_source *source = user;
    struct nx_label url = {.name = NX_VIEW("__meta_url"), .value = nx_view_of(source->sd->url)};
    struct nx_labels extra = {.items = &url, .count = 1};
    struct nx_fail *fail = &source->fail;
    if (response->err)
        source->err = nx_fail_set(fail, response->err, "%s: %s", source->sd->url,
                                  response->error ? response->error : nx_err_text(response->err));
    else if (response->status != 200)
        source->err = nx_fail_set(fail, NX_ERR_UNAVAILABLE, "%s: server returned HTTP status %d",
                                  source->sd->url, response->status);
    else
        source->err = scrape_groups_new(&source->found);
    if (!source->err)
        source->err =
            scrape_groups_read_json(source->found, source->sd->url, response->body, extra, fail);
    finish(source);
}

static void ask_http(struct scrape_source *source)
{
    struct scrape_call call = {.url = source->sd->url,
                               .http = &source->sd->http,
                               .accept = "application/json",
                               .timeout_ms = HTTP_TIMEOUT_MS,
                               .max_body_bytes = HTTP_BODY_BYTES_MAX,
                               .done = on_http_answer,
                               .user = source};
    struct dist_scrape *scrape = source->scrape;
    source->err = scrape_call_send(scrape->shards[0].client, &call, NULL, &source->fail);
    if (source->err) {
        note_failure(source);
        return;
    }
    source->busy = true;
    scrape->busy_sources++;
}

/* --- ticks --- */

static void ask(struct scrape_source *source, int64_t now)
{
    bool file = source->sd->kind == SCRAPE_SD_FILE;
    source->err = NX_OK;
    source->fail.code = NX_OK;
    source->due_ms = now + (file ? FILE_POLL_MS : source->sd->refresh_ms);
    source->forced = !file || now >= source->refresh_ms;
    if (source->forced)
        source->refresh_ms = now + source->sd->refresh_ms;
    if (source->sd->kind == SCRAPE_SD_HTTP)
        ask_http(source);
    else if (source->sd->kind != SCRAPE_SD_STATIC)
        ask_lane(source);
}

void scrape_sources_tick(struct dist_scrape *scrape)
{
    int64_t now = scrape_mono_ms(scrape);
    for (size_t i = 0; i < scrape->source_count; i++)
        if (!scrape->sources[i]->busy && now >= scrape->sources[i]->due_ms)
            ask(scrape->sources[i], now);
}

/* --- reload --- */

static struct scrape_source *new_source(struct dist_scrape *scrape, struct scrape_config *config,
                                        const struct scrape_job *job, const struct scrape_sd *sd)
{
    struct scrape_source *source = nx_calloc(1, sizeof *source);
    if (!source)
        return NULL;
    source->scrape = scrape;
    source->config = scrape_config_take(config);
    source->sd = sd;
    source->job_name = job->name;
    if (sd->kind == SCRAPE_SD_STATIC) {
        source->groups = scrape_groups_take(sd->groups);
        source->due_ms = INT64_MAX;
    }
    return source;
}

/* A source of the old configuration that goes on, taken off the old list. */
static struct scrape_source *take_old(struct dist_scrape *scrape, const struct scrape_job *job,
                                      const struct scrape_sd *sd)
{
    for (size_t i = 0; i < scrape->source_count; i++) {
        struct scrape_source *source = scrape->sources[i];
        if (source && source->sd->kind == sd->kind && source->sd->fingerprint == sd->fingerprint &&
            strcmp(source->job_name, job->name) == 0) {
            scrape->sources[i] = NULL;
            return source;
        }
    }
    return NULL;
}

static void leave_source(struct scrape_source *source)
{
    if (!source)
        return;
    source->orphan = true;
    if (!source->busy)
        free_source(source);
}

static size_t count_sds(const struct scrape_config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->job_count; i++)
        count += config->jobs[i].sd_count;
    return count;
}

enum nx_err scrape_sources_replace(struct dist_scrape *scrape, struct scrape_config *config)
{
    size_t count = count_sds(config), made = 0;
    struct scrape_source **sources = nx_calloc(count + 1, sizeof(struct scrape_source *));
    bool failed = !sources;
    for (size_t i = 0; i < config->job_count && !failed; i++)
        for (size_t k = 0; k < config->jobs[i].sd_count && !failed; k++) {
            const struct scrape_job *job = &config->jobs[i];
            struct scrape_source *source = take_old(scrape, job, &job->sds[k]);
            if (!source)
                source = new_source(scrape, config, job, &job->sds[k]);
            failed = !source;
            if (source)
                sources[made++] = source;
        }
    if (failed) {
        /* The old list is no longer whole: both are given up, and the next try asks anew. */
        for (size_t i = 0; i < made; i++)
            leave_source(sources[i]);
        nx_free(sources);
        scrape_sources_free(scrape);
        return NX_ERR_NOMEM;
    }
    scrape_sources_free(scrape);
    scrape->sources = sources;
    scrape->source_count = count;
    return NX_OK;
}

void scrape_sources_free(struct dist_scrape *scrape)
{
    for (size_t i = 0; i < scrape->source_count; i++)
        leave_source(scrape->sources[i]);
    nx_free(scrape->sources);
    scrape->sources = NULL;
    scrape->source_count = 0;
}
