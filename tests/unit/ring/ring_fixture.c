#include "ring_fixture.h"

struct nx_ring_options ring_options_of(const char *members)
{
    return (struct nx_ring_options){
        .backend = "static",
        .members = members,
        .cluster = "test",
        .partitions = 64,
        .rf = 3,
        .heartbeat_interval_ms = 40,
        .heartbeat_timeout_ms = 2000,
        .self = {.name = "prober"},
    };
}
