/* The open blocks of all tenants. Readers take a list, which keeps its blocks open however the set
 * changes. Any thread, unless said otherwise. */
#ifndef ING_BLOCK_SET_H
#define ING_BLOCK_SET_H

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/telemetry/telemetry.h"
#include "ingester/block/block_reader.h"

struct ing_block_set;

struct ing_block_list {
    struct ing_block **blocks;
    size_t count;
};
void ing_block_list_release(struct ing_block_list *list);

/* Opens what lies under `dir`/<tenant>/ without touching the data, removes unfinished blocks and
 * those that another one replaces, and keeps of damaged ones what their names say, with a log line
 * and a metric. Blocking. */
enum nx_err ing_block_set_open(const struct nx_fs *fs, const char *dir, struct nx_log *log,
                               struct nx_metrics *metrics,
                               struct ing_block_set **out) NX_WARN_UNUSED;
void ing_block_set_free(struct ing_block_set *set);
/* The caller's reference goes to the set. */
enum nx_err ing_block_set_add(struct ing_block_set *set, struct ing_block *block) NX_WARN_UNUSED;
/* The blocks of a tenant (all where its ptr is NULL) that overlap the range. */
enum nx_err ing_block_set_acquire(struct ing_block_set *set, struct nx_view tenant,
                                  struct ing_range range,
                                  struct ing_block_list *out) NX_WARN_UNUSED;
/* NX_ERR_CORRUPT, and which, where a block that could not be opened may hold what overlaps the
 * range: an answer without it would look complete. Asked before acquire. */
enum nx_err ing_block_set_check_lost(struct ing_block_set *set, struct nx_view tenant,
                                     struct ing_range range, struct nx_fail *fail) NX_WARN_UNUSED;
/* Whether a block that could not be opened is to go: its tenant ("" where the name of its directory
 * does not tell) and the end of its time (exclusive). Called under the set's lock. */
typedef bool (*ing_lost_expired)(void *user, struct nx_view tenant, int64_t max_t);
/* Removes those that are to go, and their directories; how many. One thread at a time. Blocking. */
size_t ing_block_set_remove_lost(struct ing_block_set *set, ing_lost_expired expired, void *user);
/* Puts `block` (NULL: nothing, where no sample was left) in the place of the sources: a reader sees
 * either it or them. On success the caller's reference goes to the set, and the directories of the
 * sources are removed. Blocking. */
enum nx_err ing_block_set_replace(struct ing_block_set *set, struct ing_block *block,
                                  const struct ing_block_list *sources) NX_WARN_UNUSED;
/* Takes the block out and removes its directory; false where it was not in the set. Blocking. */
bool ing_block_set_remove(struct ing_block_set *set, const struct ing_block *block);
/* A reader met damage: counts and logs. */
void ing_block_set_report(struct ing_block_set *set, const struct ing_block *block,
                          enum nx_err err);
/* The directory of a tenant's blocks, made where it is missing; nx_free it. Blocking. */
enum nx_err ing_block_set_tenant_dir(struct ing_block_set *set, struct nx_view tenant,
                                     char **out) NX_WARN_UNUSED;

#endif
