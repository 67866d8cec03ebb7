/* The envelope of every answer, and the headers of cross-origin requests (http-api reference,
 * sections 1.2, 1.5). */
#include <stdio.h>
#include <string.h>

#include "common/cxx/re2_shim.h"
#include "querier/api/job.h"

#define MAX_ANNOTATIONS 10

const char *qry_api_error_text(enum qry_api_error error)
{
    switch (error) {
#define X(name, text, http) \
    case QRY_API_##name:    \
        return text;
        QRY_API_ERROR_TABLE(X)
#undef X
    }
    return "internal";
}

int qry_api_error_status(enum qry_api_error error)
{
    switch (error) {
#define X(name, text, http) \
    case QRY_API_##name:    \
        return http;
        QRY_API_ERROR_TABLE(X)
#undef X
    }
    return 500;
}

void qry_respond_headers(struct querier *qry, struct nx_http_request *req)
{
    const char *pattern = qry->deps.settings->cors_origin;
    struct nx_view origin = nx_http_request_header(req, "Origin");
    nx_http_response_header(req, "Vary", "Origin");
    if (!origin.ptr || origin.len == 0)
        return;
    nx_http_response_header(req, "Access-Control-Allow-Headers",
                            "Accept, Authorization, Content-Type, Origin");
    nx_http_response_header(req, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    nx_http_response_header(req, "Access-Control-Expose-Headers", "Date");
    if (strcmp(pattern, ".*") == 0) {
        nx_http_response_header(req, "Access-Control-Allow-Origin", "*");
    } else if (nx_regex_matches(qry->cors_origin, origin)) {
        struct nx_view text = nx_arena_copy(nx_http_request_arena(req), origin);
        if (text.ptr)
            nx_http_response_header(req, "Access-Control-Allow-Origin", text.ptr);
    }
}

void qry_envelope_begin(struct qry_job *op)
{
    qry_json_object(&op->json);
    qry_json_key(&op->json, "status");
    qry_json_text(&op->json, "success");
    qry_json_key(&op->json, "data");
}

struct notes {
    struct qry_json *json;
    const char *kind;
    size_t count;
};

static void put_note(struct notes *notes, const char *key, struct nx_view text)
{
    if (notes->count++ == 0) {
        qry_json_key(notes->json, key);
        qry_json_array(notes->json);
    }
    if (notes->count <= MAX_ANNOTATIONS)
        qry_json_string(notes->json, text);
}

static void end_notes(struct notes *notes)
{
    if (notes->count == 0)
        return;
    if (notes->count > MAX_ANNOTATIONS) {
        char text[80];
        (void)snprintf(text, sizeof text, "%zu more %s annotations omitted",
                       notes->count - MAX_ANNOTATIONS, notes->kind);
        qry_json_text(notes->json, text);
    }
    qry_json_array_end(notes->json);
}

static void put_annotations(struct qry_job *op, bool warning)
{
    struct notes notes = {.json = &op->json, .kind = warning ? "warning" : "info"};
    const char *key = warning ? "warnings" : "infos";
    const struct qry_result *result = op->annotated;
    for (size_t i = 0; result && i < result->annotation_count; i++)
        if (result->annotations[i].warning == warning)
            put_note(&notes, key, result->annotations[i].text);
    for (size_t i = 0; warning && i < op->warning_count; i++)
        put_note(&notes, key, op->warnings[i]);
    end_notes(&notes);
}

void qry_envelope_end(struct qry_job *op)
{
    put_annotations(op, true);
    put_annotations(op, false);
    qry_json_object_end(&op->json);
}

void qry_envelope_error(struct qry_job *op, struct nx_buf *out)
{
    struct qry_json json;
    qry_json_init(&json, out);
    qry_json_object(&json);
    qry_json_key(&json, "status");
    qry_json_text(&json, "error");
    qry_json_key(&json, "errorType");
    qry_json_text(&json, qry_api_error_text(op->error));
    qry_json_key(&json, "error");
    qry_json_text(&json, op->error_text);
    qry_json_object_end(&json);
}
