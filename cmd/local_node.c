/* Worker 0 makes the calls and runs the end; the thread that opened the node waits for both. */
#include "cmd/local_node.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/settings.h"
#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/net/rpc.h"
#include "ingester/datadir.h"
#include "ingester/wal/layout.h"

#define ADDRESS "127.0.0.1:1" /* never leaves the process */
#define NO_LIMIT (INT64_C(1) << 50)
#define PARTITIONS 512 /* of a directory without a log: nothing depends on it */
#define FRAME_BYTES_MAX ((size_t)1 << 30)

struct cmd_local_node {
    struct cmd_settings settings;
    struct nx_config *config;
    struct nx_log *log;
    struct nx_telemetry *telemetry;
    struct nx_workers *workers;
    struct nx_rpc_server *rpc;
    struct nx_rpc_client *client;
    struct ingester *ing;
    bool running;
    struct nx_task task;
    pthread_mutex_t lock; /* guards `waiting` */
    pthread_cond_t changed;
    bool waiting;
    /* the call */
    const struct nx_rpc_call_options *options;
    enum nx_err err;
    enum nx_err (*on_frame)(void *user, struct nx_view frame);
    void *frame_user;
    struct nx_buf *reply;
    struct nx_fail *fail;
};

static void wake(struct cmd_local_node *node)
{
    pthread_mutex_lock(&node->lock);
    node->waiting = false;
    pthread_cond_signal(&node->changed);
    pthread_mutex_unlock(&node->lock);
}

static void run_on_worker(struct cmd_local_node *node, void (*run)(struct nx_task *task))
{
    node->waiting = true;
    node->task.run = run;
    nx_worker_reply(nx_workers_at(node->workers, 0), &node->task);
    pthread_mutex_lock(&node->lock);
    while (node->waiting)
        pthread_cond_wait(&node->changed, &node->lock);
    pthread_mutex_unlock(&node->lock);
}

/* --- calls --- */

static void on_done(void *user, const struct nx_rpc_result *result)
{
    struct cmd_local_node *node = user;
    node->err = result->err;
    if (result->err != NX_OK)
        nx_fail_set(node->fail, result->err, "%s",
                    result->text && *result->text ? result->text : nx_err_text(result->err));
    else if (node->reply)
        nx_buf_append_view(node->reply, result->body);
    wake(node);
}

static void start_call(struct nx_task *task)
{
    struct cmd_local_node *node = NX_OWNER(struct cmd_local_node, task, task);
    enum nx_err err = nx_rpc_call(node->client, node->options, NULL);
    if (err == NX_OK)
        return;
    node->err = nx_fail_set(node->fail, err, "%s", nx_err_text(err));
    wake(node);
}

static enum nx_err relay_frame(void *user, struct nx_view frame)
{
    struct cmd_local_node *node = user;
    return node->on_frame(node->frame_user, frame);
}

enum nx_err cmd_local_node_call(struct cmd_local_node *node, const char *method,
                                struct nx_buf *body,
                                enum nx_err (*on_frame)(void *user, struct nx_view frame),
                                void *user, struct nx_buf *reply, struct nx_fail *fail)
{
    struct nx_rpc_call_options options = {.address = ADDRESS,
                                          .method = method,
                                          .body = body,
                                          .max_frame_bytes = FRAME_BYTES_MAX,
                                          .on_frame = on_frame ? relay_frame : NULL,
                                          .done = on_done,
                                          .user = node};
    node->options = &options;
    node->on_frame = on_frame;
    node->frame_user = user;
    node->reply = reply;
    node->fail = fail;
    run_on_worker(node, start_call);
    return node->err;
}

/* --- opening --- */

/* How many shards and partitions the log has been written with, so that it can stay as it is. */
static enum nx_err find_layout(const char *data_dir, struct ing_wal_layout *out,
                               struct nx_fail *fail)
{
    int lock_fd;
    enum nx_err err = ing_datadir_lock(nx_fs_posix(), data_dir, &lock_fd, fail);
    if (err != NX_OK)
        return err;
    char *wal = nx_path_join(data_dir, "wal");
    err = wal ? nx_fs_posix()->mkdir(nx_fs_posix(), wal) : NX_ERR_NOMEM;
    if (err == NX_OK)
        err = ing_wal_layout_find(nx_fs_posix(), wal, out);
    if (err != NX_OK)
        nx_fail_set(fail, err, "%s: %s", data_dir, nx_err_text(err));
    nx_free(wal);
    (void)close(lock_fd);
    return err;
}

