/* A heap of events by (time, order). The one world is a static variable: the functions that
 * stand in for the program's own (nx_alloc, uv_timer_start, ...) are called without a context. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "tests/sim/process.h"

/* The keys beside the pointer: what is compared lies together. */
struct slot {
    uint64_t at_ns;
    uint64_t order;
    struct sim_event *event;
};

struct world {
    struct slot *heap;
    size_t count, capacity;
    uint64_t now_ns;
    uint64_t next_order;
    uint64_t hash;
    uint64_t events;
    struct nx_rand rand;
    bool trace;
    bool stopped;
};

static struct world world;

void *sim_calloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    sim_check(memory != NULL, "memory for the simulation");
    return memory;
}

void *sim_grow(void *array, size_t *capacity, size_t need, size_t size)
{
    if (array && need <= *capacity)
        return array;
    *capacity = 2 * need > 16 ? 2 * need : 16;
    void *grown = realloc(array, *capacity * size);
    if (!grown)
        sim_die("memory for the simulation");
    return grown;
}

void sim_free(void *memory)
{
    free(memory);
}

void sim_die(const char *what)
{
    (void)fprintf(stderr, "sim: %s\n", what);
    abort();
}

void sim_begin(uint64_t seed, bool trace)
{
    world = (struct world){.trace = trace, .hash = seed};
    nx_rand_seeded(&world.rand, seed);
}

void sim_end(void)
{
    for (size_t i = 0; i < world.count; i++)
        world.heap[i].event->drop(world.heap[i].event);
    free(world.heap);
    world = (struct world){.heap = NULL};
}

/* --- the heap --- */

enum { FANOUT = 4 };

static bool before(const struct slot *a, const struct slot *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void enlarge(void)
{
    size_t capacity = world.capacity > 0 ? 2 * world.capacity : 1024;
    struct slot *heap = sim_calloc(capacity, sizeof *heap);
    if (world.count > 0)
        memcpy(heap, world.heap, world.count * sizeof *heap);
    free(world.heap);
    world.heap = heap;
    world.capacity = capacity;
}

static void push(struct sim_event *event)
{
    if (world.count == world.capacity)
        enlarge();
    struct slot slot = {.at_ns = event->at_ns, .order = event->order, .event = event};
    size_t at = world.count++;
    while (at > 0 && before(&slot, &world.heap[(at - 1) / FANOUT])) {
        world.heap[at] = world.heap[(at - 1) / FANOUT];
        at = (at - 1) / FANOUT;
    }
    world.heap[at] = slot;
}

static size_t first_child(size_t parent)
{
    size_t first = FANOUT * parent + 1;
    size_t end = first + FANOUT < world.count ? first + FANOUT : world.count;
    for (size_t i = first + 1; i < end; i++)
        if (before(&world.heap[i], &world.heap[first]))
            first = i;
    return first;
}

static struct sim_event *pop(void)
{
    struct sim_event *first = world.heap[0].event;
    struct slot last = world.heap[--world.count];
    size_t at = 0;
    for (;;) {
        size_t child = first_child(at);
        if (child >= world.count || !before(&world.heap[child], &last))
            break;
        world.heap[at] = world.heap[child];
        at = child;
    }
    if (world.count > 0)
        world.heap[at] = last;
    return first;
}

/* --- running --- */

uint64_t sim_now(void)
{
    return world.now_ns;
}

void sim_after(struct sim_event *event, struct sim_process *process, uint64_t delay_ns)
{
    event->at_ns = world.now_ns + delay_ns;
    event->order = world.next_order++;
    event->process = process;
    event->life = process ? process->life : 0;
    push(event);
}

void sim_cancel(struct sim_event *event)
{
    event->canceled = true;
}

void sim_release_held(struct sim_process *process)
{
    struct sim_event *event = process->held;
    process->held = NULL;
    process->held_last = &process->held;
    while (event) {
        struct sim_event *next = event->next;
        event->at_ns = world.now_ns;
        event->order = world.next_order++;
        push(event);
        event = next;
    }
}

static void hold(struct sim_process *process, struct sim_event *event)
{
    event->next = NULL;
    *process->held_last = event;
    process->held_last = &event->next;
}

static void happen(struct sim_event *event)
{
    struct sim_process *process = event->process;
    bool gone = process && !event->any_life && (!process->up || process->life != event->life);
    if (event->canceled || gone) {
        event->drop(event);
        return;
    }
    if (process && process->up && process->hung) {
        hold(process, event);
        return;
    }
    world.events++;
    sim_mix(event->at_ns);
    sim_mix((uint64_t)event->kind << 32 | (process ? process->number + 1 : 0));
    struct sim_process *outer = sim_enter(process && process->up ? process : NULL);
    event->run(event);
    (void)sim_enter(outer);
}

bool sim_run(uint64_t until_ns)
{
    while (!world.stopped && world.count > 0 && world.heap[0].at_ns <= until_ns) {
        struct sim_event *event = pop();
        world.now_ns = event->at_ns;
        happen(event);
    }
    if (!world.stopped)
        world.now_ns = until_ns;
    return !world.stopped;
}

void sim_stop(void)
{
    world.stopped = true;
}

/* --- chance and trace --- */

struct nx_rand *sim_rand(void)
{
    return &world.rand;
}

uint64_t sim_below(uint64_t bound)
{
    return nx_rand_below(&world.rand, bound);
}

uint64_t sim_between(uint64_t low, uint64_t high)
{
    return low + nx_rand_below(&world.rand, high - low + 1);
}

bool sim_chance(double probability)
{
    return probability > 0 && nx_rand_unit(&world.rand) < probability;
}

uint64_t sim_hash(void)
{
    return world.hash;
}

void sim_mix(uint64_t value)
{
    uint64_t mixed = (world.hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    world.hash = mixed ^ mixed >> 29;
}

uint64_t sim_event_count(void)
{
    return world.events;
}

bool sim_tracing(void)
{
    return world.trace;
}

void sim_trace(const char *format, ...)
{
    if (!world.trace)
        return;
    const struct sim_process *process = sim_current();
    va_list args;
    (void)fprintf(stderr, "%12.6f %-6s ", (double)world.now_ns / 1e9,
                  process ? process->name : "-");
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}
