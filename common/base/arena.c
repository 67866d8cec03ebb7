/* A list of chunks with a bump pointer in the newest. Chunks double from 4 KiB to 64 KiB; what does
 * not fit such a chunk gets one of its own, put behind the newest so that the open one stays in
 * use. Under AddressSanitizer everything not handed out is poisoned. */
#include "common/base/arena.h"

#include <stdint.h>

#include "common/base/alloc.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(ptr, len) __asan_poison_memory_region((ptr), (len))
#define UNPOISON(ptr, len) __asan_unpoison_memory_region((ptr), (len))
#else
#define POISON(ptr, len) ((void)(ptr), (void)(len))
#define UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#endif

#define ALIGNMENT ((size_t)16)
#define CHUNK_MIN_BYTES ((size_t)4096)
#define CHUNK_MAX_BYTES ((size_t)65536)

struct nx_arena_chunk {
    struct nx_arena_chunk *next;
    size_t size_bytes; /* with this header */
};
_Static_assert(sizeof(struct nx_arena_chunk) % 16 == 0, "chunk contents keep the alignment");

void nx_arena_init(struct nx_arena *arena, size_t max_bytes)
{
    *arena = (struct nx_arena){.max_bytes = max_bytes};
}

static void chunk_free(struct nx_arena_chunk *chunk)
{
    UNPOISON(chunk, chunk->size_bytes);
    nx_free(chunk);
}

void nx_arena_release(struct nx_arena *arena)
{
    struct nx_arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct nx_arena_chunk *next = chunk->next;
        chunk_free(chunk);
        chunk = next;
    }
    nx_arena_init(arena, arena->max_bytes);
}

static void chunk_open(struct nx_arena *arena, struct nx_arena_chunk *chunk)
{
    arena->next = (char *)(chunk + 1);
    arena->end = (char *)chunk + chunk->size_bytes;
    POISON(arena->next, (size_t)(arena->end - arena->next));
}

void nx_arena_clear(struct nx_arena *arena)
{
    struct nx_arena_chunk *kept = NULL;
    struct nx_arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct nx_arena_chunk *next = chunk->next;
        struct nx_arena_chunk *loser = chunk;
        if (chunk->size_bytes <= CHUNK_MAX_BYTES &&
            (!kept || chunk->size_bytes > kept->size_bytes)) {
            loser = kept;
            kept = chunk;
        }
        if (loser)
            chunk_free(loser);
        chunk = next;
    }
    nx_arena_init(arena, arena->max_bytes);
    if (kept) {
        kept->next = NULL;
        arena->chunks = kept;
        arena->used_bytes = kept->size_bytes;
        chunk_open(arena, kept);
    }
}

static size_t round_up(size_t size_bytes)
{
    return (size_bytes + (ALIGNMENT - 1)) & ~(ALIGNMENT - 1);
}

/* The size of the next ordinary chunk, cut to what the cap leaves where `need` still fits that. */
static size_t chunk_size(const struct nx_arena *arena, size_t need)
{
    size_t size = arena->chunks ? arena->chunks->size_bytes : CHUNK_MIN_BYTES / 2;
    size = size < CHUNK_MAX_BYTES / 2 ? size * 2 : CHUNK_MAX_BYTES;
    if (size < CHUNK_MIN_BYTES)
        size = CHUNK_MIN_BYTES;
    if (arena->max_bytes) {
        size_t left =
            arena->max_bytes > arena->used_bytes ? arena->max_bytes - arena->used_bytes : 0;
        if (size > left)
            size = left;
    }
    return size > need ? size & ~(ALIGNMENT - 1) : need;
}

static struct nx_arena_chunk *chunk_new(struct nx_arena *arena, size_t size_bytes)
{
    if (arena->max_bytes && (arena->used_bytes > arena->max_bytes ||
                             size_bytes > arena->max_bytes - arena->used_bytes)) {
        arena->over = true;
        return NULL;
    }
    struct nx_arena_chunk *chunk = nx_alloc(size_bytes);
    if (!chunk)
        return NULL;
    chunk->size_bytes = size_bytes;
    arena->used_bytes += size_bytes;
    return chunk;
}

static void *alloc_slow(struct nx_arena *arena, size_t size_bytes, size_t rounded)
{
    size_t need = rounded + sizeof(struct nx_arena_chunk);
    if (rounded < size_bytes || need < rounded)
        return NULL;
    bool own = need > CHUNK_MAX_BYTES / 4 && arena->chunks;
    struct nx_arena_chunk *chunk = chunk_new(arena, own ? need : chunk_size(arena, need));
    if (!chunk)
        return NULL;
    if (own) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
        void *out = chunk + 1;
        POISON((char *)out + size_bytes, rounded - size_bytes);
        return out;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    chunk_open(arena, chunk);
    char *out = arena->next;
    arena->next += rounded;
    UNPOISON(out, size_bytes);
    return out;
}

void *nx_arena_alloc(struct nx_arena *arena, size_t size_bytes)
{
    size_t rounded = round_up(size_bytes ? size_bytes : 1);
    if (rounded < size_bytes || rounded > (size_t)(arena->end - arena->next) || !arena->next)
        return alloc_slow(arena, size_bytes, rounded);
    char *out = arena->next;
    arena->next += rounded;
    UNPOISON(out, size_bytes);
    return out;
}

void *nx_arena_array(struct nx_arena *arena, size_t count, size_t size_bytes)
{
    size_t total;
    return __builtin_mul_overflow(count, size_bytes, &total) ? NULL : nx_arena_alloc(arena, total);
}

void *nx_arena_calloc(struct nx_arena *arena, size_t count, size_t size_bytes)
{
    void *out = nx_arena_array(arena, count, size_bytes);
    if (out)
        memset(out, 0, count * size_bytes);
    return out;
}

struct nx_view nx_arena_copy(struct nx_arena *arena, struct nx_view view)
{
    char *copy = view.len == SIZE_MAX ? NULL : nx_arena_alloc(arena, view.len + 1);
    if (!copy)
        return (struct nx_view){.ptr = NULL, .len = 0};
    if (view.len)
        memcpy(copy, view.ptr, view.len);
    copy[view.len] = '\0';
    return (struct nx_view){.ptr = copy, .len = view.len};
}

/* The last allocation of the open chunk grows where it lies. */
static bool grow_in_place(struct nx_arena *arena, char *old, size_t old_bytes, size_t new_bytes)
{
    if (!old || old_bytes == 0 || old + round_up(old_bytes) != arena->next)
        return false;
    size_t extra = round_up(new_bytes) - round_up(old_bytes);
    if (extra > (size_t)(arena->end - arena->next))
        return false;
    arena->next += extra;
    UNPOISON(old, new_bytes);
    return true;
}

bool nx_arena_grow(struct nx_arena *arena, void *array, size_t len, size_t *capacity, size_t need,
                   size_t size_bytes)
{
    if (need <= *capacity)
        return true;
    size_t target = *capacity > SIZE_MAX / 2 ? need : *capacity * 2;
    if (target < need)
        target = need;
    if (target < 8)
        target = 8;
    size_t new_bytes;
    if (__builtin_mul_overflow(target, size_bytes, &new_bytes) || new_bytes > SIZE_MAX / 2)
        return false;
    char *old;
    memcpy(&old, array, sizeof old);
    if (!grow_in_place(arena, old, *capacity * size_bytes, new_bytes)) {
        char *grown = nx_arena_alloc(arena, new_bytes);
        if (!grown)
            return false;
        if (len)
            memcpy(grown, old, len * size_bytes);
        memcpy(array, &grown, sizeof grown);
    }
    *capacity = target;
    return true;
}
