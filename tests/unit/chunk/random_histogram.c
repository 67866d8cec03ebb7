#include "random_histogram.h"

#include <assert.h>

static double random_count(struct nx_rand *rand, bool integer)
{
    double v = (double)(nx_rand_u64(rand) >> (34 + nx_rand_below(rand, 30)));
    return integer ? v : v * nx_rand_unit(rand);
}

static struct nx_span *random_spans(struct nx_rand *rand, struct nx_arena *arena, bool custom,
                                    size_t *spans, size_t *buckets)
{
    *spans = (size_t)nx_rand_below(rand, 4);
    *buckets = 0;
    struct nx_span *out = nx_arena_array(arena, *spans, sizeof *out);
    assert(out);
    for (size_t i = 0; i < *spans; i++) {
        out[i].offset = (int32_t)nx_rand_below(rand, 20);
        if (i == 0 && !custom)
            out[i].offset -= 10;
        out[i].length = (uint32_t)nx_rand_below(rand, 12);
        *buckets += out[i].length;
    }
    return out;
}

static double *random_buckets(struct nx_rand *rand, struct nx_arena *arena, size_t count,
                              bool integer, double *total)
{
    double *out = nx_arena_array(arena, count, sizeof *out);
    assert(out);
    for (size_t i = 0; i < count; i++) {
        out[i] = random_count(rand, integer);
        *total += out[i];
    }
    return out;
}

struct nx_histogram *random_histogram(struct nx_rand *rand, struct nx_arena *arena, bool integer)
{
    struct nx_histogram *h = nx_arena_calloc(arena, 1, sizeof *h);
    assert(h);
    bool custom = nx_rand_below(rand, 4) == 0;
    h->hint = (enum nx_reset_hint)nx_rand_below(rand, 4);
    h->integer = integer;
    h->schema = custom ? NX_HISTOGRAM_CUSTOM_SCHEMA : (int32_t)nx_rand_below(rand, 13) - 4;
    h->sum = nx_rand_unit(rand) * 1000;
    h->positive_spans =
        random_spans(rand, arena, custom, &h->positive_span_count, &h->positive_count);
    h->positive = random_buckets(rand, arena, h->positive_count, integer, &h->count);
    if (custom) {
        h->custom_count = 120;
        h->custom_bounds = nx_arena_array(arena, h->custom_count, sizeof *h->custom_bounds);
        assert(h->custom_bounds);
        for (size_t i = 0; i < h->custom_count; i++)
            h->custom_bounds[i] = (double)i + nx_rand_unit(rand) / 2;
    } else {
        h->zero_threshold = 0.001;
        h->zero_count = random_count(rand, integer);
        h->count += h->zero_count;
        h->negative_spans =
            random_spans(rand, arena, false, &h->negative_span_count, &h->negative_count);
        h->negative = random_buckets(rand, arena, h->negative_count, integer, &h->count);
    }
    return h;
}

struct nx_histogram *grown_histogram(struct nx_rand *rand, struct nx_arena *arena,
                                     const struct nx_histogram *before)
{
    struct nx_histogram *h = nx_histogram_copy(arena, before);
    assert(h);
    h->sum += nx_rand_unit(rand);
    for (size_t i = 0; i < h->positive_count; i++) {
        double more = nx_rand_below(rand, 3) ? 0 : (double)nx_rand_below(rand, 50);
        h->positive[i] += more;
        h->count += more;
    }
    return h;
}
