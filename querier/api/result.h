/* Writes the result of a query as the API's `resultType` and `result`, in pieces (http-api
 * reference, section 1.6). Pure. */
#ifndef QRY_API_RESULT_H
#define QRY_API_RESULT_H

#include "querier/api/json.h"
#include "querier/promql/engine.h"

struct qry_result_writer {
    const struct qry_result *result;
    size_t series_count; /* of the result, after the limit of the request */
    int64_t at_ms;       /* time of the query, for a string */
    size_t series, point;
    enum { QRY_WRITE_HEAD, QRY_WRITE_FLOATS, QRY_WRITE_HISTOGRAMS, QRY_WRITE_END } phase;
    bool started; /* resultType is written */
    bool begun;   /* the list of points is open */
};

void qry_result_writer_init(struct qry_result_writer *writer, const struct qry_result *result,
                            size_t series_count, int64_t at_ms);
/* Writes on, until the end (true) or until the output holds at least piece_bytes. */
bool qry_result_write(struct qry_result_writer *writer, struct qry_json *json, size_t piece_bytes);
/* `{"count":"..","sum":"..","buckets":[[rule,"lower","upper","count"],..]}` */
void qry_json_histogram(struct qry_json *json, const struct nx_histogram *h);

#endif
