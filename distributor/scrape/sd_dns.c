/* dns_sd: SRV through the resolver's query functions, addresses through getaddrinfo, which also
 * reads the hosts file. A name whose lookup fails keeps the targets it had. */
#include <arpa/inet.h>
#include <netdb.h>
#include <resolv.h>
#include <sys/socket.h>

#include "distributor/scrape/dns_answer.h"
#include "distributor/scrape/scrape_internal.h"

enum { ANSWER_BYTES = 65536 };

static enum nx_err look_up_srv(struct scrape_groups *groups, const char *name, struct nx_fail *fail)
{
    struct __res_state state = {.options = 0};
    unsigned char answer[ANSWER_BYTES];
    if (res_ninit(&state) != 0)
        return nx_fail_set(fail, NX_ERR_UNAVAILABLE, "no resolver");
    int len = res_nsearch(&state, name, ns_c_in, ns_t_srv, answer, sizeof answer);
    int why = state.res_h_errno;
    res_nclose(&state);
    if (len < 0) {
        if (why == HOST_NOT_FOUND || why == NO_DATA)
            return NX_OK; /* an answer: there are none */
        return nx_fail_set(fail, NX_ERR_UNAVAILABLE, "SRV of %.200s: %s", name, hstrerror(why));
    }
    return scrape_dns_add_srv(groups, name, answer,
                              (size_t)len < sizeof answer ? (size_t)len : sizeof answer);
}

static enum nx_err add_addresses(struct scrape_groups *groups, const char *name,
                                 const struct addrinfo *list, uint16_t port)
{
    enum nx_err err = NX_OK;
    for (const struct addrinfo *item = list; item && !err; item = item->ai_next) {
        char text[64];
        if (getnameinfo(item->ai_addr, item->ai_addrlen, text, sizeof text, NULL, 0,
                        NI_NUMERICHOST) == 0)
            err = scrape_dns_add_address(groups, name, text, port);
    }
    return err;
}

static enum nx_err look_up_address(struct scrape_groups *groups, const struct scrape_sd *sd,
                                   const char *name, struct nx_fail *fail)
{
    struct addrinfo hints = {.ai_family = sd->dns_type == SCRAPE_DNS_A ? AF_INET : AF_INET6,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int status = getaddrinfo(name, NULL, &hints, &list);
    if (status == EAI_NONAME || status == EAI_NODATA)
        return NX_OK;
    if (status != 0)
        return nx_fail_set(fail, NX_ERR_UNAVAILABLE, "%.200s: %s", name, gai_strerror(status));
    enum nx_err err = add_addresses(groups, name, list, sd->dns_port);
    freeaddrinfo(list);
    return err;
}

static enum nx_err look_up(struct scrape_groups *groups, const struct scrape_sd *sd,
                           const char *name, struct nx_fail *fail)
{
    struct scrape_group *group = NULL;
    enum nx_err err =
        scrape_groups_begin(groups, nx_view_of(name), (struct nx_labels){.count = 0}, &group);
    if (err)
        return err;
    return sd->dns_type == SCRAPE_DNS_SRV ? look_up_srv(groups, name, fail)
                                          : look_up_address(groups, sd, name, fail);
}

static enum nx_err keep_old(struct scrape_groups *groups, const struct scrape_groups *old,
                            const char *name)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; old && i < old->count; i++) {
        const struct scrape_group *from = &old->groups[i];
        if (!nx_view_is(from->source, name))
            continue;
        for (size_t k = 0; k < from->target_count && !err; k++)
            err = scrape_groups_add(groups, from->targets[k]);
    }
    return err;
}

void scrape_discover_dns(struct scrape_source *source)
{
    const struct scrape_sd *sd = source->sd;
    enum nx_err err = scrape_groups_new(&source->found);
    size_t failed = 0;
    for (size_t i = 0; i < sd->text_count && !err; i++) {
        err = look_up(source->found, sd, sd->texts[i], &source->fail);
        if (err == NX_ERR_UNAVAILABLE || err == NX_ERR_CORRUPT) {
            failed++;
            err = keep_old(source->found, source->groups, sd->texts[i]);
        }
    }
    if (!err && failed == sd->text_count)
        err = NX_ERR_UNAVAILABLE;
    source->err = err;
}
