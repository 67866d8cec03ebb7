#include "cmd/tool_import.h"
enum nx_err cmd_import_cluster_open(const char *address, struct nx_view tenant,
                                    const char *work_dir, struct cmd_import_target **out,
                                    struct nx_fail *fail)
{
    (void)tenant;
    (void)work_dir;
    (void)out;
    return nx_fail_set(fail, NX_ERR_UNSUPPORTED,
                       "%s: only the data directory of a stopped node can be imported into",
                       address);
}
