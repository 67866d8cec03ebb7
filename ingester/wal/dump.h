/* Writes what a head holds as log records: series, metadata and exemplars for a checkpoint, and
 * samples too for a new generation of the log. On the head's thread; a slice of the head a call. */
#ifndef ING_WAL_DUMP_H
#define ING_WAL_DUMP_H

#include "ingester/head/head.h"
#include "ingester/wal/record.h"

/* The series in slots [from, to) that have a number in the log. */
void ing_dump_series(const struct ing_head *head, uint32_t from, uint32_t to, uint64_t nonce,
                     struct nx_buf *out);
/* Their samples, in time order. */
enum nx_err ing_dump_samples(const struct ing_head *head, uint32_t from, uint32_t to,
                             uint64_t nonce, struct nx_buf *out) NX_WARN_UNUSED;
/* The tenant's metadata and exemplars. */
void ing_dump_extras(const struct ing_tenant *tenant, uint64_t nonce, struct nx_buf *out);

#endif
