#include "distributor/refusals.h"

void dist_refusals_add(struct dist_refusals *refusals, enum dist_reason reason, uint64_t samples,
                       const struct nx_fail *why, struct nx_labels labels)
{
    refusals->samples += samples;
    refusals->by_reason[reason] += samples ? samples : 1;
    if (refusals->first.code != NX_OK)
        return;
    struct nx_buf series;
    nx_buf_init(&series, DIST_SHOWN_SERIES_BYTES + 8);
    if (labels.count > 0)
        dist_print_series(&series, labels, DIST_SHOWN_SERIES_BYTES);
    enum nx_err code = why->code ? why->code : NX_ERR_INVALID;
    if (series.len > 0)
        (void)nx_fail_set(&refusals->first, code, "%.*s, series: %.*s", 240, nx_fail_text(why),
                          (int)series.len, series.data);
    else
        (void)nx_fail_set(&refusals->first, code, "%s", nx_fail_text(why));
    nx_buf_release(&series);
}

enum dist_reason dist_reason_of(enum nx_err code)
{
    static const struct {
        enum nx_err code;
        enum dist_reason reason;
    } table[] = {
        {NX_ERR_OUT_OF_ORDER, DIST_REASON_OUT_OF_ORDER},
        {NX_ERR_TOO_OLD, DIST_REASON_TOO_OLD},
        {NX_ERR_CONFLICT, DIST_REASON_CONFLICT},
        {NX_ERR_OUT_OF_BOUNDS, DIST_REASON_TIMESTAMP_INVALID},
        {NX_ERR_LIMIT, DIST_REASON_LIMIT},
        {NX_ERR_RATE_LIMITED, DIST_REASON_LIMIT},
        {NX_ERR_UNKNOWN_SERIES, DIST_REASON_EXEMPLAR_INVALID},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].code == code)
            return table[i].reason;
    }
    return DIST_REASON_OTHER;
}
