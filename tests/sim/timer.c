/* Stands in for the part of libuv that the roles use: timers, and the closing of handles. The
 * event of a running timer hangs on the handle's `u.reserved`, which libuv leaves to nobody. */
#include <stdlib.h>
#include <uv.h>

#include "common/base/owner.h"
#include "tests/sim/process.h"
#include "tests/sim/turn.h"

struct tick {
    struct sim_event event;
    uv_timer_t *timer;
};

struct closing {
    struct sim_event event;
    uv_handle_t *handle;
};

enum { STATE_OPEN, STATE_CLOSING };

static struct tick *tick_of(const uv_handle_t *handle)
{
    return handle->u.reserved[0];
}

static struct nx_worker *worker_of(const uv_loop_t *loop)
{
    return loop->data;
}

static void tick_drop(struct sim_event *event)
{
    free(NX_OWNER(struct tick, event, event));
}

static void tick_run(struct sim_event *event)
{
    struct tick *tick = NX_OWNER(struct tick, event, event);
    uv_timer_t *timer = tick->timer;
    free(tick);
    timer->u.reserved[0] = NULL;
    if (timer->repeat > 0)
        (void)uv_timer_start(timer, timer->timer_cb, timer->repeat, timer->repeat);
    struct nx_worker *before = sim_turn(worker_of(timer->loop));
    timer->timer_cb(timer);
    (void)sim_turn(before);
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    timer->loop = loop;
    timer->type = UV_TIMER;
    timer->flags = STATE_OPEN;
    timer->repeat = 0;
    timer->u.reserved[0] = NULL;
    return 0;
}

int uv_timer_stop(uv_timer_t *timer)
{
    struct tick *tick = tick_of((uv_handle_t *)timer);
    if (tick)
        sim_cancel(&tick->event);
    timer->u.reserved[0] = NULL;
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    if (timer->flags == STATE_CLOSING || !cb)
        return UV_EINVAL;
    (void)uv_timer_stop(timer);
    timer->timer_cb = cb;
    timer->repeat = repeat;
    struct tick *tick = sim_calloc(1, sizeof *tick);
    tick->timer = timer;
    tick->event = (struct sim_event){.kind = SIM_TIMER, .run = tick_run, .drop = tick_drop};
    timer->u.reserved[0] = tick;
    sim_after(&tick->event, sim_worker_process(worker_of(timer->loop)),
              timeout * SIM_MS + sim_between(1, 500) * SIM_US);
    return 0;
}

int uv_timer_again(uv_timer_t *timer)
{
    return timer->repeat > 0 ? uv_timer_start(timer, timer->timer_cb, timer->repeat, timer->repeat)
                             : 0;
}

static void closing_drop(struct sim_event *event)
{
    free(NX_OWNER(struct closing, event, event));
}

static void closing_run(struct sim_event *event)
{
    struct closing *closing = NX_OWNER(struct closing, event, event);
    uv_handle_t *handle = closing->handle;
    free(closing);
    struct nx_worker *before = sim_turn(worker_of(handle->loop));
    if (handle->close_cb)
        handle->close_cb(handle);
    (void)sim_turn(before);
}

void uv_close(uv_handle_t *handle, uv_close_cb cb)
{
    sim_check(handle->type == UV_TIMER && handle->flags == STATE_OPEN,
              "uv_close of what is not an open timer");
    (void)uv_timer_stop((uv_timer_t *)handle);
    handle->flags = STATE_CLOSING;
    handle->close_cb = cb;
    struct closing *closing = sim_calloc(1, sizeof *closing);
    closing->handle = handle;
    closing->event =
        (struct sim_event){.kind = SIM_TIMER, .run = closing_run, .drop = closing_drop};
    sim_after(&closing->event, sim_worker_process(worker_of(handle->loop)), SIM_US);
}

int uv_is_active(const uv_handle_t *handle)
{
    return tick_of(handle) != NULL;
}

int uv_is_closing(const uv_handle_t *handle)
{
    return handle->flags == STATE_CLOSING;
}

uint64_t uv_now(const uv_loop_t *loop)
{
    (void)loop;
    return sim_now() / SIM_MS;
}
