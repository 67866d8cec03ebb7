/* Limits of single tenants, and of all the others, from a YAML file of their own:
 *
 *     defaults:
 *       ingestion_rate: 100000
 *     overrides:
 *       team-a:
 *         storage:
 *           retention: 90d
 *         limits:
 *           max-global-series-per-user: 500000
 *       team-b: {storage.retention: 2d, limits.drop-labels: [pod_uid]}
 *
 * What a tenant does not set is what `defaults` says, then what the process's settings say. A key
 * may be written as Mimir writes it (`ingestion_rate` for limits.ingestion-rate). The file is read
 * as a whole or not at all; unknown keys are errors that name the nearest known one, with file and
 * line. A new limit is a field here and a row in overrides_rows.c; every role knows all rows, so
 * that one file serves the whole cluster. */
#ifndef NX_CONFIG_OVERRIDES_H
#define NX_CONFIG_OVERRIDES_H

#include "common/base/refcount.h"
#include "common/config/config.h"

/* -1: not set for the tenant. 0 is no limit, where the row in overrides_rows.c says so. */
struct nx_tenant_limits {
    int64_t retention_ms;
    int64_t retention_bytes;
    int64_t ingestion_rate; /* samples a second */
    int64_t ingestion_burst;
    int64_t max_series;            /* in memory, over the cluster, a series counted once */
    int64_t max_series_per_metric; /* the same, of one metric name */
    int64_t max_label_names;
    int64_t max_label_name_bytes;
    int64_t max_label_value_bytes;
    int64_t max_series_per_request;
    int64_t max_samples_per_request;
    int64_t out_of_order_ms;
    int64_t creation_grace_ms;
    int64_t accept_ha; /* 0 or 1 */
};

/* The process's own values, for tenants that have none: the settings of the section `limits`, under
 * the same keys (storage.* are the ingester's). Labels to drop and relabeling rules for everybody
 * stand under `defaults` in the file. */
struct nx_limit_settings {
    struct nx_tenant_limits limits;
    bool accept_ha;
    const char *ha_cluster_label;
    const char *ha_replica_label;
    bool multitenancy; /* of auth.multitenancy: set by the owner, no row of the group */
    const char *list;  /* never used */
};
struct nx_setting_group nx_limit_setting_group(struct nx_limit_settings *settings);
/* What these stand for, of a rate or number of series that is -1: Mimir's default where there are
 * many tenants, no limit where there is one. */
#define NX_DEFAULT_INGESTION_RATE 10000
#define NX_DEFAULT_MAX_SERIES 150000

struct nx_relabel;

/* What is not a number: shared by reference, unchanged for life. */
struct nx_tenant_rules {
    struct nx_refcount refs;
    struct nx_relabel *relabel;        /* NULL: none */
    const struct nx_view *drop_labels; /* sorted */
    size_t drop_count;
    struct nx_view ha_cluster_label; /* ptr NULL: not set */
    struct nx_view ha_replica_label;
    uint64_t
        fingerprint; /* of the file they stood in; what was derived by other rules has another */
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
/* The same with everything that is not set taken from the settings: no field is -1 then but
 * those of which the section `storage` has the process's value (retention_ms, retention_bytes,
 * out_of_order_ms). */
void nx_limits_of(const struct nx_limit_settings *settings, struct nx_overrides *overrides,
                  struct nx_view tenant, struct nx_tenant_limits *out);
/* Its rules, or NULL for none; give them back with nx_tenant_rules_release. Any thread. */
struct nx_tenant_rules *nx_overrides_rules(struct nx_overrides *overrides, struct nx_view tenant);
void nx_tenant_rules_release(struct nx_tenant_rules *rules);
/* How many tenants have any. Any thread. */
size_t nx_overrides_count(struct nx_overrides *overrides);
/* The table for people. */
void nx_overrides_print_help(struct nx_buf *out);

#endif
