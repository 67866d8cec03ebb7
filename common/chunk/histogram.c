/* Validation follows Prometheus's model/histogram (Histogram.Validate and FloatHistogram.Validate),
 * with its texts. What Prometheus leaves to its memory and its integers is refused here in its
 * style: too many buckets, and bucket indexes with which arithmetic could overflow. */
#include "common/chunk/histogram.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/chunk/sample.h"
#include "common/cxx/number_shim.h"

enum { INDEX_MAX = 1 << 30 };
static const double EXACT_INTEGERS_END = 9007199254740992.0; /* 2^53 */

/* --- copies --- */

static bool copy_array(struct nx_arena *arena, void *to, const void *from, size_t count,
                       size_t size_bytes)
{
    if (count == 0)
        return true;
    void *copy = nx_arena_array(arena, count, size_bytes);
    if (!copy)
        return false;
    memcpy(copy, from, count * size_bytes);
    memcpy(to, &copy, sizeof copy);
    return true;
}

struct nx_histogram *nx_histogram_copy(struct nx_arena *arena, const struct nx_histogram *h)
{
    struct nx_histogram *out = nx_arena_alloc(arena, sizeof *out);
    if (!out)
        return NULL;
    *out = *h;
    out->positive_spans = NULL;
    out->negative_spans = NULL;
    out->positive = NULL;
    out->negative = NULL;
    out->custom_bounds = NULL;
    if (!copy_array(arena, &out->positive_spans, h->positive_spans, h->positive_span_count,
                    sizeof *h->positive_spans) ||
        !copy_array(arena, &out->negative_spans, h->negative_spans, h->negative_span_count,
                    sizeof *h->negative_spans) ||
        !copy_array(arena, &out->positive, h->positive, h->positive_count, sizeof *h->positive) ||
        !copy_array(arena, &out->negative, h->negative, h->negative_count, sizeof *h->negative) ||
        !copy_array(arena, &out->custom_bounds, h->custom_bounds, h->custom_count,
                    sizeof *h->custom_bounds))
        return NULL;
    return out;
}

/* --- comparison --- */

bool nx_histogram_is_stale(const struct nx_histogram *h)
{
    return nx_is_stale(h->sum);
}

static bool same_bits(double a, double b)
{
    return nx_double_bits(a) == nx_double_bits(b);
}

static bool same_array(const void *a, size_t a_count, const void *b, size_t b_count,
                       size_t size_bytes)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * size_bytes) == 0);
}

bool nx_histogram_same_layout(const struct nx_histogram *a, const struct nx_histogram *b)
{
    return a->schema == b->schema && same_bits(a->zero_threshold, b->zero_threshold) &&
           same_array(a->positive_spans, a->positive_span_count, b->positive_spans,
                      b->positive_span_count, sizeof *a->positive_spans) &&
           same_array(a->negative_spans, a->negative_span_count, b->negative_spans,
                      b->negative_span_count, sizeof *a->negative_spans) &&
           same_array(a->custom_bounds, a->custom_count, b->custom_bounds, b->custom_count,
                      sizeof *a->custom_bounds);
}

bool nx_histogram_identical(const struct nx_histogram *a, const struct nx_histogram *b)
{
    return a->hint == b->hint && a->integer == b->integer &&
           same_bits(a->zero_count, b->zero_count) && same_bits(a->count, b->count) &&
           same_bits(a->sum, b->sum) && nx_histogram_same_layout(a, b) &&
           same_array(a->positive, a->positive_count, b->positive, b->positive_count,
                      sizeof *a->positive) &&
           same_array(a->negative, a->negative_count, b->negative, b->negative_count,
                      sizeof *a->negative);
}

/* --- validation --- */

