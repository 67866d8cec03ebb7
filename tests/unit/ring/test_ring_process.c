/* Rings of several processes: who is alive, in which state and whole for what, and who does not
 * belong. */
#include <netinet/in.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "ring_fixture.h"

static void nap(void)
{
    usleep(1000);
}

struct process {
    struct nx_workers *workers;
    struct nx_http_server *http;
    struct nx_rpc_server *rpc;
    struct nx_rpc_client *client;
    struct nx_telemetry *telemetry;
    struct nx_ring *ring;
    uint16_t port;
    atomic_bool stopped;
    bool running;
};

struct errand {
    struct nx_task task;
    void (*run)(void *arg);
    void *arg;
    sem_t done;
};

static void run_errand(struct nx_task *task)
{
    struct errand *errand = (struct errand *)task;
    errand->run(errand->arg);
    sem_post(&errand->done);
}

static void on_worker(struct process *p, void (*run)(void *arg), void *arg)
{
    struct errand errand = {.task = {.run = run_errand}, .run = run, .arg = arg};
    sem_init(&errand.done, 0, 0);
    nx_worker_reply(nx_workers_at(p->workers, 0), &errand.task);
    while (sem_wait(&errand.done) != 0) {
    }
    sem_destroy(&errand.done);
}

/* Listens; the ring follows, once all ports are known. */
static void open_process(struct process *p, uint16_t port)
{
    *p = (struct process){.running = true};
    struct nx_workers_options options = {.count = 1, .name = "ring"};
    struct nx_http_server_options http = {.host = "127.0.0.1", .port = port};
    struct nx_fail fail;
    assert_int_equal(nx_workers_new(&options, &p->workers), NX_OK);
    assert_int_equal(nx_telemetry_new(&p->telemetry), NX_OK);
    assert_int_equal(nx_http_server_new(&http, p->workers, NULL, NULL, &p->http), NX_OK);
    assert_int_equal(nx_rpc_server_new(p->http, p->workers, NULL, &p->rpc), NX_OK);
    assert_int_equal(nx_rpc_client_new(nx_workers_at(p->workers, 0), NULL, NULL, NULL, &p->client),
                     NX_OK);
    assert_int_equal(nx_http_server_listen(p->http, &fail), NX_OK);
    p->port = nx_http_server_port(p->http);
}

static void start_ring(void *arg)
{
    struct process *p = arg;
    assert_int_equal(nx_ring_start(p->ring, p->client), NX_OK);
}

static void run_process(struct process *p, const struct nx_ring_options *options)
{
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(
        nx_ring_new(options, nx_clock_system(), p->rpc, NULL, p->telemetry, &p->ring, &fail),
        NX_OK);
    nx_ring_set_self_state(p->ring, NX_MEMBER_ACTIVE);
    nx_ring_set_self_serving(p->ring, true);
    assert_int_equal(nx_workers_start(p->workers), NX_OK);
    on_worker(p, start_ring, p);
}

static void on_flag(void *user)
{
    atomic_store((atomic_bool *)user, true);
}

static void on_ring_stopped(void *user)
{
    struct process *p = user;
    nx_rpc_client_close(p->client, on_flag, &p->stopped);
}

static void stop_ring(void *arg)
{
    struct process *p = arg;
    nx_ring_stop(p->ring, on_ring_stopped, p);
}

static void await_flag(atomic_bool *flag)
{
    while (!atomic_load(flag)) {
        nap();
    }
    atomic_store(flag, false);
}

static void stop_process(struct process *p)
{
    if (!p->running) {
        return;
    }
    p->running = false;
    on_worker(p, stop_ring, p);
    await_flag(&p->stopped);
    nx_http_server_stop(p->http, 100, on_flag, &p->stopped);
    await_flag(&p->stopped);
    nx_workers_stop(p->workers);
    nx_ring_free(p->ring);
    nx_rpc_server_free(p->rpc);
    nx_http_server_free(p->http);
    nx_workers_free(p->workers);
    nx_telemetry_free(p->telemetry);
}

/* A prober and three ingesters, which know each other by the names i0, i1, i2. */
struct cluster {
    struct process prober;
    struct process ingesters[3];
    char members[256];
};

