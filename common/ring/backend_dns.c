/* Members in DNS: SRV records (a name that begins with '_') or A and AAAA records ("host:port"), of
 * one or more names, each with the zone of its members behind a slash.
 *
 * A member of a SRV record is named by the first label of its target, weighs what the record says
 * (0 counts as 1), and keeps its name when its address changes. A member of an address record is
 * named by the address, dots and colons as dashes. What DNS leaves out is not gone: a member stays
 * in the list while it answers, and `ring.forget-after` longer; a name that cannot be resolved
 * leaves the list as it is. */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/ring/backend.h"

#define ANSWER_BYTES 65535
#define STEP_US 100000
#define STEP_MS 100
#define NAME_BYTES 300

struct dns_backend {
    struct nx_backend base;
    const struct nx_ring_options *options;
    struct __res_state state;
    bool open;
};

static struct dns_backend *dns_of(struct nx_backend *backend)
{
    return NX_OWNER(struct dns_backend, base, backend);
}

/* --- the list -------------------------------------------------------------------------------- */

/* Whether the list has a member of that name. */
static bool is_listed(const struct nx_buf *list, const char *name)
{
    size_t len = strlen(name);
    struct nx_view rest = nx_buf_view(list);
    while (rest.len > 0) {
        size_t at = nx_view_find(rest, '@');
        if (at == len && memcmp(rest.ptr, name, len) == 0) {
            return true;
        }
        size_t comma = nx_view_find(rest, ',');
        size_t skip = comma < rest.len ? comma + 1 : rest.len;
        rest = nx_view_make(rest.ptr + skip, rest.len - skip);
    }
    return false;
}

static void add(struct nx_buf *list, const char *name, const char *address, const char *zone,
                double weight)
{
    if (!is_listed(list, name)) {
        nx_buf_printf(list, "%s%s@%s%s%s*%g", list->len > 0 ? "," : "", name, address,
                      *zone ? "/" : "", zone, weight);
    }
}

/* --- records --------------------------------------------------------------------------------- */

/* Bytes of the answer, or -1; a name without records of the type has an answer of 0 bytes. */
static int query(struct dns_backend *backend, const char *name, int type, uint8_t *answer)
{
    int len = res_nsearch(&backend->state, name, ns_c_in, type, answer, ANSWER_BYTES);
    bool none = len < 0 && backend->state.res_h_errno == NO_DATA;
    return none ? 0 : len > ANSWER_BYTES ? -1 : len;
}

static void add_service(ns_msg *message, const ns_rr *record, const char *zone, struct nx_buf *list)
{
    const uint8_t *data = ns_rr_rdata(*record);
    char target[NS_MAXDNAME];
    char name[NAME_BYTES];
    char address[NS_MAXDNAME + 8];
    if (ns_rr_rdlen(*record) < 7 || dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + 6,
                                              target, sizeof(target)) < 0) {
        return;
    }
    unsigned weight = ns_get16(data + 2);
    unsigned port = ns_get16(data + 4);
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(target, "."), target);
    (void)snprintf(address, sizeof(address), "%s:%u", target, port);
    add(list, name, address, zone, weight > 0 ? weight : 1);
}

static void add_address(const ns_rr *record, const char *port, const char *zone,
                        struct nx_buf *list)
{
    bool six = ns_rr_type(*record) == ns_t_aaaa;
    char text[INET6_ADDRSTRLEN];
    char name[INET6_ADDRSTRLEN];
    char address[INET6_ADDRSTRLEN + 16];
    if (ns_rr_rdlen(*record) != (six ? 16 : 4) ||
        !inet_ntop(six ? AF_INET6 : AF_INET, ns_rr_rdata(*record), text, sizeof(text))) {
        return;
    }
    (void)snprintf(name, sizeof(name), "%s", text);
    for (char *c = name; *c; c++) {
        *c = *c == '.' || *c == ':' ? '-' : *c;
    }
    (void)snprintf(address, sizeof(address), six ? "[%s]:%s" : "%s:%s", text, port);
    add(list, name, address, zone, 1);
}

enum nx_err nx_dns_read(const uint8_t *answer, size_t len, const char *port, const char *zone,
                        struct nx_buf *list)
{
    ns_msg message;
    if (len > INT_MAX || ns_initparse(answer, (int)len, &message) < 0) {
        return NX_ERR_CORRUPT;
    }
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        ns_rr record;
        if (ns_parserr(&message, ns_s_an, i, &record) < 0) {
            return NX_ERR_CORRUPT;
        }
        if (ns_rr_type(record) == ns_t_srv && !port) {
            add_service(&message, &record, zone, list);
        } else if (port && (ns_rr_type(record) == ns_t_a || ns_rr_type(record) == ns_t_aaaa)) {
            add_address(&record, port, zone, list);
        }
    }
    return nx_buf_err(list);
}

/* --- names ----------------------------------------------------------------------------------- */

static enum nx_err resolve_type(struct dns_backend *backend, const char *name, int type,
                                const char *port, const char *zone, uint8_t *answer,
                                struct nx_buf *list, struct nx_fail *fail)
{
    int len = query(backend, name, type, answer);
    if (len < 0) {
        return nx_fail_set(fail, NX_ERR_UNAVAILABLE, "ring.dns: \"%.200s\": %s", name,
                           hstrerror(backend->state.res_h_errno));
    }
    enum nx_err err = len > 0 ? nx_dns_read(answer, (size_t)len, port, zone, list) : NX_OK;
    return err == NX_OK
               ? NX_OK
               : nx_fail_set(fail, err, "ring.dns: \"%.200s\": %s", name, nx_err_text(err));
}

