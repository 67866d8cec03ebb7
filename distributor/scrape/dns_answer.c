/* glibc's ns_* functions walk the message and check its bounds. */
#include "distributor/scrape/dns_answer.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <stdio.h>

enum { SRV_FIXED_BYTES = 6 };

static enum nx_err add(struct scrape_groups *groups, const char *name, const char *address,
                       const char *target, const char *port)
{
    const struct nx_label labels[] = {
        {NX_VIEW("__address__"), nx_view_of(address)},
        {NX_VIEW("__meta_dns_name"), nx_view_of(name)},
        {NX_VIEW("__meta_dns_srv_record_port"), nx_view_of(port)},
        {NX_VIEW("__meta_dns_srv_record_target"), nx_view_of(target)},
    };
    return scrape_groups_add(groups, (struct nx_labels){.items = labels, .count = *target ? 4 : 2});
}

enum nx_err scrape_dns_add_srv(struct scrape_groups *groups, const char *name,
                               const unsigned char *answer, size_t len)
{
    ns_msg message;
    if (len > NS_MAXMSG || ns_initparse(answer, (int)len, &message) != 0)
        return NX_ERR_CORRUPT;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        ns_rr record;
        char host[NS_MAXDNAME], target[NS_MAXDNAME + 2], address[NS_MAXDNAME + 16], port[8];
        if (ns_parserr(&message, ns_s_an, i, &record) != 0)
            return NX_ERR_CORRUPT;
        if (ns_rr_type(record) != ns_t_srv)
            continue; /* a CNAME on the way */
        const unsigned char *data = ns_rr_rdata(record);
        if (ns_rr_rdlen(record) <= SRV_FIXED_BYTES ||
            ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), data + SRV_FIXED_BYTES,
                               host, sizeof host) < 0)
            return NX_ERR_CORRUPT;
        size_t host_len = strlen(host);
        while (host_len > 0 && host[host_len - 1] == '.')
            host[--host_len] = '\0';
        (void)snprintf(port, sizeof port, "%u", (unsigned)ns_get16(data + 4));
        (void)snprintf(target, sizeof target, "%s.", host);
        (void)snprintf(address, sizeof address, "%s:%s", host, port);
        enum nx_err err = add(groups, name, address, target, port);
        if (err)
            return err;
    }
    return NX_OK;
}

enum nx_err scrape_dns_add_address(struct scrape_groups *groups, const char *name,
                                   const char *address, uint16_t port)
{
    char text[128];
    bool v6 = strchr(address, ':') != NULL;
    (void)snprintf(text, sizeof text, v6 ? "[%s]:%u" : "%s:%u", address, port);
    return add(groups, name, text, "", "");
}
