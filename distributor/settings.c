#include "distributor/distributor.h"

#define FIELD(name) offsetof(struct dist_settings, name)

static const struct nx_setting dist_rows[] = {
    {.key = "distributor.push-timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "10s",
     .offset = FIELD(push_timeout_ms),
     .min = 10,
     .max = 600000,
     .help = "Time in which a majority of a series' owners must have stored a write; then it is "
             "answered with 503."},
    {.key = "distributor.ha-failover-timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "30s",
     .offset = FIELD(ha_failover_ms),
     .min = 100,
     .max = 3600000,
     .help = "Time without samples of the elected replica of a group after which another one takes "
             "its place (limits.accept-ha-samples)."},
    {.key = "distributor.ha-update-timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "2s",
     .offset = FIELD(ha_update_ms),
     .min = 10,
     .max = 600000,
     .help = "How long the ingesters' word on who is elected is gone by without asking again; a "
             "part of ha-failover-timeout."},
    {.key = "distributor.max-inflight-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "512MiB",
     .offset = FIELD(max_inflight_bytes),
     .min = 1 << 20,
     .max = INT64_MAX,
     .help = "Memory of write requests in flight, as received and decoded; one more is answered "
             "with 503. What one "
             "slow ingester has not answered yet may take half as much."},
    {.key = "distributor.max-body-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "16MiB",
     .offset = FIELD(max_body_bytes),
     .min = 1024,
     .max = INT64_C(1) << 31,
     .help = "Size of a write request as sent (compressed); larger ones are answered with 413."},
    {.key = "distributor.max-decoded-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "64MiB",
     .offset = FIELD(max_decoded_bytes),
     .min = 1024,
     .max = INT64_C(1) << 31,
     .help = "Size of a write request after decompression; larger ones are answered with 413."},
    {.key = "distributor.series-cache-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "256MiB",
     .offset = FIELD(series_cache_bytes),
     .min = 1 << 16,
     .max = INT64_MAX,
     .help = "Memory for the identities of series seen lately, all workers together; about 44 "
             "bytes a series."},
    {.key = "scrape.config-file",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(scrape_config_file),
     .reloadable = true,
     .help = "Configuration of Prometheus whose scrape_configs this distributor scrapes; empty: "
             "nothing."},
    {.key = "scrape.tenant",
     .type = NX_SETTING_STRING,
     .default_text = "anonymous",
     .offset = FIELD(scrape_tenant),
     .help = "Tenant of what is scraped."},
    {.key = "scrape.peers",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(scrape_peers),
     .help = "The distributors that share the targets, this one included, by their advertised "
             "addresses: host:port,... (empty: those that scrape by the same file find each "
             "other through the ingesters)."},
    {.key = "scrape.peer-timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "5s",
     .offset = FIELD(scrape_peer_timeout_ms),
     .min = 1000,
     .max = 3600000,
     .help = "Silence after which a peer's targets are scraped by the others."},
};

struct nx_setting_group dist_setting_group(struct dist_settings *settings)
{
    return (struct nx_setting_group){
        .settings = dist_rows, .count = sizeof dist_rows / sizeof dist_rows[0], .target = settings};
}
