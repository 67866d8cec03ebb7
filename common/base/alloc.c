/* One gate to the process allocator. The hook is read without synchronisation: it is set by a test
 * before its threads start, and costs one predictable branch otherwise. */
#include "common/base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static nx_alloc_hook alloc_hook;
static void *alloc_hook_user;

void nx_alloc_set_hook(nx_alloc_hook hook, void *user)
{
    alloc_hook = hook;
    alloc_hook_user = user;
}

static inline bool allowed(size_t size_bytes)
{
    return __builtin_expect(!alloc_hook, 1) || alloc_hook(size_bytes, alloc_hook_user);
}

void *nx_alloc(size_t size_bytes)
{
    return allowed(size_bytes) ? malloc(size_bytes ? size_bytes : 1) : NULL;
}

void *nx_calloc(size_t count, size_t size_bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, size_bytes, &total) || !allowed(total))
        return NULL;
    return calloc(1, total ? total : 1);
}

void *nx_alloc_array(size_t count, size_t size_bytes)
{
    size_t total;
    return __builtin_mul_overflow(count, size_bytes, &total) ? NULL : nx_alloc(total);
}

void *nx_realloc(void *ptr, size_t size_bytes)
{
    return allowed(size_bytes) ? realloc(ptr, size_bytes ? size_bytes : 1) : NULL;
}

void *nx_realloc_array(void *ptr, size_t count, size_t size_bytes)
{
    size_t total;
    return __builtin_mul_overflow(count, size_bytes, &total) ? NULL : nx_realloc(ptr, total);
}

void nx_free(void *ptr)
{
    free(ptr);
}

char *nx_strndup(const char *text, size_t len)
{
    char *copy = len == SIZE_MAX ? NULL : nx_alloc(len + 1);
    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *nx_strdup(const char *text)
{
    return nx_strndup(text, strlen(text));
}

enum nx_err nx_grow(void *array, size_t *capacity, size_t need, size_t size_bytes)
{
    if (need <= *capacity)
        return NX_OK;
    size_t target = *capacity > SIZE_MAX / 2 ? need : *capacity * 2;
    if (target < need)
        target = need;
    if (target < 8)
        target = 8;
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = nx_realloc_array(old, target, size_bytes);
    if (!grown)
        return NX_ERR_NOMEM;
    memcpy(array, &grown, sizeof grown);
    *capacity = target;
    return NX_OK;
}
