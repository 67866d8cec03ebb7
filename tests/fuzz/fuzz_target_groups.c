/* Target groups: the first byte of the input chooses between JSON (http_sd, file_sd), YAML
 * (file_sd) and a DNS answer with SRV records. What is read twice is the same twice. */
#include <stdlib.h>

#include "distributor/scrape/dns_answer.h"
#include "distributor/scrape/groups.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum nx_err read_dns(struct scrape_groups *groups, struct nx_view answer)
{
    struct scrape_group *group = NULL;
    enum nx_err err =
        scrape_groups_begin(groups, NX_VIEW("name"), (struct nx_labels){.count = 0}, &group);
    return err ? err
               : scrape_dns_add_srv(groups, "_http._tcp.example",
                                    (const unsigned char *)(const void *)answer.ptr, answer.len);
}

static enum nx_err read_groups(uint8_t kind, struct nx_view text, struct scrape_groups **out)
{
    const struct nx_label meta = {NX_VIEW("__meta_url"), NX_VIEW("http://sd/")};
    struct nx_labels extra = {.items = &meta, .count = 1};
    struct nx_fail fail = {.code = NX_OK};
    *out = NULL;
    if (scrape_groups_new(out))
        return NX_ERR_NOMEM;
    if (kind % 3 == 0)
        return scrape_groups_read_json(*out, "sd", text, extra, &fail);
    if (kind % 3 == 1)
        return scrape_groups_read_yaml(*out, "sd", text, extra, &fail);
    return read_dns(*out, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scrape_groups *first = NULL, *second = NULL;
    if (size == 0)
        return 0;
    struct nx_view text = nx_view_make(data + 1, size - 1);
    enum nx_err err = read_groups(data[0], text, &first);
    if (err != read_groups(data[0], text, &second) || (!err && !scrape_groups_eq(first, second)))
        abort();
    scrape_groups_drop(first);
    scrape_groups_drop(second);
    return 0;
}
