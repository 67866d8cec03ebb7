/* Influx line protocol: the first line of the input is the query of the URL. */
#include "tests/fuzz/take_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_view lines = nx_view_make(data, size);
    struct nx_view query = fuzz_take_line(&lines);
    fuzz_take_stream(&dist_influx, NX_VIEW(""), NX_VIEW(""), query, lines);
    return 0;
}
