#include "cmd/cluster_map.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cmd/http_fetch.h"

#define ANSWER_BYTES_MAX ((size_t)16 << 20)
#define TIMEOUT_MS 30000
#define PARTITIONS_MAX 65536
#define RF_MAX 15

/* The members as the setting ring.members has them. */
static enum nx_err put_members(const json_t *members, struct nx_buf *out)
{
    size_t i;
    json_t *member;
    json_array_foreach(members, i, member)
    {
        const char *name = json_string_value(json_object_get(member, "name"));
        const char *address = json_string_value(json_object_get(member, "address"));
        const char *zone = json_string_value(json_object_get(member, "zone"));
        if (!name || !address)
            return NX_ERR_CORRUPT;
        nx_buf_printf(out, "%s%s@%s", i ? "," : "", name, address);
        double weight = json_number_value(json_object_get(member, "weight"));
        if (zone && *zone)
            nx_buf_printf(out, "/%s", zone);
        if (weight > 0)
            nx_buf_printf(out, "*%.15g", weight);
    }
    nx_buf_append_char(out, '\0');
    return nx_buf_err(out);
}

static enum nx_placement_kind kind_of(const char *state)
{
    if (strcmp(state, "JOINING") == 0)
        return NX_PLACEMENT_COMES;
    if (strcmp(state, "LEAVING") == 0 || strcmp(state, "READONLY") == 0)
        return NX_PLACEMENT_GOES;
    return strcmp(state, "LEFT") == 0 ? NX_PLACEMENT_OUT : NX_PLACEMENT_STAYS;
}

/* Owners as reads have them. */
static enum nx_err place(const json_t *members, struct cmd_cluster_map *map, struct nx_fail *fail)
{
    enum nx_placement_kind kinds[NX_ROSTER_MAX_MEMBERS];
    size_t i;
    json_t *member;
    json_array_foreach(members, i, member)
    {
        const char *name = json_string_value(json_object_get(member, "name"));
        const char *state = json_string_value(json_object_get(member, "state"));
        size_t at = name ? nx_roster_find(map->roster, name) : SIZE_MAX;
        if (at != SIZE_MAX)
            kinds[at] = kind_of(state ? state : "");
    }
    enum nx_err err =
        nx_roster_place(map->roster, kinds, map->partitions, map->rf, &map->placement);
    return err == NX_OK ? NX_OK : nx_fail_set(fail, err, "%s", nx_err_text(err));
}

static enum nx_err read_map(const json_t *root, struct cmd_cluster_map *out, struct nx_fail *fail)
{
    struct cmd_cluster_map map = {.roster = NULL};
    const char *name = json_string_value(json_object_get(root, "cluster"));
    json_int_t partitions = json_integer_value(json_object_get(root, "partitions"));
    json_int_t rf = json_integer_value(json_object_get(root, "replicationFactor"));
    const json_t *members = json_object_get(root, "members");
    if (!name || partitions < 1 || partitions > PARTITIONS_MAX || rf < 1 || rf > RF_MAX ||
        json_array_size(members) == 0)
        return nx_fail_set(fail, NX_ERR_CORRUPT, "the answer about the cluster is not complete");
    map.partitions = (uint32_t)partitions;
    map.rf = (uint32_t)rf;
    map.write_quorum = map.rf / 2 + 1;
    int len = snprintf(map.cluster, sizeof map.cluster, "%s/%" PRIu32 "/%" PRIu32, name,
                       map.partitions, map.rf);
    if (len < 0 || (size_t)len >= sizeof map.cluster)
        return nx_fail_set(fail, NX_ERR_CORRUPT, "the name of the cluster is too long");
    struct nx_buf text;
    nx_buf_init(&text, ANSWER_BYTES_MAX);
    enum nx_err err = put_members(members, &text);
    if (err != NX_OK)
        nx_fail_set(fail, err, "the members of the cluster: %s", nx_err_text(err));
    else
        err = nx_roster_new(text.data, &map.roster, fail);
    nx_buf_release(&text);
    if (err == NX_OK)
        err = place(members, &map, fail);
    if (err == NX_OK)
        *out = map;
    else
        cmd_cluster_map_release(&map);
    return err;
}

enum nx_err cmd_cluster_map_read(struct nx_view json, struct cmd_cluster_map *out,
                                 struct nx_fail *fail)
{
    json_error_t error;
    json_t *root = json_loadb(json.len ? json.ptr : "", json.len, 0, &error);
    enum nx_err err = root ? read_map(root, out, fail)
                           : nx_fail_set(fail, NX_ERR_CORRUPT,
                                         "the answer about the cluster is no JSON: %s", error.text);
    json_decref(root);
    return err;
}

enum nx_err cmd_cluster_map_fetch(const char *program, const char *address,
                                  struct cmd_cluster_map *out, struct nx_fail *fail)
{
    struct cmd_http_request request = {.program = program,
                                       .address = address,
                                       .path = "/api/v1/cluster",
                                       .timeout_ms = TIMEOUT_MS};
    struct nx_buf body;
    nx_buf_init(&body, ANSWER_BYTES_MAX);
    long status = cmd_http_fetch(&request, &body);
    enum nx_err err = NX_OK;
    if (status != 200)
        err = nx_fail_set(fail, NX_ERR_UNAVAILABLE,
                          status < 0 ? "%s did not say which cluster it belongs to"
                                     : "%s is not a node of Narthex",
                          address);
    else
        err = cmd_cluster_map_read(nx_buf_view(&body), out, fail);
    nx_buf_release(&body);
    return err;
}

void cmd_cluster_map_release(struct cmd_cluster_map *map)
{
    if (map->roster)
        nx_roster_drop(map->roster);
    map->roster = NULL;
    nx_placement_free(map->placement);
    map->placement = NULL;
}