static enum nx_err open_settings(struct cmd_local_node *node, const char *data_dir)
{
    enum nx_err err = cmd_settings_open(CMD_INGESTER, &node->settings, &node->config);
    struct ing_settings *settings = &node->settings.ing;
    if (err != NX_OK)
        return err;
    settings->data_dir = data_dir;
    settings->retention_ms = NO_LIMIT;
    settings->retention_bytes = 0;
    settings->max_series = NO_LIMIT;
    settings->select_max_bytes = NO_LIMIT;
    return NX_OK;
}

static enum nx_err open_net(struct cmd_local_node *node, uint32_t workers)
{
    struct nx_workers_options options = {.count = workers, .name = "tool"};
    enum nx_err err =
        nx_log_new(nx_clock_system(), NX_LOG_WARN, NX_LOG_LOGFMT, STDERR_FILENO, &node->log);
    if (err == NX_OK)
        err = nx_telemetry_new(&node->telemetry);
    if (err == NX_OK)
        err = nx_workers_new(&options, &node->workers);
    if (err == NX_OK)
        err = nx_rpc_server_new(NULL, node->workers, node->log, &node->rpc);
    return err;
}

static enum nx_err open_ingester(struct cmd_local_node *node, uint32_t partitions,
                                 struct nx_fail *fail)
{
    struct ing_deps deps = {.settings = &node->settings.ing,
                            .node_name = "tool",
                            .partitions = partitions,
                            .workers = node->workers,
                            .rpc = node->rpc,
                            .fs = nx_fs_posix(),
                            .clock = nx_clock_system(),
                            .log = node->log,
                            .telemetry = node->telemetry};
    enum nx_err err = ing_new(&deps, &node->ing, fail);
    if (err == NX_OK)
        err = nx_rpc_client_new(nx_workers_at(node->workers, 0), node->log, node->rpc, ADDRESS,
                                &node->client);
    if (err == NX_OK)
        err = nx_workers_start(node->workers);
    node->running = err == NX_OK;
    return err == NX_OK ? ing_recover(node->ing, fail) : err;
}

enum nx_err cmd_local_node_open(const char *data_dir, struct cmd_local_node **out,
                                struct nx_fail *fail)
{
    struct ing_wal_layout layout = {.shards = 0};
    if (access(data_dir, F_OK) != 0)
        return nx_fail_set(fail, NX_ERR_NOT_FOUND, "%s: no such directory", data_dir);
    struct cmd_local_node *node = nx_calloc(1, sizeof *node);
    if (!node)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    pthread_mutex_init(&node->lock, NULL);
    pthread_cond_init(&node->changed, NULL);
    enum nx_err err = find_layout(data_dir, &layout, fail);
    if (err == NX_OK)
        err = open_settings(node, data_dir);
    if (err == NX_OK)
        err = open_net(node, layout.shards > 0 ? layout.shards : 1);
    if (err == NX_OK)
        err = open_ingester(node, layout.partitions > 0 ? layout.partitions : PARTITIONS, fail);
    if (err != NX_OK) {
        if (fail && fail->code == NX_OK)
            nx_fail_set(fail, err, "%s: %s", data_dir, nx_err_text(err));
        cmd_local_node_close(node);
        return err;
    }
    *out = node;
    return NX_OK;
}

/* --- closing --- */

static void on_client_closed(void *user)
{
    wake(user);
}

static void on_ingester_stopped(void *user)
{
    struct cmd_local_node *node = user;
    nx_rpc_client_close(node->client, on_client_closed, node);
}

static void stop(struct nx_task *task)
{
    struct cmd_local_node *node = NX_OWNER(struct cmd_local_node, task, task);
    ing_stop(node->ing, on_ingester_stopped, node);
}

void cmd_local_node_close(struct cmd_local_node *node)
{
    if (!node)
        return;
    if (node->running)
        run_on_worker(node, stop);
    else if (node->client)
        nx_rpc_client_close(node->client, on_client_closed, node);
    if (node->workers)
        nx_workers_stop(node->workers);
    ing_free(node->ing);
    nx_rpc_server_free(node->rpc);
    if (node->workers)
        nx_workers_free(node->workers);
    nx_telemetry_free(node->telemetry);
    nx_log_free(node->log);
    nx_config_free(node->config);
    pthread_cond_destroy(&node->changed);
    pthread_mutex_destroy(&node->lock);
    nx_free(node);
}
