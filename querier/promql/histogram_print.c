/* The text form of a histogram, as count_values and error texts show it. Bounds are those of the
 * layout, not cut at the zero bucket. */
#include "common/cxx/number_shim.h"
#include "querier/promql/histogram_internal.h"

static void put_number(struct nx_buf *out, double v)
{
    char text[NX_FLOAT_MAX];
    nx_buf_append(out, text, nx_float_format_g(v, text));
}

static void put_bucket(struct nx_buf *out, const struct qry_bucket *b)
{
    nx_buf_append_str(out, b->lower_inclusive ? ", [" : ", (");
    put_number(out, b->lower);
    nx_buf_append_char(out, ',');
    put_number(out, b->upper);
    nx_buf_append_str(out, b->upper_inclusive ? "]:" : "):");
    put_number(out, b->count);
}

void qry_histogram_print(struct nx_buf *out, const struct nx_histogram *h)
{
    nx_buf_append_str(out, "{count:");
    put_number(out, h->count);
    nx_buf_append_str(out, ", sum:");
    put_number(out, h->sum);

    struct nx_histogram uncut = *h;
    uncut.zero_threshold = 0;
    struct qry_bucket_iter it;
    struct qry_bucket b;
    qry_bucket_iter_init(&it, &uncut, false);
    while (qry_bucket_next(&it, &b)) {
        if (b.lower_inclusive && b.upper_inclusive && !qry_histogram_is_custom(h)) {
            b.lower = -h->zero_threshold;
            b.upper = h->zero_threshold;
        }
        put_bucket(out, &b);
    }
    nx_buf_append_char(out, '}');
}
