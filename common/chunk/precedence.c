/* Which of two samples with the same time wins. The order is total on the bits, so that every node,
 * whatever the order in which it meets the copies, keeps the same one. */
#include "common/chunk/merge.h"
#include "common/chunk/merge_internal.h"

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_bits(double a, double b)
{
    return compare_u64(nx_double_bits(a), nx_double_bits(b));
}

static int compare_doubles(const double *a, size_t a_count, const double *b, size_t b_count)
{
    int order = compare_u64(a_count, b_count);
    for (size_t i = 0; order == 0 && i < a_count; i++)
        order = compare_bits(a[i], b[i]);
    return order;
}

static int compare_spans(const struct nx_span *a, size_t a_count, const struct nx_span *b,
                         size_t b_count)
{
    int order = compare_u64(a_count, b_count);
    for (size_t i = 0; order == 0 && i < a_count; i++) {
        order = (a[i].offset > b[i].offset) - (a[i].offset < b[i].offset);
        if (order == 0)
            order = compare_u64(a[i].length, b[i].length);
    }
    return order;
}

static int compare_histograms(const struct nx_histogram *a, const struct nx_histogram *b)
{
    int order = compare_bits(a->count, b->count);
    if (order == 0)
        order = compare_bits(a->sum, b->sum);
    if (order == 0)
        order = (a->schema > b->schema) - (a->schema < b->schema);
    if (order == 0)
        order = compare_bits(a->zero_threshold, b->zero_threshold);
    if (order == 0)
        order = compare_bits(a->zero_count, b->zero_count);
    if (order == 0)
        order = compare_spans(a->positive_spans, a->positive_span_count, b->positive_spans,
                              b->positive_span_count);
    if (order == 0)
        order = compare_spans(a->negative_spans, a->negative_span_count, b->negative_spans,
                              b->negative_span_count);
    if (order == 0)
        order =
            compare_doubles(a->custom_bounds, a->custom_count, b->custom_bounds, b->custom_count);
    if (order == 0)
        order = compare_doubles(a->positive, a->positive_count, b->positive, b->positive_count);
    if (order == 0)
        order = compare_doubles(a->negative, a->negative_count, b->negative, b->negative_count);
    return order != 0 ? order : a->integer - b->integer;
}

static bool is_stale(const struct nx_sample *s)
{
    return s->histogram ? nx_histogram_is_stale(s->histogram) : nx_is_stale(s->value);
}

int nx_sample_compare_data(const struct nx_sample *a, const struct nx_sample *b)
{
    if (!a->histogram && !b->histogram && nx_double_bits(a->value) == nx_double_bits(b->value))
        return 0;
    int order = is_stale(b) - is_stale(a);
    if (order == 0)
        order = (a->histogram != NULL) - (b->histogram != NULL);
    if (order != 0)
        return order;
    return a->histogram ? compare_histograms(a->histogram, b->histogram)
                        : compare_bits(a->value, b->value);
}

int nx_sample_precedence(const struct nx_sample *a, const struct nx_sample *b)
{
    int order = nx_sample_compare_data(a, b);
    if (order == 0 && a->histogram)
        order =
            (a->histogram->hint > b->histogram->hint) - (a->histogram->hint < b->histogram->hint);
    return order;
}
