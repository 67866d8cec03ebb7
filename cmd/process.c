/* The workers run from the start on; the main thread brings the ingester's data back while requests
 * for it are refused, and then declares the process ready. It then waits for the drain, joins the
 * workers and frees everything in the opposite order of its opening. A start that failed half-way
 * ends in the same way. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd/process_internal.h"
#include "common/base/alloc.h"
#include "common/base/owner.h"

static void on_signal(uv_signal_t *handle, int number)
{
    struct cmd_process *process = handle->data;
    if (number != SIGHUP)
        cmd_process_drain(process);
    if (atomic_load(&process->draining))
        return;
    struct nx_fail fail = {.code = NX_OK};
    struct nx_buf ignored;
    nx_buf_init(&ignored, 65536);
    enum nx_err err = cmd_process_reload(process, &fail, &ignored);
    (void)err; /* logged where it happened */
    nx_buf_release(&ignored);
}

enum nx_err cmd_process_watch_signals(struct cmd_process *process)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    uv_loop_t *loop = nx_worker_loop(nx_workers_at(process->workers, 0));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int status = uv_signal_init(loop, &process->signals[i]);
        if (status)
            return nx_err_from_uv(status);
        process->signals[i].data = process;
        process->signals_open++;
        status = uv_signal_start(&process->signals[i], on_signal, numbers[i]);
        if (status)
            return nx_err_from_uv(status);
    }
    return NX_OK;
}

/* Takes --config out of the arguments; the rest is for the settings. */
static enum nx_err take_config_flag(struct cmd_process *process, int *argc, char **argv,
                                    struct nx_fail *fail)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0) {
            process->config_path = argv[i] + 9;
        } else if (strcmp(argv[i], "--config") == 0) {
            if (++i == *argc)
                return nx_fail_set(fail, NX_ERR_CONFIG, "--config: expected a file");
            process->config_path = argv[i];
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return NX_OK;
}

static enum nx_err configure(struct cmd_process *process, int argc, char **argv,
                             struct nx_fail *fail)
{
    enum nx_err err = take_config_flag(process, &argc, argv, fail);
    if (!err)
        err = cmd_settings_open(process->roles, &process->settings, &process->config);
    if (!err && process->config_path)
        err = nx_config_load_file(process->config, process->config_path, fail);
    if (!err)
        err = nx_config_load_flags(process->config, argc, argv, fail);
    if (!err)
        err = cmd_settings_complete(process->roles, &process->settings, &process->arena, fail);
    if (!err)
        err = nx_overrides_new(&process->overrides);
    if (!err)
        err = cmd_process_read_overrides(process, process->settings.overrides_file, fail);
    if (err)
        return err;
    cmd_process_take_overrides(process);
    nx_config_on_reload(process->config, cmd_process_take_members, process);
    return NX_OK;
}

static enum nx_err start_process(struct cmd_process *process)
{
    enum nx_err err = nx_ring_start(process->ring, process->clients[0]);
    return err ? err : nx_workers_start(process->workers);
}

static void drain_task(struct nx_task *task)
{
    cmd_process_drain(NX_OWNER(struct cmd_process, begin, task));
}

/* On worker 0, as the drain is: one of them comes first. */
static void serve_task(struct nx_task *task)
{
    struct cmd_process *process = NX_OWNER(struct cmd_process, begin, task);
    if (atomic_load(&process->draining))
        return;
    enum nx_err err = process->ing ? ing_start(process->ing) : NX_OK;
    if (!err && process->ing)
        err = ing_join(process->ing, process->ring, process->clients[0]);
    if (err) {
        nx_log(process->log, NX_LOG_ERROR, "cannot start", NX_E(err));
        process->failed = true;
        cmd_process_drain(process);
        return;
    }
    if (process->ing)
        nx_ring_set_self_serving(process->ring, true);
    if (process->dist)
        dist_start(process->dist);
    atomic_store(&process->ready, true);
    nx_notices_clear(process->notices, NX_NOTICE_STARTING);
    nx_log(process->log, NX_LOG_INFO, "serving", NX_S("address", process->settings.listen),
           NX_S("node", process->settings.node_name), NX_S("version", NARTHEX_VERSION));
}

/* While the workers run. */
static enum nx_err make_ready(struct cmd_process *process, struct nx_fail *fail)
{
    enum nx_err err = process->ing ? ing_recover(process->ing, fail) : NX_OK;
    process->begin.run = err ? drain_task : serve_task;
    nx_worker_reply(nx_workers_at(process->workers, 0), &process->begin);
    return err;
}

static void wait_stopped(struct cmd_process *process)
{
    pthread_mutex_lock(&process->lock);
    while (!process->stopped)
        pthread_cond_wait(&process->changed, &process->lock);
    pthread_mutex_unlock(&process->lock);
}

static void close_process(struct cmd_process *process)
{
    if (process->workers)
        nx_workers_stop(process->workers);
    qry_free(process->qry);
    dist_free(process->dist);
    nx_ring_free(process->ring);
    ing_free(process->ing);
    nx_rpc_server_free(process->rpc);
    nx_http_server_free(process->internal_http);
    nx_http_server_free(process->http);
    nx_workers_free(process->workers);
    nx_notices_free(process->notices);
    nx_telemetry_free(process->telemetry);
    nx_log_free(process->root_log);
    nx_free(process->clients);
    nx_free(process->client_closes);
    nx_overrides_draft_free(process->next_overrides);
    nx_overrides_free(process->overrides);
    nx_config_free(process->config);
}

static int serve(struct cmd_process *process, int argc, char **argv)
{
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = configure(process, argc, argv, &fail);
    if (err) {
        (void)fprintf(stderr, "narthex: %s\n", fail.code ? nx_fail_text(&fail) : nx_err_text(err));
        return err == NX_ERR_CONFIG || err == NX_ERR_INVALID ? 2 : 1;
    }
    err = cmd_process_open(process, &fail);
    if (!err)
        err = start_process(process);
    if (err) {
        (void)fprintf(stderr, "narthex: cannot start: %s\n",
                      fail.code ? nx_fail_text(&fail) : nx_err_text(err));
        cmd_process_abandon(process);
        return err == NX_ERR_CONFIG ? 2 : 1;
    }
    err = make_ready(process, &fail);
    wait_stopped(process);
    if (err == NX_ERR_CLOSED)
        err = NX_OK; /* stopped while it was starting */
    if (err)
        (void)fprintf(stderr, "narthex: cannot start: %s\n", nx_fail_text(&fail));
    nx_log(process->log, NX_LOG_INFO, "stopped");
    return err || process->failed ? 1 : 0;
}

int cmd_process_run(unsigned roles, int argc, char **argv)
{
    struct cmd_process process = {.roles = roles};
    nx_arena_init(&process.arena, 0);
    pthread_mutex_init(&process.lock, NULL);
    pthread_cond_init(&process.changed, NULL);
    /* A peer that goes away is a failed write, not the end of the process. */
    (void)signal(SIGPIPE, SIG_IGN);

    int status = serve(&process, argc, argv);
    close_process(&process);
    nx_arena_release(&process.arena);
    pthread_cond_destroy(&process.changed);
    pthread_mutex_destroy(&process.lock);
    return status;
}
