/* `narthex ctl members|ring|health`: asks a running node and prints a table, or JSON with --json.
 * Exit 0 only when the node answered and, for `health`, when the cluster is whole enough to serve.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ctl_member.h"
#include "cmd/ctl_repair.h"
#include "cmd/http_fetch.h"
#include "cmd/main.h"
#include "common/base/buf.h"

#define ANSWER_MAX_BYTES ((size_t)64 << 20)

struct ctl {
    const char *address;
    bool json;
};

static const char usage[] =
    "narthex ctl members  the ingesters, their state and how many partitions each owns\n"
    "narthex ctl ring     how many partitions have all, a majority, or too few of their owners\n"
    "narthex ctl health   whether the node is ready and the cluster can write and read\n"
    "narthex ctl repair status  how far each ingester is from holding all it is to hold\n"
    "narthex ctl repair now     has every ingester compare with the others at once\n"
    "\n"
    "  --address=HOST:PORT  any node of the cluster (default 127.0.0.1:9900)\n"
    "  --json               for programs\n";

static long fetch(const struct ctl *ctl, const char *path, struct nx_buf *body)
{
    return cmd_http_fetch(
        &(struct cmd_http_request){
            .program = "narthex ctl", .address = ctl->address, .path = path, .timeout_ms = 10000},
        body);
}

/* The cluster as the node sees it, or NULL (the reason is printed). `text` keeps the raw answer. */
static json_t *fetch_cluster(const struct ctl *ctl, struct nx_buf *text)
{
    long status = fetch(ctl, "/api/v1/cluster", text);
    if (status < 0)
        return NULL;
    if (status != 200) {
        (void)fprintf(stderr, "narthex ctl: %s answered %ld: %s\n", ctl->address, status,
                      text->data);
        return NULL;
    }
    json_error_t error;
    json_t *cluster = json_loads(text->data, 0, &error);
    if (!cluster)
        (void)fprintf(stderr, "narthex ctl: %s does not answer as a Narthex node: %s\n",
                      ctl->address, error.text);
    return cluster;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_number_value(json_object_get(object, key));
}

static void print_members(const json_t *cluster)
{
    size_t i;
    json_t *member;
    (void)printf("%-20s %-24s %-10s %-9s %-9s %10s  %s\n", "NAME", "ADDRESS", "ZONE", "STATE",
                 "HEALTH", "PARTITIONS", "PROBLEM");
    json_array_foreach(json_object_get(cluster, "members"), i, member)
    {
        const char *zone = text_of(member, "zone");
        (void)printf("%-20s %-24s %-10s %-9s %-9s %10lld  %s\n", text_of(member, "name"),
                     text_of(member, "address"), *zone ? zone : "-", text_of(member, "state"),
                     json_is_true(json_object_get(member, "healthy")) ? "healthy" : "unhealthy",
                     number_of(member, "partitions"), text_of(member, "problem"));
    }
}

/* Partitions by how many of their owners are healthy and have all their data. */
struct coverage {
    long long whole, writable, readable, lost;
};

static struct coverage coverage_of(const json_t *cluster)
{
    long long all = number_of(cluster, "partitions"), whole = number_of(cluster, "partitionsWhole");
    long long not_writable = number_of(cluster, "partitionsBelowWriteQuorum");
    long long not_readable = number_of(cluster, "partitionsBelowReadQuorum");
    long long not_both = not_writable > not_readable ? not_writable : not_readable;
    return (struct coverage){.whole = whole,
                             .writable = all - whole - not_both,
                             .readable = not_both - not_readable,
                             .lost = not_readable};
}

static void print_ring(const json_t *cluster)
{
    struct coverage sum = coverage_of(cluster);
    (void)printf("cluster             %s\n", text_of(cluster, "cluster"));
    (void)printf("partitions          %lld\n", number_of(cluster, "partitions"));
    (void)printf("replication factor  %lld (writes need %lld, reads %lld)\n",
                 number_of(cluster, "replicationFactor"), number_of(cluster, "writeQuorum"),
                 number_of(cluster, "readQuorum"));
    (void)printf("all owners whole    %lld\n", sum.whole);
    (void)printf("degraded, writable  %lld\n", sum.writable);
    (void)printf("readable only       %lld\n", sum.readable);
    (void)printf("unavailable         %lld\n", sum.lost);
}

