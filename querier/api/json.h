/* A streaming JSON writer. Commas are its own business; it writes into whatever buffer `out` is at
 * the moment, so that a long document can be sent in pieces. Nesting up to 60 levels. */
#ifndef QRY_API_JSON_H
#define QRY_API_JSON_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/labels/labels.h"

struct qry_json {
    struct nx_buf *out;
    uint64_t has_item; /* a bit a level: something stands before in this array or object */
    unsigned depth;
};

void qry_json_init(struct qry_json *json, struct nx_buf *out);
void qry_json_object(struct qry_json *json);
void qry_json_object_end(struct qry_json *json);
void qry_json_array(struct qry_json *json);
void qry_json_array_end(struct qry_json *json);
/* `name` needs no escaping. */
void qry_json_key(struct qry_json *json, const char *name);
void qry_json_key_view(struct qry_json *json, struct nx_view name);
/* With `<`, `>` and `&` escaped, as Go's encoder does; bytes that are not UTF-8 become U+FFFD. */
void qry_json_string(struct qry_json *json, struct nx_view text);
void qry_json_text(struct qry_json *json, const char *text);
/* Without the HTML escapes: label names and values of results. */
void qry_json_label(struct qry_json *json, struct nx_view text);
void qry_json_labels(struct qry_json *json, struct nx_labels labels);
void qry_json_int(struct qry_json *json, int64_t v);
void qry_json_uint(struct qry_json *json, uint64_t v);
void qry_json_double(struct qry_json *json, double v); /* finite */
void qry_json_bool(struct qry_json *json, bool v);
void qry_json_null(struct qry_json *json);
/* Text that is JSON already. */
void qry_json_raw(struct qry_json *json, struct nx_view text);
/* A time in ms as seconds: whole, or with three decimals. */
void qry_json_time(struct qry_json *json, int64_t ms);
/* A sample's value: a string in the API's notation. */
void qry_json_value(struct qry_json *json, double v);

#endif