static struct nx_ring_options ingester_options(const struct cluster *c, size_t i)
{
    static const char *const names[] = {"i0", "i1", "i2"};
    struct nx_ring_options options = ring_options_of(c->members);
    options.self =
        (struct nx_ring_self){.name = names[i], .is_member = true, .incarnation = 100 + i};
    return options;
}

static void start_cluster(struct cluster *c)
{
    open_process(&c->prober, 0);
    for (size_t i = 0; i < 3; i++) {
        open_process(&c->ingesters[i], 0);
    }
    (void)snprintf(c->members, sizeof(c->members),
                   "i0@127.0.0.1:%u,i1@127.0.0.1:%u,i2@127.0.0.1:%u", c->ingesters[0].port,
                   c->ingesters[1].port, c->ingesters[2].port);
    for (size_t i = 0; i < 3; i++) {
        struct nx_ring_options options = ingester_options(c, i);
        run_process(&c->ingesters[i], &options);
    }
    struct nx_ring_options options = ring_options_of(c->members);
    run_process(&c->prober, &options);
}

static void stop_cluster(struct cluster *c)
{
    stop_process(&c->prober);
    for (size_t i = 0; i < 3; i++) {
        stop_process(&c->ingesters[i]);
    }
}

/* Waits until the prober sees the member as given; returns the milliseconds it took. */
static uint64_t await_member(struct process *p, size_t member, bool healthy, uint64_t incarnation)
{
    uint64_t begin = nx_now_ns(nx_clock_system());
    for (;;) {
        struct nx_ring_view *view = nx_ring_acquire(p->ring);
        const struct nx_member *m = &view->members[member];
        bool as_wanted = m->healthy == healthy && (!incarnation || m->incarnation == incarnation);
        nx_ring_release(view);
        uint64_t took_ms = (nx_now_ns(nx_clock_system()) - begin) / 1000000;
        if (as_wanted) {
            return took_ms;
        }
        assert_true(took_ms < 10000);
        nap();
    }
}

static void await_problem(struct process *p, size_t member, const char *text)
{
    for (int i = 0; i < 10000; i++) {
        struct nx_ring_view *view = nx_ring_acquire(p->ring);
        bool seen = strstr(view->members[member].problem, text) != NULL;
        nx_ring_release(view);
        if (seen) {
            return;
        }
        nap();
    }
    struct nx_ring_view *view = nx_ring_acquire(p->ring);
    assert_string_equal(view->members[member].problem, text);
    nx_ring_release(view);
}

static int64_t wall_a_minute_ahead(const struct nx_clock *clock)
{
    (void)clock;
    return nx_now_ms(nx_clock_system()) + 61000;
}

static uint64_t mono_of_system(const struct nx_clock *clock)
{
    (void)clock;
    return nx_now_ns(nx_clock_system());
}

static void clock_a_minute_ahead_is_refused_with_both_names(void **state)
{
    (void)state;
    static const struct nx_clock ahead = {wall_a_minute_ahead, mono_of_system};
    struct process member;
    struct process prober;
    char members[64];
    struct nx_fail fail = {.code = NX_OK};
    open_process(&member, 0);
    open_process(&prober, 0);
    (void)snprintf(members, sizeof(members), "i0@127.0.0.1:%u", member.port);
    struct nx_ring_options options = ring_options_of(members);
    options.max_skew_ms = 30000;
    options.self = (struct nx_ring_self){.name = "i0", .is_member = true, .incarnation = 1};
    run_process(&member, &options);
    options.self = (struct nx_ring_self){.name = "prober"};
    assert_int_equal(
        nx_ring_new(&options, &ahead, prober.rpc, NULL, prober.telemetry, &prober.ring, &fail),
        NX_OK);
    assert_int_equal(nx_workers_start(prober.workers), NX_OK);
    on_worker(&prober, start_ring, &prober);
    await_problem(&prober, 0, "the clock of \"prober\" is 6");
    await_problem(&prober, 0, " s ahead of that of \"i0\"; at most 30 s are tolerated");
    await_member(&prober, 0, false, 0);
    stop_process(&prober);
    stop_process(&member);
}

