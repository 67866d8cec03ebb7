/* Members in etcd. Under /narthex/CLUSTER/ there are
 *   cluster        the birth record {"partitions":512,"replicationFactor":3}: the first node writes
 *                  it, every other one compares, and does not start where it differs
 *   members/NAME   {"address","zone","weight","incarnation"}: stays until the member is forgotten
 *   alive/NAME     {"address","incarnation"}, bound to the member's lease: who has the name. It
 * says nothing of health (heartbeats do), so etcd may be away for as long as it likes. The list is
 * read again when something under members/ changes, and with each keep-alive. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/ring/backend.h"
#include "common/ring/etcd_client.h"

#define LEASE_S 10
#define KEEP_ALIVE_MS 3000
#define RETRY_US 100000
#define RETRIES_WAITED 10
#define KEY_BYTES 512

struct etcd_backend {
    struct nx_backend base;
    struct nx_etcd *etcd;
    struct nx_etcd *forgetter; /* for the lane */
    const struct nx_ring_options *options;
    char prefix[256];
    bool born; /* the birth record was compared */
    int64_t lease;
    int64_t revision; /* of the list; 0: none yet */
};

static struct etcd_backend *etcd_of(struct nx_backend *backend)
{
    return NX_OWNER(struct etcd_backend, base, backend);
}

static enum nx_err no_memory(struct nx_fail *fail)
{
    return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
}

static const char *key_of(const struct etcd_backend *backend, const char *folder, const char *name,
                          char *key)
{
    (void)snprintf(key, KEY_BYTES, "%s%s%s", backend->prefix, folder, name);
    return key;
}

/* "If there is no `key`, put it; else tell me what it is." `put` is base64 of the value. */
static json_t *create_request(const char *key, json_t *value, int64_t lease)
{
    return json_pack("{s:[{s:o,s:s,s:s,s:s}],s:[{s:{s:o,s:o,s:I}}],s:[{s:{s:o}}]}", "compare",
                     "key", nx_etcd_text(key), "target", "CREATE", "result", "EQUAL",
                     "create_revision", "0", "success", "request_put", "key", nx_etcd_text(key),
                     "value", value, "lease", (json_int_t)lease, "failure", "request_range", "key",
                     nx_etcd_text(key));
}

/* What the failed branch of the above found, as JSON; NULL where it makes no sense. */
static json_t *existing(const json_t *answer)
{
    const json_t *response = json_array_get(json_object_get(answer, "responses"), 0);
    const json_t *range = json_object_get(response, "response_range");
    const json_t *kv = json_array_get(json_object_get(range, "kvs"), 0);
    char *text = nx_etcd_read(json_object_get(kv, "value"));
    json_t *value = text ? json_loads(text, 0, NULL) : NULL;
    nx_free(text);
    return value;
}

/* --- the birth record ------------------------------------------------------------------------ */

static enum nx_err compare_birth(const struct etcd_backend *backend, const json_t *answer,
                                 struct nx_fail *fail)
{
    json_t *birth = existing(answer);
    long long partitions = json_integer_value(json_object_get(birth, "partitions"));
    long long rf = json_integer_value(json_object_get(birth, "replicationFactor"));
    json_decref(birth);
    if (partitions == (long long)backend->options->partitions &&
        rf == (long long)backend->options->rf) {
        return NX_OK;
    }
    return nx_fail_set(fail, NX_ERR_CONFIG,
                       "cluster \"%.100s\" was born with ring.partitions %lld and "
                       "ring.replication-factor %lld (etcd, %.200scluster); this node has %" PRIu32
                       " and %" PRIu32,
                       backend->options->cluster, partitions, rf, backend->prefix,
                       backend->options->partitions, backend->options->rf);
}

static enum nx_err check_birth(struct etcd_backend *backend, struct nx_fail *fail)
{
    char key[KEY_BYTES];
    char text[128];
    json_t *answer = NULL;
    if (backend->born) {
        return NX_OK;
    }
    (void)snprintf(text, sizeof(text),
                   "{\"partitions\":%" PRIu32 ",\"replicationFactor\":%" PRIu32 "}",
                   backend->options->partitions, backend->options->rf);
    json_t *request = create_request(key_of(backend, "cluster", "", key), nx_etcd_text(text), 0);
    enum nx_err err = nx_etcd_call(backend->etcd, "/v3/kv/txn", request, &answer, fail);
    if (err == NX_OK && !json_is_true(json_object_get(answer, "succeeded"))) {
        err = compare_birth(backend, answer, fail);
    }
    json_decref(answer);
    backend->born = err == NX_OK;
    return err;
}

/* --- this member ----------------------------------------------------------------------------- */

static enum nx_err grant(struct etcd_backend *backend, struct nx_fail *fail)
{
    json_t *answer = NULL;
    enum nx_err err = nx_etcd_call(backend->etcd, "/v3/lease/grant",
                                   json_pack("{s:i}", "TTL", LEASE_S), &answer, fail);
    backend->lease = err == NX_OK ? nx_etcd_number(json_object_get(answer, "ID")) : 0;
    json_decref(answer);
    return err == NX_OK && backend->lease == 0
               ? nx_fail_set(fail, NX_ERR_UNAVAILABLE, "etcd granted no lease")
               : err;
}

