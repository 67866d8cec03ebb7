/* The exposition formats in which /federate hands out samples: Prometheus text 0.0.4, OpenMetrics
 * text 1.0 and delimited protobuf (io.prometheus.client.MetricFamily). Pure. */
#ifndef QRY_API_FEDERATE_FORMAT_H
#define QRY_API_FEDERATE_FORMAT_H

#include "common/chunk/sample.h"
#include "common/labels/labels.h"

enum qry_expose_format { QRY_EXPOSE_TEXT, QRY_EXPOSE_OPENMETRICS, QRY_EXPOSE_PROTOBUF };

struct qry_expose {
    enum qry_expose_format format;
    bool utf8; /* names may hold anything, quoted; else what is not legacy becomes '_' */
};

/* The newest sample of a series. The histogram is a copy. */
struct qry_exposed {
    struct nx_view name;
    struct nx_labels labels;
    struct nx_sample sample;
};

/* By the Accept header: the first format it names, with the highest q, that there is. */
struct qry_expose qry_expose_choose(struct nx_view accept);
const char *qry_expose_content_type(struct qry_expose expose);
/* Whether the format has a form for it: only protobuf has one for exponential histograms. */
bool qry_expose_can(struct qry_expose expose, const struct nx_sample *sample);
/* Whether b goes on with a's family. */
bool qry_expose_same_family(const struct qry_exposed *a, const struct qry_exposed *b);
/* Rows of one family, `count` > 0; `first`: the family begins with them. */
void qry_expose_rows(struct qry_expose expose, struct nx_buf *out, const struct qry_exposed *rows,
                     size_t count, bool first);
/* What ends the document. */
void qry_expose_end(struct qry_expose expose, struct nx_buf *out);

#endif
