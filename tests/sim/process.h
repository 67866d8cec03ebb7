/* A process of the simulated cluster: what one binary on one machine is in the world.
 *
 * Its memory is known (every nx_alloc made in it), so that a crash can take all of it at once, and
 * an orderly end can be required to have left none. Its disk outlives it. */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "common/base/log.h"
#include "tests/sim/sim.h"

struct sim_disk;
struct nx_rpc_server;
struct nx_http_server;

struct sim_memory {
    struct sim_memory *next, *previous;
};

struct sim_clock {
    struct nx_clock base;
    const struct sim_process *process;
};

struct sim_process {
    uint32_t number;
    char name[24];
    char address[32];
    uint32_t life; /* grows with each start and each end */
    bool up;
    bool hung;
    bool dark;        /* the machine lost power: nobody says that connections are gone */
    int64_t skew_ms;  /* of its wall clock */
    uint64_t mono_ns; /* origin of its monotonic clock */
    double lane_slow; /* factor on how long blocking calls take; 1 */
    double pressure;  /* chance that a look finds its memory above the limit */
    struct sim_clock clock;
    struct nx_rand rand; /* what its system gives it */
    struct sim_memory memory;
    size_t blocks;
    struct sim_disk *disk;
    struct nx_rpc_server *rpc;     /* while it is up */
    struct nx_http_server *http;   /* while it is up */
    struct nx_log *root_log, *log; /* in a trace; NULL */
    struct sim_event *held;
    struct sim_event **held_last;
};

void sim_process_init(struct sim_process *process, uint32_t number, const char *name);
void sim_process_release(struct sim_process *process);
/* A new life begins; the caller then sets up what runs in it, within sim_enter. */
void sim_process_begin(struct sim_process *process);
/* kill -9, or the power is cut (`power`): all memory and every event of its life is gone. What the
 * disk keeps is up to the caller. */
void sim_process_kill(struct sim_process *process, bool power);
/* After an orderly end: nothing of its memory may be left. */
void sim_process_ended(struct sim_process *process);
void sim_process_hang(struct sim_process *process);
void sim_process_resume(struct sim_process *process);

struct sim_process *sim_current(void);
/* Makes it the current process; returns the one before. */
struct sim_process *sim_enter(struct sim_process *process);

/* Zeroed memory of the current process (nx_free); there always is some. */
void *sim_process_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/* --- net.c, for process.c: the connections of a process that is gone --- */
void sim_net_forget(struct sim_process *process);
/* --- http.c --- */
void sim_http_forget(struct sim_process *process);

#endif
