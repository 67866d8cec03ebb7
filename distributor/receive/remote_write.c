/* Remote write: which of the two messages a request carries, by its headers. No Content-Type, or
 * one without `proto=`, means 1.0; no Content-Encoding means snappy. */
#include "distributor/receive/remote_write_v1.h"
#include "distributor/receive/remote_write_v2.h"
#include "distributor/receive/stream.h"

static enum nx_err decode_v1(const struct dist_intake *intake, struct dist_batch *batch,
                             struct nx_fail *fail)
{
    return dist_rw1_decode(intake->message, intake->limits, batch, fail);
}

static enum nx_err decode_v2(const struct dist_intake *intake, struct dist_batch *batch,
                             struct nx_fail *fail)
{
    return dist_rw2_decode(intake->message, intake->limits, batch, fail);
}

static enum nx_err choose_message(struct nx_view content_type, struct dist_form *form,
                                  struct nx_fail *fail)
{
    struct nx_view media = dist_header_media(content_type), proto;
    form->decode = decode_v1;
    if (media.len == 0)
        return NX_OK;
    if (!nx_view_eq_nocase(media, NX_VIEW("application/x-protobuf")))
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED,
                           "Content-Type is \"%.*s\"; expected application/x-protobuf",
                           NX_VIEW_ARG(dist_header_shown(content_type)));
    enum nx_err err = dist_header_parameter(content_type, "proto", &proto, fail);
    if (err || !proto.ptr || nx_view_is(proto, "prometheus.WriteRequest"))
        return err;
    if (!nx_view_is(proto, "io.prometheus.write.v2.Request"))
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED,
                           "unknown message \"%.*s\" in Content-Type; accepted are "
                           "prometheus.WriteRequest and io.prometheus.write.v2.Request",
                           NX_VIEW_ARG(dist_header_shown(proto)));
    form->decode = decode_v2;
    form->tells_written = true;
    return NX_OK;
}

static enum nx_err negotiate(const struct dist_headers *headers, struct dist_form *form,
                             struct nx_fail *fail)
{
    enum nx_err err = choose_message(headers->content_type, form, fail);
    if (err)
        return err;
    unsigned allowed = 1u << DIST_ENCODING_SNAPPY | 1u << DIST_ENCODING_ZSTD;
    return dist_header_encoding(headers->content_encoding, allowed, DIST_ENCODING_SNAPPY,
                                &form->encoding, fail);
}

const struct dist_stream dist_remote_write = {
    .success = 204, .remote_write = true, .negotiate = negotiate};
