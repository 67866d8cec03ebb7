/* What the program asks of the system, answered by the world: memory, randomness, threads and the
 * memory that is left. Stands in for common/base/alloc.c, common/net/thread.c and
 * ingester/pressure.c, and, by the linker (--wrap), for two calls of libc; by the same way one
 * decoder of zstd is kept for the next who wants one, as making it costs more than what a small
 * block has to decode. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <zstd.h>

#include "common/base/alloc.h"
#include "common/net/thread.h"
#include "ingester/pressure.h"
#include "tests/sim/process.h"

/* --- common/base/alloc.h --- */

/* In front of each block; keeps the alignment of malloc. */
union header {
    struct {
        struct sim_memory link;
        struct sim_process *owner;
    } of;
    max_align_t align;
};

static void link_block(union header *header)
{
    struct sim_process *process = sim_current();
    header->of.owner = process;
    if (!process)
        return;
    struct sim_memory *head = &process->memory;
    header->of.link = (struct sim_memory){.next = head->next, .previous = head};
    head->next->previous = &header->of.link;
    head->next = &header->of.link;
    process->blocks++;
}

static void unlink_block(union header *header)
{
    struct sim_process *process = header->of.owner;
    if (!process)
        return;
    header->of.link.next->previous = header->of.link.previous;
    header->of.link.previous->next = header->of.link.next;
    process->blocks--;
}

void nx_alloc_set_hook(nx_alloc_hook hook, void *user)
{
    (void)hook;
    (void)user;
}

void *nx_alloc(size_t size_bytes)
{
    union header *header = malloc(sizeof *header + size_bytes);
    sim_check(header != NULL, "memory for the program");
    link_block(header);
    return header + 1;
}

void *nx_calloc(size_t count, size_t size_bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, size_bytes, &total))
        return NULL;
    union header *header = calloc(1, sizeof *header + total);
    sim_check(header != NULL, "memory for the program");
    link_block(header);
    return header + 1;
}

void *sim_process_calloc(size_t count, size_t size)
{
    void *memory = nx_calloc(count, size);
    if (!memory)
        abort();
    return memory;
}

void *nx_alloc_array(size_t count, size_t size_bytes)
{
    size_t total;
    return __builtin_mul_overflow(count, size_bytes, &total) ? NULL : nx_alloc(total);
}

void *nx_realloc(void *ptr, size_t size_bytes)
{
    if (!ptr)
        return nx_alloc(size_bytes);
    union header *header = (union header *)ptr - 1;
    unlink_block(header);
    header = realloc(header, sizeof *header + size_bytes);
    sim_check(header != NULL, "memory for the program");
    link_block(header);
    return header + 1;
}

void *nx_realloc_array(void *ptr, size_t count, size_t size_bytes)
{
    size_t total;
    return __builtin_mul_overflow(count, size_bytes, &total) ? NULL : nx_realloc(ptr, total);
}

void nx_free(void *ptr)
{
    if (!ptr)
        return;
    union header *header = (union header *)ptr - 1;
    unlink_block(header);
    free(header);
}

char *nx_strndup(const char *text, size_t len)
{
    char *copy = nx_alloc(len + 1);
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
    size_t target = 2 * *capacity > need ? 2 * *capacity : need;
    target = target < 8 ? 8 : target;
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = nx_realloc_array(old, target, size_bytes);
    if (!grown)
        return NX_ERR_NOMEM;
    memcpy(array, &grown, sizeof grown);
    *capacity = target;
    return NX_OK;
}

/* --- the rest --- */

/* No thread is left: who asks for one does the work itself. */
enum nx_err nx_thread_start(const char *name, void *(*main)(void *arg), void *arg, pthread_t *out)
{
    (void)name;
    (void)main;
    (void)arg;
    (void)out;
    return NX_ERR_NOMEM;
}

bool ing_pressure_is_high(struct ing_pressure *pressure, int64_t max_bytes, int64_t now_ms)
{
    (void)pressure;
    (void)max_bytes;
    (void)now_ms;
    return sim_chance(sim_current()->pressure);
}

ssize_t __wrap_getrandom(void *bytes, size_t len, unsigned flags);
int __wrap_setpriority(__priority_which_t which, id_t who, int prio);

ssize_t __wrap_getrandom(void *bytes, size_t len, unsigned flags)
{
    (void)flags;
    struct nx_rand *rand = sim_current() ? &sim_current()->rand : sim_rand();
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t number = nx_rand_u64(rand);
        size_t part = len - at < sizeof number ? len - at : sizeof number;
        memcpy((char *)bytes + at, &number, part);
    }
    return (ssize_t)len;
}

int __wrap_setpriority(__priority_which_t which, id_t who, int prio)
{
    (void)which;
    (void)who;
    (void)prio;
    return 0;
}

static ZSTD_DCtx *kept_decoder;

ZSTD_DCtx *__real_ZSTD_createDCtx(void);
size_t __real_ZSTD_freeDCtx(ZSTD_DCtx *decoder);
ZSTD_DCtx *__wrap_ZSTD_createDCtx(void);
size_t __wrap_ZSTD_freeDCtx(ZSTD_DCtx *decoder);

ZSTD_DCtx *__wrap_ZSTD_createDCtx(void)
{
    ZSTD_DCtx *decoder = kept_decoder ? kept_decoder : __real_ZSTD_createDCtx();
    kept_decoder = NULL;
    return decoder;
}

size_t __wrap_ZSTD_freeDCtx(ZSTD_DCtx *decoder)
{
    if (kept_decoder || !decoder)
        return __real_ZSTD_freeDCtx(decoder);
    (void)ZSTD_DCtx_reset(decoder, ZSTD_reset_session_and_parameters);
    kept_decoder = decoder;
    return 0;
}
