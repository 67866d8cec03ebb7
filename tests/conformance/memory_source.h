/* A source of series in memory for tests: what `load` lines put in is read back as Prometheus's
 * storage would return it, counter reset hints included (they follow from the chunk layout;
 * reference section 14.9). */
#ifndef TESTS_MEMORY_SOURCE_H
#define TESTS_MEMORY_SOURCE_H

#include "querier/promql/source.h"

struct memory_source;

enum nx_err memory_source_new(struct memory_source **out) NX_WARN_UNUSED;
void memory_source_free(struct memory_source *memory);
void memory_source_clear(struct memory_source *memory);
/* Appends to the series of these labels (copied). NX_ERR_OUT_OF_ORDER, NX_ERR_CONFLICT, or
 * NX_ERR_INVALID for a histogram that does not validate. */
enum nx_err memory_source_append(struct memory_source *memory, struct nx_labels labels,
                                 const struct nx_sample *sample,
                                 struct nx_fail *fail) NX_WARN_UNUSED;
struct qry_source *memory_source_as_source(struct memory_source *memory);

#endif
