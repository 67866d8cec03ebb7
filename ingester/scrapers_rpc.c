/* What distributors that scrape ask: who else does. */
#include "ingester/ask.h"
#include "ingester/scrapers.h"

#define MAX_TIMEOUT_MS 3600000

void ing_scrapers_handle(struct nx_rpc_request *req, void *user)
{
    struct ingester *ing = user;
    struct ing_pb pb;
    struct nx_buf addresses;
    if (!ing_admit(ing, req))
        return;
    ing_pb_init(&pb);
    nx_buf_init(&addresses, ING_SCRAPERS_MAX * ING_SCRAPER_ADDRESS_BYTES + 1);
    struct nx_view body = nx_rpc_request_body(req);
    const Narthex__ScrapersRequest *request =
        narthex__scrapers_request__unpack(&pb.allocator, body.len, (const uint8_t *)body.ptr);
    enum nx_err err = NX_ERR_INVALID;
    if (request && request->timeout_ms <= MAX_TIMEOUT_MS)
        err = ing_scrapers_heard(ing->scrapers, nx_view_of(request->address), request->config,
                                 nx_now_ns(ing->deps.clock),
                                 request->timeout_ms * UINT64_C(1000000), &addresses);
    nx_buf_append_char(&addresses, '\0');
    if (err == NX_OK)
        err = nx_buf_err(&addresses);
    if (err == NX_OK) {
        Narthex__ScrapersResponse response = NARTHEX__SCRAPERS_RESPONSE__INIT;
        response.addresses = addresses.data;
        ing_pb_reply(req, &response.base);
    } else {
        nx_rpc_reply_error(req, err, nx_err_text(err));
    }
    nx_buf_release(&addresses);
    ing_pb_release(&pb);
    ing_leave(ing);
}
