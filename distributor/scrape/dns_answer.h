/* The SRV records of a DNS answer as targets of a group. */
#ifndef DIST_SCRAPE_DNS_ANSWER_H
#define DIST_SCRAPE_DNS_ANSWER_H

#include "distributor/scrape/groups.h"

/* Adds each SRV record's target to the last group, with the labels that dns_sd gives:
 * __address__, __meta_dns_name, __meta_dns_srv_record_target, __meta_dns_srv_record_port.
 * NX_ERR_CORRUPT for an answer that cannot be read. */
enum nx_err scrape_dns_add_srv(struct scrape_groups *groups, const char *name,
                               const unsigned char *answer, size_t len) NX_WARN_UNUSED;
/* One target of A or AAAA. */
enum nx_err scrape_dns_add_address(struct scrape_groups *groups, const char *name,
                                   const char *address, uint16_t port) NX_WARN_UNUSED;

#endif
