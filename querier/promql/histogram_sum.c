/* A compensated sum, which for a mean turns into an incremental mean when the next addition would
 * overflow. Trying that addition needs copies, so it is tried only where a field is large enough to
 * overflow at all. */
#include "querier/promql/histogram_sum.h"

#include <float.h>
#include <math.h>

static void multiply(struct nx_histogram *h, double factor, bool divide)
{
    double *fields[] = {&h->zero_count, &h->count, &h->sum};
    double *sides[] = {h->positive, h->negative};
    size_t counts[] = {h->positive_count, h->negative_count};

    for (size_t i = 0; i < 3; i++)
        *fields[i] = divide ? *fields[i] / factor : *fields[i] * factor;
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < counts[s]; i++)
            sides[s][i] = divide ? sides[s][i] / factor : sides[s][i] * factor;
    }
}

static double largest(const struct nx_histogram *h)
{
    double max = fmax(fabs(h->zero_count), fmax(fabs(h->count), fabs(h->sum)));
    for (size_t i = 0; i < h->positive_count; i++)
        max = fmax(max, fabs(h->positive[i]));
    for (size_t i = 0; i < h->negative_count; i++)
        max = fmax(max, fabs(h->negative[i]));
    return max;
}

static enum nx_err add(struct qry_histogram_sum *sum, struct nx_arena *arena,
                       struct nx_histogram **into, struct nx_histogram **comp,
                       const struct nx_histogram *h)
{
    struct qry_histogram_notes notes = {0};
    enum nx_err err = qry_histogram_kahan_add(arena, into, comp, h, &notes);
    sum->bounds_reconciled = sum->bounds_reconciled || notes.bounds_reconciled;
    return err;
}

/* Adds to the plain sum unless that overflows; *done tells. */
static enum nx_err add_unless_overflow(struct qry_histogram_sum *sum, struct nx_arena *arena,
                                       const struct nx_histogram *h, bool *done)
{
    *done = true;
    if (largest(sum->sum) < DBL_MAX / 8 && largest(h) < DBL_MAX / 8)
        return add(sum, arena, &sum->sum, &sum->comp, h);

    struct nx_histogram *trial = nx_histogram_copy(arena, sum->sum);
    struct nx_histogram *trial_comp = sum->comp ? nx_histogram_copy(arena, sum->comp) : NULL;
    if (!trial || (sum->comp && !trial_comp))
        return NX_ERR_NOMEM;
    enum nx_err err = add(sum, arena, &trial, &trial_comp, h);
    if (err)
        return err;
    if (qry_histogram_overflows(trial)) {
        *done = false;
        return NX_OK;
    }
    sum->sum = trial;
    sum->comp = trial_comp;
    return NX_OK;
}

static enum nx_err add_to_mean(struct qry_histogram_sum *sum, struct nx_arena *arena,
                               const struct nx_histogram *h)
{
    if (!sum->incremental) {
        bool done;
        enum nx_err err = add_unless_overflow(sum, arena, h, &done);
        if (err || done)
            return err;
        sum->incremental = true;
        multiply(sum->sum, sum->count - 1, true);
        if (sum->comp)
            multiply(sum->comp, sum->count - 1, true);
    }
    struct nx_histogram *part = nx_histogram_copy(arena, h);
    if (!part)
        return NX_ERR_NOMEM;
    multiply(part, sum->count, true);
    double q = (sum->count - 1) / sum->count;
    multiply(sum->sum, q, false);
    if (sum->comp)
        multiply(sum->comp, q, false);
    return add(sum, arena, &sum->sum, &sum->comp, part);
}

enum nx_err qry_histogram_sum_add(struct qry_histogram_sum *sum, struct nx_arena *arena,
                                  const struct nx_histogram *h, bool mean)
{
    sum->seen_reset = sum->seen_reset || h->hint == NX_HINT_RESET;
    sum->seen_not_reset = sum->seen_not_reset || h->hint == NX_HINT_NOT_RESET;
    sum->count++;
    if (mean && sum->sum)
        return add_to_mean(sum, arena, h);
    return add(sum, arena, &sum->sum, &sum->comp, h);
}

void qry_histogram_sum_note(const struct qry_histogram_sum *sum, struct qry_eval *ev,
                            struct qry_pos pos)
{
    struct qry_note_args args = {.a = NX_VIEW("aggregation")};
    if (sum->seen_reset && sum->seen_not_reset)
        qry_annotations_add(&ev->notes, QRY_NOTE_HINT_COLLISION, pos, &args);
    if (sum->bounds_reconciled)
        qry_annotations_add(&ev->notes, QRY_NOTE_BOUNDS_RECONCILED, pos, &args);
}

struct nx_histogram *qry_histogram_sum_result(struct qry_histogram_sum *sum, struct nx_arena *arena,
                                              bool mean)
{
    if (mean && !sum->incremental) {
        multiply(sum->sum, sum->count, true);
        if (sum->comp)
            multiply(sum->comp, sum->count, true);
    }
    return qry_histogram_kahan_result(arena, sum->sum, sum->comp);
}
