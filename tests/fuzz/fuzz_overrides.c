/* The file of tenants and their limits, as YAML. What is accepted can be put in force and asked. */
#include <stdlib.h>
#include <string.h>

#include "common/config/overrides.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_overrides_draft *draft = NULL;
    struct nx_overrides *overrides = NULL;
    struct nx_fail fail = {.code = NX_OK, .text = ""};
    enum nx_err err = nx_overrides_read_text("fuzz.yml", nx_view_make(data, size), &draft, &fail);
    if (err == NX_ERR_CONFIG && strncmp(nx_fail_text(&fail), "fuzz.yml", 8) != 0)
        abort(); /* every fault says where it is */
    if (err)
        return 0;
    if (nx_overrides_new(&overrides)) {
        nx_overrides_draft_free(draft);
        return 0;
    }
    nx_overrides_take(overrides, draft);
    struct nx_tenant_limits limits;
    nx_overrides_get(overrides, NX_VIEW("team-a"), &limits);
    if (limits.max_series < -1 || limits.ingestion_rate < -1)
        abort();
    nx_tenant_rules_release(nx_overrides_rules(overrides, NX_VIEW("team-a")));
    nx_overrides_free(overrides);
    return 0;
}