static bool sound_side(const struct nx_span *spans, size_t span_count, size_t bucket_count)
{
    if (span_count > NX_HISTOGRAM_MAX_BUCKETS || bucket_count > NX_HISTOGRAM_MAX_BUCKETS)
        return false;
    uint64_t buckets = 0;
    int64_t index = 0;
    for (size_t i = 0; i < span_count; i++) {
        if (i > 0 && spans[i].offset < 0)
            return false;
        index += spans[i].offset;
        if (index < -INDEX_MAX)
            return false;
        index += spans[i].length;
        if (index > INDEX_MAX)
            return false;
        buckets += spans[i].length;
    }
    return buckets == bucket_count;
}

bool nx_histogram_is_sound(const struct nx_histogram *h)
{
    if (!sound_side(h->positive_spans, h->positive_span_count, h->positive_count) ||
        !sound_side(h->negative_spans, h->negative_span_count, h->negative_count))
        return false;
    if (h->schema != NX_HISTOGRAM_CUSTOM_SCHEMA)
        return h->schema >= -4 && h->schema <= 8 && h->custom_count == 0;
    uint64_t reach = 0;
    for (size_t i = 0; i < h->positive_span_count; i++) {
        if (h->positive_spans[i].offset < 0)
            return false;
        reach += (uint64_t)h->positive_spans[i].offset + h->positive_spans[i].length;
    }
    return h->custom_count <= NX_HISTOGRAM_MAX_BUCKETS && reach <= h->custom_count + 1 &&
           h->negative_count == 0;
}

#define INVALID(...) nx_fail_set(fail, NX_ERR_INVALID, __VA_ARGS__)

static enum nx_err check_schema(const struct nx_histogram *h, struct nx_fail *fail)
{
    if (h->schema == NX_HISTOGRAM_CUSTOM_SCHEMA || (h->schema >= -4 && h->schema <= 8))
        return NX_OK;
    if (h->schema < -9 || h->schema > 52)
        return INVALID(
            "histogram has an unknown schema, which must be between -9 and 52 for exponential "
            "buckets, or -53 for custom buckets, got schema %" PRId32,
            h->schema);
    return INVALID(
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, "
        "or -53 for custom buckets, got schema %" PRId32,
        h->schema);
}

/* `side` goes in front of the texts; a custom histogram's first offset may not be negative either.
 */
static enum nx_err check_spans(const char *side, const struct nx_span *spans, size_t span_count,
                               size_t bucket_count, bool custom, struct nx_fail *fail)
{
    uint64_t buckets = 0;
    for (size_t i = 0; i < span_count; i++) {
        if ((i > 0 || custom) && spans[i].offset < 0)
            return INVALID("%s: span number %zu with offset %" PRId32
                           ": histogram has a span whose offset is negative",
                           side, i + 1, spans[i].offset);
        buckets += spans[i].length;
    }
    if (buckets != bucket_count)
        return INVALID("%s: spans need %" PRIu64
                       " buckets, have %zu buckets: histogram spans specify different "
                       "number of buckets than provided",
                       side, buckets, bucket_count);
    return NX_OK;
}

static enum nx_err check_buckets(const char *side, const double *buckets, size_t count,
                                 double *total, struct nx_fail *fail)
{
    for (size_t i = 0; i < count; i++) {
        if (buckets[i] < 0) {
            char text[NX_FLOAT_MAX];
            nx_float_format_g(buckets[i], text);
            return INVALID(
                "%s: bucket number %zu has observation count of %s: histogram has a bucket whose "
                "observation count is negative",
                side, i + 1, text);
        }
        *total += buckets[i];
    }
    return NX_OK;
}

static enum nx_err check_custom_bounds(const struct nx_histogram *h, struct nx_fail *fail)
{
    double before = -(double)INFINITY;
    for (size_t i = 0; i < h->custom_count; i++) {
        double bound = h->custom_bounds[i];
        if (isnan(bound))
            return INVALID("custom buckets: histogram custom bounds must not be NaN");
        if (i > 0 && bound <= before)
            return INVALID("custom buckets: previous bound is %f and current is %f: histogram "
                           "custom bounds must "
                           "be in strictly increasing order",
                           before, bound);
        before = bound;
    }
    if (isinf(before) && before > 0)
        return INVALID("custom buckets: last +Inf bound must not be explicitly defined: histogram "
                       "custom bounds "
                       "must be finite");
    return NX_OK;
}

