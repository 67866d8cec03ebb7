/* meta.json of a TSDB block. */
#ifndef ING_TSDB_META_H
#define ING_TSDB_META_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"

#define ING_TSDB_ULID_CHARS 26

struct ing_tsdb_meta {
    char ulid[ING_TSDB_ULID_CHARS + 1];
    int64_t min_t;
    int64_t max_t; /* exclusive */
    uint64_t samples;
    uint64_t float_samples;
    uint64_t histogram_samples;
    uint64_t series;
    uint64_t chunks;
    uint64_t tombstones;
    int64_t level;
    bool deletable; /* emptied by a deletion */
    const char (
        *parents)[ING_TSDB_ULID_CHARS + 1]; /* blocks that this one replaces; in the arena */
    size_t parent_count;
};

/* NX_ERR_CORRUPT for text that is no such file, NX_ERR_UNSUPPORTED for another version of it. */
enum nx_err ing_tsdb_meta_parse(struct nx_view json, struct nx_arena *arena,
                                struct ing_tsdb_meta *out, struct nx_fail *fail) NX_WARN_UNUSED;
/* Of a block that was made from nothing else: level 1, its own source. */
void ing_tsdb_meta_print(struct nx_buf *out, const struct ing_tsdb_meta *meta);

/* 26 characters of Crockford's base 32, upper case. */
bool ing_tsdb_is_ulid(struct nx_view text);
/* Of a time and 80 random bits; NUL-terminated. */
void ing_tsdb_ulid(int64_t ms, uint16_t random_hi, uint64_t random_lo,
                   char out[ING_TSDB_ULID_CHARS + 1]);

#endif
