/* Gathers the series of a TSDB block and writes its index (version 2). Label names, values and
 * pairs are kept once; a series costs four bytes a label and what its chunks need. One thread. */
#ifndef ING_TSDB_INDEX_WRITER_H
#define ING_TSDB_INDEX_WRITER_H

#include "common/labels/labels.h"
#include "ingester/tsdb/index_reader.h"
#include "ingester/tsdb/out_file.h"

struct ing_tsdb_index_writer;

enum nx_err ing_tsdb_index_writer_new(struct ing_tsdb_index_writer **out) NX_WARN_UNUSED;
void ing_tsdb_index_writer_free(struct ing_tsdb_index_writer *writer);
/* A series with its chunks in ascending order of time; series in any order, each once. Copies. */
enum nx_err ing_tsdb_index_writer_add(struct ing_tsdb_index_writer *writer, struct nx_labels labels,
                                      const struct ing_tsdb_chunk_meta *chunks,
                                      size_t count) NX_WARN_UNUSED;
uint32_t ing_tsdb_index_writer_count(const struct ing_tsdb_index_writer *writer);

/* Puts the series in the order of their label sets; after the last add. NX_ERR_EXISTS where one was
 * added twice. */
enum nx_err ing_tsdb_index_writer_sort(struct ing_tsdb_index_writer *writer) NX_WARN_UNUSED;
/* The chunks of the i-th series in that order; their references may be changed until the index is
 * written. */
struct ing_tsdb_chunk_meta *ing_tsdb_index_writer_chunks(struct ing_tsdb_index_writer *writer,
                                                         uint32_t i, size_t *count);
/* NX_ERR_TOO_LARGE where a section outgrows what its length field holds. */
enum nx_err ing_tsdb_index_writer_write(struct ing_tsdb_index_writer *writer,
                                        struct ing_out_file *file) NX_WARN_UNUSED;

#endif
