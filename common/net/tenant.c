#include "common/net/tenant.h"

static bool allowed(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!-_.*'()", c) != NULL;
}

enum nx_err nx_tenant_of(bool multitenancy, struct nx_view header, struct nx_view *tenant,
                         struct nx_fail *fail)
{
    if (!multitenancy) {
        *tenant = NX_VIEW("anonymous");
        return NX_OK;
    }
    struct nx_view id = header.ptr ? nx_view_trim(header) : NX_VIEW("");
    if (id.len == 0)
        return nx_fail_set(fail, NX_ERR_UNAUTHORIZED,
                           "no org id: the header " NX_TENANT_HEADER " is missing");
    if (id.len > NX_TENANT_MAX_BYTES)
        return nx_fail_set(fail, NX_ERR_INVALID, "tenant ID is too long: max %d characters",
                           NX_TENANT_MAX_BYTES);
    if (nx_view_is(id, ".") || nx_view_is(id, ".."))
        return nx_fail_set(fail, NX_ERR_INVALID, "tenant ID is '.' or '..'");
    for (size_t i = 0; i < id.len; i++) {
        if (!allowed(id.ptr[i]))
            return nx_fail_set(
                fail, NX_ERR_INVALID,
                "tenant ID contains the unsupported byte 0x%02x; allowed are letters, digits and "
                "!-_.*'()",
                (unsigned)(unsigned char)id.ptr[i]);
    }
    *tenant = id;
    return NX_OK;
}
