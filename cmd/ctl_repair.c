/* The list of ingesters comes from the node that was asked, and each of them answers for itself. */
#include "cmd/ctl_repair.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cmd/http_fetch.h"
#include "common/base/buf.h"

#define ANSWER_MAX_BYTES ((size_t)64 << 20)

static json_t *fetch(const char *address, const char *path, bool post)
{
    struct nx_buf text;
    json_error_t error;
    json_t *answer = NULL;
    nx_buf_init(&text, ANSWER_MAX_BYTES);
    long status = cmd_http_fetch(&(struct cmd_http_request){.program = "narthex ctl",
                                                            .address = address,
                                                            .path = path,
                                                            .form = post ? "" : NULL,
                                                            .timeout_ms = 10000},
                                 &text);
    if (status == 200)
        answer = json_loads(text.data, 0, &error);
    else if (status >= 0)
        (void)fprintf(stderr, "narthex ctl: %s answered %ld: %s\n", address, status, text.data);
    nx_buf_release(&text);
    return answer;
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_number_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is_whole(const json_t *status)
{
    return number_of(status, "partitionsNotWhole") == 0 &&
           number_of(status, "differingWindows") == 0 &&
           json_is_false(json_object_get(status, "catchingUp")) &&
           strcmp(text_of(status, "state"), "JOINING") != 0;
}

/* What is the matter with the comparison, if anything: the first member that did not answer. */
static const char *problem_of(const json_t *status)
{
    size_t i;
    json_t *peer;
    json_array_foreach(json_object_get(status, "peers"), i, peer)
    {
        if (*text_of(peer, "error"))
            return text_of(peer, "name");
    }
    return "";
}

static void print_row(const json_t *member, const json_t *status)
{
    if (!status) {
        (void)printf("%-20s %-9s\n", text_of(member, "name"), "no answer");
        return;
    }
    const char *problem = problem_of(status);
    (void)printf("%-20s %-9s %-11s %10lld %10lld %10lld %12lld  %s%s\n", text_of(member, "name"),
                 text_of(status, "state"), is_whole(status) ? "whole" : "catching up",
                 number_of(status, "partitions"), number_of(status, "partitionsNotWhole"),
                 number_of(status, "differingWindows"), number_of(status, "pulledBytes"),
                 *problem ? "cannot compare with " : "", problem);
}

int cmd_ctl_repair(const char *address, bool json, bool now)
{
    size_t i;
    json_t *member, *cluster = fetch(address, "/api/v1/cluster", false);
    json_t *list = json_array();
    int result = cluster ? 0 : 1;
    if (!json && cluster)
        (void)printf("%-20s %-9s %-11s %10s %10s %10s %12s  %s\n", "NAME", "STATE", "DATA",
                     "PARTITIONS", "NOT WHOLE", "DIFFERING", "PULLED BYTES", "PROBLEM");
    json_array_foreach(json_object_get(cluster, "members"), i, member)
    {
        json_t *status =
            fetch(text_of(member, "address"), now ? "/api/v1/repair/now" : "/api/v1/repair", now);
        if (!status || (!now && !is_whole(status)))
            result = 1;
        if (!json)
            print_row(member, status);
        if (status)
            (void)json_array_append_new(list, status);
    }
    if (json && cluster) {
        (void)json_dumpf(list, stdout, JSON_COMPACT);
        (void)printf("\n");
    }
    json_decref(list);
    json_decref(cluster);
    return result;
}
