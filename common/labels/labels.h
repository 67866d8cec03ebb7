/* Label sets. A set is an array of (name, value) views sorted by name in byte order, names unique,
 * no empty names or values (an empty value means the label is absent). Sets do not own their bytes:
 * they live in an arena, a receive buffer or a series table. Pure functions, any thread. */
#ifndef NX_LABELS_LABELS_H
#define NX_LABELS_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "common/base/view.h"

struct nx_label {
    struct nx_view name;
    struct nx_view value;
};

struct nx_labels {
    const struct nx_label *items;
    size_t count;
};

#define NX_LABEL_METRIC_NAME NX_VIEW("__name__")
#define NX_LABEL_LE NX_VIEW("le")

/* The value, or an empty view where the label is absent. */
struct nx_view nx_labels_get(struct nx_labels labels, struct nx_view name);
bool nx_labels_has(struct nx_labels labels, struct nx_view name);
bool nx_labels_eq(struct nx_labels a, struct nx_labels b);
/* Prometheus's order: pair by pair, name then value; a prefix comes first. */
int nx_labels_cmp(struct nx_labels a, struct nx_labels b);
/* For hash tables inside one process; equal sets hash equally. */
uint64_t nx_labels_hash(struct nx_labels labels);

/* Names and their bytes copied into the arena; items is NULL on failure with count > 0. */
struct nx_labels nx_labels_copy(struct nx_arena *arena, struct nx_labels labels);

/* `{a="b", c="d"}` with Go-quoted values, as Prometheus prints label sets; with the metric name in
 * front
 * (`name{a="b"}`) where it has one and the name is a legacy name, inside the braces quoted
 * otherwise. */
void nx_labels_print(struct nx_buf *buf, struct nx_labels labels);
/* The same with the metric name as one label among the others: `{__name__="name", a="b"}`, the form
 * of Prometheus's error texts. */
void nx_labels_print_plain(struct nx_buf *buf, struct nx_labels labels);
/* Go's %q of a string (base/quote.h). */
void nx_print_quoted(struct nx_buf *buf, struct nx_view text);

/* Binary form for logs, blocks and the wire (docs/formats/series-id.md): uvarint count, then per
 * label name and value as nx_buf_put_bytes. Decoding aliases the source and checks order,
 * uniqueness and emptiness (NX_ERR_CORRUPT); more than max_labels pairs are NX_ERR_LIMIT. */
void nx_labels_encode(struct nx_buf *buf, struct nx_labels labels);
enum nx_err nx_labels_decode(struct nx_cursor *cur, struct nx_arena *arena, size_t max_labels,
                             struct nx_labels *out) NX_WARN_UNUSED;

/* `[a-zA-Z_][a-zA-Z0-9_]*`, the names that need no quoting. */
bool nx_label_name_is_legacy(struct nx_view name);
/* The same with ':' allowed. */
bool nx_metric_name_is_legacy(struct nx_view name);

/* Edits a set in an arena: start from a base, set and delete in any order, take the result.
 * Memory failure is remembered and returned by nx_labels_builder_take. */
struct nx_labels_builder {
    struct nx_arena *arena;
    struct nx_label *items; /* kept sorted */
    size_t count;
    size_t capacity;
    bool failed;
};
void nx_labels_builder_init(struct nx_labels_builder *builder, struct nx_arena *arena,
                            struct nx_labels base);
/* An empty value deletes. The views must outlive the result. */
void nx_labels_builder_set(struct nx_labels_builder *builder, struct nx_view name,
                           struct nx_view value);
void nx_labels_builder_del(struct nx_labels_builder *builder, struct nx_view name);
/* As it stands; an empty view where the label is absent. */
struct nx_view nx_labels_builder_get(const struct nx_labels_builder *builder, struct nx_view name);
enum nx_err nx_labels_builder_take(struct nx_labels_builder *builder,
                                   struct nx_labels *out) NX_WARN_UNUSED;

#endif
