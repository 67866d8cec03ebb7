/* Limits of single tenants, from a YAML file of their own:
 *
 *     overrides:
 *       team-a:
 *         storage:
 *           retention: 90d
 *       team-b: {storage.retention: 2d, storage.retention-bytes: 10GiB}
 *
 * What a tenant does not set is what the process's settings say. The file is read as a whole or not
 * at all; unknown keys are errors that name the nearest known one, with file and line. A new limit
 * is a field here and a row in overrides.c; every role knows all rows, so that one file serves the
 * whole cluster. */
#ifndef NX_CONFIG_OVERRIDES_H
#define NX_CONFIG_OVERRIDES_H

#include "common/config/config.h"

/* -1: not set for the tenant. */
struct nx_tenant_limits {
    int64_t retention_ms;
    int64_t retention_bytes; /* 0: no limit */
};

struct nx_overrides;
struct nx_overrides_draft;

/* Without any tenant. */
enum nx_err nx_overrides_new(struct nx_overrides **out) NX_WARN_UNUSED;
void nx_overrides_free(struct nx_overrides *overrides);

/* Reads a file (path empty: no tenants). NX_ERR_CONFIG with "FILE:LINE: ..." in `fail`. At most
 * 16 MiB and NX_OVERRIDES_MAX tenants. Blocking. */
#define NX_OVERRIDES_MAX 100000
enum nx_err nx_overrides_read(const char *path, struct nx_overrides_draft **out,
                              struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err nx_overrides_read_text(const char *origin, struct nx_view yaml,
                                   struct nx_overrides_draft **out,
                                   struct nx_fail *fail) NX_WARN_UNUSED;
void nx_overrides_draft_free(struct nx_overrides_draft *draft);
/* Puts it in force; the draft is used up. */
void nx_overrides_take(struct nx_overrides *overrides, struct nx_overrides_draft *draft);

/* What is set for the tenant; `overrides` NULL: nothing. Any thread. */
void nx_overrides_get(struct nx_overrides *overrides, struct nx_view tenant,
                      struct nx_tenant_limits *out);
/* How many tenants have any. Any thread. */
size_t nx_overrides_count(struct nx_overrides *overrides);
/* The table for people. */
void nx_overrides_print_help(struct nx_buf *out);

#endif