static enum nx_err check_custom(const struct nx_histogram *h, struct nx_fail *fail)
{
    enum nx_err err = check_custom_bounds(h, fail);
    if (err == NX_OK)
        err = check_spans("custom buckets", h->positive_spans, h->positive_span_count,
                          h->positive_count, true, fail);
    if (err != NX_OK)
        return err;
    uint64_t reach = 0;
    for (size_t i = 0; i < h->positive_span_count; i++)
        reach += (uint64_t)h->positive_spans[i].offset + h->positive_spans[i].length;
    if (h->custom_count + 1 < reach)
        return INVALID("custom buckets: only %zu custom bounds defined which is insufficient to "
                       "cover total span "
                       "length of %" PRIu64 ": histogram custom bounds are too few",
                       h->custom_count, reach);
    if (h->zero_count != 0)
        return INVALID("custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return INVALID("custom buckets: must have zero threshold of 0");
    if (h->negative_span_count > 0)
        return INVALID("custom buckets: must not have negative spans");
    if (h->negative_count > 0)
        return INVALID("custom buckets: must not have negative buckets");
    return NX_OK;
}

static enum nx_err check_exponential(const struct nx_histogram *h, struct nx_fail *fail)
{
    enum nx_err err = check_spans("positive side", h->positive_spans, h->positive_span_count,
                                  h->positive_count, false, fail);
    if (err == NX_OK)
        err = check_spans("negative side", h->negative_spans, h->negative_span_count,
                          h->negative_count, false, fail);
    if (err == NX_OK && h->custom_count > 0)
        err = INVALID("histogram with exponential schema must not have custom bounds");
    return err;
}

/* An integer histogram's count is compared with its buckets as long as doubles count exactly. */
static enum nx_err check_count(const struct nx_histogram *h, double found, struct nx_fail *fail)
{
    if (h->count < 0)
        return INVALID("histogram's observation count is negative");
    if (h->zero_count < 0)
        return INVALID("histogram's zero bucket observation count is negative");
    if (!h->integer || nx_histogram_is_stale(h) || found >= EXACT_INTEGERS_END ||
        h->count >= EXACT_INTEGERS_END)
        return NX_OK;
    if (isnan(h->sum) && found > h->count)
        return INVALID("%.0f observations found in buckets, but the Count field is %.0f: "
                       "histogram's observation "
                       "count should be at least the number of observations found in the buckets",
                       found, h->count);
    if (!isnan(h->sum) && found != h->count)
        return INVALID("%.0f observations found in buckets, but the Count field is %.0f: "
                       "histogram's observation "
                       "count should equal the number of observations found in the buckets (in "
                       "absence of NaN)",
                       found, h->count);
    return NX_OK;
}

static enum nx_err check_layout(const struct nx_histogram *h, struct nx_fail *fail)
{
    enum nx_err err = check_schema(h, fail);
    if (err == NX_OK)
        err = h->schema == NX_HISTOGRAM_CUSTOM_SCHEMA ? check_custom(h, fail)
                                                      : check_exponential(h, fail);
    if (err == NX_OK && !nx_histogram_is_sound(h))
        err = INVALID("histogram has more than %u buckets or a bucket index beyond %d",
                      NX_HISTOGRAM_MAX_BUCKETS, INDEX_MAX);
    return err;
}

enum nx_err nx_histogram_validate(const struct nx_histogram *h, struct nx_fail *fail)
{
    double found = h->zero_count;
    enum nx_err err = check_layout(h, fail);
    if (err == NX_OK)
        err = check_buckets("negative side", h->negative, h->negative_count, &found, fail);
    if (err == NX_OK)
        err = check_buckets("positive side", h->positive, h->positive_count, &found, fail);
    return err == NX_OK ? check_count(h, found, fail) : err;
}
