/* Text as it is pushed or imported: the first byte of the input chooses the path and the media
 * type, then come a line with the rest of the path, one with the query of the URL, and the text. */
#include "tests/fuzz/take_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dist_stream *const streams[] = {&dist_text_push, &dist_text_push_base64,
                                                        &dist_text_import};
    if (size == 0)
        return 0;
    struct nx_view rest = nx_view_make(data + 1, size - 1);
    struct nx_view path = fuzz_take_line(&rest);
    struct nx_view query = fuzz_take_line(&rest);
    struct nx_view type =
        data[0] & 1 ? NX_VIEW("application/openmetrics-text; version=1.0.0") : NX_VIEW("");
    fuzz_take_stream(streams[data[0] / 2 % 3], type, path, query, rest);
    return 0;
}