/* "name:port[/zone]" or "_service._proto.name[/zone]"; cut in place. */
static enum nx_err resolve(struct dns_backend *backend, char *entry, uint8_t *answer,
                           struct nx_buf *list, struct nx_fail *fail)
{
    char *slash = strchr(entry, '/');
    const char *zone = slash ? slash + 1 : "";
    if (slash) {
        *slash = '\0';
    }
    if (entry[0] == '_') {
        return resolve_type(backend, entry, ns_t_srv, NULL, zone, answer, list, fail);
    }
    char *colon = strrchr(entry, ':');
    if (!colon || colon == entry || !colon[1]) {
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "ring.dns: \"%.200s\": expected host:port[/zone] or "
                           "_service._proto.name[/zone]",
                           entry);
    }
    *colon = '\0';
    enum nx_err err = resolve_type(backend, entry, ns_t_a, colon + 1, zone, answer, list, fail);
    return err == NX_OK
               ? resolve_type(backend, entry, ns_t_aaaa, colon + 1, zone, answer, list, fail)
               : err;
}

/* This node is a member whether DNS says so yet or not, and so is who was one and is not gone. */
static void keep_known(struct dns_backend *backend, struct nx_buf *list)
{
    const struct nx_ring_options *options = backend->options;
    if (options->self.is_member && options->address) {
        add(list, options->self.name, options->address, options->self.zone, options->self.weight);
    }
    if (!backend->base.ring) {
        return;
    }
    struct nx_ring_view *view = nx_ring_acquire(backend->base.ring);
    for (size_t i = 0; i < view->member_count; i++) {
        const struct nx_member *member = &view->members[i];
        int64_t silent_ms = nx_ring_silent_ms(backend->base.ring, member->name);
        bool gone = member->state == NX_MEMBER_LEFT ||
                    (!member->healthy && silent_ms > (int64_t)options->forget_after_ms);
        if (!gone) {
            add(list, member->name, member->address, member->zone, member->weight);
        }
    }
    nx_ring_release(view);
}

static enum nx_err fetch(struct nx_backend *base, struct nx_buf *list, struct nx_fail *fail)
{
    struct dns_backend *backend = dns_of(base);
    uint8_t *answer = nx_alloc(ANSWER_BYTES);
    char *names = nx_strdup(backend->options->dns);
    enum nx_err err = answer && names ? NX_OK : NX_ERR_NOMEM;
    if (err != NX_OK) {
        nx_fail_set(fail, err, "%s", nx_err_text(err));
    }
    char *rest = names;
    for (char *one = strsep(&rest, ","); err == NX_OK && one; one = strsep(&rest, ",")) {
        err = resolve(backend, one, answer, list, fail);
    }
    if (err == NX_OK) {
        keep_known(backend, list);
        err = list->len > 0
                  ? NX_OK
                  : nx_fail_set(fail, NX_ERR_NOT_FOUND, "ring.dns: no records of \"%.200s\"",
                                backend->options->dns);
    }
    nx_free(names);
    nx_free(answer);
    return err;
}

static void wait(struct nx_backend *base)
{
    const struct dns_backend *backend = dns_of(base);
    for (uint64_t ms = 0; ms < backend->options->dns_interval_ms; ms += STEP_MS) {
        if (atomic_load(&base->stop)) {
            return;
        }
        (void)usleep(STEP_US);
    }
}

static void end(struct nx_backend *base)
{
    struct dns_backend *backend = dns_of(base);
    if (backend->open) {
        res_nclose(&backend->state);
    }
    nx_free(backend);
}

static const struct nx_backend_ops ops = {.fetch = fetch, .wait = wait, .free = end};

/* "IPv4:port" instead of what resolv.conf says. */
static enum nx_err use_server(struct dns_backend *backend, const char *text, struct nx_fail *fail)
{
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    struct sockaddr_in address = {.sin_family = AF_INET};
    long port = colon ? strtol(colon + 1, NULL, 10) : NS_DEFAULTPORT;
    if (len < sizeof(host)) {
        memcpy(host, text, len);
        host[len] = '\0';
    }
    if (len >= sizeof(host) || port < 1 || port > 65535 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "ring.dns-server: \"%.100s\": expected an IPv4 address, or with :port",
                           text);
    }
    address.sin_port = htons((uint16_t)port);
    backend->state.nsaddr_list[0] = address;
    backend->state.nscount = 1;
    return NX_OK;
}

enum nx_err nx_backend_dns_new(const struct nx_ring_options *options, struct nx_backend **out,
                               struct nx_fail *fail)
{
    struct dns_backend *backend = nx_calloc(1, sizeof(*backend));
    enum nx_err err = NX_ERR_NOMEM;
    if (!backend) {
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    }
    backend->base.ops = &ops;
    backend->base.setting = "ring.dns";
    backend->options = options;
    err = res_ninit(&backend->state) == 0
              ? NX_OK
              : nx_fail_set(fail, NX_ERR_IO, "ring.dns: the resolver cannot be set up");
    backend->open = err == NX_OK;
    if (err == NX_OK && options->dns_server && *options->dns_server) {
        err = use_server(backend, options->dns_server, fail);
    }
    if (err != NX_OK) {
        end(&backend->base);
        return err;
    }
    *out = &backend->base;
    return NX_OK;
}
