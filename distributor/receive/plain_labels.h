/* Labels of formats that parse them at once: raw_labels is an array of struct nx_label. */
#ifndef DIST_RECEIVE_PLAIN_LABELS_H
#define DIST_RECEIVE_PLAIN_LABELS_H

#include "distributor/batch.h"

extern const struct dist_label_format dist_plain_format;

/* The array, which must live as long as the batch, as raw_labels. */
static inline struct nx_view dist_plain_labels(const struct nx_label *labels, size_t count)
{
    return nx_view_make(labels, count * sizeof *labels);
}

#endif