static enum nx_err put(struct etcd_backend *backend, const char *folder, json_t *value,
                       int64_t lease, struct nx_fail *fail)
{
    char key[KEY_BYTES];
    json_t *answer = NULL;
    key_of(backend, folder, backend->options->self.name, key);
    json_t *request = json_pack("{s:o,s:o,s:I}", "key", nx_etcd_text(key), "value", value, "lease",
                                (json_int_t)lease);
    enum nx_err err = nx_etcd_call(backend->etcd, "/v3/kv/put", request, &answer, fail);
    json_decref(answer);
    return err;
}

static json_t *describe(const struct etcd_backend *backend, bool whole)
{
    const struct nx_ring_options *options = backend->options;
    char incarnation[32];
    (void)snprintf(incarnation, sizeof(incarnation), "%" PRIu64, options->self.incarnation);
    json_t *record =
        json_pack("{s:s,s:s}", "address", options->address, "incarnation", incarnation);
    if (record && whole) {
        (void)json_object_set_new(record, "zone", json_string(options->self.zone));
        (void)json_object_set_new(record, "weight", json_real(options->self.weight));
    }
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    json_t *value = text ? nx_etcd_text(text) : NULL;
    free(text);
    json_decref(record);
    return value;
}

/* Another process with this name and another disk holds it for as long as its lease lives. */
static enum nx_err check_holder(const struct etcd_backend *backend, const json_t *answer,
                                struct nx_fail *fail)
{
    char own[32];
    (void)snprintf(own, sizeof(own), "%" PRIu64, backend->options->self.incarnation);
    json_t *holder = existing(answer);
    const char *incarnation = json_string_value(json_object_get(holder, "incarnation"));
    const char *address = json_string_value(json_object_get(holder, "address"));
    enum nx_err err = NX_OK;
    if (!incarnation || strcmp(incarnation, own) != 0) {
        err =
            nx_fail_set(fail, NX_ERR_EXISTS,
                        "node.name: \"%.100s\" is in use by another process, at %.100s (its lease "
                        "in etcd lives)",
                        backend->options->self.name, address ? address : "?");
    }
    json_decref(holder);
    return err;
}

static enum nx_err take_name(struct etcd_backend *backend, struct nx_fail *fail)
{
    char key[KEY_BYTES];
    json_t *answer = NULL;
    key_of(backend, "alive/", backend->options->self.name, key);
    enum nx_err err =
        nx_etcd_call(backend->etcd, "/v3/kv/txn",
                     create_request(key, describe(backend, false), backend->lease), &answer, fail);
    if (err == NX_OK && !json_is_true(json_object_get(answer, "succeeded"))) {
        err = check_holder(backend, answer, fail);
        if (err == NX_OK) {
            err = put(backend, "alive/", describe(backend, false), backend->lease, fail);
        }
    }
    json_decref(answer);
    return err;
}

static enum nx_err enlist(struct etcd_backend *backend, struct nx_fail *fail)
{
    if (!backend->options->self.is_member || backend->lease) {
        return NX_OK;
    }
    enum nx_err err = grant(backend, fail);
    if (err == NX_OK) {
        err = take_name(backend, fail);
    }
    if (err == NX_OK) {
        err = put(backend, "members/", describe(backend, true), 0, fail);
    }
    if (err != NX_OK) {
        backend->lease = 0;
    }
    return err;
}

static void keep_alive(struct etcd_backend *backend)
{
    struct nx_fail fail = {.code = NX_OK};
    json_t *answer = NULL;
    if (!backend->lease) {
        return;
    }
    enum nx_err err =
        nx_etcd_call(backend->etcd, "/v3/lease/keepalive",
                     json_pack("{s:I}", "ID", (json_int_t)backend->lease), &answer, &fail);
    const json_t *result = json_object_get(answer, "result");
    if (err == NX_OK && nx_etcd_number(json_object_get(result, "TTL")) <= 0) {
        backend->lease =
            0; /* it ran out while etcd or we were away: a new one with the next look */
    }
    json_decref(answer);
}

/* --- the list -------------------------------------------------------------------------------- */

static enum nx_err put_member(const struct etcd_backend *backend, const json_t *kv,
                              struct nx_buf *out, struct nx_fail *fail)
{
    char folder[KEY_BYTES];
    size_t len = strlen(key_of(backend, "members/", "", folder));
    char *key = nx_etcd_read(json_object_get(kv, "key"));
    char *text = nx_etcd_read(json_object_get(kv, "value"));
    json_t *record = text ? json_loads(text, 0, NULL) : NULL;
    const char *address = json_string_value(json_object_get(record, "address"));
    const char *zone = json_string_value(json_object_get(record, "zone"));
    double weight = json_number_value(json_object_get(record, "weight"));
    enum nx_err err = NX_OK;
    if (key && address && strncmp(key, folder, len) == 0) {
        nx_buf_printf(out, "%s%s@%s", out->len > 0 ? "," : "", key + len, address);
        nx_buf_printf(out, "%s%s", zone && *zone ? "/" : "", zone ? zone : "");
        nx_buf_printf(out, "*%g", weight > 0 ? weight : 1);
    } else {
        err = nx_fail_set(fail, NX_ERR_CORRUPT,
                          "etcd: the record of a member makes no sense: %.200s", key ? key : "?");
    }
    json_decref(record);
    nx_free(text);
    nx_free(key);
    return err;
}

