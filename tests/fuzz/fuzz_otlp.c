/* OTLP requests. */
#include "tests/fuzz/take_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_take_stream(&dist_otlp_metrics, NX_VIEW(""), NX_VIEW(""), NX_VIEW(""),
                     nx_view_make(data, size));
    return 0;
}
