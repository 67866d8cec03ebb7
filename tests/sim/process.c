#include "tests/sim/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/disk.h"

/* 2026-01-01T00:00:00Z */
#define EPOCH_MS INT64_C(1767225600000)

static struct sim_process *current;

struct sim_process *sim_current(void)
{
    return current;
}

struct sim_process *sim_enter(struct sim_process *process)
{
    struct sim_process *before = current;
    current = process;
    return before;
}

static const struct sim_process *owner_of(const struct nx_clock *clock)
{
    return ((const struct sim_clock *)(const void *)clock)->process;
}

static int64_t wall_ms(const struct nx_clock *clock)
{
    return EPOCH_MS + (int64_t)(sim_now() / SIM_MS) + owner_of(clock)->skew_ms;
}

static uint64_t mono_ns(const struct nx_clock *clock)
{
    return owner_of(clock)->mono_ns + sim_now();
}

void sim_process_init(struct sim_process *process, uint32_t number, const char *name)
{
    *process = (struct sim_process){
        .number = number,
        .lane_slow = 1,
        .clock = {.base = {.wall_ms = wall_ms, .mono_ns = mono_ns}, .process = process},
    };
    (void)snprintf(process->name, sizeof process->name, "%s", name);
    (void)snprintf(process->address, sizeof process->address, "%s:9900", name);
    process->memory.next = process->memory.previous = &process->memory;
    process->held_last = &process->held;
    process->mono_ns = sim_between(1, 1000) * SIM_S;
    nx_rand_seeded(&process->rand, nx_rand_u64(sim_rand()));
    process->disk = sim_disk_new();
}

static void drop_held(struct sim_process *process)
{
    struct sim_event *event = process->held;
    process->held = NULL;
    process->held_last = &process->held;
    while (event) {
        struct sim_event *next = event->next;
        if (event->any_life)
            sim_after(event, process, 0);
        else
            event->drop(event);
        event = next;
    }
}

void sim_process_begin(struct sim_process *process)
{
    process->life++;
    process->up = true;
    process->hung = false;
    process->dark = false;
    if (sim_tracing()) {
        struct sim_process *outer = sim_enter(process);
        enum nx_err err = nx_log_new(&process->clock.base, NX_LOG_INFO, NX_LOG_LOGFMT,
                                     STDERR_FILENO, &process->root_log);
        if (err == NX_OK)
            err = nx_log_child(process->root_log, process->name, &process->log);
        sim_check(err == NX_OK, "a log");
        (void)sim_enter(outer);
    }
}

/* What both ends have in common. */
static void over(struct sim_process *process)
{
    process->up = false;
    process->hung = false;
    process->rpc = NULL;
    process->http = NULL;
    process->log = process->root_log = NULL;
    process->life++;
    sim_net_forget(process);
    sim_http_forget(process);
    drop_held(process);
    sim_disk_close_all(process->disk);
}

void sim_process_kill(struct sim_process *process, bool power)
{
    process->dark = power;
    over(process);
    while (process->memory.next != &process->memory) {
        struct sim_memory *block = process->memory.next;
        process->memory.next = block->next;
        free(block);
    }
    process->memory.previous = &process->memory;
    process->blocks = 0;
}

void sim_process_ended(struct sim_process *process)
{
    struct sim_process *outer = sim_enter(process);
    nx_log_free(process->root_log);
    (void)sim_enter(outer);
    over(process);
    sim_check(process->blocks == 0, "a process that ended in order has left memory behind");
}

void sim_process_release(struct sim_process *process)
{
    if (process->up)
        sim_process_kill(process, true);
    sim_disk_free(process->disk);
}

void sim_process_hang(struct sim_process *process)
{
    process->hung = process->up;
}

void sim_process_resume(struct sim_process *process)
{
    if (!process->hung)
        return;
    process->hung = false;
    sim_release_held(process);
}