static void wholeness_and_states_of_a_member_are_learnt(void **state)
{
    (void)state;
    struct cluster c;
    start_cluster(&c);
    await_member(&c.prober, 1, true, 101);
    struct nx_ring *ring = c.ingesters[1].ring;
    assert_int_equal(nx_ring_set_whole(ring, 3, true), NX_OK);
    assert_int_equal(nx_ring_set_whole(ring, 63, true), NX_OK);
    nx_ring_set_self_state(ring, NX_MEMBER_LEAVING);
    for (bool seen = false; !seen; nap()) {
        struct nx_ring_view *view = nx_ring_acquire(c.prober.ring);
        seen = view->members[1].state == NX_MEMBER_LEAVING && nx_ring_is_whole(view, 1, 63);
        if (seen) {
            assert_true(nx_ring_is_whole(view, 1, 3) && !nx_ring_is_whole(view, 1, 4));
            assert_false(nx_ring_is_whole(view, 0, 3));
            assert_true(view->members[1].in_motion && nx_ring_in_motion(view));
            assert_true(view->members[1].skew_ms > -1000 && view->members[1].skew_ms < 1000);
        }
        nx_ring_release(view);
    }
    nx_ring_set_self_serving(ring, false);
    await_problem(&c.prober, 1, "does not serve");
    await_member(&c.prober, 1, false, 0);
    nx_ring_set_self_serving(ring, true);
    await_member(&c.prober, 1, true, 101);
    stop_cluster(&c);
}

static void state_outlives_the_process_and_a_fresh_directory_joins(void **state)
{
    (void)state;
    char dir[] = "/tmp/nx-ring-XXXXXX";
    assert_non_null(mkdtemp(dir));
    static const enum nx_member_state states[] = {NX_MEMBER_ACTIVE, NX_MEMBER_READONLY,
                                                  NX_MEMBER_LEAVING, NX_MEMBER_LEFT};
    for (size_t i = 0; i < 4; i++) {
        char file[64];
        struct nx_ring *ring = NULL;
        struct nx_fail fail = {.code = NX_OK};
        struct nx_ring_options options = ring_options_of("i0@h:1,i1@h:2");
        options.fs = nx_fs_posix();
        options.self = (struct nx_ring_self){
            .name = "i0", .is_member = true, .fresh = i == 0, .state_dir = dir};
        (void)snprintf(file, sizeof(file), "%s/member", dir);
        if (i > 0) {
            FILE *out = fopen(file, "w");
            assert_non_null(out);
            (void)fprintf(out, "%s 1700000000000\n", nx_member_state_text(states[i]));
            assert_int_equal(fclose(out), 0);
        }
        assert_int_equal(nx_ring_new(&options, nx_clock_system(), NULL, NULL, NULL, &ring, &fail),
                         NX_OK);
        assert_int_equal(nx_ring_self_state(ring), i == 0 ? NX_MEMBER_JOINING : states[i]);
        nx_ring_free(ring);
        assert_int_equal(access(file, F_OK), 0);
        if (i == 3) {
            assert_int_equal(unlink(file), 0);
        }
    }
    assert_int_equal(rmdir(dir), 0);
}

