/* A thread-safe reference count, for what several threads share read-only (ring views, blocks,
 * bodies). */
#ifndef NX_BASE_REFCOUNT_H
#define NX_BASE_REFCOUNT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct nx_refcount {
    atomic_uint_fast32_t count;
};

static inline void nx_refcount_init(struct nx_refcount *ref)
{
    atomic_init(&ref->count, 1);
}
static inline void nx_refcount_take(struct nx_refcount *ref)
{
    uint_fast32_t before = atomic_fetch_add_explicit(&ref->count, 1, memory_order_relaxed);
    assert(before > 0);
}
/* True for the last holder, who then frees. */
static inline bool nx_refcount_drop(struct nx_refcount *ref)
{
    uint_fast32_t before = atomic_fetch_sub_explicit(&ref->count, 1, memory_order_acq_rel);
    assert(before > 0);
    return before == 1;
}

#endif
