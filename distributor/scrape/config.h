/* What is scraped: `global` and `scrape_configs` of a Prometheus configuration file
 * (docs/scraping.md says which keys). Immutable once read, shared by reference counting; any thread
 * may read it. */
#ifndef DIST_SCRAPE_CONFIG_H
#define DIST_SCRAPE_CONFIG_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/refcount.h"
#include "common/labels/labels.h"
#include "common/labels/relabel.h"
#include "distributor/scrape/groups.h"

/* A secret is either given or read from a file at each request, so that it can be rotated. */
struct scrape_http {
    const char *username; /* basic_auth; NULL: none */
    const char *username_file;
    const char *password;
    const char *password_file;
    const char *auth_type;   /* of `credentials`: "Bearer" */
    const char *credentials; /* authorization, bearer_token */
    const char *credentials_file;
    const char *ca_file; /* tls_config */
    const char *cert_file;
    const char *key_file;
    const char *server_name;
    bool insecure_skip_verify;
    bool follow_redirects;
};

enum scrape_sd_kind { SCRAPE_SD_STATIC, SCRAPE_SD_FILE, SCRAPE_SD_HTTP, SCRAPE_SD_DNS };
enum scrape_dns_type { SCRAPE_DNS_SRV, SCRAPE_DNS_A, SCRAPE_DNS_AAAA };

/* One entry of a *_sd_configs list; all static_configs of a job are one. */
struct scrape_sd {
    enum scrape_sd_kind kind;
    int64_t refresh_ms;
    const char **texts; /* files (patterns) of file, names of dns */
    size_t text_count;
    const char *url;         /* http */
    struct scrape_http http; /* http */
    enum scrape_dns_type dns_type;
    uint16_t dns_port;
    struct scrape_groups *groups; /* static */
    uint64_t fingerprint;         /* differs where the text of the entry does */
};

struct scrape_param {
    const char *name;
    const char **values; /* at least one */
    size_t count;
};

/* What a target is asked for, as Prometheus's scrape_protocols name them. */
enum scrape_protocol {
    SCRAPE_PROTOBUF,
    SCRAPE_OPENMETRICS_1_0_0,
    SCRAPE_OPENMETRICS_0_0_1,
    SCRAPE_TEXT_1_0_0,
    SCRAPE_TEXT_0_0_4,
    SCRAPE_PROTOCOLS
};

#define SCRAPE_SCHEMA_ANY 9 /* above all schemas that are kept */

struct scrape_job {
    const char *name;
    int64_t interval_ms;
    int64_t timeout_ms;
    const char *metrics_path;
    const char *scheme;
    struct scrape_param *params; /* sorted by name */
    size_t param_count;
    bool honor_labels;
    bool honor_timestamps;
    bool track_timestamps_staleness;
    bool extra_metrics;
    enum scrape_protocol protocols[SCRAPE_PROTOCOLS]; /* the one liked best first */
    size_t protocol_count;
    const char *accept;           /* the header that asks for them */
    bool native_histograms;       /* where protobuf has them */
    bool classic_histograms_too;  /* beside native ones */
    int32_t histogram_max_schema; /* SCRAPE_SCHEMA_ANY: as exposed */
    /* 0: none */
    int64_t sample_limit;
    int64_t target_limit;
    int64_t label_limit;
    int64_t label_name_length_limit;
    int64_t label_value_length_limit;
    int64_t body_size_limit;
    int64_t keep_dropped_targets;
    int64_t histogram_bucket_limit;
    struct scrape_http http;
    struct nx_relabel *relabel;        /* NULL: none */
    struct nx_relabel *metric_relabel; /* NULL: none */
    struct scrape_sd *sds;
    size_t sd_count;
    uint64_t relabel_fingerprint; /* of all that decides the labels of a sample */
};

struct scrape_config {
    struct nx_refcount refs;
    struct nx_arena arena;
    uint64_t fingerprint; /* of the file's text */
    struct nx_labels external_labels;
    struct scrape_job *jobs; /* sorted by name */
    size_t job_count;
    struct nx_buf ignored; /* top-level keys that were left unread, joined with ", " */
};

#define SCRAPE_CONFIG_MAX_BYTES ((size_t)16 << 20)
#define SCRAPE_JOBS_MAX 10000

/* NULL: as empty. Drops the last reference's memory. */
void scrape_config_drop(struct scrape_config *config);
struct scrape_config *scrape_config_take(struct scrape_config *config);

/* NX_ERR_CONFIG with "FILE:LINE: ..." in `fail`. Relative paths in the file are those of its
 * folder, as in Prometheus. */
enum nx_err scrape_config_read_text(const char *origin, struct nx_view yaml,
                                    struct scrape_config **out,
                                    struct nx_fail *fail) NX_WARN_UNUSED;
/* Blocking. Path empty: nothing is scraped. */
enum nx_err scrape_config_read(const char *path, struct scrape_config **out,
                               struct nx_fail *fail) NX_WARN_UNUSED;

#endif