/* Of a first start that failed half way. */
static void directory_without_a_state_joins_unless_it_is_the_only_one(void **state)
{
    (void)state;
    char dir[] = "/tmp/nx-ring-XXXXXX";
    char file[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(file, sizeof(file), "%s/member", dir);
    for (int only = 0; only < 2; only++) {
        for (int start = 0; start < 2; start++) {
            struct nx_ring *ring = NULL;
            struct nx_fail fail = {.code = NX_OK};
            struct nx_ring_options options = ring_options_of(only ? "i0@h:1" : "i0@h:1,i1@h:2");
            options.fs = nx_fs_posix();
            options.self = (struct nx_ring_self){
                .name = "i0", .is_member = true, .is_only = only, .state_dir = dir};
            assert_int_equal(
                nx_ring_new(&options, nx_clock_system(), NULL, NULL, NULL, &ring, &fail), NX_OK);
            assert_int_equal(nx_ring_self_state(ring), only ? NX_MEMBER_ACTIVE : NX_MEMBER_JOINING);
            nx_ring_free(ring);
        }
        assert_int_equal(unlink(file), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void members_alive_are_seen_with_state_and_incarnation(void **state)
{
    (void)state;
    struct cluster c;
    start_cluster(&c);
    for (size_t i = 0; i < 3; i++) {
        await_member(&c.prober, i, true, 100 + i);
        await_member(&c.ingesters[0], i, true, 100 + i);
    }
    nx_ring_set_self_state(c.ingesters[1].ring, NX_MEMBER_LEAVING);
    for (bool seen = false; !seen; nap()) {
        struct nx_ring_view *view = nx_ring_acquire(c.prober.ring);
        seen = view->members[1].state == NX_MEMBER_LEAVING;
        assert_true(view->members[1].last_seen_ms > 0 || !seen);
        nx_ring_release(view);
    }
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    nx_telemetry_expose(c.prober.telemetry, &out);
    nx_buf_append_char(&out, '\0');
    assert_non_null(strstr(out.data, "narthex_ring_members{state=\"ACTIVE\"} 2\n"));
    assert_non_null(strstr(out.data, "narthex_ring_members{state=\"LEAVING\"} 1\n"));
    assert_non_null(strstr(out.data, "narthex_ring_members_by_health{health=\"healthy\"} 3\n"));
    nx_buf_release(&out);
    stop_cluster(&c);
}

static bool all_active(const struct nx_ring_view *view)
{
    for (size_t i = 0; i < view->member_count; i++) {
        if (view->members[i].state != NX_MEMBER_ACTIVE) {
            return false;
        }
    }
    return true;
}

/* They turn ACTIVE one after the other, and so what makes them young ends one after the other. */
static void members_born_together_are_never_in_motion_afterwards(void **state)
{
    (void)state;
    struct cluster c;
    start_cluster(&c);
    struct process young;
    open_process(&young, 0);
    struct nx_ring_options options = ring_options_of(c.members);
    options.heartbeat_interval_ms = 10;
    options.heartbeat_timeout_ms = 700;
    run_process(&young, &options);
    for (size_t i = 0; i < 3; i++) {
        await_member(&young, i, true, 100 + i);
        nx_ring_set_self_state(c.ingesters[i].ring, NX_MEMBER_JOINING);
    }
    usleep(100000);
    for (size_t i = 0; i < 3; i++) {
        nx_ring_set_self_state(c.ingesters[i].ring, NX_MEMBER_ACTIVE);
        usleep(100000);
    }
    bool seen = false;
    uint64_t begin = nx_now_ns(nx_clock_system());
    while (!seen || nx_now_ns(nx_clock_system()) < begin + UINT64_C(2500000000)) {
        struct nx_ring_view *view = nx_ring_acquire(young.ring);
        seen = seen || all_active(view);
        for (size_t i = 0; seen && i < view->member_count; i++) {
            assert_false(view->members[i].in_motion);
        }
        nx_ring_release(view);
        nap();
    }
    stop_process(&young);
    stop_cluster(&c);
}

static void member_stopped_is_noticed_and_its_return_too(void **state)
{
    (void)state;
    struct cluster c;
    start_cluster(&c);
    for (size_t i = 0; i < 3; i++) {
        await_member(&c.prober, i, true, 100 + i);
    }
    uint16_t port = c.ingesters[2].port;
    stop_process(&c.ingesters[2]);
    await_member(&c.prober, 2, false, 0);
    struct nx_ring_view *view = nx_ring_acquire(c.prober.ring);
    assert_true(strlen(view->members[2].problem) > 0);
    assert_string_equal(view->members[0].problem, "");
    nx_ring_release(view);

    open_process(&c.ingesters[2], port);
    struct nx_ring_options options = ingester_options(&c, 2);
    options.self.incarnation = 999;
    run_process(&c.ingesters[2], &options);
    await_member(&c.prober, 2, true, 999);
    stop_cluster(&c);
}

static int listen_deaf(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void member_silent_is_unhealthy_within_the_timeout(void **state)
{
    (void)state;
    uint16_t port = 0;
    int fd = listen_deaf(&port);
    struct process p;
    char members[64];
    open_process(&p, 0);
    (void)snprintf(members, sizeof(members), "deaf@127.0.0.1:%u", port);
    struct nx_ring_options options = ring_options_of(members);
    options.heartbeat_timeout_ms = 200;
    run_process(&p, &options);
    uint64_t took_ms = await_member(&p, 0, false, 0);
    assert_true(took_ms > 100 && took_ms < 2000);
    struct nx_ring_view *view = nx_ring_acquire(p.ring);
    assert_true(strlen(view->members[0].problem) > 0);
    nx_ring_release(view);
    stop_process(&p);
    close(fd);
}

static void member_of_another_cluster_is_shown_as_a_problem(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "belongs to cluster \"test\", not \"other\"",
        "has ring.partitions 64, not 128",
        "has ring.replication-factor 3, not 1",
    };
    for (size_t i = 0; i < 3; i++) {
        struct cluster c;
        start_cluster(&c);
        struct process stranger;
        open_process(&stranger, 0);
        struct nx_ring_options options = ring_options_of(c.members);
        options.cluster = i == 0 ? "other" : options.cluster;
        options.partitions = i == 1 ? 128 : options.partitions;
        options.rf = i == 2 ? 1 : options.rf;
        run_process(&stranger, &options);
        for (size_t m = 0; m < 3; m++) {
            await_problem(&stranger, m, texts[i]);
            await_member(&stranger, m, false, 0);
        }
        stop_process(&stranger);
        stop_cluster(&c);
    }
}

static size_t count_lines(int fd, const char *text)
{
    char log[65536];
    ssize_t len = pread(fd, log, sizeof(log) - 1, 0);
    assert_true(len >= 0);
    log[len] = '\0';
    size_t count = 0;
    for (const char *at = strstr(log, text); at; at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}

static void problem_that_stays_is_logged_once(void **state)
{
    (void)state;
    char path[] = "/tmp/nx-ring-log-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    struct cluster c;
    start_cluster(&c);
    struct process stranger;
    struct nx_fail fail;
    struct nx_log *log = NULL;
    assert_int_equal(nx_log_new(nx_clock_system(), NX_LOG_INFO, NX_LOG_LOGFMT, fd, &log), NX_OK);
    open_process(&stranger, 0);
    char members[320];
    (void)snprintf(members, sizeof(members), "%s,gone@127.0.0.1:1", c.members);
    struct nx_ring_options options = ring_options_of(members);
    options.cluster = "other";
    assert_int_equal(
        nx_ring_new(&options, nx_clock_system(), stranger.rpc, log, NULL, &stranger.ring, &fail),
        NX_OK);
    assert_int_equal(nx_workers_start(stranger.workers), NX_OK);
    on_worker(&stranger, start_ring, &stranger);
    for (size_t i = 0; i < 4; i++) {
        await_member(&stranger, i, false, 0);
    }
    usleep(300000);
    assert_int_equal(count_lines(fd, "belongs to cluster"), 3);
    assert_int_equal(count_lines(fd, "member=gone"), 1);
    stop_process(&stranger);
    nx_log_free(log);
    close(fd);
    stop_cluster(&c);
}

static void member_under_another_name_is_shown_as_a_problem(void **state)
{
    (void)state;
    struct cluster c;
    start_cluster(&c);
    struct process stranger;
    open_process(&stranger, 0);
    char members[128];
    (void)snprintf(members, sizeof(members), "wrong@127.0.0.1:%u,zz@127.0.0.1:%u",
                   c.ingesters[0].port, c.prober.port);
    struct nx_ring_options options = ring_options_of(members);
    run_process(&stranger, &options);
    await_problem(&stranger, 0, "is named \"i0\", not \"wrong\"");
    await_problem(&stranger, 1, "\"prober\" is not an ingester");
    stop_process(&stranger);
    stop_cluster(&c);
}

static void set_members_while_running_keeps_what_is_known(void **state)
{
    (void)state;
    struct cluster c;
    struct nx_fail fail;
    start_cluster(&c);
    for (size_t i = 0; i < 3; i++) {
        await_member(&c.prober, i, true, 100 + i);
    }
    char two[256];
    (void)snprintf(two, sizeof(two), "i0@127.0.0.1:%u,i2@127.0.0.1:%u", c.ingesters[0].port,
                   c.ingesters[2].port);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(nx_ring_set_members(c.prober.ring, i % 2 ? c.members : two, &fail), NX_OK);
        struct nx_ring_view *view = nx_ring_acquire(c.prober.ring);
        assert_int_equal(view->member_count, i % 2 ? 3 : 2);
        assert_int_equal(view->members[0].incarnation, 100);
        nx_ring_release(view);
        if (i % 7 == 0) {
            nap();
        }
    }
    await_member(&c.prober, 1, true, 101);
    stop_cluster(&c);
}

static void await_hearing(struct process *p, bool all)
{
    for (int i = 0; i < 60000 && nx_ring_hears_distributors(p->ring) != all; i++) {
        nap();
    }
    assert_int_equal(nx_ring_hears_distributors(p->ring), all);
}

/* The others of the cluster are asked for heartbeats by a distributor whose list is an older one.
 */
static void distributor_without_the_member_in_its_list_is_missed_there(void **state)
{
    (void)state;
    struct cluster c;
    struct process distributor;
    struct nx_fail fail;
    char older[256];
    start_cluster(&c);
    open_process(&distributor, 0);
    (void)snprintf(older, sizeof(older), "i1@127.0.0.1:%u,i2@127.0.0.1:%u", c.ingesters[1].port,
                   c.ingesters[2].port);
    struct nx_ring_options options = ring_options_of(older);
    options.self = (struct nx_ring_self){.name = "d0", .is_distributor = true};
    assert_true(nx_ring_hears_distributors(c.ingesters[0].ring)); /* there is none */
    run_process(&distributor, &options);
    await_hearing(&c.ingesters[0], false);
    await_hearing(&c.ingesters[1], true);
    assert_int_equal(nx_ring_set_members(distributor.ring, c.members, &fail), NX_OK);
    await_hearing(&c.ingesters[0], true);
    assert_int_equal(nx_ring_distributors(c.ingesters[0].ring), 1);
    stop_process(&distributor);
    stop_cluster(&c);
}

static void report_of_a_failure_brings_the_probe_forward(void **state)
{
    (void)state;
    struct cluster c;
    start_cluster(&c);
    struct process slow;
    open_process(&slow, 0);
    struct nx_ring_options options = ring_options_of(c.members);
    options.heartbeat_interval_ms = 2000;
    options.heartbeat_timeout_ms = 8000;
    run_process(&slow, &options);
    for (size_t i = 0; i < 3; i++) {
        await_member(&slow, i, true, 100 + i);
    }
    stop_process(&c.ingesters[1]);
    usleep(250000); /* past the pause between probes */
    uint64_t begin = nx_now_ns(nx_clock_system());
    for (;;) {
        nx_ring_report(slow.ring, "i1", NX_ERR_UNAVAILABLE);
        nx_ring_report(slow.ring, "i0", NX_OK);
        struct nx_ring_view *view = nx_ring_acquire(slow.ring);
        bool noticed = !view->members[1].healthy && view->members[0].healthy;
        nx_ring_release(view);
        if (noticed) {
            break;
        }
        assert_true((nx_now_ns(nx_clock_system()) - begin) / 1000000 < 1900);
        nap();
    }
    stop_process(&slow);
    stop_cluster(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_a_minute_ahead_is_refused_with_both_names),
        cmocka_unit_test(wholeness_and_states_of_a_member_are_learnt),
        cmocka_unit_test(state_outlives_the_process_and_a_fresh_directory_joins),
        cmocka_unit_test(directory_without_a_state_joins_unless_it_is_the_only_one),
        cmocka_unit_test(members_alive_are_seen_with_state_and_incarnation),
        cmocka_unit_test(members_born_together_are_never_in_motion_afterwards),
        cmocka_unit_test(member_stopped_is_noticed_and_its_return_too),
        cmocka_unit_test(member_silent_is_unhealthy_within_the_timeout),
        cmocka_unit_test(member_of_another_cluster_is_shown_as_a_problem),
        cmocka_unit_test(problem_that_stays_is_logged_once),
        cmocka_unit_test(member_under_another_name_is_shown_as_a_problem),
        cmocka_unit_test(set_members_while_running_keeps_what_is_known),
        cmocka_unit_test(distributor_without_the_member_in_its_list_is_missed_there),
        cmocka_unit_test(report_of_a_failure_brings_the_probe_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
