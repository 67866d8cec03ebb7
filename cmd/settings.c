/* One static table; the row whose default depends on the subcommand is patched in a copy, of which
 * the configuration takes its own. */
#include "cmd/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"

static const char *const backends[] = {"static", "dns", "etcd", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};

enum { CLUSTER_NAME_MAX = 100 };

#define FIELD(name) offsetof(struct cmd_settings, name)

static const struct nx_setting process_settings[] = {
    {.key = "server.listen",
     .type = NX_SETTING_STRING,
     .default_text = "127.0.0.1:9900",
     .offset = FIELD(listen),
     .help = "Address and port of the HTTP server (all 9900, distributor 9901, ingester 9902, "
             "querier 9903)."},
    {.key = "server.internal-listen",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(internal_listen),
     .help = "Address and port for the RPC between nodes; empty: on server.listen."},
    {.key = "server.max-connections",
     .type = NX_SETTING_INT,
     .default_text = "10000",
     .offset = FIELD(max_connections),
     .min = 1,
     .max = 1000000,
     .help = "Open connections; one more is answered with 503 and closed."},
    {.key = "server.header-timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "10s",
     .offset = FIELD(header_timeout_ms),
     .min = 1,
     .max = 3600000,
     .help = "Time a client may take to send the head of a request."},
    {.key = "server.body-timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "30s",
     .offset = FIELD(body_timeout_ms),
     .min = 1,
     .max = 3600000,
     .help = "Time without progress in a request's body."},
    {.key = "server.idle-timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "5m",
     .offset = FIELD(idle_timeout_ms),
     .min = 1,
     .max = 86400000,
     .help = "Time a connection may wait for its next request."},
    {.key = "server.write-timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "30s",
     .offset = FIELD(write_timeout_ms),
     .min = 1,
     .max = 3600000,
     .help = "Time without progress in an answer that the client does not take."},
    {.key = "server.shutdown-grace",
     .type = NX_SETTING_DURATION,
     .default_text = "20s",
     .offset = FIELD(shutdown_grace_ms),
     .min = 0,
     .max = 3600000,
     .help = "Time that requests in flight get to finish after SIGTERM."},
    {.key = "node.name",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(node_name),
     .help = "Name of this node in the ring; empty: the host name."},
    {.key = "node.zone",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(node_zone),
     .help = "Failure zone of this node; replicas are spread over zones."},
    {.key = "node.weight",
     .type = NX_SETTING_DOUBLE,
     .default_text = "1",
     .offset = FIELD(node_weight),
     .help = "dns, etcd: this ingester's share of the partitions, relative to the others (0.01 to "
             "1000)."},
    {.key = "node.advertise",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(node_advertise),
     .help = "HOST:PORT under which other nodes reach this one; empty: the listen address."},
    {.key = "ring.backend",
     .type = NX_SETTING_ENUM,
     .default_text = "static",
     .offset = FIELD(ring_backend),
     .choices = backends,
     .help =
         "Where the list of ingesters comes from: static = ring.members, dns = ring.dns, etcd = "
         "ring.etcd-endpoints."},
    {.key = "ring.cluster",
     .type = NX_SETTING_STRING,
     .default_text = "narthex",
     .offset = FIELD(ring_cluster),
     .help = "Name of the cluster; nodes of another one are refused. Letters, digits, '.', '_', "
             "'-'."},
    {.key = "ring.members",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(ring_members),
     .reloadable = true,
     .help =
         "static: the ingesters, name@host:port[/zone][*weight],... (all: itself where empty)."},
    {.key = "ring.dns",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(ring_dns),
     .help = "dns: names of SRV records (_service._proto.name) or of addresses (host:port), each "
             "with /zone or without, separated by commas."},
    {.key = "ring.dns-server",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(ring_dns_server),
     .help = "dns: the server that is asked, as IPv4 address or address:port; empty: that of "
             "resolv.conf."},
    {.key = "ring.dns-interval",
     .type = NX_SETTING_DURATION,
     .default_text = "10s",
     .offset = FIELD(dns_interval_ms),
     .min = 100,
     .max = 3600000,
     .help = "dns: time between two looks."},
    {.key = "ring.etcd-endpoints",
     .type = NX_SETTING_STRING,
     .default_text = "http://127.0.0.1:2379",
     .offset = FIELD(ring_etcd_endpoints),
     .help = "etcd: its client URLs (http or https), separated by commas."},
    {.key = "ring.etcd-ca",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(ring_etcd_ca),
     .help = "etcd: PEM file of the authority that certified its servers; empty: the system's."},
    {.key = "ring.etcd-cert",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(ring_etcd_cert),
     .help = "etcd: PEM file of the certificate with which this node shows itself."},
    {.key = "ring.etcd-key",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(ring_etcd_key),
     .help = "etcd: PEM file of that certificate's key."},
    {.key = "ring.etcd-user",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(ring_etcd_user),
     .help = "etcd: user of its authentication; empty: none."},
    {.key = "ring.etcd-password",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .secret = true,
     .offset = FIELD(ring_etcd_password),
     .help = "etcd: that user's password. Belongs into the file: flags are seen by everybody."},
    {.key = "ring.forget-after",
     .type = NX_SETTING_DURATION,
     .default_text = "1h",
     .offset = FIELD(forget_after_ms),
     .min = 0,
     .max = INT64_C(31536000000),
     .help = "Silence after which an ingester's copies are made elsewhere; 0: never."},
    {.key = "ring.replication-factor",
     .type = NX_SETTING_INT,
     .default_text = "3",
     .offset = FIELD(ring_replication_factor),
     .min = 1,
     .max = 15,
     .help = "Copies of each series; a write needs a majority of them (all: 1 where no members are "
             "given)."},
    {.key = "ring.partitions",
     .type = NX_SETTING_INT,
     .default_text = "512",
     .offset = FIELD(ring_partitions),
     .min = 1,
     .max = 65536,
     .help = "Slices of the series space; fixed when the cluster is born."},
    {.key = "ring.heartbeat-interval",
     .type = NX_SETTING_DURATION,
     .default_text = "1s",
     .offset = FIELD(heartbeat_interval_ms),
     .min = 10,
     .max = 3600000,
     .help = "Time between two heartbeats to an ingester."},
    {.key = "ring.heartbeat-timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "5s",
     .offset = FIELD(heartbeat_timeout_ms),
     .min = 20,
     .max = 3600000,
     .help = "Silence after which an ingester counts as unhealthy."},
    {.key = "ring.max-clock-skew",
     .type = NX_SETTING_DURATION,
     .default_text = "30s",
     .offset = FIELD(max_clock_skew_ms),
     .min = 0,
     .max = 86400000,
     .help = "Difference to an ingester's clock beyond which it refuses this node; 0: none."},
    {.key = "workers",
     .type = NX_SETTING_INT,
     .default_text = "0",
     .offset = FIELD(workers),
     .min = 0,
     .max = 1024,
     .help = "Event loops, one thread each; 0: one a CPU."},
    {.key = "log.level",
     .type = NX_SETTING_ENUM,
     .default_text = "info",
     .offset = FIELD(log_level),
     .choices = log_levels,
     .reloadable = true,
     .help = "Least severe level that is written."},
    {.key = "log.format",
     .type = NX_SETTING_ENUM,
     .default_text = "logfmt",
     .offset = FIELD(log_format),
     .choices = log_formats,
     .help = "Form of a log line on standard error."},
    {.key = "tenants.overrides-file",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(overrides_file),
     .reloadable = true,
     .help = "YAML file with limits of single tenants; empty: none."},
    {.key = "auth.multitenancy",
     .type = NX_SETTING_BOOL,
     .default_text = "false",
     .offset = FIELD(multitenancy),
     .help = "Require the header X-Scope-OrgID; else every request is of the tenant `anonymous`."},
};

