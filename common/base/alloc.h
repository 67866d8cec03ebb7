/* Memory from the process allocator (jemalloc where linked), through one hook that tests use to
 * fail the n-th request. All functions return NULL on failure or size overflow; a zero size is
 * served as one byte. Any thread. */
#ifndef NX_BASE_ALLOC_H
#define NX_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

void *nx_alloc(size_t size_bytes) __attribute__((malloc, warn_unused_result));
void *nx_calloc(size_t count, size_t size_bytes) __attribute__((malloc, warn_unused_result));
void *nx_alloc_array(size_t count, size_t size_bytes) __attribute__((malloc, warn_unused_result));
void *nx_realloc(void *ptr, size_t size_bytes) __attribute__((warn_unused_result));
void *nx_realloc_array(void *ptr, size_t count, size_t size_bytes)
    __attribute__((warn_unused_result));
void nx_free(void *ptr);
char *nx_strndup(const char *text, size_t len) __attribute__((malloc, warn_unused_result));
char *nx_strdup(const char *text) __attribute__((malloc, warn_unused_result));

/* Grows a heap array so that it holds at least `need` elements: doubles the capacity, at least 8.
 * `*array` and `*capacity` are updated together on success only. */
enum nx_err nx_grow(void *array, size_t *capacity, size_t need, size_t size_bytes) NX_WARN_UNUSED;

/* Test hook: called before every allocation; returning false makes it fail. NULL removes it. Set it
 * only while no other thread allocates. The one process-wide variable of common/. */
typedef bool (*nx_alloc_hook)(size_t size_bytes, void *user);
void nx_alloc_set_hook(nx_alloc_hook hook, void *user);

#endif
