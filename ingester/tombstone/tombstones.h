/* The deletions of this node (docs/formats/tombstones.md): which series lost which time range.
 * Memory is flushed before one is made, so that all it takes lies in blocks; blocks are read
 * through these until they are written anew without the deleted samples.
 *
 * A deletion takes what there is when it is made; what is written afterwards stays. So a block
 * remembers the number of the last deletion that it is not to be read through.
 *
 * Any thread, unless said otherwise. */
#ifndef ING_TOMBSTONE_TOMBSTONES_H
#define ING_TOMBSTONE_TOMBSTONES_H

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/refcount.h"
#include "common/chunk/cut.h"
#include "common/labels/matcher.h"
#include "common/telemetry/telemetry.h"

/* Never changes. Everything is in the arena. */
struct ing_tombstone {
    struct nx_refcount refs;
    struct nx_arena arena;
    struct nx_hash128 id; /* the same on all replicas */
    uint64_t number;      /* of this node, ascending from 1 */
    struct nx_view tenant;
    struct nx_matcher *matchers;
    size_t matcher_count;
    struct nx_interval range;
    int64_t created_ms; /* by the clock of who asked for it */
};
void ing_tombstone_drop(struct ing_tombstone *tombstone);
/* A new one with everything copied; its number is 0. */
struct ing_tombstone_fields {
    struct nx_hash128 id;
    struct nx_view tenant;
    const struct nx_matcher *matchers;
    size_t matcher_count;
    struct nx_interval range;
    int64_t created_ms;
};
enum nx_err ing_tombstone_new(const struct ing_tombstone_fields *fields,
                              struct ing_tombstone **out) NX_WARN_UNUSED;

struct ing_tombstone_list {
    struct ing_tombstone **items; /* by number */
    size_t count;
};
void ing_tombstone_list_release(struct ing_tombstone_list *list);

#define ING_TOMBSTONES_MAX 10000 /* of all tenants; more are refused with NX_ERR_RATE_LIMITED */

struct ing_tombstones;

/* Reads <dir>/tombstones. A damaged file never prevents the start: what can be read is used, the
 * file is kept aside and the damage is counted. Numbers go on after `at_least`, the highest that a
 * block knows. Blocking. */
enum nx_err ing_tombstones_open(const struct nx_fs *fs, const char *dir, uint64_t at_least,
                                struct nx_log *log, struct nx_metrics *metrics,
                                struct ing_tombstones **out) NX_WARN_UNUSED;
void ing_tombstones_free(struct ing_tombstones *tombstones);

/* The number of the last one. */
uint64_t ing_tombstones_last(struct ing_tombstones *tombstones);
bool ing_tombstones_known(struct ing_tombstones *tombstones, struct nx_hash128 id);
/* Takes over the caller's reference on success, when it is on disk: it has a number then. One that
 * is known already is dropped. Blocking. */
enum nx_err ing_tombstones_add(struct ing_tombstones *tombstones,
                               struct ing_tombstone *tombstone) NX_WARN_UNUSED;
/* Those of a tenant (all where its ptr is NULL) that touch the range. */
enum nx_err ing_tombstones_acquire(struct ing_tombstones *tombstones, struct nx_view tenant,
                                   struct nx_interval range,
                                   struct ing_tombstone_list *out) NX_WARN_UNUSED;
/* Forgets those of the list. Blocking. */
enum nx_err ing_tombstones_forget(struct ing_tombstones *tombstones,
                                  const struct ing_tombstone_list *list) NX_WARN_UNUSED;

/* Writes the list to <dir>/tombstones. Blocking. */
enum nx_err ing_tombstones_copy(struct ing_tombstones *tombstones, const char *dir) NX_WARN_UNUSED;

/* The bytes of the file, and back: *damaged counts records that were skipped. For the tests and the
 * store. */
void ing_tombstones_encode(struct nx_buf *buf, struct ing_tombstone *const *items, size_t count,
                           uint64_t last);
enum nx_err ing_tombstones_decode(struct nx_view bytes, struct ing_tombstone_list *out,
                                  uint64_t *last, size_t *damaged) NX_WARN_UNUSED;

#endif
