/* The settings and the files they name, read again. Everything is read and checked first, and taken
 * over only where all of it is right, while no worker reads it. */
#include <stdio.h>

#include "cmd/process_internal.h"
#include "common/base/alloc.h"

enum nx_err cmd_process_read_overrides(struct cmd_process *process, const char *path,
                                       struct nx_fail *fail)
{
    struct nx_overrides_draft *draft;
    enum nx_err err = nx_overrides_read(path, &draft, fail);
    if (err)
        return err;
    nx_overrides_draft_free(process->next_overrides);
    process->next_overrides = draft;
    return NX_OK;
}

void cmd_process_take_overrides(struct cmd_process *process)
{
    nx_overrides_take(process->overrides, process->next_overrides);
    process->next_overrides = NULL;
}

static enum nx_err read_scrape(struct cmd_process *process, const char *path, struct nx_fail *fail)
{
    return process->dist ? dist_reload_check(process->dist, path, fail) : NX_OK;
}

/* Without a configuration file, the files that the flags name are all that can have changed. */
static enum nx_err read_named_files(struct cmd_process *process, struct nx_fail *fail)
{
    enum nx_err err = cmd_process_read_overrides(process, process->settings.overrides_file, fail);
    return err || !process->dist
               ? err
               : read_scrape(process, process->settings.dist.scrape_config_file, fail);
}

enum nx_err cmd_process_take_members(void *user, const struct nx_config_draft *draft,
                                     struct nx_fail *fail)
{
    struct cmd_process *process = user;
    enum nx_err err = cmd_process_read_overrides(
        process, nx_config_draft_text(draft, "tenants.overrides-file"), fail);
    if (!err && process->dist)
        err = read_scrape(process, nx_config_draft_text(draft, "scrape.config-file"), fail);
    if (err)
        return err;
    if (process->settings.ring_backend != 0)
        return NX_OK; /* the list comes from elsewhere */
    const char *members = nx_config_draft_text(draft, "ring.members");
    if (!*members)
        members = process->settings.implied_members;
    if (!members)
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "ring.members: empty; expected name@host:port[/zone],...");
    return nx_ring_set_members(process->ring, members, fail);
}

/* Every worker but the first waits while the first changes the settings, which all of them read.
 * Threads of lanes do not wait: their jobs get what they need of the settings from the worker that
 * submits them. */
struct reload_pause {
    struct nx_task task;
    struct cmd_process *process;
};

static void pause_worker(struct nx_task *task)
{
    struct cmd_process *process = ((struct reload_pause *)task)->process;
    pthread_mutex_lock(&process->lock);
    process->paused++;
    pthread_cond_broadcast(&process->changed);
    while (process->reloading)
        pthread_cond_wait(&process->changed, &process->lock);
    process->paused--;
    pthread_cond_broadcast(&process->changed);
    pthread_mutex_unlock(&process->lock);
}

static void wait_paused(struct cmd_process *process, size_t count)
{
    while (process->paused != count)
        pthread_cond_wait(&process->changed, &process->lock);
}

static enum nx_err apply_config(struct cmd_process *process, struct nx_fail *fail,
                                struct nx_buf *ignored)
{
    enum nx_err err = process->config_path
                          ? nx_config_reload(process->config, process->config_path, ignored, fail)
                          : read_named_files(process, fail);
    if (err)
        return err;
    cmd_process_take_overrides(process);
    if (process->dist)
        dist_reload_take(process->dist);
    nx_log_set_level(process->root_log, (enum nx_log_level)process->settings.log_level);
    return NX_OK;
}

static enum nx_err apply_paused(struct cmd_process *process, struct nx_fail *fail,
                                struct nx_buf *ignored)
{
    size_t others = nx_workers_count(process->workers) - 1;
    struct reload_pause *pauses = nx_calloc(others + 1, sizeof *pauses);
    if (!pauses)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    pthread_mutex_lock(&process->lock);
    process->reloading = true;
    for (size_t i = 0; i < others; i++) {
        pauses[i] = (struct reload_pause){.task = {.run = pause_worker}, .process = process};
        nx_worker_reply(nx_workers_at(process->workers, i + 1), &pauses[i].task);
    }
    wait_paused(process, others);
    pthread_mutex_unlock(&process->lock);

    enum nx_err err = apply_config(process, fail, ignored);

    pthread_mutex_lock(&process->lock);
    process->reloading = false;
    pthread_cond_broadcast(&process->changed);
    wait_paused(process, 0);
    pthread_mutex_unlock(&process->lock);
    nx_free(pauses);
    return err;
}

enum nx_err cmd_process_reload(struct cmd_process *process, struct nx_fail *fail,
                               struct nx_buf *ignored)
{
    bool scrapes = process->dist && *process->settings.dist.scrape_config_file;
    if (!process->config_path && !*process->settings.overrides_file && !scrapes)
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "started without --config: there is no file to read again");
    enum nx_err err = apply_paused(process, fail, ignored);
    if (!err && process->ing)
        ing_reload(process->ing);
    if (err) {
        nx_notices_raise(process->notices, NX_NOTICE_RELOAD_FAILED);
        nx_log(process->log, NX_LOG_ERROR, "configuration not reloaded",
               NX_S("reason", nx_fail_text(fail)));
    } else {
        nx_notices_clear(process->notices, NX_NOTICE_RELOAD_FAILED);
        nx_log(process->log, NX_LOG_INFO, "configuration reloaded",
               NX_V("needs_restart", nx_buf_view(ignored)));
    }
    return err;
}
