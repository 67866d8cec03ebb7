/* The distributors that scrape, as this ingester has heard of them lately: those with the same
 * configuration share its targets, and find each other here. Memory only: all of them call every
 * second. Any thread. */
#ifndef ING_SCRAPERS_H
#define ING_SCRAPERS_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/view.h"

/* Beyond it the one silent for longest is forgotten. */
#define ING_SCRAPERS_MAX 1000
#define ING_SCRAPER_ADDRESS_BYTES 256

struct ing_scrapers;

enum nx_err ing_scrapers_new(struct ing_scrapers **out) NX_WARN_UNUSED;
void ing_scrapers_free(struct ing_scrapers *scrapers); /* NULL: nothing */
/* One has called (address empty: it only asks). Appends the addresses of those of its configuration
 * that called within `timeout_ns`, joined with ",". NX_ERR_INVALID for an overlong address. */
enum nx_err ing_scrapers_heard(struct ing_scrapers *scrapers, struct nx_view address,
                               uint64_t config, uint64_t now_ns, uint64_t timeout_ns,
                               struct nx_buf *out) NX_WARN_UNUSED;

#endif
