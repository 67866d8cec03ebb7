/* The text formats: the first byte of the input chooses, the rest is the text. */
#include "tests/fuzz/take_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    fuzz_take_stream(&dist_text_import,
                     data[0] & 1 ? NX_VIEW("application/openmetrics-text") : NX_VIEW("text/plain"),
                     NX_VIEW(""), NX_VIEW(""), nx_view_make(data + 1, size - 1));
    return 0;
}