static int run_health(const struct ctl *ctl, const json_t *cluster)
{
    struct nx_buf ready;
    nx_buf_init(&ready, ANSWER_MAX_BYTES);
    long status = fetch(ctl, "/-/ready", &ready);
    nx_buf_release(&ready);
    struct coverage sum = coverage_of(cluster);
    bool writes = sum.readable + sum.lost == 0, reads = sum.lost == 0;
    if (ctl->json) {
        (void)printf("{\"ready\":%s,\"writes\":%s,\"reads\":%s,\"degradedPartitions\":%lld}\n",
                     status == 200 ? "true" : "false", writes ? "true" : "false",
                     reads ? "true" : "false", sum.writable + sum.readable + sum.lost);
    } else {
        (void)printf("node    %s\n", status == 200 ? "ready" : "not ready");
        (void)printf("writes  %s\n",
                     writes ? "ok" : "refused for some series: too few ingesters answer");
        (void)printf("reads   %s\n", reads ? "ok" : "incomplete: too few ingesters answer");
        if (writes && sum.writable)
            (void)printf("degraded: %lld partitions miss a replica\n", sum.writable);
    }
    return status == 200 && writes && reads ? 0 : 1;
}

static int run(const struct ctl *ctl, const char *command)
{
    struct nx_buf text;
    nx_buf_init(&text, ANSWER_MAX_BYTES);
    int status = 0;
    json_t *cluster = fetch_cluster(ctl, &text);
    if (!cluster)
        status = 1;
    else if (strcmp(command, "health") == 0)
        status = run_health(ctl, cluster);
    else if (ctl->json)
        (void)printf("%s\n", text.data);
    else if (strcmp(command, "members") == 0)
        print_members(cluster);
    else
        print_ring(cluster);
    json_decref(cluster);
    nx_buf_release(&text);
    return status;
}

static void print_usage(FILE *to)
{
    (void)fprintf(to, "%s\n%s", usage, cmd_ctl_member_usage);
}

static bool is_about_a_member(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (argv[i][0] != '-' && cmd_ctl_is_member_command(argv[i]))
            return true;
    return false;
}

int cmd_ctl(int argc, char **argv)
{
    if (is_about_a_member(argc, argv))
        return cmd_ctl_member(argc, argv);
    struct ctl ctl = {.address = "127.0.0.1:9900"};
    const char *command = NULL;
    const char *what = NULL;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--address=", 10) == 0)
            ctl.address = argv[i] + 10;
        else if (strcmp(argv[i], "--address") == 0 && i + 1 < argc)
            ctl.address = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            ctl.json = true;
        else if (argv[i][0] != '-' && !command)
            command = argv[i];
        else if (argv[i][0] != '-' && !what && strcmp(command, "repair") == 0)
            what = argv[i];
        else {
            (void)fprintf(stderr, "narthex ctl: \"%s\" is not expected here\n%s", argv[i], usage);
            return 2;
        }
    }
    if (!command || strcmp(command, "help") == 0) {
        print_usage(command ? stdout : stderr);
        return command ? 0 : 2;
    }
    if (strcmp(command, "repair") == 0 && what &&
        (strcmp(what, "status") == 0 || strcmp(what, "now") == 0))
        return cmd_ctl_repair(ctl.address, ctl.json, strcmp(what, "now") == 0);
    if (strcmp(command, "members") != 0 && strcmp(command, "ring") != 0 &&
        strcmp(command, "health") != 0) {
        (void)fprintf(stderr, "narthex ctl: there is no \"%s\"\n%s", command, usage);
        return 2;
    }
    return run(&ctl, command);
}
