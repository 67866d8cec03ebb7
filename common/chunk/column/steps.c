#include "common/chunk/column/steps.h"

#include "common/chunk/column/vectors.h"

static void fill_from(uint64_t first, uint64_t step, uint64_t *out, size_t begin, size_t count)
{
    for (size_t i = begin; i < count; i++)
        out[i] = first + i * step;
}

static bool ascends_from(const int64_t *values, size_t begin, size_t count)
{
    bool good = true;
    for (size_t i = begin; i < count; i++)
        good &= values[i] > values[i - 1];
    return good;
}

#if defined(__x86_64__)
#include <immintrin.h>

enum { LANES = 4 };

__attribute__((target("avx2"))) static void fill_avx2(uint64_t first, uint64_t step, uint64_t *out,
                                                      size_t count, size_t room)
{
    const uint64_t rise = step * LANES;
    const __m256i rises = _mm256_set1_epi64x((long long)rise);
    const uint64_t begin[LANES] = {first, first + step, first + step * 2, first + step * 3};
    const void *from = begin;
    __m256i row = _mm256_loadu_si256(from);
    size_t i = 0;
    for (; i < count && i + LANES <= room; i += LANES) {
        void *at = out + i;
        _mm256_storeu_si256(at, row);
        row = _mm256_add_epi64(row, rises);
    }
    fill_from(first, step, out, i, count);
}

__attribute__((target("avx2"))) static bool ascends_avx2(const int64_t *values, size_t count)
{
    __m256i good = _mm256_set1_epi64x(-1);
    size_t i = 1;
    for (; i + LANES <= count; i += LANES) {
        const void *at = values + i;
        const void *before = values + i - 1;
        good = _mm256_and_si256(
            good, _mm256_cmpgt_epi64(_mm256_loadu_si256(at), _mm256_loadu_si256(before)));
    }
    return _mm256_movemask_epi8(good) == -1 && ascends_from(values, i, count);
}
#endif

void nx_steps_fill(uint64_t first, uint64_t step, uint64_t *out, size_t count, size_t room)
{
#if defined(__x86_64__)
    if (nx_column_has_vectors()) {
        fill_avx2(first, step, out, count, room);
        return;
    }
#endif
    (void)room;
    fill_from(first, step, out, 0, count);
}

bool nx_steps_ascend(const int64_t *values, size_t count)
{
#if defined(__x86_64__)
    if (nx_column_has_vectors())
        return ascends_avx2(values, count);
#endif
    return ascends_from(values, 1, count);
}
