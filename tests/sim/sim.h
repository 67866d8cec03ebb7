/* Virtual time: events in the order of their times, and processes in which they happen.
 *
 * Everything runs on one thread. An event that belongs to a process runs with that process as the
 * current one, whose memory, clock, randomness and disk the program's own code then uses; it is
 * dropped when the process has died since, and held back while it hangs. Equal times run in the
 * order in which the events were made, and all chance comes from the seed: a seed replays exactly.
 *
 * The simulator's own failures (no memory, misuse) end the program: it is a test. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/rand.h"
#include "common/base/time.h"

#define SIM_US UINT64_C(1000)
#define SIM_MS UINT64_C(1000000)
#define SIM_S UINT64_C(1000000000)

struct sim_process;

/* Part of the trace and its hash. */
enum sim_kind {
    SIM_TIMER,
    SIM_MAILBOX,
    SIM_LANE,
    SIM_MESSAGE,
    SIM_HTTP,
    SIM_LOAD,
    SIM_FAULT,
};

/* Embedded in what it is about. `run` or `drop` is called exactly once and owns the memory then. */
struct sim_event {
    uint64_t at_ns;
    uint64_t order;
    struct sim_process *process; /* NULL: of the simulator itself */
    uint32_t life;               /* the process's, when it was made */
    bool any_life;               /* comes to whatever life it finds, and to a dead process too */
    bool canceled;
    enum sim_kind kind;
    void (*run)(struct sim_event *event);
    void (*drop)(struct sim_event *event);
    struct sim_event *next; /* of a process that hangs */
};

/* Begins a world; one at a time. `trace`: events are printed to standard error. */
void sim_begin(uint64_t seed, bool trace);
void sim_end(void);
/* Runs what is due up to `until_ns`, which the time then is. False where sim_stop came first. */
bool sim_run(uint64_t until_ns);
/* Ends the run in progress: a promise was broken. */
void sim_stop(void);

uint64_t sim_now(void);
/* Fills in the process (its current life) and puts the event in line, at least `delay_ns` ahead. */
void sim_after(struct sim_event *event, struct sim_process *process, uint64_t delay_ns);
/* It is dropped when its time comes. */
void sim_cancel(struct sim_event *event);
/* Puts the events that came while the process hung in line again. */
void sim_release_held(struct sim_process *process);

/* Chance, of the simulator (the network, delays) and of the plan of load and faults apart, so that
 * one does not shift the other. */
struct nx_rand *sim_rand(void);
uint64_t sim_below(uint64_t bound);
/* Uniform in [low, high]. */
uint64_t sim_between(uint64_t low, uint64_t high);
bool sim_chance(double probability);

/* What happened so far, as one number: equal for equal runs. */
uint64_t sim_hash(void);
void sim_mix(uint64_t value);
uint64_t sim_event_count(void);
bool sim_tracing(void);
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* calloc, or the end. */
void *sim_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void sim_free(void *memory);
/* The array, moved where it had to grow to hold `need` elements. */
void *sim_grow(void *array, size_t *capacity, size_t need, size_t size)
    __attribute__((returns_nonnull));
void sim_die(const char *what) __attribute__((noreturn));
static inline void sim_check(bool holds, const char *what)
{
    if (!holds)
        sim_die(what);
}

#endif