#define PROCESS_SETTINGS (sizeof process_settings / sizeof process_settings[0])

static const char *default_listen(unsigned roles)
{
    switch (roles) {
    case CMD_DISTRIBUTOR:
        return "127.0.0.1:9901";
    case CMD_INGESTER:
        return "127.0.0.1:9902";
    case CMD_QUERIER:
        return "127.0.0.1:9903";
    default:
        return "127.0.0.1:9900";
    }
}

enum nx_err cmd_settings_open(unsigned roles, struct cmd_settings *settings, struct nx_config **out)
{
    struct nx_setting table[PROCESS_SETTINGS];
    memcpy(table, process_settings, sizeof process_settings);
    table[0].default_text = default_listen(roles);

    struct nx_setting_group groups[5];
    size_t count = 0;
    groups[count++] = (struct nx_setting_group){table, PROCESS_SETTINGS, settings};
    if (roles & (CMD_DISTRIBUTOR | CMD_INGESTER))
        groups[count++] = nx_limit_setting_group(&settings->limits);
    if (roles & CMD_DISTRIBUTOR)
        groups[count++] = dist_setting_group(&settings->dist);
    if (roles & CMD_INGESTER)
        groups[count++] = ing_setting_group(&settings->ing);
    if (roles & CMD_QUERIER)
        groups[count++] = qry_setting_group(&settings->qry);
    return nx_config_new(groups, count, out);
}

