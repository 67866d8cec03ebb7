#include "ingester/scrapers.h"

#include <pthread.h>
#include <string.h>

#include "common/base/alloc.h"

struct scraper {
    char address[ING_SCRAPER_ADDRESS_BYTES];
    size_t len;
    uint64_t config;
    uint64_t heard_ns;
};

struct ing_scrapers {
    pthread_mutex_t lock;
    struct scraper *items;
    size_t count, capacity;
};

enum nx_err ing_scrapers_new(struct ing_scrapers **out)
{
    struct ing_scrapers *scrapers = nx_calloc(1, sizeof *scrapers);
    if (!scrapers)
        return NX_ERR_NOMEM;
    pthread_mutex_init(&scrapers->lock, NULL);
    *out = scrapers;
    return NX_OK;
}

void ing_scrapers_free(struct ing_scrapers *scrapers)
{
    if (!scrapers)
        return;
    pthread_mutex_destroy(&scrapers->lock);
    nx_free(scrapers->items);
    nx_free(scrapers);
}

static struct nx_view address_of(const struct scraper *scraper)
{
    return nx_view_make(scraper->address, scraper->len);
}

/* Its row, or a new one, or that of the one silent for longest; NULL without memory. */
static struct scraper *row_of(struct ing_scrapers *scrapers, struct nx_view address)
{
    size_t oldest = 0;
    for (size_t i = 0; i < scrapers->count; i++) {
        if (nx_view_eq(address_of(&scrapers->items[i]), address))
            return &scrapers->items[i];
        if (scrapers->items[i].heard_ns < scrapers->items[oldest].heard_ns)
            oldest = i;
    }
    if (scrapers->count == ING_SCRAPERS_MAX)
        return &scrapers->items[oldest];
    if (nx_grow(&scrapers->items, &scrapers->capacity, scrapers->count + 1,
                sizeof *scrapers->items) != NX_OK)
        return NULL;
    return &scrapers->items[scrapers->count++];
}

static void list(const struct ing_scrapers *scrapers, uint64_t config, uint64_t now_ns,
                 uint64_t timeout_ns, struct nx_buf *out)
{
    size_t begin = out->len;
    for (size_t i = 0; i < scrapers->count; i++) {
        const struct scraper *scraper = &scrapers->items[i];
        if (scraper->config != config || now_ns > scraper->heard_ns + timeout_ns)
            continue;
        if (out->len > begin)
            nx_buf_append_char(out, ',');
        nx_buf_append_view(out, address_of(scraper));
    }
}

enum nx_err ing_scrapers_heard(struct ing_scrapers *scrapers, struct nx_view address,
                               uint64_t config, uint64_t now_ns, uint64_t timeout_ns,
                               struct nx_buf *out)
{
    enum nx_err err = NX_OK;
    if (address.len >= ING_SCRAPER_ADDRESS_BYTES || nx_view_find(address, ',') < address.len)
        return NX_ERR_INVALID;
    pthread_mutex_lock(&scrapers->lock);
    struct scraper *row = address.len > 0 ? row_of(scrapers, address) : NULL;
    if (address.len > 0 && !row)
        err = NX_ERR_NOMEM;
    if (row) {
        memcpy(row->address, address.ptr, address.len);
        row->len = address.len;
        row->config = config;
        row->heard_ns = now_ns;
    }
    if (err == NX_OK)
        list(scrapers, config, now_ns, timeout_ns, out);
    pthread_mutex_unlock(&scrapers->lock);
    return err ? err : nx_buf_err(out);
}
