/* What a query may use: bytes, samples, time. Every arena of an evaluation hangs in one list, so
 * that the memory in use is the sum over it; a new arena may take what is left, and
 * qry_check_budget, called every few thousand samples, catches several growing side by side. */
#include "querier/promql/eval.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/alloc.h"

size_t qry_memory_used(const struct qry_eval *ev)
{
    size_t used = ev->window_bytes + ev->regex_bytes;
    for (const struct qry_pool *pool = ev->pools; pool; pool = pool->next)
        used += pool->arena.used_bytes;
    return used;
}

struct qry_pool *qry_pool_new(struct qry_eval *ev)
{
    struct qry_pool *pool = nx_calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    size_t max = ev->params->limits.max_memory_bytes;
    size_t left = 0;
    if (max > 0) {
        size_t used = qry_memory_used(ev);
        left = used < max ? max - used : 1;
    }
    nx_arena_init(&pool->arena, left);
    pool->next = ev->pools;
    if (ev->pools)
        ev->pools->prev = pool;
    ev->pools = pool;
    return pool;
}

void qry_pool_free(struct qry_eval *ev, struct qry_pool *pool)
{
    while (pool) {
        struct qry_pool *adopted = pool->adopted;
        if (pool->prev)
            pool->prev->next = pool->next;
        else
            ev->pools = pool->next;
        if (pool->next)
            pool->next->prev = pool->prev;
        nx_arena_release(&pool->arena);
        nx_free(pool);
        pool = adopted;
    }
}

enum nx_err qry_over_memory(struct qry_eval *ev)
{
    return nx_fail_set(
        ev->fail, NX_ERR_LIMIT,
        "query processing would use too much memory in query execution: the limit is "
        "%zu bytes (query.max-memory-bytes)",
        ev->params->limits.max_memory_bytes);
}

enum nx_err qry_no_memory(struct qry_eval *ev)
{
    for (const struct qry_pool *pool = ev->pools; pool; pool = pool->next) {
        if (nx_arena_over(&pool->arena))
            return qry_over_memory(ev);
    }
    return nx_fail_set(ev->fail, NX_ERR_NOMEM, "out of memory in query execution");
}

enum nx_err qry_check_budget(struct qry_eval *ev)
{
    const struct qry_limits *limits = &ev->params->limits;

    ev->work = 0;
    if (ev->params->cancel && atomic_load_explicit(ev->params->cancel, memory_order_relaxed)) {
        return nx_fail_set(ev->fail, NX_ERR_CANCELED,
                           "query was canceled in expression evaluation");
    }
    if (limits->deadline_ns > 0 && ev->params->clock &&
        nx_now_ns(ev->params->clock) >= limits->deadline_ns) {
        return nx_fail_set(ev->fail, NX_ERR_TIMEOUT, "query timed out in expression evaluation");
    }
    if (limits->max_memory_bytes > 0 && qry_memory_used(ev) > limits->max_memory_bytes)
        return qry_over_memory(ev);
    return NX_OK;
}

enum nx_err qry_hold_samples(struct qry_eval *ev, uint64_t samples)
{
    uint64_t max = ev->params->limits.max_samples;

    ev->samples += samples;
    if (ev->samples > ev->peak_samples)
        ev->peak_samples = ev->samples;
    if (max > 0 && ev->samples > max) {
        return nx_fail_set(
            ev->fail, NX_ERR_LIMIT,
            "query processing would load too many samples into memory in query execution");
    }
    return NX_OK;
}

enum nx_err qry_error(struct qry_eval *ev, const char *format, ...)
{
    char text[sizeof ev->fail->text];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return nx_fail_set(ev->fail, NX_ERR_EXECUTION, "%s", text);
}