enum nx_err cmd_split_address(const char *key, const char *text, struct nx_arena *arena,
                              const char **host, uint16_t *port, struct nx_fail *fail)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    long number = colon ? strtol(colon + 1, &end, 10) : -1;
    if (!colon || colon == text || !end || end == colon + 1 || *end || number < 0 || number > 65535)
        return nx_fail_set(fail, NX_ERR_CONFIG, "%s: \"%s\" is not HOST:PORT", key, text);
    struct nx_view name = {.ptr = text, .len = (size_t)(colon - text)};
    if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = (struct nx_view){.ptr = name.ptr + 1, .len = name.len - 2};
    else if (memchr(name.ptr, ':', name.len))
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "%s: \"%s\": an IPv6 address is written in brackets, [::1]:9900", key,
                           text);
    struct nx_view copy = nx_arena_copy(arena, name);
    if (!copy.ptr)
        return NX_ERR_NOMEM;
    *host = copy.ptr;
    *port = (uint16_t)number;
    return NX_OK;
}

static const char *format(struct nx_arena *arena, const char *pattern, const char *a, const char *b)
{
    int len = snprintf(NULL, 0, "%s%s%s", a, pattern, b);
    char *text = len < 0 ? NULL : nx_arena_alloc(arena, (size_t)len + 1);
    if (text)
        (void)snprintf(text, (size_t)len + 1, "%s%s%s", a, pattern, b);
    return text;
}

static enum nx_err complete_node(struct cmd_settings *settings, struct nx_arena *arena,
                                 struct nx_fail *fail)
{
    if (!*settings->node_name) {
        char name[256] = "";
        if (gethostname(name, sizeof name - 1) != 0 || !*name)
            return nx_fail_set(fail, NX_ERR_CONFIG,
                               "node.name: not set, and this host has no name");
        settings->node_name = nx_arena_copy(arena, nx_view_of(name)).ptr;
    }
    if (!settings->node_name)
        return NX_ERR_NOMEM;
    if (strpbrk(settings->node_name, "@,/ \t"))
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "node.name: \"%s\" contains one of '@' ',' '/' or a blank",
                           settings->node_name);
    if (!*settings->node_advertise)
        settings->node_advertise =
            *settings->internal_listen ? settings->internal_listen : settings->listen;
    return NX_OK;
}

/* The name travels in a header of each RPC. */
static enum nx_err check_cluster(const struct cmd_settings *settings, struct nx_fail *fail)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *name = settings->ring_cluster;
    size_t len = strlen(name);
    if (len > 0 && len <= CLUSTER_NAME_MAX && strspn(name, allowed) == len)
        return NX_OK;
    return nx_fail_set(fail, NX_ERR_CONFIG,
                       "ring.cluster: expected 1 to %d letters, digits, '.', '_' or '-', got "
                       "\"%.200s\"",
                       CLUSTER_NAME_MAX, name);
}

enum nx_err cmd_settings_complete(unsigned roles, struct cmd_settings *settings,
                                  struct nx_arena *arena, struct nx_fail *fail)
{
    enum nx_err err = complete_node(settings, arena, fail);
    if (!err)
        err = check_cluster(settings, fail);
    if (err)
        return err;
    if (settings->node_weight < 0.01 || settings->node_weight > 1000)
        return nx_fail_set(fail, NX_ERR_CONFIG, "node.weight: expected 0.01 to 1000, got %g",
                           settings->node_weight);
    if (!*settings->ring_members && settings->ring_backend == 0) {
        if (roles != CMD_ALL)
            return nx_fail_set(
                fail, NX_ERR_CONFIG,
                "ring.members: empty; expected the ingesters as name@host:port[/zone],...");
        const char *self = format(arena, "@", settings->node_name, settings->node_advertise);
        if (!self)
            return NX_ERR_NOMEM;
        settings->ring_members = self;
        settings->implied_members = self;
        settings->ring_replication_factor = 1;
    }
    if (settings->heartbeat_timeout_ms <= settings->heartbeat_interval_ms)
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "ring.heartbeat-timeout: expected more than ring.heartbeat-interval "
                           "(%lldms), got %lldms",
                           (long long)settings->heartbeat_interval_ms,
                           (long long)settings->heartbeat_timeout_ms);
    if (!*settings->ring_etcd_cert != !*settings->ring_etcd_key)
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "ring.etcd-cert, ring.etcd-key: expected both or neither");
    if (settings->workers == 0) {
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        settings->workers = cpus > 0 ? cpus : 1;
    }
    settings->limits.multitenancy = settings->multitenancy;
    settings->dist.multitenancy = settings->multitenancy;
    settings->qry.multitenancy = settings->multitenancy;
    if (roles == CMD_ALL && !*settings->qry.distributors)
        settings->qry.distributors = settings->node_advertise;
    return NX_OK;
}