static enum nx_err read_list(struct etcd_backend *backend, struct nx_buf *out, struct nx_fail *fail)
{
    char begin[KEY_BYTES];
    char end[KEY_BYTES];
    json_t *answer = NULL;
    json_t *request =
        json_pack("{s:o,s:o}", "key", nx_etcd_text(key_of(backend, "members/", "", begin)),
                  "range_end", nx_etcd_text(key_of(backend, "members0", "", end)));
    enum nx_err err = nx_etcd_call(backend->etcd, "/v3/kv/range", request, &answer, fail);
    size_t i;
    json_t *kv;
    json_array_foreach(json_object_get(answer, "kvs"), i, kv)
    {
        err = err == NX_OK ? put_member(backend, kv, out, fail) : err;
    }
    if (err == NX_OK) {
        backend->revision =
            nx_etcd_number(json_object_get(json_object_get(answer, "header"), "revision"));
        err = out->len > 0 ? NX_OK
                           : nx_fail_set(fail, NX_ERR_NOT_FOUND,
                                         "etcd: no ingester of cluster \"%.100s\" is there yet",
                                         backend->options->cluster);
    }
    json_decref(answer);
    return err;
}

static enum nx_err fetch(struct nx_backend *base, struct nx_buf *out, struct nx_fail *fail)
{
    struct etcd_backend *backend = etcd_of(base);
    enum nx_err err = check_birth(backend, fail);
    if (err == NX_OK) {
        err = enlist(backend, fail);
    }
    if (err == NX_OK) {
        err = read_list(backend, out, fail);
    }
    return err;
}

static void wait(struct nx_backend *base)
{
    struct etcd_backend *backend = etcd_of(base);
    char begin[KEY_BYTES];
    char end[KEY_BYTES];
    enum nx_err err = NX_ERR_UNAVAILABLE;
    if (!base->failing) {
        (void)nx_etcd_watch(backend->etcd, key_of(backend, "members/", "", begin),
                            key_of(backend, "members0", "", end), backend->revision, KEEP_ALIVE_MS,
                            &err);
    }
    for (int i = 0; err != NX_OK && i < RETRIES_WAITED && !atomic_load(&base->stop); i++) {
        (void)usleep(RETRY_US);
    }
    if (!atomic_load(&base->stop)) {
        keep_alive(backend);
    }
}

static enum nx_err forget(struct nx_backend *base, const char *name, struct nx_fail *fail)
{
    struct etcd_backend *backend = etcd_of(base);
    char key[KEY_BYTES];
    json_t *answer = NULL;
    json_t *request =
        json_pack("{s:o}", "key", nx_etcd_text(key_of(backend, "members/", name, key)));
    enum nx_err err =
        nx_etcd_call(backend->forgetter, "/v3/kv/deleterange", request, &answer, fail);
    json_decref(answer);
    return err;
}

/* A clean end gives the name back at once. */
static void end(struct nx_backend *base)
{
    struct etcd_backend *backend = etcd_of(base);
    if (backend->forgetter && backend->lease) {
        struct nx_fail fail = {.code = NX_OK};
        json_t *answer = NULL;
        enum nx_err err =
            nx_etcd_call(backend->forgetter, "/v3/lease/revoke",
                         json_pack("{s:I}", "ID", (json_int_t)backend->lease), &answer, &fail);
        (void)err; /* it runs out by itself */
        json_decref(answer);
    }
    nx_etcd_free(backend->etcd);
    nx_etcd_free(backend->forgetter);
    nx_free(backend);
}

static const struct nx_backend_ops ops = {
    .fetch = fetch, .wait = wait, .forget = forget, .free = end};

enum nx_err nx_backend_etcd_new(const struct nx_ring_options *options, struct nx_backend **out,
                                struct nx_fail *fail)
{
    struct etcd_backend *backend = nx_calloc(1, sizeof(*backend));
    if (!backend) {
        return no_memory(fail);
    }
    backend->base.ops = &ops;
    backend->base.setting = "ring.etcd-endpoints";
    backend->options = options;
    (void)snprintf(backend->prefix, sizeof(backend->prefix), "/narthex/%.200s/", options->cluster);
    enum nx_err err = nx_etcd_new(&options->etcd, &backend->base.stop, &backend->etcd, fail);
    if (err == NX_OK) {
        err = nx_etcd_new(&options->etcd, NULL, &backend->forgetter, fail);
    }
    if (err != NX_OK) {
        end(&backend->base);
        return err;
    }
    *out = &backend->base;
    return NX_OK;
}
